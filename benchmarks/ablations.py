"""The ablation of a method: its rows, several seeds, two settings, with paired differences from the baseline.

    python benchmarks/ablations.py --suite softmask [--rows none,softmask,focal,mmda,all | --rows every]
        [--seeds 0,1,2] [--settings scenes,mixture] [--samples N] [--processes 2] [--resume] [--report]
    python benchmarks/ablations.py --suite xvlm [--rows full,without-objects,...] [--seeds 0,1,2] [--samples N] ...
    python benchmarks/ablations.py --suite vlmixer [--rows vinvl-unpaired,vlmixer,bert,paired | --rows every]
        [--detector annotations,torchvision] ...

Pre-trains the tiny recipe of every row and writes benchmarks/results/ablation_SUITE.json and .md. `softmask` measures
retrieval on held-out pictures and where the words' maps lie. `xvlm` fine-tunes every run for retrieval, VQA, NLVR2
and grounding on Scenes and measures these with their sum, beside the paper's rows. `vlmixer` pre-trains on pictures
of one half of Scenes and captions of the other, fine-tunes every run for retrieval, VQA and NLVR2 and measures these,
beside the paper's rows; each --detector makes its galleries once.

What is done is not done again: runs are kept under --out, keyed by recipe, seed, data and code, and each sample's
values beside the table (ablation_SUITE_SETTING.runs.json.gz), so that another machine goes on from there. Ctrl-C saves
and writes the table of what is in; --resume goes on; --report makes the table alone. Runs are ordered so that whatever
is done first says most. The mixture needs the folder of real data (--data); Scenes are generated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ablation import figures, kept, plots, table, tuned, tuned_table, vlmixer, xvlm
from ablation.plan import Job, Suite, plan
from ablation.pool import Pool
from ablation.settings import DETECTORS, NAMES, make_settings
from ablation.tuned import Look
from ablation.tuned_table import Words

from vlzoo.errors import UnknownName, VlzooError, did_you_mean
from vlzoo.files import write_text

RESULTS = Path(__file__).resolve().parent / "results"


class Kind(NamedTuple):
    """What a suite is carried out and told with.

    Attributes:
        make: from a folder of rows, a base and a length to the suite.
        summary: from its runs to figures.
        markdown: from figures and facts to a report.
        draw: from figures to pictures, beside the report.
    """

    make: Callable[[Path | None, str | None, int | None], Suite]
    summary: Callable[[Sequence[Job]], dict[str, Any]]
    markdown: Callable[[Mapping[str, Any], Mapping[str, Any]], str]
    draw: Callable[[Mapping[str, Any], Path], None]


def _tuned(make: Callable[[Path | None, str | None, int | None], Suite], look: Look, words: Words) -> Kind:
    summary, markdown = partial(tuned.summary, look=look), partial(tuned_table.markdown, look=look, words=words)
    return Kind(make, summary, markdown, partial(plots.draw_tuned, look=look))


SUITES = {
    "softmask": Kind(Suite.softmask, figures.summary, table.markdown, plots.draw_softmask),
    "xvlm": _tuned(Suite.xvlm, xvlm.LOOK, xvlm.WORDS),
    "vlmixer": _tuned(Suite.vlmixer, vlmixer.LOOK, vlmixer.WORDS),
}
IMAGES = 9000


def main() -> int:
    """Plan, train and measure what is not done, write the table.

    Exit code 1 where a run failed, 2 for a mistake on the command line, 130 when stopped.
    """
    given = _arguments()
    try:
        suite = replace(SUITES[given.suite].make(given.rows_folder, given.base, given.samples), code=given.code)
        names = _named(given.settings or ",".join(suite.settings), NAMES, "settings")
        if left := set(names) - set(suite.settings):
            raise VlzooError(
                f"--suite {suite.name} has no setting {min(left)!r}", fix=f"--settings {suite.settings[0]}"
            )
        detectors = _named(given.detector, list(DETECTORS), "detector")
        settings = make_settings(names, given.out, given.data, given.images, detectors)
        rows = suite.rows(given.rows or ",".join(suite.first))
        jobs = plan(suite, rows, _numbers(given.seeds), settings, given.out)
        return _carry_out(given, suite, jobs)
    except VlzooError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(SUITES), default="softmask")
    parser.add_argument("--rows", help="names, or `every`; the baseline is always run")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--settings", help="of softmask scenes,mixture; of xvlm scenes; of vlmixer unpaired")
    parser.add_argument(
        "--detector",
        default="annotations",
        help="of vlmixer: annotations, torchvision, or both with a comma; annotations takes true boxes, torchvision "
        "is fitted to Scenes first (5 minutes)",
    )
    parser.add_argument("--samples", type=int, help="length of a run: pictures with captions")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of real data")
    parser.add_argument("--images", type=int, default=IMAGES, help="scenes to generate")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time; one thread each where 2 or more")
    parser.add_argument("--resume", action="store_true", help="go on with runs that were stopped")
    parser.add_argument("--report", action="store_true", help="only rebuild the table from what is done")
    parser.add_argument(
        "--code",
        default=kept.code_at_hand(),
        help="take runs of this code for ours, as a table names it; %(default)s: the code at hand",
    )
    parser.add_argument("--rows-folder", type=Path, help="other rows; zoo_configs/ablations/SUITE")
    parser.add_argument("--base", help="what the rows extend; softmaskpp-tiny, xvlm-tiny, vlmixer-tiny")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table goes")
    return parser.parse_args()


def _named(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise UnknownName(f"no {what} called {name!r}", fix=did_you_mean(name, known, what=what))
    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise VlzooError(f"--seeds {text!r} are no whole numbers", fix="write --seeds 0,1,2") from None


def _carry_out(given: argparse.Namespace, suite: Suite, jobs: Sequence[Job]) -> int:
    """Run what is left unless only the table is wanted, then write it, whatever happened."""
    for setting, of_setting in _by_setting(jobs).items():
        kept.restore(of_setting, kept.file_of(given.results, suite.name, setting))
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
        _report(given, suite, jobs)
    return code


def _other_code(given: argparse.Namespace, suite: Suite, jobs: Sequence[Job]) -> str:
    """Which codes the runs are of that are kept and were not taken."""
    files = [kept.file_of(given.results, suite.name, setting) for setting in _by_setting(jobs)]
    known = sorted({code for file in files for code in kept.codes(file)} - {given.code})
    return f"; runs are kept of other code, or were made otherwise: --code {known[0]}" if known else ""


def _by_setting(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    held: dict[str, list[Job]] = {}
    for job in jobs:
        held.setdefault(job.setting.name, []).append(job)
    return held


def _report(given: argparse.Namespace, suite: Suite, jobs: Sequence[Job]) -> None:
    _, summary, markdown, draw = SUITES[suite.name]
    found = summary(jobs)
    if not found["runs"]:
        print(f"no run is done: no table{_other_code(given, suite, jobs)}", flush=True)
        return
    for setting, of_setting in _by_setting(jobs).items():
        kept.keep(of_setting, kept.file_of(given.results, suite.name, setting))
    about = {
        "suite": suite.name,
        "base": suite.base,
        "rows": str(given.rows_folder or f"zoo_configs/ablations/{suite.name}"),
        "samples": suite.samples,
        "k": suite.k,
        "pools": suite.pools,
        "command": shlex.join(["python", "benchmarks/ablations.py", *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} cores {platform.machine()}, {given.processes} runs at a time",
    }
    file = given.results / f"ablation_{suite.name}"
    write_text(file.with_suffix(".json"), json.dumps({"about": about, **found}, indent=1) + "\n")
    write_text(file.with_suffix(".md"), markdown(found, about))
    draw(found, file)
    print(f"{len(found['runs'])} of {len(jobs)} runs are in {file}.md and .json", flush=True)


if __name__ == "__main__":
    sys.exit(main())
