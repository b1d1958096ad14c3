"""`albef_retrieval_eval.json`: both score matrices of two-stage retrieval, through the task that `vlzoo bench` runs.

The recalls of the recorded matrices are compared in `recall.py`.

Legend: I images, T texts, E joint size, L text tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import Built, build
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, gap, one_thread
from vlzoo.bench.engine import Engine
from vlzoo.bench.retrieval.matrices import UNSCORED, matrices
from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.records import Sample
from vlzoo.task import Effort

LENGTH = 30
"""Tokens of a text in evaluation (`Retrieval.py`)."""

OFFICIAL_UNSCORED = -100.0
"""What the official matrices hold for pairs that the first stage left out; ours hold minus infinity."""

_K = re.compile(r"k(\d+)/out/score_matrix_i2t")


@dataclass
class Recorder(Engine):
    """An engine whose pictures are recorded pixels: a sample's picture is a row of `recorded` [I, 3, H, W]."""

    recorded: Tensor | None = None

    def pixels(self, images: Sequence[Any]) -> Tensor:
        """Recorded pixels of the rows named."""
        assert self.recorded is not None
        return self.recorded[list(images)]


class Recordings:
    """Recorded pictures with their texts, as a data source.

    Args:
        texts: all of them.
        owned: for each picture the places of its texts.
    """

    name = "recorded"

    def __init__(self, texts: Sequence[str], owned: Mapping[int, Sequence[int]]) -> None:
        self.samples = [
            Sample(name=str(image), images=(image,), texts=tuple(texts[row] for row in owned[image]))  # type: ignore[arg-type]
            for image in sorted(owned)
        ]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """Token ids, embeddings, cosines, and the two score matrices of each number of candidates."""
    golden = Golden(path)
    built = build(golden)
    built.tokenizer.max_length = LENGTH
    engine = Recorder(
        built.recipe, built.system, built.tokenizer, None, weights=golden.name, recorded=golden["in/images"]
    )
    owned = {int(image): rows for image, rows in golden.about["img2txt"].items()}
    source = Recordings(golden.about["texts"], owned)
    yield from _features(golden, built, engine, source)
    for case in golden.cases("out/score_matrix"):
        match = _K.match(f"{case}/out/score_matrix_i2t")
        if match:
            yield from check_matrices(golden, case, engine, source, int(match[1]))
    yield from golden.leftovers()


def _features(golden: Golden, built: Built, engine: Engine, source: Recordings) -> Iterator[Check]:
    text = engine.tokenise([text for sample in source.samples for text in sample.texts])
    longest = text.ids.shape[1]
    # The official code pads to 30; the padding changes nothing.
    wrong = int((text.ids != golden["in/input_ids"][:, :longest]).sum())
    wrong += int((text.mask.sum(1) != golden["in/attention_mask"].sum(1)).sum())
    yield Check(f"{golden.name}/in/input_ids", wrong, 0, text.ids.numel())
    model = built.model
    with torch.no_grad():
        image_IE = model.embed_image(model.image_encoder(golden["in/images"]))
        text_TE = model.embed_text(model.text_encoder(text.ids, text.mask))
        yield golden.close("out/image_embed", image_IE, EMBEDDINGS)
        yield golden.close("out/text_embed", text_TE, EMBEDDINGS)
        yield golden.close("out/sims_matrix", image_IE @ text_TE.T, EMBEDDINGS)


def check_matrices(golden: Golden, case: str, engine: Engine, source: Recordings, k: int) -> Iterator[Check]:
    """Both score matrices of a case, with `k` candidates."""
    effort = Effort(batch=len(source))
    predicted = Retrieval(protocol="itm", k=k).predict(engine, source, frozenset(), effort)
    rows = {str(row["name"]): row for part in predicted for row in part}
    names = [sample.name for sample in source.samples]
    texts = sum(len(sample.texts) for sample in source.samples)
    for direction, ours in zip(("i2t", "t2i"), matrices(names, texts, rows, "itm"), strict=True):
        name = f"{case}/out/score_matrix_{direction}"
        expected, ours = golden[name], np.where(ours == UNSCORED, OFFICIAL_UNSCORED, ours)
        yield Check(f"{golden.name}/{name}", gap(torch.from_numpy(ours), expected), LOGITS, expected.numel())
