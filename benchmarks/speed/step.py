"""One ALBEF pre-training step: the official procedure in plain torch against ours, on the same weights and data.

    python benchmarks/speed/step.py [--quick] [--json] [--write]

One process, two threads, fp32: ViT-B/16 at 128 pixels, BERT-base with 6 text and 6 fusion layers, 4 pairs of 25 tokens,
queues of 65,536, random weights. A step is everything from the batch to the updated weights, queues and averages; ours
is `Trainer.update`, as `vlzoo pretrain` calls it. Dropout is 0 on both sides, or their losses could not be compared.
The first step of each gives the losses, which must agree within 1e-5, and the bytes saved for backward; then they take
turns. The exit code is 1 where a target is missed: 0.80 of the reference's time and of its saved bytes.

Legend: B batch rows, L text tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import torch
from reference.albef_layers import Sizes
from reference.albef_step import ALPHA, MASK_ID, MASKED_SHARE, MOMENTUM, Albef, Literal
from reference.base_size import LENGTHS
from torch import Tensor, nn

from vlzoo.config.schema import Recipe
from vlzoo.draws import Draws
from vlzoo.models.assemble import SPECIAL, System, build_system
from vlzoo.resources import write_text
from vlzoo.train.loop import Feed, Trainer
from vlzoo.train.run import Run
from vlzoo.train.schedule import Length
from vlzoo.types import Batch, Text
from vlzoo.weights.albef_names import Layout, is_repeated, place

RESULT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "step.json"
TIME_TARGET, SAVED_TARGET, SAME = 0.80, 0.80, 1e-5
THREADS, FULL, QUICK = 2, 5, 2
"""Threads, and how often each side steps."""
LR, WEIGHT_DECAY = 1e-5, 0.02


@dataclass
class Side:
    """One of the procedures compared.

    Attributes:
        update: makes a step and gives its losses by name.
        held: modules whose parameters are there anyway: they do not count as saved.
        seconds: of each timed step.
        saved_bytes: kept for backward by one step.
    """

    update: Callable[[], dict[str, float]]
    held: list[nn.Module]
    seconds: list[float] = field(default_factory=list)
    saved_bytes: int = 0

    def first(self) -> dict[str, float]:
        """The losses of the first step, which also counts what is saved for backward."""
        with saved_for_backward(self.held) as saved:
            losses = self.update()
        self.saved_bytes = sum(saved.values())
        return losses

    def timed(self) -> None:
        """One timed step."""
        started = time.perf_counter()
        self.update()
        self.seconds.append(time.perf_counter() - started)


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
    length_B = torch.multinomial(torch.tensor(list(LENGTHS.values())).float(), sizes.batch, generator=generator)
    length_B = (length_B + min(LENGTHS)).clamp(max=sizes.length)
    length_B[0] = sizes.length  # the benchmark's texts are padded to this many tokens
    mask_BL = torch.arange(sizes.length) < length_B[:, None]
    ids_BL = torch.randint(min(1_000, sizes.vocab - 1), sizes.vocab, mask_BL.shape, generator=generator) * mask_BL
    ids_BL[:, 0] = 101
    special_BL = ~mask_BL | (torch.arange(sizes.length) == 0)
    image = torch.randn(sizes.batch, 3, sizes.pixels, sizes.pixels, generator=generator)
    key = torch.arange(sizes.batch)
    return Batch(key=key, images={"image": image}, texts={"text": Text(ids_BL, mask_BL, special_BL)})


def literal_model(sizes: Sizes) -> Albef:
    """The official model with random weights; the twins differ from the student."""
    torch.manual_seed(0)
    model = Albef(sizes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.03 if "encoder" in name else 0.1)
    return model


def load(model: Albef, system: System, teacher: nn.Module, sizes: Sizes) -> None:
    """Give our system and teacher the official model's weights and queues, by the adapter's names."""
    held = {False: system.state_dict(), True: teacher.state_dict()}
    filled: dict[bool, set[str]] = {False: set(), True: set()}
    for name, tensor in model.state_dict().items():
        if is_repeated(name):
            continue
        found = place(name, Layout(sizes.text_layers))
        assert found is not None, name
        held[found.teacher][found.name].copy_(found.change(tensor))
        filled[found.teacher].add(found.name)
    trained = {name for name, _ in system.named_parameters()} | {"objectives.itc.queue.image"}
    assert trained <= filled[False], trained - filled[False]
    followed = {name for name, _ in teacher.named_parameters()} - {"model.temperature"}
    assert followed <= filled[True], followed - filled[True]


def sides(sizes: Sizes, folder: Path) -> tuple[Side, Side]:
    """Ours and the reference, on the same weights, data and draws."""
    model, batch, recipe = literal_model(sizes), batch_of(sizes), recipe_of(sizes)
    system = build_system(recipe, vocab=sizes.vocab, special=SPECIAL | {"mask": MASK_ID})
    trainer = Trainer(recipe, Run(folder), system, Length(1_000, 1_000, sizes.batch))
    assert trainer.teacher is not None
    load(model, system.train(), trainer.teacher, sizes)
    feeds = [Feed("main", repeat(batch), system.named_objectives())]
    literal = Literal(model, lr=LR, weight_decay=WEIGHT_DECAY)

    def ours() -> dict[str, float]:
        return trainer.update(feeds)

    def reference() -> dict[str, float]:
        return literal.update(batch, Draws(recipe.train.seed, trainer.step))

    return Side(ours, [system]), Side(reference, [model])


def compare(name: str, sizes: Sizes, repetitions: int) -> dict[str, Any]:
    """Losses and saved bytes of both sides' first step, then their times by turns.

    Raises:
        AssertionError: the losses differ by more than 1e-5.
    """
    with tempfile.TemporaryDirectory() as folder:
        ours, reference = sides(sizes, Path(folder))
        theirs, found = reference.first(), ours.first()
        difference = max(abs(found[loss] - theirs[loss]) for loss in theirs)
        assert difference <= SAME, f"losses differ by {difference:.1e}: {theirs} and {found}"
        for turn in range(repetitions):
            for side in (ours, reference) if turn % 2 else (reference, ours):
                side.timed()
    return figures(name, ours, reference) | {"max_difference": difference, "losses": theirs}


def figures(name: str, ours: Side, reference: Side) -> dict[str, Any]:
    """Medians and ratios of two sides that have run."""
    ours_s, reference_s = median(ours.seconds), median(reference.seconds)
    return {
        "name": name,
        "ours_s": round(ours_s, 4),
        "reference_s": round(reference_s, 4),
        "ratio": round(ours_s / reference_s, 4),
        "saved_bytes_ours": ours.saved_bytes,
        "saved_bytes_reference": reference.saved_bytes,
        "saved_ratio": round(ours.saved_bytes / reference.saved_bytes, 4),
        "ours_all_s": [round(s, 4) for s in ours.seconds],
        "reference_all_s": [round(s, 4) for s in reference.seconds],
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load_average,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def met(found: dict[str, Any]) -> bool:
    """Whether the targets are met."""
    return bool(found["ratio"] <= TIME_TARGET and found["saved_ratio"] <= SAVED_TARGET)


def show(found: dict[str, Any]) -> None:
    """The figures as lines."""
    print(
        f"{found['name']}: reference {found['reference_s']:.2f} s, ours {found['ours_s']:.2f} s, "
        f"ratio {found['ratio']:.3f} (target {TIME_TARGET:.2f}); largest difference of the losses "
        f"{found['max_difference']:.1e}"
    )
    print(
        f"  saved for backward: reference {found['saved_bytes_reference'] / 1e6:.0f} MB, "
        f"ours {found['saved_bytes_ours'] / 1e6:.0f} MB, ratio {found['saved_ratio']:.3f} (target {SAVED_TARGET:.2f})"
    )


def main() -> int:
    """Measure and print lines or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, within 50 seconds on an idle machine")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results/step.json")
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    found = compare("albef-step", Sizes(), QUICK if given.quick else FULL)
    found["machine"] = machine()
    if given.write:
        write_text(RESULT, json.dumps(found, indent=1) + "\n")
    if given.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0 if met(found) else 1


if __name__ == "__main__":
    sys.exit(main())
