"""Weights in shards (FSDP2, two processes of gloo): the same training, and a running state that any number takes up."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file

from vlzoo.bench.engine import load_run
from vlzoo.cli.main import run as vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.processes import Share
from vlzoo.runs.checkpoint import SHARDS, Checkpoint
from vlzoo.runs.run import Run
from vlzoo.runs.seal import seal
from vlzoo.train.sharded import Sharded, layers_of
from vlzoo.weights.merge import merge

if not hasattr(dcp, "HuggingFaceStorageWriter"):
    pytest.skip("this torch has no shards", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("alike", Path(__file__).resolve().with_name("alike.py"))
assert _spec and _spec.loader
alike = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alike)
assert_same = alike.assert_same

HERE = Path(__file__).resolve().parent
STEPS, BATCH = 20, 4

BARE = """\
extends: softmaskpp-tiny
model: {image_encoder: null}
"""
SMALL = """\
extends: bare.yaml
model:
  image_encoder:
    part: timm
    name: vit_tiny_patch16_224
    image_size: 64
    arguments: {patch_size: 16, embed_dim: 16, depth: 2, num_heads: 2}
  text_encoder: {layers: 2, width: 16, heads: 2, intermediate: 32}
  fusion: {layers: 2, width: 16, heads: 2, intermediate: 32}
  joint: 8
  temperature: {learned: true}  # a number without a dimension is no shard
train: {clip: 0.5}  # by the norm of all shards
"""
SUMMED = """\
extends: small.yaml
data: null
streams:
  - {name: pairs, data: {part: scenes, split: train}, objectives: [focal_itc, itm, soft_itm]}
  - {name: texts, data: {part: scenes, split: train}, objectives: [mlm], batch: 3}
train: {update: sum, epoch_of: pairs}
"""
REGIONS = """\
extends: small.yaml
teacher: null
token_mask: null
objectives:
  focal_itc: false
  soft_itm: false
  itc: {queue: 0}
  mlm: {part: span_mlm, probability: 0.3, most: 8}  # says that passes may be joined by the texts' lengths
  box: {}
augment: {train: {part: weak, size: 64, flip: 0.0, randaugment: false}}
data: null
streams:
  - name: regions
    data: {part: scenes-regions, root: scenes, split: train}
    rows: {part: regions, patch: 16, each: 3, rows: 64, repeats: none}
    augment: {part: around_box, size: 64, flip: 0.0, randaugment: false}
    probability: 0.5
    batch: 3
  - name: pairs
    data: {part: scenes, split: train}
    objectives: [itc, itm, mlm]
train: {epoch_of: pairs}
"""
WRITTEN = {"bare": BARE, "small": SMALL, "summed": SUMMED, "regions": REGIONS}
RECIPES = {"small": {}, "summed": {"samples": (BATCH + 3) * STEPS}, "regions": {"samples": BATCH * 8}}
"""With what they are trained: the last is slow."""
SHARD = {"shard": "true"}
BRIEF = {"samples": BATCH * 6}


@dataclass
class Place:
    """A folder with a corpus and recipes, in which trainings run."""

    folder: Path
    forking: ModuleType
    said: str = ""

    def words(self, recipe: str, out: str, **sets: object) -> list[str]:
        """The command line of a training."""
        given = {"samples": BATCH * STEPS, "batch": BATCH, "warmup_samples": 20, "save_every": 5, "keep": 4, **sets}
        command = f"pretrain {self.folder / recipe}.yaml"
        return alike.words_of(self.folder, command, str(self.folder / out), **given)

    def train(self, jobs: list[list[str]]) -> str:
        """Run trainings by two processes, one after the other; gives what was said."""
        (self.folder / "jobs.json").write_text(json.dumps(jobs))
        words = [*alike.TORCHRUN, str(HERE / "full_disk.py"), "jobs.json"]
        env = alike.environment()
        done = self.forking.run(words, cwd=self.folder, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def copied(self, run: str, to: str, *, without: tuple[int, ...] = ()) -> Run:
        """A run once more, without the checkpoints of some steps."""
        shutil.copytree(self.folder / run, self.folder / to)
        for step in without:
            shutil.rmtree(self.folder / to / "checkpoints" / f"step-{step:09d}")
        return Run(self.folder / to)


@pytest.fixture(scope="module")
def place(tmp_path_factory, forking):
    folder = tmp_path_factory.mktemp("sharded")
    make_scenes(folder / "scenes", Sizes.split(120, 8, 8), seed=3, workers=1)
    for name, text in WRITTEN.items():
        (folder / f"{name}.yaml").write_text(text)
    made = Place(folder, forking)
    assert all(vlzoo(made.words(name, f"one-{name}", **sets)) == 0 for name, sets in RECIPES.items())
    jobs = [made.words(name, f"two-{name}", **SHARD, **sets) for name, sets in RECIPES.items()]
    assert vlzoo(made.words("small", "one-brief", **BRIEF)) == 0
    jobs.append(made.words("small", "two-sparing", **SHARD, **BRIEF, accumulate=2, checkpointing="true"))
    made.said = made.train([*jobs, made.words("small", "full", **SHARD, save_async="true")])
    return made


@contextmanager
def fake_group() -> Iterator[None]:
    """This process alone, as if there were others."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    """Bit for bit, the optimiser's state too."""
    assert sorted(one.parts()) == sorted(other.parts()) == ["optimizer", "system", "teacher"]
    for part in one.parts():
        ours, theirs = one.tensors(part), other.tensors(part)
        assert ours.keys() == theirs.keys() and all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize("name", RECIPES)
def test_in_shards_and_whole_train_alike(place, name):
    two = Run(place.folder / f"two-{name}")
    assert two.latest().in_shards and len(two.latest().files()) == 2
    assert_same(Run(place.folder / f"one-{name}"), two, 4)


def test_in_shards_in_parts_and_computed_again_too(place):
    """A layer is called, and gathered, once a part and again on the way back, equally often by all processes."""
    assert_same(Run(place.folder / "one-brief"), Run(place.folder / "two-sparing"), 4)


def test_each_process_holds_and_writes_half_of_what_can_be_cut(place):
    """The optimiser's moments, twice as large as the weights, are cut as they are; what is not is the leading one's."""
    kept = Run(place.folder / "two-small").latest()
    first, second = (load_file(file) for file in kept.files())
    whole = kept.tensors("optimizer")
    cut = [name for name, tensor in whole.items() if tensor.ndim and tensor.shape[0] > 1]
    assert cut and all(f"optimizer/{name}" in first and f"optimizer/{name}" in second for name in cut)
    for name in cut:
        parts = [each[f"optimizer/{name}"] for each in (first, second)]
        assert torch.equal(torch.cat(parts), whole[name]) and abs(len(parts[0]) - len(parts[1])) <= 1
    assert not any("temperature" in name for name in second)


def test_what_is_saved_while_training_goes_on_is_what_was_there(place):
    """And a disk that is full for one of the processes costs a checkpoint, not the run: it is told once."""
    run, here = (Run(place.folder / name) for name in ("full", "two-small"))
    assert sorted(each.name for each in run.checkpoint_folder.iterdir()) == [f"step-{n:09d}" for n in (5, 15, 20)]
    assert place.said.count("WARNING") == 1, place.said
    assert f"{run.checkpoint_folder / 'step-000000010'}: no room on the disk for a checkpoint" in place.said
    steps = {each.step: each for each in here.checkpoints()}
    for kept in run.checkpoints():
        kept.check()
        assert_equal(kept, steps[kept.step])


def test_shards_are_taken_up_by_one_process_and_plain_files_by_shards(place):
    """The same rest of the way; shards by shards bit for bit."""
    half = place.copied("two-small", "half", without=(10, 15, 20))
    assert vlzoo([*place.words("small", "half"), "--resume"]) == 0
    back = place.copied("one-small", "back", without=(10, 15, 20))
    again = place.copied("two-small", "again", without=(20,))
    said = place.train([[*place.words("small", name, **SHARD), "--resume"] for name in ("back", "again")])
    assert [f"going on from step {step} of 20" in said for step in (5, 15)] == [True, True]
    one, two = Run(place.folder / "one-small"), Run(place.folder / "two-small")
    assert not half.latest().in_shards and back.latest().in_shards
    for run in (half, back):
        assert_same(one, run, 4)
    assert_equal(again.latest(), two.latest())


def test_merged_they_are_plain_files_and_the_same_model(place, capsys):
    run = place.copied("two-small", "merged")
    whole, hashed = run.latest().tensors("system"), load_run(run.folder).weights
    assert vlzoo(["weights", "show", str(run.folder)]) == 0
    shown = capsys.readouterr().out
    assert f"in 2 shards: `vlzoo weights merge {run.folder}` writes plain files" in shown
    assert vlzoo(["weights", "merge", str(run.folder)]) == 0
    said = capsys.readouterr().out
    assert said.count("optimizer.safetensors, system.safetensors, teacher.safetensors, of 2 shards") == 4
    kept = run.latest()
    assert not kept.in_shards and SHARDS not in kept.state()
    assert [f.name for f in kept.files()] == ["optimizer.safetensors", "system.safetensors", "teacher.safetensors"]
    plain = load_file(kept.folder / "system.safetensors")
    assert plain.keys() == whole.keys() and all(torch.equal(plain[name], whole[name]) for name in whole)
    kept.check()
    assert load_run(run.folder).weights == hashed  # predictions made before are those of the same model
    assert vlzoo(["weights", "show", str(run.folder)]) == 0
    after = capsys.readouterr().out
    assert [line for line in shown.splitlines() if " tensors, " in line] == [
        line for line in after.splitlines() if " tensors, " in line
    ]
    assert vlzoo(["weights", "merge", str(run.folder)]) == 0 and "plain files already" in capsys.readouterr().out


def test_a_merge_that_cant_be_written_leaves_the_shards(place, monkeypatch, tmp_path):
    run = place.copied("two-small", "unmerged")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vlzoo.runs.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match="no room on the disk for a checkpoint") as caught:
        merge(run.folder, lambda _: None)
    assert "the shards are untouched" in str(caught.value)
    run.latest().check()
    assert run.latest().in_shards
    with pytest.raises(CheckpointError, match="there is no such folder"):
        merge(tmp_path / "none", lambda _: None)


def test_shards_of_another_torch_are_refused(place):
    kept = place.copied("two-small", "other").latest()
    state = kept.state()
    (kept.folder / "state.json").unlink()
    seal(kept.folder, {**state, SHARDS: {**state[SHARDS], "torch": "2.9.0"}})
    with pytest.raises(CheckpointError, match=r"the shards were written by torch 2\.9\.0, and here is ") as caught:
        kept.tensors("system")
    assert "install torch==2.9.0" in str(caught.value) and "vlzoo weights merge" in str(caught.value)


def test_a_damaged_shard_is_told_and_the_checkpoint_before_it_is_used(place):
    run = place.copied("two-small", "damaged")
    file = run.latest().files()[1]
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(CheckpointError, match="can't be read") as caught:
        run.latest().tensors("system")
    assert caught.value.where == str(file)
    assert vlzoo([*place.words("small", "damaged"), "--resume"]) == 0
    assert_same(Run(place.folder / "one-small"), run, 4)


def test_what_is_a_layer():
    def layer() -> torch.nn.Module:
        return torch.nn.TransformerEncoderLayer(4, 1)

    tied = torch.nn.ModuleList([layer(), layer()])
    tied[1].linear1.weight = tied[0].linear1.weight
    joined = torch.nn.ModuleList([layer(), layer()])
    joined[1].linear1 = joined[0].linear1
    shared = layer()
    whole = torch.nn.ModuleDict(
        {
            "stack": torch.nn.ModuleList([layer(), layer()]),
            "one": torch.nn.ModuleList([layer()]),
            "tied": tied,  # gathered with what both belong to
            "joined": joined,  # likewise: BLIP's text layers, LXMERT's cross-attention
            "twice": torch.nn.ModuleList([shared, shared]),  # one layer
            "mixed": torch.nn.Sequential(layer(), torch.nn.Linear(4, 4)),
            "leaves": torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)),
            "lists": torch.nn.ModuleList([torch.nn.ModuleList([layer()]), torch.nn.ModuleList([layer()])]),
        }
    )
    names = {module: name for name, module in whole.named_modules()}
    assert sorted(names[each] for each in layers_of(whole)) == [
        *("lists.0.0", "lists.1.0", "one.0", "stack.0", "stack.1", "twice.0")
    ]


def test_weights_that_are_read_beside_a_layers_call_are_told():
    """A shard meets a whole tensor; one process is enough to see what torch says."""
    from torch.distributed.fsdp import fully_shard

    engine, shard = Sharded.__new__(Sharded), torch.nn.Linear(2, 2)
    with fake_group():
        fully_shard(shard)
        with pytest.raises(RuntimeError) as caught:
            torch.ones(1, 2) @ shard.weight
    told = engine.explained(caught.value)
    assert isinstance(told, TrainingError)
    assert "reads weights of a layer without calling the layer" in str(told) and "train.shard=false" in str(told)
    other = ValueError("no")
    assert engine.explained(other) is other


def test_an_older_torch_is_told(monkeypatch):
    monkeypatch.delattr("torch.distributed.checkpoint.HuggingFaceStorageWriter")
    with pytest.raises(TrainingError, match=r"train\.shard needs torch 2\.9") as caught:
        Sharded(torch.device("cpu"), Share(0, 2))
    assert "train.shard=false" in str(caught.value)
