"""`vlzoo curves`: what a run logged, drawn in the terminal."""

from __future__ import annotations


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


def test_mistakes_are_said_with_a_remedy(trained):
    for args, said in (
        (["run", "-f", "itn"], "did you mean 'itm'"),
        (["runn"], "runn"),
    ):
        done = trained.run("curves", *args)
        assert done.code == 2 and said in done.err
