"""What retrieval is worth by drawing lots."""

from __future__ import annotations

from typing import Any

import numpy as np

from ablation.plan import Job
from ablation.tasks import pools_of
from vlzoo.bench.baselines import chance_recall
from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source
from vlzoo.metrics.recall import KS


def by_lot(source: Any, pools: int) -> dict[str, float]:
    """TR and IR R@1, and the means of R@1, 5 and 10, in percent: over all pictures, and over all texts.

    Args:
        source: pictures with their texts.
        pools: that they are divided into, each searched by itself.
    """
    texts = [[len(sample.texts) for sample in pool] for pool in pools_of(source, pools)]
    shares_P3D = np.array([[chance_recall(len(each), each, k) for k in KS] for each in texts])
    weights = {"TR": [len(each) for each in texts], "IR": [sum(each) for each in texts]}
    found: dict[str, float] = {}
    for column, (way, weight) in enumerate(weights.items()):
        shares_3 = np.average(shares_P3D[:, :, column], axis=0, weights=weight)
        found |= {f"{way} R@1": float(shares_3[0]), f"{way} mean": float(shares_3.mean())}
    return found


def of_job(job: Job) -> dict[str, float]:
    """The same for what a run is measured on; nothing where no data are named."""
    held = list(job.setting.domains.values())
    return by_lot(open_source(PartRef.model_validate(dict(held[0]))), job.pools) if held else {}
