"""A decoder in one stream: image tokens, then words, in one transformer (GIT, Wang et al. 2022).

Image tokens read each other; a word reads the picture and the words before it. So all that the layers make of a picture
depends on the picture alone: it is made once, and words read its keys and values beside their own.

Legend: P texts, L text tokens, D width, M pictures, N image tokens, S width of the image tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.blocks import Block, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.decoder import Cache, run_blocks
from vlzoo.models.embedding import WordEmbedding
from vlzoo.models.heads import vocabulary_head
from vlzoo.models.prepared import check_heads
from vlzoo.types import KV, Tokens


class PrefixDecoder(Decoder):
    """BERT layers over image tokens and words: GIT's text decoder.

    Args:
        width: D of its states.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: how many ids it knows.
        max_length: how many positions there are for words; image tokens have none.
        dropout: chance of dropping attention entries and hidden numbers.
        memory_width: width of the image tokens; None: the same as `width`. They are projected and normalised.
        head: what gives logits: `linear`, with weights of its own (GIT), or `bert`, BERT's head tied to the word table.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).

    Raises:
        UnknownName: `head` has another value.
    """

    reads = "image"
    checkpoints = False

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 6,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 30522,
        max_length: int = 1024,
        dropout: float = 0.1,
        memory_width: int | None = None,
        head: Literal["linear", "bert"] = "linear",
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "decoder prefix")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.image = nn.Sequential(nn.Linear(memory_width or width, width), nn.LayerNorm(width))
        self.embedding = WordEmbedding(vocab, width, max_length, dropout)
        made = (Block(width, heads, intermediate, dropout, cross=False) for _ in range(layers))
        self.stack = cast("Sequence[Block]", nn.ModuleList(made))
        self.apply(partial(init_bert, std=initializer_range))
        table = cast("nn.Parameter", self.embedding.word.weight)
        self.head = vocabulary_head(head, width, table, std=initializer_range, where="decoder prefix")

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, memory: Tokens) -> KV:
        """Keys and values of the image tokens in every layer, which run over them here and never again."""
        x_MND, allowed, held = self.image(memory.x), memory.mask[:, None, None, :], []
        for i, block in enumerate(self.stack):
            key, value = block.project(x_MND)
            # Laid out once as a search reads them: else each of its steps copies them, a fifth of its time on the CPU.
            held.append((key, value) if torch.is_grad_enabled() else (key.contiguous(), value.contiguous()))
            if i + 1 < len(self.stack):  # nobody reads what the last layer would make of a picture
                run = partial(_over_picture, block, allowed, (key, value))
                x_MND = again(run, x_MND) if self.checkpoints else run(x_MND)
        return KV(tuple(key for key, _ in held), tuple(value for _, value in held), memory.mask)

    def forward(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits [P, L, V] of the token after each position.

        Args:
            ids_PL: ids; with a cache, the new ones only.
            mask_PL: True at real ids, bool.
            memory: prepared pictures; None: words alone.
            row_of_memory: the picture each text reads, [P] int64; None: text p reads picture p M // P.
            cache: what was decoded before; extended in place.
        """
        x_PLD = self.embedding(ids_PL, 0 if cache is None else len(cache))
        return self.head(
            run_blocks(self.stack, x_PLD, mask_PL, memory, row_of_memory, cache, keeps=not self.checkpoints)
        )


def _over_picture(block: Block, allowed: Tensor, keys: tuple[Tensor, Tensor], x_MND: Tensor) -> Tensor:
    made: Tensor = block(x_MND, allowed, past=keys)[0]
    return made
