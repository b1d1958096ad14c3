"""transformers' names of a BERT's weights, and what they are called in our parts (Devlin et al. 2019)."""

from __future__ import annotations

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
