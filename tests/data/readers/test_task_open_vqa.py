"""TextVQA, ST-VQA, VizWiz-VQA and OK-VQA in their true forms, and what goes wrong in them."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.open_vqa import OkVqa, StVqa, TextVqa, VizWizVqa
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
TEXTVQA = {
    "question": "what is the brand of this camera?",
    "image_id": "003a8ae2ef43b901",
    "image_classes": ["Cassette deck"],
    "answers": ["nous les gosses", *["dakota"] * 8, "clos culombu"],
    "question_tokens": ["what"],
    "question_id": 34602,
    "set_name": "val",
}
STVQA = {
    "dataset": "coco-text",
    "set_name": "train",
    "file_name": "COCO_train2014_1.jpg",
    "file_path": "coco-text/COCO_train2014_1.jpg",
    "question": "What is the number?",
    "question_id": 17,
    "answers": ["7", "seven"],
}
VIZWIZ = {
    "image": "VizWiz_val_00000000.jpg",
    "question": "Ok. There is another picture I hope it is a better one.",
    "answers": [{"answer_confidence": "yes", "answer": answer} for answer in (*["unanswerable"] * 9, "dog")],
    "answer_type": "unanswerable",
    "answerable": 0,
}
OK_QUESTION = {"image_id": 51606, "question": "What is the hairstyle called?", "question_id": 516065}
OK_ANSWERS = {
    "image_id": 51606,
    "question_id": 516065,
    "question_type": "four",
    "answer_type": "other",
    "answers": [{"answer_id": n, "raw_answer": "pony tails", "answer": "pony tail"} for n in range(10)],
    "confidence": 3,
}


@pytest.fixture
def root(write, picture, tmp_path):
    write("TextVQA_0.5.1_val.json", {"dataset_name": "textvqa", "data": [TEXTVQA, {**TEXTVQA, "question_id": 3}]})
    hidden = {key: value for key, value in TEXTVQA.items() if key != "answers"}
    write("TextVQA_0.5.1_test.json", {"data": [hidden]})
    write("train_task_3.json", {"task_name": "task 3", "data": [STVQA, {**STVQA, "question_id": 18}]})
    write("Annotations/val.json", [VIZWIZ, {**VIZWIZ, "image": "VizWiz_val_00000001.jpg"}])
    write("OpenEnded_mscoco_val2014_questions.json", {"questions": [OK_QUESTION]})
    write("mscoco_val2014_annotations.json", {"annotations": [OK_ANSWERS]})
    for folder in ("train_images", "test_images"):
        write(f"{folder}/003a8ae2ef43b901.jpg", picture(kind="JPEG"))
    write("images/coco-text/COCO_train2014_1.jpg", picture(kind="JPEG"))
    for number in range(2):
        write(f"val/VizWiz_val_0000000{number}.jpg", picture(kind="JPEG"))
    write("val2014/COCO_val2014_000000051606.jpg", picture(kind="JPEG"))
    return tmp_path


def test_textvqa(root):
    first, _ = TextVqa(root, split="val")
    assert (first.name, first.image_id, first.answers[1]) == ("34602", "003a8ae2ef43b901", "dakota")
    assert first.images[0].path == "train_images/003a8ae2ef43b901.jpg"  # val's lie among train's
    assert first.fields["question_id"] == "34602"
    (hidden,) = TextVqa(root, split="test")
    assert (hidden.answers, hidden.images[0].path) == ((), "test_images/003a8ae2ef43b901.jpg")


def test_st_vqa(root):
    first, second = StVqa(root)
    assert (first.answers, first.images[0].path) == (("7", "seven"), "images/coco-text/COCO_train2014_1.jpg")
    assert first.image_id == second.image_id == "coco-text/COCO_train2014_1.jpg"


def test_vizwiz_knows_questions_by_their_pictures(root):
    first, second = VizWizVqa(root, split="val")
    assert first.name == first.image_id == "VizWiz_val_00000000.jpg"
    assert (len(first.answers), first.answers[0], first.fields["answer_type"]) == (10, "unanswerable", "unanswerable")
    assert "question_id" not in second.fields and second.fields["image"] == second.name
    assert first.images[0].path == "val/VizWiz_val_00000000.jpg"


def test_ok_vqa_is_vqas_format(root):
    (sample,) = OkVqa(root, split="val")
    assert (sample.answers, sample.fields["dataset"]) == (("pony tail",) * 10, "ok-vqa")
    assert sample.images[0].path == "val2014/COCO_val2014_000000051606.jpg"


def test_a_split_with_answers_must_have_them(write, root):
    write("TextVQA_0.5.1_val.json", {"data": [{**TEXTVQA, "answers": []}]})
    with pytest.raises(DataError, match="no key 'answers', or none in it"):
        list(TextVqa(root, split="val"))


def test_an_id_twice_is_refused(write, root):
    write("Annotations/val.json", [VIZWIZ, VIZWIZ])
    with pytest.raises(DataError, match=r"the question of vizwiz-vqa 'VizWiz_val_00000000\.jpg' is there twice"):
        list(VizWizVqa(root, split="val"))


def test_they_keep_what_sources_promise(root, check_data):
    check_data("textvqa", split="val")
    check_data("st-vqa", split="train")
    check_data("vizwiz-vqa", split="val")
    check_data("ok-vqa", split="val")
