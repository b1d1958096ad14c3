"""Find goldens, compare each by the agreements that read it, and gather the results."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Check, Result, Skipped, Uncovered, name_of
from vlzoo.door.parts import Part
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, PluginError, UnknownName, VlzooError, did_you_mean

_INDEX = "INDEX.json"


@dataclass(frozen=True)
class Found:
    """A golden and the agreements that read it, by their qualified names; none where nobody knows it."""

    path: Path
    agreements: Mapping[str, Agreement]


@dataclass(frozen=True)
class Excepted:
    """What nothing covers and the caller lets pass, with the pattern that says so."""

    uncovered: Uncovered
    pattern: str


@dataclass(frozen=True)
class Comparison:
    """What came of a run; each result with its golden's file name, in the order of the files.

    Attributes:
        checks: what was compared.
        uncovered: what nothing here compares.
        excepted: likewise, but let pass.
        skipped: what can't be compared, which does not count.
        errors: goldens that could not be read, agreements that did not load, exceptions that fit nothing.
    """

    checks: tuple[tuple[str, Check], ...]
    uncovered: tuple[tuple[str, Uncovered], ...]
    excepted: tuple[tuple[str, Excepted], ...]
    skipped: tuple[tuple[str, Skipped], ...]
    errors: tuple[VlzooError, ...]

    @property
    def misses(self) -> int:
        """How many quantities differ by more than their tolerance."""
        return sum(not check.ok for _, check in self.checks)

    @property
    def exit_code(self) -> int:
        """2 where there are errors, 1 where a quantity misses or is not covered, else 0."""
        return 2 if self.errors else int(self.misses > 0 or bool(self.uncovered))


def run(path: Path, only: str = "*", excepted: Sequence[str] = ()) -> Comparison:
    """Compare every golden under a folder, or one file.

    Args:
        path: folder or file. A folder's `../data/eval_fixtures` counts as under it, too.
        only: pattern on a quantity or on a golden's file name.
        excepted: patterns on goldens or quantities that may stay uncovered. A quantity that misses can't be excepted.

    Raises:
        DataError: no such path, or nothing there that is a golden.
    """
    agreements, errors = load_agreements(registry().of("agreement"))
    goldens = list(discover(path, agreements))
    if not goldens:
        patterns = ", ".join(sorted({each.pattern for each in agreements.values()}))
        fix = f"goldens are NAME.json with NAME.safetensors, or what an agreement reads by name and content: {patterns}"
        raise DataError("no golden here", where=str(path), fix=f"{fix}; `vlzoo list agreement` says of what")
    results: list[tuple[str, Result]] = []
    for golden in goldens:
        found, failed = _compare(golden, only)
        results += [(golden.path.name, each) for each in found if _fits(only, golden.path.name, each.quantity)]
        errors += failed
    if not (results or errors):
        raise DataError(f"nothing matches --only {only!r}", where=str(path), fix="see the quantities without --only")
    if not errors:  # what could not be read may hold what an exception is for
        errors += _idle(excepted, [golden.path.name for golden in goldens], results)
    return _sort(results, excepted, errors)


def load_agreements(parts: Iterable[Part]) -> tuple[dict[str, Agreement], list[VlzooError]]:
    """Agreements by qualified name, and why some could not be made: one that is broken leaves the others."""
    made: dict[str, Agreement] = {}
    errors: list[VlzooError] = []
    for part in parts:
        try:
            made[part.qualified] = _made_from(part)
        except VlzooError as error:
            errors.append(error)
    return made, errors


def _made_from(part: Part) -> Agreement:
    kind = part.load()
    whole = isinstance(kind, type) and issubclass(kind, Agreement) and isinstance(getattr(kind, "pattern", None), str)
    if not whole or getattr(kind, "__abstractmethods__", None):
        raise PluginError(
            f"agreement {part.name!r}: {part.target!r} is no agreement",
            where=str(part.owner),
            fix="derive it from vlzoo.agree.agreement.Agreement and give it a pattern and compare(path)",
        )
    try:
        made: Agreement = kind()
    except Exception as error:
        raise PluginError(
            f"agreement {part.name!r}: {error!r}", where=str(part.owner), fix="tell its author"
        ) from error
    return made


def discover(path: Path, agreements: Mapping[str, Agreement]) -> Iterator[Found]:
    """The goldens at a path, sorted by name.

    Raises:
        DataError: no such path, or a file there that can't be read.
    """
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        beside = path.resolve().parent / "data" / "eval_fixtures" / "README.txt"
        if beside.is_file() and not any(file.name == beside.name and _readers(file, agreements) for file in files):
            files.append(beside)
    else:
        raise DataError("no such file or folder", where=str(path))
    for file in files:
        readers = _readers(file, agreements)
        if readers or _looks_golden(file):
            yield Found(file, readers)


def _readers(file: Path, agreements: Mapping[str, Agreement]) -> dict[str, Agreement]:
    return {name: agreement for name, agreement in agreements.items() if agreement.reads(file)}


def _looks_golden(file: Path) -> bool:
    """A json with tensors of its name beside it, or one in a folder with an index."""
    if not file.name.removesuffix(".gz").endswith(".json") or file.name == _INDEX:
        return False
    return file.with_suffix(".safetensors").is_file() or (file.parent / _INDEX).is_file()


def _compare(golden: Found, only: str) -> tuple[list[Result], list[VlzooError]]:
    """All that its agreements give, but for what is uncovered to one and compared by another."""
    name = name_of(golden.path)
    asked = {key: each for key, each in golden.agreements.items() if _may_give(golden.path, each, only)}
    results: list[Result] = []
    errors: list[VlzooError] = []
    for key, agreement in asked.items():
        try:
            results += _results(key, agreement, golden.path)
        except VlzooError as error:
            errors.append(error)
    if not golden.agreements:
        results.append(Uncovered(name, "no agreement reads this kind of golden"))
    elif asked and not (results or errors):
        results.append(Uncovered(name, f"{' and '.join(asked)} compared nothing of it"))
    checked = {each.quantity for each in results if isinstance(each, Check)}
    return [each for each in results if not (isinstance(each, Uncovered) and each.quantity in checked)], errors


def _results(name: str, agreement: Agreement, golden: Path) -> list[Result]:
    try:
        results = list(agreement.compare(golden))
    except VlzooError:
        raise
    except Exception as error:  # whatever a stranger's code raises, the other goldens are compared
        last = traceback.extract_tb(error.__traceback__)[-1]
        shape = isinstance(error, KeyError | TypeError | AttributeError | IndexError)
        what = "not a golden of this kind" if shape else f"agreement {name} failed"
        at = f"{name} stopped at {Path(last.filename).name}:{last.lineno}"
        raise DataError(f"{what}: {type(error).__name__}: {error}", where=str(golden), fix=at) from error
    for each in results:
        if not isinstance(each, Result):
            raise PluginError(f"agreement {name} gave {each!r}", fix="give Check, Uncovered or Skipped, of vlzoo.agree")
    return results


def _may_give(golden: Path, agreement: Agreement, only: str) -> bool:
    """Whether a golden can give a quantity that fits: models are not run for nothing."""
    prefix = agreement.prefix or f"{name_of(golden)}/"
    literal = re.split(r"[*?[]", only, maxsplit=1)[0]
    return _fits(only, golden.name) or literal.startswith(prefix) or prefix.startswith(literal)


def _fits(pattern: str, *names: str) -> bool:
    """Whether a pattern fits one of the names; it may leave out a file's suffix."""
    return any(fnmatch(name, pattern) or fnmatch(name.split(".")[0], pattern) for name in names)


def _idle(
    excepted: Sequence[str], goldens: Sequence[str], results: Sequence[tuple[str, Result]]
) -> Iterator[VlzooError]:
    """An error for each exception that fits no golden and no quantity: it is misspelt."""
    open_ = [each.quantity for _, each in results if isinstance(each, Uncovered)]
    for pattern in excepted:
        if not _fits(pattern, *goldens, *(each.quantity for _, each in results)):
            fix = did_you_mean(pattern, open_, what="not covered")
            yield UnknownName(f"--except {pattern!r} fits no golden and no quantity", fix=fix)


def _sort(results: Iterable[tuple[str, Result]], excepted: Sequence[str], errors: Iterable[VlzooError]) -> Comparison:
    checks, uncovered, let_pass, skipped = [], [], [], []
    for golden, each in results:
        if isinstance(each, Check):
            checks.append((golden, each))
        elif isinstance(each, Skipped):
            skipped.append((golden, each))
        elif patterns := [pattern for pattern in excepted if _fits(pattern, golden, each.quantity)]:
            let_pass.append((golden, Excepted(each, patterns[0])))
        else:
            uncovered.append((golden, each))
    return Comparison(tuple(checks), tuple(uncovered), tuple(let_pass), tuple(skipped), tuple(errors))
