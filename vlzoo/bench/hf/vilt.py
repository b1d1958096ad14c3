"""ViLT: one stream for words and patches, a class for each task (Kim et al., ICML 2021).

Pictures keep their shape, so that they go one at a time: no picture sees another one's padding.

Legend: P pairs, C classes, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.bench.hf.model import ForeignModel
from vlzoo.bench.labeller import Labeller, labeller
from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import PairModel, pair_model
from vlzoo.bench.vqa.answers import Answerer, answerer
from vlzoo.bench.vqa.task import Vqa
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.types import Row

ABLE = {
    "ViltForImageAndTextRetrieval": (
        "retrieval with --protocol itm (every pair: it has no first stage)",
        *("zero-shot", "hard-negatives", "winoground", "vsr"),
    ),
    "ViltForQuestionAnswering": ("vqa and gqa with --mode classify",),
    "ViltForImagesAndTextClassification": ("nlvr2",),
}


class Vilt(ForeignModel):
    """Retrieval over all pairs, questions by its own classes, NLVR2: each with the class made for it."""

    contrasts, matches = False, True

    @property
    def able(self) -> tuple[str, ...]:  # type: ignore[override]
        """What this class of ViLT does."""
        return ABLE.get(self.name, ())

    def images(self, pictures: Sequence[Any]) -> Encoded:
        """The pixels of each picture in a column, height and width before them."""
        rows = []
        for picture in pictures:
            pixels_3HW = self.pixels([picture])["pixel_values"][0].float().cpu()
            size = torch.tensor(pixels_3HW.shape[1:], dtype=torch.float32)
            rows.append(torch.cat([size, pixels_3HW.flatten()])[:, None])
        return Encoded(rows, None)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Ids."""
        words = self.words(texts, max_length=self.model.config.max_position_embeddings)
        pairs = zip(words["input_ids"], words["attention_mask"], strict=True)
        return Encoded([ids[mask.bool()][:, None].cpu() for ids, mask in pairs], None)

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """Not asked for: the model has no embeddings."""
        self.cannot("retrieval with --protocol itc")

    def prepare(self, image_1NW: Tensor) -> Any:
        """The picture's pixels, [1, 3, H, W]."""
        column = image_1NW[0, :, 0]
        height, width = int(column[0]), int(column[1])
        return column[2:].view(1, 3, height, width)

    def match(self, prepared: Any, text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
        """The rank logit of each pair, [P]."""
        pixels = prepared.expand(len(text_PLW), -1, -1, -1)
        seen = torch.ones(len(text_PLW), *pixels.shape[2:], dtype=torch.long, device=self.device)
        with torch.no_grad(), self.autocast():
            out = self.model(
                input_ids=text_PLW[..., 0].long(), attention_mask=mask_PL.long(), pixel_values=pixels, pixel_mask=seen
            )
        logit_P: Tensor = out.logits[:, 0].float()
        return logit_P

    def answer(self, sample: Sample) -> Row:
        """The likeliest of the model's own classes."""
        words = self.words(sample.texts[:1], max_length=self.model.config.max_position_embeddings)
        logit_C = self.model(**words, **self.pixels(sample.images[:1])).logits[0].float().log_softmax(-1)
        best = int(logit_C.argmax())
        return {"answer": str(self.model.config.id2label[best]), "score": float(logit_C[best]), "mode": "classify"}

    def judge(self, sample: Sample) -> Tensor:
        """Logits of the model's own classes, [C]."""
        words = self.words(sample.texts[:1], max_length=self.model.config.max_position_embeddings)
        # Both pictures together: their processor pads the smaller one and says where.
        pixels = {name: value[None] for name, value in self.pixels(sample.images).items()}
        logit_C: Tensor = self.model(**words, **pixels).logits[0].float()
        return logit_C


@pair_model.register
def _(model: Vilt) -> PairModel:
    if model.name != "ViltForImageAndTextRetrieval":
        model.cannot("retrieval")
    return model


@answerer.register
def _(model: Vilt, task: Vqa) -> Answerer:
    if model.name != "ViltForQuestionAnswering":
        model.cannot(task.name)
    if task.mode not in ("", "classify"):
        raise CheckpointError(f"{model.name} can't do --mode {task.mode}", fix="give --mode classify")
    named = [str(name) for name in model.model.config.id2label.values()]
    if all(name.startswith("LABEL_") for name in named):
        what = f"{model.name} says no answers: its id2label holds {', '.join(named[:3])}, which stand for none"
        raise CheckpointError(what, fix="put the model's answers into id2label of its config.json")

    @torch.no_grad()
    def answer(samples: list[Sample]) -> list[Row]:
        with model.autocast():
            return [model.answer(sample) for sample in samples]

    return answer


@labeller.register
def _(model: Vilt, task: str, labels: Sequence[str]) -> Labeller:
    if model.name != "ViltForImagesAndTextClassification" or task != "nlvr2":
        model.cannot(task)
    number = {str(name).lower(): int(at) for at, name in model.model.config.id2label.items()}
    strange = [label for label in labels if label not in number]
    if strange:
        raise CheckpointError(f"{model.name} has classes {sorted(number)}, not {strange[0]!r}")
    columns = [number[label] for label in labels]

    @torch.no_grad()
    def logits(samples: list[Sample]) -> NDArray[np.float32]:
        with model.autocast():
            made: NDArray[np.float32] = torch.stack([model.judge(s)[columns] for s in samples]).cpu().numpy()
        return made

    return logits
