"""All speed benchmarks, one after the other, each in a process of its own: ratios as lines, JSON and a figure.

    python benchmarks/speed [--quick] [--only step,overhead] [--out runs/speed]

Every ratio is our time (or memory) over that of what is compared with: below 1 ours takes less. `speed.json` in the
folder has all that each script prints with --json, and the machine; `speed.svg` shows the ratios. It is written after
each script, and --only replaces in it what it measures. --quick takes about
two minutes on an idle machine of two cores: fewer turns, smaller steps, and not those of SoftMask++, X-VLM, the
galleries and of reading data; its ratios say that all works, and their targets are not asked for. The exit code is 1
where a benchmark fails, or, without --quick, misses its target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telling import machine

from vlzoo.files import replacing, write_text

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Benchmark:
    """A script and how it is called.

    Attributes:
        script: its file here.
        words: its arguments.
        quick: those of a quick run; None: it is not a part of one.
    """

    script: str
    words: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ("--quick",)


SUITE = {
    "overhead": Benchmark("overhead.py"),
    "startup": Benchmark("startup.py", quick=("--runs", "1")),
    "step": Benchmark("step.py", quick=("--quick", "--batch", "2", "--pixels", "64")),
    "softmask": Benchmark("step.py", ("--softmask",), quick=None),
    "xvlm": Benchmark("step.py", ("--xvlm",), quick=None),
    "rerank": Benchmark("rerank.py"),
    "captions": Benchmark("captions.py", ("--pictures", "48"), quick=None),
    "cmc": Benchmark("cmc.py", quick=None),
    "data": Benchmark("data.py", quick=None),
    "waiting": Benchmark("waiting.py", quick=None),
}


NAMED_BY = ("pixels", "patches", "recipe", "name")
"""What the rows of a script's lists are told apart by."""


def ratios(found: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every ratio in what a script printed, by where it stands: `by_size/384/ratio`."""
    if isinstance(found, list):
        for place, each in enumerate(found):
            own = [str(each[key]) for key in NAMED_BY if key in each] if isinstance(each, dict) else []
            yield from ratios(each, f"{name}/{own[0] if own else place}")
    elif isinstance(found, dict):
        for key, value in found.items():
            if key.endswith("ratio") and isinstance(value, int | float):
                yield f"{name}/{key}".strip("/"), float(value)
            else:
                yield from ratios(value, f"{name}/{key}")


def measure(name: str, quick: bool) -> dict[str, Any]:
    """Run a benchmark; gives what it printed, its exit code and its seconds."""
    benchmark, began = SUITE[name], time.monotonic()
    words = (benchmark.quick or ()) if quick else benchmark.words
    command = [sys.executable, str(HERE / benchmark.script), *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    made = {"command": " ".join([benchmark.script, *words]), "code": done.returncode}
    try:
        found = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        found = None
    return {**made, "seconds": round(time.monotonic() - began, 1), "found": found}


def draw(rows: Sequence[tuple[str, float]], file: Path) -> None:
    """The ratios as bars, beside the line where both take the same."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.5 + 0.28 * len(rows)))
    names, values = zip(*reversed(rows), strict=True)
    axes.barh(range(len(names)), values, color=["#4477aa" if value <= 1 else "#cc6677" for value in values])
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("ours / what it is compared with; below 1: ours takes less")
    for place, value in enumerate(values):
        axes.text(value, place, f" {value:.3f}", va="center", fontsize=7)
    with replacing(file) as fresh:
        figure.savefig(fresh, format="svg", bbox_inches="tight")
    pyplot.close(figure)


def main() -> int:
    """Run all, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about two minutes")
    parser.add_argument("--only", help=f"names, with commas, of {', '.join(SUITE)}")
    parser.add_argument("--out", type=Path, default=Path("runs/speed"), help="folder for speed.json and speed.svg")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else list(SUITE)
    if unknown := [name for name in wanted if name not in SUITE]:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(SUITE)}")
    left = [name for name in wanted if given.quick and SUITE[name].quick is None]
    results, about = _measured(given.out / "speed.json") if given.only else {}, machine()
    for name in (each for each in wanted if each not in left):
        results[name] = {**measure(name, given.quick), "quick": given.quick, "machine": about}
        said = list(ratios(results[name]["found"], name))
        _write(results, given.out)
        failed = "failed" if results[name]["found"] is None else "misses a target" if results[name]["code"] else ""
        print(f"{name}: {results[name]['seconds']:.0f} s  {failed}", flush=True)
        for place, value in said:
            print(f"  {value:7.3f}  {place.removeprefix(f'{name}/')}", flush=True)
    if left:
        print(f"left out by --quick: {', '.join(left)}")
    print(f"written: {given.out / 'speed.json'}, {given.out / 'speed.svg'}")
    measured = [results[name] for name in wanted if name not in left]
    return 1 if any(each["found"] is None or (each["code"] and not given.quick) for each in measured) else 0


def _measured(file: Path) -> dict[str, Any]:
    """What was measured before; nothing where there is no such file, or half of one."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
    except (OSError, ValueError, KeyError):
        return {}
    return {name: each for name, each in found.items() if name in SUITE}


def _write(results: dict[str, Any], out: Path) -> None:
    """All that is measured, in the suite's order, and its ratios as bars."""
    ordered = {name: results[name] for name in SUITE if name in results}
    rows = [row for name, each in ordered.items() for row in ratios(each["found"], name)]
    write_text(out / "speed.json", json.dumps({"ratios": dict(rows), "results": ordered}, indent=1) + "\n")
    if rows:
        draw(rows, out / "speed.svg")


if __name__ == "__main__":
    sys.exit(main())
