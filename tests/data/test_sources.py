"""The base class: what a plugin author's source gets from it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest

from vlzoo.data.cards import Card
from vlzoo.data.checks import absent_images, check_images
from vlzoo.data.expected import Expected
from vlzoo.data.faults import Faults
from vlzoo.data.images import FileImage
from vlzoo.data.readers.karpathy import Coco
from vlzoo.data.readers.own import JsonLines
from vlzoo.data.records import Sample
from vlzoo.data.sources import Source
from vlzoo.data.splits import hash_split
from vlzoo.data.tables import read_jsonl
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError


class Own(Source):
    """A source as a stranger would write it."""

    card = Card("own", "an own source", "CC0-1.0", sizes={"train": {"images": 2}})
    columns: ClassVar = {"image": "str", "text": "str"}

    def files(self) -> list[Expected]:
        return [Expected("list.jsonl", "the list"), Expected("images", "the pictures", "folder")]

    def records(self, faults: Faults) -> Iterator[dict]:
        for _, entry in read_jsonl(f"{self.root}/list.jsonl"):
            faults.count("images")
            yield entry

    def sample(self, row: dict) -> Sample:
        return Sample(row["image"], (FileImage(self.root, f"images/{row['image']}"),), (row["text"],))


@pytest.fixture
def own(write, picture, tmp_path):
    write("list.jsonl", [{"image": f"{n}.png", "text": str(n)} for n in range(4)])
    write("images/0.png", picture())
    write("images/1.png", picture()[:40])
    write("images/2.png", "not a picture")
    return tmp_path


def test_sizes_and_description(own):
    source = Own(own)
    with pytest.warns(UserWarning, match="own/train has another size: 4 images, officially 2"):
        assert len(source) == 4
    assert source.describe() == "own/train: 4 images (official: 2 images)" and source.licence == "CC0-1.0"
    assert [sample.texts[0] for sample in source] == ["0", "1", "2", "3"] and source[-1].name == "3.png"


def test_corrupt_pictures_are_counted_listed_and_skipped(own, tmp_path):
    source = Own(own, split="val")
    faults = Faults(source.name)
    assert check_images(source, faults) == 4
    assert faults.skipped == {"unreadable picture": 3}
    faults.write(tmp_path / "broken.jsonl")
    assert len((tmp_path / "broken.jsonl").read_text().splitlines()) == 3
    with pytest.raises(DataError, match=r"3 of 4 records are unusable \(75\.0%; allowed 1\.0%\)"):
        faults.check(4)
    left = Own(own, split="val", skip=str(tmp_path / "broken.jsonl"))
    assert [sample.name for sample in left] == ["0.png"]
    assert absent_images(source, Faults("x")) == 1


def test_a_file_in_place_of_a_folder(write, tmp_path):
    write("list.jsonl", [])
    write("images", "oops")
    assert Own(tmp_path).missing() == [f"{tmp_path / 'images'}: a file where a folder is expected (the pictures)"]


def test_readers_do_not_import_torch():
    targets = sorted({part.target.partition(":")[0] for part in registry().of("data") if part.owner.dist == "vlzoo"})
    code = f"import sys, importlib\nfor t in {targets!r}: importlib.import_module(t)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_registered_source_of_the_core_has_a_card():
    for part in registry().of("data"):
        if part.owner.dist == "vlzoo" and part.name != "mixture":
            source = part.load()
            assert source.card.name == part.name and source.card.licence and source.card.layout, part.name
            assert set(source.card.sizes) <= set(source.splits), part.name
            assert json.dumps({k: dict(v) for k, v in source.card.sizes.items()})


def test_a_spawned_worker_reads_the_same(write, picture, tmp_path):
    sentence = {"tokens": [], "raw": "a dog", "imgid": 0, "sentid": 0}
    entry = {"filepath": "v", "filename": "a.png", "imgid": 0, "cocoid": 5, "split": "train", "sentences": [sentence]}
    write("dataset_coco.json", {"images": [entry]})
    write("v/a.png", picture())
    code = (
        "import pickle, sys, warnings; warnings.simplefilter('ignore')\n"
        "s = pickle.load(sys.stdin.buffer); print(s[0].name, s[0].images[0].open().size)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(Coco(tmp_path)), capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == "5#0 (8, 6)"


def test_hash_split_is_stable():
    names = ("train", "val", "test")
    drawn = [hash_split(names, (60, 20, 20), str(n)) for n in range(2000)]
    assert drawn == [hash_split(names, (60, 20, 20), str(n)) for n in range(2000)]
    shares = [drawn.count(name) / 2000 for name in names]
    # Three standard errors of a share of .6 in 2,000: .033.
    assert all(abs(share - wanted) < 0.033 for share, wanted in zip(shares, (0.6, 0.2, 0.2), strict=True))
    # What came out when the splits were first made: a change would move test data into train.
    first = [hash_split(names, (60, 20, 20), name) for name in ("25", "30", "42", "72", "78")]
    assert first == ["train", "val", "train", "val", "val"]


def test_where_a_file_lies_is_no_part_of_the_fingerprint(tmp_path):
    """A file outside the root is named by its whole path, as a command line gives it."""
    found = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.jsonl").write_text('{"id": 1, "captions": "x"}\n')
        found.append(JsonLines(tmp_path, file=tmp_path / place / "a.jsonl").fingerprint())
    assert found[0] == found[1]
    (tmp_path / "there/a.jsonl").write_text('{"id": 1, "captions": "y"}\n')
    assert JsonLines(tmp_path, file=tmp_path / "there/a.jsonl").fingerprint() != found[0]
