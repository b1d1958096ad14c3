"""Karpathy's json, with the traps of the real files: restval, no filepath in Flickr30K, blanks around captions."""

from __future__ import annotations

import copy
import pickle

import pytest

from vlzoo.data.readers.karpathy import Coco, Flickr30k
from vlzoo.data.sources import SizeWarning
from vlzoo.errors import DataError, UnknownName

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


def entry(cocoid: int, split: str, *captions: str) -> dict:
    """One entry as in the real file."""
    sentences = [
        {"tokens": text.lower().split(), "raw": text, "imgid": cocoid, "sentid": cocoid * 10 + n}
        for n, text in enumerate(captions)
    ]
    name = f"COCO_val2014_{cocoid:012d}.jpg"
    place = {"filepath": "val2014", "filename": name, "imgid": cocoid, "split": split, "cocoid": cocoid}
    return {**place, "sentids": [s["sentid"] for s in sentences], "sentences": sentences}


COCO = {
    "dataset": "coco",
    "images": [
        entry(391895, "test", "A man with a red helmet. ", "Un café au lait\n"),
        entry(522418, "restval", "A woman cutting a cake.", " "),
        entry(184613, "train", "A child holding an umbrella.", "A boy.", "A boy and oxen."),
        entry(7, "test"),
    ],
}
FLICKR = {
    "dataset": "flickr30k",
    "images": [
        {
            "sentids": [0],
            "imgid": 0,
            "sentences": [{"tokens": ["two"], "raw": "Two young guys.", "imgid": 0, "sentid": 0}],
            "split": "train",
            "filename": "1000092795.jpg",
        }
    ],
}


@pytest.fixture
def root(write, picture, tmp_path):
    write("dataset_coco.json", COCO)
    for cocoid in (391895, 522418, 184613):
        write(f"val2014/COCO_val2014_{cocoid:012d}.jpg", picture(kind="JPEG"))
    return tmp_path


def test_restval_is_training(root):
    train = Coco(root, allowed_faults=0.5)
    assert [sample.name for sample in train] == ["522418#0", "184613#0", "184613#1", "184613#2"]
    assert train[1].texts == ("A child holding an umbrella.",) and train[1].image_id == "184613"
    assert train[1].images[0].open().size == (8, 6)
    assert train.sizes == {"images": 2, "captions": 4}
    assert train.faults.skipped == {"empty caption": 1}


def test_images_are_the_unit_outside_training(root):
    test = Coco(root, split="test")
    assert [sample.name for sample in test] == ["391895", "7"]
    assert test[0].texts == ("A man with a red helmet.", "Un café au lait")
    # A picture that no caption refers to stays in the gallery.
    assert test[1].texts == () and test.faults.mended == {"picture without a caption": 1}
    assert len(Coco(root, split="test", unit="caption")) == 2


def test_sizes_are_compared_with_the_official_ones(root):
    with pytest.warns(SizeWarning, match="2 images, officially 5,000; 2 captions, officially 25,010"):
        len(Coco(root, split="test"))
    with pytest.raises(DataError, match="officially 5,000"):
        len(Coco(root, split="test", strict=True))
    assert "official: 5,000 images, 25,010 captions" in Coco(root, split="test").describe()


def test_flickr_has_no_filepath(write, picture, tmp_path):
    write("dataset_flickr30k.json", FLICKR)
    write("flickr30k-images/1000092795.jpg", picture(kind="JPEG"))
    source = Flickr30k(tmp_path)
    assert source[0].name == "0#0" and source[0].images[0].open().size == (8, 6)


def test_mistakes_are_named(write, tmp_path):
    def broken(change) -> None:
        value = copy.deepcopy(COCO)
        change(value["images"])
        write("dataset_coco.json", value)

    broken(lambda images: images[2].pop("sentences"))
    with pytest.raises(DataError, match=r"dataset_coco\.json: images\[2\].*no key 'sentences'"):
        len(Coco(tmp_path))
    broken(lambda images: images.append(images[0]))
    with pytest.raises(DataError, match=r"images\[4\].*'391895' is there twice"):
        len(Coco(tmp_path, split="test"))
    broken(lambda images: images[0]["sentences"][0].update(raw=None))
    with pytest.raises(DataError, match=r"images\[0\].*'raw' is None"):
        len(Coco(tmp_path, split="test"))
    write("dataset_coco.json", [])
    with pytest.raises(DataError, match="expected an object"):
        len(Coco(tmp_path))


def test_what_is_missing(tmp_path):
    source = Coco(tmp_path / "none")
    assert source.missing() == [f"{tmp_path / 'none'}: missing (the root)"]
    assert "dataset_coco.json: missing" in Coco(tmp_path).missing()[0]
    with pytest.raises(DataError, match="vlzoo data check coco"):
        len(Coco(tmp_path))
    (tmp_path / "dataset_coco.json").mkdir()
    assert "a folder where a file is expected" in Coco(tmp_path).missing()[0]
    with pytest.raises(UnknownName, match="did you mean 'test'"):
        Coco(tmp_path, split="tset")
    with pytest.raises(UnknownName, match="did you mean 'image'"):
        Coco(tmp_path, unit="images")


def test_fingerprint_and_pickle(root, tmp_path_factory, write):
    source = Coco(root, allowed_faults=0.5)
    before = source.fingerprint()
    len(source)
    packed = pickle.dumps(source)
    assert len(packed) < 600
    again = pickle.loads(packed)
    assert again[3] == source[3] and again.fingerprint() == before
    other = tmp_path_factory.mktemp("elsewhere")
    (other / "dataset_coco.json").write_bytes((root / "dataset_coco.json").read_bytes())
    assert Coco(other).fingerprint() == before
    assert Coco(root, split="test").fingerprint() != before
    assert Coco(root, unit="image").fingerprint() != before
    write("dataset_coco.json", {**COCO, "images": COCO["images"][:3]})
    assert Coco(root).fingerprint() != before


def test_a_skip_list_leaves_pictures_out(root, write):
    place = root / "val2014" / "COCO_val2014_000000522418.jpg"
    listed = write("skip.txt", f"{place}\n")
    assert [sample.image_id for sample in Coco(root, skip=str(listed), unit="image", allowed_faults=0.5)] == ["184613"]
    assert Coco(root, skip=str(listed)).fingerprint() != Coco(root).fingerprint()


def test_they_keep_what_sources_promise(root, write, check_data):
    check_data("coco", allowed_faults=0.5)
    write("dataset_flickr30k.json", FLICKR)
    (root / "flickr30k-images").mkdir()
    check_data("flickr30k")
