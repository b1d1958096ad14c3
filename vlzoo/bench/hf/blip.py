"""BLIP: retrieval in two stages, and answers and captions word by word (Li et al., ICML 2022).

Legend: B rows, P pairs, N image tokens, L text tokens, D width, E joint size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.bench.captioning.captioner import Captioner, captioner
from vlzoo.bench.captioning.task import Captioning
from vlzoo.bench.hf.model import ForeignModel
from vlzoo.bench.hf.writing import writing
from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import PairModel, pair_model
from vlzoo.bench.vqa.answers import Answerer, answerer
from vlzoo.bench.vqa.task import Vqa
from vlzoo.data.answers import ANSWER_LENGTH
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.offers import MATCH
from vlzoo.types import Row


class Blip(ForeignModel):
    """Classes for retrieval (all three protocols), for questions (vqa and gqa by free decoding) and for captions."""

    contrasts = matches = True

    @property
    def able(self) -> tuple[str, ...]:  # type: ignore[override]
        """What this class of BLIP does."""
        if self.name == "BlipForConditionalGeneration":
            return ("captioning",)
        if self.name != "BlipForImageTextRetrieval":
            return ("vqa and gqa with --mode generate",)
        return ("retrieval", "image-retrieval", "zero-shot", "hard-negatives", "winoground", "vsr")

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

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """Cosines as they are: the class has no temperature."""
        return cosine_P

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

    def answer(self, samples: list[Sample], beams: int) -> list[Row]:
        """Answers by free decoding, questions of one length at a time: the class reads the padding of shorter ones."""
        by_length: dict[int, list[int]] = defaultdict(list)
        most = self.model.config.text_config.max_position_embeddings
        for row, sample in enumerate(samples):
            by_length[min(most, len(self.foreign.tokenizer(sample.texts[0])["input_ids"]))].append(row)
        answers: dict[int, str] = {}
        for rows in by_length.values():
            words = self.words([samples[row].texts[0] for row in rows], max_length=most)
            made = self.model.generate(
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
                **self.pixels([samples[row].images[0] for row in rows]),
                num_beams=beams,
                max_length=ANSWER_LENGTH,
                do_sample=False,
            )
            decoded = self.foreign.tokenizer.batch_decode(made, skip_special_tokens=True)
            answers |= {row: text.strip() for row, text in zip(rows, decoded, strict=True)}
        return [{"answer": answers[row], "mode": "generate"} for row in range(len(samples))]


@pair_model.register
def _(model: Blip) -> PairModel:
    if model.name != "BlipForImageTextRetrieval":
        model.cannot("retrieval")
    return model


@answerer.register
def _(model: Blip, task: Vqa) -> Answerer:
    if model.name != "BlipForQuestionAnswering":
        model.cannot(task.name)
    if task.mode not in ("", "generate"):
        raise CheckpointError(f"{model.name} can't do --mode {task.mode}", fix="give --mode generate")

    @torch.no_grad()
    def answer(samples: list[Sample]) -> list[Row]:
        with model.autocast():
            return model.answer(samples, task.beams)

    return answer


@captioner.register
def _(model: Blip, task: Captioning) -> Captioner:
    if model.name != "BlipForConditionalGeneration":
        model.cannot(task.name)
    return writing(model, task)
