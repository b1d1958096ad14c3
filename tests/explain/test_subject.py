"""What is explained: pictures that can be read and others, samples, and boxes as they are written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlzoo.data.images import BytesImage
from vlzoo.data.records import Region, Sample
from vlzoo.errors import DataError, UnknownName, VlzooError
from vlzoo.explain.subject import MOST_TEXTS, box_of, check_inside, load_picture, of_sample


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder as a Hugging Face cache is made: links into another folder; and files that are no pictures."""
    levels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "noise.png")
    data = (tmp_path / "noise.png").read_bytes()
    (tmp_path / "noise.png").unlink()
    for name, held in {"blobs/0a1b": data, "cut.png": data[:1500], "empty.png": b"", "page.png": b"<html>"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(held)
    Image.new("1", (9000, 8000)).save(tmp_path / "large.png")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "cat.png").symlink_to("../blobs/0a1b")
    (tmp_path / "gone.png").symlink_to("blobs/none")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", ["snapshot/cat.png", os.fsdecode(b"caf\xe9.png"), "snapshot/../blobs/0a1b"])
def test_what_the_user_names_is_read(pictures, name):
    """Wherever a link leads: the guard against paths that leave their folder is for those written in data."""
    assert load_picture(pictures / name).open().size == (60, 40)


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("large.png", "9,000 x 8,000 pixels are more than the 64,000,000 allowed", "make the picture smaller"),
        ("snapshot", "a folder where one picture is expected", "snapshot/cat.png"),
        ("snapshot/cats.png", "there is no such picture", "did you mean 'cat.png'?"),
        ("gone.png", "this link leads to 'blobs/none', where there is no file", "download it again"),
        ("loop.png", "the picture can't be read: ", "name a file that you may read"),
        ("cut.png/x", "the picture can't be read: Not a directory", "name a file that you may read"),
        ("empty.png", "the file is empty", "download it again"),
        ("cut.png", "the picture is damaged", "download it again"),
        ("page.png", "not a picture in a format that can be read", "IMAGE is the path of one picture"),
    ],
)
def test_each_picture_that_can_not_be_read_has_its_own_message(pictures, name, what, fix):
    with pytest.raises(DataError) as caught:
        load_picture(pictures / name)
    assert what in caught.value.what and fix in (caught.value.fix or "") and caught.value.where == str(pictures / name)


class Source(list):
    """Samples with a name."""

    name = "some/test"


def regions(count: int, text: str = "a cat") -> tuple[Region, ...]:
    return tuple(Region((float(row), 0.0, 5.0, 5.0), text) for row in range(count))


PICTURE = BytesImage("p.png", b"never read")


def test_a_sample_gives_every_region_with_its_box():
    """Regions that say nothing are left out; of too many the first are drawn, and the others counted."""
    held = (*regions(2), Region((1.0, 1.0, 1.0, 1.0), " "), *regions(MOST_TEXTS))
    found = of_sample(Source([Sample("a"), Sample("b", (PICTURE,), regions=held)]), "b")
    assert (found.name, found.picture, len(found.said), found.left_out) == ("b", PICTURE, MOST_TEXTS, 2)
    assert found.said[1].true == ((1.0, 0.0, 5.0, 5.0),) and found.said[1].text == "a cat"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("scene-3", UnknownName, "did you mean 'scene-2'"),
        ("scene-1", DataError, "has no picture"),
        ("scene-2", DataError, "has no box with a text"),
    ],
)
def test_samples_that_can_not_be_drawn(name, kind, words):
    source = Source([Sample("scene-1", regions=regions(1)), Sample("scene-2", (PICTURE,), regions=regions(1, ""))])
    with pytest.raises(kind) as caught:
        of_sample(source, name)
    assert words in str(caught.value) and caught.value.fix


def test_a_box_as_it_is_written():
    assert box_of("12, 30,40.5,25") == (12.0, 30.0, 40.5, 25.0)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "nan,1,2,3", "1,2,inf,3"])
def test_what_is_no_box_is_refused(text):
    with pytest.raises(VlzooError, match=r"four numbers|is no box") as caught:
        box_of(text)
    assert caught.value.where == "--true" and "x,y,width,height" in caught.value.fix


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((60, 0, 5, 5), "outside"),
        ((0, 40, 5, 5), "outside"),
        ((-5, 0, 5, 5), "outside"),
        ((0, -9, 5, 9), "outside"),
        ((0.1, 0.2, 0.5, 0.4), "in shares"),
    ],
)
def test_true_boxes_lie_in_the_picture_and_in_pixels(box, words):
    check_inside([(-4, -4, 5, 5), (59, 39, 9, 9)], (60, 40))
    with pytest.raises(VlzooError, match=words) as caught:
        check_inside([(1, 1, 2, 2), box], (60, 40))
    assert "60 x 40 pixels" in caught.value.fix
