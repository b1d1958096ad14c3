"""OpenImages: coordinates between 0 and 1, groups, the headers of its versions."""

from __future__ import annotations

import pytest

from vlzoo.data.readers.openimages import OpenImages
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
ROWS = (
    "0001eeaf4aed83f9,xclick,/m/0cmf2,1,0.25,0.75,0,0.5,0,0,0,0,0\n"
    "0001eeaf4aed83f9,xclick,/m/0138tl,1,0.0,1.0,0.5,1.0,0,0,1,0,0\n"
    "000595fe6fee6369,xclick,/m/0138tl,1,0.1,0.1,0.5,1.0,0,0,0,0,0\n"
)
NAMES = '/m/0cmf2,Airplane\n/m/0138tl,"Toy, small"\n'


@pytest.fixture
def root(write, picture, tmp_path):
    write("validation-annotations-bbox.csv", HEADER + ROWS)
    write("class-descriptions-boxable.csv", NAMES)
    for name in ("0001eeaf4aed83f9", "000595fe6fee6369"):
        write(f"validation/{name}.jpg", picture(80, 60, kind="JPEG"))
    return tmp_path


def test_boxes_become_pixels(root):
    source = OpenImages(root, split="val", allowed_faults=0.5)
    plane, toys = source[0].regions
    # XMin .25, XMax .75 of 80 px; YMin 0, YMax .5 of 60 px.
    assert (plane.text, plane.box, plane.crowd) == ("airplane", (20, 0, 40, 30), False)
    assert (toys.text, toys.box, toys.crowd) == ("toy, small", (0, 30, 80, 30), True)
    assert source[1].regions == () and source.faults.skipped == {"box of no area": 1}
    assert source[0].fields == {"width": 80, "height": 60}


def test_version_7_names_have_a_header(root, write):
    (root / "class-descriptions-boxable.csv").unlink()
    write("oidv7-class-descriptions-boxable.csv", "LabelName,DisplayName\n" + NAMES)
    assert len(OpenImages(root, split="val", allowed_faults=0.5)) == 2


def test_mistakes_are_named(root, write):
    name = "validation-annotations-bbox.csv"
    write(name, HEADER + ROWS + ROWS.splitlines()[0] + "\n")
    with pytest.raises(DataError, match="'0001eeaf4aed83f9' do not adjoin"):
        len(OpenImages(root, split="val"))
    write(name, HEADER + ROWS.replace("/m/0cmf2", "/m/none"))
    with pytest.raises(DataError, match=rf"{name}:2.*'/m/none' has no name"):
        len(OpenImages(root, split="val"))
    write(name, HEADER.replace("XMin", "Xmin") + ROWS)
    with pytest.raises(DataError, match="no column 'XMin'"):
        len(OpenImages(root, split="val"))
    write(name, HEADER + ROWS.replace("0.25", "left"))
    with pytest.raises(DataError, match=rf"{name}:2.*not a number"):
        len(OpenImages(root, split="val"))


def test_a_missing_picture_is_named_when_its_sample_is_taken(root):
    (root / "validation" / "0001eeaf4aed83f9.jpg").unlink()
    with pytest.raises(DataError, match=r"0001eeaf4aed83f9\.jpg.*no such picture"):
        OpenImages(root, split="val", allowed_faults=0.5)[0]


@pytest.mark.parametrize("value", ["true", "yes", "2", "", "1.0"])
def test_a_group_is_0_or_1(root, write, value):
    write("validation-annotations-bbox.csv", HEADER + ROWS.replace("1.0,0,0,1,0,0", f"1.0,0,0,{value},0,0"))
    with pytest.raises(DataError, match=rf"bbox.csv:3: IsGroupOf is '{value}', expected 0 or 1"):
        len(OpenImages(root, split="val", allowed_faults=0.5))


def test_a_class_has_one_name(root, write):
    write("class-descriptions-boxable.csv", NAMES + "/m/0cmf2,Aeroplane\n")
    with pytest.raises(DataError, match="the class '/m/0cmf2' is there twice"):
        len(OpenImages(root, split="val", allowed_faults=0.5))
    write("class-descriptions-boxable.csv", NAMES + "/m/1\n")
    with pytest.raises(DataError, match=r"boxable.csv:3: no key 'name'"):
        len(OpenImages(root, split="val", allowed_faults=0.5))


def test_it_keeps_what_sources_promise(root, check_data):
    check_data("openimages", split="val", allowed_faults=0.5)
