"""Image-text retrieval: find a picture's captions, and a caption's picture; in one stage or two.

Legend: I images, T texts, E joint size, P pairs, N image tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlzoo.bench.engine import Engine
from vlzoo.bench.score_base import Scored, Sheet
from vlzoo.bench.task import Row, Settings, Task, data_name
from vlzoo.data.collate import Fields
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, PredictionError
from vlzoo.metrics.recall import KS, recall
from vlzoo.models.tokenizer import Tokenizer
from vlzoo.objectives.itm import ITM, MATCH
from vlzoo.types import Tokens

UNSCORED = -100.0
"""The score of pairs that the first stage leaves out, as in ALBEF's `Retrieval.py`."""


@dataclass(frozen=True)
class Gallery:
    """Everything encoded once.

    Attributes:
        names: the pictures' names.
        image_of_text: the row of each text's picture, [T].
        text: tokens of all texts, padded to the longest, x [T, L, D].
        cosine: [I, T].
    """

    names: tuple[str, ...]
    image_of_text: np.ndarray
    text: Tokens
    cosine: Tensor


class Retrieval(Task):
    """TR and IR recall@1, 5, 10.

    Protocols: `itm`: the top k by cosine, re-scored by the matching logit alone (ALBEF, X-VLM, TCL); `itm+itc`: the
    logit plus the cosine over the temperature (LAVIS); `itc`: the cosine alone.
    """

    name = "retrieval"
    protocols = ("itm", "itm+itc", "itc")
    finetuned = False

    def fields(self, samples: Sequence[Sample], tokenizer: Tokenizer) -> Fields:
        """Nothing: contrast and matching read pictures and texts alone."""
        return Fields()

    def predict(self, engine: Engine, source: Any, settings: Settings, done: frozenset[str]) -> Iterator[list[Row]]:
        """For each picture the pairs the second stage scored: their texts, cosines and matching logits."""
        matching = engine.objective(ITM)
        if matching is None:
            raise CheckpointError("this run has no matching head", fix="train it with the objective `itm`")
        gallery = encode(engine, source, settings.batch)
        near_IT, near_TI = first_stage(gallery.cosine, settings.k)
        scale = float(1.0 / engine.system.model.temperature)
        for row, name in enumerate(gallery.names):
            if name in done:
                continue
            texts_P = torch.nonzero(near_IT[row] | near_TI[:, row]).squeeze(1)
            with torch.no_grad(), engine.autocast():
                logit_P = match(engine, matching, source[row].images[0], gallery.text, texts_P)
            yield [
                {
                    "name": name,
                    "texts": texts_P.tolist(),
                    "itm": logit_P.tolist(),
                    "itc": (gallery.cosine[row, texts_P] * scale).tolist(),
                    "of_image": near_IT[row, texts_P].tolist(),
                    "of_text": near_TI[texts_P, row].tolist(),
                }
            ]

    def score(self, source: Any, rows: Mapping[str, Row], protocol: str) -> Scored:
        """Recalls with intervals: pictures are drawn, and with them their captions. Ties are misses."""
        names = [source[i].name for i in range(len(source))]
        owners = np.repeat(np.arange(len(names)), [len(source[i].texts) for i in range(len(source))])
        missing = [name for name in names if name not in rows]
        if missing:
            raise PredictionError(f"{len(missing)} pictures are not scored yet ({missing[0]})", where=source.name)
        scores_IT, scores_TI = matrices(names, len(owners), rows, protocol)
        found = recall(scores_IT, owners, scores_of_texts=scores_TI, ties="strict")
        sheet = Sheet(self.name, f"{self.name}/{protocol}", data_name(source))
        scores = [sheet.hits(f"TR R@{k}", found.text.hits(k)) for k in KS]
        scores += [sheet.hits(f"IR R@{k}", found.image.hits(k), owners.tolist()) for k in KS]
        mean = sheet.derived("mean recall", found.figures()["mean recall"], len(names) + len(owners))
        note = f"{len(names)} pictures, {len(owners)} texts; {found.ties} ties (a tie is a miss)"
        return Scored((*scores, mean), notes=(note,))


def encode(engine: Engine, source: Any, batch: int) -> Gallery:
    """Every picture's and every text's features, each computed once."""
    names, images, texts, owners = [], [], [], []
    for row in range(len(source)):
        sample = source[row]
        names.append(sample.name)
        texts += list(sample.texts)
        owners += [row] * len(sample.texts)
    model = engine.system.model
    with torch.no_grad(), engine.autocast():
        for start in range(0, len(names), batch):
            pictures = [source[row].images[0] for row in range(start, min(start + batch, len(names)))]
            images.append(model.embed_image(model.image_encoder(engine.pixels(pictures))).float())
        text, text_TE = _encode_texts(engine, texts, batch)
    return Gallery(tuple(names), np.array(owners), text, torch.cat(images) @ text_TE.T)


def _encode_texts(engine: Engine, texts: Sequence[str], batch: int) -> tuple[Tokens, Tensor]:
    model, ids = engine.system.model, engine.tokenise(texts)
    parts = [model.text_encoder(ids.ids[i : i + batch], ids.mask[i : i + batch]) for i in range(0, len(texts), batch)]
    tokens = Tokens(torch.cat([p.x for p in parts]), ids.mask, torch.cat([p.pooled for p in parts]))
    return tokens, model.embed_text(tokens).float()


def first_stage(cosine_IT: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Which pairs are among a picture's k nearest texts [I, T], and a text's k nearest pictures [T, I]; bool."""
    near_IT = torch.zeros_like(cosine_IT, dtype=torch.bool)
    near_IT.scatter_(1, cosine_IT.topk(min(k, cosine_IT.shape[1]), dim=1).indices, True)
    near_TI = torch.zeros_like(cosine_IT.T, dtype=torch.bool)
    near_TI.scatter_(1, cosine_IT.T.topk(min(k, cosine_IT.shape[0]), dim=1).indices, True)
    return near_IT, near_TI


def match(engine: Engine, matching: ITM, image: Any, text: Tokens, rows_P: Tensor) -> Tensor:
    """Matching logits of one picture with many texts, [P]; its keys and values are projected once for all."""
    model = engine.system.model
    prepared = model.fusion.prepare(model.image_encoder(engine.pixels([image])))
    mask = text.mask[rows_P]
    longest = int(mask.sum(1).max())
    chosen = Tokens(text.x[rows_P, :longest], mask[:, :longest], text.pooled[rows_P])
    cls_P1 = torch.zeros(len(rows_P), 1, dtype=torch.long, device=rows_P.device)
    fused = model.fusion.fuse(chosen, [prepared], positions_PK=cls_P1)
    return matching.head(fused.cls)[:, MATCH].float()


def matrices(names: Sequence[str], texts: int, rows: Mapping[str, Row], protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Score matrices of both directions, [I, T] and [T, I]; a direction reads only the pairs its own top k holds."""
    scores_IT = np.full((len(names), texts), UNSCORED)
    scores_TI = np.full((texts, len(names)), UNSCORED)
    for i, name in enumerate(names):
        row = rows[name]
        at = np.array(row["texts"], dtype=np.int64)
        itm, itc = np.array(row["itm"]), np.array(row["itc"])
        value = {"itm": itm, "itc": itc, "itm+itc": itm + itc}[protocol]
        of_image, of_text = np.array(row["of_image"], dtype=bool), np.array(row["of_text"], dtype=bool)
        scores_IT[i, at[of_image]] = value[of_image]
        scores_TI[at[of_text], i] = value[of_text]
    return scores_IT, scores_TI
