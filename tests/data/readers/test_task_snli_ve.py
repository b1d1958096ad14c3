"""SNLI-VE, ALBEF's lists and both corrected releases, in their true forms; the label set is always told."""

from __future__ import annotations

import csv
import json
import re

import pytest
from PIL import Image

from vlzoo.data.readers.snli_ve import ESnliVe, ESnliVe2, SnliVe, SnliVeAlbef
from vlzoo.errors import DataError
from vlzoo.metrics.classification import SNLI_VE_CLASSES

small = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


def line(pair: str, label: str, **more) -> dict:
    picture = pair.partition(".jpg")[0]
    return {
        "Flickr30K_ID": picture,
        "annotator_labels": [label, label, "neutral"],
        "captionID": pair.partition("r")[0],
        "gold_label": label,
        "pairID": pair,
        "sentence1": "Two women embrace.",
        "sentence1_binary_parse": "( ( Two women ) ( embrace . ) )",
        "sentence2": "The sisters are hugging goodbye.",
        **more,
    }


ROWS = [
    line("4705552913.jpg#2r1n", "neutral"),
    line("4705552913.jpg#2r1e", "entailment", Flickr30K_ID="4705552913.jpg"),  # with the ending, as some releases
    line("4705552913.jpg#2r1c", "-"),  # annotators did not agree
    line("2407214681.jpg#0r1c", "contradiction"),
]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "flickr30k-images").mkdir()
    Image.new("RGB", (7, 4)).save(tmp_path / "flickr30k-images" / "4705552913.jpg")
    write(tmp_path, ROWS)
    return tmp_path


def write(root, rows) -> None:
    (root / "snli_ve_dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@small
def test_hypotheses_with_their_pictures(root, check_data):
    source = SnliVe(root, split="dev")
    assert [sample.label for sample in source] == ["neutral", "entailment", "contradiction"]
    sample = source[1]
    assert sample.name == sample.fields["pairID"] == "4705552913.jpg#2r1e"
    assert sample.texts == ("The sisters are hugging goodbye.",) and sample.fields["premise"] == "Two women embrace."
    assert sample.images[0].open().size == (7, 4) and sample.image_id == source[0].image_id == "4705552913"
    assert sample.fields["label_set"] == source.label_set == "original"
    check_data("snli-ve", split="dev")


@small
def test_pairs_without_an_agreed_label_are_dropped_and_counted(root):
    # A quarter of the rows: more than `allowed_faults`, but no fault of the data.
    source = SnliVe(root, split="dev")
    assert source.sizes == {"sentences": 3, "images": 2, "without a label": 1} and not source.faults.skipped


@small
@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ROWS[0], "snli_ve_dev.jsonl:5: pairID '4705552913.jpg#2r1n' is there twice"),
        (line("1.jpg#0r1n", "neutrall"), "the label is 'neutrall'\n.*did you mean 'neutral'"),
        ({k: v for k, v in line("1.jpg#0r1n", "neutral").items() if k != "Flickr30K_ID"}, "no key 'Flickr30K_ID'"),
        ({k: v for k, v in line("1.jpg#0r1n", "neutral").items() if k != "sentence2"}, "no key 'sentence2'"),
    ],
)
def test_what_is_wrong_is_named(root, row, told):
    write(root, [*ROWS, row])
    with pytest.raises(DataError, match=told):
        len(SnliVe(root, split="dev"))


@small
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"annotator_labels": "neutral"}, "'annotator_labels' is 'neutral', expected a list"),
        ({"annotator_labels": ["neutral", 3]}, "a label of 'annotator_labels' is 3, expected text"),
        ({"explanation": float("nan")}, "'explanation' is nan, expected text"),
        ({"sentence1": 3}, "'sentence1' is 3, expected text"),
        ({"gold_label": None}, "'gold_label' is None, expected text"),
        ({"pairID": 7}, "'7' is no pairID of SNLI-VE"),
        ({"pairID": "1.jpg#0r1x"}, "'1.jpg#0r1x' is no pairID"),
        ({"Flickr30K_ID": 1.0}, "the id 'Flickr30K_ID' is 1.0, a decimal number"),
        ({"Flickr30K_ID": "2.jpg"}, "'1.jpg#0r1n' is about another picture than 'Flickr30K_ID' says: '2.jpg'"),
        ({"sentence2": None}, "'sentence2' is None, expected text"),
    ],
)
def test_every_field_that_counts_has_its_kind(root, change, told):
    write(root, [*ROWS, {**line("1.jpg#0r1n", "neutral"), **change}])
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        len(SnliVe(root, split="dev"))
    assert "snli_ve_dev.jsonl:5" in str(caught.value)


@small
def test_a_picture_id_that_climbs_out_is_refused(root):
    write(root, [line("1.jpg#0r1n", "neutral", Flickr30K_ID="../../etc/passwd")])
    with pytest.raises(DataError, match=r"the picture 'Flickr30K_ID' is '\.\./\.\./etc/passwd'"):
        len(SnliVe(root, split="dev"))


@small
def test_albef_list(tmp_path, check_data):
    (tmp_path / "images").mkdir()
    rows = [
        {"image": "4705552913", "sentence": "Hugging.", "label": "entailment"},
        {"image": 24, "sentence": "B", "label": "neutral"},
    ]
    (tmp_path / "ve_test.json").write_text(json.dumps(rows))
    first, second = SnliVeAlbef(tmp_path, split="test")
    assert first.images[0].path == "images/4705552913.jpg" and second.images[0].path == "images/24.jpg"
    assert (first.name, first.label, first.fields) == ("test-0", "entailment", {"label_set": "original"})
    check_data("snli-ve-albef", split="test")
    (tmp_path / "ve_test.json").write_text(json.dumps([{**rows[0], "label": "yes"}]))
    with pytest.raises(DataError, match=r"ve_test.json\[0\]: the label is 'yes'"):
        len(SnliVeAlbef(tmp_path, split="test"))


@small
def test_e_snli_ve_csv_with_its_nameless_column(tmp_path, check_data):
    # The header opens with an empty name; texts hold commas, quotes and line ends.
    with (tmp_path / "esnlive_dev.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["", "pairID", "Flickr30kID", "hypothesis", "gold_label", "explanation"])
        table.writerow([0, "1.jpg#4r1c", "1.jpg", 'A "diner", open.', "contradiction", "Two\nlines."])
        table.writerow([1, "1.jpg#4r1e", "1.jpg", "Outdoors.", "entailment", "a plane is outdoors"])
    first, second = source = ESnliVe(tmp_path, split="dev", pictures=False)
    assert first.texts == ('A "diner", open.',) and first.fields["explanation"] == "Two\nlines."
    assert second.label == "entailment" and second.image_id == "1"
    assert source.label_set == first.fields["label_set"] == "e-snli-ve"
    (tmp_path / "flickr30k-images").mkdir()
    check_data("e-snli-ve", split="dev")


@small
def test_e_snli_ve_2_tables_by_place(tmp_path, check_data):
    # Columns as the release's own code reads them; the training set is cut in two, the second part without a header.
    header = [
        "gold_label",
        "premise",
        "hypothesis",
        "image",
        "sentence1",
        "sentence2",
        "pairID",
        "explanation",
        "tokens",
    ]
    row = [
        "neutral",
        "two women",
        "they hug",
        "47.jpg#2",
        "Two women.",
        "They hug.",
        "47.jpg#2r1n",
        "May be.",
        "may be",
    ]
    (tmp_path / "esnli_ve_train_1.tsv").write_text("\t".join(header) + "\n" + "\t".join(row) + "\n")
    row = [*row[:6], "47.jpg#2r1e", *row[7:]]
    (tmp_path / "esnli_ve_train_2.tsv").write_text("\t".join(["entailment", *row[1:]]) + "\n")
    first, second = source = ESnliVe2(tmp_path, pictures=False)
    assert (first.label, second.label) == ("neutral", "entailment")
    assert first.texts == ("They hug.",) and first.image_id == "47" and first.fields["explanation"] == "May be."
    assert source.label_set == "e-snli-ve-2.0"
    (tmp_path / "flickr30k-images").mkdir()
    check_data("e-snli-ve-2.0")


def test_reference_dev_has_the_published_size(shared):
    # e-SNLI-VE dev: 14,339 pairs on 1,000 pictures (the csv released with e-ViL, ICCV 2021, has as many rows).
    source = ESnliVe(shared / "data" / "eval_fixtures", split="dev", pictures=False, strict=True)
    assert len(source) == 14_339 and source.sizes == {"sentences": 14_339, "images": 1_000}
    assert {sample.label for sample in source} == set(SNLI_VE_CLASSES)
