"""A BERT or RoBERTa of transformers as a start: layers, embeddings and vocabulary head, where a system has the like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from transformers import BertModel, RobertaModel

from vlzoo.errors import CheckpointError
from vlzoo.files import read_object
from vlzoo.interfaces import Fusion
from vlzoo.models.assemble import System
from vlzoo.models.bert_names import BLOCK, EMBEDDING, HEAD, ROBERTA_HEAD, TOKEN_TYPES
from vlzoo.models.blocks import Block, Layer
from vlzoo.models.embedding import WordEmbedding
from vlzoo.models.heads import MlmHead
from vlzoo.models.text_bert import plain_name
from vlzoo.weights.adapter import Adapter, Offered

_WORDS = "embeddings.word_embeddings.weight"
_PREDICTIONS = "cls.predictions"
_TIED = (f"{_PREDICTIONS}.decoder.weight", f"{_PREDICTIONS}.decoder.bias", "embeddings.position_ids")
"""Names that whole BERTs repeat, and a table that is computed."""

_STACKED = re.compile(r"(?P<owner>.+)\.stack\.(?P<index>\d+)")
_ENCODER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_OUR_BLOCK = {ours: theirs for theirs, ours in BLOCK.items()}
_OUR_EMBEDDING = {ours: theirs for theirs, ours in EMBEDDING.items()}
_OUR_HEAD = {ours: theirs for theirs, ours in HEAD.items()}


@dataclass(frozen=True)
class _Source:
    """Which of a BERT's weights belongs at a name of the system.

    Attributes:
        name: BERT's.
        heads: attention heads of the module there; 0 where it has none.
        rows: which rows of the table are taken, where not all: the first, or all behind it.
    """

    name: str
    heads: int = 0
    rows: Literal["first", "others"] | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """What is taken of BERT's tensor."""
        return tensor if self.rows is None else tensor[0] if self.rows == "first" else tensor[1:]


class BertAdapter(Adapter):
    """A BERT by transformers' names, filled in by what the system's modules are.

    A text encoder's layers are BERT's first, a fusion's the ones that follow: so ALBEF and X-VLM start, whose fusion
    is layers 6 to 11. A decoder's are counted from the first (official `BertLMHeadModel`). Cross-attention stays fresh.
    A RoBERTa fills the encoder `roberta`, and all else as a BERT does, but for positions, which it counts from 2.
    Layers are looked for where a part has `stack.N`.

    Args:
        first: the layer, from 0, that a module's first layer is filled from; None: as said above.
    """

    origin = "BERT, Devlin et al. 2019, https://github.com/google-research/bert"
    licence = "Apache-2.0"

    def __init__(self, *, first: int | None = None) -> None:
        self.first = first

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether there are a BERT's words and first layer, with no cross-attention."""
        known = {_bert_name(name) for name in names}
        layered = "encoder.layer.0.attention.self.query.weight" in known
        return _WORDS in known and layered and not any("crossattention" in name for name in known)

    def start(self, state: Mapping[str, Tensor], system: System, file: Path) -> Offered:
        """What a BERT has for a system.

        Raises:
            CheckpointError: it is no BERT by its names, or by the config.json beside it.
        """
        given = {_bert_name(name): tensor for name, tensor in state.items()}
        config = _config(file)
        if _WORDS not in given or config.get("model_type", "bert") not in ("bert", "roberta"):
            said = f"it has no {_WORDS!r}" if _WORDS not in given else f"its config.json says {config['model_type']!r}"
            raise CheckpointError(
                f"it is no BERT: {said}", where=str(file), fix="`vlzoo weights show FILE` lists names"
            )
        # A RoBERTa's first row of positions is of padding, and its only kind of word has one.
        kind = RobertaModel if _is_roberta(state, config) else BertModel
        heads, sources = config.get("num_attention_heads", 0), dict(_sources(system, self.first, kind))
        if not isinstance(heads, int):
            where = str(file.with_name("config.json"))
            raise CheckpointError(f"num_attention_heads is {heads!r}, no number", where=where, fix="mend it")
        tensors, unfit = {}, {}
        for name, source in sources.items():
            if source.name in given:
                if source.heads and heads and source.heads != heads:
                    unfit[name] = f"{source.heads} heads here, {heads} in the file"
                else:
                    tensors[name] = source.of(given[source.name])
        placed = {source.name for source in sources.values()}
        left = [name for name in state if _bert_name(name) not in placed]
        repeated = tuple(name for name in left if _bert_name(name) in _TIED)
        return Offered(tensors, tuple(name for name in left if name not in repeated), repeated, unfit)


def _config(file: Path) -> dict[str, Any]:
    beside = file.with_name("config.json")
    return read_object(beside, "mend it or take it away") if beside.is_file() else {}


def _bert_name(name: str) -> str:
    """BERT's name of a weight: a RoBERTa's head of masked words is called otherwise."""
    plain = plain_name(name)
    theirs, _, kind = plain.rpartition(".")
    return f"{ROBERTA_HEAD[theirs]}.{kind}" if theirs in ROBERTA_HEAD else plain


def _is_roberta(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> bool:
    said = config.get("model_type")
    return said == "roberta" if said else any(name.startswith(("roberta.", "lm_head.")) for name in state)


def _sources(system: System, first: int | None, kind: type[nn.Module]) -> Iterator[tuple[str, _Source]]:
    """Every name of the system that a BERT (or RoBERTa, the `kind`) may fill, with its source."""
    # A table that is tied to another is filled under the other's name, or `into` one module would fill two.
    own = {name for name, _ in system.named_parameters()}
    after = text_layers(system)
    for name, module in system.named_modules():
        found: Callable[[str], _Source | None] | None = None
        match = _STACKED.fullmatch(name)
        if isinstance(module, kind):
            found = _of_transformers(module, first or 0)
        elif isinstance(module, WordEmbedding):
            found = _of_embedding
        elif isinstance(module, MlmHead):
            found = _of_head
        elif isinstance(module, Block | Layer) and match:
            begin = after if isinstance(system.get_submodule(match["owner"]), Fusion) else 0
            found = _of_layer(module, int(match["index"]) + (begin if first is None else first))
        for each in module.state_dict() if found else ():
            full, source = f"{name}.{each}", found(each) if found else None
            if source is not None and full in own:
                yield full, source


def text_layers(system: System) -> int:
    """How many layers the text encoder has, 0 where it has words alone."""
    encoder: nn.Module | None = system.model.text_encoder
    named = encoder.named_modules() if encoder is not None else ()
    return sum(
        module.config.num_hidden_layers
        if isinstance(module, BertModel | RobertaModel)
        else isinstance(module, Block | Layer) and _STACKED.fullmatch(f"text.{name}") is not None
        for name, module in named
    )


def _of_transformers(module: Any, first: int) -> Callable[[str], _Source]:
    heads = int(module.config.num_attention_heads)

    def found(each: str) -> _Source:
        match = _ENCODER.fullmatch(each)
        return _Source(f"encoder.layer.{int(match[1]) + first}.{match[2]}", heads) if match else _Source(each)

    return found


def _of_embedding(each: str) -> _Source | None:
    if each in ("kind", "other_kinds"):
        return _Source(f"embeddings.{TOKEN_TYPES}", rows="first" if each == "kind" else "others")
    module, _, kind = each.rpartition(".")
    return _Source(f"embeddings.{_OUR_EMBEDDING[module]}.{kind}") if module in _OUR_EMBEDDING else None


def _of_head(each: str) -> _Source | None:
    if each in ("bias", "embedding"):
        return _Source(f"{_PREDICTIONS}.bias" if each == "bias" else _WORDS)
    module, _, kind = each.rpartition(".")
    return _Source(f"{_PREDICTIONS}.{_OUR_HEAD[module]}.{kind}") if module in _OUR_HEAD else None


def _of_layer(module: Block | Layer, layer: int) -> Callable[[str], _Source | None]:
    """Of a layer with a block for each picture all blocks start alike (ALBEF's `NLVR.py`)."""
    first = module if isinstance(module, Block) else module.blocks[0]

    def found(each: str) -> _Source | None:
        inside = re.sub(r"blocks\.\d+\.", "", each) if isinstance(module, Layer) else each
        part, _, kind = inside.rpartition(".")
        if part not in _OUR_BLOCK:
            return None
        return _Source(f"encoder.layer.{layer}.{_OUR_BLOCK[part]}.{kind}", first.attention.heads)

    return found
