"""What `vlzoo explain` is asked for, and which options go together: refused before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.types import Box


@dataclass(frozen=True)
class ExplainOptions:
    """What is to be drawn, as the command line says it.

    Attributes:
        image: the picture's file; None: a sample's.
        caption: its text; None: those of a sample's regions.
        run: the run to explain.
        against: a run whose maps are put beside.
        softmask: show what the soft mask of one word hides.
        word: of the soft mask; None: a drawn one.
        seed: decides the word drawn.
        layer: the fusion layer, from 0; None: the usual one.
        style: how a map is laid on the picture; None: the usual way.
        pieces: show sub-word pieces one by one.
        boxes: draw the boxes that are found, not maps.
        true: true boxes, as written.
        data: a data source whose sample is explained.
        split: its split; None: `test`, where it has splits.
        sample: the sample's name.
        data_root: where data lies.
        precision: of the forward pass.
        cmc: a sentence that is drawn with patches in place of words; None: a run is explained.
        gallery: the folder of the patches.
        mixer: the part that replaces words.
        sets: its options, `NAME=VALUE`.
        no_clean: the sentence is not cleaned.
        out: the file to write.
        json_: print figures as JSON.
    """

    image: Path | None
    caption: str | None
    run: Path | None
    against: Path | None
    softmask: bool
    word: str | None
    seed: int
    layer: int | None
    style: str | None
    pieces: bool
    boxes: bool
    true: tuple[str, ...]
    data: str | None
    split: str | None
    sample: str | None
    data_root: str | None
    precision: str
    cmc: str | None
    gallery: str | None
    mixer: str
    sets: tuple[str, ...]
    no_clean: bool
    out: Path | None
    json_: bool

    def check(self) -> None:
        """Refuse at once what would fail after loading a model.

        Raises:
            VlzooError: options that don't go together, or a suffix that can't be drawn to.
        """
        from vlzoo.explain.figure import format_of

        check_utf8(self.caption or "", "CAPTION")
        check_utf8(self.word or "", "--word")
        if self.out is None and not self.json_:
            raise VlzooError("nowhere to draw to", fix="add --out FILE.png, or --json for the figures alone")
        if self.out is not None:
            format_of(self.out)
        if self.cmc is not None:
            self._check_cmc()
            return
        if self.gallery is not None or self.sets:
            raise VlzooError("--gallery and --set belong to --cmc", fix='add --cmc "a sentence", or leave them out')
        if self.no_clean:
            raise VlzooError("--no-clean belongs to --cmc", fix="leave it out: captions are cleaned as the run says")
        if self.run is None:
            raise VlzooError("no run is given", fix='add --run RUN; or draw a mixed sentence: --cmc "..." --gallery G')
        if self.softmask and self.against:
            raise VlzooError("--softmask and --against don't go together", fix="draw each run's soft mask by itself")
        if self.word and not self.softmask:
            raise VlzooError(
                "--word says what the soft mask is of", fix="add --softmask; maps are drawn for every word"
            )
        self._check_subject()
        if self.boxes:
            self._check_boxes()
        elif self.true:
            raise VlzooError("--true is a box to compare with", fix="add --boxes")

    def _check_cmc(self) -> None:
        """A sentence with its gallery, and nothing that belongs to a run."""
        check_utf8(self.cmc or "", "--cmc")
        named = {
            "IMAGE": self.image,
            "--run": self.run,
            "--against": self.against,
            "--softmask": self.softmask,
            "--boxes": self.boxes,
            "--data": self.data,
            "--true": self.true,
        }
        if given := [name for name, value in named.items() if value]:
            raise VlzooError(f"{given[0]} and --cmc don't go together", fix="no run takes part: leave it out")
        if self.gallery is None:
            raise VlzooError("no gallery is given", fix="add --gallery FOLDER, as `vlzoo detect --out FOLDER` wrote it")
        if wrong := [each for each in self.sets if "=" not in each]:
            raise VlzooError(
                f"--set {wrong[0]}: no value is given", fix="write --set OPTION=VALUE, r_cmc=1 for instance"
            )

    def _check_subject(self) -> None:
        """A picture with its text, or a sample of some data, and no half of either."""
        named = {"--sample": self.sample, "--split": self.split, "--data-root": self.data_root}
        if self.data is None:
            if given := [name for name, value in named.items() if value is not None]:
                raise VlzooError(f"{given[0]} belongs to data", fix="add --data NAME")
            if self.image is None or self.caption is None:
                raise VlzooError(
                    f"no {'IMAGE' if self.image is None else 'CAPTION'} is given",
                    fix='name both: vlzoo explain cat.jpg "a cat" --run RUN; or --boxes with --data and --sample',
                )
            return
        if self.image is not None:
            raise VlzooError("IMAGE and --data are two pictures", fix="leave one of them out")
        if not self.boxes:
            raise VlzooError("--data gives texts with boxes", fix="add --boxes; maps are drawn of IMAGE and CAPTION")
        if self.sample is None:
            raise VlzooError(f"which sample of {self.data} is to be drawn?", fix="add --sample NAME")

    def _check_boxes(self) -> None:
        """What is said of maps alone, and true boxes that are none."""
        told = {
            "--softmask": self.softmask,
            "--layer": self.layer is not None,
            "--pieces": self.pieces,
            "--style": self.style is not None,
        }
        if given := [name for name, value in told.items() if value]:
            raise VlzooError(f"{given[0]} is about maps, and --boxes draws none", fix="leave one of them out")
        if self.true and self.data is not None:
            raise VlzooError("--true and --data are two truths", fix="leave --true out: the sample has its own box")
        self.true_boxes()

    def true_boxes(self) -> tuple[Box, ...]:
        """The true boxes, x, y, width, height.

        Raises:
            VlzooError: one is no box.
        """
        from vlzoo.explain.subject import box_of

        return tuple(map(box_of, self.true))

    def runs(self) -> list[Path]:
        """The run, and the one beside it where there is one."""
        return [each for each in (self.run, self.against) if each]

    def names(self) -> list[str]:
        """The runs' names, as short as tells them apart."""
        runs = [each.resolve() for each in self.runs()]
        same = len(runs) == 2 and runs[0].name == runs[1].name
        return [str(Path(each.parent.name, each.name)) if same else each.name for each in runs]


def check_utf8(text: str, what: str) -> None:
    """Refuse a text whose bytes on the command line are not UTF-8: which characters were meant can't be told.

    Raises:
        VlzooError: they are not.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        fault = f"{what} is not UTF-8: the byte 0x{data[error.start]:02x} after {before[-20:]!r}"
        fix = "use a terminal that sends UTF-8, or convert the text: iconv -f latin1 -t utf-8"
        raise VlzooError(fault, fix=fix) from error
