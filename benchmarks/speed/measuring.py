"""What the step benchmarks share: a side that steps, what it saves for backward, its recipe and its batch.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from reference.albef_layers import Sizes
from reference.albef_step import ALPHA, MASKED_SHARE, MOMENTUM
from reference.base_size import LENGTHS
from torch import Tensor, nn

from vlzoo.batch import Batch, Text
from vlzoo.config.schema import Recipe

THREADS, FULL, QUICK = 2, 5, 2
"""Threads, and how often each side steps."""
LR, WEIGHT_DECAY, SAME = 1e-5, 0.02, 1e-5
"""Of the optimiser; and by how much losses of two sides may differ."""


@dataclass
class Side:
    """One of the procedures compared.

    Attributes:
        update: makes a step and gives its losses by name.
        held: modules whose parameters are there anyway: they do not count as saved.
        seconds: of each timed step.
        saved_bytes: kept for backward by one step.
    """

    update: Callable[[], Mapping[str, float | Tensor]]
    held: list[nn.Module]
    seconds: list[float] = field(default_factory=list)
    saved_bytes: int = 0

    def first(self) -> dict[str, float]:
        """The losses of the first step, which also counts what is saved for backward."""
        with saved_for_backward(self.held) as saved:
            losses = {name: float(value) for name, value in self.update().items()}
        self.saved_bytes = sum(saved.values())
        return losses

    def timed(self, wait: Callable[[], Any] = lambda: None) -> None:
        """One timed step; `wait` returns when the device has done its work."""
        started = time.perf_counter()
        self.update()
        wait()
        self.seconds.append(time.perf_counter() - started)


def by_turns(ours: Side, reference: Side, repetitions: int) -> dict[str, Any]:
    """Losses of both first steps, which must agree, then times by turns: `max_difference` and `losses`.

    Raises:
        AssertionError: the losses differ by more than 1e-5.
    """
    theirs, found = reference.first(), ours.first()
    difference = max(abs(found[loss] - theirs[loss]) for loss in theirs)
    assert difference <= SAME, f"losses differ by {difference:.1e}: {theirs} and {found}"
    for turn in range(repetitions):
        for side in (ours, reference) if turn % 2 else (reference, ours):
            side.timed()
    return {"max_difference": difference, "losses": theirs}


def figures(ours: Side, reference: Side) -> dict[str, Any]:
    """Medians and ratios of two sides that have run."""
    ours_s, reference_s = median(ours.seconds), median(reference.seconds)
    return {
        "ours_s": round(ours_s, 4),
        "reference_s": round(reference_s, 4),
        "ratio": round(ours_s / reference_s, 4),
        "saved_bytes_ours": ours.saved_bytes,
        "saved_bytes_reference": reference.saved_bytes,
        "saved_ratio": round(ours.saved_bytes / reference.saved_bytes, 4),
        "ours_all_s": [round(s, 4) for s in ours.seconds],
        "reference_all_s": [round(s, 4) for s in reference.seconds],
    }


@contextmanager
def saved_for_backward(held: list[nn.Module]) -> Iterator[dict[int, int]]:
    """Bytes of each storage saved for backward, by its address; parameters do not count."""
    # Trained ones alone: the reference gives its averages new storages, and their old addresses to what comes next.
    trained = (p for module in held for p in module.parameters() if p.requires_grad)
    own = {p.untyped_storage().data_ptr() for p in trained}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


def recipe_of(sizes: Sizes) -> Recipe:
    """ALBEF's recipe at these sizes; the teacher's share is full from the first step."""
    layers = {"width": sizes.width, "heads": sizes.heads, "intermediate": 4 * sizes.width, "dropout": 0.0}
    vision = {"embed_dim": sizes.width, "depth": sizes.depth, "num_heads": sizes.heads, "patch_size": sizes.patch}
    timm = {"part": "timm", "name": "vit_base_patch16_224", "image_size": sizes.pixels, "arguments": vision}
    bert = {"part": "bert", "layers": sizes.text_layers, "vocab": sizes.vocab, "max_length": sizes.positions}
    return Recipe.model_validate(
        {
            "model": {
                "image_encoder": timm,
                "text_encoder": bert | layers,
                "fusion": {"part": "cross_attention", "layers": sizes.fusion_layers} | layers,
                "joint": sizes.joint,
            },
            "objectives": {"itc": {"queue": sizes.queue}, "itm": {}, "mlm": {"probability": MASKED_SHARE}},
            "teacher": {"momentum": MOMENTUM, "alpha": ALPHA, "ramp_epochs": 0.0},
            "train": {
                "batch": sizes.batch,
                "lr": LR,
                "weight_decay": WEIGHT_DECAY,
                "schedule": "constant",
                "decay": "albef-2021",
            },
        }
    )


def batch_of(sizes: Sizes) -> Batch:
    """Random pictures, and random words in texts as long as COCO's captions, cut and padded to `sizes.length`."""
    generator = torch.Generator().manual_seed(1)
    length_B = torch.multinomial(
        torch.tensor(list(LENGTHS.values())).float(), sizes.batch, replacement=True, generator=generator
    )
    length_B = (length_B + min(LENGTHS)).clamp(max=sizes.length)
    length_B[0] = sizes.length  # the benchmark's texts are padded to this many tokens
    mask_BL = torch.arange(sizes.length) < length_B[:, None]
    ids_BL = torch.randint(min(1_000, sizes.vocab - 1), sizes.vocab, mask_BL.shape, generator=generator) * mask_BL
    ids_BL[:, 0] = 101
    special_BL = ~mask_BL | (torch.arange(sizes.length) == 0)
    image = torch.randn(sizes.batch, 3, sizes.pixels, sizes.pixels, generator=generator)
    key = torch.arange(sizes.batch)
    return Batch(key=key, images={"image": image}, texts={"text": Text(ids_BL, mask_BL, special_BL)})
