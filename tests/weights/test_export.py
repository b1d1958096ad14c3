"""Runs exported to be given away: what stays behind, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import vlzoo
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import VlzooError
from vlzoo.runs.card import card_of
from vlzoo.runs.run import Run
from vlzoo.weights.export import Export, export

MICRO = Path(__file__).resolve().parent.parent / "fixtures" / "micro.yaml"
RECIPE = (
    MICRO.read_text(encoding="utf-8")
    + """\
teacher: {momentum: 0.9, alpha: 0.4}
objectives: {itc: {queue: 16}, itm: {}, mlm: {}}
augment: {train: {part: weak, size: 32}, eval: {part: plain, size: 32}}
data: {part: scenes, split: train}
train: {samples: 32, batch: 8, lr: 1.0e-3, workers: 0, seed: 5}
bench: {k: 100, batch: 16}
"""
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a teacher and a queue, measured. Not to be changed."""
    folder = tmp_path_factory.mktemp("export")
    make_scenes(folder / "data/scenes", Sizes.split(12, 4, 4), seed=3, workers=1)
    (folder / "a.yaml").write_text(RECIPE)
    vlzoo.pretrain(str(folder / "a.yaml"), folder / "run", data_root=folder / "data")
    vlzoo.measure(folder / "run", "retrieval", data_root=folder / "data")
    return folder / "run"


def system(folder):
    return Run(folder).latest().tensors("system")


def test_queue_teacher_and_optimizer_stay_behind_and_every_other_weight_is_the_same(run, tmp_path):
    (card,) = export(Export(run, tmp_path / "small"))
    old, new = system(run), system(tmp_path / "small")
    assert {n for n in old if n not in new} == {f"objectives.itc.queue.{n}" for n in ("ids", "image", "text", "place")}
    assert all(torch.equal(new[name], old[name]) for name in new)
    assert Run(tmp_path / "small").latest().parts() == ["system"]
    assert not [f for f in (tmp_path / "small").rglob("*") if f.name in ("metrics.jsonl", "bench", "start.json")]
    assert card.parameters == sum(t.numel() for t in new.values() if t.is_floating_point())


def test_figures_are_the_same_bit_for_bit(run, tmp_path):
    export(Export(run, tmp_path / "small"))
    data = run.parent / "data"
    there, here = (vlzoo.measure(each, "retrieval", data_root=data)["retrieval"] for each in (run, tmp_path / "small"))
    assert [each.plain() for each in here.scores] == [each.plain() for each in there.scores]


def test_in_half_precision_weights_move_by_a_rounding_and_scores_hardly(run, tmp_path):
    export(Export(run, tmp_path / "small", precision="fp16"))
    old, new = system(run), system(tmp_path / "small")
    for name, tensor in new.items():
        assert tensor.dtype == torch.float16 or old[name].dtype != torch.float32
        # Of 11 significant bits, or 2^-25 for numbers below the least normal one.
        assert torch.allclose(tensor.double(), old[name].double(), rtol=2**-11, atol=2**-25)
    files = sorted((run.parent / "data").rglob("*.png"))[:3]
    there, here = (vlzoo.load(each).match(files, ["a red square", "two circles"]) for each in (run, tmp_path / "small"))
    assert here.logits == pytest.approx(there.logits, abs=5e-3) and (here.logits != there.logits).any()
    half, single = (
        (each / f"checkpoints/step-{4:09d}/system.safetensors").stat().st_size for each in (tmp_path / "small", run)
    )
    assert half < 0.7 * single


def test_the_card_says_how_they_came_about(run, tmp_path):
    export(Export(run, tmp_path / "small", licence="CC0-1.0", command="make it"))
    card, noted = card_of(tmp_path / "small"), Run(run).noted()
    assert (card.recipe, card.seed, card.samples, card.precision) == (noted["recipe"], 5, 32, "fp32")
    assert (card.licence, card.resolution, card.made["command"]) == ("CC0-1.0", (32, 32), "make it")
    assert [each["fingerprint"] for each in card.data] == [each["fingerprint"] for each in noted["data"]]
    (file,) = (run / "bench/retrieval").rglob("score-*.json")
    wanted = [(each["metric"], each["value"]) for each in json.loads(file.read_text())["scores"]]
    assert [(each["metric"], each["value"]) for each in card.figures] == wanted
    assert any(line.startswith("figure: retrieval/") for line in card.lines())
    kept = (tmp_path / "small/run.json").read_text()
    assert "records" not in kept and "platform" not in kept


def test_figures_of_other_weights_stay_out_of_the_card(run, tmp_path):
    export(Export(run, tmp_path / "half", precision="fp16"))
    vlzoo.measure(tmp_path / "half", "retrieval", data_root=run.parent / "data")
    (card,) = export(Export(tmp_path / "half", tmp_path / "again"))
    assert len(card.figures) == len(card_of(tmp_path / "half").figures)  # its own, measured just now
    for file in (tmp_path / "half").rglob("score-*.json"):
        held = json.loads(file.read_text())
        file.write_text(json.dumps({**held, "weights": "0" * 16}))
    (card,) = export(Export(tmp_path / "half", tmp_path / "third"))
    assert card.figures == ()


def test_a_file_that_is_too_large_is_refused_with_its_bytes_and_leaves_nothing(run, tmp_path):
    with pytest.raises(VlzooError, match=r"take [\d,]+ bytes in fp32, and 1,000 are allowed\n  -> export it in fp16"):
        export(Export(run, tmp_path / "small", most=1000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"precision": "fp8"}, "not exported in 'fp8'\n  -> choose fp32 or fp16"),
        ({"tasks": ("nlvr2",)}, "was fine-tuned for 'nlvr2'\n  -> vlzoo finetune nlvr2"),
        ({"run": Path("nowhere")}, "there is no such folder"),
    ],
)
def test_mistakes(run, tmp_path, change, told):
    with pytest.raises(VlzooError, match=told):
        export(Export(**{"run": run, "out": tmp_path / "small", **change}))


def test_a_place_that_is_taken_is_refused(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(VlzooError, match="is there already"):
        export(Export(run, tmp_path))


def test_numbers_too_large_for_half_precision_are_named(run, tmp_path):
    kept = Run(run).latest()
    large = system(run)
    next(each for each in large.values() if each.dtype == torch.float32).fill_(1e6)
    copy = Run(tmp_path / "large")
    copy.describe(Run(run).checked(), "resolved", {})
    copy.keep_tokenizer(Run(run).tokenizer())
    copy.save(kept.step, {"system": large}, {"step": kept.step}, keep=1)
    with pytest.raises(VlzooError, match=r"too large for fp16: 1 of \d+ tensors holds.*\n  -> export it in fp32"):
        export(Export(tmp_path / "large", tmp_path / "small", precision="fp16"))
