"""Every ALBEF golden agrees, and a golden that was tampered with does not."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlzoo.agree.run import run

NAMES = ("misc", "pretrain", "retrieval", "retrieval_eval", "vqa", "nlvr", "nlvr_pretrain", "ve")


@pytest.fixture(scope="module")
def reports(shared):
    """The report of each golden, made once."""
    made = {}

    def report(name: str):
        if name not in made:
            made[name] = run(shared / "goldens" / f"albef_{name}.json")
        return made[name]

    return report


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_agrees(reports, name):
    """Tolerances: ALBEF_XVLM.md, section 11."""
    report = reports(name)
    assert report.errors == ()
    assert [f"{check.quantity}: {check.difference}" for _, check in report.checks if not check.ok] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_official_code_gave_is_left_out(reports, name, shared):
    """All outputs, losses, gradients and after-values of the files are compared; recalls decided by ties can't be."""
    assert reports(name).uncovered == () and reports(name).exit_code == 0
    assert all(row.quantity.startswith("recall/") for _, row in reports(name).skipped)


def test_full_size_names_all_have_a_place(shared, tmp_path):
    source = shared / "goldens" / "keys_albef_pretrain_base_res128.json"
    assert [check.difference for _, check in run(source).checks] == [0, 0]
    strange = json.loads(source.read_text(encoding="utf-8")) | {"new_head.weight": [2, 768]}
    file = tmp_path / source.name
    file.write_text(json.dumps(strange), encoding="utf-8")
    (tmp_path / "INDEX.json").write_text("{}", encoding="utf-8")
    assert [check.difference for _, check in run(file).checks] == [1, 0]


def test_every_loss_of_the_file_is_a_row(reports, shared):
    scalars = json.loads((shared / "goldens" / "albef_pretrain.json").read_text(encoding="utf-8"))["scalars"]
    rows = {check.quantity.removeprefix("albef_pretrain/") for _, check in reports("pretrain").checks}
    assert {name for name in scalars if not name.endswith("/alpha")} <= rows


def changed(shared, folder, name: str, tensors=None, about=None):
    """A copy of a golden in which some values were changed."""
    source = shared / "goldens" / f"albef_{name}"
    held = load_file(source.with_suffix(".safetensors"))
    facts = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
    (tensors or (lambda _: None))(held)
    (about or (lambda _: None))(facts)
    save_file(held, folder / f"albef_{name}.safetensors")
    file = folder / f"albef_{name}.json"
    file.write_text(json.dumps(facts), encoding="utf-8")
    return file


def misses(report) -> list[str]:
    return [check.quantity for _, check in report.checks if not check.ok]


def test_a_changed_weight_is_noticed(shared, tmp_path):
    def change(held):
        held["state/text_encoder.encoder.layer.2.crossattention.self.value.weight"][0, 0] += 0.05

    missed = misses(run(changed(shared, tmp_path, "ve", tensors=change)))
    assert "albef_ve/eval/out/prediction" in missed
    assert any(quantity.endswith("/gradient norms") for quantity in missed)


def test_a_changed_loss_is_noticed(shared, tmp_path):
    def change(facts):
        facts["scalars"]["alpha0.4/loss"] += 1e-3

    assert misses(run(changed(shared, tmp_path, "ve", about=change))) == ["albef_ve/alpha0.4/loss"]


def test_a_changed_rate_is_noticed(shared, tmp_path):
    def change(facts):
        facts["schedules"]["vqa"]["lr_at_iter_0_100_200.."][1] *= 1.01

    assert misses(run(changed(shared, tmp_path, "misc", about=change))) == ["albef_misc/schedules/vqa"]


def test_what_is_not_compared_is_said(shared, tmp_path):
    def change(held):
        held["eval/out/something_else#0"] = torch.zeros(2)

    def add(facts):
        facts["scalars"] |= {"eval/loss": 0.5, "eval/alpha": 0.4}

    report = run(changed(shared, tmp_path, "ve", tensors=change, about=add))
    left = ["albef_ve/eval/out/something_else#0", "albef_ve/eval/loss"]
    assert [row.quantity for _, row in report.uncovered] == left
    assert report.misses == 0 and report.exit_code == 1


def test_a_missing_file_of_tensors_is_an_error(shared, tmp_path):
    shutil.copy(shared / "goldens" / "albef_ve.json", tmp_path)
    (error,) = run(tmp_path / "albef_ve.json").errors
    assert "tensors" in str(error)
