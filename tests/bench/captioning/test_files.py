"""Files of captions scored as `vlzoo score` does."""

from __future__ import annotations

import json

import pytest

from vlzoo.bench.captioning.task import Captioning
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError, UnknownName, VlzooError

CAPTIONS = {
    1: ["A red ball lies on green grass.", "The red ball on a lawn"],
    2: ["Two dogs run on a beach.", "Dogs running by the sea"],
    3: ["A black cat sleeps on a sofa.", "A cat asleep on the couch."],
}


def write(path, value):
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def truth(tmp_path):
    notes = [
        {"image_id": image, "id": n, "caption": text} for image in CAPTIONS for n, text in enumerate(CAPTIONS[image])
    ]
    domains = {1: "in-domain", 2: "out-domain", 3: "out-domain"}
    images = [{"id": image, "file_name": f"{image}.jpg", "domain": domains[image]} for image in CAPTIONS]
    return write(tmp_path / "a.json", {"images": images, "annotations": notes})


def said(path, captions):
    return write(path / "p.json", [{"image_id": image, "caption": text} for image, text in captions])


def values(scored):
    return {score.metric: score.value for score in scored.scores}


def test_a_caption_of_each_picture_as_people_wrote_it(score, truth, tmp_path):
    scored = score("captioning", said(tmp_path, [(image, texts[0]) for image, texts in CAPTIONS.items()]), truth)
    found = values(scored)
    # By their definitions: every n-gram is in a reference, and the longest common subsequence is the whole caption.
    assert {name: found[name] for name in ("BLEU-4", "BLEU-1", "ROUGE-L")} == pytest.approx(
        {"BLEU-4": 100, "BLEU-1": 100, "ROUGE-L": 100}
    )
    main = scored.scores[0]
    assert (main.metric, main.protocol, main.unit, main.samples) == ("CIDEr", "captioning/coco", "", 3)
    assert main.interval[0] <= main.value <= main.interval[1]
    assert "3 pictures with 6 captions of people; captions of 6.7 words" in scored.notes[0]


def test_domains_of_nocaps_have_figures_of_their_own(score, truth, tmp_path):
    captions = [(1, "a green bird"), (2, CAPTIONS[2][0]), (3, CAPTIONS[3][0])]
    found = values(score("captioning", said(tmp_path, captions), truth))
    assert found["BLEU-4 (out-domain)"] == pytest.approx(100)
    assert found["BLEU-4 (in-domain)"] == pytest.approx(0, abs=0.01)
    assert found["CIDEr (out-domain)"] > 0 and "CIDEr (near-domain)" not in found


def test_domains_are_known_of_all_pictures_or_of_none(score, truth, tmp_path):
    """Else `out-domain` would be the figure of the pictures whose domain happens to be written down."""
    whole, file = json.loads(truth.read_text()), said(tmp_path, [(image, "a") for image in CAPTIONS])
    del whole["images"][1]["domain"]
    with pytest.raises(DataError, match="1 pictures of 3 have no domain of nocaps, first 2") as raised:
        score("captioning", file, write(truth, whole))
    assert "a.json" in str(raised.value)
    for image in whole["images"]:
        image.pop("domain", None)
    assert not [name for name in values(score("captioning", file, write(truth, whole))) if "domain" in name]


def test_a_caption_a_line_is_a_picture_with_all_its_captions(score, truth, tmp_path):
    """As in a bench of the same lines; the figures are those of COCO's form."""
    lines = [
        {"id": f"{image}#{n}", "image_id": image, "captions": text}
        for image in CAPTIONS
        for n, text in enumerate(CAPTIONS[image])
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    file = said(tmp_path, [(1, "a red ball"), (2, "two dogs run"), (3, "a dog")])
    found, known = (values(score("captioning", file, each)) for each in (tmp_path / "a.jsonl", truth))
    assert found == {metric: value for metric, value in known.items() if "domain" not in metric}


def test_bleu_is_of_sums_and_so_is_what_is_kept_of_it(score, truth, tmp_path):
    captions = [(1, "a red ball"), (2, "two dogs run on a beach"), (3, "a dog on a lawn with a red ball there")]
    scored = score("captioning", said(tmp_path, captions), truth)
    one = next(figure for figure in scored.scores if figure.metric == "BLEU-1")
    (held,) = one.per_sample
    # Right words: a red ball 3/3, all 6/6, a .. on a: 3/10; the nearest references have 6, 5 and 6 words.
    assert held.values[:, :2].tolist() == [[3, 3], [6, 6], [3, 10]]
    assert held.formula == "bleu"
    assert one.value == pytest.approx(100 * 12 / 19)
    assert one.interval[0] < one.value < one.interval[1]


def test_two_captions_of_one_picture_are_refused(score, truth, tmp_path):
    captions = [(1, "a"), (2, "b"), (2, "c"), (3, "d")]
    with pytest.raises(PredictionError, match="1 duplicate ids: 2"):
        score("captioning", said(tmp_path, captions), truth)


def test_a_picture_without_a_reference_is_refused(score, truth, tmp_path):
    whole = json.loads(truth.read_text())
    whole["annotations"] = [note for note in whole["annotations"] if note["image_id"] != 3]
    with pytest.raises(DataError, match="1 pictures of 3 have no caption to compare with, first 3"):
        score("captioning", said(tmp_path, [(1, "a"), (2, "b"), (3, "c")]), write(truth, whole))


def test_a_missing_caption_is_refused_or_counted(score, truth, tmp_path):
    file = said(tmp_path, [(1, CAPTIONS[1][0]), (2, CAPTIONS[2][0])])
    with pytest.raises(PredictionError, match="1 missing ids: 3"):
        score("captioning", file, truth)
    scored = score("captioning", file, truth, allow_missing=True)
    assert scored.missing == 1 and values(scored)["ROUGE-L"] == pytest.approx(200 / 3)


def test_captions_that_are_no_text_are_refused(score, truth, tmp_path):
    with pytest.raises(PredictionError, match="1 captions that are not strings: 2 has 7"):
        score("captioning", said(tmp_path, [(1, "a"), (2, 7), (3, "c")]), truth)


def test_vizwiz_pictures_without_a_kept_caption_are_left_out(score, tmp_path):
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(3)]
    notes = [{"image_id": n, "caption": f"{n} cans of soup", "is_rejected": n == 1} for n in range(3)]
    truth = write(tmp_path / "a.json", {"images": images, "annotations": notes})
    scored = score("captioning", said(tmp_path, [(n, "soup") for n in range(3)]), truth)
    assert scored.scores[0].samples == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 0}, "beams is 0, and must be 1 or more"),
        ({"least": 30}, "least is 30, and must lie from 0 to length, 20"),
        ({"no_repeat": -1}, "no_repeat is -1"),
        ({"top_p": 0.0}, "top_p is 0.0, and must lie above 0 and up to 1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"top_p": 0.9}, r"words are drawn \(top_p 0.9, temperature 1.0\) in 3 beams"),
        ({"part": "tset"}, "no part 'tset'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(VlzooError, match=message):
        Captioning(**options)
    assert issubclass(UnknownName, VlzooError)


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        (["391895", "7"], [391895, 7]),  # COCO's, nocaps' and VizWiz'
        # TextCaps' are those of Open Images, 16 hexadecimal digits as text; of 2,000 one has no letter.
        (["4529184520368734", "0a1b2c3d4e5f6789"], ["4529184520368734", "0a1b2c3d4e5f6789"]),
    ],
)
def test_the_server_is_sent_ids_of_one_kind(ids, sent):
    rows = {name: {"name": name, "caption": f"a {name}"} for name in ids}
    made = Captioning().submission([Sample(name, image_id=name) for name in ids], rows)
    assert made == [{"image_id": one, "caption": f"a {name}"} for one, name in zip(sent, ids, strict=True)]
