"""The agreement with the recorded data, and that it sees what is changed in them."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file
from vlzoo_xvlm.agree_data import Data
from vlzoo_xvlm.data_golden import read_annotations, word_numbers
from vlzoo_xvlm.twister import official

from vlzoo.agree.agreement import Check, Uncovered


@pytest.fixture
def golden(shared, tmp_path):
    """The golden, its json changed by a function, its tensors by another, copied to a folder."""

    def changed(about=lambda _: None, tensors=lambda _: None):
        held = json.loads((shared / "goldens" / "xvlm_data.json").read_text())
        about(held)
        (tmp_path / "xvlm_data.json").write_text(json.dumps(held))
        found = load_file(shared / "goldens" / "xvlm_data.safetensors")
        tensors(found)
        save_file(found, tmp_path / "xvlm_data.safetensors")
        return tmp_path / "xvlm_data.json"

    return changed


def missed(path):
    return {result.quantity.removeprefix("xvlm_data/") for result in Data().compare(path) if not result.ok}


def test_all_that_is_recorded_agrees(shared):
    path = shared / "goldens" / "xvlm_data.json"
    results = list(Data().compare(path))
    assert Data().reads(path) and all(isinstance(result, Check) and result.ok for result in results)
    exact = [result for result in results if "stats" not in result.quantity]
    assert max(result.difference for result in exact) <= 2e-5 and len(exact) > 50
    compared = {result.quantity.partition("/")[2] for result in results}
    outputs = [name for name in load_file(path.with_suffix(".safetensors")) if "/out/" in name]
    assert set(outputs) <= compared


def _masked(held):
    sample = held["text_masking"]["samples"][3]
    sample["masked_pos"] = [*sample["masked_pos"][::-1], 1]


def _token(held):
    held["text_masking"]["samples"][5]["masked_tokens"][1] = "cat"


def _box(held):
    held["region_dataset"]["samples"][2]["target_bbox"][1][0] += 1e-4


def _word(held):
    held["region_dataset"]["annotations"][0]["elems"][0]["caption"] = "tree"


def _stats(held):
    held["text_masking_stats"]["kept"] *= 1.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_masked, {"text_masking/places"}),
        (_token, {"text_masking/tokens"}),
        (_box, {"region_dataset/2/target_bbox"}),
        (_stats, {"text_masking_stats/kept in standard errors"}),
    ],
)
def test_a_changed_fact_is_seen(golden, change, told):
    assert missed(golden(change)) == told


def test_another_word_is_seen_in_all_that_follows(golden):
    assert "region_dataset/0/text_ids" in missed(golden(_word))


@pytest.mark.parametrize(
    "name",
    ["image_attns/out/atts", "relpos/out/table_w6", "region_collate/out/target_bbox", "region_collate/out/is_image"],
)
def test_a_changed_tensor_is_seen(golden, name):
    assert missed(golden(tensors=lambda held: held[name].view(-1)[-1:].add_(1))) == {name}


def test_what_nobody_computes_is_uncovered(golden):
    path = golden(tensors=lambda held: held.update({"region_collate/out/new": held["relpos/in/table_w3"].clone()}))
    assert [each.quantity for each in Data().compare(path) if isinstance(each, Uncovered)] == [
        "xvlm_data/region_collate/out/new"
    ]


def test_draws_are_those_of_random():
    """Each method against the call of the official code that it stands for."""
    ours, theirs = official(7), random.Random(7)
    assert ours.random() == theirs.random()
    assert [ours.integers(2, 4) for _ in range(9)] == [theirs.randint(2, 3) for _ in range(9)]
    assert [ours.integers(5) for _ in range(9)] == [theirs.choice(range(5)) for _ in range(9)]
    mine, other = list(range(20)), list(range(20))
    ours.shuffle(mine)
    theirs.shuffle(other)
    assert mine == other
    assert official(3).permutation(6) == random.Random(3).sample(range(6), 6)
    assert official(3).choice(9, size=4, replace=False) == random.Random(3).sample(range(9), 4)


def test_words_of_pieces():
    assert word_numbers(["[CLS]", "a", "##b", "##c", "d"]) == [-1, 0, 0, 0, 1]
    assert word_numbers(["[CLS]", "##b", "a", "##c"]) == [-1, -1, 0, 0]


def test_annotations_are_read_by_the_reader():
    line = {"size": [9, 7], "caption": "a", "elems": [{"bb": [1, 2, 3, 4], "caption": ["b", "c"], "attributes": "d"}]}
    (sample,) = read_annotations([line])
    assert sample.texts == ("a",) and sample.images[0].open().size == (9, 7)
    region = sample.regions[0]
    assert (region.box, region.text, region.others, region.attributes) == ((1, 2, 3, 4), "b", ("c",), ("d",))


def test_it_imports_no_torch():
    code = "import sys, vlzoo_xvlm.agree_data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
