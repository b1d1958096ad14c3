"""A language model of GPT-2's layout, with random weights or those of a local folder (Radford et al. 2019).

Legend: P texts, L text tokens, D width, V vocabulary, A words added to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.files import read_object
from vlzoo.models.local_weights import fill, read_weights
from vlzoo.models.prenorm import PreNormBlock
from vlzoo.models.prepared import check_heads
from vlzoo.resources import model_file

_SAVED = "give a folder with config.json and model.safetensors, as transformers' save_pretrained writes it"
_NAMES = {
    "ln_1": ("attention_norm",),
    "attn.c_attn": ("query", "key", "value"),
    "attn.c_proj": ("output",),
    "ln_2": ("norm",),
    "mlp.c_fc": ("dense",),
    "mlp.c_proj": ("end",),
}
"""GPT-2's modules of a layer -> of our block: one of its matrices holds three of ours, and all are [in, out]."""
_USUAL: Mapping[str, Any] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "tie_word_embeddings": (True,),
    "add_cross_attention": (False,),
}
"""What a GPT-2's config.json may say of what is built here in one way."""


class LanguageModel(nn.Module):
    """Word and position vectors, causal layers that normalise first, a last norm; words are told by their own table.

    >>> model = LanguageModel(vocab=50, width=16, layers=2, heads=2, positions=8)
    >>> model.logits(model.norm(model.embed(torch.tensor([[3, 4]])))).shape
    torch.Size([1, 2, 50])

    Args:
        vocab: V.
        width: D.
        layers: how many layers.
        heads: H; divides D.
        positions: how many positions there are.
        intermediate: width of the feed-forward's hidden layer; None: 4 D.
        epsilon: of every LayerNorm.
        added: A words behind the vocabulary's, with vectors of their own.
    """

    def __init__(
        self,
        *,
        vocab: int,
        width: int,
        layers: int,
        heads: int,
        positions: int,
        intermediate: int | None = None,
        epsilon: float = 1e-5,
        added: int = 0,
    ) -> None:
        super().__init__()
        check_heads(width, heads, "language model")
        self.word, self.position = nn.Embedding(vocab, width), nn.Embedding(positions, width)
        inner = intermediate or 4 * width
        made = (PreNormBlock(width, heads, inner, 0.0, activation="gelu_tanh", epsilon=epsilon) for _ in range(layers))
        self.stack = cast("Sequence[PreNormBlock]", nn.ModuleList(made))
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.apply(_init)
        self.added = nn.Parameter(0.02 * torch.randn(added, width)) if added else None

    @classmethod
    def of_folder(cls, folder: Path, vocab: int | None = None) -> LanguageModel:
        """The model of a folder that transformers' `save_pretrained` wrote.

        Args:
            folder: with config.json and weights.
            vocab: how many ids the tokenizer gives; those behind the model's own have new vectors.

        Raises:
            CheckpointError: it is no GPT-2, or not all of its weights are there.
        """
        sizes = _sizes(folder)
        made = cls(**sizes, added=max(0, (vocab or 0) - sizes["vocab"]))
        file = model_file(folder)
        held = read_weights(file, lambda names: sum("wte.weight" in name for name in names))
        own = {name for name in made.state_dict() if name != "added"}
        theirs = {name: tensor for name, tensor in _by_our_names(held).items() if name in own}
        fill(made, theirs, where=str(file), optional=("added",))
        return made

    def embed(self, ids_PL: Tensor, start: int = 0) -> Tensor:
        """Vectors [P, L, D] of ids that stand at positions `start` onwards.

        Raises:
            VlzooError: the text is longer than there are positions.
        """
        end, room = start + ids_PL.shape[1], self.position.num_embeddings
        if end > room:
            what = f"a text of {end} tokens is longer than the {room} positions of the language model"
            raise VlzooError(what, fix="lower the tokenizer's max_length")
        words, own = self.word.num_embeddings, ids_PL
        x_PLD = self.word(own.clamp(max=words - 1))
        if self.added is not None:
            new_PLD = F.embedding((own - words).clamp(min=0), self.added)
            x_PLD = torch.where((own >= words)[..., None], new_PLD.to(x_PLD.dtype), x_PLD)
        return x_PLD + self.position.weight[start:end]

    def logits(self, x_PLD: Tensor) -> Tensor:
        """Logits [P, L, V + A] of normed states."""
        known = F.linear(x_PLD, self.word.weight)
        return known if self.added is None else torch.cat([known, F.linear(x_PLD, self.added)], dim=-1)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _sizes(folder: Path) -> dict[str, Any]:
    """What config.json says of a GPT-2's sizes."""
    file = folder / "config.json"
    if not file.is_file():
        what = f"{str(folder)!r} is not the folder of a language model: it has no config.json"
        raise CheckpointError(what, fix=_SAVED)
    held = read_object(file, _SAVED)
    if held.get("model_type") != "gpt2":
        what = f"it is no GPT-2: model_type is {held.get('model_type')!r}"
        raise CheckpointError(what, where=str(file), fix="give a language model of GPT-2's layout")
    for name, usual in _USUAL.items():
        if held.get(name, usual[0]) not in usual:
            what = f"it is built otherwise than GPT-2: {name} is {held[name]!r}"
            raise CheckpointError(what, where=str(file), fix=f"wanted: {usual[0]!r}")
    names = {"vocab": "vocab_size", "width": "n_embd", "layers": "n_layer", "heads": "n_head"}
    sizes = {ours: held.get(theirs) for ours, theirs in {**names, "positions": "n_positions"}.items()}
    wrong = [name for name, value in sizes.items() if not isinstance(value, int) or value < 1]
    if wrong:
        what = f"it says no sizes of a GPT-2: {wrong[0]} is {sizes[wrong[0]]!r}"
        raise CheckpointError(what, where=str(file), fix=_SAVED)
    return {**sizes, "intermediate": held.get("n_inner"), "epsilon": float(held.get("layer_norm_epsilon", 1e-5))}


def _by_our_names(held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """GPT-2's weights by our names."""
    made: dict[str, Tensor] = {}
    outer = {"wte": "word", "wpe": "position", "ln_f": "norm"}
    for full, tensor in held.items():
        module, _, kind = full.removeprefix("transformer.").rpartition(".")
        number, _, part = module.removeprefix("h.").partition(".")
        if module in outer:
            made[f"{outer[module]}.{kind}"] = tensor
        elif part in _NAMES:
            for ours, piece in zip(_NAMES[part], tensor.chunk(len(_NAMES[part]), dim=-1), strict=True):
                made[f"stack.{number}.{ours}.{kind}"] = (piece.T if piece.ndim == 2 else piece).contiguous()
    return made
