"""What a weights file or a run folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from vlzoo.door.plugins import registry
from vlzoo.models.local_weights import Shapes, read_shapes
from vlzoo.resources import model_file
from vlzoo.runs.run import Run
from vlzoo.weights.adapter import Adapter


def describe(path: Path) -> list[str]:
    """Lines about a file, the weights in a folder of transformers, or a run folder.

    Raises:
        CheckpointError: there is no such thing, or it can't be read safely.
    """
    inside = model_file(path)
    if not path.is_dir() or (inside.is_file() and not Run(path).exists()):
        return describe_file(inside if path.is_dir() else path)
    checkpoint, card = Run(path).latest(), Run(path).card()
    rows = card.lines() if card else ["no card: these weights were trained by vlzoo, see run.json and recipe.yaml"]
    rows.append(f"checkpoint: {checkpoint.folder.name}")
    if checkpoint.in_shards:
        rows.append(f"in {len(checkpoint.files())} shards: `vlzoo weights merge {path}` writes plain files")
    for part in checkpoint.parts():
        rows.append(f"{part}:" if checkpoint.in_shards else f"{part}.safetensors:")
        rows += [f"  {line}" for line in _by_module(checkpoint.shapes(part))]
    return rows


def describe_file(file: Path) -> list[str]:
    """Lines about one file: how it was read, its modules, and which adapter knows it."""
    notes: list[str] = []
    shapes, known = known_by(file, notes.append)
    numbers = sum(_count(shape) for shape in shapes.values())
    said = f"adapters that know it: {', '.join(known)}" if known else "no adapter knows it"
    return [*notes, f"{len(shapes)} tensors, {numbers:,} numbers", *_by_module(shapes), said]


def known_by(file: Path, say: Callable[[str], None]) -> tuple[Shapes, list[str]]:
    """The tensors of a file by name and shape, and the adapters that know it.

    Args:
        file: the file.
        say: told how it was read, line by line.

    Raises:
        CheckpointError: there is no such file, or it can't be read safely.
    """
    adapters: dict[str, Adapter] = {
        part.name: registry().build("adapter", part.name) for part in registry().of("adapter")
    }
    shapes = read_shapes(file, lambda names: any(each.recognises(names) for each in adapters.values()), say)
    return shapes, [name for name, adapter in adapters.items() if adapter.recognises(shapes)]


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
