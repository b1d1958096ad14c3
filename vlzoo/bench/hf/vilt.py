"""ViLT: one stream for words and patches, a class for each task (Kim et al., ICML 2021).

Pictures keep their shape, so that they go one at a time: no picture sees another one's padding.

Legend: P pairs, C classes, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vlzoo.bench.features import Encoded
from vlzoo.bench.hf.engine import ForeignEngine
from vlzoo.bench.task import Row, Settings
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError

ABLE = {
    "ViltForImageAndTextRetrieval": ("retrieval with --protocol itm (every pair: it has no first stage)",),
    "ViltForQuestionAnswering": ("vqa and gqa with --mode classify",),
    "ViltForImagesAndTextClassification": ("nlvr2",),
}


class Vilt(ForeignEngine):
    """Retrieval over all pairs, questions by its own classes, NLVR2: each with the class made for it."""

    contrasts, matches = False, True
    scale = 1.0

    @property
    def able(self) -> tuple[str, ...]:  # type: ignore[override]
        """What this class of ViLT does."""
        return ABLE.get(self.name, ())

    def pair_model(self) -> Vilt:
        """Itself, where it ranks."""
        if self.name != "ViltForImageAndTextRetrieval":
            self.cannot("retrieval")
        return self

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

    def answerer(self, answers: Sequence[str], settings: Settings) -> Callable[[list[Sample]], list[Row]]:
        """Answers by the model's own classes.

        Raises:
            CheckpointError: the class answers no questions, or another mode was asked for.
        """
        if self.name != "ViltForQuestionAnswering":
            self.cannot("vqa")
        if settings.mode not in ("", "classify"):
            raise CheckpointError(f"{self.name} can't do --mode {settings.mode}", fix="give --mode classify")
        return lambda samples: [self._answer(sample) for sample in samples]

    def _answer(self, sample: Sample) -> Row:
        words = self.words(sample.texts[:1], max_length=self.model.config.max_position_embeddings)
        logit_C = self.model(**words, **self.pixels(sample.images[:1])).logits[0].float().log_softmax(-1)
        best = int(logit_C.argmax())
        return {"answer": str(self.model.config.id2label[best]), "score": float(logit_C[best])}

    def labeller(self, task: str, labels: Sequence[str]) -> Callable[[list[Sample]], Tensor]:
        """Logits of `labels`, found by their names in the model's own classes.

        Raises:
            CheckpointError: the class does another task, or has other classes.
        """
        if self.name != "ViltForImagesAndTextClassification" or task != "nlvr2":
            self.cannot(task)
        number = {str(name).lower(): int(at) for at, name in self.model.config.id2label.items()}
        strange = [label for label in labels if label not in number]
        if strange:
            raise CheckpointError(f"{self.name} has classes {sorted(number)}, not {strange[0]!r}")
        columns = [number[label] for label in labels]
        return lambda samples: torch.stack([self._judge(sample)[columns] for sample in samples])

    def _judge(self, sample: Sample) -> Tensor:
        words = self.words(sample.texts[:1], max_length=self.model.config.max_position_embeddings)
        # Both pictures together: their processor pads the smaller one and says where.
        pixels = {name: value[None] for name, value in self.pixels(sample.images).items()}
        logit_C: Tensor = self.model(**words, **pixels).logits[0].float()
        return logit_C
