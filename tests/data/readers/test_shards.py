"""img2dataset's shards, made here in its layout: tar with .jpg/.txt/.json, its parquet list, parquet with bytes."""

from __future__ import annotations

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlzoo.data.readers.shards import ParquetShards, TarShards
from vlzoo.errors import DataError


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write_shards(folder, picture, *, first_text: int) -> None:
    for shard in range(2):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as archive:
            for number in range(3):
                key = f"{shard:05d}{number:04d}"
                add(archive, f"{key}.jpg", picture(8 + number, 6, kind="JPEG"))
                add(archive, f"{key}.json", json.dumps({"caption": f"caption é {key}", "url": "http://x"}).encode())
                if number >= first_text:
                    add(archive, f"{key}.txt", f"caption é {key}".encode())
    # img2dataset writes its list of a shard beside it, with failed downloads in it.
    pq.write_table(pa.table({"key": ["000000000"], "status": ["failed_to_download"]}), folder / "00000.parquet")


@pytest.fixture
def root(tmp_path, picture):
    write_shards(tmp_path, picture, first_text=1)
    return tmp_path


def test_tar_shards(root):
    source = TarShards(root)
    assert [sample.name for sample in source][:4] == [f"00000/00000000{n}" for n in range(3)] + ["00001/000010000"]
    assert source[0].texts == ("caption é 000000000",)  # from .json, as it has no .txt
    assert [source[n].images[0].open().size for n in range(3)] == [(8, 6), (9, 6), (10, 6)]
    assert source.sizes == {"images": 6, "captions": 6}


def test_a_folder_for_each_split(root, tmp_path):
    (root / "val").mkdir()
    (root / "00001.tar").rename(root / "val" / "00001.tar")
    assert len(TarShards(root)) == 3 and len(TarShards(root, split="val")) == 3


def test_tar_members_that_lack_a_half(tmp_path, picture):
    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        add(archive, "a.jpg", picture(kind="JPEG"))
        add(archive, "b.txt", b"no picture")
        add(archive, "c.jpg", picture(kind="JPEG"))
        add(archive, "c.txt", b"both")
    source = TarShards(tmp_path, allowed_faults=0.9)
    assert [sample.texts for sample in source] == [("both",)]
    assert source.faults.skipped == {"picture without a caption": 1, "text without a picture": 1}
    with pytest.raises(DataError, match="2 of 3"):
        len(TarShards(tmp_path))


def test_a_damaged_shard_is_named(root):
    data = (root / "00001.tar").read_bytes()
    (root / "00001.tar").write_bytes(data[:700])
    with pytest.raises(DataError, match=r"00001\.tar"):
        len(TarShards(root))
    assert "00000.tar: missing" in TarShards(root / "none").missing()[0] or TarShards(root / "none").missing()


@pytest.fixture
def parquet(tmp_path, picture):
    data = [picture(8, 6, kind="JPEG"), None, picture(9, 6, kind="JPEG")]
    columns = {"jpg": pa.array(data, pa.binary()), "caption": ["one", "two", "three"], "key": ["k0", "k1", "k2"]}
    table = pa.table({**columns, "status": ["success", "failed_to_download", "success"]})
    pq.write_table(table, tmp_path / "00000.parquet")
    return tmp_path


def test_parquet_shards(parquet, monkeypatch, cache):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    source = ParquetShards(parquet)
    assert [(s.name, s.texts[0], s.images[0].open().size) for s in source] == [
        ("k0", "one", (8, 6)),
        ("k2", "three", (9, 6)),
    ]
    assert source.sizes == {"images": 2, "captions": 2, "not downloaded": 1}
    with pytest.raises(DataError, match=r"no column 'png'; there are jpg"):
        len(ParquetShards(parquet, picture_column="png"))


def write_parquet(folder, **columns) -> None:
    pq.write_table(pa.table(columns), folder / "00000.parquet")


def test_parquet_rows_that_lack_a_half(tmp_path, picture, monkeypatch, cache):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    data = [picture(8, 6), None, b"", picture(9, 6), picture(8, 6), picture(8, 6)]
    texts = ["one", "two", "three", None, " ", "six"]
    write_parquet(tmp_path, jpg=pa.array(data, pa.binary()), caption=texts, key=["a", "b", "c", "d", "e", "a"])
    source = ParquetShards(tmp_path, allowed_faults=0.9)
    assert [sample.name for sample in source] == ["a"]
    assert source.faults.skipped == {
        "text without a picture": 2,
        "picture without a caption": 1,
        "empty caption": 1,
        "key twice": 1,
    }


def test_parquet_pictures_as_hugging_face_keeps_them(tmp_path, picture, monkeypatch, cache):
    """A struct of bytes and path; as the type `Image` of `datasets` it would be decoded by it."""
    from datasets import Dataset, Features, Image, Value

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    rows = {"jpg": [{"bytes": picture(8, 6), "path": None}, {"bytes": b"", "path": None}], "caption": ["one", "two"]}
    for features in (None, Features({"jpg": Image(), "caption": Value("string")})):
        Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "00000.parquet")
        source = ParquetShards(tmp_path, allowed_faults=0.5)
        assert [(s.texts[0], s.images[0].open().size) for s in source] == [("one", (8, 6))]


def test_parquet_columns_of_another_type(tmp_path, monkeypatch, cache):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    write_parquet(tmp_path, jpg=["a.jpg"], caption=["one"])
    with pytest.raises(DataError, match=r"column 'jpg' holds .*string.*, expected the bytes of pictures"):
        len(ParquetShards(tmp_path))
    write_parquet(tmp_path, jpg=pa.array([b"x"], pa.binary()), caption=[["one", "two"]])
    with pytest.raises(DataError, match=r"column 'caption' holds List.*, expected text"):
        len(ParquetShards(tmp_path))


def test_a_damaged_parquet_shard_is_our_error(parquet, monkeypatch, cache):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    file = parquet / "00000.parquet"
    for data in (b"", b"PAR1", file.read_bytes()[:200]):
        file.write_bytes(data)
        with pytest.raises(DataError, match="can't read the shards"):
            len(ParquetShards(parquet))


def test_tar_shards_keep_what_sources_promise(root, check_data):
    check_data("img2dataset")


def test_parquet_shards_keep_what_sources_promise(parquet, check_data, monkeypatch, cache):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(cache))
    check_data("img2dataset-parquet")
