"""easy-VQA from its package's layout, from archives, and from the package itself."""

from __future__ import annotations

import json
import zipfile

import pytest
from PIL import Image

from vlzoo.data.readers.easy_vqa import EasyVqa
from vlzoo.errors import DataError

small = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


@pytest.fixture
def package(tmp_path):
    (tmp_path / "train" / "images").mkdir(parents=True)
    rows = [
        ["what is the blue shape?", "rectangle", 0],
        ["is there a circle?", "no", 0],
        ["what color is it?", "red", 12],
    ]
    (tmp_path / "train" / "questions.json").write_text(json.dumps(rows))
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "train" / "images" / "0.png")
    return tmp_path


@small
def test_the_packages_layout(package):
    source = EasyVqa(package)
    assert [sample.answers for sample in source] == [("rectangle",), ("no",), ("red",)]
    assert source[0].images[0].open().size == (64, 64) and source[2].images[0].path == "train/images/12.png"
    assert source[1].fields["question_id"] == 1 and source[0].image_id == source[1].image_id == "train-0"
    assert source.sizes == {"questions": 3, "images": 2}


@small
def test_lines_and_an_archive(tmp_path):
    row = {"question_id": 4, "image": "7.png", "question": "what is it?", "answer": "circle", "split": "test"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row) + "\n")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "7.png")
    with zipfile.ZipFile(tmp_path / "test_images.zip", "w") as archive:
        archive.write(tmp_path / "7.png", "7.png")
    (sample,) = EasyVqa(tmp_path, split="test")
    assert sample.name == "test-4" and sample.images[0].open().getpixel((0, 0)) == (255, 0, 0)
    assert sample.images[0].name.endswith("test_images.zip!/7.png")


@small
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["what?", "red"]], r"questions.json\[0\]: 2 values, expected question, answer and picture"),
        ([["what?", 3, 0]], "'answer' is 3"),
        ([["what?", "red", "0"]], "picture's number is '0'"),
        ({"a": 1}, "the top level is"),
    ],
)
def test_what_is_wrong_is_named(package, rows, told):
    (package / "train" / "questions.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=told):
        len(EasyVqa(package))


@small
def test_an_id_twice_is_named(tmp_path):
    row = {"question_id": 4, "image": "7.png", "question": "what is it?", "answer": "circle"}
    (tmp_path / "train.jsonl").write_text((json.dumps(row) + "\n") * 2)
    with pytest.raises(DataError, match=r"train.jsonl:2: question_id '4' is there twice"):
        len(EasyVqa(tmp_path, pictures=False))


@pytest.mark.parametrize(("split", "questions", "images"), [("train", 38_575, 4_000), ("test", 9_673, 1_000)])
def test_the_pip_package_and_the_reference_copy_say_the_same(shared, split, questions, images):
    pytest.importorskip("easy_vqa")
    packaged = EasyVqa(split=split, strict=True)
    copied = EasyVqa(shared / "data" / "easy_vqa", split=split, strict=True)
    assert packaged.sizes == copied.sizes == {"questions": questions, "images": images}
    keys = [[(s.name, s.texts, s.answers, s.image_id) for s in source] for source in (packaged, copied)]
    assert keys[0] == keys[1]
    assert packaged[777].images[0].open().tobytes() == copied[777].images[0].open().tobytes()
    # Thirteen answers, as the reference copy's answers.txt lists them.
    listed = (shared / "data" / "easy_vqa" / "answers.txt").read_text().split()
    assert {sample.answers[0] for sample in copied} == set(listed) and len(listed) == 13


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"vlzoo\[easy-vqa\]"):
        EasyVqa()


@small
def test_it_keeps_what_sources_promise(package, check_data):
    check_data("easy-vqa")
