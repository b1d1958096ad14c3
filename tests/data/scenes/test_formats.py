"""The files have the fields of the official ones and refer to one another without gaps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

SPLITS = ("train", "val", "test")


def test_karpathy(corpus, read):
    data = read("captions/dataset_scenes.json")
    assert data["dataset"] == "scenes"
    assert Counter(image["split"] for image in data["images"]) == {"train": 216, "restval": 24, "val": 60, "test": 60}
    ids = [sentence["sentid"] for image in data["images"] for sentence in image["sentences"]]
    assert ids == list(range(len(ids)))
    for place, image in enumerate(data["images"]):
        assert set(image) == {"filepath", "filename", "imgid", "cocoid", "split", "sentids", "sentences"}
        assert (corpus / image["filepath"] / image["filename"]).is_file()
        assert image["imgid"] == place
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        for sentence in image["sentences"]:
            assert set(sentence) == {"tokens", "raw", "imgid", "sentid"}
            assert " ".join(sentence["tokens"]) == " ".join(
                sentence["raw"].lower().replace(",", "").replace(".", "").replace(":", "").split()
            )


@pytest.mark.parametrize("split", SPLITS)
def test_instances(read, described, split):
    data = read(f"instances/instances_{split}.json")
    assert {"info", "licenses", "images", "annotations", "categories"} == set(data)
    names = {row["id"]: row["name"] for row in data["categories"]}
    assert len({row["id"] for row in data["annotations"]}) == len(data["annotations"])
    found = Counter(row["image_id"] for row in data["annotations"])
    assert found == {row["id"]: len(described[row["id"]]["seen"]) for row in data["images"]}
    for row in data["annotations"]:
        thing = described[row["image_id"]]["things"][row["id"] % 10]
        assert names[row["category_id"]] == thing["shape"] and row["bbox"] == thing["box"]
        assert row["iscrowd"] == 0 and 0 < row["area"] <= row["bbox"][2] * row["bbox"][3]
        (outline,) = row["segmentation"]
        assert len(outline) >= 6 and len(outline) % 2 == 0
        x, y, width, height = row["bbox"]
        assert min(outline[::2]) <= x + 1.5 and max(outline[::2]) >= x + width - 1.5
        assert min(outline[1::2]) <= y + 1.5 and max(outline[1::2]) >= y + height - 1.5


def test_boxes_lie_inside_the_picture(read):
    for row in read("refcoco/instances.json")["annotations"]:
        x, y, width, height = row["bbox"]
        assert min(x, y) >= 0 and min(width, height) >= 2 and max(x + width, y + height) <= 64


def test_refcoco(read):
    data = read("refcoco/instances.json")
    annotations = {row["id"]: row for row in data["annotations"]}
    images = {row["id"]: row["file_name"] for row in data["images"]}
    rows = read("refcoco/refs(umd).json")
    assert {row["split"] for row in rows} == set(SPLITS)
    fields = {"ref_id", "ann_id", "category_id", "image_id", "file_name", "split", "sent_ids", "sentences"}
    for row in rows:
        assert set(row) == fields
        assert annotations[row["ann_id"]]["image_id"] == row["image_id"]
        assert annotations[row["ann_id"]]["category_id"] == row["category_id"]
        assert images[row["image_id"]] == row["file_name"]
        assert row["sent_ids"] == [sentence["sent_id"] for sentence in row["sentences"]]
    sentences = [sentence for row in rows for sentence in row["sent_ids"]]
    assert sentences == list(range(len(sentences)))
    assert [row["ref_id"] for row in rows] == list(range(len(rows)))


def test_visual_genome_covers_the_training_pictures(read, described):
    train = [key for key, row in described.items() if row["split"] == "train" and row["kind"] == "scene"]
    assert [row["image_id"] for row in read("visual_genome/image_data.json")] == train
    regions = [region for row in read("visual_genome/region_descriptions.json") for region in row["regions"]]
    assert len({region["region_id"] for region in regions}) == len(regions) > len(train)
    assert set(regions[0]) == {"region_id", "image_id", "phrase", "x", "y", "width", "height"}
    for objects, attributes in zip(
        read("visual_genome/objects.json"), read("visual_genome/attributes.json"), strict=True
    ):
        seen = described[objects["image_id"]]["seen"]
        assert [row["names"] for row in objects["objects"]] == [[thing["shape"]] for thing in seen]
        assert [row["attributes"] for row in attributes["attributes"]] == [
            [thing["color"], thing["size"], thing["texture"]] for thing in seen
        ]
        assert [[row[key] for key in "xywh"] for row in objects["objects"]] == [thing["box"] for thing in seen]


@pytest.mark.parametrize("split", SPLITS)
def test_vqa(read, described, split):
    asked = read(f"vqa/v2_OpenEnded_scenes_{split}_questions.json")
    answered = read(f"vqa/v2_scenes_{split}_annotations.json")
    assert asked["task_type"] == "Open-Ended" and asked["data_subtype"] == answered["data_subtype"] == split
    for question, answer in zip(asked["questions"], answered["annotations"], strict=True):
        assert set(question) == {"image_id", "question_id", "question"}
        assert question["question_id"] == answer["question_id"] and question["image_id"] == answer["image_id"]
        assert described[question["image_id"]]["split"] == split
        assert answer["answer_type"] in ("yes/no", "number", "other")  # VQA v2's three types
        assert question["question"].lower().startswith(answer["question_type"])
        assert set(answer["answers"][0]) == {"answer", "answer_confidence", "answer_id"}


def test_nlvr2_and_snli_ve_name_pictures_that_exist(corpus, read):
    for row in read("nlvr2/test1.json"):
        assert {"identifier", "sentence", "label", "left_url", "right_url", "images"} == set(row)
        assert [row["left_url"], row["right_url"]] == [f"images/{name}" for name in row["images"]]
        assert all((corpus / "images" / name).is_file() for name in row["images"])
    for row in read("snli_ve/snli_ve_test.jsonl"):
        assert {"Flickr30K_ID", "gold_label", "pairID", "captionID", "sentence1", "sentence2"} <= set(row)
        assert (corpus / "images" / f"{row['Flickr30K_ID']}.png").is_file()


def test_pictures_are_described_one_by_one(corpus, described):
    names = {Path(name).stem for name in (path.name for path in (corpus / "images").iterdir())}
    assert names == {str(key) for key in described}
    with Image.open(corpus / "images" / "1.png") as image:
        assert image.size == (64, 64) and image.mode == "RGB"


def test_unpaired_halves_do_not_meet(corpus, read):
    shown = {path.name for path in (corpus / "unpaired" / "images").iterdir()}
    assert len(shown) == 120  # half of 240 training pictures
    texts = (corpus / "unpaired" / "texts.txt").read_text(encoding="utf-8").splitlines()
    others = [
        sentence["raw"]
        for image in read("captions/dataset_scenes.json")["images"]
        if image["split"] in ("train", "restval") and image["filename"] not in shown
        for sentence in image["sentences"]
    ]
    assert sorted(texts) == sorted(others)
    for name in sorted(shown)[:5]:
        assert (corpus / "unpaired" / "images" / name).read_bytes() == (corpus / "images" / name).read_bytes()
