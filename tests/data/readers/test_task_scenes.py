"""A generated Scenes folder goes through the readers of the official formats; all names are registered."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from vlzoo.builtin import vlzoo_register
from vlzoo.data.readers.scenes_tasks import ScenesNlvr2, ScenesRefCoco, ScenesSnliVe, ScenesVqa
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.options import schema_of
from vlzoo.door.parts import Owner
from vlzoo.door.registry import Registrar

MODULES = ["vqa", "gqa", "nlvr", "nlvr_v1", "snli_ve", "refcoco", "refcoco_albef", "easy_vqa", "scenes_tasks"]
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "scenes"
    make_scenes(out, Sizes.of(120), seed=3, side=64)
    return out


@pytest.mark.parametrize("split", SPLITS)
def test_questions(scenes, split):
    source = ScenesVqa(scenes, split=split)
    file = scenes / "annotations" / "vqa" / f"v2_OpenEnded_scenes_{split}_questions.json"
    assert len(source) == len(json.loads(file.read_text())["questions"]) > 0
    assert all(len(sample.answers) == 10 and sample.fields["answer_type"] for sample in source)
    assert source[0].images[0].open().size == (64, 64)


@pytest.mark.parametrize("split", SPLITS)
def test_sentences_about_two_pictures(scenes, split):
    source = ScenesNlvr2(scenes, split=split)
    assert {sample.label for sample in source} == {"true", "false"}
    assert all(len(sample.images) == 2 for sample in source)
    assert [image.open().size for image in source[0].images] == [(64, 64)] * 2
    assert len({sample.group for sample in source}) < len(source)


@pytest.mark.parametrize("split", SPLITS)
def test_hypotheses(scenes, split):
    source = ScenesSnliVe(scenes, split=split)
    assert {sample.label for sample in source} <= {"entailment", "neutral", "contradiction"}
    assert source[0].images[0].open().size == (64, 64) and source.label_set == "scenes"


@pytest.mark.parametrize("split", SPLITS)
def test_expressions(scenes, split):
    source = ScenesRefCoco(scenes, split=split)
    for sample in source:
        x, y, width, height = sample.regions[0].box
        assert x >= 0 and y >= 0 and x + width <= 64 and y + height <= 64
    assert source[0].images[0].open().size == (64, 64)


def test_every_name_loads_and_documents_its_options():
    registrar = Registrar(Owner("vlzoo", "0", "core"), "0")
    vlzoo_register(registrar)
    parts = [
        part
        for part in registrar.parts
        if part.kind == "data" and part.target.split(":")[0].rpartition(".")[2] in MODULES
    ]
    assert len({part.name for part in parts}) == len(parts) == 21
    for part in parts:
        source = part.load()
        assert source.card.name == part.name
        assert source.card.licence and source.card.layout and source.card.get
        schema = schema_of(part)
        assert not schema.open and all(option.about for option in schema.options), part.name


def test_readers_do_not_import_torch():
    code = "import sys\n" + "".join(f"import vlzoo.data.readers.{name}\n" for name in MODULES)
    code += "import vlzoo.data.answers\nsys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
