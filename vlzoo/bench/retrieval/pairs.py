"""What retrieval asks of a model: features of pictures and texts, and how well the two of a pair match.

Legend: B rows, I images, N image tokens, L text tokens, W numbers a token, E joint size, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.bench.retrieval.features import Encoded
from vlzoo.models.assemble import Model
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_packed import can_pack, first_states
from vlzoo.models.prepared import words_for_fusion
from vlzoo.offers import MATCH, Contrast, Match
from vlzoo.types import Tokens


class PairModel(Protocol):
    """A model that retrieval can measure.

    Attributes:
        contrasts: whether it has embeddings of pictures and texts that were trained to be compared: without them there
            is no first stage, and nothing is ranked by the cosine.
        matches: whether it scores pairs.
        device: where its tensors are.
        packs: whether padding costs it next to nothing, so that texts of different length may go together.
    """

    packs: bool
    contrasts: bool
    matches: bool
    device: torch.device

    def images(self, pictures: Sequence[Any]) -> Encoded:
        """Features of pictures (`ImageRef`s)."""
        ...

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Features of texts, as they are in the data."""
        ...

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """Cosines as the model compares them, [P] float32 on the CPU: over its temperature."""
        ...

    def prepare(self, image_1NW: Tensor) -> Any:
        """All that matching needs of one picture and that does not depend on the text."""
        ...

    def match(self, prepared: Any, text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
        """Matching logits of texts with the prepared picture, [P] float32."""
        ...


@singledispatch
def pair_model(model: BenchModel) -> PairModel:
    """What retrieval asks of a model; a family registers its own.

    Raises:
        CheckpointError: the model encodes no pictures and texts.
    """
    model.cannot("retrieval")


@pair_model.register
def _(model: Engine) -> PairModel:
    return NativePairs(model)


class NativePairs:
    """A vlzoo system: what objectives offer as `contrast`, and the fusion with the head that one offers as `match`.

    Args:
        engine: the system, ready.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.model, self.device = engine, engine.system.model, engine.device
        self.matching: Match | None = engine.offered("match")
        self.matches = self.matching is not None
        self.contrast: Contrast | None = engine.offered("contrast")
        self.contrasts = self.contrast is not None
        self.packs = self.model.has("fusion") and can_pack(self.model.fusion)
        self.views = engine.plan.main_image

    def images(self, pictures: Sequence[Any]) -> Encoded:
        """Tokens of pictures, and unit vectors where there is a contrast."""
        half = self.engine.precision == "fp16"
        with torch.no_grad(), self.engine.autocast():
            if len(self.views) > 1:
                return self._beside(pictures, half)
            tokens = self.model.image_encoder(self.engine.pixels(pictures))
            embed = self.model.embed_image(tokens).float() if self.contrasts else None
        return Encoded(real_rows(tokens, half=half), embed)

    def _beside(self, pictures: Sequence[Any], half: bool) -> Encoded:
        """Pictures with what stands beside them: all views in a row, each token behind its view's number, from 1.

        Words' numbers are negative: the fusion prepares them in another way.
        """
        step = self.engine.step(self.engine.alone(pictures))
        seen = {view: step.text(view) if view in step.texts else step.image(view) for view in self.views}
        shown = next(tokens for view, tokens in seen.items() if view not in step.texts)
        embed = self.model.embed_image(shown).float() if self.contrasts else None
        wide = 1 + max(tokens.x.shape[-1] for tokens in seen.values())
        parts = []
        for number, (view, tokens) in enumerate(seen.items(), 1):
            sign = -1 if view in step.texts else 1
            parts.append([functional.pad(row, (1, wide - 1 - row.shape[-1])) for row in real_rows(tokens, half=half)])
            for row in parts[-1]:
                row[:, 0] = sign * number
        return Encoded([torch.cat(each) for each in zip(*parts, strict=True)], embed)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Tokens of texts, and unit vectors where there is a contrast."""
        text = self.engine.tokenise(texts)
        with torch.no_grad(), self.engine.autocast():
            tokens = self.model.text_encoder(text.ids, text.mask)
            embed = self.model.embed_text(tokens).float() if self.contrasts else None
            read = words_for_fusion(self.model, text.ids, text.mask, tokens)
        return Encoded(real_rows(read), embed)

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """The contrast's logits, [P]."""
        assert self.contrast is not None
        with torch.no_grad():
            return self.contrast.logits(cosine_P.to(self.device)).float().cpu()

    def prepare(self, image_1NW: Tensor) -> Any:
        """Keys and values of every fusion layer, projected once for all texts."""
        with torch.no_grad(), self.engine.autocast():
            if len(self.views) == 1:
                return [prepare_image(self.model, image_1NW)]
            return self._apart(image_1NW)

    def _apart(self, image_1NW: Tensor) -> list[Any]:
        """What `_beside` laid in a row, each view made ready for the fusion; one without a token is left out."""
        fusion, made = self.model.fusion, []
        for number in sorted(image_1NW[0, :, 0].unique().tolist(), key=abs):
            own_1nW = image_1NW[:, image_1NW[0, :, 0] == number]
            wide = (self.model.text_encoder if number < 0 else self.model.image_encoder).width
            x_1nD = own_1nW[..., 1 : 1 + wide]
            mask = torch.ones(x_1nD.shape[:2], dtype=torch.bool, device=x_1nD.device)
            made.append((fusion.prepare_words if number < 0 else fusion.prepare)(Tokens(x_1nD, mask, x_1nD[:, 0])))
        return made

    def match(self, prepared: Any, text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
        """Logits of class 1, [P]."""
        assert self.matching is not None
        with torch.no_grad(), self.engine.autocast():
            return match_texts(self.model, self.matching, prepared, text_PLW, mask_PL)


def prepare_image(model: Model, image_1NW: Tensor) -> Any:
    """What the fusion makes of one picture's tokens."""
    mask = torch.ones(image_1NW.shape[:2], dtype=torch.bool, device=image_1NW.device)
    return model.fusion.prepare(Tokens(image_1NW, mask, image_1NW[:, 0]))


def match_texts(model: Model, matching: Match, prepared: Sequence[Any], text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
    """Matching logits of texts with one prepared picture, [P]; the last layer computes [CLS] alone.

    Args:
        model: the model.
        matching: its head.
        prepared: the picture, and what stands beside it.
        text_PLW: tokens of the texts.
        mask_PL: True where they are real.
    """
    if can_pack(model.fusion) and len(prepared) == 1:
        cls_PD = first_states(cast(CrossAttentionFusion, model.fusion), text_PLW, mask_PL, prepared[0])
        return matching(cls_PD)[:, MATCH].float()
    text = Tokens(text_PLW, mask_PL, text_PLW[:, 0])
    cls_P1 = torch.zeros(len(text_PLW), 1, dtype=torch.long, device=text_PLW.device)
    fused = model.fusion.fuse(text, prepared, positions_PK=cls_P1)
    return matching(fused.cls)[:, MATCH].float()


def real_rows(tokens: Tokens, *, half: bool = False) -> list[Tensor]:
    """Each row's real tokens, [n, D] float32, or float16 where `half`."""
    kind = torch.float16 if half else torch.float32
    return [x[mask].to(kind) for x, mask in zip(tokens.x, tokens.mask, strict=True)]
