"""Models of transformers by `vlzoo.load`: what each class can be asked, against the class itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

import vlzoo
from vlzoo.errors import CheckpointError

TEXTS = ["a red square", "b"]


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))


def test_clip_encodes_as_it_does(saved, picture):
    folder = saved("clip")
    found = vlzoo.load(f"hf:{folder}", device="cpu").match(picture, TEXTS)
    model, words = hf.CLIPModel.from_pretrained(folder).eval(), hf.AutoTokenizer.from_pretrained(folder)
    pixels = hf.AutoImageProcessor.from_pretrained(folder)(images=[picture], return_tensors="pt")
    with torch.no_grad():
        theirs = model(**words(TEXTS, padding=True, return_tensors="pt"), **pixels)
    cosine = theirs.logits_per_image[0] / model.logit_scale.exp()
    assert found.logits is None
    assert found.cosines == pytest.approx(cosine.detach().numpy(), abs=1e-5)


def test_vilt_matches_as_it_does(saved, picture):
    folder = saved("vilt")
    found = vlzoo.load(f"hf:{folder}", device="cpu").match([picture], TEXTS)
    words = hf.AutoTokenizer.from_pretrained(folder)
    model = hf.ViltForImageAndTextRetrieval.from_pretrained(folder).eval()
    pixels = hf.AutoImageProcessor.from_pretrained(folder)(images=[picture], return_tensors="pt")
    with torch.no_grad():
        theirs = [float(model(**words([text], return_tensors="pt"), **pixels).logits[0, 0]) for text in TEXTS]
    assert found.cosines is None
    assert found.logits[0] == pytest.approx(theirs, abs=1e-4)


def test_blip_answers(saved, picture):
    model = vlzoo.load(f"hf:{saved('blip-vqa')}", device="cpu")
    one, two = model.answer(picture, ["what?", "a long question of many words?"])
    assert (one.mode, one.score) == ("generate", None) and isinstance(two.text, str)
    assert model.answer(picture, "what?") == one


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("clip", lambda m, p: m.answer(p, "what?")),
        ("clip", lambda m, p: m.ground(p, "a square")),
        ("clip", lambda m, p: m.explain(p, "a square")),
        ("vilt", lambda m, p: m.encode(texts="a square")),
        ("blip-vqa", lambda m, p: m.match(p, "a square")),
    ],
)
def test_what_a_class_can_t_do_is_said(saved, picture, name, ask):
    with pytest.raises(CheckpointError) as caught:
        ask(vlzoo.load(f"hf:{saved(name)}", device="cpu"), picture)
    assert "can't do" in str(caught.value) or "gives no embeddings" in str(caught.value)
    assert "\n  -> " in str(caught.value)
