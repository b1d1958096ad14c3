"""From the runs that are done to figures: each row's mean over seeds, and its paired difference from the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ablation.measure import FIGURES, PROTOCOLS
from ablation.plan import BASELINE, Job, done_runs
from ablation.settings import Setting
from ablation.words import KINDS
from vlzoo.bench.baselines import chance_recall
from vlzoo.metrics.paired import Part, difference, estimate
from vlzoo.metrics.recall import KS
from vlzoo.resources import published

Arrays = Mapping[str, NDArray[Any]]
METRICS = ("TR R@1", "IR R@1", "mean recall")
POOLED, MEAN = "all pictures", "mean of domains"

COMPONENTS = "softmask/ablation-components"
PAPER: dict[str, tuple[str, dict[str, Any]]] = {
    "none": (COMPONENTS, {"softmask": False, "focal_itc": False, "mmda": False}),
    "softmask": (COMPONENTS, {"softmask": True, "focal_itc": False, "mmda": False}),
    "focal": (COMPONENTS, {"softmask": False, "focal_itc": True, "mmda": False}),
    "mmda": (COMPONENTS, {"softmask": False, "focal_itc": False, "mmda": True}),
    "softmask-focal": (COMPONENTS, {"softmask": True, "focal_itc": True, "mmda": False}),
    "softmask-mmda": (COMPONENTS, {"softmask": True, "focal_itc": False, "mmda": True}),
    "focal-mmda": (COMPONENTS, {"softmask": False, "focal_itc": True, "mmda": True}),
    "all": (COMPONENTS, {"softmask": True, "focal_itc": True, "mmda": True}),
    "random-0.3": ("softmask/ablation-masking", {"method": "RandMask", "mask_ratio": 0.3}),
    "random-0.5": ("softmask/ablation-masking", {"method": "RandMask", "mask_ratio": 0.5}),
    "soft-mlm": ("softmask/ablation-soft-losses", {"soft_itm": True, "soft_mlm": True}),
}
"""Row -> the paper's table and which of its lines; the gamma sweep is not printed."""


def paper_figures() -> dict[str, dict[str, float]]:
    """`TR R@1` and `IR R@1` of each row that the paper prints (COCO 5K, fine-tuned)."""
    rows = yaml.safe_load(published().read_text(encoding="utf-8"))["results"]
    found: dict[str, dict[str, float]] = {}
    for name, (table, wanted) in PAPER.items():
        lines = [r for r in rows if r["table"] == table and all(r.get(k) == v for k, v in wanted.items())]
        found[name] = {line["metric"]: float(line["value"]) for line in lines}
    return found


def summary(jobs: Sequence[Job]) -> dict[str, Any]:
    """Everything that the tables show, as plain data; rows and settings without a run are left out."""
    done, runs = done_runs(jobs)
    paper = paper_figures()
    known = {job.setting.name: job.setting for job in jobs}
    settings = {
        name: {
            "train": dict(known[name].sizes),
            "fingerprint": known[name].fingerprint,
            "domains": {domain: _sizes(_any(rows), domain) for domain in known[name].domains},
            "seen": list(known[name].seen),
            "rows": _rows(rows, known[name], paper),
        }
        for name, rows in done.items()
    }
    return {"asked": len(jobs), "runs": runs, "settings": settings}


def _any(rows: Mapping[str, Mapping[int, Arrays]]) -> Arrays:
    return next(iter(next(iter(rows.values())).values()))


def _sizes(arrays: Arrays, domain: str) -> dict[str, Any]:
    owners = arrays[f"{domain}/owners"]
    images = len(arrays[f"{domain}/itm/TR"])
    texts = np.bincount(owners, minlength=images).tolist()
    tr, ir = chance_recall(images, texts)
    return {"images": images, "texts": len(owners), "chance": {"TR R@1": tr, "IR R@1": ir}}


def _rows(
    rows: Mapping[str, Mapping[int, Arrays]], setting: Setting, paper: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    held_out = [name for name in setting.domains if name not in setting.seen]
    for name, runs in rows.items():
        base = rows.get(BASELINE, {})
        shared = sorted(runs.keys() & base.keys()) if name != BASELINE else []
        made[name] = {
            "seeds": sorted(runs),
            "paired_seeds": shared,
            "paper": paper.get(name, {}),
            "retrieval": {
                protocol: {
                    place: {metric: _compared(runs, base, shared, _recall_parts(protocol, chosen, metric, apart))
                            for metric in METRICS}
                    for place, chosen, apart in [*_places(held_out), *((name, [name], False) for name in setting.seen)]
                }
                for protocol in PROTOCOLS
            },
        }  # fmt: skip
        made[name]["curves"] = _curves(list(runs.values()))
        if all(f"words/{KINDS[0]}/count" in arrays for arrays in runs.values()):
            made[name]["words"] = {
                kind: {figure: _compared(runs, base, shared, _word_parts(kind, figure)) for figure in FIGURES}
                for kind in KINDS
            }
            made[name]["counted"] = _counted(next(iter(runs.values())))
    return made


def _curves(runs: Sequence[Arrays]) -> dict[str, dict[str, list[float]]]:
    """What was logged of each loss: the mean, the least and the most of the seeds at every point."""
    first = [name for name in runs[0] if name.startswith("curve/")]
    shared = [name for name in first if all(name in run and len(run[name]) == len(runs[0][name]) for run in runs)]
    made = {}
    for name in shared:
        held_SN = np.array([run[name] for run in runs])
        sides = {"mean": held_SN.mean(0), "least": held_SN.min(0), "most": held_SN.max(0)}
        made[name.removeprefix("curve/")] = {side: values.round(4).tolist() for side, values in sides.items()}
    return made


def _places(domains: list[str]) -> list[tuple[str, list[str], bool]]:
    """What figures are given for: each domain, all pictures together, and the mean of the domains."""
    return [*((name, [name], False) for name in domains), (POOLED, domains, False), (MEAN, domains, True)]


def _compared(runs: Mapping[int, Arrays], base: Mapping[int, Arrays], shared: list[int], parts: Any) -> dict[str, Any]:
    seeds = sorted(runs)
    own = parts([runs[seed] for seed in seeds])
    found = estimate(own).json()
    if shared:
        mine = [part.picked([seeds.index(seed) for seed in shared]) for part in own]
        found["difference"] = difference(mine, parts([base[seed] for seed in shared])).json()
    return found


def _recall_parts(protocol: str, domains: list[str], metric: str, apart: bool) -> Any:
    """From runs to the parts of a recall in percent; `apart`: each domain is a part, else all are one."""
    ways = ("TR", "IR") if metric == "mean recall" else (metric[:2],)
    ks = KS if metric == "mean recall" else (1,)

    def parts(runs: Sequence[Arrays]) -> list[Part]:
        starts = np.cumsum([0, *(len(runs[0][f"{name}/itm/TR"]) for name in domains)])
        made = []
        for way in ways:
            values, clusters = [], []
            for name, start in zip(domains, starts, strict=False):
                ranks = [run[f"{name}/{protocol}/{way}"] for run in runs]
                owners = runs[0][f"{name}/owners"] if way == "IR" else np.arange(len(ranks[0]))
                values.append([100 * np.mean([rank < k for k in ks], axis=0) for rank in ranks])
                clusters.append(owners + start)
            groups = [[place] for place in range(len(domains))] if apart else [list(range(len(domains)))]
            for group in groups:
                joined = [np.concatenate([values[place][run] for place in group]) for run in range(len(runs))]
                made.append(Part.of(joined, np.concatenate([clusters[place] for place in group]), int(starts[-1])))
        return made

    return parts


def _word_parts(kind: str, figure: str) -> Any:
    def parts(runs: Sequence[Arrays]) -> list[Part]:
        sums = np.asarray([100 * run[f"words/{kind}/{figure}"] for run in runs], dtype=np.float64)
        return [Part(sums, runs[0][f"words/{kind}/count"].astype(np.float64))]

    return parts


def _counted(arrays: Arrays) -> dict[str, dict[str, int]]:
    """Words and pictures of each kind."""
    counts = {kind: arrays[f"words/{kind}/count"] for kind in KINDS}
    return {kind: {"words": int(count.sum()), "images": int((count > 0).sum())} for kind, count in counts.items()}
