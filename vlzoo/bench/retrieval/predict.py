"""The two stages of retrieval: features once, then picture by picture the texts that came near it.

Legend: I images, T texts, t texts of one picture, E joint size, L text tokens, W numbers a token, P pairs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.bench.packed import pack
from vlzoo.bench.retrieval.candidates import Candidates, candidates, every_pair
from vlzoo.bench.retrieval.features import Encoded, Features, TextRows
from vlzoo.bench.retrieval.pairs import PairModel
from vlzoo.bench.store import not_finite
from vlzoo.progress import Progress, clock, size_text
from vlzoo.task import Effort
from vlzoo.types import Row

Say = Callable[[str], None]
IMAGE_BLOCK, TEXT_BLOCK = 32, 1024
"""Rows of a block of features; at 577 tokens of width 768 a block of pictures is 57 MB."""
TOKEN_BYTES = 64_000
"""What a forward pass of the fusion holds a text token, generously: 12 rows of 768 and the hidden 3,072 twice."""

WASTE, PACKED = 0.1, 0.5
"""At most this share of a bucket's tokens is padding, unless a bucket would hold fewer than `FEW` rows; the second for
models that leave padding out of all but self-attention."""
FEW = 8
PROBE = 64
"""Pairs that the cost of all is forecast from."""


@dataclass(frozen=True)
class Search:
    """What is predicted for retrieval, and how.

    Attributes:
        model: what encodes and matches.
        source: pictures with their texts.
        k: candidates kept by the first stage, for each query; not read where the model has none.
        matched: whether the second stage is asked for.
        effort: what it may take.
        say: told what happens.
    """

    model: PairModel
    source: Any
    k: int
    matched: bool
    effort: Effort
    say: Say

    def predict(self, done: frozenset[str]) -> Iterator[list[Row]]:
        """For each picture that is not done, a row with the pairs that were scored."""
        with TemporaryDirectory(prefix="vlzoo-") as temporary:
            images, texts = self.encode(self.effort.features or Path(temporary))
            stage = self.score_pairs if self.matched and self.model.matches else self.embedded
            yield from stage(images, texts, done)

    def embedded(self, images: Features, texts: Features, done: frozenset[str]) -> Iterator[list[Row]]:
        """Ranking by the cosine alone: each picture's embedding with those of its texts, no stage before it."""
        image_IE, text_TE = (features.embeddings() for features in (images, texts))
        assert image_IE is not None and text_TE is not None
        end = 0
        for row in range(images.total):
            sample = self.source[row]
            start, end = end, end + len(sample.texts)
            if sample.name in done:
                continue
            image_E, text_tE = image_IE[row], text_TE[start:end]
            if not (image_E.isfinite().all() and text_tE.isfinite().all()):
                raise not_finite(sample.name)
            said = pack(text_tE.numpy().ravel(), "<f4")
            yield [{"name": sample.name, "embedding": pack(image_E.numpy(), "<f4"), "text_embeddings": said}]

    def encode(self, folder: Path) -> tuple[Features, Features]:
        """Features of every picture and every text, each computed once and kept in `folder`."""
        model, source, batch = self.model, self.source, self.effort.batch
        captions = [text for row in range(len(source)) for text in source[row].texts]

        def of_images(start: int, end: int) -> Encoded:
            return _in_parts(lambda a, b: model.images([source[i].images[0] for i in range(a, b)]), start, end, batch)

        def of_texts(start: int, end: int) -> Encoded:
            return _in_parts(lambda a, b: model.texts(captions[a:b]), start, end, batch)

        texts = Features(folder / "texts", len(captions), TEXT_BLOCK, of_texts)
        images = Features(folder / "images", len(source), IMAGE_BLOCK, of_images)
        for what, features in (("texts", texts), ("pictures", images)):
            about = f"features of {what}"
            with closing(Progress(about, features.total, unit=what, brief=True, forecast=self.say)) as progress:
                for count in features.make(self.effort.share):
                    progress.update(count)
        return images, texts

    def score_pairs(self, images: Features, texts: Features, done: frozenset[str]) -> Iterator[list[Row]]:
        """The second stage, picture by picture: every pair of either direction once."""
        image_IE, text_TE = (features.embeddings() for features in (images, texts))
        if image_IE is None or text_TE is None:
            chosen = every_pair(images.total, texts.total)
        else:
            chosen = candidates(image_IE, text_TE, self.k)
        held = TextRows(texts, self.model.device, self.effort.memory // 2)
        self.say(_describe(chosen, images, texts, held))
        if not self.model.contrasts:
            self.say(self.forecast(images, held))
        for row in range(images.total):
            name = self.source[row].name
            if name in done:
                continue
            pairs = chosen.of(row)
            made = {"name": name, **_listed(chosen, pairs)}
            if image_IE is not None and text_TE is not None:
                itc_P = self.model.scaled(image_IE[row] @ text_TE[chosen.text[pairs]].T)
                made["itc"] = pack(itc_P.numpy(), "<f4")
            logit_P = match_image(self.model, images.row(row), held, chosen.text[pairs], self.effort.memory)
            if not np.isfinite(logit_P).all():
                raise not_finite(name)
            yield [{**made, "itm": pack(logit_P, "<f4")}]

    def forecast(self, images: Features, texts: TextRows) -> str:
        """How long it takes to match every pair, from a few pairs of the first picture."""
        few = np.arange(min(PROBE, len(texts.length)))
        started = time.perf_counter()
        match_image(self.model, images.row(0), texts, few, self.effort.memory)
        pairs = images.total * len(texts.length)
        seconds = (time.perf_counter() - started) / len(few) * pairs / self.effort.share[1]
        return f"no contrast, so no first stage: all {pairs:,} pairs are matched, about {clock(seconds)}"


def _in_parts(encode_some: Callable[[int, int], Encoded], start: int, end: int, batch: int) -> Encoded:
    edges = [*range(start, end, batch), end]
    parts = [encode_some(a, b) for a, b in itertools.pairwise(edges)]
    embeds = [part.embed for part in parts if part.embed is not None]
    rows = [row for part in parts for row in part.rows]
    return Encoded(rows, torch.cat(embeds) if embeds else None)


def match_image(
    model: PairModel, image_NW: NDArray[Any], texts: TextRows, rows_P: NDArray[np.int64], memory: int
) -> NDArray[np.float32]:
    """Matching logits of one picture with some texts, [P]: prepared once, texts bucketed by length."""
    prepared = model.prepare(torch.from_numpy(np.array(image_NW))[None].to(model.device))
    tokens = max(512, min(memory // 4 // TOKEN_BYTES, 65_536))
    logit_P = np.empty(len(rows_P), dtype=np.float32)
    kept: list[tuple[NDArray[np.int64], Tensor]] = []
    for bucket in buckets(texts.length[rows_P], tokens, PACKED if model.packs else WASTE):
        kept.append((bucket, model.match(prepared, *texts.take(rows_P[bucket]))))
    # After the loop, so that a GPU is not waited for at every bucket.
    for bucket, found in kept:
        logit_P[bucket] = found.cpu().numpy()
    return logit_P


def _listed(chosen: Candidates, pairs: slice) -> Row:
    return {
        "texts": pack(chosen.text[pairs], "<i4"),
        "of_image": pack(chosen.of_image[pairs], "|u1"),
        "of_text": pack(chosen.of_text[pairs], "|u1"),
    }


def _describe(chosen: Candidates, images: Features, texts: Features, held: TextRows) -> str:
    saved = 1 - len(chosen) / chosen.asked
    disk = size_text(images.size() + texts.size())
    where = "held" if held.held is not None else "read from disk"
    return (
        f"{len(chosen):,} pairs to match ({chosen.asked:,} in both directions, {saved:.0%} met twice); "
        f"features take {disk} on disk; texts are {where} ({size_text(texts.size())})"
    )


def buckets(length_P: NDArray[np.int64], tokens: int, waste: float = WASTE) -> Iterator[NDArray[np.int64]]:
    """Numbers of rows, bucket by bucket, shortest rows first.

    Args:
        length_P: each row's tokens, [P].
        tokens: at most so many tokens in a bucket, padding included; one row is always let in.
        waste: the share of padding allowed.
    """
    order = np.argsort(length_P, kind="stable")
    start, real = 0, 0
    for end, row in enumerate(order):
        longest, rows = int(length_P[row]), end - start
        padded = longest * (rows + 1)
        wasteful = rows >= FEW and padded - real - longest > waste * padded
        if rows and (wasteful or padded > tokens):
            yield order[start:end]
            start, real = end, 0
        real += longest
    if len(order):
        yield order[start:]
