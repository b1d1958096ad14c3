"""One bench: what its key is made of, and what becomes of answers that only a server can judge."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vlzoo.bench import run
from vlzoo.bench.request import Request, check_request
from vlzoo.config.schema import PartRef
from vlzoo.errors import DataError, PredictionError


class Family:
    """Opens the engine it was given."""

    name = "given"

    def __init__(self, engine):
        self.engine = engine

    def check(self, place, task):
        pass

    def open(self, place, task, **_how):
        return self.engine

    def bench(self, place, task):
        return None


@pytest.fixture
def measure(engine_for, sources, tmp_path, monkeypatch):
    """Measures one task of the micro models."""

    asked_for: list[PartRef] = []

    def made(name, objectives, source=None, **asked):
        engine = engine_for(objectives, task=name)
        for room in ("vlzoo.bench.run", "vlzoo.bench.request"):
            monkeypatch.setattr(f"{room}.family_of", lambda _model: (Family(engine), "here"))
        monkeypatch.setattr(run, "source_of", lambda data, root: asked_for.append(data) or source or sources[name])
        request = Request(name, "given:here", tmp_path / "out", data=PartRef(part="scenes-vqa"), **asked)
        return run.measure(request, lambda _line: None)

    made.asked_for = asked_for
    return made


def test_the_key_follows_the_code_of_the_task_the_data_and_the_family(measure, monkeypatch):
    before = measure("vqa", {"answer": {}})
    assert measure("vqa", {"answer": {}}).folder == before.folder
    (file,) = before.folder.glob("score-*.json")
    kept = json.loads(file.read_text())
    assert kept["protocol"] == "official" and kept["opened"] == {"part": "scenes-vqa", "split": "test"}
    assert kept["opened"] == measure.asked_for[-1].model_dump()
    hashed, real = [], run.code_hash
    for changed in ("Vqa", "ScenesVqa", "Family"):
        monkeypatch.setattr(
            run, "code_hash", lambda makers, c=changed: real(makers) + c * (c in [type(m).__name__ for m in makers])
        )
        hashed.append(measure("vqa", {"answer": {}}).folder)
    assert len({before.folder, *hashed}) == 4


class Unanswered:
    """Questions of a server's split: their answers are not public."""

    def __init__(self, source):
        self.source, self.name = source, "unanswered/test"

    def __len__(self):
        return len(self.source)

    def __getitem__(self, row):
        return replace(self.source[row], answers=())

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def fingerprint(self):
        return "unanswered"


def test_unanswered_questions_are_predicted_for_their_server(measure, sources):
    source = Unanswered(sources["vqa"])
    with pytest.raises(DataError, match="no public answers"):
        measure("vqa", {"answer": {}}, source)
    made = measure("vqa", {"answer": {}}, source, submits=True)
    assert made.scored is None
    assert len(made.task.submission(made.source, made.rows)) == len(source)


def test_a_task_without_a_server_says_so_before_it_is_measured(measure, monkeypatch):
    monkeypatch.setattr("vlzoo.bench.request.family_of", lambda _model: (Family(None), "here"))
    with pytest.raises(PredictionError, match="nlvr2 has no server format"):
        check_request(Request("nlvr2", "given:here", submits=True))


def test_what_predictions_cost_is_noted_once(measure):
    folder = measure("vqa", {"answer": {}}).folder
    measure("vqa", {"answer": {}})  # finds them there
    (cost,) = map(json.loads, (folder / "costs.jsonl").read_text().splitlines())
    whole = len((folder / "shard-000.jsonl").read_text().splitlines())
    assert (cost["samples"], cost["process"], cost["processes"], cost["device"]) == (whole, 0, 1, "cpu")
    assert cost["seconds"] > 0 and cost["memory_gb"] > 0.05  # torch alone takes more
