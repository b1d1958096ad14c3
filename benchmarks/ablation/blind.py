"""What looks at no picture, as lines of the table of recipes: lots, constants, readers of texts, any caption."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ablation.lots import by_lot
from ablation.tasks import CAPTIONS, captions
from ablation.tuned import Arrays, estimated
from vlzoo.bench.baselines import baselines
from vlzoo.config.check import load
from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source
from vlzoo.door.plugins import registry

CHANCE, TEXT = "constant or chance", "text alone"
JUDGED = {"vqa": "VQA", "nlvr2": "NLVR2", "snli-ve": "SNLI-VE"}
"""Tasks with one right answer -> the figure."""
DRAWS = 10
"""How often a training caption is drawn for every test picture."""

Line = dict[str, dict[str, Any]]
"""Figure -> mean, interval, and the value of each draw."""


def lines(root: str, pools: int) -> dict[str, Line]:
    """Figures of `CHANCE` and of `TEXT`.

    Chance is an order by lot, for captions any training caption; a constant is the answer that is most often right in
    training. A reader of the text alone is fitted on what the tasks train on.

    Args:
        root: the data root.
        pools: of the test pictures, for retrieval.
    """
    found: dict[str, Line] = {CHANCE: dict(_lots(root, pools)), TEXT: {}}
    for task, figure in JUDGED.items():
        data = load(f"tasks/{task}-tiny").recipe.all_streams[0].data
        known = baselines(registry().build("task", task), *(_open(data, root, split) for split in ("train", "test")))
        found[CHANCE][figure], found[TEXT][figure] = _exact(known.constant), _exact(known.text_only)
    draws = list(_drawn_captions(root))
    found[CHANCE] |= {figure: estimated(figure, draws) for figure in ("CIDEr", "true facts")}
    return found


def _lots(root: str, pools: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mean of R@1, 5 and 10 where the order is drawn by lot: over all pictures, and over all texts."""
    data = load("tasks/retrieval-tiny").recipe.all_streams[0].data
    found = by_lot(_open(data, root, "test"), pools)
    yield from ((figure, _exact(found[figure])) for figure in ("TR mean", "IR mean"))


def _drawn_captions(root: str) -> Iterator[Arrays]:
    """What captions of training pictures, drawn by lot, are worth on the test pictures: once for each draw."""
    recipe = load(CAPTIONS).recipe
    known = [text for sample in _open(recipe.all_streams[0].data, root, "train") for text in sample.texts]
    task = registry().build("task", "captioning")
    source = task.counted(_open(recipe.bench.data or recipe.all_streams[0].data, root, "test"))
    names = [sample.name for sample in source]
    for seed in range(DRAWS):
        drawn = np.random.default_rng(seed).integers(len(known), size=len(names))
        rows = {name: {"caption": known[at]} for name, at in zip(names, drawn, strict=True)}
        yield captions(task, source, rows)


def _open(data: PartRef, root: str, split: str) -> Any:
    return open_source(data, root, split=split)


def _exact(value: float) -> dict[str, Any]:
    return {"mean": float(value), "interval": None}
