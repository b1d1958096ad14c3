"""One transformer in every role: what the fusion makes of each side alone is compared, by weights held once."""

from __future__ import annotations

import copy

import pytest
import torch

from vlzoo.errors import VlzooError
from vlzoo.models.assemble import Model, System
from vlzoo.models.compiling import compile_layers
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.one_stack import SharedPatches, SharedWords
from vlzoo.models.teacher import Teacher
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.in_parts import in_parts

SIZES = {"width": 16, "heads": 2, "intermediate": 24, "dropout": 0.0}
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def model(toy, *, class_token: bool = True, shared: bool = True, fusion=None) -> Model:
    """Four patches, words, and two layers that all pass through; weights large enough that every path shows."""
    torch.manual_seed(0)
    image, words = (SharedPatches, SharedWords) if shared else (PatchEncoder, EmbeddingEncoder)
    made = Model(
        image(width=16, patch=8, image_size=16, class_token=class_token),
        words(width=16, vocab=toy.VOCAB, max_length=16, dropout=0.0),
        fusion or MergedFusion(layers=2, **SIZES),
        joint=8,
        special=toy.SPECIAL,
    )
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.3)
    for part in made.parts():
        part.meet(made)
    return made


def system(toy, **options) -> System:
    objectives = {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)}
    base = model(toy, **options)
    for objective in objectives.values():
        objective.build(base.spec(temperature={"initial": 0.07}))
    return System(base, objectives, dict.fromkeys(objectives, 1.0))


@pytest.mark.parametrize("class_token", [True, False])
def test_what_a_contrast_compares_is_the_fusions_of_each_side_alone(toy, class_token):
    made, batch = model(toy, class_token=class_token).eval(), toy.batch(4)
    image = made.image_encoder(batch.images["image"])
    assert image.prefix == int(class_token)
    stack, row = made.fusion.stack, made.fusion.kind.weight
    x_MND, allowed = image.x + row[1], torch.ones(4, 1, 1, image.x.shape[1], dtype=torch.bool)
    for block in stack:
        x_MND = block(x_MND, allowed)[0]
    torch.testing.assert_close(made.image_encoder.summary(image), x_MND[:, 0], **CLOSE)
    text = batch.texts["text"]
    words = made.text_encoder(text.ids, text.mask)
    x_BLD = words.x + row[0]
    for block in stack:
        x_BLD = block(x_BLD, text.mask[:, None, None])[0]
    torch.testing.assert_close(made.text_encoder.summary(words), x_BLD[:, 0], **CLOSE)
    expected = torch.nn.functional.normalize(made.text_projection(x_BLD[:, 0]), dim=-1)
    torch.testing.assert_close(made.embed_text(words), expected, **CLOSE)


def test_sides_alone_pass_the_layers_only_where_they_are_compared(toy, monkeypatch):
    made, calls = system(toy), []
    fuse = made.model.fusion.fuse
    monkeypatch.setattr(
        made.model.fusion,
        "fuse",
        lambda text, images, *a, **k: calls.append((text is None, len(images))) or fuse(text, images, *a, **k),
    )
    made(toy.step(made, toy.batch(4)), ["mlm"])
    assert calls == [(False, 1)]
    calls.clear()
    made(toy.step(made, toy.batch(4)), ["itc"])
    assert sorted(calls) == [(False, 0), (True, 1)]


def test_what_is_shared_has_one_name_and_is_copied_with_its_teacher(toy):
    made, plain = system(toy), system(toy, shared=False)
    assert list(made.state_dict()) == list(plain.state_dict())
    teacher = Teacher(made)
    copied = teacher.model.image_encoder._fusion[0]
    assert copied is teacher.model.fusion and copied is not made.model.fusion
    assert copy.deepcopy(made.model).text_encoder._fusion[0] is not made.model.fusion


def measured(toy, *, parts=1, again=False, compiled="", taught=False) -> dict[str, torch.Tensor]:
    made = system(toy)
    compile_layers([made.model], compiled, torch.device("cpu"))
    for part in made.model.parts() if again else ():
        part.checkpoint_layers()
    teacher = Teacher(made) if taught else None
    step = toy.step(made, toy.batch(5), parts=parts, teacher=teacher, alpha=0.4 if taught else 0.0)
    losses = made(step)
    losses.total.backward()
    gradients = {name: p.grad for name, p in made.named_parameters() if p.grad is not None}
    return {**{name: loss.total.detach() for name, loss in losses.by_name.items()}, **gradients}


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
@pytest.mark.parametrize("how", [{"again": True}, {"parts": 3}, {"compiled": "aot_eager"}], ids=str)
def test_however_it_is_computed_losses_and_gradients_are_the_same(toy, how, taught):
    plain, found = measured(toy, taught=taught), measured(toy, taught=taught, **how)
    assert plain.keys() == found.keys() and "model.fusion.stack.0.attention.query.weight" in plain
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, atol=2e-6, rtol=2e-5, msg=name)


def test_the_contrast_trains_the_layers(toy):
    made = system(toy)
    made(toy.step(made, toy.batch(4)), ["itc"]).total.backward()
    assert made.model.fusion.stack[0].attention.query.weight.grad.any()
    assert in_parts(made.model, 2).text_encoder.reads_whole and not EmbeddingEncoder.reads_whole


def test_a_model_without_such_a_fusion_is_refused(toy):
    with pytest.raises(VlzooError, match="CrossAttentionFusion gives no state of 16 of a picture alone") as caught:
        model(toy, fusion=CrossAttentionFusion(layers=2, **SIZES))
    assert "merged, width: 16" in str(caught.value)
    with pytest.raises(VlzooError, match="MergedFusion gives no state of 16"):
        model(toy, fusion=MergedFusion(layers=1, **{**SIZES, "width": 8}))
    words = SharedWords(width=16, vocab=9)
    with pytest.raises(VlzooError, match="its layers are the fusion's, and the model has none"):
        words.meet(Model(PatchEncoder(width=16, patch=8, image_size=16), words, joint=4))
