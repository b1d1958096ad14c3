"""Cross-modal CutMix: sentences a second on one core, choosing patches and gathering their features timed apart.

    python benchmarks/speed/cmc.py [--quick] [--json] [--write]

Galleries of 10 thousand, 100 thousand and 1 million patches of 256 numbers are written as `vlzoo detect` writes them
and mapped into memory. Captions of eleven words, three of them concepts; each concept gives way to 15 patches with
probability 0.5. Choosing is all from a sentence's words to the rows of its patches. Labels are as frequent as those of
a detector of 1,600 classes (Zipf's law), at most 1,000 patches of each are kept. The galleries take turns. Seconds are
those that the process computed, in user code and in the system: what others do on the machine meanwhile does not count;
`busy` says which share of the time that passed they are.
The exit code is 1 where a target is missed: 5,000 sentences/s without context and 2,000 with it in every gallery;
without context the largest gallery takes at most twice the smallest's time (`ratio`); less than 1 GiB beyond the page
cache.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from telling import flags, machine, told
from vlzoo_vlmixer.gallery import Gallery
from vlzoo_vlmixer.shards import Found, Header, write_shard

from vlzoo.data.features import Features

PATCHES = (10_000, 100_000, 1_000_000)
WIDTH, LABELS, A_PICTURE, A_SHARD = 256, 1600, 20, 500
"""Numbers of a patch, labels, patches of a picture, pictures of a shard."""
K, R_CMC, WORDS, CONCEPTS = 15, 0.5, 11, 3
TARGETS = {"0": 5_000.0, "0.5": 2_000.0}
RATIO, MEMORY = 2.0, 1024**3
FULL, QUICK = (20, 500), (4, 250)
"""Turns, and sentences of a turn."""


def labels_of(count: int, rng: np.random.Generator) -> list[str]:
    """Labels as often as Zipf's law has them."""
    share = 1 / np.arange(1, LABELS + 1)
    return [f"thing{number}" for number in rng.choice(LABELS, count, p=share / share.sum())]


def write_gallery(folder: Path, patches: int) -> None:
    """A gallery of random patches."""
    pictures = patches // A_PICTURE
    header = Header({"part": "random"}, {"part": "random"}, pictures, A_SHARD)
    header.write(folder)
    for number in range(header.shards):
        rng, first = np.random.default_rng([patches, number]), number * A_SHARD
        rows = [picture(first + place, rng) for place in range(min(A_SHARD, pictures - first))]
        write_shard(folder, number, rows, WIDTH)


def picture(number: int, rng: np.random.Generator) -> Found:
    """A picture of random patches."""
    boxes = np.sort(rng.random((A_PICTURE, 2, 2), np.float32), axis=1).reshape(A_PICTURE, 4)
    features = rng.standard_normal((A_PICTURE, WIDTH), np.float32)
    scores = rng.uniform(0.2, 1.0, A_PICTURE).astype(np.float32)
    regions = Features(features, boxes, tuple(labels_of(A_PICTURE, rng)), scores, (640, 480))
    return Found("random", str(number), f"{number}.jpg", regions)


def sentences(count: int) -> list[list[str]]:
    """Captions whose concepts are as frequent as the patches."""
    rng = np.random.default_rng(7)
    made = []
    for _ in range(count):
        words = ["word"] * WORDS
        for place, label in zip(rng.choice(WORDS, CONCEPTS, replace=False), labels_of(CONCEPTS, rng), strict=True):
            words[int(place)] = label + "s"
        made.append(words)
    return made


def chosen(gallery: Gallery, said: Sequence[list[str]], r_ctx: float) -> list[np.ndarray]:
    """The rows of the patches of each sentence."""
    rows = []
    for number, words in enumerate(said):
        rng = np.random.default_rng([0, number])
        found = gallery.find(words)
        context = [concept for _, _, concept in found]
        replaced = [each for each in context if rng.random() < R_CMC]
        rows.append(
            np.concatenate([np.empty(0, np.int64), *(gallery.choose(c, context, K, r_ctx, rng) for c in replaced)])
        )
    return rows


def anonymous() -> int:
    """Bytes that this process holds beyond files that are mapped; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def measured(folder: Path, turns: int, count: int) -> list[dict[str, Any]]:
    """The figures of every gallery."""
    galleries = {patches: Gallery.open(folder / str(patches)) for patches in PATCHES}
    said, before = sentences(count), anonymous()
    seconds: dict[tuple[int, str, str], list[float]] = {}
    passed, computed = time.perf_counter(), time.process_time()
    for turn in range(turns + 1):
        for patches, gallery in galleries.items():
            for r_ctx in TARGETS:
                started = time.process_time()
                rows = chosen(gallery, said, float(r_ctx))
                between = time.process_time()
                patched = [(gallery.features(each), gallery.boxes(each)) for each in rows]
                ended = time.process_time()
                if turn:  # the first one builds what is kept
                    seconds.setdefault((patches, r_ctx, "choose"), []).append(between - started)
                    seconds.setdefault((patches, r_ctx, "gather"), []).append(ended - between)
    memory = max(before, anonymous())
    busy = round((time.process_time() - computed) / (time.perf_counter() - passed), 3)
    mean = sum(len(each) for each, _ in patched) / count
    return [
        row(patches, seconds, count) | {"patches_a_sentence": mean, "memory": memory, "busy": busy}
        for patches in PATCHES
    ]


def row(patches: int, seconds: dict[tuple[int, str, str], list[float]], count: int) -> dict[str, Any]:
    """Sentences a second of one gallery: of the median turn."""
    speed = {
        (r_ctx, what): round(count / float(np.median(seconds[patches, r_ctx, what])), 1)
        for r_ctx in TARGETS
        for what in ("choose", "gather")
    }
    return {
        "patches": patches,
        **{f"{what}_per_s_r_ctx_{r_ctx}": value for (r_ctx, what), value in speed.items()},
    }


def result(turns: int, count: int) -> dict[str, Any]:
    """All figures, and whether the targets are met."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for patches in PATCHES:
            write_gallery(Path(folder, str(patches)), patches)
        written = time.perf_counter() - started
        rows = measured(Path(folder), turns, count)
    ratio = rows[0]["choose_per_s_r_ctx_0"] / rows[-1]["choose_per_s_r_ctx_0"]
    slow = [
        f"r_ctx {r} of {each['patches']:,}"
        for each in rows
        for r in TARGETS
        if each[f"choose_per_s_r_ctx_{r}"] < TARGETS[r]
    ]
    missed = slow + ["ratio"] * (ratio > RATIO) + ["memory"] * (rows[-1]["memory"] > MEMORY)
    return {
        "name": "cmc",
        "ratio": round(ratio, 3),
        "by_patches": rows,
        "memory_bytes": rows[-1]["memory"],
        "busy": rows[-1]["busy"],
        "written_s": round(written, 1),
        "turns": turns,
        "sentences": count,
        "missed": missed,
        "machine": machine() | {"numpy": np.__version__},
    }


def main() -> int:
    """Print the figures; the exit code says whether the targets are met."""
    given = flags(__doc__, "fewer turns and sentences").parse_args()
    found = result(*(QUICK if given.quick else FULL))
    return told(found, lines(found), given)


def lines(found: dict[str, Any]) -> list[str]:
    """The figures to read."""
    rows = []
    for each in found["by_patches"]:
        for r_ctx in TARGETS:
            choose, gather = (each[f"{what}_per_s_r_ctx_{r_ctx}"] for what in ("choose", "gather"))
            said = f"choosing {choose:,.0f} sentences/s, gathering {gather:,.0f}/s"
            rows.append(f"{each['patches']:>9,} patches, r_ctx {r_ctx}: {said}")
    rows.append(f"ratio {found['ratio']:.2f}, {found['memory_bytes'] / 1e6:,.0f} MB beyond the page cache")
    return [*rows, f"missed: {', '.join(found['missed']) or 'nothing'}"]


if __name__ == "__main__":
    sys.exit(main())
