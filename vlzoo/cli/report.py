"""`vlzoo report`: a run, or several, on one page that needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlzoo.cli.run_type import RUN
from vlzoo.errors import CheckpointError, VlzooError

if TYPE_CHECKING:
    from vlzoo.explain.explain import Explainer
    from vlzoo.report.examples import Example, Examples
    from vlzoo.report.pictures import WordMaps
    from vlzoo.report.report import Report
    from vlzoo.runs.scores import Measurement

EXAMPLES = 4
"""Examples of each kind where nobody says another number."""
WORDS, MAP_SIDE = 10, 120
"""Most words of a caption whose maps are drawn, and the longer side of a map in pixels."""


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The page to write.")
@click.option(
    "--examples",
    type=click.IntRange(0, 50),
    default=EXAMPLES,
    show_default=True,
    metavar="N",
    help="Most examples of each kind: right, wrong, and right by some of the runs.",
)
@click.option("--no-maps", is_flag=True, help="Leave word maps (Grad-CAM) out: no model is loaded.")
@click.option("--published", is_flag=True, help="Published numbers of the same data beside, with their sources.")
@click.option("--data-root", metavar="DIR", help="Where data lies, for pictures; VLZOO_DATA, else ./data.")
def command(
    runs: tuple[Path, ...], html: Path, examples: int, no_maps: bool, published: bool, data_root: str | None
) -> None:
    """Write one page about RUNs: figures, learning curves, groups, examples, word maps, manifest.

    RUN is a run's folder with all that was fine-tuned from it, one fine-tuning (RUN/finetune/vqa), or where the
    predictions of another model lie (bench-MODEL). Several are compared with the first of them, as by `vlzoo compare`,
    and their curves lie over each other. A run that was never measured has curves and manifest.

    The page is one file without scripts; it loads nothing, and what could not be drawn is said on it. A picture takes
    12 kB at most, 16 in the page; a task has 3 N examples at most, with as many pictures as a sample shows, and maps of
    one example of each kind for each run.
    """
    from vlzoo.files import check_place, write_text, writing
    from vlzoo.report.report import gathered, whole_page
    from vlzoo.report.subjects import subjects

    check_place(html, "the page")
    report = gathered(subjects([str(run) for run in runs], unmeasured=True), examples, data_root, published)
    if not no_maps:
        add_maps(report)
    with writing(html, "the page"):
        write_text(html, whole_page(report))
    click.echo(f"written to {html}: {html.stat().st_size / 1000:,.0f} kB")


def add_maps(report: Report) -> None:
    """Draw word maps of a report's examples, or note why there are none."""
    from contextlib import closing

    from vlzoo.progress import Progress
    from vlzoo.report.words import one_line

    wanted = [
        (number, run, each)
        for number, found in enumerate(report.examples)
        for each in _with_captions(found)
        for run in each.told
    ]
    loaded: dict[tuple[Path, str], Explainer | VlzooError] = {}  # a run serves several tasks
    with closing(Progress("word maps", len(wanted), brief=True, unit="captions")) as progress:
        for done, (number, run, example) in enumerate(wanted, 1):
            measured = report.examples[number].measured[run]
            try:
                explainer = _explainer(measured, loaded)
                report.maps.setdefault(number, []).append(_drawn(explainer, run, example))
            except Exception as error:  # memory is short, or a part is a stranger's: a page without these maps
                why, told = f"{run}: {one_line(error)}", report.no_maps.setdefault(number, [])
                told.extend([] if why in told else [why])
            progress.update(done)


def _with_captions(found: Examples) -> Iterator[Example]:
    """The first example of each kind that shows one picture and has a text about it."""
    for group in found.groups.values():
        able = (each for each in group if len(each.sample.images) == 1 and all(t.caption for t in each.told.values()))
        yield from islice(able, 1)


def _explainer(measured: Measurement, loaded: dict[tuple[Path, str], Explainer | VlzooError]) -> Explainer:
    """What explains pictures by the measured checkpoint; the only thing here that needs torch.

    Raises:
        VlzooError: it is no run of vlzoo, its weights are not there or are others, or it has no word maps.
    """
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.explain import Explainer

    key = measured.measured_run.folder, str(measured.about.get("checkpoint"))
    if key not in loaded:
        try:
            loaded[key] = Explainer(load_run(key[0], checkpoint=key[1]))
        except VlzooError as error:
            loaded[key] = error
    found = loaded[key]
    if isinstance(found, VlzooError):
        raise found
    if found.engine.weights != measured.about.get("weights"):
        what = f"the weights of step {key[1]} are not those that were measured"
        raise CheckpointError(what, where=str(key[0]), fix="bench it again")
    return found


def _drawn(explainer: Explainer, run: str, example: Example) -> WordMaps:
    from PIL import Image

    from vlzoo.explain.draw import fit, overlay
    from vlzoo.explain.sheets import verdict_line
    from vlzoo.report.pictures import WordMaps, embedded

    caption = example.told[run].caption
    shown = explainer.explain(example.sample.images[0], caption)
    picture = fit(shown.picture, MAP_SIDE)
    drawn = [(word, shown.of(word)) for word in shown.words[1 : WORDS + 1]]  # [CLS] is no word
    words = [
        (word.text, embedded(Image.fromarray(overlay(picture, map_PP))), f"{map_PP.max():.1e}")
        for word, map_PP in drawn
    ]
    said, left = verdict_line(shown), len(shown.words) - 1 - len(drawn)
    said += f"; {left} more word{'s' * (left != 1)}" if left else ""
    return WordMaps(run, example.sample.name, caption, said, embedded(Image.fromarray(picture)), words)
