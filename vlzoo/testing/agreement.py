"""What every agreement with official values keeps to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlzoo.agree.agreement import Agreement, Skipped, Uncovered
from vlzoo.agree.agreement import Check as Compared
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import


def compares_its_goldens(case: Case) -> None:
    """It knows its goldens from other files, and gives a result for each quantity, each called otherwise."""
    is_a(case, Agreement)
    agreement: Agreement = case.build()
    goldens: Iterable[Path] = case.given["goldens"]
    for golden in goldens:
        case.demand(agreement.reads(golden), f"does not read {golden.name}", "see `pattern` and `holds`", "reads")
        fix = "yield a Check, Uncovered or Skipped for every quantity"
        with case.blamed(f"can't compare {golden.name}", fix, "compare"):
            found = list(agreement.compare(golden))
        case.demand(bool(found), f"compares nothing of {golden.name}", fix, "compare")
        for each in found:
            right = isinstance(each, Compared | Uncovered | Skipped)
            case.demand(right, f"gives a {type(each).__name__} of {golden.name}", fix, "compare")
        names = [each.quantity for each in found]
        case.demand(len(set(names)) == len(names), f"names a quantity of {golden.name} twice", fix, "compare")
    with TemporaryDirectory() as folder:
        other = Path(folder, "no-golden-of-anybody.json")
        other.write_text('{"made by": "nobody"}', encoding="utf-8")
        fix = "narrow `pattern`, or set `holds` to a word that your goldens hold"
        case.demand(not agreement.reads(other), f"reads {other.name}", fix, "reads")


AGREEMENT: tuple[Check, ...] = (is_described, compares_its_goldens, does_no_work_at_import)


def check_agreement(part: Any, goldens: Iterable[Path], *, options: Mapping[str, Any] | None = None) -> None:
    """Check an agreement against all that agreements promise.

    Args:
        part: its registered name, or its class.
        goldens: files that it reads, one at least.
        options: for its constructor.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(AGREEMENT, Case.of("agreement", part, options, goldens=list(goldens)))
