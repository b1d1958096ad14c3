"""`vlzoo detect` and `vlzoo gallery`. The work is imported when it is called."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlzoo.cli.complete import SOURCES, completing, parts
from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.door.parts import Part

DETECTORS = completing(parts("detector"))
MANY = 4_000_000
TRAINS = ("arch", "steps", "lr", "seed", "val_split")
"""Options of `--train` alone."""


@click.command("detect", short_help="a detector's regions of a set of pictures, as a gallery")
@click.option("--images", required=True, metavar="NAME[=FOLDER]", shell_complete=SOURCES, help="The data.")
@click.option("--detector", shell_complete=DETECTORS, help="The detector: `vlzoo list detector`.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The gallery; of --train the weights.")
@click.option("--split", help="The split; the data's own default.")
@click.option("--data-root", metavar="DIR", help="Where data lies; VLZOO_DATA, else ./data.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the data: data.file=a.csv; of the detector: detector.weights=FILE.",
)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes to share the work.")
@click.option("--share", metavar="i/n", help="Make this share alone: for processes on several machines.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Pictures at a time.")
@click.option("--shard", type=click.IntRange(1), default=256, show_default=True, help="Pictures of a shard.")
@click.option("--overwrite", is_flag=True, help="Delete the gallery that is there, and make it anew.")
@click.option("--device", help="cpu, cuda, cuda:1; a GPU where there is one.")
@click.option("--train", is_flag=True, help="Fit a Faster R-CNN to the data's boxes and print its mAP.")
@click.option("--arch", help="Of --train: small, or one of torchvision's.")
@click.option("--steps", type=click.IntRange(1), help="Of --train: updates; 1000.")
@click.option("--lr", type=float, help="Of --train: the highest learning rate; 2e-3.")
@click.option("--seed", type=int, help="Of --train: decides weights, order and flips; 0.")
@click.option("--val-split", help="Of --train: the split that the mAP is of; val.")
def detect(**given: Any) -> None:
    """Detect what is in the pictures of a data source, and keep it as a gallery; with --train, fit a detector first.

    A gallery grows shard by shard: the same command goes on where it was interrupted, or killed.

    \b
    vlzoo detect --train --images scenes-objects --out small.safetensors
    vlzoo detect --images scenes --detector torchvision --set detector.weights=small.safetensors --out gallery
    """
    for name in TRAINS:
        if given[name] is not None and not given["train"]:
            raise VlzooError(f"--{name.replace('_', '-')} is an option of --train", fix="leave it out, or add --train")
    if given["train"]:
        from vlzoo_vlmixer.cli_train import train

        train(given)
        return
    _detect(given)


def _detect(given: dict[str, Any]) -> None:
    import time

    from vlzoo.bench.shards import parse_share
    from vlzoo_vlmixer.detect import Work, begin, described, done, run, spawn, todo
    from vlzoo_vlmixer.pictures import Pictures
    from vlzoo_vlmixer.shards import HEADER, Header

    if given["detector"] is None:
        raise VlzooError("no detector is named", fix="give --detector: `vlzoo list detector` shows all")
    source, sets = opened(given)
    part, options = _detector(given["detector"], sets, given["device"])
    work = Work(given["out"], given["batch"], parse_share(given["share"]) if given["share"] else (0, 1))
    pictures = Pictures(source)
    data = {"name": source.name, "fingerprint": source.fingerprint()}
    header = Header(data, described(part, options), len(pictures), given["shard"])
    detector = _built(part, options)  # before anything is written, or removed
    if given["overwrite"] and not given["share"] and (work.folder / HEADER).is_file():
        shutil.rmtree(work.folder)
    begin(work, header, say)
    before, started = done(header, work.folder), time.perf_counter()
    if given["processes"] > 1 and not given["share"]:
        spawn(_arguments(given), header, work, given["processes"], say)
    if todo(work, header):
        run(work, header, pictures, detector, say)
    made = done(header, work.folder) - before
    _report(work.folder, made, time.perf_counter() - started, given)


def _detector(name: str, sets: Sequence[str], device: str | None) -> tuple[Part, dict[str, Any]]:
    """The detector with its options, of those given by `--set detector.OPTION=VALUE`."""
    from vlzoo.config.values import values_of
    from vlzoo.door.options import schema_of
    from vlzoo.door.plugins import registry

    part = registry().find("detector", name, where="--detector")
    known = {option.name: option for option in schema_of(part).options}
    options: dict[str, Any] = {"device": device} if device and "device" in known else {}
    written: dict[str, str] = {}
    for change in sets:
        key, equals, text = change.partition("=")
        section, _, option = key.partition(".")
        if section != "detector" or not option or not equals:
            fix = "write --set data.OPTION=VALUE or --set detector.OPTION=VALUE"
            raise VlzooError(f"--set {change!r} is no option of the data nor of the detector", fix=fix)
        written[option] = text
    options |= values_of(part, written, "--set detector.")
    missing = [option for option in known.values() if option.default is None and option.name not in options]
    if missing:
        about = f" ({missing[0].about})" if missing[0].about else ""
        what = f"detector {part.name!r} needs the option {missing[0].name!r}{about}"
        raise VlzooError(what, fix=f"give --set detector.{missing[0].name}=VALUE")
    return part, options


def _built(part: Part, options: dict[str, Any]) -> Any:
    from vlzoo.door.plugins import registry

    return registry().build("detector", part.qualified, **options)


def opened(given: dict[str, Any], split: str | None = None) -> tuple[Any, list[str]]:
    """The data that a command line names, and what else it sets."""
    from vlzoo.cli.task_options import split_sets
    from vlzoo.data.build import require_samples
    from vlzoo.data.roots import given_options, open_source, reference

    data_sets, others = split_sets(given["sets"])
    ref = reference(given["images"])
    options = given_options(ref.part, data_sets)
    if chosen := split or given["split"]:
        options["split"] = chosen
    source = open_source(ref, given["data_root"], **options)
    require_samples(source)
    return source, others


def _arguments(given: dict[str, Any]) -> list[str]:
    """The command line of a process that takes a share of this one's work."""
    own = ("processes", "share", "sets", "overwrite", "train", *TRAINS)
    made = [word for change in given["sets"] for word in ("--set", change)]
    for name, value in given.items():
        if name not in own and value is not None:
            made += [f"--{name.replace('_', '-')}", str(value)]
    return made


def _report(folder: Path, made: int, seconds: float, given: dict[str, Any]) -> None:
    """What the gallery holds, how fast it was made, and how long 4 million pictures would take."""
    from vlzoo.progress import clock
    from vlzoo_vlmixer.regions import open_regions

    if not given["share"]:
        regions = open_regions(folder)
        pictures = len(regions.starts) - 1
        if not len(regions.scores):
            fix = "lower the detector's least score, or take data that it knows: `annotations` needs data with boxes"
            raise VlzooError(f"nothing was found in any of {pictures:,} pictures", where=str(folder), fix=fix)
        each = len(regions.scores) / pictures
        click.echo(
            f"{folder}: {pictures:,} pictures, {len(regions.scores):,} regions ({each:.1f} a picture), "
            f"{regions.width} wide; {len(regions.labels):,} labels"
        )
    if made and not given["share"]:
        processes = given["processes"]
        of_one = seconds * processes / made
        forecast = ", ".join(f"{clock(MANY * of_one / each)} on {each}" for each in sorted({1, 8, 64, processes}))
        where = "one process" if processes == 1 else f"{processes} processes"
        click.echo(f"{made / seconds:,.1f} pictures/s in {where}; 4 million pictures would take {forecast}")


def say(line: str) -> None:
    """A line on standard error."""
    click.echo(line, err=True)


@click.group("gallery", short_help="what a gallery of patches holds")
def gallery() -> None:
    """Look at a gallery that `vlzoo detect` wrote."""


@gallery.command("info")
@click.argument("folder", metavar="GALLERY", type=click.Path(path_type=Path))
@click.option("--least", type=float, default=0.2, show_default=True, help="The least score of a patch.")
@click.option("--cap", type=click.IntRange(0), default=1000, show_default=True, help="Most patches a label; 0: all.")
@click.option("--top", type=click.IntRange(1), default=8, show_default=True, help="Concepts named at either end.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def info(folder: Path, least: float, cap: int, top: int, json_: bool) -> None:
    """Say how many patches, pictures and labels GALLERY has, and its most and least frequent concepts."""
    from vlzoo.cli.output import as_json, table
    from vlzoo_vlmixer.gallery import Gallery
    from vlzoo_vlmixer.shards import read_header

    held, header = Gallery.open(folder, least=least, cap=cap or None), read_header(folder)
    counts = dict(zip(held.concepts, held.counts.tolist(), strict=True))
    order = sorted((name for name in counts if counts[name]), key=lambda name: (-counts[name], name))
    facts = {
        "pictures": len(held.regions.starts) - 1,
        "regions": len(held.regions.scores),
        "patches": len(held),
        "labels": len(held.regions.labels),
        "concepts": len(order),
        "width": held.width,
        "data": header.data,
        "detector": header.detector,
    }
    if json_:
        as_json({**facts, "counts": {name: counts[name] for name in order}})
        return
    rest = f"of {least:g} or surer" + (f", at most {cap:,} a concept" if cap else "")
    least_ = order[max(top, len(order) - top) :]
    rows = [
        ("data", str(header.data.get("name", "?"))),
        ("detector", str(header.detector.get("part", "?"))),
        ("pictures", f"{facts['pictures']:,}"),
        ("regions", f"{facts['regions']:,}, {held.width} wide"),
        ("patches", f"{facts['patches']:,} ({rest})"),
        ("labels", f"{facts['labels']:,}, {len(order):,} concepts with patches"),
        ("most", ", ".join(f"{name} {counts[name]:,}" for name in order[:top])),
    ]
    table([*rows, *([("fewest", ", ".join(f"{name} {counts[name]:,}" for name in least_))] if least_ else [])], wrap=1)
