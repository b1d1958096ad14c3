from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from vlzoo_vlmixer.detect import detected, misshapen
from vlzoo_vlmixer.regions import open_regions

from vlzoo.cli.main import run
from vlzoo.data.features import Features
from vlzoo.data.images import BytesImage
from vlzoo.data.records import Shown
from vlzoo.data_parts import Detector
from vlzoo.errors import DataError, PluginError

PLUGIN = '''
import time

import numpy as np

from vlzoo import DataError, Detector, Features, hookimpl


class Slow(Detector):
    """Finds the whole picture, and calls it by its id.

    Args:
        seconds: that a picture takes.
        breaks: the id of a picture that it fails on.
        width: of the features.
    """

    def __init__(self, *, seconds: float = 0.0, breaks: str = "", width: int = 3):
        self.seconds, self.breaks, self.width = seconds, breaks, width

    def detect(self, pictures):
        time.sleep(self.seconds * len(pictures))
        if self.breaks in [shown.image_id for shown in pictures]:
            raise ValueError("no such thing")
        return [self.one(shown) for shown in pictures]

    def one(self, shown):
        features = np.full((1, self.width), float(shown.image_id), np.float32)
        box, sure = np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32)
        return Features(features, box, ("thing" + shown.image_id,), sure, (64, 64))


@hookimpl
def vlzoo_register(registry):
    registry.detector("slow", "slow_detector:Slow", summary="finds the whole picture")
'''


@pytest.fixture
def slow(tmp_path, monkeypatch) -> Path:
    """A detector in a file of its own; returns the file."""
    file = tmp_path / "slow_detector.py"
    file.write_text(PLUGIN)
    return file


def vlzoo(slow: Path, *words: str, **options) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(slow.parent)])}
    command = [sys.executable, "-m", "vlzoo", "--plugin", str(slow), *words]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def done(slow: Path, *words: str) -> tuple[int, str, str]:
    process = vlzoo(slow, *words)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def line(scenes: Path, out: Path, *more: str) -> list[str]:
    images = f"scenes={scenes}"
    return [
        "detect",
        "--images",
        images,
        "--detector",
        "slow",
        "--out",
        str(out),
        "--shard",
        "2",
        "--batch",
        "1",
        *more,
    ]


def whole(folder: Path) -> dict[str, list[float]]:
    """Features by image id."""
    regions = open_regions(folder)
    ids = regions.table.column("image_id").to_pylist()
    return {each: regions.of_picture("scenes", each, "").features.ravel().tolist() for each in ids}


def test_the_detector_of_the_documentation_runs(scenes, tmp_path, root):
    """The class that docs/plugins.md shows, registered as a stranger does."""
    text = (root / "docs" / "plugins.md").read_text()
    (shown,) = re.findall(r"^```python\n(# quarters\.py\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    hook = "\n\nfrom vlzoo import hookimpl\n\n\n@hookimpl\ndef vlzoo_register(registry):\n"
    hook += '    registry.detector("quarters", "quarters:Quarters", summary="the four quarters")\n'
    (tmp_path / "quarters.py").write_text(shown + hook)
    options = ["--images", f"scenes={scenes}", "--detector", "quarters", "--set", "detector.label=part"]
    code, said, err = done(tmp_path / "quarters.py", "detect", *options, "--out", str(tmp_path / "g"))
    assert code == 0, err
    assert "12 pictures, 48 regions (4.0 a picture), 3 wide; 1 labels" in said
    assert open_regions(tmp_path / "g").labels == ["part"]


def test_a_killed_detection_goes_on_where_it_stopped(slow, scenes, tmp_path):
    """SIGKILL in the middle: the gallery is refused and named; the same command makes what is missing, and no more."""
    out = tmp_path / "killed"
    process = vlzoo(slow, *line(scenes, out, "--set", "detector.seconds=0.2"))
    until = time.monotonic() + 60
    while len(list(out.glob("shards/[0-9]*"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    made = sorted(place.name for place in out.glob("shards/[0-9]*"))
    assert 2 <= len(made) < 6
    code, _, err = done(slow, "gallery", "info", str(out))
    assert code == 2 and "cut off in the middle of writing" in err and f"{6 - len(made)} of 6 shards" in err
    half = out / "shards" / ".00005.999999.tmp"  # of a process that no longer is
    half.mkdir()
    times = {name: (out / "shards" / name / "shard.json").stat().st_mtime_ns for name in made}
    code, said, err = done(slow, *line(scenes, out, "--set", "detector.seconds=0.2"))
    assert code == 0 and f"{len(made)} of 6 shards are there; going on" in err
    assert ".00005.999999.tmp: half-written" in err and not half.exists()
    assert {name: (out / "shards" / name / "shard.json").stat().st_mtime_ns for name in made} == times
    assert "12 pictures, 12 regions (1.0 a picture), 3 wide; 12 labels" in said and "4 million pictures" in said
    assert whole(out) == {each: [float(each)] * 3 for each in whole(out)}


def test_processes_share_the_work_and_make_the_same(slow, scenes, tmp_path):
    code, _, _ = done(slow, *line(scenes, tmp_path / "one"))
    assert code == 0
    code, said, err = done(slow, *line(scenes, tmp_path / "two", "--processes", "2"))
    assert code == 0 and "ended with code" not in err and "12 pictures" in said
    assert whole(tmp_path / "one") == whole(tmp_path / "two")
    # Shares of machines that know nothing of each other.
    for share in ("1/2", "0/2"):
        assert done(slow, *line(scenes, tmp_path / "three", "--share", share))[0] == 0
    assert whole(tmp_path / "three") == whole(tmp_path / "one")


def test_a_cut_shard_is_named_and_made_again(slow, scenes, tmp_path):
    out = tmp_path / "cut"
    assert done(slow, *line(scenes, out))[0] == 0
    before = whole(out)
    (file,) = (out / "shards" / "00003").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:64])
    shutil.rmtree(out / "shards" / "00001")
    code, _, err = done(slow, *line(scenes, out))
    assert code == 0 and "shard 00003: cut off" in err and "4 of 6 shards are there" in err
    assert whole(out) == before
    assert "nothing is left to do" in done(slow, *line(scenes, out))[2]


def test_a_picture_on_which_a_detector_fails_is_named(slow, scenes, tmp_path):
    code, _, err = done(slow, *line(scenes, tmp_path / "g", "--set", "detector.breaks=5", "--batch", "3"))
    assert code == 2 and "images/5.png (scenes 5)" in err and "ValueError: no such thing" in err
    code, _, err = done(slow, *line(scenes, tmp_path / "h", "--set", "detector.breaks=5", "--processes", "2"))
    assert code == 2 and "images/5.png (scenes 5)" in err and "ended with code 2" in err


def test_another_gallery_in_the_folder_is_refused(slow, scenes, tmp_path):
    out = tmp_path / "g"
    assert done(slow, *line(scenes, out))[0] == 0
    code, _, err = done(slow, *line(scenes, out, "--set", "detector.width=5"))
    assert code == 2 and "another gallery is there" in err and "--overwrite" in err
    assert done(slow, *line(scenes, out, "--set", "detector.width=5", "--overwrite"))[0] == 0
    assert open_regions(out).width == 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    assert "something else than a gallery" in done(slow, *line(scenes, tmp_path / "other", "--overwrite"))[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detector", "torchvison", "--images", "scenes={scenes}"], "did you mean 'torchvision'"),
        (["--images", "scenes={scenes}"], "no detector is named"),
        (["--detector", "torchvision", "--images", "scenes={scenes}"], "needs the option 'weights'"),
        (["--detector", "precomputed", "--images", "scenes={scenes}", "--set", "detector.fils=a"], "mean 'files'"),
        (["--detector", "precomputed", "--images", "scenes={scenes}", "--set", "fils=a"], "no option of the data nor"),
        (["--detector", "precomputed", "--images", "scenes-texts={scenes}", "--set", "detector.files=."], "no picture"),
    ],
)
def test_a_mistake_is_one_message(scenes, tmp_path, capsys, words, said):
    given = [word.format(scenes=scenes) for word in words]
    assert run(["detect", "--out", str(tmp_path / "g"), *given]) == 2
    assert said in capsys.readouterr().err


def test_what_a_gallery_holds_is_told_without_torch(make_gallery, capsys):
    folder = make_gallery([("dog", 0.9), ("Dogs", 0.5)], [("cat", 0.3), ("cat", 0.1)])
    assert run(["gallery", "info", str(folder), "--top", "1"]) == 0
    said = capsys.readouterr().out
    assert "4, 4 wide" in said and "3 (of 0.2 or surer" in said and "dog 2" in said and "cat 1" in said
    assert "3, 2 concepts with patches" in said
    code = "import sys; from vlzoo.cli.main import run; run(['gallery', 'info', sys.argv[1], '--json'])\n"
    code += "print('torch' in sys.modules, 'datasets' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=env, capture_output=True, text=True)
    assert done.stdout.endswith("False False\n") and '"dog": 2' in done.stdout


def regions(count=1, width=3, **changed):
    made = {
        "features": np.zeros((count, width), np.float32),
        "boxes": np.zeros((count, 4), np.float32),
        "labels": ("x",) * count,
        "scores": np.ones(count, np.float32),
    }
    return Features(**{**made, **changed})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (regions(), ""),
        (regions(0), ""),
        (regions(scores=None), ""),
        (regions(width=4), r"3 wide ones are expected"),
        (regions(boxes=np.zeros((2, 4))), "boxes of the shape [2, 4] for 1 regions"),
        (regions(labels=()), "0 labels for 1 regions"),
        (regions(scores=np.array([1.5])), "not in [0, 1]"),
        (regions(features=np.full((1, 3), np.nan)), "not finite"),
    ],
)
def test_what_a_detector_gives_is_looked_at(given, said):
    assert (said in misshapen(given, 3)) if said else misshapen(given, 3) == ""


def test_a_batch_that_fails_only_together_says_so():
    class Fails(Detector):
        def detect(self, pictures):
            if len(pictures) > 1:
                raise MemoryError("too much")
            return [regions()]

    shown = [Shown("a", str(number), BytesImage(f"{number}.jpg", b"")) for number in range(2)]
    with pytest.raises(DataError, match="fails on 2 pictures at once: MemoryError") as error:
        detected(Fails(), shown)
    assert "0.jpg, 1.jpg" in str(error.value) and "--batch" in str(error.value)


def test_a_detector_that_gives_too_few_is_named():
    from vlzoo_vlmixer.detect import _checked

    with pytest.raises(PluginError, match="the regions of 0 pictures for 1"):
        _checked(Detector(), [Shown("a", "1", BytesImage("1.jpg", b""))], [], None)
