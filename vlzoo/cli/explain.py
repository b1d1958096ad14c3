"""`vlzoo explain`: draw word-conditional Grad-CAM maps, or the boxes that a run finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.explain_options import ExplainOptions
from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.bench.engine import Engine
    from vlzoo.explain.explain import Explained, Explainer
    from vlzoo.explain.figure import Sheet
    from vlzoo.explain.subject import Subject

STYLES = ("overlay", "cells")


@click.command("explain")
@click.argument("image", type=click.Path(path_type=Path), required=False)
@click.argument("caption", required=False)
@click.option("--run", type=click.Path(path_type=Path), help="The run to explain.")
@click.option("--against", type=click.Path(path_type=Path), metavar="RUN", help="Put what this run shows beside it.")
@click.option("--softmask", is_flag=True, help="Show what the soft mask of one word hides.")
@click.option("--word", help="Of the soft mask: this word, not a drawn one.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the soft mask and --cmc: decides what is drawn."
)
@click.option("--layer", type=int, help="The fusion layer, from 0 [default: 2, or the last that has word maps].")
@click.option("--style", type=click.Choice(STYLES), help="How a map is laid on the picture [default: overlay].")
@click.option("--pieces", is_flag=True, help="Show sub-word pieces one by one, not the mean of a word's.")
@click.option("--boxes", is_flag=True, help="Draw the box that RUN finds for CAPTION, not maps of its words.")
@click.option("--true", multiple=True, metavar="X,Y,W,H", help="Of --boxes: a true box, in pixels; may be repeated.")
@click.option("--data", metavar="NAME[=FOLDER]", help="Of --boxes: a sample of this data, not IMAGE and CAPTION.")
@click.option("--sample", metavar="NAME", help="Which sample of --data: its regions, each with its true box.")
@click.option("--split", help="The split of --data; test.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option("--cmc", metavar="SENTENCE", help="Draw SENTENCE with patches of --gallery in place of words; no run.")
@click.option("--gallery", metavar="FOLDER", help="Of --cmc: the patches, as `vlzoo detect` wrote them.")
@click.option("--mixer", default="cmc", show_default=True, help="Of --cmc: the part that replaces words.")
@click.option("--set", "sets", multiple=True, metavar="OPTION=VALUE", help="Of --cmc: an option of the mixer.")
@click.option(
    "--no-clean", is_flag=True, help="Of --cmc: SENTENCE as it stands, for runs with `tokenizer.clean: false`."
)
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.png", help="The picture to write.")
@click.option("--json", "json_", is_flag=True, help="Print scores and every word's peak, or the boxes, as JSON.")
def command(**options: Any) -> None:
    """Draw where the model RUN looks in IMAGE for every word of CAPTION, with its matching score.

    The last fusion layer has no word maps and is refused. `cells` shows the raw patches, `overlay` smooth colours as
    ALBEF draws them.

    --boxes draws the box that a run finds for CAPTION, where its objectives offer boxes, with the true ones (--true)
    and their overlap (IoU); `--data NAME --sample NAME` in place of IMAGE and CAPTION draws every region of a sample.

    --cmc draws a sentence and the patches that stand for some of its words, in order; --seed decides which.
    """
    wanted = ExplainOptions(**options)
    wanted.check()
    from vlzoo.cli.output import as_json
    from vlzoo.explain.figure import write

    if wanted.cmc is not None:
        sheet, figures = mixed_sentence(wanted, wanted.cmc)
    else:
        draw = boxes_of_texts if wanted.boxes else mask_of_a_word if wanted.softmask else maps_of_words
        sheet, figures = draw(wanted, subject_of(wanted))
    if wanted.out and (note := write(sheet, wanted.out)):
        click.echo(f"note: {note}", err=True)
    if wanted.json_:
        as_json(figures)
        return
    for line in sheet.lines:
        click.echo(line)
    click.echo(f"written to {wanted.out}")


def mixed_sentence(wanted: ExplainOptions, sentence: str) -> tuple[Sheet, dict[str, Any]]:
    """A sentence with patches in place of words, and what was replaced."""
    from vlzoo.config.values import values_of
    from vlzoo.door.plugins import registry
    from vlzoo.explain.mixed import mix, mixed_figures, mixed_sheet

    part = registry().find("mixer", wanted.mixer, where="--mixer")
    options = values_of(part, dict(each.split("=", 1) for each in wanted.sets), "--set ")
    mixer = registry().build("mixer", wanted.mixer, gallery=wanted.gallery, **options)
    text, swaps = mix(mixer, sentence, wanted.seed, cleans=not wanted.no_clean)
    return mixed_sheet(mixer, text, swaps), mixed_figures(mixer, text, swaps)


def subject_of(wanted: ExplainOptions) -> Subject:
    """The picture with its texts: of a file, or of a sample.

    Raises:
        VlzooError: there is none such, or a true box lies outside the picture.
    """
    from vlzoo.explain.subject import Said, Subject, check_inside, load_picture, of_sample

    if wanted.data is not None:
        return of_sample(source_of(wanted.data, wanted.split, wanted.data_root), str(wanted.sample))
    picture, true = load_picture(Path(str(wanted.image))), wanted.true_boxes()
    check_inside(true, picture.open().size)
    return Subject(str(wanted.image), picture, (Said(str(wanted.caption), true),))


def source_of(data: str, split: str | None, root: str | None) -> Any:
    """The data that `--data` names, in its test split unless another is asked for."""
    from vlzoo.data.roots import open_source, reference
    from vlzoo.door.options import schema_of
    from vlzoo.door.plugins import registry

    ref = reference(data)
    usual = "test" if "split" in schema_of(registry().find("data", ref.part)).names else None
    return open_source(ref, root, split=split or usual)


@contextmanager
def naming(run: Path) -> Iterator[None]:
    """What is refused names the run, because there may be two."""
    try:
        yield
    except VlzooError as error:
        raise type(error)(error.what, where=error.where or str(run), fix=error.fix) from error


def boxes_of_texts(wanted: ExplainOptions, subject: Subject) -> tuple[Sheet, dict[str, Any]]:
    """The boxes that one run or two find for each text, and their figures."""
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.boxes import RULE, box_figures, boxes_sheet, find_boxes

    shown, told = [], []
    for name, run in zip(wanted.names(), wanted.runs(), strict=True):
        engine = load_run(run, precision=wanted.precision)
        with naming(run):
            found = find_boxes(engine, subject)
        shown.append((name, found))
        told.append({"run": name, "boxes": box_figures(found), **made_by(engine)})
    size = list(subject.picture.open().size)
    return boxes_sheet(subject, shown), {"image": subject.name, "size": size, "rule": RULE, "runs": told}


def explainers_of(wanted: ExplainOptions) -> list[Explainer]:
    """The runs, ready to explain."""
    from vlzoo.bench.engine import load_run
    from vlzoo.explain.explain import Explainer

    made = []
    for run in wanted.runs():
        engine = load_run(run, precision=wanted.precision)
        with naming(run):
            made.append(Explainer(engine, wanted.layer))
    return made


def maps_of_words(wanted: ExplainOptions, subject: Subject) -> tuple[Sheet, dict[str, Any]]:
    """The maps of every word, of one run or of two side by side, and their figures."""
    from dataclasses import replace

    from vlzoo.explain.sheets import against_sheet, words_sheet
    from vlzoo.explain.words import shared_words, split_pieces

    caption, explainers, style = subject.said[0].text, explainers_of(wanted), wanted.style or STYLES[0]
    shown = [each.explain(subject.picture, caption) for each in explainers]
    if wanted.pieces:
        shown = [replace(each, words=split_pieces(each.words)) for each in shown]
    words = shared_words([each.words for each in shown])
    named = list(zip(wanted.names(), shown, strict=True))
    told = [figures_of(name, e.engine, each) for (name, each), e in zip(named, explainers, strict=True)]
    found = {"image": subject.name, "caption": caption, "runs": told}
    if len(shown) == 1:
        return words_sheet(shown[0], caption, words, style), found
    return against_sheet(named, caption, words, style), found


def mask_of_a_word(wanted: ExplainOptions, subject: Subject) -> tuple[Sheet, dict[str, Any]]:
    """What the soft mask of one word hides, and its figures."""
    from vlzoo.explain.sheets import mask_figures, mask_sheet

    caption, (explainer,) = subject.said[0].text, explainers_of(wanted)
    shown, hidden = explainer.masked(subject.picture, caption, seed=wanted.seed, word=wanted.word)
    told = figures_of(wanted.names()[0], explainer.engine, shown)
    found = {"image": subject.name, "caption": caption, "runs": [told], "softmask": mask_figures(hidden)}
    return mask_sheet(shown, hidden, caption, wanted.style or STYLES[0]), found


def figures_of(name: str, engine: Engine, shown: Explained) -> dict[str, Any]:
    """A run's figures, with what they were made by."""
    from vlzoo.explain.sheets import figures

    return {**figures(name, shown, shown.words), **made_by(engine)}


def made_by(engine: Engine) -> dict[str, str]:
    """The hash of a run's weights, and the precision that figures were computed in."""
    return {"weights": engine.weights, "precision": engine.precision}
