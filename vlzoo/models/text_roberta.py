"""The first layers of a RoBERTa as text encoder, by transformers' public model class (Liu et al. 2019).

Legend: B texts, L text tokens.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import RobertaConfig, RobertaModel

from vlzoo.errors import VlzooError
from vlzoo.interfaces import TextEncoder
from vlzoo.models.prepared import check_heads
from vlzoo.models.text_bert import BertEncoder, folder_of, load
from vlzoo.types import Tokens

WHERE = "text_encoder roberta"


class RobertaEncoder(BertEncoder):
    """Embeddings and the first layers of a RoBERTa; `pooled` is the first token's state.

    A BERT whose positions are counted from the number behind its padding's id, and whose words are all of one kind.

    Args:
        layers: how many layers, from the first; the sizes of a loaded model come from its config.json.
        width: D, for random weights.
        heads: attention heads, for random weights.
        intermediate: width of the feed-forward's hidden layer, for random weights.
        vocab: number of ids, for random weights.
        max_length: most tokens of a text, for random weights.
        pad: id of padding, for random weights: its word learns nothing. RoBERTa's vocabulary has 1.
        dropout: chance of dropping attention entries and hidden numbers.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
        path: local folder with config.json and model.safetensors to start from.
        package: installed pip package that holds such a folder.
        frozen: leave the weights as they are, without dropout.
    """

    def __init__(
        self,
        *,
        layers: int = 12,
        width: int = 768,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 50265,
        max_length: int = 512,
        pad: int = 1,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        path: str | None = None,
        package: str | None = None,
        frozen: bool = False,
    ) -> None:
        TextEncoder.__init__(self)
        changed: dict[str, Any] = {
            "num_hidden_layers": layers,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        }
        if path or package:
            made = load(RobertaModel, RobertaConfig, folder_of(path, package, where=WHERE), changed)
        else:
            check_heads(width, heads, WHERE)
            config = RobertaConfig(
                hidden_size=width,
                num_attention_heads=heads,
                intermediate_size=intermediate,
                vocab_size=vocab,
                max_position_embeddings=max_length + pad + 1,
                type_vocab_size=1,
                pad_token_id=pad,
                layer_norm_eps=1e-5,
                initializer_range=initializer_range,
                **changed,
            )
            made = RobertaModel(config, add_pooling_layer=False)
        self.own(made, frozen=frozen, loaded=bool(path or package), before=int(made.config.pad_token_id) + 1)

    def forward(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor,
        *,
        positions_BL: Tensor | None = None,
        segments_BL: Tensor | None = None,
        among_BLL: Tensor | None = None,
        boxes_BL4: Tensor | None = None,
    ) -> Tokens:
        """Tokens of ids [B, L] int64 with their padding mask [B, L] bool; the arguments are a BERT's.

        Raises:
            VlzooError: the text is longer than there are positions, or its words have boxes or kinds.
        """
        if segments_BL is not None:
            fix = "name `model.text_encoder: bert`; or rows without segments"
            raise VlzooError("the texts have segments, and a RoBERTa knows one kind of word", where=WHERE, fix=fix)
        return super().forward(ids_BL, mask_BL, positions_BL=positions_BL, among_BLL=among_BLL, boxes_BL4=boxes_BL4)
