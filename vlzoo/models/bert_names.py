"""transformers' names of a BERT's weights, and what they are called in our parts (Devlin et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

EMBEDDING = {"word_embeddings": "word", "position_embeddings": "position", "LayerNorm": "norm"}
"""Modules of a BERT's embeddings -> of our `WordEmbedding`."""

TOKEN_TYPES = "token_type_embeddings.weight"
"""Its table of token types; ours knows the first, `kind`, and where it has several the others, `other_kinds`."""

HEAD = {"transform.dense": "dense", "transform.LayerNorm": "norm"}
"""Modules of `cls.predictions` -> of our `MlmHead`."""

ROBERTA_HEAD = {
    "lm_head": "cls.predictions",
    "lm_head.dense": "cls.predictions.transform.dense",
    "lm_head.layer_norm": "cls.predictions.transform.LayerNorm",
    "lm_head.decoder": "cls.predictions.decoder",
}
"""Modules of a RoBERTa's head of masked words -> of a BERT's."""

BLOCK = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output.dense",
    "attention.output.LayerNorm": "attention.output.norm",
    "intermediate.dense": "feed_forward.dense",
    "output.dense": "feed_forward.output.dense",
    "output.LayerNorm": "feed_forward.output.norm",
}
"""Modules of a BERT layer -> of our `Block`."""

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")


def as_our_layers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A BERT's words and layers by the names that our parts have for them: `embedding.word.weight`, `stack.0...`.

    Args:
        tensors: a model's state.
        prefix: what the BERT's names begin with there.
    """
    made: dict[str, Tensor] = {}
    for full, tensor in tensors.items():
        if not full.startswith(prefix):
            continue
        name = full.removeprefix(prefix)
        module, _, kind = name.removeprefix("embeddings.").rpartition(".")
        found = _LAYER.fullmatch(name)
        if found and found[2] in BLOCK:
            made[f"stack.{found[1]}.{BLOCK[found[2]]}.{found[3]}"] = tensor
        elif name == f"embeddings.{TOKEN_TYPES}":
            made["embedding.kind"] = tensor[0]  # of BERT's two kinds of words ours know the first
        elif name.startswith("embeddings.") and module in EMBEDDING:
            made[f"embedding.{EMBEDDING[module]}.{kind}"] = tensor
    return made
