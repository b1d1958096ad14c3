"""`vlzoo pretrain` as a process: trained, interrupted, resumed, and every mistake a user can make."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

PLUGIN = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.objective("mine", "mine_loss:Mine", summary="a stranger's objective")
"""

TRIMMED = '''
import torch
from torch.nn.functional import cross_entropy

from vlzoo.interfaces import Objective
from vlzoo.types import Loss


class Mine(Objective):
    """ITC without its noisiest pairs.

    Args:
        keep: share of the pairs kept.
    """

    def __init__(self, *, keep: float = 0.75) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, step):
        target_B = torch.arange(len(step))
        loss_B = cross_entropy(step.similarity.i2t, target_B, reduction="none")
        kept_K = loss_B.topk(int(self.keep * len(loss_B)), largest=False).values
        return Loss(kept_K.mean(), {"kept": torch.tensor(float(len(kept_K)))})
'''

# At step 6 it does what VLZOO_TEST_DO says; its loss is nothing, so that it changes no weight.
ACTOR = '''
import os
import signal

from vlzoo.interfaces import Objective
from vlzoo.types import Loss


class Mine(Objective):
    """Something happens at step 6."""

    def plan(self, plan):
        """Reads nothing."""

    def forward(self, step):
        do = os.environ.get("VLZOO_TEST_DO", "")
        loss = step.image_embed().sum() * 0.0
        if step.draws.step == 6 and do.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, do))
        if step.draws.step == 3 and do == "nan":
            loss = loss + float("nan")
        return Loss(loss)
'''

# It is asked to stop while the model is built.
STARTER = """
import os
import signal

from vlzoo.interfaces import Objective


class Mine(Objective):
    def build(self, spec):
        os.killpg(0, getattr(signal, os.environ["VLZOO_TEST_DO"]))
"""

# It is asked to stop, and again more than a second later, within one update.
SLOW = """
import os
import signal
import time

from vlzoo.interfaces import Objective
from vlzoo.types import Loss


class Mine(Objective):
    def forward(self, step):
        for _ in range(2):
            os.kill(os.getpid(), getattr(signal, os.environ["VLZOO_TEST_DO"]))
            time.sleep(1.1)
        return Loss(step.image_embed().sum() * 0.0)
"""

ENDLESS = ("--set", "train.samples=8000000", "--set", "train.save_every=100000")
"""Longer than any test waits."""


def when(true: Callable[[], bool]) -> bool:
    """Wait until something is true, half a minute at most."""
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        time.sleep(0.002)
    return true()


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def with_mine(zoo, code: str) -> list[str]:
    """Arguments for a call with the single-file plugin."""
    zoo.write("mine.py", PLUGIN)
    zoo.write("mine_loss.py", code)
    return ["--plugin", "mine.py", "pretrain", "micro.yaml", "--with", "mine"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's last checkpoint, the optimiser's and the teacher's too."""
    files = sorted(run.glob("checkpoints/step-000000010/*.safetensors"))
    assert [file.stem for file in files] == ["optimizer", "system", "teacher"]
    return {f"{file.stem}/{name}": tensor for file in files for name, tensor in load_file(file).items()}


def assert_equal_runs(first: Path, second: Path) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def metrics(run: Path) -> list[dict]:
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def steps(run: Path) -> list[int]:
    return [row["step"] for row in metrics(run)]


def leftovers(run: Path) -> list[str]:
    return [str(file) for file in run.rglob("*") if file.name.endswith((".tmp", ".part"))]


def test_a_run_folder_tells_everything(trained):
    run = trained.folder / "run"
    # 80 samples in batches of 8 are 10 updates, logged every 2, saved every 4 and at the end; one is kept.
    assert steps(run) == [2, 4, 6, 8, 10]
    assert [folder.name for folder in (run / "checkpoints").iterdir()] == ["step-000000010"]
    about = json.loads((run / "run.json").read_text())
    assert about["seed"] == 5
    assert about["data"][0]["samples"] == 180  # 36 pictures with 5 captions each
    assert about["packages"]["torch"] == torch.__version__.split("+")[0]
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert {"itc", "itm", "mlm", "temperature", "lr", "samples_per_s", "memory_gb"} <= first.keys()
    assert leftovers(run) == []


def test_the_same_seed_gives_the_same_weights_and_workers_change_nothing(zoo, trained):
    result = zoo.pretrain("run", "--set", "train.workers=1")
    assert result.code == 0, result.err
    assert_equal_runs(zoo.folder / "run", trained.folder / "run")


def test_another_seed_gives_other_weights(zoo, trained):
    assert zoo.pretrain("run", "--set", "train.seed=6").code == 0
    a, b = weights(zoo.folder / "run"), weights(trained.folder / "run")
    assert not torch.equal(a["system/model.text_projection.weight"], b["system/model.text_projection.weight"])


@pytest.mark.parametrize(("signal", "code", "saved"), [("SIGINT", 130, 7), ("SIGTERM", 130, 7), ("SIGKILL", -9, 4)])
def test_stopped_and_resumed_gives_equal_weights(zoo, signal, code, saved):
    mine = with_mine(zoo, ACTOR)
    whole = zoo.run(*mine, "--out", "whole")
    assert whole.code == 0, whole.err
    stopped = zoo.run(*mine, "--out", "broken", VLZOO_TEST_DO=signal)
    assert stopped.code == code, stopped.err
    # A polite signal saves after the update at hand (step 6, so 7 are done); a kill leaves what step 4 saved.
    assert [f.name for f in (zoo.folder / "broken/checkpoints").iterdir()] == [f"step-{saved:09d}"]
    if code == 130:
        assert f"stopped by {signal}: saved at step 7; go on with --resume" in stopped.err
    refused = zoo.run(*mine, "--out", "broken")
    assert refused.code == 2
    assert "holds a run already" in refused.err and "--resume" in refused.err
    resumed = zoo.run(*mine, "--out", "broken", "--resume")
    assert resumed.code == 0, resumed.err
    assert f"going on from step {saved} of 10" in resumed.err
    assert_equal_runs(zoo.folder / "whole", zoo.folder / "broken")
    assert steps(zoo.folder / "broken") == steps(zoo.folder / "whole") == [2, 4, 6, 8, 10]
    assert leftovers(zoo.folder / "broken") == []


def test_a_damaged_checkpoint_is_left_for_the_one_before_it(zoo):
    assert zoo.pretrain("whole", "--set", "train.keep=2").code == 0
    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    file = zoo.folder / "broken/checkpoints/step-000000010/optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    resumed = zoo.pretrain("broken", "--resume", "--set", "train.keep=2")
    assert resumed.code == 0, resumed.err
    assert "optimizer.safetensors: can't be read: its" in resumed.err
    assert "going on from the checkpoint before it, of step 8" in resumed.err
    assert_equal_runs(zoo.folder / "whole", zoo.folder / "broken")
    assert leftovers(zoo.folder / "broken") == []


@pytest.mark.parametrize(
    ("sent", "rows"),
    [(["SIGTERM"] * 2, 1), (["SIGTERM"], 2), (["SIGTERM"], 5), (["SIGINT"], 3), (["SIGHUP"], 1), (["SIGUSR1"], 2)],
)
def test_a_signal_to_the_whole_process_group_saves_as_one_to_the_run_alone(zoo, sent, rows):
    # As `timeout` (which sends it twice), schedulers and a terminal's Ctrl-C send it: to the data workers, too.
    def stop(pid: int) -> None:
        when(lambda: len(metrics(zoo.folder / "run")) >= rows)
        for name in sent:
            os.killpg(pid, getattr(signal, name))

    result = zoo.pretrain("run", *ENDLESS, "--set", "train.workers=2", "--set", "train.log_every=1", during=stop)
    assert result.code == 130, result.err
    (saved,) = (folder.name for folder in (zoo.folder / "run/checkpoints").iterdir())
    step = int(saved.removeprefix("step-"))
    assert step >= rows
    assert result.err.splitlines()[-3].endswith(f"stopped by {sent[0]}: saved at step {step}; go on with --resume")
    assert "killed by signal" not in result.err
    assert not list((zoo.folder / "run").glob("run.lock"))


def test_a_signal_to_the_group_while_it_starts_leaves_nothing_behind(zoo):
    mine = with_mine(zoo, STARTER)
    result = zoo.run(*mine, "--out", "runs/run", "--set", "train.workers=2", VLZOO_TEST_DO="SIGTERM")
    assert result.code == 130, result.err
    assert "stopped by SIGTERM; nothing was saved yet" in result.err
    assert not (zoo.folder / "runs").exists()


def test_a_scheduler_that_asks_again_waits_for_the_checkpoint_and_a_second_ctrl_c_does_not(zoo):
    mine = with_mine(zoo, SLOW)
    result = zoo.run(*mine, "--out", "patient", VLZOO_TEST_DO="SIGTERM")
    assert (result.code, [f.name for f in (zoo.folder / "patient/checkpoints").iterdir()]) == (130, ["step-000000001"])
    result = zoo.run(*mine, "--out", "hasty", VLZOO_TEST_DO="SIGINT")
    assert result.code == 130
    assert "stopped by a second Ctrl-C, before it had saved; nothing was saved yet" in result.err
    assert not (zoo.folder / "hasty").exists()


def test_data_workers_end_with_the_run_that_is_killed(zoo):
    seen: set[int] = set()

    def watch(pid: int) -> None:
        def gone() -> bool:
            with suppress(OSError):
                seen.update(children(pid))
            return not alive(pid)

        when(gone)

    # From within an update: while it reads a batch, a worker that hands it over would complain.
    mine = with_mine(zoo, ACTOR)
    assert zoo.run(*mine, "--out", "run", "--set", "train.workers=2", during=watch, VLZOO_TEST_DO="SIGKILL").code == -9
    assert len(seen) >= 2
    assert when(lambda: not any(map(alive, seen)))


SECOND = """
from vlzoo.cli.main import run

for how in ([], ["--resume"], ["--overwrite"]):
    print(run(["pretrain", "micro.yaml", "--out", "run", *how]))
"""


def test_a_second_process_into_a_run_that_is_alive_is_refused(zoo):
    said: list[subprocess.CompletedProcess[str]] = []
    env = os.environ | {"VLZOO_DATA": str(zoo.corpus.parent), "PYTHONPATH": str(Path(__file__).parents[2])}

    def again(pid: int) -> None:
        when(lambda: len(metrics(zoo.folder / "run")) >= 1)
        call = [sys.executable, "-c", SECOND]
        said.append(subprocess.run(call, cwd=zoo.folder, env=env, capture_output=True, text=True))
        os.kill(pid, signal.SIGTERM)

    first = zoo.pretrain("run", *ENDLESS, during=again)
    assert first.code == 130 and "saved at step" in first.err, first.err
    assert said[0].stdout.split() == ["2", "2", "2"] and "Traceback" not in said[0].stderr, said[0].stderr
    told = r"'run' is being trained already, by process \d+ on \S+, since 20"
    assert len(re.findall(told, said[0].stderr)) == 3, said[0].stderr
    rows = steps(zoo.folder / "run")
    assert rows == sorted(set(rows))
    assert zoo.pretrain("run", *ENDLESS[:2], "--set", "train.samples=40", "--resume").code == 2  # another recipe
    assert not list((zoo.folder / "run").glob("run.lock"))


def test_killed_before_the_first_checkpoint_the_same_call_trains_anew(zoo):
    mine = with_mine(zoo, ACTOR)
    long = ("--set", "train.save_every=100")
    assert zoo.run(*mine, "--out", "run", *long, VLZOO_TEST_DO="SIGKILL").code == -9
    result = zoo.run(*mine, "--out", "run", *long, "--set", "train.seed=9")
    assert result.code == 0, result.err
    assert "run: the run that was there ended before its first checkpoint; it is trained anew" in result.err
    assert steps(zoo.folder / "run") == [2, 4, 6, 8, 10]


def test_overwriting(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    both = zoo.pretrain("run", "--resume", "--overwrite")
    assert both.code == 2 and "--resume and --overwrite can't both be given" in both.err
    inside = zoo.run("pretrain", "micro.yaml", "--from", "run", "--out", "run", "--overwrite")
    assert inside.code == 2 and "the run to start from, 'run', lies in 'run', which is to be overwritten" in inside.err
    assert_equal_runs(zoo.folder / "run", trained.folder / "run")
    result = zoo.pretrain("run", "--overwrite", "--set", "train.seed=6")
    assert result.code == 0, result.err
    assert "run: the run that was there is overwritten" in result.err
    assert json.loads((zoo.folder / "run/run.json").read_text())["seed"] == 6
    (zoo.folder / "run2").mkdir()
    zoo.write("run2/thesis.txt", "mine")
    refused = zoo.pretrain("run2", "--overwrite")
    assert refused.code == 2 and "'run2' is there already and is no run" in refused.err
    assert [each.name for each in (zoo.folder / "run2").iterdir()] == ["thesis.txt"]


def test_a_fine_tuning_is_overwritten_alone(zoo, tuned):
    shutil.copytree(tuned.folder / "run", zoo.folder / "run")
    call = ["finetune", "snli-ve", "--recipe", "snli.yaml", "--from", "run"]
    refused = zoo.run(*call)
    assert refused.code == 2 and "--overwrite" in refused.err
    result = zoo.run(*call, "--overwrite", "--set", "train.seed=4")
    assert result.code == 0, result.err
    assert_equal_runs(zoo.folder / "run", tuned.folder / "run")
    assert (zoo.folder / "run/finetune/vqa/checkpoints").is_dir()
    assert json.loads((zoo.folder / "run/finetune/snli-ve/run.json").read_text())["seed"] == 4


def test_killed_before_the_first_checkpoint_starts_again(zoo, trained):
    mine = with_mine(zoo, ACTOR)
    assert zoo.run(*mine, "--out", "run", "--set", "train.save_every=100", VLZOO_TEST_DO="SIGKILL").code == -9
    assert steps(zoo.folder / "run") == [2, 4, 6]
    assert zoo.run(*mine, "--out", "run", "--set", "train.save_every=100", "--resume").code == 0
    assert steps(zoo.folder / "run") == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("update", ["each", "sum"])
@pytest.mark.parametrize(("draw", "first"), [("each", 1.0), ("one", 0.4)])
def test_streams_that_are_not_drawn_at_every_step_resume_alike(zoo, draw, first, update):
    mine = with_mine(zoo, ACTOR)
    streams = "extends: micro.yaml\ndata: null\nstreams:\n"
    for name, chance, size, objectives in (("a", first, 8, "[itc, mine]"), ("b", 0.6, 4, "[itm, mlm, mine]")):
        data = "{part: scenes, split: train}"
        streams += (
            f"  - {{name: {name}, data: {data}, probability: {chance}, batch: {size}, objectives: {objectives}}}\n"
        )
    # In steps of 8 and 0.6 * 4 = 10.4 samples, or 0.4 * 8 and 0.6 * 4 = 5.6: ten of them.
    samples = {"each": 104, "one": 56}[draw]
    zoo.write("two.yaml", f"{streams}train: {{draw: {draw}, update: {update}, samples: {samples}, epoch_of: a}}\n")
    call = [*mine[:3], "two.yaml", "--with", "mine"]
    whole = zoo.run(*call, "--out", "whole", "--set", "train.log_every=1")
    assert whole.code == 0, whole.err
    # A kill, so that it goes on from step 4, with other batches behind either stream.
    assert zoo.run(*call, "--out", "broken", VLZOO_TEST_DO="SIGKILL").code == -9
    resumed = zoo.run(*call, "--out", "broken", "--resume")
    assert resumed.code == 0, resumed.err
    assert "going on from step 4 of 10" in resumed.err
    assert_equal_runs(zoo.folder / "whole", zoo.folder / "broken")
    rows = metrics(zoo.folder / "whole")
    seen = 0
    for row in rows:
        drawn = {name.partition("/")[0] for name in row if "/" in name}
        assert drawn and (draw == "each") <= ("a" in drawn) and (draw == "one") <= (len(drawn) == 1)
        seen += 8 * ("a" in drawn) + 4 * ("b" in drawn)
        assert row["samples"] == seen
    assert {"a/itc", "a/temperature", "b/itm", "b/mlm"} <= {name for row in rows for name in row}
    assert metrics(zoo.folder / "broken")[-1]["samples"] == seen
    logged = {row["step"]: row for row in rows}
    for row in metrics(zoo.folder / "broken"):
        figures = {name: value for name, value in row.items() if name not in ("time", "samples_per_s", "memory_gb")}
        assert figures.items() <= logged[row["step"]].items()


def test_streams_that_could_draw_none_are_refused_before_anything_is_made(zoo):
    data = "{part: scenes, split: train}, probability: 0.5"
    streams = f"streams: [{{name: a, data: {data}}}, {{name: b, data: {data}}}]\ntrain: {{draw: each}}\n"
    zoo.write("two.yaml", f"extends: micro.yaml\ndata: null\n{streams}")
    for call in (["pretrain", "two.yaml", "--out", "run"], ["check", "two.yaml"]):
        result = zoo.run(*call)
        assert result.code == 2
        assert "a step could draw none" in result.err and "set `train.draw: one`" in result.err
        assert "name the one that an epoch goes through: `epoch_of: a`" in result.err  # of the teacher's ramp
    assert not (zoo.folder / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.seed=-1", "train.seed: -1 does not fit: wanted greater than or equal to 0"),
        ("train.seed=99999999999999999999", "train.seed: 99999999999999999999 does not fit"),
        ("objectives={itc: false, itm: false, mlm: false}", "no objective is on, so there is nothing to learn"),
        ("objectives={}", "no objective is on, so there is nothing to learn"),
        ("objectives.itm.weight=-1", "objectives.itm.weight: -1 does not fit: wanted a number from 0"),
        ("objectives.itm.weight=.inf", "objectives.itm.weight: inf does not fit"),
        ("objectives={a/b: {part: itm}}", "no objective can be called 'a/b'"),
        ("objectives={keys: {part: itm}}", "no objective can be called so"),
        ("objectives={lr: {part: itm}}", "no objective can be called 'lr'"),
        ("token_mask={}", "token_mask: 'part' is missing"),
        ("data=null", "the recipe names no data"),
        ("tokenizer.size=1", "tokenizer.size: 1 does not fit"),
        ("model.temperature.low=1.0e+308", "model.temperature.low: 1e+308 does not fit"),
        ("model.joint=2147483647", "there is not enough memory: tried to allocate"),
        ("model.text_encoder.intermediate=-1", "text_encoder 'bert' can't be built: RuntimeError"),
        ("model.fusion.dropout=1.5", "dropout can't be 1.5"),
        ("model.fusion.dropout=.nan", "model.fusion.dropout: nan is beyond what a part can compute with"),
        ("augment.train.size=48", "augmentation 'weak' gives pictures of 48x48 pixels, and the image encoder was made"),
        ("train.batch=2147483647", "a batch of 2147483647 is larger than the data"),
    ],
)
def test_values_that_cant_be_trained_with_leave_nothing_behind(zoo, change, said):
    result = zoo.pretrain("run", "--set", change)
    assert result.code == 2 and said in result.err, result.err
    assert not (zoo.folder / "run").exists()


@pytest.mark.parametrize("name", ["''", "a/b", "'a b'", "validation", "step"])
def test_streams_that_cant_be_called_so(zoo, name):
    data = "{part: scenes, split: train}"
    zoo.write("two.yaml", f"extends: micro.yaml\ndata: null\nstreams: [{{name: {name}, data: {data}}}]\n")
    for call in (["pretrain", "two.yaml", "--out", "run"], ["check", "two.yaml"]):
        result = zoo.run(*call)
        assert result.code == 2 and "streams[0].name: no stream can be called" in result.err
    assert not (zoo.folder / "run").exists()


RETURNS = """
import torch
from vlzoo import Loss, Objective


class Mine(Objective):
    def forward(self, step):
        loss_B = step.image_embed().sum(1)
        return {
            "tensor": lambda: loss_B.mean(),
            "vector": lambda: Loss(loss_B),
            "none": lambda: None,
            "detached": lambda: Loss(loss_B.mean().detach()),
            "elsewhere": lambda: Loss(loss_B.mean().to("meta")),
        }[__import__("os").environ["VLZOO_TEST_DO"]]()
"""


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("tensor", "gave a tensor [], not a Loss"),
        ("vector", "gave a loss that is a tensor [8], not one number"),
        ("none", "gave None, not a Loss"),
        ("detached", "gave a loss without a gradient: nothing would be learned"),
        ("elsewhere", "gave a loss on meta, and the step is on cpu"),
    ],
)
def test_an_objective_that_gives_no_loss_is_named(zoo, do, said):
    result = zoo.run(*with_mine(zoo, RETURNS), "--out", "run", VLZOO_TEST_DO=do)
    assert result.code == 2
    assert f"objective 'mine' {said}" in result.err
    assert "mine.py (file), " in result.err and "mine_loss.py:7: " in result.err
    assert not (zoo.folder / "run").exists()


def test_a_batch_that_a_streams_data_cant_fill(zoo):
    data = "{part: scenes, split: train}"
    streams = f"streams: [{{name: a, data: {data}}}, {{name: b, data: {data}, batch: 999}}]\n"
    zoo.write("two.yaml", f"extends: micro.yaml\ndata: null\n{streams}train: {{epoch_of: a}}\n")
    result = zoo.run("pretrain", "two.yaml", "--out", "run")
    assert result.code == 2
    assert "a batch of 999 is larger than the data of stream 'b': 180 samples" in result.err
    assert "set the stream's `batch` to 180 or less" in result.err
    assert not (zoo.folder / "run").exists()


def test_a_nan_stops_with_step_objective_and_samples(zoo):
    mine = with_mine(zoo, ACTOR)
    result = zoo.run(*mine, "--out", "run", "--set", "train.save_every=1", VLZOO_TEST_DO="nan")
    assert result.code == 2
    assert "the loss of objective 'mine' (mine.py (file)) is nan at step 4" in result.err
    named = result.err.split("samples ")[1].split(":")[0].split(", ")
    assert len(named) == 8 and all(named)  # the batch's eight
    assert [f.name for f in (zoo.folder / "run/checkpoints").iterdir()] == ["step-000000003"]


def test_weights_ruined_by_a_finite_loss_are_not_saved(zoo):
    result = zoo.pretrain("run", "--set", "train.lr=1.0e+38", "--set", "train.samples=8", "--set", "teacher=null")
    assert result.code == 2
    assert "not finite" in result.err
    assert not list((zoo.folder / "run").glob("checkpoints/*"))


def test_a_strangers_objective_trains(zoo, trained):
    result = zoo.run(*with_mine(zoo, TRIMMED), "--out", "run")
    assert result.code == 0, result.err
    row = json.loads((zoo.folder / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert row["kept"] == 6.0  # 0.75 of a batch of 8
    # -log softmax over 8 candidates of the best three quarters: of the order of log 8 = 2.08 at the start.
    assert 0.0 < row["mine"] < 5.0
    a, b = weights(zoo.folder / "run"), weights(trained.folder / "run")
    assert not torch.equal(a["system/model.text_projection.weight"], b["system/model.text_projection.weight"])


RATES = """
from vlzoo import hookimpl


@hookimpl
def vlzoo_register(registry):
    registry.schedule("halves", "rates:halves", summary="half the rate for the second half of a run")
    registry.decay("nothing", "rates:nothing", summary="no weight decays")


def halves(train, step, length):
    return train.lr if 2 * step < length.steps else train.lr / 2


def nothing(name, parameter):
    return False
"""


def test_a_strangers_schedule_and_decay_train_by_name(zoo, trained):
    zoo.write("rates.py", RATES)
    mine = ["--plugin", "rates.py", "pretrain", "micro.yaml", "--set", "train.lr=1e-3"]
    result = zoo.run(*mine, "--out", "run", "--set", "train.schedule=halves", "--set", "train.decay=nothing")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (zoo.folder / "run/metrics.jsonl").read_text().splitlines()]
    # Ten updates, logged every second: the rate of updates 1, 3, 5, 7, 9, and the half begins with the fifth.
    assert [row["lr"] for row in rows] == [1e-3, 1e-3, 5e-4, 5e-4, 5e-4]
    assert "schedule: halves" in (zoo.folder / "run/recipe.yaml").read_text()
    again = zoo.run(*mine, "--out", "other", "--set", "train.schedule=halves")
    assert again.code == 0, again.err
    a, b = weights(zoo.folder / "run"), weights(zoo.folder / "other")
    assert not torch.equal(a["system/model.text_projection.weight"], b["system/model.text_projection.weight"])
    missing = zoo.run(*mine, "--out", "third", "--set", "train.schedule=halvs")
    assert missing.code == 2 and "no schedule called 'halvs'" in missing.err and "did you mean 'halves'?" in missing.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "train.batch=4096"], ["a batch of 4096 is larger than the data: 180 samples", "180 or less"]),
        (["--data-root", "nowhere"], ["there is no folder", "--data-root"]),
        (["--from", "nowhere"], ["nowhere", "no such folder"]),
        (["--device", "banana"], ["no device called 'banana'"]),
        (["--set", "objectives.itm.head=mpl"], ["'mpl'"]),
        (["--set", "model.fusion.heads=3"], ["width 16 can't be split over 3 heads"]),
        (["--set", "augment.train.size=48"], ["48x48", "32x32"]),
        (["--set", "objectives.itc=null", "--set", "objectives.classify.images=1"], ["'classify' needs classes"]),
        (["--set", "tokenizer.vocab=nowhere.txt"], ["nowhere.txt"]),
        (["--set", "model.fusion.part=merged", "--set", "model.image_encoder.name=vit_teeny"], ["vit_teeny"]),
    ],
)
def test_mistakes_leave_one_message_and_no_folder(zoo, args, said):
    result = zoo.pretrain("run", *args)
    assert result.code == 2, result.err
    assert all(words in result.err for words in said), result.err
    assert result.out == ""
    assert not (zoo.folder / "run").exists()


def test_a_mistake_met_by_a_data_worker_reads_as_any_other(zoo, tmp_path):
    broken = copy_of(zoo, tmp_path)
    victim = sorted((broken / "images").glob("*.png"), key=lambda file: int(file.stem))[0]
    victim.write_bytes(victim.read_bytes()[:40])
    result = zoo.pretrain(
        "run", "--set", "train.workers=1", "--set", "train.samples=400", VLZOO_DATA=str(tmp_path / "copy")
    )
    assert result.code == 2
    assert f"{victim}" in result.err
    assert "DataLoader" not in result.err


def copy_of(zoo, tmp_path: Path) -> Path:
    target = tmp_path / "copy" / "scenes"
    shutil.copytree(zoo.corpus, target)
    return target


def test_cmyk_sixteen_bits_and_transparency_train(zoo, tmp_path):
    target = copy_of(zoo, tmp_path)
    files = sorted((target / "images").glob("*.png"), key=lambda file: int(file.stem))[:36]
    kinds = {"CMYK": 0, "I;16": 0, "RGBA": 0, "LA": 0, "P": 0, "1": 0}
    for i, file in enumerate(files):
        mode = list(kinds)[i % len(kinds)]
        kinds[mode] += 1
        picture = Image.open(file).convert("RGB")
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
        elif mode in ("RGBA", "LA"):
            picture.putalpha(128)
            picture = picture.convert(mode)
        else:
            picture = picture.convert(mode)
        picture.save(file, format="TIFF" if mode == "CMYK" else "PNG")
    assert min(kinds.values()) == 6
    result = zoo.pretrain("run", VLZOO_DATA=str(tmp_path / "copy"))
    assert result.code == 0, result.err


def test_resume_refuses_another_recipe_and_other_data(zoo, trained, tmp_path):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.pretrain("run", "--resume", "--set", "train.lr=0.5", "--set", "model.joint=4")
    assert result.code == 2
    assert "train.lr: 0.001 there, 0.5 here" in result.err and "model.joint: 8 there, 4 here" in result.err
    other = copy_of(zoo, tmp_path)
    file = other / "annotations/captions/dataset_scenes.json"
    file.write_text(file.read_text().replace(" a ", " the "))
    moved = zoo.pretrain("run", "--resume", VLZOO_DATA=str(tmp_path / "copy"))
    assert moved.code == 2
    assert "the run began with other data" in moved.err
    assert_equal_runs(zoo.folder / "run", trained.folder / "run")


def test_resume_may_change_workers_logging_and_words(zoo, trained):
    shutil.copytree(trained.folder / "run", zoo.folder / "run")
    result = zoo.pretrain(
        "run",
        "--resume",
        "--set",
        "train.workers=1",
        "--set",
        "train.log_every=1",
        "--set",
        "train.spikes=null",
        "--set",
        "about=new",
    )
    assert result.code == 0, result.err
    assert "trained to step 10" in result.out


def test_a_folder_that_is_no_run_is_left_alone(zoo):
    (zoo.folder / "letters").mkdir()
    zoo.write("letters/dear.txt", "hello")
    for extra in ([], ["--resume"]):
        result = zoo.pretrain("letters", *extra)
        assert result.code == 2
        assert "is there already and is no run" in result.err
    assert [file.name for file in (zoo.folder / "letters").iterdir()] == ["dear.txt"]


def test_from_a_fresh_interpreter(zoo, root):
    # The one call here that is not forked: `python -m vlzoo` from nothing.
    ended = subprocess.run(
        [sys.executable, "-m", "vlzoo", "pretrain", "micro.yaml", "--out", "run", "--set", "train.samples=8"],
        cwd=zoo.folder,
        env={"PYTHONPATH": str(root), "VLZOO_DATA": str(zoo.corpus.parent), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "run: trained to step 1;" in ended.stdout
    assert "training: 1/1 steps" in ended.stderr
