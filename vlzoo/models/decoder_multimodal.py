"""A decoder that reads words alone in its first layers, and then the picture: CoCa (Yu et al. 2022), X-VLM's captioner.

Legend: P texts, L text tokens, D width, M pictures, N image tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.interfaces import Decoder, Prepared
from vlzoo.models.bert_names import as_our_layers
from vlzoo.models.blocks import Layer, init_bert
from vlzoo.models.decoder import BERT, Cache, moved, run_blocks, seen_with
from vlzoo.models.heads import MlmHead, vocabulary_head
from vlzoo.models.prepared import check_heads, prepare
from vlzoo.models.text_causal import CausalEncoder
from vlzoo.types import KV, Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


_STARTS = {"model.fusion.stack.": "stack."}
_HEAD = {"objectives.mlm.head.": "head."}
_LOWER = {"model.text_encoder.embedding.": "embedding.", "model.text_encoder.stack.": "stack."}
"""Where the decoder, BERT's head, and the lower half start that the other model does not have -> their own names."""


class MultimodalDecoder(Decoder):
    """Layers with cross-attention above those of a causal text encoder, whose words' states they read.

    Where the model's text encoder is `causal`, it is the lower half: texts are encoded once for the contrast and the
    decoder, by the same weights. Else the decoder has a lower half of its own: with `head: bert` this is one BERT that
    reads the picture in its upper layers alone, as X-VLM's captioner (Zeng et al. 2022).

    Args:
        width: D of its states, those of the lower half included.
        layers: number of layers with cross-attention.
        lower: number of layers of the lower half, where it is its own.
        heads: attention heads; they divide the width.
        intermediate: width of the feed-forward's hidden layer.
        vocab: how many ids it knows.
        max_length: how many positions there are, where the lower half is its own.
        dropout: chance of dropping attention entries and hidden numbers.
        memory_width: width of the image tokens; None: the same as `width`.
        head: what gives logits: `linear`, with weights of its own, or `bert`, BERT's head tied to the word table.
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
        layers: int = 12,
        lower: int = 12,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 30522,
        max_length: int = 512,
        dropout: float = 0.1,
        memory_width: int | None = None,
        head: Literal["linear", "bert"] = "linear",
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "decoder multimodal")
        self.width, self.vocab, self.max_length = width, vocab, max_length
        sizes = {"width": width, "heads": heads, "intermediate": intermediate, "vocab": vocab}
        self.lower = CausalEncoder(
            **sizes, layers=lower, max_length=max_length, dropout=dropout, initializer_range=initializer_range
        )
        # Nobody reads what stands behind a text, unless the model's encoder gives it.
        self.lower.last.requires_grad_(False)
        source = memory_width or width
        made = (Layer(width, heads, intermediate, dropout, source=source) for _ in range(layers))
        self.stack = cast("Sequence[Layer]", nn.ModuleList(made))
        self.stack.apply(partial(init_bert, std=initializer_range))  # type: ignore[attr-defined]
        table = self.lower.word_embedding()
        self.head = vocabulary_head(head, width, table, std=initializer_range, where="decoder multimodal")

    def meet(self, model: Model) -> None:
        """Take over the model's text encoder as lower half, if it is a causal one.

        Raises:
            VlzooError: it has another width.
        """
        encoder = model.text_encoder if model.has("text_encoder") else None
        if not isinstance(encoder, CausalEncoder):
            return
        if encoder.width != self.width:
            what = f"its width is {self.width}, that of the text encoder, its lower half, {encoder.width}"
            raise VlzooError(what, where="decoder multimodal", fix=f"set the decoder's width to {encoder.width}")
        self.lower, self.max_length, self.continues_text = encoder, encoder.max_length, True
        if isinstance(self.head, MlmHead):
            self.head.embedding = encoder.word_embedding()

    def start_from(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Its own names; without them the text encoder's layers, the fusion's above them, and BERT's head.

        So X-VLM's `Captioning_pretrain.py` starts its decoder. A lower half that is the text encoder starts as that.
        """
        # A linear head would take the bias, which has its shape, and not the weights.
        made = moved(tensors, _STARTS | (_HEAD if isinstance(self.head, MlmHead) else {}))
        if not self.continues_text:
            below = as_our_layers(tensors, BERT) | moved(tensors, _LOWER)
            made |= {f"lower.{own}": tensor for own, tensor in below.items()}
        return made | super().start_from(name, tensors)

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`."""
        self.checkpoints = True
        return self.lower.checkpoint_layers()

    def prepare(self, memory: Tokens) -> KV:
        """The picture's keys and values of every layer with cross-attention."""
        return prepare(self.stack, memory)

    def forward(
        self,
        ids_PL: Tensor,
        mask_PL: Tensor,
        memory: Prepared | None,
        row_of_memory: Tensor | None = None,
        cache: Cache | None = None,
        *,
        text: Tokens | None = None,
    ) -> Tensor:
        """Logits [P, L, V] of the token after each position.

        Args:
            ids_PL: ids; with a cache, the new ones only.
            mask_PL: True at real ids, bool.
            memory: prepared pictures; None: words alone.
            row_of_memory: the picture each text reads, [P] int64; None: text p reads picture p M // P.
            cache: what was decoded before, of both halves; extended in place.
            text: what the text encoder has made of these ids; None: they are read here.
        """
        x_PLD = self.lower.words(ids_PL, seen_with(cache, mask_PL), cache) if text is None else text.x
        blocks, below = [layer.blocks[0] for layer in self.stack], len(self.lower.stack)
        keeps = not self.checkpoints
        x_PLD = run_blocks(blocks, x_PLD, mask_PL, memory, row_of_memory, cache, keeps=keeps, below=below)
        return self.head(x_PLD)
