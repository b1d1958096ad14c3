"""Models of transformers against the same models here: a folder is the golden, its own weights or random ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Result
from vlzoo.data.reading import read_json

ADAPTERS = {
    "CLIPModel": "clip",
    "SiglipModel": "siglip",
    "ViltForImageAndTextRetrieval": "vilt",
    "ViltForMaskedLM": "vilt",
    "ViltForQuestionAnswering": "vilt",
    "GitForCausalLM": "git",
    "BlipForConditionalGeneration": "blip",
    "BlipForImageTextRetrieval": "blip",
    "BlipForQuestionAnswering": "blip",
}
"""Classes of transformers that a config.json may name -> the adapter that converts their weights."""


class TransformersFolder(Agreement):
    """`config.json` of a CLIP, SigLIP, ViLT, GIT or BLIP of transformers: features and logits of random inputs.

    The model is made by transformers from the folder's weights; where there are none, with random ones from a seed. An
    adapter turns its state into a run's, and both are shown the same. So `vlzoo agree FOLDER` says of a checkpoint
    whether it converts faithfully.
    """

    pattern = "config.json"
    holds = '"architectures"'
    prefix = "transformers/"

    def reads(self, path: Path) -> bool:
        """As `Agreement.reads`, and it names a class whose weights an adapter converts."""
        return super().reads(path) and bool(_adapter_of(path))

    def compare(self, path: Path) -> Iterator[Result]:
        """Features and logits, at most 2e-5 apart; states of tokens, 2e-5 of their largest number."""
        from vlzoo.agree.transformers_models import compare_folder  # here: an agreement's module imports no torch

        return compare_folder(path, _adapter_of(path))


def _adapter_of(path: Path) -> str:
    """The adapter for the class that a config.json names; empty: none."""
    held = read_json(path)
    named = held.get("architectures") if isinstance(held, dict) else None
    return ADAPTERS.get(str(named[0]), "") if isinstance(named, list) and len(named) == 1 else ""
