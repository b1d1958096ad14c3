"""Checkpoints of CLIP and SigLIP as transformers lays them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD
from vlzoo.weights.adapter import Place
from vlzoo.weights.beside import ViT
from vlzoo.weights.dual_names import place, split_pool
from vlzoo.weights.folder import FolderAdapter

_WORDS = "text_model.embeddings.token_embedding.weight"
_PATCH = "vision_model.embeddings.patch_embedding.weight"


class DualAdapter(FolderAdapter):
    """What CLIP's and SigLIP's adapters share: two encoders of transformers, whose sizes are those of their weights.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.

    Attributes:
        contrast: the objective that has the scale.
        mark: a name that the other's checkpoints lack.
        epsilon: of LayerNorms.
        usual_colours: mean and deviation of pixels where no image processor says.
    """

    contrast: ClassVar[str]
    mark: ClassVar[str]
    epsilon: ClassVar[float]
    usual_colours: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]]

    def recognises(self, names: Iterable[str]) -> bool:
        """Whether a text and a vision model stand beside the family's scale under transformers' names."""
        return {_WORDS, _PATCH, "logit_scale", self.mark} <= set(names)

    def words(self, state: Mapping[str, Tensor]) -> str:
        """As `FolderAdapter.words`."""
        return _WORDS

    def place(self, name: str) -> Place | None:
        """As `FolderAdapter.place`."""
        return place(name, self.contrast)

    def changed(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As `FolderAdapter.changed`: the matrix of a pooling head in two."""
        return split_pool(state)

    def part_of(self, name: str) -> str:
        """As `FolderAdapter.part_of`."""
        return name.replace("in_proj_", "q_proj.")

    def text(self, state: Mapping[str, Tensor], activation: str) -> dict[str, Any]:
        """The text encoder, as a recipe names it."""
        length, width = state["text_model.embeddings.position_embedding.weight"].shape
        return {
            "part": "transformer",
            "layers": _layers(state, "text_model"),
            "width": width,
            "heads": self.beside.heads("text_config", width),
            "intermediate": len(state["text_model.encoder.layers.0.mlp.fc1.weight"]),
            "vocab": len(state[_WORDS]),
            "max_length": length,
            "activation": self.beside.activation("text_config", activation),
            "epsilon": float(self.beside.part("text_config").get("layer_norm_eps", self.epsilon)),
        }

    def image(self, state: Mapping[str, Tensor], name: str, prefix: int, activation: str) -> dict[str, Any]:
        """The image encoder, as a recipe names it."""
        places = len(state["vision_model.embeddings.position_embedding.weight"]) - prefix
        hidden = len(state["vision_model.encoder.layers.0.mlp.fc1.weight"])
        sizes = ViT(name, _layers(state, "vision_model"), hidden, places, activation, self.epsilon, self.usual_colours)
        return self.beside.vit(state[_PATCH], sizes)

    def ready(self, about: str, paper: str, model: dict[str, Any], usual: str) -> dict[str, Any]:
        """A recipe round a model."""
        side = int(model["image_encoder"]["image_size"])
        seen = self.beside.eval_pictures(side, usual)
        return {
            "about": f"{about}, converted from a checkpoint in transformers' layout",
            "paper": paper,
            "model": model,
            "tokenizer": {"sep": True, "max_length": int(model["text_encoder"]["max_length"]), "clean": False},
            "objectives": {self.contrast: {}},
            "augment": {"train": {"part": "weak", "size": side}, "eval": seen},
            "bench": {"retrieval": {"protocol": "itc"}},
        }


class ClipAdapter(DualAdapter):
    """`CLIPModel` of transformers, also with the activation `quick_gelu` of OpenAI's weights.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    origin = "CLIP, Radford et al. 2021, https://github.com/openai/CLIP"
    licence = "MIT"
    contrast, mark, epsilon, usual_colours = "itc", "visual_projection.weight", 1e-5, (CLIP_MEAN, CLIP_STD)

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """As `FolderAdapter.recipe`."""
        model = {
            "image_encoder": self.image(state, "vit_base_patch32_clip_224", 1, "quick_gelu"),
            "text_encoder": self.text(state, "quick_gelu"),
            "joint": len(state["visual_projection.weight"]),
            "projection": {"bias": False},
            "temperature": {"initial": 0.07, "low": 0.01, "high": 100.0, "learned_as": "logit_scale"},
        }
        paper = "Radford et al., ICML 2021, arXiv:2103.00020"
        return self.ready("CLIP", paper, model, "centre")


class SiglipAdapter(DualAdapter):
    """`SiglipModel` of transformers: texts filled up with padding that is read, pictures pooled by attention.

    Args:
        where: the file; beside it lie config.json, the image processor's and the tokenizer's files.
    """

    origin = "SigLIP, Zhai et al. 2023, https://github.com/google-research/big_vision"
    licence = "Apache-2.0"
    contrast, mark, epsilon, usual_colours = "sigmoid_itc", "logit_bias", 1e-6, ((0.5,) * 3, (0.5,) * 3)

    def recipe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """As `FolderAdapter.recipe`."""
        text = {**self.text(state, "gelu_pytorch_tanh"), "causal": False, "padded": True}
        found = self.beside.tokenizer(int(text["max_length"]))
        model = {
            "image_encoder": self.image(state, "vit_base_patch16_siglip_224", 0, "gelu_pytorch_tanh"),
            "text_encoder": {
                **text,
                "pad_id": found[2] if found else self.beside.part("text_config").get("pad_token_id"),
            },
            "joint": len(state["text_model.head.weight"]),
            "projection": {"of": ["text"]},
        }
        return self.ready("SigLIP", "Zhai et al., ICCV 2023, arXiv:2303.15343", model, "plain")


def _layers(state: Mapping[str, Tensor], tower: str) -> int:
    start = f"{tower}.encoder.layers."
    return 1 + max(int(name.removeprefix(start).partition(".")[0]) for name in state if name.startswith(start))
