"""`vlzoo curves`: what a run logged, drawn in the terminal."""

from __future__ import annotations

import json


def must(zoo, *args: str, **env: str) -> str:
    done = zoo.run("curves", *args, **env)
    assert done.code == 0, done.err
    return done.out


def test_losses_are_drawn_with_their_last_values(trained):
    said = must(trained, "run")
    titles = [line.strip() for line in said.splitlines() if line.strip() in ("itc", "itm", "mlm", "lr")]
    assert titles == ["itc", "itm", "mlm"]
    assert said.count("at step 10") == 3 and "\033[" not in said
    assert any("\u2801" <= letter <= "\u28ff" for letter in said)
    assert max(map(len, said.splitlines())) <= 110


def test_a_figure_that_is_named_and_a_narrow_window(trained):
    said = must(trained, "run", "-f", "lr", "--height", "4", COLUMNS="50")
    assert said.splitlines()[0].strip() == "lr" and "itc" not in said
    assert max(map(len, said.splitlines()[:-2])) <= 50


def test_several_runs_without_colours_are_drawn_one_after_the_other(trained, tmp_path):
    (tmp_path / "other").symlink_to(trained.folder / "run")
    said = must(trained, "run", str(tmp_path / "other"), "-f", "itc")
    assert "itc, run" in said and f"itc, {tmp_path / 'other'}" in said


def logged(zoo, name, *rows):
    """A run of the trained one's recipe with another log."""
    folder = zoo.folder / name
    folder.mkdir(exist_ok=True)
    for file in ("recipe.yaml", "run.json"):
        (folder / file).write_bytes((zoo.folder / "run" / file).read_bytes())
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_losses_of_streams_and_figures_of_validation_are_drawn_and_nothing_else(trained):
    figures = ["pairs/itc", "texts/itc", "pairs/temperature", "validation/TR R@1", "lr"]
    logged(trained, "streams", *({"step": step, **dict.fromkeys(figures, 1.0)} for step in (1, 2)))
    titles = [line.strip() for line in must(trained, "streams").splitlines() if line.strip() in figures]
    assert titles == ["pairs/itc", "texts/itc", "validation/TR R@1"]


def test_an_empty_log_is_said_whatever_is_asked_for(trained):
    logged(trained, "fresh")
    for args in (["fresh"], ["fresh", "-f", "itc"]):
        done = trained.run("curves", *args)
        assert done.code == 2 and "fresh: nothing was logged yet" in done.err and "figures: none" not in done.err


def test_a_run_of_a_plugin_that_is_not_there_any_more_is_drawn(trained):
    logged(trained, "gone", {"step": 1, "theirs": 1.0}, {"step": 2, "theirs": 0.5})
    recipe = trained.folder / "gone/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("objectives:", "objectives:\n  theirs: {of: absent}", 1))
    assert "theirs" in must(trained, "gone")


def test_mistakes_are_said_with_a_remedy(trained):
    for args, said in (
        (["run", "-f", "itn"], "did you mean 'itm'"),
        (["runn"], "runn"),
    ):
        done = trained.run("curves", *args)
        assert done.code == 2 and said in done.err
