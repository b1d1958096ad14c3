"""`vlzoo ask` and `vlzoo search`, which say what `vlzoo.load` says."""

from __future__ import annotations

import json
import shutil

import pytest

import vlzoo
from vlzoo.cli.main import run


@pytest.fixture
def said(capsys):
    """Runs a command, and gives its exit code, standard output and standard error."""

    def call(*words):
        code = run([*map(str, words)])
        return code, *capsys.readouterr()

    return call


def test_answers(trained, said):
    picture, words = trained.pictures[0], ["what is it?", "how many?"]
    found = vlzoo.load(trained.run, device="cpu").answer(picture, words)
    code, out, _ = said("ask", picture, *words, "--run", trained.run, "--device", "cpu", "--json")
    assert code == 0
    assert [(row["answer"], row["mode"]) for row in json.loads(out)] == [(each.text, each.mode) for each in found]
    code, out, _ = said("ask", picture, words[0], "--run", trained.run, "--device", "cpu")
    assert (code, out.strip()) == (0, found[0].text)


def test_the_best_pictures_first_and_what_can_t_be_read_left_out(trained, said, tmp_path):
    for number, picture in enumerate(trained.pictures[:5]):
        shutil.copy(picture, tmp_path / f"{number}{picture.suffix}")
    (tmp_path / "cut.jpg").write_bytes(b"no picture")
    code, out, err = said("search", "a red square", "--images", tmp_path, "--run", trained.run, "--json", "--top", 3)
    assert code == 0
    assert "left out" in err and "cut.jpg" in err
    rows = json.loads(out)
    files = sorted(file for file in tmp_path.iterdir() if file.name != "cut.jpg")
    cosines = vlzoo.load(trained.run).match(files, "a red square").cosines
    expected = sorted(zip(cosines.tolist(), map(str, files), strict=True), key=lambda each: (-each[0], each[1]))[:3]
    assert [row["score"] for row in rows] == pytest.approx([score for score, _ in expected], abs=1e-6)
    assert {row["picture"] for row in rows} == {file for _, file in expected}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ask", "{picture}", "what?"], "give --run RUN or --model hf:FOLDER"),
        (["ask", "{picture}", "what?", "--run", "{run}", "--model", "hf:x"], "not both"),
        (["ask", "nope.jpg", "what?", "--run", "{run}"], "there is no such picture"),
        (["ask", "{picture}", "what?", "--run", "{run}", "--mode", "rang"], "did you mean 'rank'"),
        (["search", "a", "--images", "nope", "--run", "{run}"], "there is no such folder"),
        (["search", "a", "--images", "{run}", "--run", "{run}"], "no picture lies in this folder"),
        (["search", "a", "--images", "{picture}", "--run", "{run}"], "a file where a folder"),
        (["search", "a", "--images", "{folder}", "--run", "nope"], "there is no such folder"),
    ],
)
def test_mistakes_are_one_message(trained, said, words, told):
    places = {"picture": trained.pictures[0], "run": trained.run, "folder": trained.pictures[0].parent}
    code, out, err = said(*(word.format(**places) for word in words))
    assert (code, out) == (2, "")
    assert told in err
