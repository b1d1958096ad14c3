"""What is refused of a folder before anything is measured: another architecture, weights that are missing, damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlzoo.bench.hf.load import load_foreign, model_folder
from vlzoo.bench.request import Request, check_request
from vlzoo.bench.vqa.task import Vqa
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.task import Effort
from vlzoo.testing import check_model_family


@pytest.fixture
def folder(saved, tmp_path):
    """Copies a model's folder, to be changed."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(saved(name), tmp_path / name))

    return copy


def configure(folder: Path, **changes) -> None:
    """Change config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


OTHERS = {
    "blip-headless": ("BlipModel", "BlipForImageTextRetrieval"),
    "vilt-words": ("ViltForMaskedLM", "ViltForImageAndTextRetrieval"),
    "vilt-headless": ("ViltModel", "ViltForQuestionAnswering"),
    "clip-classifier": ("CLIPForImageClassification", "CLIPModel"),
    "siglip-classifier": ("SiglipForImageClassification", "SiglipModel"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_architecture_is_refused_by_name_before_any_work(saved, name):
    found, measured = OTHERS[name]
    with pytest.raises(CheckpointError, match=f"holds a {found}") as refused:
        check_request(Request("retrieval", f"hf:{saved(name)}"))
    assert measured in str(refused.value.fix)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("said", [None, "the matcher's"])
def test_weights_that_are_missing_are_refused_by_name(folder, name, said):
    """Of a folder whose config.json names no class, or names the wrong one."""
    made = folder(name)
    first = {"blip": "BlipForImageTextRetrieval", "vilt": "ViltForImageAndTextRetrieval", "clip": "CLIPModel"}
    first["siglip"] = "SiglipModel"
    family = name.partition("-")[0]
    configure(made, architectures=said and [first[family]])
    lacking = {"blip": "itm_head.bias", "vilt": "rank_output", "clip": "logit_scale", "siglip": "logit_scale"}
    with pytest.raises(CheckpointError, match=rf"weights of {first[family]} are missing: .*{lacking[family]}"):
        load_foreign(made)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("blip", "itm_head.weight"),
        ("blip-vqa", "text_decoder.cls.predictions.transform.dense.weight"),
        ("vilt", "rank_output.bias"),
        ("vilt-nlvr2", "classifier.0.weight"),
        ("clip", "text_projection.weight"),
        ("siglip", "logit_bias"),
    ],
)
def test_one_missing_weight_and_one_that_is_not_finite_are_refused(folder, name, weight):
    made = folder(name)
    held = load_file(made / "model.safetensors")
    save_file({n: t for n, t in held.items() if n != weight}, made / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"1 weights of .* are missing: {weight}"):
        load_foreign(made)
    held[weight] = torch.full_like(held[weight], float("nan"))
    save_file(held, made / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"not finite: {weight} \({held[weight].numel()} NaN"):
        load_foreign(made)


def test_a_weight_of_another_shape_is_named(folder):
    made = folder("clip")
    configure(made, projection_dim=9)
    with pytest.raises(CheckpointError, match=r"text_projection\.weight is \[8, 16\], and by config\.json \[9, 16\]"):
        load_foreign(made)


DAMAGE = [b"", b"[]", b"{", b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>", b"\xff\xfe", None]


@pytest.mark.parametrize("content", DAMAGE)
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"]
)
def test_a_damaged_file_is_one_message_that_names_it(folder, name, content):
    """None: the file is cut in the middle."""
    file = folder("clip") / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(VlzooError, match=name.replace(".", r"\.")) as told:
        load_foreign(file.parent)
    assert told.value.fix


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("config.json", r"no config\.json"),
        ("model.safetensors", "no file named model.safetensors"),
        ("tokenizer.json", "vocabulary is missing: tokenizer.json, or vocab.txt"),
        ("preprocessor_config.json", "AutoImageProcessor can't be read"),
    ],
)
def test_a_missing_file_is_told(folder, name, told):
    made = folder("clip")
    (made / name).unlink()
    with pytest.raises(CheckpointError, match=told):
        load_foreign(model_folder(str(made)))


def test_a_tokenizer_of_another_model_is_refused(folder):
    """One that knows fewer words than nine tenths of the word table: a vocabulary that was cut, or another's."""
    made = folder("clip")
    held = json.loads((made / "tokenizer.json").read_text())
    words = held["model"]["vocab"]
    held["model"]["vocab"] = {word: number for word, number in words.items() if number < 60}
    (made / "tokenizer.json").write_text(json.dumps(held))
    with pytest.raises(CheckpointError, match=f"the tokenizer has 60 tokens, and the model's word table {len(words)}"):
        load_foreign(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": 5},
        {"architectures": {}, "model_type": []},
        {"model_type": None},
        {"projection_dim": "x"},
        {"text_config": []},
        {"text_config": {"num_attention_heads": 0}},
        {"vision_config": {"hidden_size": -1}},
    ],
)
def test_a_config_of_odd_values_is_one_message(folder, changes):
    made = folder("clip")
    configure(made, **changes)
    with pytest.raises(CheckpointError) as told:
        load_foreign(made)
    assert str(made) in str(told.value) and told.value.fix


@pytest.mark.parametrize("architectures", [None, [], "CLIPModel", ["CLIPModel"], ["Mine", "CLIPModel"]])
def test_a_right_folder_loads_however_it_names_its_class(folder, architectures):
    made = folder("clip")
    configure(made, architectures=architectures)
    assert load_foreign(made).name == "CLIPModel"


def test_a_family_the_harness_does_not_know_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="'bert'"):
        load_foreign(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(CheckpointError, match="CLIPModel can't be read"):
        load_foreign(tmp_path)


def test_classes_that_name_no_answers_are_refused(saved, sources):
    model = load_foreign(saved("vilt-unnamed"), device=torch.device("cpu"))
    with pytest.raises(CheckpointError, match="LABEL_0, LABEL_1, which stand for none"):
        list(Vqa().predict(model, sources["vqa"], frozenset(), Effort()))


@pytest.mark.parametrize("name", ["clip", "blip", "vilt"])
def test_the_family_keeps_to_what_families_promise(saved, name, tmp_path):
    check_model_family("hf", str(saved(name)), wrong=str(tmp_path))
