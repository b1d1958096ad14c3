"""CLIP and SigLIP: two encoders and a joint space.

Legend: B rows, E joint size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.bench.hf.model import ForeignModel
from vlzoo.bench.retrieval.features import Encoded
from vlzoo.bench.retrieval.pairs import PairModel, pair_model


class Dual(ForeignModel):
    """Retrieval by the cosine, zero-shot: protocol `itc`; picture to picture likewise."""

    able = ("retrieval by itc", "image-retrieval", "zero-shot", "hard-negatives", "winoground", "vsr")
    contrasts, matches = True, False

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """Cosines over the temperature."""
        return cosine_P * float(self.model.logit_scale.detach().exp())

    def images(self, pictures: Sequence[Any]) -> Encoded:
        """Unit vectors of pictures; no tokens are kept, as nothing reads them."""
        with torch.no_grad(), self.autocast():
            embed_BE = self.model.get_image_features(**self.pixels(pictures)).pooler_output
        return _without_tokens(embed_BE)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Unit vectors of texts."""
        length = int(self.model.config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to its full length, and reads the padding.
        padding = "max_length" if self.name == "SiglipModel" else True
        words = self.words(texts, padding=padding, max_length=length)
        with torch.no_grad(), self.autocast():
            kept = {name: words[name] for name in ("input_ids", "attention_mask") if name in words}
            if self.name == "SiglipModel":
                kept.pop("attention_mask", None)
            embed_BE = self.model.get_text_features(**kept).pooler_output
        return _without_tokens(embed_BE)

    def prepare(self, image_1NW: Tensor) -> Any:
        """Not asked for: the model does not match."""
        self.cannot("retrieval with --protocol itm")

    def match(self, prepared: Any, text_PLW: Tensor, mask_PL: Tensor) -> Tensor:
        """Not asked for: the model does not match."""
        self.cannot("retrieval with --protocol itm")


@pair_model.register
def _(model: Dual) -> PairModel:
    return model


def _without_tokens(embed_BE: Tensor) -> Encoded:
    return Encoded([torch.zeros(1, 1)] * len(embed_BE), F.normalize(embed_BE.float(), dim=-1))
