"""The ablation suite at toy size, as a process: stopped, killed, resumed, cached, reported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source

BASE = """
extends: albef-tiny
about: toy
model:
  text_encoder: {width: 32, heads: 2, intermediate: 32}
  fusion: {width: 32, heads: 2, intermediate: 32}
  joint: 16
objectives: {itc: {queue: 32}}
train: {batch: 16}
"""
ROWS = {"none": "about: the baseline\n", "all": "about: another\nobjectives: {mlm: off}\n"}
WAIT_S = 400.0


class Suite:
    """The script with a suite of two stand-in rows in a folder."""

    def __init__(self, root: Path, folder: Path, forking: ModuleType) -> None:
        self.root, self.folder, self.out, self.forking = root, folder, folder / "out", forking
        (folder / "rows").mkdir()
        (folder / "base.yaml").write_text(BASE, encoding="utf-8")
        for name, text in ROWS.items():
            (folder / "rows" / f"{name}.yaml").write_text(f"extends: albef\n{text}", encoding="utf-8")

    def start(self, *more: str, fresh: bool = False) -> subprocess.Popen[str]:
        """The process, begun; a fresh one shows in /proc what it runs."""
        places = {"--rows-folder": "rows", "--base": "base.yaml", "--out": "out", "--results": "results"}
        args = [word for name, place in places.items() for word in (name, str(self.folder / place))]
        sizes = {"--samples": "96", "--images": "80", "--processes": "1"}
        which = {"--rows": "none,all", "--seeds": "0", "--settings": "scenes"}
        own = [word for option in {**which, **sizes}.items() for word in option]
        begin = subprocess.Popen if fresh else self.forking.Popen
        process: subprocess.Popen[str] = begin(
            [sys.executable, str(self.root / "benchmarks" / "ablations.py"), *args, *own, *more],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return process

    def run(self, *more: str) -> tuple[int, str]:
        """Exit code and all it said."""
        process = self.start(*more)
        said, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, said

    def files(self, name: str) -> list[Path]:
        """Files of that name in the runs' folders."""
        return sorted(self.out.glob(f"scenes/*/seed-*/{name}"))

    def table(self) -> dict:
        """The figures written."""
        return json.loads((self.folder / "results" / "ablation_softmask_scenes.json").read_text(encoding="utf-8"))


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def worker_of(pid: int) -> int:
    """The process that trains for another; 0: there is none yet, or it is still a copy of the one that starts it."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split():
        if b"one.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return 0


def gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


@pytest.fixture(scope="module")
def suite(root: Path, tmp_path_factory: pytest.TempPathFactory, forking: ModuleType) -> Suite:
    return Suite(root, tmp_path_factory.mktemp("ablations"), forking)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_stopped_killed_resumed_and_cached(suite):
    # Ctrl-C when the first run is done and the second at work: a table of what is in.
    process = suite.start()
    wait_for(lambda: suite.files("result.json") and len(suite.files("run/recipe.yaml")) == 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, said
    assert "1 of 2 runs are in" in said
    assert "1 of 2 runs are in" in (suite.folder / "results" / "ablation_softmask_scenes.md").read_text(
        encoding="utf-8"
    )
    first = suite.files("result.json")[0]
    assert first.parent.parent.name == "none"
    written = first.stat().st_mtime_ns

    # Without --resume a half-done run is not touched.
    code, said = suite.run()
    assert code == 2
    assert "scenes/all seed 0" in said and "--resume" in said

    # Killed outright: the run at work must not live on beside the one that goes on with it.
    process = suite.start("--resume", fresh=True)
    wait_for(lambda: worker_of(process.pid))
    worker = worker_of(process.pid)
    os.kill(worker, signal.SIGSTOP)  # or so short a run might be done before its parent is gone
    process.kill()
    process.communicate(timeout=WAIT_S)
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: gone(worker))

    code, said = suite.run("--resume")
    assert code == 0, said
    assert "2 runs, 1 done before" in said and "2 of 2 runs are in" in said
    assert first.stat().st_mtime_ns == written
    after = [file.stat().st_mtime_ns for file in suite.files("result.json")]
    assert len(after) == 2

    # All done: nothing is trained, with or without --report.
    for more in ((), ("--report",)):
        code, said = suite.run(*more)
        assert code == 0
        assert "2 runs, 2 done before" in said and "done in" not in said
    assert [file.stat().st_mtime_ns for file in suite.files("result.json")] == after

    # Another length is another run.
    code, said = suite.run("--report", "--samples", "128")
    assert code == 0 and "2 runs, 0 done before" in said and "no table" in said


def test_a_command_is_told_without_the_folders_of_a_machine(part):
    given = ["--suite", "xvlm", "--out=/a/b", "--resume", "--seeds", "0", "--results", "c", "--data", "d", "--report"]
    assert part("command").decisive(given) == ["--suite", "xvlm", "--seeds", "0"]


def test_another_machine_goes_on_from_what_is_kept(suite, tmp_path):
    """With the table's folder alone: no run is made again, and the figures are the same to the last digit."""
    if len(suite.files("result.json")) < 2:
        pytest.skip("the process test made no runs")
    before, elsewhere = suite.table(), Suite(suite.root, tmp_path, suite.forking)
    shutil.copytree(suite.folder / "results", tmp_path / "results")
    shutil.copytree(suite.out / "data", elsewhere.out / "data")
    code, said = elsewhere.run("--report")
    assert code == 0 and "2 runs, 2 done before" in said, said
    assert elsewhere.table()["settings"] == before["settings"] and elsewhere.table()["runs"] == before["runs"]
    assert str(elsewhere.out) not in elsewhere.table()["about"]["command"]

    # Runs of other code are not ours, unless we say so.
    code, said = elsewhere.run("--report", "--code", "0" * 8)
    assert code == 0 and "2 runs, 0 done before" in said
    assert f"--code {before['runs'][0]['code']}" in said

    (kept,) = (tmp_path / "results").glob("*.runs.json.gz")
    kept.write_bytes(kept.read_bytes()[:-9])
    shutil.rmtree(elsewhere.out / "scenes")
    code, said = elsewhere.run("--report")
    assert code == 2 and kept.name in said and "can't be read" in said and "Traceback" not in said


def test_the_table_says_what_the_runs_gave(suite):
    if len(suite.files("result.json")) < 2:
        pytest.skip("the process test made no runs")
    table = suite.table()
    rows = table["settings"]["scenes"]["rows"]
    assert list(rows) == ["none", "all"]
    assert table["settings"]["scenes"]["domains"]["scenes-test"]["images"] == 10  # an eighth of 80
    with np.load(next(file for file in suite.files("values.npz") if "none" in file.parts)) as held:
        for domain in ("scenes-test", "scenes-val"):
            figures = rows["none"]["retrieval"]["itm"][domain]
            assert figures["TR R@1"]["mean"] == pytest.approx(100 * (held[f"{domain}/itm/TR"] < 1).mean())
            recalls = [np.mean([(held[f"{domain}/itc/{way}"] < k).mean() for k in (1, 5, 10)]) for way in ("TR", "IR")]
            found = rows["none"]["retrieval"]["itc"][domain]["mean recall"]["mean"]
            assert found == pytest.approx(100 * np.mean(recalls))
        touch = held["words/object/touch"].sum() / held["words/object/count"].sum()
    assert rows["none"]["words"]["object"]["touch"]["mean"] == pytest.approx(100 * touch)
    gap = rows["all"]["retrieval"]["itm"]["all pictures"]["mean recall"]
    none = rows["none"]["retrieval"]["itm"]["all pictures"]["mean recall"]["mean"]
    assert gap["difference"]["mean"] == pytest.approx(gap["mean"] - none)
    assert rows["all"]["paper"] == {"TR R@1": 76.62, "IR R@1": 60.15}  # METHODS.md 2.9, the last component row
    assert rows["none"]["paper"] == {"TR R@1": 73.10, "IR R@1": 56.80}


def test_losses_and_differences_are_drawn(suite):
    if len(suite.files("result.json")) < 2:
        pytest.skip("the process test made no runs")
    with np.load(next(file for file in suite.files("values.npz") if "none" in file.parts)) as held:
        assert held["curve/step"].tolist() == [
            6
        ]  # 96 samples in batches of 16; a tiny recipe logs every 20th and the last
        log = next(file for file in suite.files("run/metrics.jsonl") if "none" in file.parts)
        last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        assert held["curve/itm"] == pytest.approx([last["itm"]], abs=1e-4)
    drawn = {file.name: file.read_text(encoding="utf-8") for file in (suite.folder / "results").glob("*.svg")}
    assert set(drawn) == {"ablation_softmask_scenes_rows.svg", "ablation_softmask_scenes_losses.svg"}
    assert "<!-- all -->" in drawn["ablation_softmask_scenes_rows.svg"]
    assert "<!-- itm -->" in drawn["ablation_softmask_scenes_losses.svg"]


def test_few_pairs_are_a_part_of_training_and_what_is_seen_a_part_of_them(suite, part):
    """Of 60 training pictures a quarter by chance; a run is measured on what it saw only where that is said."""
    run = next((file for file in suite.files("run") if "none" in file.parts), None)
    if run is None:
        pytest.skip("the process test made no runs")
    settings, measure = part("settings"), part("measure")
    (few,) = settings.make_settings(("few",), suite.out, suite.folder, 80)
    opened = {name: open_source(PartRef.model_validate(ref)) for name, ref in few.domains.items()}
    train = {sample.image_id for sample in open_source(PartRef.model_validate(few.train))}
    seen = {sample.image_id for sample in opened["scenes-seen"]}
    assert 0 < len(seen) < len(train) < 30 and seen < train and few.seen == ("scenes-seen",)
    held_out = {f"scenes/{sample.image_id}" for name in ("scenes-test", "scenes-val") for sample in opened[name]}
    assert len(held_out) == 20 and not held_out & train
    arrays = measure.retrieval(run, {"scenes-seen": few.domains["scenes-seen"]}, 4)
    assert len(arrays["scenes-seen/itm/TR"]) == len(seen)


def test_ranks_are_those_of_vlzoo_bench(suite, root, forking):
    run = next((file for file in suite.files("run") if "none" in file.parts), None)
    if run is None:
        pytest.skip("the process test made no runs")
    args = f"bench retrieval --run {run} --data scenes --split test --k 16 --data-root {suite.out / 'data'}".split()
    json_ = suite.folder / "scores.json"
    forking.run([sys.executable, "-m", "vlzoo", *args, "--json-file", str(json_)], cwd=root, check=True, timeout=WAIT_S)
    theirs = {row["metric"]: row["value"] for row in json.loads(json_.read_text(encoding="utf-8"))}
    ours = suite.table()["settings"]["scenes"]["rows"]["none"]["retrieval"]["itm"]["scenes-test"]
    for metric in ("TR R@1", "IR R@1", "mean recall"):
        assert ours[metric]["mean"] == pytest.approx(theirs[metric])


def test_maps_of_many_captions_are_those_of_one(suite, part):
    run = next((file for file in suite.files("run") if "none" in file.parts), None)
    if run is None:
        pytest.skip("the process test made no runs")
    measure = part("measure")
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.explain import Explainer

    source = open_source(PartRef(part="scenes"), suite.out / "data", split="test")
    samples = [source[0], source[1]]
    pairs = [(row, text) for row, sample in enumerate(samples) for text in sample.texts[:3]]
    explainer = Explainer(load_run(run))
    maps = measure.caption_maps(explainer, [sample.images[0] for sample in samples], pairs)
    for (row, text), found in zip(pairs, maps, strict=True):
        alone = explainer.explain(samples[row].images[0], text).maps
        assert found[: len(alone)] == pytest.approx(alone, rel=1e-4, abs=1e-9)
        assert not found[len(alone) :].any()  # padding


def test_a_mistake_is_told_in_words(suite):
    code, said = suite.run("--rows", "nome")
    assert code == 2
    assert "nome" in said and "none" in said and "Traceback" not in said
    code, said = suite.run("--settings", "scene")
    assert code == 2 and "scenes" in said
