"""A batch that the model computes in parts: the losses and gradients of the whole, with less kept on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from vlzoo.batch import View
from vlzoo.door.supplier import supplier
from vlzoo.errors import PluginError
from vlzoo.interfaces import Fusion
from vlzoo.models.decoder_flamingo import FlamingoDecoder
from vlzoo.models.decoder_prefix import PrefixDecoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.answer import Answer
from vlzoo.objectives.classify import Classify
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.lm import LM
from vlzoo.objectives.mlm import MLM, Seq2SeqMLM
from vlzoo.objectives.prefix_lm import PrefixLM
from vlzoo.objectives.sigmoid_itc import SigmoidITC
from vlzoo.objectives.text_assignment import TextAssignment
from vlzoo.step import in_parts as module
from vlzoo.step.in_parts import in_parts
from vlzoo.types import KV, Fused

ROWS = 5
OBJECTIVES = {
    "itc": lambda: {"itc": ITC()},
    "itc, queue": lambda: {"itc": ITC(queue=8)},
    "itm": lambda: {"itc": ITC(), "itm": ITM()},
    "mlm": lambda: {"mlm": MLM(probability=0.4)},
    "classify": lambda: {"classify": Classify()},
    "assignment": lambda: {"itc": ITC(), "assignment": TextAssignment()},
    "answer": lambda: {"answer": Answer()},
    "lm": lambda: {"lm": LM(smoothing=0.1, distil=True)},
    "prefix lm": lambda: {"prefix_lm": PrefixLM()},
    "seq2seq mlm": lambda: {"seq2seq_mlm": Seq2SeqMLM(probability=0.4), "mlm": MLM(probability=0.4)},
    "sigmoid": lambda: {"sigmoid_itc": SigmoidITC()},
    "all": lambda: {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)},
}
MODELS: dict[str, dict[str, Any]] = {
    "assignment": {"images": 2},
    "lm": {"reads": "image"},
    "prefix lm": {"merged": True, "reads": "all"},
}
"""Options of the model that an objective needs."""


def measured(toy, name: str, parts: int, *, taught: bool, **options) -> dict[str, torch.Tensor]:
    """Losses, gradients, and queues after the step."""
    made = toy.system(OBJECTIVES[name](), classes=3, decoder=True, **MODELS.get(name, {}), **options)
    for objective in made.named_objectives().values():
        objective.meet(made.model)
    teacher = Teacher(made) if taught else None
    batch = toy.batch(ROWS, classes=3 if name == "classify" else 0)
    batch = toy.answers(batch) if name == "answer" else batch
    torch.manual_seed(3)
    step = toy.step(made, batch, teacher=teacher, alpha=0.4 if taught else 0.0, parts=parts)
    losses = made(step)
    losses.total.backward()
    for objective in made.named_objectives().values():
        objective.after_step(step)
    found = {name: loss.total.detach() for name, loss in losses.by_name.items()}
    found |= {f"gradient of {name}": p.grad for name, p in made.named_parameters() if p.grad is not None}
    return found | {f"buffer {name}": value for name, value in made.named_buffers() if "queue" in name}


def assert_alike(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=2e-6, rtol=2e-5, msg=name)


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_parts_give_what_the_whole_gives(toy, name, taught):
    assert_alike(measured(toy, name, 1, taught=taught), measured(toy, name, 3, taught=taught))


def test_more_parts_than_rows_are_as_many_as_rows(toy):
    assert_alike(measured(toy, "all", 1, taught=False), measured(toy, "all", 99, taught=False))


def test_what_is_dropped_out_is_dropped_out_again_on_the_way_back(toy, monkeypatch):
    """Parts that keep what they computed give the same gradients, so those made again drew the same."""
    again = measured(toy, "all", 2, taught=False, dropout=0.3)
    monkeypatch.setattr(module, "_again", lambda make, _: make())
    kept = measured(toy, "all", 2, taught=False, dropout=0.3)
    assert_alike(kept, again)
    assert not torch.equal(kept["itm"], measured(toy, "all", 2, taught=False)["itm"])


def kept(made, toy, batch, parts: int) -> tuple[int, torch.Tensor]:
    """The bytes of a step kept for backward, each storage once, weights excluded; and its loss."""
    own = {p.untyped_storage().data_ptr() for p in made.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        total = made(toy.step(made, batch, parts=parts)).total
    return sum(saved.values()), total


def test_little_is_kept_for_the_way_back(toy):
    half, whole = (kept(toy.system(OBJECTIVES["all"]()), toy, toy.batch(8), parts)[0] for parts in (2, 1))
    assert half < whole / 2


def writer(toy, kind: str, parts: int) -> tuple[dict[str, torch.Tensor], int]:
    """Loss and gradients of a decoder through whose layers pictures pass too, and the bytes kept for the way back."""
    made = toy.system({"lm": LM()}, decoder=True, reads="image")
    torch.manual_seed(0)
    sizes = {"width": toy.WIDTH, "heads": 2, "intermediate": 64, "vocab": toy.VOCAB, "max_length": 16}
    if kind == "prefix":
        made.model.decoder = PrefixDecoder(layers=6, dropout=0.0, **sizes)
    else:
        more = {"resampler_heads": 2, "gated_heads": 2, "latents": 3, "memory_width": toy.WIDTH, "gate": 0.5}
        made.model.decoder = FlamingoDecoder(layers=1, **sizes, **more)
    batch = toy.batch(8)
    text = batch.texts["text"]
    short = replace(text, **{name: getattr(text, name)[:, :3] for name in ("ids", "mask", "special")})
    saved, run = kept(made, toy, replace(batch, texts={"text": short}), parts)
    run.backward()
    found = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    return {"loss": run.detach(), **found}, saved


@pytest.mark.parametrize("kind", ["prefix", "flamingo"])
def test_pictures_pass_a_decoders_layers_in_parts_too(toy, kind):
    (whole, much), (parts, little) = (writer(toy, kind, count) for count in (1, 4))
    assert_alike(whole, parts)
    assert little < much / 2


class Backwards(PrefixDecoder):
    """Prepares the pictures from the last to the first, and says of each row where its own lies."""

    def prepare(self, memory):
        order = torch.arange(len(memory.mask)).flip(0)
        return super().prepare(memory.gather(order)).gather(order)


class Weighed(PrefixDecoder):
    """Says of each row which share of its tokens stands for the first one."""

    def prepare(self, memory):
        return replace(super().prepare(memory), pool=memory.x.abs().sum(-1).softmax(-1))


class Undecided(PrefixDecoder):
    """Hides its keys and values in what nobody else can join."""

    def prepare(self, memory):
        return Hidden(super().prepare(memory))

    def forward(self, ids_PL, mask_PL, memory, row_of_memory=None, cache=None, **more):
        return super().forward(ids_PL, mask_PL, memory.keys, row_of_memory, cache, **more)


@dataclass
class Hidden:
    keys: KV

    def gather(self, rows):
        return Hidden(self.keys.gather(rows))


@pytest.mark.parametrize("kind", [Backwards, Weighed, Undecided], ids=lambda kind: kind.__name__)
def test_what_can_not_be_joined_is_prepared_whole_and_only_tried_once(toy, kind):
    made = toy.system({"lm": LM()}, decoder=True, reads="image")
    torch.manual_seed(0)
    sizes = {"width": toy.WIDTH, "heads": 2, "intermediate": 64, "vocab": toy.VOCAB, "max_length": 16}
    decoder = made.model.decoder = kind(layers=2, dropout=0.0, **sizes)
    tokens, text = made.model.image_encoder(toy.batch(ROWS).images["image"]), toy.batch(ROWS).texts["text"]
    rows, prepare = [], decoder.prepare

    def noted(memory):
        rows.append(len(memory.mask))
        return prepare(memory)

    decoder.prepare = noted
    parts = in_parts(made.model, 3).decoder
    with torch.no_grad():
        found = parts(text.ids, text.mask, parts.prepare(tokens))
        assert rows == [1, ROWS]  # the first part says that nothing can be joined
        torch.testing.assert_close(found, decoder(text.ids, text.mask, prepare(tokens)))


def test_parts_are_computed_one_after_the_other(toy):
    made, rows = toy.system(OBJECTIVES["all"]()), []
    made.model.image_encoder.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    made(toy.step(made, toy.batch(ROWS), parts=3)).total.backward()
    assert rows == [1, 2, 2, 2, 2, 1]  # forwards, then backwards from the last


def test_a_pass_with_a_map_is_made_whole(toy):
    made = toy.system(OBJECTIVES["all"]())
    step = toy.step(made, toy.batch(ROWS), parts=2)
    fused = step.fused(attention=0)
    (gradient,) = torch.autograd.grad(fused.cls.sum(), fused.attention)
    plain = toy.step(made, toy.batch(ROWS)).fused(attention=0)
    (expected,) = torch.autograd.grad(plain.cls.sum(), plain.attention)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)


def test_rows_go_with_the_pictures_that_they_look_at(toy):
    made = toy.system({"itc": ITC()})
    encoder = made.model.image_encoder

    def look(images, parts):
        whole = encoder(images)
        return whole, {name: view.tokens(whole) for name, view in parts.items()}

    encoder.look = look
    cells = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) > 0.5
    views = {
        "some": View(rows=torch.tensor([3, 0, 3, 1, 0, 4]), cells=cells, weights=torch.rand(6, 4)),
        "one": View(rows=torch.tensor([4]), cells=cells[:1]),
        "own": View(cells=cells[:ROWS]),
        "none": View(rows=torch.tensor([], dtype=torch.long), cells=cells[:0]),
    }
    image = toy.batch(ROWS).images["image"]
    whole, own = look(image, views)
    parts, of_parts = in_parts(made.model, 3).image_encoder.look(image, views)
    torch.testing.assert_close(parts.x, whole.x)
    assert of_parts.keys() == own.keys()
    for name, tokens in own.items():
        torch.testing.assert_close(of_parts[name].x, tokens.x)


def test_pictures_alone_and_texts_alone(toy):
    model = toy.system({"itm": ITM()}, merged=True).model
    batch, parts = toy.batch(ROWS), in_parts(model, 2)
    text = model.text_encoder(batch.texts["text"].ids, batch.texts["text"].mask)
    prepared = [model.fusion.prepare(model.image_encoder(batch.images["image"]))]
    for given in ((None, prepared), (text, []), (text, prepared)):
        one, two = model.fusion.fuse(*given), parts.fusion.fuse(*given)
        torch.testing.assert_close(two.x, one.x)
        if one.image is not None:
            torch.testing.assert_close(two.image, one.image)


@dataclass
class Own:
    """What a stranger's fusion prepares: it has no mask to count."""

    x: torch.Tensor

    def gather(self, rows):
        return Own(self.x[rows])


class Strange(Fusion):
    """Adds the picture's mean to the words."""

    def __init__(self, width):
        super().__init__()
        self.width, self.layers = width, 1
        self.weight = torch.nn.Parameter(torch.ones(width))

    def prepare(self, image):
        return Own(image.x)

    def fuse(self, text, images, row_of_image=None, *, attention=None, positions_PK=None):
        image = images[0] if row_of_image is None else images[0].gather(row_of_image)
        return Fused(text.x + self.weight * image.x.mean(1, keepdim=True), text.mask)


def test_a_strangers_parts_are_cut_alike(toy):
    found = []
    for parts in (1, 2):
        made = toy.system({"itc": ITC(), "itm": ITM()})
        made.model.fusion = Strange(toy.WIDTH)
        losses = made(toy.step(made, toy.batch(ROWS), parts=parts))
        losses.total.backward()
        found.append({"itm": losses["itm"].total, "gradient": made.model.fusion.weight.grad})
    assert_alike(*found)


def test_a_part_is_known_by_its_own_name(toy, monkeypatch):
    made = toy.system({"itc": ITC(), "itm": ITM()})
    fusion = in_parts(made.model, 2).fusion
    assert isinstance(fusion, CrossAttentionFusion) and supplier(fusion).qualified == "vlzoo:cross_attention"
    assert in_parts(made.model, 1) is made.model
    monkeypatch.setattr(made.model.text_encoder, "width", 3)
    with pytest.raises(PluginError, match=r"text_encoder 'bert' gave token vectors \[2, 8, 16\]"):
        toy.step(made, toy.batch(ROWS), parts=2).text()
