"""ALBEF's networks spelled out in plain torch, under the official names of their weights; nothing fused or shared.

Written from the description of the official code (`../shared/reference/ALBEF_XVLM.md`, sections 0 and 1).

Legend: B rows, N image tokens, L text tokens, D width, H heads, d width of one head, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a step; the defaults are those of the speed target.

    Attributes:
        pixels: height and width of the pictures.
        patch: height and width of a patch.
        width: D of both encoders.
        depth: layers of the vision transformer.
        text_layers: layers of the text encoder.
        fusion_layers: layers with cross-attention.
        joint: size of the joint space.
        vocab: number of word pieces.
        positions: most tokens of a text.
        queue: features kept of past batches.
        batch: pairs of one step.
        length: tokens of a text, padding included.
    """

    pixels: int = 128
    patch: int = 16
    width: int = 768
    depth: int = 12
    text_layers: int = 6
    fusion_layers: int = 6
    joint: int = 256
    vocab: int = 30_522
    positions: int = 512
    queue: int = 65_536
    batch: int = 4
    length: int = 25

    @property
    def heads(self) -> int:
        """H: 64 numbers a head."""
        return self.width // 64

    @property
    def source(self) -> int:
        """Width of the tokens that the fusion reads."""
        return self.width


def attention(query_BLD: Tensor, key_BND: Tensor, value_BND: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Softmax attention with its scores and its map written out; `bias` is added to the scores, [B, 1, 1, N]."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query_BLD, key_BND, value_BND))
    score_BHLN = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if bias is not None:
        score_BHLN = score_BHLN + bias
    return (score_BHLN.softmax(-1) @ value).transpose(1, 2).flatten(2)


class VisionAttention(nn.Module):
    """Self-attention of patches: one projection for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BND: Tensor, bias_B11N: Tensor | None = None) -> Tensor:
        """[B, N, D] to [B, N, D]."""
        query, key, value = self.qkv(x_BND).chunk(3, dim=-1)
        return self.proj(attention(query, key, value, self.heads, bias_B11N))


class VisionMlp(nn.Module):
    """Dense, GELU, dense."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        """[B, N, D] to [B, N, D]."""
        return self.fc2(F.gelu(self.fc1(x_BND)))


class VisionBlock(nn.Module):
    """A block with its norms in front."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = VisionAttention(width, heads), VisionMlp(width)

    def forward(self, x_BND: Tensor, bias_B11N: Tensor | None = None) -> Tensor:
        """[B, N, D] to [B, N, D]."""
        x_BND = x_BND + self.attn(self.norm1(x_BND), bias_B11N)
        return x_BND + self.mlp(self.norm2(x_BND))


class PatchEmbed(nn.Module):
    """Patches to vectors."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, sizes.patch, sizes.patch)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, N - 1, D]."""
        return self.proj(image_B3HW).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """ViT with a class token."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(sizes)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (sizes.pixels // sizes.patch) ** 2, sizes.width))
        self.blocks = nn.ModuleList(VisionBlock(sizes.width, sizes.heads) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=1e-6)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, N, D]."""
        first = self.cls_token.expand(len(image_B3HW), -1, -1)
        x_BND = torch.cat([first, self.patch_embed(image_B3HW)], dim=1) + self.pos_embed
        for block in self.blocks:
            x_BND = block(x_BND)
        return self.norm(x_BND)


class Projections(nn.Module):
    """Queries, keys and values of a BERT attention; the latter of tokens of `source` numbers."""

    def __init__(self, width: int, source: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key, self.value = (nn.Linear(source, width) for _ in range(2))


class Output(nn.Module):
    """Dense, sum, norm."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(inner, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, inner: Tensor, x_BLD: Tensor) -> Tensor:
        """norm(dense(inner) + x)."""
        return self.LayerNorm(self.dense(inner) + x_BLD)


class BertAttention(nn.Module):
    """Attention to `source`: the sequence itself, or the picture."""

    def __init__(self, width: int, heads: int, source: int) -> None:
        super().__init__()
        self.heads = heads
        self.self, self.output = Projections(width, source), Output(width, width)

    def forward(self, x_BLD: Tensor, source_BND: Tensor, bias_B11N: Tensor) -> Tensor:
        """[B, L, D]; keys and values are projected anew at every call."""
        project = self.self
        read = attention(
            project.query(x_BLD), project.key(source_BND), project.value(source_BND), self.heads, bias_B11N
        )
        return self.output(read, x_BLD)


class Dense(nn.Module):
    """A dense layer by BERT's name."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)


class BertLayer(nn.Module):
    """Self-attention, cross-attention in fusion layers, feed-forward."""

    def __init__(self, width: int, heads: int, *, source: int | None) -> None:
        super().__init__()
        self.attention = BertAttention(width, heads, width)
        if source is not None:
            self.crossattention = BertAttention(width, heads, source)
        self.intermediate, self.output = Dense(width, 4 * width), Output(4 * width, width)

    def forward(
        self, x_BLD: Tensor, text_bias: Tensor, image_BND: Tensor | None = None, image_bias: Tensor | None = None
    ) -> Tensor:
        """[B, L, D] to [B, L, D]."""
        x_BLD = self.attention(x_BLD, x_BLD, text_bias)
        if image_BND is not None and image_bias is not None:
            x_BLD = self.crossattention(x_BLD, image_BND, image_bias)
        return self.output(F.gelu(self.intermediate.dense(x_BLD)), x_BLD)


class Embeddings(nn.Module):
    """Word, position and type vectors."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocab, sizes.width)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.width)
        self.token_type_embeddings = nn.Embedding(2, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=1e-12)

    def forward(self, ids_BL: Tensor) -> Tensor:
        """[B, L] to [B, L, D]."""
        place_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
        kind = self.token_type_embeddings(torch.zeros_like(ids_BL))
        return self.LayerNorm(self.word_embeddings(ids_BL) + kind + self.position_embeddings(place_L))


class Encoder(nn.Module):
    """The stack: text layers, then fusion layers."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        sources = [None] * sizes.text_layers + [sizes.source] * sizes.fusion_layers
        self.layer = nn.ModuleList(BertLayer(sizes.width, sizes.heads, source=source) for source in sources)


class Bert(nn.Module):
    """One BERT whose last layers read the picture."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings, self.encoder, self.text_layers = Embeddings(sizes), Encoder(sizes), sizes.text_layers

    def text(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """States after the text layers, [B, L, D]."""
        x_BLD, bias = self.embeddings(ids_BL), mask_bias(mask_BL, -1e4)
        for layer in self.encoder.layer[: self.text_layers]:
            x_BLD = layer(x_BLD, bias)
        return x_BLD

    def fuse(self, x_BLD: Tensor, mask_BL: Tensor, image_BND: Tensor, read_BN: Tensor | None = None) -> Tensor:
        """States after the fusion layers, [B, L, D]; `read_BN`: which image tokens are read, None: all."""
        read_BN = torch.ones(image_BND.shape[:2], device=image_BND.device) if read_BN is None else read_BN
        image_bias = mask_bias(read_BN, -1e9)
        for layer in self.encoder.layer[self.text_layers :]:
            x_BLD = layer(x_BLD, mask_bias(mask_BL, -1e4), image_BND, image_bias)
        return x_BLD


def mask_bias(mask_BN: Tensor, low: float) -> Tensor:
    """What is added to the scores, [B, 1, 1, N]: 0 where a token is real, `low` elsewhere."""
    return (1.0 - mask_BN[:, None, None, :].float()) * low


class Predictions(nn.Module):
    """BERT's vocabulary head, tied to the word table."""

    def __init__(self, sizes: Sizes, words: nn.Embedding) -> None:
        super().__init__()
        self.transform = nn.ModuleDict(
            {"dense": nn.Linear(sizes.width, sizes.width), "LayerNorm": nn.LayerNorm(sizes.width, eps=1e-12)}
        )
        self.bias = nn.Parameter(torch.zeros(sizes.vocab))
        self.decoder = nn.Linear(sizes.width, sizes.vocab)
        self.decoder.weight, self.decoder.bias = words.weight, self.bias

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Logits of every position, [B, L, V]."""
        return self.decoder(self.transform["LayerNorm"](F.gelu(self.transform["dense"](x_BLD))))


class TextEncoder(nn.Module):
    """BERT with its vocabulary head."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.bert = Bert(sizes)
        self.cls = nn.ModuleDict({"predictions": Predictions(sizes, self.bert.embeddings.word_embeddings)})

    def predict(self, ids_BL: Tensor, mask_BL: Tensor, image_BND: Tensor) -> Tensor:
        """Vocabulary logits of words that have read the picture, [B, L, V]."""
        return self.cls["predictions"](self.bert.fuse(self.bert.text(ids_BL, mask_BL), mask_BL, image_BND))
