"""A frozen language model that sees: gated layers of cross-attention between its own (Flamingo, Alayrac et al. 2022).

Legend: P texts, L text tokens, D width, M memory rows, N memory tokens, K latents, V vocabulary, H heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.attention import attend, join_heads, split_heads
from vlzoo.models.blocks import Reading
from vlzoo.models.checkpointing import again
from vlzoo.models.decoder import Cache, causal, seen_with
from vlzoo.models.gpt2 import LanguageModel
from vlzoo.models.prenorm import PreNormBlock
from vlzoo.models.prepared import as_kv, check_heads, prepare, reading
from vlzoo.models.resampler import Resampler, squared_relu_mlp
from vlzoo.types import KV, Tokens

WHERE = "decoder flamingo"


class GatedBlock(nn.Module):
    """Cross-attention and a feed-forward, each times the tanh of a number that begins at 0: at first nothing is added.

    Args:
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
        gate: what both numbers begin with.
    """

    def __init__(self, width: int, heads: int, intermediate: int, gate: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.query, self.output = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.feed_forward = squared_relu_mlp(width, intermediate)
        self.gate, self.feed_gate = (nn.Parameter(torch.full((1,), gate)) for _ in range(2))

    def forward(self, x_PLD: Tensor, reading: Reading) -> Tensor:
        """States [P, L, D] that have read the picture."""
        query = split_heads(self.query(self.norm(x_PLD)), self.heads)
        read = self.output(join_heads(attend(query, *reading.keys, reading.allowed)))
        x_PLD = x_PLD + self.gate.tanh() * read
        fed: Tensor = x_PLD + self.feed_gate.tanh() * self.feed_forward(x_PLD)
        return fed


class GatedLayer(nn.Module):
    """Key and value projections of the picture, and the block that reads them.

    Args:
        width: D.
        heads: H; divides D.
        intermediate: width of the feed-forward's hidden layer.
        source: width of the tokens read.
        gate: what the gates begin with.
    """

    def __init__(self, width: int, heads: int, intermediate: int, source: int, gate: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.key, self.value = nn.Linear(source, width), nn.Linear(source, width)
        self.blocks = cast("Sequence[GatedBlock]", nn.ModuleList([GatedBlock(width, heads, intermediate, gate)]))

    def prepare(self, source_MNS: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens read, [M, H, N, d] each."""
        return split_heads(self.key(source_MNS), self.heads), split_heads(self.value(source_MNS), self.heads)

    def biases(self) -> tuple[Tensor, Tensor]:
        """Biases of the key and value projections, [H, d] each."""
        return self.key.bias.unflatten(0, (self.heads, -1)), self.value.bias.unflatten(0, (self.heads, -1))


class FlamingoDecoder(Decoder):
    """A language model of GPT-2's layout with gated cross-attention before every so many layers, and a resampler.

    The language model of a folder stays as it is: no gradient, no copy in a teacher. New words of the tokenizer get
    vectors that are trained. At first its texts are the language model's, whatever the picture.

    Args:
        path: local folder with config.json and model.safetensors of a GPT-2; None: a random one, which is trained.
        every: a gated layer stands before every so many layers, the first included.
        latents: to how many tokens the resampler brings a picture.
        resampler_layers: how many layers the resampler has.
        resampler_heads: attention heads of the resampler; they divide `memory_width`.
        gated_heads: attention heads of gated layers; they divide the language model's width.
        gate: what the gates begin with: their tanh is the share of what a gated layer adds.
        memory_width: width of the image tokens.
        frozen: leave the language model as it is; None: where a folder is given.
        width: D, for random weights.
        layers: number of layers, for random weights.
        heads: attention heads, for random weights.
        intermediate: width of the feed-forward's hidden layer, for random weights.
        vocab: how many ids there are.
        max_length: how many positions there are, for random weights.

    Raises:
        VlzooError: heads do not divide a width, or `every` or `latents` is below 1.
    """

    reads = "image"
    checkpoints = False

    def __init__(
        self,
        *,
        path: str | None = None,
        every: int = 1,
        latents: int = 64,
        resampler_layers: int = 6,
        resampler_heads: int = 8,
        gated_heads: int = 8,
        gate: float = 0.0,
        memory_width: int = 768,
        frozen: bool | None = None,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int | None = None,
        max_length: int = 1024,
    ) -> None:
        super().__init__()
        for option, value in (("every", every), ("latents", latents)):
            if value < 1:
                raise VlzooError(f"{option} can't be {value!r}", where=WHERE, fix="give 1 or more")
        if path is None:
            sizes = {"width": width, "layers": layers, "heads": heads, "intermediate": intermediate}
            self.lm = LanguageModel(vocab=vocab or 50257, positions=max_length, **sizes)
        else:
            self.lm = LanguageModel.of_folder(Path(path).expanduser(), vocab)
            self.filled = tuple(f"lm.{name}" for name in self.lm.state_dict() if name != "added")
        self.width = self.lm.word.embedding_dim
        self.vocab = self.lm.word.num_embeddings + (0 if self.lm.added is None else len(self.lm.added))
        self.max_length, self.every = self.lm.position.num_embeddings, every
        self.frozen = path is not None if frozen is None else frozen
        if self.frozen:
            for module in (self.lm.word, self.lm.position, self.lm.norm, *self.lm.stack):
                module.requires_grad_(False)
        check_heads(self.width, gated_heads, WHERE)
        self.resampler = Resampler(
            memory_width,
            latents=latents,
            layers=resampler_layers,
            heads=resampler_heads,
            intermediate=4 * memory_width,
        )
        count = len(range(0, len(self.lm.stack), every))
        made = (GatedLayer(self.width, gated_heads, 4 * self.width, memory_width, gate) for _ in range(count))
        self.gated = cast("Sequence[GatedLayer]", nn.ModuleList(made))

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, memory: Tokens) -> KV:
        """Keys and values of the resampled picture for every gated layer, [M, H, K, d] each."""
        latent_MKS = self.resampler(memory.x, memory.mask)
        mask = torch.ones(latent_MKS.shape[:2], dtype=torch.bool, device=latent_MKS.device)
        return prepare(self.gated, Tokens(latent_MKS, mask, latent_MKS[:, 0]))

    def states(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """States [P, L, D] before the vocabulary head; arguments as `vlzoo.models.decoder.CausalDecoder.states`."""
        start = 0 if cache is None else len(cache)
        seen = seen_with(cache, mask_PL)
        keys = None if memory is None else as_kv(memory)
        x_PLD, allowed = self.lm.embed(ids_PL, start), causal(seen, ids_PL.shape[1])
        for i, block in enumerate(self.lm.stack):
            gated, read = None, None
            if keys is not None and i % self.every == 0:
                gated, read = self.gated[i // self.every], partial(reading, keys, i // self.every, row_of_memory)
            run = partial(_step, block, allowed, gated, read, cache, i)
            x_PLD = again(run, x_PLD) if self.checkpoints and cache is None else run(x_PLD)
        if cache is not None:
            cache.mask = seen
        normed: Tensor = self.lm.norm(x_PLD)
        return normed

    def head(self, x_PLD: Tensor) -> Tensor:
        """Logits [P, L, V] of states."""
        return self.lm.logits(x_PLD)

    def forward(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits [P, L, V] of the token after each position; the arguments are those of `states`."""
        return self.head(self.states(ids_PL, mask_PL, memory, row_of_memory, cache))


def _step(
    block: PreNormBlock,
    allowed: Tensor,
    gated: GatedLayer | None,
    read: Callable[[], Reading] | None,
    cache: Cache | None,
    index: int,
    x_PLD: Tensor,
) -> Tensor:
    if gated is not None and read is not None:
        x_PLD = gated.blocks[0](x_PLD, read())
    past = None if cache is None else cache.extend(index, block.project(x_PLD))
    return cast(Tensor, block(x_PLD, allowed, past=past)[0])
