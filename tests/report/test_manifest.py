"""Manifests: what a run notes is there, and what differs between runs is marked."""

import json

from vlzoo.report.manifest import manifest_of
from vlzoo.report.trained import Trained
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.run import Run

RECIPE = "# x, resolved by vlzoo 0\ntask: null\ntrain:\n  seed: {seed}\n  lr: 0.001\nobjectives: {{itc: {{}}}}\n{more}"

CARD = WeightsCard(
    "ALBEF, https://example.org", ("converted",), "pretrain", (), (384, 384), "BSD-3-Clause", {"a.pth": "00"}, 1, ()
)


def run_of(folder, seed=1, more="", **noted):
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE.format(seed=seed, more=more))
    (folder / "run.json").write_text(json.dumps({"seed": seed, "vlzoo": "0.1.0", **noted}))
    run = Run(folder)
    return Trained(folder.name, run, run.tree().data)


def test_all_that_a_run_notes_is_told(tmp_path):
    noted = {
        "recipe": "albef",
        "commit": "c0ffee",
        "command": ["vlzoo", "pretrain", "my recipe"],
        "parameters": 27970,
        "packages": {"torch": "2.9", "absent": None},
        "plugins": {"core": "vlzoo 0.1.0", "mine": "mine 3"},
        "parts": {"objective/mine": "mine 3"},
        "data": [{"name": "coco/train", "fingerprint": "f1", "samples": 12345, "licence": "CC0", "records": "aa"}],
        "platform": "Linux",
        "processor": "Fast 9000",
        "started_on": [{"name": "bert", "licence": "Apache-2.0"}],
    }
    trained = run_of(tmp_path / "a", **noted)
    for step in (40, 80):
        folder = trained.run.checkpoint_folder / f"step-{step:09d}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text("{}")
    for step, value in ((40, 71.25), (80, 70.0)):
        trained.run.log({"step": step, "validation/accuracy": value})
    trained.run.keep_card(CARD)
    found = manifest_of([trained])
    rows = {row["name"]: row["values"] for row in found["rows"]}
    assert rows["seed"] == ["1"] and rows["recipe"] == ["albef"] and rows["commit"] == ["c0ffee"]
    assert rows["command"] == ["vlzoo pretrain 'my recipe'"] and rows["parameters"] == ["27,970"]
    assert rows["torch"] == ["2.9"] and "absent" not in rows and rows["machine"] == ["Linux"]
    assert rows["processor"] == ["Fast 9000"]
    assert rows["plugins"] == ["vlzoo 0.1.0, mine 3"] and rows["supplies objective/mine"] == ["mine 3"]
    assert rows["trained on"] == ["coco/train, fingerprint f1, 12,345 samples, CC0"]
    assert rows["its start was trained on"] == ["bert, Apache-2.0"]
    assert rows["checkpoints"] == ["step 40, step 80"]
    assert rows["best by validation"] == ["step 40, accuracy 71.25"]
    assert rows["weights"] == ["ALBEF, https://example.org; licence: BSD-3-Clause"]
    assert found["recipe_rows"] == [] and "seed: 1" in found["recipes"][0]["text"]


def test_what_differs_is_marked_and_what_only_one_has_stands_alone(tmp_path):
    runs = [
        run_of(tmp_path / "a", 1),
        run_of(tmp_path / "b", 2, "bench: {k: 4}\nvalidation: null\n", cores=2),
    ]
    found = manifest_of(runs)
    rows = {row["name"]: (row["values"], row["differs"]) for row in found["rows"]}
    assert rows["seed"] == (["1", "2"], True) and rows["vlzoo"] == (["0.1.0", "0.1.0"], False)
    assert rows["cores"] == (["-", "2"], True)
    assert [(row["name"], row["values"]) for row in found["recipe_rows"]] == [
        ("bench.k", ["-", "4"]),
        ("train.seed", ["1", "2"]),
    ]


def test_a_run_that_notes_nothing_has_a_manifest_all_the_same(tmp_path):
    run = run_of(tmp_path / "a")
    (tmp_path / "a/run.json").unlink()
    assert manifest_of([run])["rows"]


def test_a_run_whose_notes_can_not_be_read_leaves_the_others_theirs(tmp_path):
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b")]
    (tmp_path / "b/run.json").write_text("{")
    found = manifest_of(runs)
    assert found["runs"] == ["a"] and found["recipe_rows"] == [] and len(found["recipes"]) == 1
    (said,) = found["why_not"]
    assert str(tmp_path / "b/run.json") in said
