"""Captions of BLIP and GIT are those of transformers' own `generate`, called as its documentation shows."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from vlzoo.bench.captioning.task import Captioning
from vlzoo.bench.hf.load import load_foreign
from vlzoo.errors import CheckpointError
from vlzoo.task import Effort

CLASSES = {"blip-captioner": hf.BlipForConditionalGeneration, "git": hf.GitForCausalLM}


def captions(folder, source, **options):
    model = load_foreign(folder, device=torch.device("cpu"))
    rows = Captioning(**options).predict(model, source, frozenset(), Effort(batch=3))
    return [row["caption"] for batch in rows for row in batch]


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", CLASSES)
def test_captions_are_those_of_generate(name, beams, saved, sources):
    source = sources["captioning"]
    model = CLASSES[name].from_pretrained(saved(name)).eval()
    pictures = hf.AutoImageProcessor.from_pretrained(saved(name))
    words = hf.BertTokenizer.from_pretrained(saved(name))
    expected = []
    for sample in source:
        pixels = pictures(images=sample.images[0].open(), return_tensors="pt")
        made = model.generate(**pixels, num_beams=beams, max_length=12, length_penalty=0.0, do_sample=False)
        expected.append(words.decode(made[0], skip_special_tokens=True).strip())
    assert captions(saved(name), source, beams=beams, length=12) == expected
    assert len(set(expected)) > 0 and any(expected)


@pytest.mark.parametrize("name", CLASSES)
def test_a_prompt_is_read_and_not_counted(name, saved, sources):
    source = sources["captioning"]
    plain, prompted = (captions(saved(name), source, beams=1, length=12, prompt=text) for text in ("", "a b c"))
    assert plain != prompted and not any(text.startswith("a b c") for text in prompted)
    assert max(len(text.split()) for text in prompted) <= 8  # [CLS] and three words are four of twelve


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 1, "top_p": 0.9}, "can't draw words here"),
        ({"listed": "x.txt"}, "can't choose from a list here"),
        ({"length": 4, "prompt": "a b c d"}, "a prompt of 5 ids leaves no room in texts of 4"),
    ],
)
def test_what_generate_does_otherwise_is_refused(options, message, saved, sources):
    with pytest.raises(CheckpointError, match=message):
        captions(saved("git"), sources["captioning"], **options)


def test_blips_other_classes_write_nothing(saved, sources):
    with pytest.raises(CheckpointError, match="BlipForImageTextRetrieval can't do captioning"):
        captions(saved("blip"), sources["captioning"])
