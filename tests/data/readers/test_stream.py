"""Shards read as they are needed: tar, parquet, Arrow and jsonl, in a folder and behind a URL, made here."""

from __future__ import annotations

import io
import itertools
import json
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value

from vlzoo.augment.plain import Plain
from vlzoo.config.schema import PartRef
from vlzoo.data import columns
from vlzoo.data.blocks import blocks_of
from vlzoo.data.collate import Reader
from vlzoo.data.loader import Order, endless
from vlzoo.data.mixture import open_mixture
from vlzoo.data.places import place
from vlzoo.data.readers.stream import Stream
from vlzoo.data.roots import open_source
from vlzoo.data.sources import SizeWarning
from vlzoo.errors import DataError, UnknownName
from vlzoo.processes import Share

KINDS = ("webdataset", "parquet", "arrow", "arrow-file", "jsonl")
SHARDS, EACH = 3, 20


def caption(shard: int, number: int) -> str:
    return f"picture {number} of shard {shard}"


def encoded(picture, shard: int, number: int) -> bytes:
    return picture(8 + number, 6 + shard)


def write_tar(file, rows) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number, (data, text) in enumerate(rows):
            for ending, content in (("png", data), ("txt", text.encode())):
                info = tarfile.TarInfo(f"{number:04d}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def table(rows) -> pa.Table:
    held = [{"bytes": data, "path": None} for data, _ in rows]
    return pa.table({"image": held, "caption": [text for _, text in rows]})


def write(folder, kind: str, picture, shards: int = SHARDS, each: int = EACH) -> None:
    """Shards of `each` records below a place."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        rows = [(encoded(picture, shard, number), caption(shard, number)) for number in range(each)]
        ending = {"webdataset": "tar", "arrow-file": "arrow"}.get(kind, kind)
        with (folder / f"{shard:05d}.{ending}").open("wb") as file:
            if kind == "webdataset":
                write_tar(file, rows)
            elif kind == "parquet":
                pq.write_table(table(rows), file, row_group_size=6)
            elif kind == "jsonl":
                lines = [{"file_name": f"p/{shard}-{n}.png", "text": text} for n, (_, text) in enumerate(rows)]
                file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            else:
                new = pa.ipc.new_stream if kind == "arrow" else pa.ipc.new_file
                with new(file, table(rows).schema) as sink:
                    sink.write_table(table(rows), max_chunksize=6)
        if kind == "jsonl":
            (folder / "p").mkdir(exist_ok=True)
            for number, (data, _) in enumerate(rows):
                (folder / "p" / f"{shard}-{number}.png").write_bytes(data)


@pytest.fixture(params=["folder", "url"])
def root(request, tmp_path):
    """A place to write shards to: a folder, or one behind a URL."""
    if request.param == "folder":
        yield str(tmp_path / "shards")
        return
    yield f"memory://{tmp_path.name}/shards"
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_records(root, kind, picture):
    write(place(root), kind, picture)
    source = Stream(root)
    assert len(source) == SHARDS * EACH
    assert source.sizes == {"images": 60, "captions": 60}
    expected = [(caption(s, n), (8 + n, 6 + s)) for s in range(SHARDS) for n in range(EACH)]
    assert [(sample.texts[0], sample.images[0].open().size) for sample in source] == expected
    assert len({sample.name for sample in source}) == len({sample.images[0].name for sample in source}) == 60
    assert source[21].name.startswith("00001/")
    assert source[21].images[0].name.startswith(str(place(root)))
    ends = source.blocks().ends.tolist()
    assert ends == (
        [20, 40, 60] if kind in ("webdataset", "jsonl") else [6, 12, 18, 20, 26, 32, 38, 40, 46, 52, 58, 60]
    )


def test_it_keeps_what_sources_promise(root, picture, check_data):
    write(place(root), "webdataset", picture)
    check_data("stream", root)


@pytest.mark.parametrize("kind", KINDS)
def test_shards_of_two_folders_may_be_called_alike(root, kind, picture):
    for folder in ("a", "b"):
        write(place(root) / folder, kind, picture, shards=1)
    samples = list(Stream(root, files="*/00000.*"))
    assert len({sample.name for sample in samples}) == len({sample.image_id for sample in samples}) == 2 * EACH
    assert [samples[number].name.rpartition("/")[0] for number in (0, EACH)] == ["a/00000", "b/00000"]
    assert len({sample.images[0].name for sample in samples}) == 2 * EACH


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_is_made_once_and_made_anew_where_a_shard_changes(root, kind, picture, monkeypatch):
    write(place(root), kind, picture)
    first = Stream(root)
    mark = first.fingerprint()
    assert len(first) == 60
    with monkeypatch.context() as patch:
        patch.setattr("vlzoo.data.readers.stream.index_rows", None)
        again = Stream(root, buffer=3, worker_lanes=1)  # an order of its own, the same index
        assert [sample.name for sample in again] == [sample.name for sample in first]
        assert again.fingerprint() == mark
    write(place(root), kind, picture, shards=4)
    assert len(Stream(root)) == 80
    assert Stream(root).fingerprint() != mark


def test_a_damaged_shard_is_named_and_no_index_is_left(root, picture, cache):
    for kind, ending in (("webdataset", "tar"), ("parquet", "parquet"), ("arrow", "arrow")):
        folder = f"{root}/{kind}"
        write(place(folder), kind, picture)
        shard = place(folder) / f"00001.{ending}"
        whole = shard.read_bytes()
        shard.write_bytes(whole[: len(whole) // 2 - 300])
        with pytest.raises(DataError, match=rf"00001\.{ending}: .*(damaged|can't be read|can't read)"):
            len(Stream(folder))
        assert not [file for file in (cache / "data").glob("*") if file.is_file()]
    write(place(f"{root}/none"), "jsonl", picture, shards=0)
    with pytest.raises(DataError, match=r"\*\.tar: missing \(shards: \.tar, \.parquet, \.arrow, \.jsonl\)"):
        len(Stream(f"{root}/none"))
    with pytest.raises(DataError, match="there is no such folder"):
        len(Stream(f"{root}/nowhere"))


def test_a_shard_that_ends_between_two_members_is_named(root, picture):
    write(place(root), "webdataset", picture)
    shard = place(root) / "00001.tar"
    shard.write_bytes(shard.read_bytes()[: 10 * 2048])  # ten records of two members, a block for each head and body
    for _ in range(2):  # from the shards, and from the index
        with pytest.warns(SizeWarning, match=r"00001\.tar: archive without an end mark: is it cut off\?"):
            assert len(Stream(root)) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_same_for_any_processes_and_workers(root, kind, picture):
    write(place(root), kind, picture)
    source = Stream(root, buffer=12, worker_lanes=2, process_lanes=2)

    def batches(workers, processes, start=0):
        made = []
        for number in range(processes):
            order = Order(60, 8, 0, start, Share(number, processes), lambda epoch: blocks_of(source, epoch))
            reader = Reader(source, Plain(size=16))
            found = endless(reader, collate, order, workers=workers)
            made.append(list(itertools.islice(found, 10 - start)))  # an epoch has 7
            found.close()
        return [list(itertools.chain(*parts)) for parts in zip(*made, strict=True)]

    alone = batches(0, 1)
    seen = [name for batch in alone[:7] for name, _, _ in batch]
    assert len(seen) == len(set(seen)) == 56
    assert batches(3, 1) == alone
    assert batches(1, 2, start=4) == alone[4:]
    assert batches(0, 2) == alone
    # Each picture is the one that belongs to its caption.
    for name, text, pixels in itertools.chain(*alone):
        shard = int(name.split("/")[0])
        assert f"of shard {shard}" in text
        assert pixels == (16, 16, 3)


def collate(items, number):
    return [(item.sample.name, item.text, item.levels[0].shape) for item in items]


def test_a_row_group_is_read_once_where_lanes_divide_evenly(tmp_path, picture, monkeypatch):
    write(tmp_path, "parquet", picture, shards=4, each=60)
    held = columns.Held()
    monkeypatch.setattr(columns, "_HELD", held)
    source = Stream(tmp_path, buffer=48, worker_lanes=1, process_lanes=2)
    for index in source.blocks().order(np.random.default_rng(0), 8):
        source[int(index)].images[0].open()
    assert held.reads == 40  # 4 shards of 10 row groups


def test_ranges_of_a_batch_are_read_at_once_and_never_twice(tmp_path, picture, monkeypatch):
    root = f"memory://{tmp_path.name}/once"
    write(place(root), "webdataset", picture)
    source, system = Stream(root), fsspec.filesystem("memory")
    len(source)
    asked, whole = [], type(system).cat_ranges

    def noted(self, paths, starts, ends, **options):
        asked.append(list(zip(paths, starts, ends, strict=True)))
        return whole(self, paths, starts, ends, **options)

    monkeypatch.setattr(type(system), "cat_ranges", noted)
    order = Order(60, 10, 0, blocks=lambda epoch: blocks_of(source, epoch))
    found = endless(Reader(source, Plain(size=16)), collate, order)
    for _ in range(6):
        next(found)
    assert [len(each) for each in asked] == [10] * 6
    assert len(set(itertools.chain(*asked))) == 60


def test_what_is_lost_is_counted_and_bounded(root, picture, tmp_path):
    folder = place(root)
    folder.mkdir(parents=True)
    rows = [(picture(), "a cat"), (picture(), ""), (b"", "no picture"), (picture(), None)]
    with (folder / "a.parquet").open("wb") as file:
        pq.write_table(table(rows), file)
    source = Stream(root, allowed_faults=0.5)
    assert [sample.texts for sample in source] == [("a cat",), ("no picture",)]
    assert source.faults.skipped == {"empty caption": 1, "picture without a caption": 1}
    assert [sample.images[0].due for sample in source] == [2, 2]  # rows of the group of four that are read
    with pytest.raises(DataError, match="2 of 4 records are unusable"):
        len(Stream(root))
    with pytest.raises(DataError, match=r"a\.parquet!/2: the row holds no picture"):
        source[1].images[0].open()
    (tmp_path / "skip.txt").write_text(source[1].images[0].name + "\n")
    assert len(Stream(root, allowed_faults=0.5, skip=str(tmp_path / "skip.txt"))) == 1


def test_lists_of_captions_and_failed_downloads(tmp_path, picture):
    columns_ = {"jpg": [picture(), None], "caption": [["one", "two"], ["three"]], "status": ["success", "failed"]}
    pq.write_table(pa.table(columns_), tmp_path / "0.parquet")
    source = Stream(tmp_path)
    assert [sample.texts for sample in source] == [("one", "two")]
    assert source.sizes == {"images": 1, "captions": 2, "not downloaded": 1}


def test_what_datasets_saves(tmp_path, picture):
    """Pictures as its type `Image`, which it would decode by itself."""
    features = Features({"image": Image(), "text": Value("string")})
    rows = {"image": [{"bytes": picture(8 + n, 6), "path": None} for n in range(5)], "text": list("abcde")}
    saved = Dataset.from_dict(rows, features=features)
    saved.to_parquet(tmp_path / "train.parquet")
    saved.save_to_disk(tmp_path / "saved")
    for root in (tmp_path, tmp_path / "saved"):
        found = [(sample.texts, sample.images[0].open().size) for sample in Stream(root)]
        assert found == [((letter,), (8 + n, 6)) for n, letter in enumerate("abcde")]


def test_columns_are_found_or_named(tmp_path, picture):
    pq.write_table(pa.table({"pic": [picture()], "title": ["a cat"], "n": [1]}), tmp_path / "0.parquet")
    with pytest.raises(
        DataError, match=r"no column of pictures; there are pic, title, n\n  -> name it: `picture_column"
    ):
        len(Stream(tmp_path))
    with pytest.raises(DataError, match=r"(?s)no column 'pik'; there are pic, title, n.*'pic'"):
        len(Stream(tmp_path, picture_column="pik"))
    with pytest.raises(DataError, match=r"the column 'n' holds int64, expected text"):
        len(Stream(tmp_path, picture_column="pic", caption_column="n"))
    with pytest.raises(DataError, match=r"the column 'title' holds string, expected the bytes of pictures"):
        len(Stream(tmp_path, picture_column="title", caption_column="title"))
    assert Stream(tmp_path, picture_column="pic", caption_column="title")[0].texts == ("a cat",)


def test_splits_patterns_and_kinds(root, picture):
    folder = place(root)
    write(folder / "val", "webdataset", picture, shards=1)
    write(folder / "data", "parquet", picture, shards=2)
    write(folder, "jsonl", picture, shards=1)
    assert len(Stream(root, split="val")) == len(Stream(root)) == 20
    assert len(Stream(root, files="data/*.parquet")) == len(Stream(root, files="data/*")) == 40
    with pytest.raises(DataError, match=r"test/\*\.tar: missing"):  # not the shards of train
        len(Stream(root, split="test"))
    write(folder, "arrow", picture, shards=1)
    with pytest.raises(DataError, match=r"shards of several kinds: 1 of arrow, 1 of jsonl\n  -> say `kind: arrow`"):
        len(Stream(root))
    assert len(Stream(root, kind="jsonl")) == 20
    with pytest.raises(UnknownName, match=r"(?s)no kind of shards called 'webdatset'.*'webdataset'"):
        Stream(root, kind="webdatset")
    with pytest.raises(DataError, match="leaves the root"):
        Stream(root, files="../x/*")


@pytest.mark.parametrize(
    "path", ["../x.png", "/etc/passwd", "a/../../x.png", "p/%2e%2e/%2e%2e/x.png", "http://x/y.png"]
)
def test_pictures_outside_the_root_are_refused(root, path, picture):
    write(place(root), "jsonl", picture, shards=1, each=1)
    (place(root) / "00001.jsonl").write_text(json.dumps({"file_name": path, "text": "a cat"}) + "\n")
    source = Stream(root, allowed_faults=0.5)
    if len(source) == 1:
        assert source.faults.skipped == {"path that leaves its folder": 1}
        return
    assert "%" in path or ":" in path  # names of files in a folder, and refused behind a URL
    with pytest.raises(DataError, match=r"no such picture|leaves its folder"):
        source[1].images[0].open()


def test_a_link_out_of_the_root_is_refused(tmp_path, picture):
    write(tmp_path / "shards", "jsonl", picture, shards=1, each=1)
    (tmp_path / "secret.png").write_bytes(picture())
    (tmp_path / "shards" / "p" / "0-0.png").unlink()
    (tmp_path / "shards" / "p" / "0-0.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="leads out of its folder"):
        Stream(tmp_path / "shards")[0].images[0].open()


def test_a_row_group_that_is_too_large_is_named(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(columns, "LARGEST", 100)
    write(tmp_path, "parquet", picture, shards=1)
    with pytest.raises(DataError, match=r"row group 0 holds 6 rows .*\n  -> write it again with smaller ones"):
        len(Stream(tmp_path))


def test_protocols_that_are_not_there_are_named():
    with pytest.raises(DataError, match=r"(?s)no file system called 'memorie'.*'memory'"):
        len(Stream("memorie://shards"))


def test_a_recipe_names_a_url(tmp_path, picture):
    root = f"memory://{tmp_path.name}/named"
    write(place(root), "webdataset", picture, shards=1)
    source = open_source(PartRef.model_validate({"part": "stream", "root": root, "buffer": 5}), tmp_path)
    assert len(source) == 20
    assert source.buffer == 5


def test_a_mixture_of_streams(tmp_path, picture):
    """One part behind a URL, half of it an epoch; the other in a folder. The batches do not ask who reads them."""
    url = f"memory://{tmp_path.name}/mixed"
    write(place(url), "webdataset", picture)
    write(tmp_path / "near", "parquet", picture, shards=2)
    (tmp_path / "both.yaml").write_text(
        "name: both\npairing: pair\nparts:\n"
        f"  far: {{part: stream, root: '{url}', weight: 0.5, buffer: 12, worker_lanes: 1, process_lanes: 2}}\n"
        "  near: {part: stream, buffer: 8, worker_lanes: 1, process_lanes: 2}\n"
    )
    mixture = open_mixture(str(tmp_path), file=str(tmp_path / "both.yaml"))
    assert mixture.counts == {"far": 30, "near": 40}

    def batches(workers):
        order = Order(70, 10, 1, blocks=lambda epoch: blocks_of(mixture, epoch))
        found = endless(Reader(mixture, Plain(size=16)), collate, order, workers=workers)
        made = list(itertools.islice(found, 14))
        found.close()
        return made

    alone = batches(0)
    assert batches(2) == alone
    names = [[name for batch in part for name, _, _ in batch] for part in (alone[:7], alone[7:])]
    far, near = ([[n for n in epoch if n.startswith(part)] for epoch in names] for part in ("far/", "near/"))
    assert len(set(far[0])) == 30
    assert len(set(far[0]) | set(far[1])) == 60  # the other half in the second epoch
    assert len(set(near[0])) == len(set(near[1])) == 40
    assert near[0] != near[1]
