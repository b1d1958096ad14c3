"""How long runs are, and their fine-tunings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WARMUP = 12
"""The learning rate rises over a twelfth of the run, as in albef-tiny."""

XVLM: Mapping[str, Any] = {
    "vqa": {"train": {"samples": 16_000}},
    "nlvr2": {"train": {"samples": 12_800}},
    "grounding": {
        "model": {"image_encoder": {"image_size": 64}},
        "augment": {"train": {"size": 64}, "eval": {"size": 64}},
        "train": {"samples": 32_000, "warmup_samples": 3_200},
    },
}
"""Fine-tunings of X-VLM's rows, so long that what pre-training gave is not made up for: minutes each, on one core."""
VLMIXER: Mapping[str, Any] = {
    "retrieval": {"train": {"samples": 12_800}},
    "vqa": {"train": {"samples": 16_000}},
    "nlvr2": {"train": {"samples": 12_800}},
}
"""Those of VLMixer's rows."""


def lengths(samples: int, seed: int) -> dict[str, Any]:
    """What a recipe's `train` says of a run of so many samples."""
    return {"samples": samples, "warmup_samples": samples // WARMUP, "seed": seed, "workers": 0, "save_every": 100}


def in_all(samples: int, batch: int, streams: Sequence[Mapping[str, Any]]) -> int:
    """Samples of all streams in a run of as many updates as `samples` make in one stream.

    >>> in_all(57_600, 64, [{"batch": 24, "probability": 0.5}, {}])
    68400
    """
    a_step = sum((stream.get("batch") or batch) * stream.get("probability", 1.0) for stream in streams)
    return round(samples / batch * a_step)


def shorter(tuned: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Of some fine-tunings those that are shorter than a recipe's own.

    >>> eight = {"train": {"samples": 8}}
    >>> shorter({"vqa": eight, "nlvr2": eight, "gqa": eight}, {"vqa": {}, "nlvr2": {"train": {"samples": 4}}})
    {'vqa': {'train': {'samples': 8}}}

    Args:
        tuned: task -> changes of its recipe, with `train.samples`.
        own: a recipe's `finetune`; one that says no length there has a longer one from the task's recipe.
    """
    held = {task: recipe.get("train", {}) for task, recipe in own.items() if isinstance(recipe, Mapping)}
    return {
        task: short
        for task, short in tuned.items()
        if task in held and short["train"]["samples"] < held[task].get("samples", float("inf"))
    }
