"""What a decoder does with a damaged picture: a picture or our error, and nothing on the screen.

The damage is made here, in every format that PIL writes and reads; the seed is fixed.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from vlzoo.data.decoding import decode
from vlzoo.data.images import BytesImage, FileImage, picture_size
from vlzoo.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
Image.init()
pytestmark = pytest.mark.filterwarnings("ignore:IM image format is deprecated")
FORMATS = sorted(set(Image.SAVE) & set(Image.OPEN))
MODES = ("RGB", "RGBA", "P", "1", "F")


def written(kind: str, **options) -> list[bytes]:
    """A picture of noise in each of the modes that the format takes."""
    made = []
    for mode in MODES:
        sink = io.BytesIO()
        try:
            Image.fromarray(NOISE).convert(mode).save(sink, kind, **options)
        except (OSError, ValueError, KeyError):
            continue
        made.append(sink.getvalue())
    return made


def damaged(data: bytes, generator: np.random.Generator, times: int) -> list[bytes]:
    """A file cut at many bytes, and with several bytes changed, those of the header more often than others."""
    found = [data[:cut] for cut in np.linspace(0, len(data) - 1, times).astype(int)]
    for _ in range(times):
        changed = bytearray(data)
        for _ in range(generator.integers(1, 8)):
            changed[generator.integers(min(len(data), generator.choice([40, 200, 10**6])))] = generator.integers(256)
        found.append(bytes(changed))
    return found


def opens(data: bytes) -> bool:
    """Whether a picture comes out; any other error than ours ends the test."""
    try:
        picture = BytesImage("some.jpg", data).open()
    except DataError as error:
        return "some.jpg" not in str(error)
    return picture.mode == "RGB" and min(picture.size) > 0


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_the_pictures_fault(kind, capfd):
    generator, files = np.random.default_rng(1), written(kind)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [opens(each) for data in files for each in damaged(data, generator, 2 if kind == "ICNS" else 20)]
    assert results or kind in ("BUFR", "GRIB", "HDF5", "WMF")  # which others must write
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"])
def test_damaged_tiff_is_not_heard_of(compression, capfd):
    """libtiff writes to standard error past Python."""
    generator = np.random.default_rng(2)
    files = [each for data in written("TIFF", compression=compression) for each in damaged(data, generator, 60)]
    capfd.readouterr()  # of the modes that can't be packed so
    assert len(files) >= 120 and not all(map(opens, files))
    assert capfd.readouterr() == ("", "")


def test_standard_error_is_heard_again_after_a_tiff(capfd):
    import os

    decode(io.BytesIO(written("TIFF")[0]), "x")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


class Broken(io.BytesIO):
    """A stream whose reading fails as it is told to."""

    error: BaseException

    def read(self, *_):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("AVIF"), NotImplementedError(), AttributeError("x"), MemoryError(), RecursionError(), KeyError("x")],
)
def test_whatever_a_decoder_raises(error):
    stream = Broken(b"x")
    stream.error = error
    with pytest.raises(DataError, match=f"^some: the picture is damaged: {str(error) or type(error).__name__}"):
        decode(stream, "some")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_the_user_raises_is_passed_on(error):
    stream = Broken(b"x")
    stream.error = error()
    with pytest.raises(error):
        decode(stream, "some")


def test_a_picture_without_pixels_and_one_of_too_many():
    empty = b"P6 0 5 255\n"
    with pytest.raises(DataError):
        decode(io.BytesIO(empty), "x")
    for side, words in ((9_000, "9,000 x 9,000 pixels are more than the 64,000,000 allowed"), (30_000, "64,000,000")):
        with pytest.raises(DataError, match=f"{words}(?s:.*)-> make the picture smaller, or leave it out"):
            decode(io.BytesIO(b"P6 %d %d 255\n" % (side, side) + b"x" * 100), "x")


def tiff(levels: list[list[float]]) -> tuple[int, ...]:
    """The grey that each pixel of a picture of floats has once decoded, row by row."""
    sink = io.BytesIO()
    Image.fromarray(np.array(levels, dtype=np.float32)).save(sink, "TIFF")
    sink.seek(0)
    return tuple(np.asarray(decode(sink, "x"))[..., 0].ravel().tolist())


def test_floats_that_are_no_numbers():
    nan, inf = float("nan"), float("inf")
    # Levels up to 1 are shares of white; what is not a number is black, and what is infinite the brightest.
    assert tiff([[0.0, 1.0, nan, 0.5]]) == (0, 255, 0, 128)
    assert tiff([[0.0, 1.0, inf, -inf]]) == (0, 255, 255, 0)
    assert tiff([[nan, nan], [nan, nan]]) == (0, 0, 0, 0)
    assert tiff([[3e38, 0.0, -3e38, 1.5e38]]) == (255, 0, 0, 128)


def test_exif_that_is_no_exif():
    info = PngImagePlugin.PngInfo()
    info.add(b"eXIf", b"MM\0*" + b"\xff" * 30)
    sink = io.BytesIO()
    Image.fromarray(NOISE).save(sink, "PNG", pnginfo=info)
    assert (np.asarray(decode(io.BytesIO(sink.getvalue()), "x")) == NOISE).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_pictures_the_first(kind):
    black, white = (Image.new("RGB", (16, 16), colour) for colour in ("black", "white"))
    sink = io.BytesIO()
    black.save(sink, kind, save_all=True, append_images=[white])
    assert max(decode(io.BytesIO(sink.getvalue()), "x").getpixel((8, 8))) < 10


def test_the_size_of_a_damaged_picture(tmp_path):
    generator = np.random.default_rng(3)
    for kind in ("PNG", "TIFF", "AVIF", "DDS", "SPIDER", "JPEG"):
        for data in damaged(written(kind)[0], generator, 15):
            (tmp_path / "x").write_bytes(data)
            try:
                size = picture_size(FileImage(str(tmp_path), "x"))
            except DataError:
                continue
            assert min(size) > 0
