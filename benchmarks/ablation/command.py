"""What the command lines of suites share: arguments, and carrying out what is not done with a table at the end."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ablation import kept
from ablation.plan import Job
from ablation.pool import Pool
from vlzoo.errors import UnknownName, VlzooError, did_you_mean

RESULTS = Path(__file__).resolve().parents[1] / "results"
IMAGES = 9000


def add_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Seeds, data, places, and how the work is done.

    Args:
        parser: gets them.
        out: where runs go where nobody says.
    """
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--images", type=int, default=IMAGES, help="scenes to generate")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time; one thread each where 2 or more")
    parser.add_argument("--resume", action="store_true", help="go on with runs that were stopped")
    parser.add_argument("--report", action="store_true", help="only rebuild the table from what is done")
    parser.add_argument(
        "--code",
        default=kept.code_at_hand(),
        help="take runs of this code for ours, as a table names it; %(default)s: the code at hand",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table goes")


def named(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    """Names with commas between.

    Raises:
        UnknownName: one of them is none of the known ones.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise UnknownName(f"no {what} called {name!r}", fix=did_you_mean(name, known, what=what))
    return names


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between.

    Raises:
        VlzooError: they are none.
    """
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise VlzooError(f"--seeds {text!r} are no whole numbers", fix="write --seeds 0,1,2") from None


def exit_code(work: Callable[[], int]) -> int:
    """What some work gives; 2 for a mistake that its user can mend, which is told, 130 when stopped."""
    try:
        return work()
    except VlzooError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def about(given: argparse.Namespace, script: str) -> dict[str, str]:
    """The command, but for where its files lie and whether it trains, and the machine at hand."""
    return {
        "command": shlex.join(["python", f"benchmarks/{script}", *decisive(sys.argv[1:])]),
        "machine": f"{os.cpu_count()} cores {platform.machine()}, {given.processes} runs at a time",
    }


def decisive(words: Sequence[str]) -> list[str]:
    """What of a command line decides the figures: a result names no folder of somebody's machine."""
    left_out = argparse.ArgumentParser(add_help=False)
    for place in ("--out", "--results", "--data"):
        left_out.add_argument(place)
    for way in ("--resume", "--report"):
        left_out.add_argument(way, action="store_true")
    return left_out.parse_known_args(words)[1]


def carry_out(
    given: argparse.Namespace,
    jobs: Sequence[Job],
    place_of: Callable[[Job], Path],
    write: Callable[[Path, Sequence[Job]], None],
) -> int:
    """Run what is left unless only tables are wanted, then write them and keep what is done, whatever happened.

    Args:
        given: what `add_arguments` asks for.
        jobs: the runs, in order.
        place_of: the table that a run stands in: its file, without the endings.
        write: writes the table of some runs.

    Returns:
        The exit code: 1 where a run failed, 130 when stopped.

    Raises:
        VlzooError: runs were stopped half-way, and nobody said what is to become of them; or a file can't be read.
    """
    places: dict[Path, list[Job]] = {}
    for job in jobs:
        places.setdefault(place_of(job), []).append(job)
    for place, held in places.items():
        kept.restore(held, kept.beside(place))
    left, begun = [job for job in jobs if not job.done], [job for job in jobs if job.begun]
    print(f"{len(jobs)} runs, {len(jobs) - len(left)} done before", flush=True)
    if begun and not (given.resume or given.report):
        raise VlzooError(
            f"{len(begun)} runs were stopped half-way ({begun[0].name})",
            where=str(given.out),
            fix="--resume goes on with them; --report makes the table of what is done",
        )
    code, pool = 0, Pool(given.processes, lambda line: print(line, flush=True))
    try:
        if not given.report:
            pool.carry_out(jobs)
            code = 1 if pool.failed else 0
    except KeyboardInterrupt:
        code = 130
    finally:
        for place, held in places.items():
            _report(given, place, held, write)
    return code


def _report(
    given: argparse.Namespace, place: Path, jobs: Sequence[Job], write: Callable[[Path, Sequence[Job]], None]
) -> None:
    """The table first: a file of runs that has grown too large must not cost it."""
    file, done = kept.beside(place), sum(job.done for job in jobs)
    if not done:
        known = sorted(kept.codes(file) - {given.code})
        other = f"; runs are kept of other code, or were made otherwise: --code {known[0]}" if known else ""
        print(f"no run is done: no table{other}", flush=True)
        return
    write(place, jobs)
    print(f"{done} of {len(jobs)} runs are in {place}.md and .json", flush=True)
    kept.keep(jobs, file)
