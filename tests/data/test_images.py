"""Decoding: modes, bounds, damage, archives. Expected colours are those the picture was made with."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from vlzoo.data.images import BytesImage, FileImage, TarImage, ZipImage, picture_size
from vlzoo.errors import DataError

RED = (200, 10, 10)


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header says a size that its few bytes do not hold (format: PNG specification, section 5)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def pixel(data: bytes) -> tuple[int, ...]:
    opened = BytesImage("x", data).open()
    assert opened.mode == "RGB"
    return opened.getpixel((0, 0))


def test_plain(picture):
    assert pixel(picture(colour=RED)) == RED


def test_cmyk(picture):
    red, green, blue = pixel(picture(colour=(0, 255, 255, 0), mode="CMYK", kind="TIFF"))
    assert red > 200 and green < 60 and blue < 60


def test_palette_and_grey(picture):
    source = Image.new("RGB", (4, 4), RED).quantize(4)
    sink = io.BytesIO()
    source.save(sink, "PNG")
    assert pixel(sink.getvalue()) == RED
    assert pixel(picture(colour=77, mode="L")) == (77, 77, 77)


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (0, 0, 0, 0)), ("LA", (0, 0))])
def test_transparent_is_white(picture, mode, colour):
    assert pixel(picture(mode=mode, colour=colour)) == (255, 255, 255)


def test_half_transparent_mixes_with_white(picture):
    # 128/255 of black over white: 255 * (1 - 128/255) = 127.
    assert abs(pixel(picture(mode="RGBA", colour=(0, 0, 0, 128)))[0] - 127) <= 1


def test_palette_with_a_transparent_entry():
    source = Image.new("P", (4, 4), 0)
    source.putpalette([1, 2, 3] + [0] * 765)
    sink = io.BytesIO()
    source.save(sink, "PNG", transparency=0)
    assert pixel(sink.getvalue()) == (255, 255, 255)


def test_sixteen_bits_are_scaled():
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 4), 128 * 257, dtype=np.uint16)).save(sink, "PNG")
    # 128 * 257 of 65535 is 128 of 255; plain conversion would clip it to 255.
    assert pixel(sink.getvalue()) == (128, 128, 128)


def test_floats_are_scaled():
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(sink, "TIFF")
    assert pixel(sink.getvalue())[0] in (127, 128)


def test_orientation_is_left_alone(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = BytesImage("x", picture(8, 6, kind="JPEG", exif=exif)).open()
    # ALBEF's and X-VLM's `Image.open(path).convert("RGB")` gives the stored 8 x 6.
    assert opened.size == (8, 6)


@pytest.mark.parametrize("side", [50_000, 9_000])
def test_too_many_pixels_are_refused_by_the_header(side):
    with pytest.raises(DataError, match="pixels"):
        BytesImage("bomb.png", huge_png(side, side)).open()
    with pytest.raises(DataError, match=r"bomb\.png"):
        BytesImage("bomb.png", huge_png(side, side)).open()


def test_the_bound_itself_is_allowed(picture):
    data = picture(8, 6)
    assert BytesImage("x", data, max_pixels=48).open().size == (8, 6)
    with pytest.raises(DataError, match="8 x 6"):
        BytesImage("x", data, max_pixels=47).open()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated(kind, keep):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).save(sink, kind)
    data = sink.getvalue()
    with pytest.raises(DataError, match=r"cut\.jpg"):
        BytesImage("cut.jpg", data[: int(len(data) * keep)]).open()


@pytest.mark.parametrize("data", [b"", b"hello", b"<html></html>", b"\x89PNG\r\n\x1a\n"])
def test_not_a_picture(data):
    with pytest.raises(DataError, match="label"):
        BytesImage("label", data).open()


def test_file(tmp_path, picture):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "é.png").write_bytes(picture(colour=RED))
    ref = FileImage(str(tmp_path), "a/é.png")
    assert ref.open().getpixel((0, 0)) == RED
    assert picture_size(ref) == (8, 6)
    with pytest.raises(DataError, match="no such picture"):
        FileImage(str(tmp_path), "a/b.png").open()
    with pytest.raises(DataError, match="folder"):
        FileImage(str(tmp_path), "a").open()


def test_zip(tmp_path, picture):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("in/a.png", picture(colour=RED))
    ref = ZipImage(str(tmp_path / "x.zip"), "in/a.png")
    assert ref.open().getpixel((0, 0)) == RED
    with pytest.raises(DataError, match="no member"):
        ZipImage(str(tmp_path / "x.zip"), "b.png").open()
    with pytest.raises(DataError, match=r"none\.zip"):
        ZipImage(str(tmp_path / "none.zip"), "b.png").open()
    (tmp_path / "bad.zip").write_bytes(b"PK not really")
    with pytest.raises(DataError, match=r"bad\.zip"):
        ZipImage(str(tmp_path / "bad.zip"), "b.png").open()


def test_zip_in_forked_workers(tmp_path):
    refs = []
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for level in range(40):
            sink = io.BytesIO()
            Image.new("L", (32, 32), level).save(sink, "PNG")
            archive.writestr(f"{level}.png", sink.getvalue())
            refs.append(ZipImage(str(tmp_path / "x.zip"), f"{level}.png"))
    refs[0].open()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_level, refs) == list(range(40))


def _level(ref: ZipImage) -> int:
    return ref.open().getpixel((0, 0))[0]


@pytest.mark.parametrize(
    ("at", "value", "words"),
    # Offsets in the central directory's entry (PKWARE's APPNOTE, 4.3.12): 8 the flags, of which bit 0 says encrypted;
    # 10 the way of packing; 16 the checksum.
    [(8, 1, "encrypted"), (10, 97, "compression"), (16, 1, "CRC")],
)
def test_a_zip_member_that_cannot_be_unpacked(tmp_path, picture, at, value, words):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", picture())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + at] ^= value
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"x\.zip!/a\.png: can't be read as a picture.*{words}"):
        ZipImage(str(path), "a.png").open()


def test_a_zip_archive_cut_or_changed_at_any_byte(tmp_path, picture):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", picture())
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    for cut in range(0, len(data), 3):
        path.write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"x\.zip"):
            ZipImage(str(path), "a.png").open()
    for _ in range(200):
        changed = bytearray(data)
        changed[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(changed)
        with suppress(DataError):
            ZipImage(str(path), "a.png").open()


def test_a_member_of_more_bytes_than_a_picture_has(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"x\.tar!/a\.png: 9,000,000,000 bytes are too many(?s:.*)make the picture smaller"
    ):
        TarImage(str(tmp_path / "x.tar"), "a.png", 0, 9_000_000_000).open()


def test_a_name_that_no_file_has(tmp_path):
    for name in ("\ud83d.jpg", "x" * 5000, "a\0b.jpg"):
        with pytest.raises(DataError):
            FileImage(str(tmp_path), name).open()


def test_tar_by_offset(tmp_path, picture):
    data = picture(colour=RED)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    with tarfile.open(tmp_path / "x.tar") as archive:
        offset = archive.getmember("a.png").offset_data
    ref = TarImage(str(tmp_path / "x.tar"), "a.png", offset, len(data))
    assert ref.open().getpixel((0, 0)) == RED
    with pytest.raises(DataError, match=r"x\.tar!/a\.png"):
        TarImage(str(tmp_path / "x.tar"), "a.png", offset, 20).open()


def test_pickles_stay_small(tmp_path, picture):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", picture(colour=RED))
    ref = ZipImage(str(tmp_path / "x.zip"), "a.png")
    ref.open()
    packed = pickle.dumps(ref)
    assert len(packed) < 400
    assert pickle.loads(packed).open().getpixel((0, 0)) == RED
