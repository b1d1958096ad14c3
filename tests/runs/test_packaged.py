"""Which folder is meant where a run is named, and copies of what packages carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlzoo.errors import CheckpointError
from vlzoo.runs.packaged import carriers, packaged, place_of_finetuning, run_folder
from vlzoo.runs.run import Run


@pytest.fixture
def site(tmp_path, monkeypatch, request):
    """A distribution with one run of two files; its module has a name of its own in each test."""
    name = f"carries_{abs(hash(request.node.name))}"
    runs = tmp_path / "site" / name / "runs"
    (runs / "one/tokenizer").mkdir(parents=True)
    (runs.parent / "__init__.py").touch()
    (runs / "one/recipe.yaml").write_text("# one\n")
    (runs / "one/tokenizer/vocab.txt").write_text("[PAD]\n")
    (runs / "notes").mkdir()  # no run
    about = tmp_path / "site/Small_Runs-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Small_Runs\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[vlzoo.runs]\na = {name}\nb = {name}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runs


def test_a_path_is_itself(tmp_path):
    assert run_folder("runs/a") == Path("runs/a") and run_folder(tmp_path) == tmp_path


def test_a_run_of_a_package_is_copied_once_and_its_name_needs_no_spelling(site, tmp_path):
    assert "Small_Runs" in carriers()
    assert [(run.reference, run.version) for run in packaged("small-runs")] == [("package:Small_Runs/one", "1.2")]
    first = run_folder("package:small-runs/one")
    assert (first / "tokenizer/vocab.txt").read_text() == "[PAD]\n"
    assert first.name == "one" and first.is_relative_to(tmp_path / "cache")
    (first / "mark").touch()
    assert run_folder("package:Small_Runs/one") == first and (first / "mark").exists()
    assert run_folder("package:small-runs/one/finetune/vqa") == first / "finetune/vqa"


def test_another_content_is_another_copy(site):
    first = run_folder("package:small-runs/one")
    (site / "one/recipe.yaml").write_text("# another\n")
    second = run_folder("package:small-runs/one")
    assert second != first and (second / "recipe.yaml").read_text() == "# another\n"


def test_a_folder_of_that_very_name_wins(site, tmp_path):
    (tmp_path / "package:small-runs/one").mkdir(parents=True)
    assert run_folder("package:small-runs/one") == Path("package:small-runs/one")


def test_a_cache_that_can_t_be_written_is_told(site, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"can't be written: Not a directory\n  -> set VLZOO_CACHE_DIR"):
        run_folder("package:small-runs/one")


def test_a_module_that_is_gone_names_its_package(site):
    site.parent.joinpath("__init__.py").write_text("import a_package_nobody_has\n")
    with pytest.raises(
        CheckpointError, match=r"Small_Runs 1.2: .*a_package_nobody_has'\n  -> install Small_Runs again"
    ):
        run_folder("package:small-runs/one")


def test_a_fine_tuning_goes_into_its_run_but_not_into_the_cache(site, tmp_path):
    assert place_of_finetuning(Run(tmp_path / "a"), "vqa", None) == tmp_path / "a/finetune/vqa"
    cached = Run(run_folder("package:small-runs/one"))
    assert place_of_finetuning(cached, "vqa", tmp_path / "b") == tmp_path / "b"
    with pytest.raises(CheckpointError, match=r"a training is more than that\n  -> .*--out runs/vqa"):
        place_of_finetuning(cached, "vqa", None)
