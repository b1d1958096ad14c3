"""Pictures behind URLs, read one by one and those of a batch at once."""

from __future__ import annotations

import fsspec
import pytest

from vlzoo.data.images import BytesImage
from vlzoo.data.ranges import RangeImage, read_ahead
from vlzoo.data.records import Sample
from vlzoo.errors import DataError


@pytest.fixture
def url(tmp_path, picture):
    """A file with two pictures one after the other, 8 and 9 wide."""
    system = fsspec.filesystem("memory")
    system.pipe_file(f"/{tmp_path.name}/two", picture(8) + picture(9))
    yield f"memory://{tmp_path.name}/two"
    system.rm(f"/{tmp_path.name}", recursive=True)


def test_a_range_of_a_file(url, picture):
    first, second = len(picture(8)), len(picture(9))
    images = [RangeImage(url, "a", 0, first), RangeImage(url, "b", first, second), RangeImage(url, "", first)]
    assert [image.open().size[0] for image in images] == [8, 9, 9]
    assert [image.name for image in images] == [f"{url}!/a", f"{url}!/b", url]


def test_what_can_not_be_read_ahead_is_told_where_it_is_opened(url, picture):
    whole = RangeImage(url, "a", 0, len(picture(8)))
    gone, other = RangeImage(url + "/none"), BytesImage("x", picture())
    huge = RangeImage(url, "b", 0, 10**12)
    samples = [Sample("1", (whole, gone)), Sample("2", (other,)), Sample("3", (huge,)), Sample("4")]
    found = read_ahead(samples)
    assert found[0].images == (BytesImage(whole.name, picture(8)), gone)
    assert found[1:] == samples[1:]
    with pytest.raises(DataError, match="none: there is no such picture"):
        found[0].images[1].open()
    with pytest.raises(DataError, match="bytes are too many"):
        found[2].images[0].open()
