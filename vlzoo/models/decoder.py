"""A causal decoder that reads a memory: ALBEF's answer decoder (`BertLMHeadModel` with cross-attention throughout).

Legend: P texts, L text tokens, D width, M memory rows, N memory tokens, S width of the memory, H heads, d head
width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, cast, get_args

import torch
from torch import Tensor, nn

from vlzoo.errors import UnknownName, did_you_mean
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.bert_names import as_our_layers
from vlzoo.models.blocks import Block, Layer, Reading, init_bert
from vlzoo.models.checkpointing import again
from vlzoo.models.embedding import WordEmbedding
from vlzoo.models.heads import MlmHead
from vlzoo.models.prepared import as_kv, check_heads, prepare, reading
from vlzoo.models.sharing import share_readers
from vlzoo.types import KV, Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model

_STARTS = {
    "model.fusion.stack.": "stack.",
    "objectives.mlm.head.": "head.",
    "model.text_encoder.embedding.": "embedding.",
}
"""Where a decoder starts that the other model does not have -> its own names."""
BERT = "model.text_encoder.bert."
"""What the names of a text encoder that is transformers' BERT begin with."""


Reads = Literal["", "image", "fused", "all"]
"""What a decoder's memory is: image tokens, fused states of words, or of words and pictures; empty: of words, where the
model has a fusion."""


@dataclass
class Cache:
    """Keys and values of the words decoded so far; made empty, filled by the decoder.

    Attributes:
        keys: one tensor a layer, [P, H, L, d].
        values: one tensor a layer, [P, H, L, d].
        mask: True at real words, [P, L] bool; None before the first word.
    """

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    mask: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.mask is None else self.mask.shape[1]

    def gather(self, rows: Tensor) -> Cache:
        """The rows `rows` [P] int64: one decoded start continued in several ways, or a beam reordered."""
        mask = None if self.mask is None else self.mask[rows]
        return Cache([key[rows] for key in self.keys], [value[rows] for value in self.values], mask)

    def extend(self, layer: int, new: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Add one layer's new keys and values, and give all there are."""
        if layer == len(self.keys):
            self.keys.append(new[0])
            self.values.append(new[1])
        else:
            self.keys[layer] = torch.cat([self.keys[layer], new[0]], dim=2)
            self.values[layer] = torch.cat([self.values[layer], new[1]], dim=2)
        return self.keys[layer], self.values[layer]


class CausalDecoder(Decoder):
    """Embeddings, BERT layers with causal self-attention and cross-attention to the memory, vocabulary head.

    Args:
        width: D of its states.
        layers: number of layers.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: how many ids it knows.
        max_length: how many positions there are.
        dropout: chance of dropping attention entries and hidden numbers.
        memory_width: width of the memory's tokens; None: the same as `width`.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
        reads: `image`: the picture's tokens (BLIP), `fused`: fused states of words (ALBEF's answers), `all`: those of
            pictures too (SimVLM); empty: fused states of words where the model has a fusion.
        shared: take over cross-attention and feed-forward of the fusion, which must be `cross_attention`, and the text
            encoder's word table: self-attention alone is its own (BLIP).

    Raises:
        VlzooError: an option has a value that none can have.
    """

    checkpoints = False

    def __init__(
        self,
        *,
        width: int = 768,
        layers: int = 6,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 30522,
        max_length: int = 512,
        dropout: float = 0.1,
        memory_width: int | None = None,
        initializer_range: float = 0.02,
        reads: Literal["", "image", "fused", "all"] = "",
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "decoder causal")
        self.reads = checked_reads(reads, "decoder causal")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        self.embedding = WordEmbedding(vocab, width, max_length, dropout)
        source = memory_width or width
        made = (Layer(width, heads, intermediate, dropout, source=source) for _ in range(layers))
        self.stack = cast("Sequence[Layer]", nn.ModuleList(made))
        self.apply(partial(init_bert, std=initializer_range))
        self.head = MlmHead(width, self.embedding.word.weight)
        self.shared = shared

    def meet(self, model: Model) -> None:
        """With `shared`, take over what is not its own.

        Raises:
            VlzooError: the fusion has other layers, or another width.
        """
        if not self.shared:
            return
        share_readers(model.fusion, self.stack, self.width, "decoder causal")
        table = getattr(model.text_encoder, "embedding", None)
        if isinstance(table, WordEmbedding):
            self.embedding, self.head.embedding = table, table.word.weight
            self.max_length = table.position.num_embeddings

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own names; without them the fusion's layers, the text encoder's embeddings and the head of masked words.

        So ALBEF's `VQA.py` starts its answer decoder.
        """
        words = as_our_layers(tensors, BERT)
        made = {own: tensor for own, tensor in words.items() if own.startswith("embedding.")}
        return made | moved(tensors, _STARTS) | super().start_from(name, tensors)

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return True

    def prepare(self, memory: Tokens) -> KV:
        """The memory's keys and values of every layer, computed once for all candidates."""
        return prepare(self.stack, memory)

    def states(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """States [P, L, D] before the vocabulary head: a loss may call `head` on the positions it scores alone.

        Args:
            ids_PL: ids; with a cache, the new ones only.
            mask_PL: True at real ids, bool.
            memory: prepared memory; None: words alone.
            row_of_memory: the memory row each text reads, [P] int64; None: text p reads row p M // P.
            cache: what was decoded before; extended in place.
        """
        x_PLD = self.embedding(ids_PL, 0 if cache is None else len(cache))
        blocks = [layer.blocks[0] for layer in self.stack]
        return run_blocks(blocks, x_PLD, mask_PL, memory, row_of_memory, cache, keeps=not self.checkpoints)

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


def moved(tensors: Mapping[str, Tensor], places: Mapping[str, str]) -> dict[str, Tensor]:
    """Those tensors whose names begin with one of `places`, under the names that begin as these say instead."""
    return {
        ours + full.removeprefix(theirs): tensor
        for full, tensor in tensors.items()
        for theirs, ours in places.items()
        if full.startswith(theirs)
    }


def run_blocks(
    blocks: Sequence[Block],
    x_PLD: Tensor,
    mask_PL: Tensor,
    memory: Prepared | None,
    row_of_memory: Tensor | None = None,
    cache: Cache | None = None,
    *,
    keeps: bool = True,
    below: int = 0,
) -> Tensor:
    """States [P, L, D] after a decoder's blocks: each word reads those before it, and the memory.

    Args:
        blocks: one after the other.
        x_PLD: states before the first, of the new words.
        mask_PL: True at real ones among the new words, bool.
        memory: prepared; None: words alone.
        row_of_memory: the memory row each text reads, [P] int64; None: text p reads row p M // P.
        cache: what was decoded before; extended in place.
        keeps: keep what the way back reads; else blocks are run again then.
        below: how many blocks of another part stand in the cache before these.
    """
    seen, keys = seen_with(cache, mask_PL), None if memory is None else as_kv(memory)
    allowed = causal(seen, x_PLD.shape[1])
    for i, block in enumerate(blocks):
        read = None if keys is None else partial(reading, keys, i, row_of_memory)
        run = partial(step_of, block, allowed, read, cache, below + i)
        x_PLD = run(x_PLD) if keeps or cache is not None else again(run, x_PLD)
    if cache is not None:
        cache.mask = seen
    return x_PLD


def seen_with(cache: Cache | None, mask_PL: Tensor) -> Tensor:
    """True at real words, those of the cache first and then the new ones, bool, [P, all words]."""
    return mask_PL if cache is None or cache.mask is None else torch.cat([cache.mask, mask_PL], dim=1)


def step_of(
    block: Block, allowed: Tensor, memory: Callable[[], Reading] | None, cache: Cache | None, index: int, x_PLD: Tensor
) -> Tensor:
    """States [P, L, D] after one block of a decoder.

    Args:
        block: the block.
        allowed: which words each new one may read, bool, [P, 1, L, all words].
        memory: gives what it reads beside words; None: nothing.
        cache: what was decoded before; extended in place.
        index: the block's number in the cache.
        x_PLD: states before it, of the new words.
    """
    past = None if cache is None else cache.extend(index, block.project(x_PLD))
    return block(x_PLD, allowed, None if memory is None else memory(), past=past)[0]


def checked_reads(reads: str, where: str) -> Reads:
    """What a decoder reads, as its option says.

    Raises:
        UnknownName: nothing is called so.
    """
    for known in get_args(Reads):
        if reads == known:
            return known
    fix = did_you_mean(str(reads), get_args(Reads)[1:], what="choices")
    raise UnknownName(f"reads can't be {reads!r}", where=where, fix=fix)


def causal(mask_PL: Tensor, new: int) -> Tensor:
    """Which of L positions each of the last `new` ones may read: real ones up to itself, [P, 1, new, L] bool."""
    length = mask_PL.shape[1]
    ones = torch.ones(new, length, dtype=torch.bool, device=mask_PL.device)
    return ones.tril(length - new) & mask_PL[:, None, None, :]
