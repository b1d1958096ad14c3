"""img2dataset's shards, made here in its layout: tar with .jpg/.txt/.json, its parquet list, parquet with bytes."""

from __future__ import annotations

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlzoo.data.readers.shards import ParquetShards, TarShards, stream
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


def test_streaming(tmp_path, picture):
    # `datasets` wants the same members for every key, as img2dataset writes them.
    write_shards(root := tmp_path, picture, first_text=0)
    plain = [sample.texts[0] for sample in stream(root, buffer=1)]
    assert plain == [f"caption é {s:05d}{n:04d}" for s in range(2) for n in range(3)]
    mixed = [sample.texts[0] for sample in stream(root, buffer=6, seed=1)]
    assert sorted(mixed) == sorted(plain) and mixed == [s.texts[0] for s in stream(root, buffer=6, seed=1)]
    assert next(stream(root, buffer=1)).images[0].open().size == (8, 6)
    with pytest.raises(DataError, match=r"no \.parquet shards"):
        next(stream(root / "none", kind="parquet"))


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


def test_parquet_streams(parquet):
    assert [s.texts[0] for s in stream(parquet, kind="parquet", buffer=1)] == ["one", "three"]
