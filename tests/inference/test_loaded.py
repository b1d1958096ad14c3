"""A model in Python says what the bench says of it, of paths, opened pictures and lists alike."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlzoo
from vlzoo.bench.packed import unpack
from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source, reference
from vlzoo.errors import VlzooError
from vlzoo.testing import check_model_family


@pytest.fixture(scope="module")
def model(trained):
    return vlzoo.load(trained.run, device="cpu")


@pytest.fixture(scope="module")
def said(trained):
    """The test pictures' files with their captions, and the rows that bench predicted, in the same order."""
    source = open_source(reference("scenes"), str(trained.run.parent / "data"), split="test")
    (file,) = (trained.run / "bench/retrieval").rglob("shard-*.jsonl")
    rows = {row["name"]: row for row in map(json.loads, file.read_text().splitlines())}
    samples = list(source)
    assert len(samples) == len(rows) == 4
    return samples, [rows[sample.name] for sample in samples]


def test_matches_are_those_of_the_bench(model, said):
    samples, rows = said
    captions = [text for sample in samples for text in sample.texts]
    found = model.match([sample.images[0].open() for sample in samples], captions)
    assert found.logits.shape == found.cosines.shape == (4, len(captions))
    for row, logits in zip(rows, found.logits, strict=True):
        assert logits[unpack(row["texts"], "<i4")] == pytest.approx(unpack(row["itm"], "<f4"), abs=1e-4)
    vectors = model.encode(images=[sample.images[0].open() for sample in samples], texts=captions)
    assert vectors.images @ vectors.texts.T == pytest.approx(found.cosines, abs=1e-6)
    assert np.linalg.norm(vectors.texts, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_answers_are_those_of_the_bench(model, trained):
    ref = PartRef.model_validate({"part": "scenes-vqa", "root": "scenes"})
    source = open_source(ref, str(trained.run.parent / "data"), split="test")
    samples = list(source)[:5]
    (file,) = (trained.run / "finetune/vqa/bench").rglob("shard-*.jsonl")
    rows = {row["name"]: row for row in map(json.loads, file.read_text().splitlines())}
    found = model.answer([sample.images[0].open() for sample in samples], [sample.texts[0] for sample in samples])
    assert [each.text for each in found] == [rows[sample.name]["answer"] for sample in samples]
    assert [each.score for each in found] == pytest.approx([rows[s.name]["score"] for s in samples], abs=1e-4)
    assert {each.mode for each in found} == {"rank"}
    assert model.answer(trained.pictures[0], "what is it?", mode="generate").mode == "generate"


def test_paths_and_opened_pictures_are_one(model, trained):
    path = trained.pictures[0]
    opened = Image.open(path)
    assert model.match(path, "a red square") == model.match(opened, "a red square")
    assert np.array_equal(model.encode(images=str(path)).images, model.encode(images=[opened]).images[0])


def test_what_is_given_by_itself_loses_its_dimension(model, trained):
    one, two = trained.pictures[0], trained.pictures[:2]
    assert model.match(one, "a star").logits.shape == ()
    assert model.match(two, "a star").logits.shape == (2,)
    assert model.match(one, ["a star"] * 3).cosines.shape == (3,)
    assert model.encode(texts="a star").texts.shape == (8,)
    assert model.encode(texts=["a star"]).images is None
    assert isinstance(model.answer(one, ["how many?"] * 3), list)
    assert len(model.ground(two, "a star")) == 2


def test_a_place_is_a_map_over_the_picture(model, trained):
    path = trained.pictures[0]
    found = model.ground(path, "a red square")
    width, height = Image.open(path).size
    assert found.box is None and found.heat.shape == (height, width)
    x, y = found.point
    assert found.heat[int(y), int(x)] == found.heat.max()


def test_word_maps_with_the_probability_of_a_match(model, trained):
    found = model.explain(trained.pictures[0], "a red square")
    assert [word.text for word in found.words] == ["[CLS]", "a", "red", "square"]
    assert 0 < found.probability < 1
    assert found.of(found.words[2]).shape == (2, 2)  # 32 pixels in patches of 16


def cut(path):
    """A picture that Pillow opens, and that ends too soon."""
    return Image.open(io.BytesIO(path.read_bytes()[:-60]))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t, m: vlzoo.load(t.run.parent / "rum"), "there is no such folder"),
        (lambda t, m: vlzoo.load(t.run.parent / "micro.yaml"), "micro.yaml"),
        (lambda t, m: vlzoo.load("hf:nowhere"), "'nowhere' does not exist"),
        (lambda t, m: vlzoo.load("hg:nowhere"), "no model family called 'hg'"),
        (lambda t, m: vlzoo.load(t.run, checkpoint="7"), "keeps no checkpoint '7'"),
        (lambda t, m: vlzoo.load(t.run, precision="fp8"), "no precision called 'fp8'"),
        (lambda t, m: vlzoo.load(t.run, device="gpu"), "no device called 'gpu'"),
        (lambda t, m: vlzoo.load(t.run / "finetune/vqa").encode(texts="x"), "nothing in it was trained for retrieval"),
        (lambda t, m: m.match("nope.jpg", "x"), "there is no such picture"),
        (lambda t, m: m.match(cut(t.pictures[0]), "x"), "the picture can't be read"),
        (lambda t, m: m.match(t.run.parent / "micro.yaml", "x"), "micro.yaml"),
        (lambda t, m: m.match(t.pictures[0], []), "no text: []"),
        (lambda t, m: m.match(t.pictures[0], [3]), "3 is no text"),
        (lambda t, m: m.match(np.zeros((8, 8, 3)), "x"), "ndarray is no picture"),
        (lambda t, m: m.encode(images=[]), "no picture: []"),
        (lambda t, m: m.answer(t.pictures[:2], ["x"] * 3), "2 pictures for 3 texts"),
        (lambda t, m: m.answer(t.pictures[0], "x", mood="rank"), "did you mean 'mode'"),
        (lambda t, m: m.explain(t.pictures[0], ""), "caption"),
        (lambda t, m: m.explain(t.pictures[0], "a star", layer=7), "7"),
    ],
)
def test_mistakes_are_named(trained, model, ask, words):
    with pytest.raises(VlzooError) as caught:
        ask(trained, model)
    assert words in str(caught.value)


def test_what_the_page_shows_works(trained, root, tmp_path, monkeypatch, capsys):
    """The first block of docs/python.md, as written, with pictures and a run of the names that it uses."""
    block, _ = re.findall(r"^```python\n(.*?)^```", (root / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for name, picture in zip(("cat", "dog"), trained.pictures, strict=False):
        Image.open(picture).save(f"{name}.jpg")
    Path("runs").mkdir()
    Path("runs/albef").symlink_to(trained.run)
    exec(compile(block, "docs/python.md", "exec"), {})
    cosines, logits, answer, point, word = capsys.readouterr().out.strip().splitlines()[-5:]
    assert cosines.startswith("[") and logits.startswith("[") and answer
    assert point.startswith("(") and "('mat'," in word


def test_the_family_of_runs_keeps_to_what_families_promise(trained):
    check_model_family("run", str(trained.run), wrong=str(trained.run.parent / "none"))
