from __future__ import annotations

import re
from itertools import product

from vlzoo.data.scenes.words import ANSWERS, COLORS, SHAPES, SIZES, TEST_PAIRS, TRAIN_PAIRS


def test_pairs_are_divided_and_every_single_attribute_is_on_both_sides():
    assert not set(TRAIN_PAIRS) & set(TEST_PAIRS)
    assert set(TRAIN_PAIRS) | set(TEST_PAIRS) == set(product(COLORS, SHAPES))
    for pairs in (TRAIN_PAIRS, TEST_PAIRS):
        assert {color for color, _ in pairs} == set(COLORS)
        assert {shape for _, shape in pairs} == set(SHAPES)


def test_answers_are_distinct_and_few():
    assert len(set(ANSWERS)) == len(ANSWERS) <= 40  # 40: the brief's bound on the vocabulary


def test_objects_are_at_least_a_twelfth_of_the_side():
    assert min(low for low, _ in SIZES.values()) >= 1 / 12  # issue 3


def _pairs_named(text: str) -> set[tuple[str, str]]:
    found = re.findall(rf"\b({'|'.join(COLORS)}) ({'|'.join(SHAPES)})", text.lower())
    return set(found)


def test_no_text_of_train_or_val_names_a_combination_of_test(corpus, read):
    for split, nlvr2, snli, allowed in (
        ("train", "train", "train", TRAIN_PAIRS),
        ("val", "dev", "dev", TRAIN_PAIRS),
        ("test", "test1", "test", TEST_PAIRS),
    ):
        captions = read("captions/dataset_scenes.json")["images"]
        texts = [
            sentence["raw"]
            for image in captions
            if image["split"].replace("restval", "train") == split
            for sentence in image["sentences"]
        ]
        texts += [row["question"] for row in read(f"vqa/v2_OpenEnded_scenes_{split}_questions.json")["questions"]]
        texts += [row["sentence"] for row in read(f"nlvr2/{nlvr2}.json")]
        texts += [f"{row['sentence1']} {row['sentence2']}" for row in read(f"snli_ve/snli_ve_{snli}.jsonl")]
        refs = [row for row in read("refcoco/refs(umd).json") if row["split"] == split]
        texts += [sentence["raw"] for row in refs for sentence in row["sentences"]]
        named = set().union(*map(_pairs_named, texts))
        assert len(named) > 6
        assert named <= set(allowed)


def test_files_without_splits_name_training_combinations_only(corpus, read):
    regions = read("visual_genome/region_descriptions.json")
    texts = [region["phrase"] for row in regions for region in row["regions"]]
    texts += (corpus / "unpaired" / "texts.txt").read_text().splitlines()
    assert set().union(*map(_pairs_named, texts)) <= set(TRAIN_PAIRS)


def test_pictures_of_test_hold_test_combinations_only_and_train_and_val_none(described):
    for row in described.values():
        allowed = TEST_PAIRS if row["split"] == "test" else TRAIN_PAIRS
        assert {(thing["color"], thing["shape"]) for thing in row["things"]} <= set(allowed)
