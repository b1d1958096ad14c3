import gzip
import json

import pytest

from vlzoo.agree.agreement import Agreement, Check, Skipped, Uncovered
from vlzoo.agree.run import discover, load_agreements, run
from vlzoo.door.parts import Owner, Part
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError

OWNER = Owner("vlzoo-novel", "0.1", "novel")


class Novel(Agreement):
    """Gives what a test put into `results`; raises what is an exception."""

    pattern = "novel_*.json"
    results = ()

    def compare(self, path):
        """The results of the test."""
        for each in self.results:
            if isinstance(each, Exception):
                raise each
            yield each


class Other(Novel):
    """A second one that reads the same goldens."""


class Unfinished(Agreement):
    """Compares nothing."""

    pattern = "*"


class Strange:
    """No agreement."""


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Register these agreements alone, beside a golden `novel_a.json`; the class attribute `results` is put back."""

    def register(*kinds, results=()):
        for kind in kinds:
            monkeypatch.setattr(kind, "results", results, raising=False)
        parts = [Part("agreement", kind.__name__.lower(), f"{__name__}:{kind.__name__}", "", OWNER) for kind in kinds]
        by_target = {part.target: kind for part, kind in zip(parts, kinds, strict=True)}
        monkeypatch.setattr(Part, "load", lambda part: by_target[part.target])
        monkeypatch.setattr(type(registry()), "of", lambda _, kind: parts)
        (tmp_path / "novel_a.json").write_text("{}")
        return tmp_path

    return register


def test_gzip_and_any_name(tmp_path):
    case = {"answers": ["a", "b"], "prediction": "c", "official": 0, "albef_2021": 0, "always_normalised": 0}
    (tmp_path / "other.json.gz").write_bytes(gzip.compress(json.dumps({"cases": [case]}).encode()))
    assert len(run(tmp_path).checks) == 3


def test_the_fixtures_beside_the_goldens_are_found(tmp_path):
    goldens, fixtures = tmp_path / "goldens", tmp_path / "data" / "eval_fixtures"
    goldens.mkdir()
    fixtures.mkdir(parents=True)
    (fixtures / "README.txt").write_text("NLVR2 dev alltrue accuracy 0.5 consistency 0\n")
    agreements, _ = load_agreements(registry().of("agreement"))
    assert [found.path.name for found in discover(goldens, agreements)] == ["README.txt"]


def test_models_are_not_run_for_nothing(use):
    folder = use(Novel, results=[RuntimeError("it ran")])
    with pytest.raises(DataError, match="nothing matches"):
        run(folder, "vqa/*")
    for only in ("novel_a/*", "*loss*"):
        (error,) = run(folder, only).errors
        assert "RuntimeError: it ran" in str(error)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Check("novel_a/x", 0.0, 0.0), 0),
        (Check("novel_a/x", 0.5, 0.1), 1),
        (Uncovered("novel_a/x", "nothing here computes it"), 1),
        (Skipped("novel_a/x", "its package is not installed"), 0),
        (DataError("broken"), 2),
    ],
)
def test_what_counts(use, result, code):
    assert run(use(Novel, results=[result])).exit_code == code


def test_an_exception_lets_pass_what_is_uncovered_and_no_miss(use):
    folder = use(Novel, results=[Uncovered("novel_a/x", "why"), Check("novel_a/y", 0.0, 0.0)])
    for pattern in ("novel_*", "novel_a.json", "*/x"):
        found = run(folder, excepted=["*/y", pattern])
        ((golden, passed),) = found.excepted
        assert (golden, passed.uncovered.quantity, passed.pattern) == ("novel_a.json", "novel_a/x", pattern)
        assert found.exit_code == 0 and len(found.checks) == 1
    use(Novel, results=[Check("novel_a/y", 1.0, 0.0)])
    assert run(folder, excepted=["novel_*"]).exit_code == 1


def test_an_exception_that_fits_nothing_is_misspelt(use):
    found = run(use(Novel, results=[Uncovered("novel_a/x", "why")]), excepted=["novle_a/*"])
    assert "--except 'novle_a/*' fits no golden and no quantity\n  -> did you mean 'novel_a/x'?" in str(found.errors[0])
    assert found.exit_code == 2


def test_what_another_agreement_compares_is_covered(use, monkeypatch):
    folder = use(Novel, Other, results=[Uncovered("novel_a/x", "why")])
    assert run(folder).exit_code == 1
    monkeypatch.setattr(Other, "results", [Check("novel_a/x", 0.0, 0.0)])
    assert run(folder).uncovered == () and run(folder).exit_code == 0


def test_a_golden_of_which_nothing_was_compared_is_uncovered(use):
    ((golden, row),) = run(use(Novel)).uncovered
    assert (golden, row.quantity) == ("novel_a.json", "novel_a") and "vlzoo-novel:novel compared nothing" in row.why


def test_an_agreement_that_breaks_leaves_the_others(use, monkeypatch):
    """Its error names it, its owner and the line where it stopped."""
    folder = use(Novel, Other, Unfinished, Strange, results=[Check("novel_a/x", 0.0, 0.0)])
    monkeypatch.setattr(Other, "results", [ValueError("no shape")])
    found = run(folder)
    assert len(found.checks) == 1 and found.exit_code == 2
    said = [str(error) for error in found.errors]
    assert sum("is no agreement" in each and "vlzoo-novel 0.1" in each for each in said) == 2
    assert any("agreement vlzoo-novel:other failed: ValueError: no shape" in e and "test_run.py:" in e for e in said)
    monkeypatch.setattr(Other, "results", [3])
    assert any("gave 3" in str(error) for error in run(folder).errors)
