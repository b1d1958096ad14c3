"""Completion by the shell, as bash asks for it."""

from __future__ import annotations

import pytest


def complete(world, line: str) -> list[str]:
    """What bash is offered for the last word."""
    words = line.split(" ")
    env = {"_VLZOO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = world.python("-X", "importtime", "-m", "vlzoo", **env)
    assert " torch" not in done.stderr and "Traceback" not in done.stderr and "vlzoo:" not in done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vlzoo li", ["plain,list"]),
        ("vlzoo list fus", ["plain,fusion"]),
        ("vlzoo show cross", ["plain,cross_attention"]),
        ("vlzoo check albef-t", ["plain,albef-tiny"]),
        ("vlzoo check albef tasks/vqa-c", ["plain,tasks/vqa-classify"]),
        ("vlzoo check ./my", ["file,./my"]),
        ("vlzoo pretrain albef-t", ["plain,albef-tiny"]),
        ("vlzoo bench vqa retr", ["plain,retrieval"]),
        ("vlzoo score snli", ["plain,snli-ve"]),
        ("vlzoo finetune vqa --recipe tasks/vqa-c", ["plain,tasks/vqa-classify"]),
        ("vlzoo check albef --with it", ["plain,itc", "plain,itm"]),
        ("vlzoo data show flickr30k-a", ["plain,flickr30k-albef"]),
        ("vlzoo weights convert al", ["plain,albef"]),
        ("vlzoo explain a.png --lay", ["plain,--layer"]),
        ("vlzoo new text", ["plain,text_encoder"]),
        ("vlzoo nonsense x", []),
    ],
)
def test_names_are_completed(world, line, offered):
    assert complete(world, line) == offered


def test_a_plugins_parts_are_completed(world):
    world.dist("vlzoo-x")
    assert complete(world, "vlzoo show trimmed") == ["plain,trimmed-itc"]


def test_runs_of_packages_are_completed_where_a_run_is_named(world):
    world.dist("vlzoo-toys", points="[vlzoo.runs]\ntoys = toys\n")
    world.write("toys/__init__.py", "")
    world.write("toys/runs/one/recipe.yaml", "# one\n")
    for words in ("explain a.png --run", "finetune vqa --from", "weights show", "bench vqa --run"):
        assert complete(world, f"vlzoo {words} package:vlzoo-to") == ["plain,package:vlzoo-toys/one"]
    assert complete(world, "vlzoo explain a.png --run runs/a") == ["file,runs/a"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(world, shell):
    assert "_VLZOO_COMPLETE" in world.python("-m", "vlzoo", _VLZOO_COMPLETE=f"{shell}_source").stdout
