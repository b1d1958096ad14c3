"""The zoo at a glance: all tiny recipes on the same data and budget, a line a recipe.

    python benchmarks/glance.py [--recipes albef-tiny,git-tiny,...] [--seeds 0,1,2] [--samples 19200] [--tuned 9600]
        [--out runs/glance] [--processes 2] [--resume] [--report]

Pre-trains every tiny recipe of vlzoo and of the plugins that are installed on generated Scenes, fine-tunes it for what
it has a fine-tuning for (retrieval, VQA, NLVR2, SNLI-VE, captions), and measures these; what it can do without one is
measured on the pre-trained run. Writes benchmarks/results/glance.md and .json: parameters, milliseconds a step, mean
recalls, accuracies, CIDEr and the share of stated facts that are true, with intervals over test samples and seeds,
beside chance and what is known without looking. Needs vlzoo-vlmixer, which makes galleries of regions.

What is done is not done again: runs are kept under --out, keyed by recipe, seed, data and code, and each sample's
values in glance.runs.json.gz beside the table, so that another machine goes on from there. Ctrl-C saves and writes the
table of what is in; --resume goes on; --report makes the table alone. Seed by seed, so that whatever is done first is a
table of all recipes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablation import glance_table
from ablation.blind import lines
from ablation.command import about, add_arguments, carry_out, exit_code, named, numbers
from ablation.plan import Job
from ablation.recipes import POOLS, Able, look, runs, tiny
from ablation.settings import Setting, make_settings

from vlzoo.errors import VlzooError
from vlzoo.files import write_text


def main() -> int:
    """Plan, train and measure what is not done, write the table.

    Exit code 1 where a run failed, 2 for a mistake on the command line, 130 when stopped.
    """
    given = _arguments()
    return exit_code(lambda: _work(given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", help="names with commas between; all tiny recipes")
    parser.add_argument("--samples", type=int, default=19_200, help="that pre-training sees; %(default)s")
    parser.add_argument("--tuned", type=int, default=9_600, help="that a fine-tuning sees at most; %(default)s")
    parser.add_argument("--folder", type=Path, help="of other recipes, *-tiny.yaml, in place of all that are known")
    add_arguments(parser, "runs/glance")
    return parser.parse_args()


def _work(given: argparse.Namespace) -> int:
    known, seeds = tiny(given.folder), numbers(given.seeds)
    names = named(given.recipes, list(known), "recipes") if given.recipes else tuple(known)
    setting = _setting(given)
    found, skipped = look(names, known, setting.root)
    for name, why in skipped.items():
        print(f"{name} is left out: {why}", flush=True)
    if not found:
        raise VlzooError("no recipe is left to be measured", fix="name others with --recipes")
    jobs = runs(found, seeds, given.samples, given.tuned, setting, given.out, given.code)
    return carry_out(
        given, jobs, lambda _: given.results / "glance", lambda file, held: _write(given, file, held, found, skipped)
    )


def _setting(given: argparse.Namespace) -> Setting:
    """One data root for all: Scenes, and galleries of true boxes for what reads regions."""
    (made,) = make_settings(("unpaired",), given.out, Path(), given.images)
    return replace(made, name="scenes", changes={})


def _write(
    given: argparse.Namespace, file: Path, jobs: Sequence[Job], found: Sequence[Able], skipped: Mapping[str, str]
) -> None:
    told: dict[str, Any] = {
        "samples": given.samples,
        "tuned": given.tuned,
        "pools": POOLS,
        **about(given, "glance.py"),
    }
    figures = glance_table.summary(jobs, found, lines(jobs[0].setting.root, POOLS))
    write_text(file.with_suffix(".json"), json.dumps({"about": told, **figures, "skipped": skipped}, indent=1) + "\n")
    write_text(file.with_suffix(".md"), glance_table.markdown(figures, told, skipped))


if __name__ == "__main__":
    sys.exit(main())
