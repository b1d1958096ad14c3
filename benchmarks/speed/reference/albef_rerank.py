"""Re-ranking as ALBEF's `Retrieval.py` does it, written from what it does: the reference of `rerank.py`.

BERT layers spelled out; the picture's tokens repeated for every candidate, keys and values projected from every copy,
texts padded, every position computed in every layer.

Legend: I images, T texts, K candidates, P pairs, N image tokens, L text tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vlzoo.models.assemble import Model
from vlzoo.objectives.itm import ITM


@dataclass(frozen=True)
class Given:
    """Features that both procedures start from.

    Attributes:
        image: tokens of the pictures, [I, N, D].
        text: tokens of the texts, padded to 30, [T, L, D].
        mask: True where a token is real, [T, L].
        cosine: of the embeddings, [I, T].
    """

    image: Tensor
    text: Tensor
    mask: Tensor
    cosine: Tensor


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, heads: int) -> Tensor:
    """Plain attention by two products and a softmax, [P, L, D]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    score = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
    return (score.softmax(-1) @ v).transpose(1, 2).flatten(2)


def end(part: Any, inner: Tensor, x: Tensor) -> Tensor:
    """Dense, sum, norm."""
    normed: Tensor = part.norm(part.dense(inner) + x)
    return normed


def literal_fusion(fusion: Any, text_PLD: Tensor, mask_PL: Tensor, image_PND: Tensor) -> Tensor:
    """The multimodal layers over repeated pictures, all positions, [P, L, D]."""
    x = text_PLD
    words = (1.0 - mask_PL[:, None, None, :].float()) * -10_000.0
    patches = torch.zeros(len(x), 1, 1, image_PND.shape[1])
    for layer in fusion.stack:
        block = layer.blocks[0]
        own, cross = block.attention, block.cross
        read = attention(own.query(x), own.key(x), own.value(x), words, own.heads)
        x = end(own.output, read, x)
        read = attention(cross.query(x), layer.key(image_PND), layer.value(image_PND), patches, cross.heads)
        x = end(cross.output, read, x)
        hidden = nn.functional.gelu(block.feed_forward.dense(x))
        x = end(block.feed_forward.output, hidden, x)
    return x


def literal_image(model: Model, matching: ITM, given: Given, image: int, k: int) -> dict[tuple[int, int], float]:
    """One picture's k nearest texts."""
    near_K = given.cosine[image].topk(k).indices
    image_KND = given.image[image].repeat(k, 1, 1)
    x = literal_fusion(model.fusion, given.text[near_K], given.mask[near_K], image_KND)
    score_K = matching.head(x[:, 0])[:, 1]
    return {(image, int(t)): float(s) for t, s in zip(near_K, score_K, strict=True)}


def literal_text(model: Model, matching: ITM, given: Given, text: int, k: int) -> dict[tuple[int, int], float]:
    """One text's k nearest pictures."""
    near_K = given.cosine[:, text].topk(k).indices
    text_KLD, mask_KL = given.text[text].repeat(k, 1, 1), given.mask[text].repeat(k, 1)
    x = literal_fusion(model.fusion, text_KLD, mask_KL, given.image[near_K])
    score_K = matching.head(x[:, 0])[:, 1]
    return {(int(i), text): float(s) for i, s in zip(near_K, score_K, strict=True)}
