"""Scores of a few (picture, text) pairs of each sample, by what retrieval asks of a model.

Legend: B rows, I pictures and T texts of a sample, P pairs, L text tokens, W numbers a token, E joint size.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import PairModel
from vlzoo.bench.store import not_finite
from vlzoo.data.images import FileImage, ZipImage
from vlzoo.data.records import Sample
from vlzoo.types import Row


def score_pairs(
    model: PairModel, samples: Sequence[Sample], texts: Sequence[Sequence[str]], matched: bool
) -> list[Row]:
    """A row for each sample: scores of all its pictures with all its texts, [I, T] as lists.

    Args:
        model: what scores.
        samples: with I pictures each.
        texts: T texts of each sample.
        matched: the matching logit is asked for (`itm`); cosines over the temperature (`itc`) are given where the
            model has a contrast.

    Raises:
        PredictionError: a score is not finite.
    """
    pictures = [image for sample in samples for image in sample.images]
    image_rows, images = encode_pictures(model, pictures)
    words = [text for each in texts for text in each]
    encoded = model.texts(words)
    made, at, word = list[Row](), 0, 0
    for sample, own in zip(samples, texts, strict=True):
        rows_I, rows_T = image_rows[at : at + len(sample.images)], range(word, word + len(own))
        at, word = at + len(sample.images), word + len(own)
        row: Row = {"name": sample.name}
        if matched:
            row["itm"] = match_pairs(model, images, rows_I, encoded, rows_T).tolist()
        if images.embed is not None and encoded.embed is not None:
            cosine_IT = images.embed[rows_I].cpu().float() @ encoded.embed[list(rows_T)].cpu().float().T
            row["itc"] = model.scaled(cosine_IT.flatten()).reshape(cosine_IT.shape).tolist()
        if not all(np.isfinite(row[key]).all() for key in ("itm", "itc") if key in row):
            raise not_finite(sample.name)
        made.append(row)
    return made


def encode_pictures(model: PairModel, pictures: Sequence[Any]) -> tuple[list[int], Encoded]:
    """Features of pictures, each file's once; and which of them each picture has."""
    numbers: dict[Hashable, int] = {}
    first, rows = list[Any](), list[int]()
    for place, picture in enumerate(pictures):
        key = picture if isinstance(picture, FileImage | ZipImage) else place
        if key not in numbers:
            numbers[key] = len(first)
            first.append(picture)
        rows.append(numbers[key])
    return rows, model.images(first)


def match_pairs(
    model: PairModel, images: Encoded, rows_I: Sequence[int], texts: Encoded, rows_T: Sequence[int]
) -> NDArray[np.float32]:
    """Matching logits of pictures with texts, [I, T]; each picture is prepared once."""
    text_TLW, mask_TL = padded([texts.rows[row] for row in rows_T], model.device)
    found = [
        model.match(model.prepare(images.rows[row][None].to(model.device)), text_TLW, mask_TL).cpu() for row in rows_I
    ]
    return torch.stack(found).numpy()


def padded(rows: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens of texts, padded with zeros to the longest [P, L, W], and where they are real [P, L]."""
    x_PLW = pad_sequence([row.to(device) for row in rows], batch_first=True)
    length_P = torch.tensor([len(row) for row in rows], device=device)
    return x_PLW, torch.arange(x_PLW.shape[1], device=device) < length_P[:, None]
