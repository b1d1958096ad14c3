"""BLIP: retrieval in two stages, and answers word by word (Li et al., ICML 2022).

Legend: B rows, P pairs, N image tokens, L text tokens, D width, E joint size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.bench.features import Encoded
from vlzoo.bench.hf.engine import ForeignEngine
from vlzoo.bench.task import Row, Settings
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.objectives.itm import MATCH

ANSWER_LENGTH = 12
"""Most ids of an answer."""


class Blip(ForeignEngine):
    """The class for retrieval does all three protocols; the class for questions does vqa and gqa by free decoding."""

    contrasts = matches = True
    scale = 1.0

    @property
    def able(self) -> tuple[str, ...]:  # type: ignore[override]
        """What this class of BLIP does."""
        retrieves = self.name == "BlipForImageTextRetrieval"
        return ("retrieval", "image-retrieval") if retrieves else ("vqa and gqa with --mode generate",)

    def pair_model(self) -> Blip:
        """Itself, where it has the heads."""
        if self.name != "BlipForImageTextRetrieval":
            self.cannot("retrieval")
        return self

    def images(self, pictures: Sequence[Any]) -> Encoded:
        """Tokens and unit vectors of pictures."""
        with torch.no_grad(), self.autocast():
            x_BND = self.model.vision_model(**self.pixels(pictures)).last_hidden_state
            embed_BE = F.normalize(self.model.vision_proj(x_BND[:, 0]).float(), dim=-1)
        return Encoded(list(x_BND.float()), embed_BE)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Ids and unit vectors of texts: a text's tokens depend on the picture from the first layer on."""
        words = self.words(texts, max_length=self.model.config.text_config.max_position_embeddings)
        ids_BL, mask_BL = words["input_ids"], words["attention_mask"]
        with torch.no_grad(), self.autocast():
            x_BLD = self.model.text_encoder(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
            embed_BE = F.normalize(self.model.text_proj(x_BLD[:, 0]).float(), dim=-1)
        rows = [ids[mask.bool()][:, None].cpu() for ids, mask in zip(ids_BL, mask_BL, strict=True)]
        return Encoded(rows, embed_BE)

    def prepare(self, image_1NW: Tensor) -> Any:
        """The tokens themselves: the class has no door for keys and values projected once."""
        return image_1NW

    def match(self, prepared: Any, text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
        """Matching logits, [P]."""
        image_PND = prepared.expand(len(text_PLW), -1, -1)
        seen = torch.ones(image_PND.shape[:2], dtype=torch.long, device=self.device)
        with torch.no_grad(), self.autocast():
            x_PLD = self.model.text_encoder(
                input_ids=text_PLW[..., 0].long(),
                attention_mask=mask_PL.long(),
                encoder_hidden_states=image_PND,
                encoder_attention_mask=seen,
            ).last_hidden_state
            logit_P: Tensor = self.model.itm_head(x_PLD[:, 0])[:, MATCH].float()
        return logit_P

    def answerer(self, answers: Sequence[str], settings: Settings) -> Callable[[list[Sample]], list[Row]]:
        """Answers by free decoding.

        Raises:
            CheckpointError: the class answers no questions, or another mode was asked for.
        """
        if self.name != "BlipForQuestionAnswering":
            self.cannot("vqa")
        if settings.mode not in ("", "generate"):
            raise CheckpointError(f"{self.name} can't do --mode {settings.mode}", fix="give --mode generate")
        return lambda samples: self._answers(samples, settings.beams)

    def _answers(self, samples: list[Sample], beams: int) -> list[Row]:
        """Questions of one length at a time: the class reads the padding of shorter ones."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for row, sample in enumerate(samples):
            by_length[len(self.foreign.tokenizer(sample.texts[0])["input_ids"])].append(row)
        answers: dict[int, str] = {}
        for rows in by_length.values():
            words = self.words([samples[row].texts[0] for row in rows])
            made = self.model.generate(
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
                **self.pixels([samples[row].images[0] for row in rows]),
                num_beams=beams,
                max_length=ANSWER_LENGTH,
                do_sample=False,
            )
            told = self.foreign.tokenizer.batch_decode(made, skip_special_tokens=True)
            answers |= {row: text.strip() for row, text in zip(rows, told, strict=True)}
        return [{"answer": answers[row]} for row in range(len(samples))]
