"""Looking at every picture once: what is not there or can't be read is counted with its place."""

from __future__ import annotations

import zipfile

from vlzoo.data.checks import absent_images, check_images
from vlzoo.data.faults import Faults
from vlzoo.data.images import BytesImage, FileImage, TarImage, ZipImage
from vlzoo.data.records import Sample
from vlzoo.errors import DataError


class Listed:
    """Samples, of which some can't be made."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        if isinstance(self.samples[index], DataError):
            raise self.samples[index]
        return self.samples[index]


def test_each_picture_counts_once(tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "b.png").write_bytes(picture()[:40])
    one, two, gone = (FileImage(str(tmp_path), f"{name}.png") for name in "abc")
    pairs = Listed([Sample("0", (one, two)), Sample("1", (two, one)), Sample("2", (gone, one))])
    faults = Faults("x")
    assert check_images(pairs, faults) == 3
    assert [fault.where[-5:] for fault in faults.listed] == ["b.png", "c.png"]
    assert absent_images(pairs, Faults("x")) == 1


def test_a_sample_that_cannot_be_made_counts_as_a_picture(tmp_path):
    samples = Listed([DataError("no size", where="x/a.jpg"), Sample("1", (BytesImage("b.jpg", b"x"),))])
    faults = Faults("x")
    assert check_images(samples, faults) == 2 and faults.skipped == {"unreadable picture": 2}
    assert [fault.where for fault in faults.listed] == ["x/a.jpg", "b.jpg"]


def test_members_of_archives_are_looked_for(tmp_path, picture):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", picture())
    (tmp_path / "bad.zip").write_bytes(b"PK")
    images = [
        ZipImage(str(tmp_path / name), member) for name in ("x.zip", "bad.zip", "none.zip") for member in ("a.png", "b")
    ]
    faults = Faults("x")
    assert absent_images(Listed([Sample(str(n), (image,)) for n, image in enumerate(images)]), faults) == 5
    assert (
        absent_images(Listed([Sample("0", (TarImage("x.tar", "a", 0, 1),))]), faults) == 0
    )  # its place was read there
