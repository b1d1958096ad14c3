"""Captions of BLIP and GIT are those of transformers' own `generate`, called as its documentation shows."""

from __future__ import annotations

import json
import shutil

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
    assert all(expected)  # words, and not two silences that are alike


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
        ({"length": 65}, "texts of 65 ids are longer than the 64 positions of the model"),
    ],
)
def test_what_generate_does_otherwise_is_refused(options, message, saved, sources):
    with pytest.raises(CheckpointError, match=message):
        captions(saved("git"), sources["captioning"], **options)


def test_blips_other_classes_write_nothing(saved, sources):
    with pytest.raises(CheckpointError, match="BlipForImageTextRetrieval can't do captioning"):
        captions(saved("blip"), sources["captioning"])


def changed(folder, tmp_path, file, **values):
    """A copy of a folder with values of one of its JSON files changed, None taken away."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    held = json.loads((copy / file).read_text())
    for key, value in values.items():
        part = held["text_config"] if key in held.get("text_config", ()) else held
        part[key] = value
    (copy / file).write_text(json.dumps(held))
    return copy


@pytest.mark.parametrize("name", CLASSES)
def test_a_tokenizer_without_an_end_token_is_refused(name, saved, sources, tmp_path):
    folder = changed(saved(name), tmp_path, "tokenizer_config.json", sep_token=None)
    with pytest.raises(CheckpointError, match="its tokenizer has no token for texts to end with"):
        captions(folder, sources["captioning"])


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [("blip-captioner", "config.json", "sep_token_id"), ("git", "generation_config.json", "eos_token_id")],
)
def test_a_model_whose_texts_never_end_is_refused(name, file, key, saved, sources, tmp_path):
    folder = changed(saved(name), tmp_path, file, **{key: None})
    with pytest.raises(CheckpointError, match="it says no token that texts end with"):
        captions(folder, sources["captioning"])
