"""The ablation of a method: its rows, several seeds, with paired differences from the baseline.

    python benchmarks/ablations.py --suite softmask [--rows none,softmask,focal,mmda,all | --rows every]
        [--seeds 0,1,2] [--settings few,few-mixture] [--samples N] [--processes 2] [--resume] [--report]
    python benchmarks/ablations.py --suite xvlm [--rows full,without-objects,...] [--seeds 0,1,2] [--samples N] ...
    python benchmarks/ablations.py --suite vlmixer [--rows vinvl-unpaired,vlmixer,bert,paired | --rows every]
        [--settings unpaired,real] [--detector annotations,torchvision,ssd,nanodet] ...

Pre-trains the tiny recipe of every row and writes benchmarks/results/ablation_SUITE.json and .md.

`softmask` measures retrieval and where the words' maps lie: after many epochs of few pairs (settings few, few-mixture),
where what was trained on is measured beside what was held out, or after whole corpora seen about once (scenes,
mixture). `xvlm` fine-tunes every run for retrieval, VQA, NLVR2 and grounding on Scenes and measures these with their
sum, beside the paper's rows. `vlmixer` pre-trains on pictures of one half of Scenes and captions of the other
(setting unpaired), fine-tunes every run for retrieval, VQA and NLVR2 and measures these, beside the paper's rows; or on
photos of coco_mini and texts of openclipart (setting real), and measures retrieval of photos that nothing was trained
on. Each --detector makes its galleries once, and is a setting of its own.

What is done is not done again: runs are kept under --out, keyed by recipe, seed, data and code, and each sample's
values beside the table (ablation_SUITE_SETTING.runs.json.gz), so that another machine goes on from there. Ctrl-C saves
and writes the table of what is in; --resume goes on; --report makes the table alone. Runs are ordered so that whatever
is done first says most. Settings mixture and real need the folder of real data (--data), and real `vlzoo[mini]`; Scenes
are generated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ablation import figures, plots, table, tuned, tuned_table, vlmixer, xvlm
from ablation.command import about, add_arguments, carry_out, exit_code, named, numbers
from ablation.galleries import DETECTORS
from ablation.plan import Job, Suite, plan
from ablation.settings import NAMES, make_settings
from ablation.tuned import Look
from ablation.tuned_table import Words

from vlzoo.errors import VlzooError
from vlzoo.files import write_text


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


def main() -> int:
    """Plan, train and measure what is not done, write the table.

    Exit code 1 where a run failed, 2 for a mistake on the command line, 130 when stopped.
    """
    given = _arguments()
    return exit_code(lambda: _work(given))


def _work(given: argparse.Namespace) -> int:
    suite = replace(SUITES[given.suite].make(given.rows_folder, given.base, given.samples), code=given.code)
    names = named(given.settings or suite.settings[0], NAMES, "settings")
    if left := set(names) - set(suite.settings):
        raise VlzooError(f"--suite {suite.name} has no setting {min(left)!r}", fix=f"--settings {suite.settings[0]}")
    known = list(dict.fromkeys(name for found in DETECTORS.values() for name in found))
    detectors = named(given.detector, known, "detector") if given.detector else ()
    settings = make_settings(names, given.out, given.data, given.images, detectors)
    rows = suite.rows(given.rows or ",".join(suite.first))
    jobs = plan(suite, rows, numbers(given.seeds), settings, given.out)
    return carry_out(
        given,
        jobs,
        lambda job: given.results / f"ablation_{suite.name}_{job.setting.name}",
        lambda place, held: _write(given, suite, place, held),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(SUITES), default="softmask")
    parser.add_argument("--rows", help="names, or `every`; the baseline is always run")
    parser.add_argument(
        "--settings",
        help="of softmask few,few-mixture,scenes,mixture (few where left out); xvlm scenes; vlmixer unpaired,real "
        "(unpaired where left out)",
    )
    parser.add_argument(
        "--detector",
        help="of vlmixer, names with commas between: annotations takes true boxes; in setting unpaired torchvision, "
        "which is fitted to Scenes first (5 minutes); in setting real ssd and nanodet, what real detectors found. Left "
        "out: annotations, and in setting real all three",
    )
    parser.add_argument("--samples", type=int, help="length of a run: pictures with captions")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of real data")
    parser.add_argument("--rows-folder", type=Path, help="other rows; zoo_configs/ablations/SUITE")
    parser.add_argument("--base", help="what the rows extend; softmaskpp-tiny, xvlm-tiny, vlmixer-tiny")
    add_arguments(parser, "runs/ablations")
    return parser.parse_args()


def _write(given: argparse.Namespace, suite: Suite, place: Path, jobs: Sequence[Job]) -> None:
    _, summary, markdown, draw = SUITES[suite.name]
    found = summary(jobs)
    told = {
        "suite": suite.name,
        "base": suite.base,
        "rows": str(given.rows_folder or f"zoo_configs/ablations/{suite.name}"),
        "samples": suite.samples,
        "k": suite.k,
        "pools": suite.pools,
        **about(given, "ablations.py"),
    }
    write_text(place.with_suffix(".json"), json.dumps({"about": told, **found}, indent=1) + "\n")
    write_text(place.with_suffix(".md"), markdown(found, told))
    draw(found, place)


if __name__ == "__main__":
    sys.exit(main())
