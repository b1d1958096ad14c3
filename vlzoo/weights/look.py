"""What a weights file or a run folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.models.local_weights import read_weights
from vlzoo.runs.run import Run
from vlzoo.weights.adapter import Adapter

Shapes = Mapping[str, tuple[int, ...]]


def describe(path: Path) -> list[str]:
    """Lines about a file or a run folder.

    Raises:
        CheckpointError: there is no such thing, or it can't be read safely.
    """
    if not path.is_dir():
        return describe_file(path)
    checkpoint, card = Run(path).latest(), Run(path).card()
    rows = card.lines() if card else ["no card: these weights were trained by vlzoo, see run.json and recipe.yaml"]
    rows.append(f"checkpoint: {checkpoint.folder.name}")
    for file in checkpoint.files():
        rows.append(f"{file.name}:")
        rows += [f"  {line}" for line in _by_module(shapes_of(file))]
    return rows


def describe_file(file: Path) -> list[str]:
    """Lines about one file: its modules, and which adapter knows it."""
    shapes = shapes_of(file)
    numbers = sum(_count(shape) for shape in shapes.values())
    knowing = [part.name for part in registry().of("adapter") if _knows(part.name, shapes)]
    said = f"adapters that know it: {', '.join(knowing)}" if knowing else "no adapter knows it"
    return [f"{len(shapes)} tensors, {numbers:,} numbers", *_by_module(shapes), said]


def shapes_of(file: Path) -> Shapes:
    """Names and shapes; of a safetensors file only the header is read.

    Raises:
        CheckpointError: it can't be read safely.
    """
    if file.suffix != ".safetensors" or not file.is_file():
        return {name: tuple(tensor.shape) for name, tensor in read_weights(file).items()}
    try:
        with safe_open(file, "pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"it can't be read as weights: {error}", where=str(file)) from error


def _knows(name: str, shapes: Shapes) -> bool:
    adapter: Adapter = registry().build("adapter", name)
    return adapter.recognises(shapes)


def _by_module(shapes: Shapes) -> list[str]:
    tensors: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for name, shape in shapes.items():
        parts = name.split(".")
        module = ".".join(parts[:2]) if parts[0] in ("model", "objectives", "heads") else parts[0]
        tensors[module] += 1
        numbers[module] += _count(shape)
    return [f"{module}: {tensors[module]} tensors, {numbers[module]:,} numbers" for module in tensors]


def _count(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
