"""VQA v2's official files and ALBEF's lists, in their true form and with what goes wrong in them."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest
from PIL import Image

from vlzoo.data.readers.vqa import VqaAlbef, VqaV2
from vlzoo.data.sources import SizeWarning
from vlzoo.errors import DataError, UnknownName

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
HEAD = {"info": {"version": "2.0"}, "license": {"name": "CC BY 4.0"}, "data_type": "mscoco", "data_subtype": "val2014"}


def questions() -> list[dict]:
    return [
        {"image_id": 262148, "question": "Where is he looking?", "question_id": 262148000},
        {"image_id": 262148, "question": "  What's the caf\u00e9 called? ", "question_id": 262148001},
        {"image_id": 393225, "question": "Is it open?", "question_id": 393225000},
    ]


def annotation(question: dict, answers: list[str]) -> dict:
    return {
        "question_type": "none of the above",
        "multiple_choice_answer": answers[0],
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": number}
            for number, answer in enumerate(answers, 1)
        ],
        "image_id": question["image_id"],
        "answer_type": "other",
        "question_id": question["question_id"],
    }


def write(root: Path, asked: list[dict], annotated: list[dict], folder: str = "") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "val2014").mkdir(exist_ok=True)
    whole = {**HEAD, "task_type": "Open-Ended", "questions": asked}
    (root / folder / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps(whole))
    whole = {**HEAD, "annotations": annotated}
    (root / folder / "v2_mscoco_val2014_annotations.json").write_text(json.dumps(whole))
    return root


@pytest.fixture
def root(tmp_path):
    # Annotations in another order than the questions, as nothing promises the same one.
    asked = questions()
    annotated = [annotation(question, ["yes"] * 7 + ["Yes", "no", "no"]) for question in reversed(asked)]
    # Two pictures nobody asks about lie in the folder too.
    write(tmp_path, asked, annotated)
    for name in ("COCO_val2014_000000262148.jpg", "COCO_val2014_000000000042.jpg"):
        Image.new("RGB", (8, 6), (200, 30, 30)).save(tmp_path / "val2014" / name)
    return tmp_path


def test_questions_with_their_answers_as_written(root):
    source = VqaV2(root, split="val")
    assert len(source) == 3 and source.name == "vqa-v2/val"
    sample = source[1]
    assert sample.name == "262148001" and sample.texts == ("What's the caf\u00e9 called?",)
    assert sample.answers == (*["yes"] * 7, "Yes", "no", "no")
    assert sample.fields["question_id"] == 262148001 and sample.fields["answer_type"] == "other"
    assert sample.fields["multiple_choice_answer"] == "yes" and sample.fields["weight"] == 1.0
    assert sample.image_id == "262148" and sample.images[0].open().size == (8, 6)
    assert source.sizes == {"questions": 3, "images": 2}


def test_official_sizes_are_compared(root):
    with pytest.warns(SizeWarning, match="3 questions, officially 214,354"):
        len(VqaV2(root, split="val"))
    with pytest.raises(DataError, match="officially 214,354"):
        len(VqaV2(root, split="val", strict=True))


def test_test_split_has_no_annotations_and_test_dev_shows_test_pictures(tmp_path):
    (tmp_path / "test2015").mkdir()
    for part in ("test2015", "test-dev2015"):
        whole = {**HEAD, "data_subtype": part, "questions": questions()[:1]}
        (tmp_path / f"v2_OpenEnded_mscoco_{part}_questions.json").write_text(json.dumps(whole))
    for split in ("test", "test-dev"):
        sample = VqaV2(tmp_path, split=split)[0]
        assert sample.answers == () and "answer_type" not in sample.fields
        assert sample.images[0].path == "test2015/COCO_test2015_000000262148.jpg"


def test_annotations_folder_and_gzip(tmp_path):
    asked = questions()
    write(tmp_path, asked, [annotation(q, ["2"] * 10) for q in asked], folder="annotations")
    for file in list((tmp_path / "annotations").iterdir()):
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert [sample.answers[0] for sample in VqaV2(tmp_path, split="val")] == ["2"] * 3


def test_texts_without_pictures(root):
    for file in (root / "val2014").iterdir():
        file.unlink()
    (root / "val2014").rmdir()
    assert any("val2014" in line for line in VqaV2(root, split="val").missing())
    with pytest.raises(DataError, match="vlzoo data check vqa-v2"):
        len(VqaV2(root, split="val"))
    source = VqaV2(root, split="val", pictures=False)
    assert source.missing() == [] and source[0].images == ()


def test_fingerprint_follows_the_annotations(root, tmp_path_factory):
    first = VqaV2(root, split="val").fingerprint()
    copy = tmp_path_factory.mktemp("copy")
    asked = questions()
    write(copy, asked, [annotation(q, ["yes"] * 7 + ["Yes", "no", "no"]) for q in reversed(asked)])
    assert VqaV2(copy, split="val").fingerprint() == first
    write(copy, asked, [annotation(q, ["yes"] * 10) for q in asked])
    assert VqaV2(copy, split="val").fingerprint() != first


def test_pickles_for_workers(root):
    source = VqaV2(root, split="val")
    len(source)
    again = pickle.loads(pickle.dumps(source))
    assert list(again) == list(source)


def test_the_cached_table_follows_the_files(root):
    first = VqaV2(root, split="val")
    again = VqaV2(root, split="val")
    assert list(first) == list(again) and first.sizes == again.sizes
    asked = questions()
    write(root, asked, [annotation(q, ["seven"] * 10) for q in asked])
    assert VqaV2(root, split="val")[0].answers == ("seven",) * 10
    assert VqaV2(root, split="val", pictures=False)[0].images == ()


def broken(change) -> tuple[list[dict], list[dict]]:
    asked = questions()
    annotated = [annotation(q, ["yes"] * 10) for q in asked]
    change(asked, annotated)
    return asked, annotated


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda q, a: q.append(dict(q[0])), r"question_id 262148000: question_id '262148000' is there twice"),
        (lambda q, a: a.append(dict(a[0])), r"annotation of question_id '262148000' is there twice"),
        (lambda q, a: q.pop(), r"question_id 393225000: annotations for questions that nobody asks \(1\)"),
        (lambda q, a: a.pop(), r"question_id 393225000: no annotation for this question"),
        (lambda q, a: a[0].update(image_id=7), r"asks about image 262148, its annotation is about image 7"),
        (lambda q, a: q[1].pop("question"), r"question_id 262148001: no key 'question'"),
        (lambda q, a: q[1].pop("image_id"), r"questions\[1\]: no key 'image_id'"),
        (lambda q, a: a[2].pop("answers"), r"no key 'answers'"),
        (lambda q, a: a[2]["answers"][3].pop("answer"), r"no key 'answer'\n.*did you mean 'answer_id'"),
        (lambda q, a: a[2]["answers"][3].update(answer=3), r"'answer' is 3, expected text"),
        (lambda q, a: a[2].update(answers=[]), r"no key 'answers', or none in it"),
        (lambda q, a: a[2].update(answers="yes"), r"'answers' is 'yes', expected a list"),
        (lambda q, a: a[2].update(multiple_choice_answer=2), r"'multiple_choice_answer' is 2, expected text"),
        (lambda q, a: a[2].update(question_type=3), r"question_id 393225000: the value of 'question_type' is 3"),
        (lambda q, a: a[2].update(answer_type=float("nan")), r"'answer_type' is nan, expected text"),
        (lambda q, a: a[2].update(image_id=393225.0), r"the id 'image_id' is 393225.0, a decimal number"),
        (lambda q, a: a[2].update(question_id=393225000.0), r"write 393225000: whole numbers become decimals"),
        (lambda q, a: a.append({**a[2], "question_id": "393225000"}), r"'393225000' is there twice"),
        (lambda q, a: a.append({**a[2], "question_id": "0393225000"}), r"'0393225000' is there twice"),
        (lambda q, a: q[0].update(question_id=2**63), r"questions\[0\]: .*a number of more than 64 bits"),
        (lambda q, a: q[0].update(image_id=1.0), r"'image_id' is 1.0, expected a whole number"),
        (lambda q, a: q[0].update(image_id=True), r"'image_id' is True, expected a whole number"),
        (lambda q, a: q.append("what?"), r"questions\[3\]: the entry is 'what\?', expected an object"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told) as caught:
        len(VqaV2(write(tmp_path, *broken(change)), split="val"))
    assert "val2014" in str(caught.value)


def test_an_empty_question_is_counted_and_the_share_is_bounded(tmp_path):
    write(tmp_path, *broken(lambda q, a: q[0].update(question=" ")))
    with pytest.raises(DataError, match=r"1 of 3 records are unusable .*question_id 262148000: empty question"):
        len(VqaV2(tmp_path, split="val", allowed_faults=0.3))
    source = VqaV2(tmp_path, split="val", allowed_faults=0.5)
    assert len(source) == 2 and source.faults.skipped["empty question"] == 1


def test_a_folder_where_a_file_is_expected(root):
    file = root / "v2_mscoco_val2014_annotations.json"
    file.unlink()
    file.mkdir()
    with pytest.raises(DataError, match="a folder where a file is expected"):
        len(VqaV2(root, split="val"))


def test_a_split_that_is_not(root):
    with pytest.raises(UnknownName, match="did you mean 'test-dev'"):
        VqaV2(root, split="testdev")


@pytest.fixture
def albef(tmp_path):
    vqa = {
        "question_id": 9000,
        "question": "What is it?",
        "image": "val2014/COCO_val2014_000000000009.jpg",
        "dataset": "vqa",
    }
    vg = {
        "question_id": 9000,
        "question": "What color?",
        "image": "image/713545.jpg",
        "dataset": "vg",
        "answer": "Green",
    }
    train = [{**vqa, "answer": ["net", "net", "netting"]}, vg]
    (tmp_path / "vqa_train.json").write_text(json.dumps(train))
    (tmp_path / "vqa_test.json").write_text(json.dumps([vqa]))
    (tmp_path / "vg_qa.json").write_text(json.dumps([vg]))
    return tmp_path


def test_albef_lists_mix_vqa_and_visual_genome(albef):
    first, second = VqaAlbef(albef, vg_root="visual_genome")
    assert first.answers == ("net", "net", "netting") and first.fields["weight"] == 1.0
    assert second.answers == ("Green",)
    assert second.fields["weight"] == 0.5  # METHODS.md 1.4: VG-QA answers weight 0.5
    assert second.images[0].path == "visual_genome/image/713545.jpg"
    assert (first.name, second.name) == ("vqa-9000", "vg-9000")


def test_albef_test_list_has_no_answers_and_vg_is_a_split(albef):
    assert VqaAlbef(albef, split="test")[0].answers == ()
    assert VqaAlbef(albef, split="vg")[0].answers == ("Green",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dataset": "gqa"}, "the dataset is 'gqa'"),
        ({"image": None}, "'image' is None"),
        ({"answer": [1]}, "an answer is 1"),
    ],
)
def test_albef_lists_name_the_entry(albef, change, told):
    rows = json.loads((albef / "vqa_train.json").read_text())
    rows[1].update(change)
    (albef / "vqa_train.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=told) as caught:
        len(VqaAlbef(albef))
    assert "vqa_train.json[1]" in str(caught.value)


def test_a_path_that_leaves_the_root_is_refused_when_opened(albef):
    rows = json.loads((albef / "vqa_test.json").read_text())
    rows[0]["image"] = "../../secret.jpg"
    (albef / "vqa_test.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match="leaves its folder"):
        VqaAlbef(albef, split="test")[0].images[0].open()


def test_they_keep_what_sources_promise(root, albef, check_data):
    check_data("vqa-v2", split="val")
    check_data("vqa-albef", vg_root="visual_genome")
