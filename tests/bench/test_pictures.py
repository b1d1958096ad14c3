"""One picture is one picture, on however many lines it stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vlzoo.bench.image_retrieval import ImageRetrieval
from vlzoo.bench.pictures import pictures, rows_of_pictures
from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.images import FileImage
from vlzoo.data.predictions import Files
from vlzoo.data.records import Sample
from vlzoo.errors import DataError
from vlzoo.task import Effort


class Held(list):
    """Samples with a name."""

    name = "held/test"

    def fingerprint(self):
        return "f"


def lines_of(source, *, interleaved=False, **change):
    """A line for each caption, in the pictures' order or one caption of every picture in turn."""
    made = [
        (t, i, replace(s, name=f"{s.name}-{t}", texts=(text,), **change))
        for i, s in enumerate(source)
        for t, text in enumerate(s.texts)
    ]
    return Held(line for _, _, line in (sorted(made, key=lambda each: each[:2]) if interleaved else made))


def figures(engine, source, **options):
    """Every figure of a source, unrounded."""
    task = Retrieval(**options)
    counted = task.counted(source)
    rows = {row["name"]: row for rows in task.predict(engine, counted, frozenset(), Effort()) for row in rows}
    return {score.metric: (score.value, score.interval, score.samples) for score in task.score(counted, rows).scores}


@pytest.mark.parametrize("protocol", ["itm", "itm+itc", "itc", "itm/argsort"])
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_line_a_caption_gives_the_grouped_files_figures_bit_for_bit(engine_for, sources, protocol, interleaved):
    engine, source = engine_for({"itc": {"queue": 16}, "itm": {}}), sources["retrieval"]
    grouped = figures(engine, source, protocol=protocol, k=10)
    assert figures(engine, lines_of(source, interleaved=interleaved), protocol=protocol, k=10) == grouped
    assert grouped["TR R@1"][2] == 8 and grouped["IR R@1"][2] == 40


def test_the_file_tells_the_picture_where_no_id_does(engine_for, sources):
    """Without an id, and with an id for each line: the same file is the same picture."""
    engine, source = engine_for({"itc": {"queue": 16}, "itm": {}}), sources["retrieval"]
    unnamed = lines_of(source, image_id=None)
    numbered = Held(replace(line, image_id=f"line {n}") for n, line in enumerate(lines_of(source)))
    expected = figures(engine, source, k=10)
    assert figures(engine, unnamed, k=10) == figures(engine, numbered, k=10) == expected


def test_what_is_one_picture():
    one = FileImage("root", "a.png")
    listed = [
        Sample("1", (one,), image_id="a"),
        Sample("2", (FileImage("root", "b.png"),), image_id="b"),
        Sample("3", (FileImage("root", "./a.png"),), image_id="other"),  # the same file, written otherwise
        Sample("4", (FileImage("root", "copy.png"),), image_id="b"),  # the same id
        Sample("5"),
        Sample("6"),
    ]
    assert rows_of_pictures(listed) == [[0, 2], [1, 3], [4], [5]]
    assert rows_of_pictures(listed, by_id=False) == [[0, 2], [1], [3], [4], [5]]


def test_data_with_one_sample_a_picture_stay_as_they_are(sources):
    assert pictures(sources["retrieval"]) is sources["retrieval"]
    merged = pictures(lines_of(sources["retrieval"]))
    assert (merged.name, merged.fingerprint(), len(merged)) == ("held/test", "f", 8)


def test_a_picture_does_not_find_itself_on_another_line(engine_for, sources):
    engine, source = engine_for({"itc": {"queue": 16}}), sources["image-retrieval"]
    task = ImageRetrieval()

    def measured(data):
        counted = task.counted(data)
        rows = {row["name"]: row for rows in task.predict(engine, counted, frozenset(), Effort()) for row in rows}
        return [score.value for score in task.score(counted, rows).scores]

    assert measured(lines_of(source)) == measured(source)


def test_a_file_of_scores_is_held_against_pictures(tmp_path, sources):
    """8 pictures and 40 texts; the matrix of a source with a line for each caption has 8 rows, too."""
    owners = np.repeat(np.arange(8), 5)
    scores = np.random.default_rng(0).random((8, 40)) + (np.arange(8)[:, None] == owners)
    np.savez(tmp_path / "s.npz", scores=scores)
    np.savez(tmp_path / "turned.npz", scores=scores[:, np.argsort(np.arange(40) % 5, kind="stable")])
    found = []
    for file, source in (
        ("s", sources["retrieval"]),
        ("s", lines_of(sources["retrieval"])),
        ("turned", lines_of(sources["retrieval"], interleaved=True)),
    ):
        task = Retrieval()
        samples, rows, _ = task.read(Files(tmp_path / f"{file}.npz", source=source))
        found.append([score.value for score in task.score(samples, rows).scores])
    assert found[0] == found[1] == found[2] and found[0][0] == 100.0


@pytest.mark.parametrize("asked", [{"answers": ("yes", "yes")}, {"fields": {"question_type": "is"}}])
def test_questions_are_no_captions(engine_for, sources, tmp_path, asked):
    source = Held(replace(sample, **asked) for sample in sources["retrieval"])
    engine = engine_for({"itc": {"queue": 16}, "itm": {}})
    with pytest.raises(DataError, match=r"8 texts are questions, not captions"):
        list(Retrieval().predict(engine, source, frozenset(), Effort()))
    np.savez(tmp_path / "s.npz", scores=np.zeros((8, 40)))
    with pytest.raises(DataError, match=r"8 texts are questions, not captions"):
        Retrieval().read(Files(tmp_path / "s.npz", source=source))


def test_sentences_about_two_pictures_are_refused_and_judged_ones_are_said(engine_for, sources):
    engine = engine_for({"itc": {"queue": 16}, "itm": {}})
    with pytest.raises(DataError, match=r"show several pictures .*: retrieval finds one"):
        list(Retrieval().predict(engine, sources["nlvr2"], frozenset(), Effort()))
    task, source = Retrieval(), sources["snli-ve"]
    counted = task.counted(source)
    rows = {row["name"]: row for rows in task.predict(engine, counted, frozenset(), Effort()) for row in rows}
    assert f"{len(counted)} samples have a label" in task.score(counted, rows).notes[-1]
