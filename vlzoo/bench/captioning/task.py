"""Captioning: a sentence about a picture, held against people's (COCO Captions, Chen et al. 2015).

Legend: N pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.captioning import facts
from vlzoo.bench.captioning.java import by_java
from vlzoo.bench.pictures import pictures, rows_of_pictures
from vlzoo.data.predictions import Refused, fingerprint, row_id, server_ids
from vlzoo.data.readers import captions
from vlzoo.data.reading import read_lines
from vlzoo.data.records import Sample, Told
from vlzoo.errors import CheckpointError, DataError, PredictionError, VlzooError
from vlzoo.metrics.captions import LONGEST, CiderD, bleu_columns, bleu_counts, rouge_l, spoken
from vlzoo.metrics.figures import Figures, Score, Scored
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel

DOMAINS = ("in", "near", "out")
"""nocaps' groups of pictures: how near their objects are to those that COCO names."""


class Captioning(Task):
    """One caption a picture, judged by CIDEr-D, BLEU, ROUGE-L; METEOR and SPICE where pycocoevalcap and Java are.

    Args:
        protocol: `coco`, the only one: words and scores of the COCO caption evaluation.
        beams: how many captions are followed at once; 1 is greedy.
        length: most tokens of a caption, those that begin and end it included.
        least: fewest tokens of a caption.
        length_penalty: power of its length that a caption's log-probability is divided by; 0: none.
        no_repeat: no so many tokens in a row stand in a caption twice; 0: any may.
        top_p: draw words from the likeliest ones with this share of all chances; 1: no drawing by it.
        temperature: draw words with logits divided by this; 1: no drawing by it.
        seed: of the draws.
        prompt: words that every caption begins with, which are not counted.
        listed: a file with a caption a line; no others are written. Empty: any are.
        part: which pictures of annotations in Karpathy's json: `test`, `val` or `train`.
    """

    name = "captioning"
    protocols = ("coco",)
    finetuned = False

    def __init__(
        self,
        *,
        protocol: str = "",
        beams: int = 3,
        length: int = 20,
        least: int = 0,
        length_penalty: float = 0.0,
        no_repeat: int = 0,
        top_p: float = 1.0,
        temperature: float = 1.0,
        seed: int = 0,
        prompt: str = "",
        listed: str = "",
        part: Literal["test", "val", "train"] = "test",
    ) -> None:
        super().__init__(protocol=protocol)
        self.beams, self.length = self.count("beams", beams), self.count("length", length)
        self.least, self.length_penalty, self.no_repeat = least, length_penalty, no_repeat
        self.top_p, self.temperature, self.seed, self.prompt = top_p, temperature, seed, prompt
        self.listed = listed
        self.part = self.choice("part", part, ("test", "val", "train"))
        self._check(
            (least < 0 or least > length, f"least is {least}, and must lie from 0 to length, {length}"),
            (no_repeat < 0, f"no_repeat is {no_repeat}, and must be 0 or more"),
            (not 0 < top_p <= 1, f"top_p is {top_p}, and must lie above 0 and up to 1"),
            (temperature <= 0, f"temperature is {temperature}, and must lie above 0"),
            (self.drawn and beams > 1, f"words are drawn (top_p {top_p}, temperature {temperature}) in {beams} beams"),
        )

    def _check(self, *faults: tuple[bool, str]) -> None:
        for wrong, what in faults:
            if wrong:
                fix = "give --beams 1" if "beams" in what else "leave it out for the default"
                raise VlzooError(f"{self.name}: {what}", fix=fix)

    @property
    def drawn(self) -> bool:
        """Whether words are drawn, not searched for."""
        return self.top_p < 1 or self.temperature != 1

    def captions(self) -> list[str]:
        """The only captions that may be written; none: any may.

        Raises:
            DataError: there is no such file, or it holds no caption.
        """
        if not self.listed:
            return []
        found = [line.strip() for _, line in read_lines(self.listed) if line.strip()]
        if not found:
            raise DataError("holds no captions", where=self.listed, fix="write one a line")
        return found

    def kept(self) -> Mapping[str, Any]:
        """All but which pictures of a file are meant; of a list of captions what its file holds."""
        kept = {name: value for name, value in super().kept().items() if name != "part"}
        return {**kept, "listed": fingerprint(Path(self.listed)) if self.listed else None}

    def counted(self, source: Any) -> Any:
        """The data with a sample for each picture, which has all its captions."""
        return pictures(source)

    def blank(self, sample: Sample) -> Row | None:
        """An empty caption."""
        return {"name": sample.name, "caption": ""}

    def check_offers(self, offered: Callable[[str], bool]) -> None:
        """Refuse a run that writes no captions.

        Raises:
            CheckpointError: none of its objectives lends `captions`.
        """
        if not offered("captions"):
            fix = "`vlzoo finetune captioning --from RUN` makes one that does"
            raise CheckpointError(f"this run has nothing that writes captions, which {self.name} asks for", fix=fix)

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """A caption for each picture, with its score."""
        from vlzoo.bench.captioning.captioner import captioner

        write = captioner(model, self)
        for samples, batch in model.batches(_Silent(self.counted(source)), effort.batch, done):
            yield [{"name": sample.name, **row} for sample, row in zip(samples, write(batch), strict=True)]

    def submission(self, source: Any, rows: Mapping[str, Row]) -> list[Row]:
        """The results format of COCO's server, which nocaps, TextCaps and VizWiz take too.

        Raises:
            PredictionError: pictures without a caption, captions without a picture, or captions that are no text.
        """
        named = [(self.sample_key(sample), row.get("caption")) for sample, row in in_order(self.counted(source), rows)]
        silent = [name for name, text in named if not isinstance(text, str)]
        if silent:
            raise PredictionError(f"{len(silent)} captions are no text, first of picture {silent[0]}")
        ids = server_ids([name for name, _ in named])
        return [{"image_id": name, "caption": text} for name, (_, text) in zip(ids, named, strict=True)]

    def annotated(self, file: Path) -> list[Sample]:
        """COCO's json, nocaps', VizWiz', TextCaps', Karpathy's (`--part`), or vlzoo's own lines, a picture's together.

        Raises:
            DataError: it is of none of these formats.
        """
        found = captions.annotated(file, self.part)
        return [
            replace(found[first], texts=tuple(text for row in (first, *others) for text in found[row].texts))
            for first, *others in rows_of_pictures(found)
        ]

    def has_answer(self, sample: Sample) -> bool:
        """VizWiz rejected all captions of some pictures; its evaluation leaves them out."""
        return not sample.fields.get("rejected")

    def sample_key(self, sample: Sample) -> str:
        """The picture's id."""
        return sample.image_id or sample.name

    def row_key(self, row: Mapping[str, Any]) -> str:
        """COCO's results format: `{"image_id", "caption"}`."""
        return row_id(row, "image_id")

    def row(self, row: Mapping[str, Any]) -> Row:
        """The caption."""
        if not isinstance(row["caption"], str):
            raise Refused("captions that are not strings", row["caption"])
        return {"caption": row["caption"]}

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The caption beside people's. How right it is alone can't be told: CIDEr is no percentage."""
        in_order(self.counted(samples), rows)

        def tell(sample: Sample) -> Told:
            said = str(rows[sample.name]["caption"])
            return Told("", said, sample.texts, None, said)

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """CIDEr-D, BLEU-4 ... 1 and ROUGE-L of all pictures; CIDEr-D and BLEU-4 of nocaps' domains; facts of Scenes.

        BLEU is made of sums over pictures, and its interval draws those. A domain is judged as a set of its own:
        rarity of words is counted in its captions alone.

        Raises:
            DataError: a picture has no caption of people, or a picture's domain is known and another's is not.
        """
        pairs = in_order(self.counted(samples), rows)
        where = getattr(samples, "name", None) or getattr(samples, "data", None)
        bare = [self.sample_key(sample) for sample, _ in pairs if not sample.texts]
        if bare:
            what = f"{len(bare)} pictures of {len(pairs)} have no caption to compare with, first {', '.join(bare[:3])}"
            fix = "leave them out of the annotations; of a test split --submission FILE writes what the server scores"
            raise DataError(what, where=where, fix=fix)
        domains = np.array([str(sample.fields.get("domain", "")) for sample, _ in pairs])
        placed = np.isin(domains, DOMAINS)
        if placed.any() and not placed.all():
            first = self.sample_key(pairs[int(placed.argmin())][0])
            what = f"{int((~placed).sum())} pictures of {len(pairs)} have no domain of nocaps, first {first}"
            raise DataError(what, where=where, fix="each is `in`, `near` or `out`: name them all, or none")
        said, references = _spoken([str(row["caption"]) for _, row in pairs], [sample.texts for sample, _ in pairs])
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        scores = [*_main(figures, said, references), *_others(figures, said, references)]
        for domain in DOMAINS:
            inside = np.flatnonzero(domains == domain)
            if len(inside):
                part = [said[row] for row in inside], [references[row] for row in inside]
                scores += _main(figures, *part, f" ({domain}-domain)")
        java, notes = by_java(said, references)
        scores += [figures.derived(metric, value, len(said)) for metric, value in java.items()]
        stated, baselines = _facts(figures, pairs)
        return Scored((*scores, *stated), notes=(_sizes(said, references), *baselines, *notes))


class _Silent:
    """Pictures whose captions a model is not shown."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = replace(self.source[index], texts=())
        return sample


def _spoken(said: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """All captions as words, people's in the order in which the official program reads them."""
    words = iter(spoken([text for texts in references for text in texts]))
    return spoken(said), [[next(words) for _ in texts] for texts in references]


def _main(figures: Figures, said: Sequence[str], references: Sequence[Sequence[str]], of: str = "") -> list[Score]:
    cider_N, counts = 100 * CiderD(references)(said, references), bleu_counts(said, references)
    return [figures.mean(f"CIDEr{of}", cider_N, unit=""), _bleu(figures, counts, LONGEST, of)]


def _others(figures: Figures, said: Sequence[str], references: Sequence[Sequence[str]]) -> list[Score]:
    rouge, counts = figures.mean("ROUGE-L", 100 * rouge_l(said, references)), bleu_counts(said, references)
    return [rouge, *(_bleu(figures, counts, longest) for longest in range(LONGEST - 1, 0, -1))]


def _bleu(figures: Figures, counts: NDArray[np.float64], longest: int, of: str = "") -> Score:
    return figures.pooled(f"BLEU-{longest}{of}", bleu_columns(counts, longest), "bleu")


def _facts(figures: Figures, pairs: Sequence[tuple[Sample, Row]]) -> tuple[list[Score], list[str]]:
    """Shares of what captions of Scenes state that is true, where the data tell what the pictures show."""
    told = [sample.fields["things"] for sample, _ in pairs if isinstance(sample.fields.get("things"), list)]
    if len(told) < len(pairs):
        return [], []
    captions, shown = [str(row["caption"]) for _, row in pairs], [facts.things_of(each) for each in told]
    found = facts.judged(captions, shown)
    kinds = [("facts", slice(None)), *((kind, slice(at, at + 1)) for at, kind in enumerate(facts.KINDS))]
    scores = [
        figures.pooled(f"true {kind}", np.stack([found.true[:, at].sum(1), found.stated[:, at].sum(1)], 1), "ratio")
        for kind, at in kinds
        if found.stated[:, at].any()
    ]
    scores.append(figures.pooled("objects named", np.stack([found.named, found.shown], 1), "ratio"))
    drawn = ", ".join(f"{kind} {share:.1f}" for kind, share in facts.chance(shown).items())
    note = (
        f"captions of other pictures: true facts {facts.blind(captions, shown):.1f}; words drawn by lot: true {drawn}"
    )
    per = f"{found.stated.sum() / len(pairs):.1f} facts a caption"
    return scores, [f"{per}; {note}"]


def _sizes(said: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    words = [word for text in said for word in text.split()]
    told = f"{len(said):,} pictures with {sum(map(len, references)):,} captions of people"
    return f"{told}; captions of {len(words) / len(said):.1f} words, {len(set(words)):,} different words"
