"""Re-ranking of retrieval at base size: the procedure of ALBEF's `Retrieval.py` against ours, on the same weights.

    python benchmarks/speed/rerank.py [--quick] [--json] [--write]

One process, ViT-B/16 and BERT-base with random weights, at 384 and 128 pixels. The procedure we compare with takes each
direction for itself, repeats the picture's tokens for every candidate, projects every copy's keys and values, and pads
texts to 30. Ours scores a pair that both directions ask for once, projects a picture once, and cuts texts to their
length. Both are given the same features; they take turns, picture by picture, so that a busy machine slows both.
The exit code is 1 where a target is missed: 4 times at 384 pixels, 3 at 128, logits within 1e-4, the same order.

Legend: I images, T texts, K candidates, P pairs, N image tokens, L text tokens, D width, H heads, d head width.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference.albef_rerank import Given, literal_image, literal_text
from reference.base_size import PADDED, build, lengths
from telling import RESULTS, flags, machine
from torch import Tensor

from vlzoo.bench.retrieval.candidates import candidates
from vlzoo.bench.retrieval.features import Encoded, Features, TextRows
from vlzoo.bench.retrieval.pairs import match_texts, prepare_image
from vlzoo.bench.retrieval.predict import match_image
from vlzoo.files import write_text
from vlzoo.models.assemble import Model
from vlzoo.objectives.itm import ITM
from vlzoo.task import Effort
from vlzoo.types import Tokens

TARGETS = {384: 4.0, 128: 3.0}
FULL, QUICK = {384: 6, 128: 12}, {384: 4, 128: 6}
"""Pictures, with five captions each; k is their number, so that text and image queries stand 5 to 1 as on COCO."""
COCO = {"images": 5_000, "texts": 25_010, "k": 256}


@dataclass
class Timed:
    """Seconds of every turn, and logits, of both procedures at one size."""

    ours_turns: list[float] = field(default_factory=list)
    reference_turns: list[float] = field(default_factory=list)
    prepare_turns: list[float] = field(default_factory=list)
    ours: dict[tuple[int, int], float] = field(default_factory=dict)
    reference: dict[tuple[int, int], float] = field(default_factory=dict)
    pairs: int = 0

    @property
    def ours_s(self) -> float:
        """Ours, all turns."""
        return steady(self.ours_turns)

    @property
    def reference_s(self) -> float:
        """The reference, all turns."""
        return steady(self.reference_turns)

    @property
    def prepare_s(self) -> float:
        """The part of ours that depends on pictures alone."""
        return steady(self.prepare_turns)


def steady(turns: list[float]) -> float:
    """The median turn times their number: turns are alike, and one that the machine stalled counts for no more."""
    return float(np.median(turns)) * len(turns)


def features(model: Model, pixels: int, images: int) -> Given:
    """Random pictures and texts, encoded."""
    generator = torch.Generator().manual_seed(1)
    length_T = torch.tensor(lengths(5 * images))
    ids_TL = torch.randint(1_000, 30_000, (len(length_T), PADDED), generator=generator)
    mask_TL = torch.arange(PADDED) < length_T[:, None]
    text = model.text_encoder(ids_TL, mask_TL)
    image = [model.image_encoder(torch.randn(1, 3, pixels, pixels, generator=generator)) for _ in range(images)]
    image_IND = torch.cat([each.x for each in image])
    pictures = Tokens(image_IND, torch.ones(image_IND.shape[:2], dtype=torch.bool), image_IND[:, 0])
    cosine_IT = model.embed_image(pictures) @ model.embed_text(text).T
    return Given(image_IND, text.x, mask_TL, cosine_IT)


class Ours:
    """What our second stage asks of a model, without pictures and words."""

    contrasts = matches = packs = True
    device = torch.device("cpu")

    def __init__(self, model: Model, matching: ITM, timed: Timed) -> None:
        self.model, self.matching, self.timed = model, matching, timed

    def scaled(self, cosine_P: Tensor) -> Tensor:
        """Cosines as they are."""
        return cosine_P

    def prepare(self, image_1ND: Tensor) -> Any:
        """Keys and values, timed."""
        made, seconds = clocked(lambda: prepare_image(self.model, image_1ND))
        self.timed.prepare_turns.append(seconds)
        return made

    def match(self, prepared: Any, text_PLD: Tensor, mask_PL: Tensor) -> Tensor:
        """Matching logits."""
        return match_texts(self.model, self.matching.head, [prepared], text_PLD, mask_PL)

    def images(self, pictures: Any) -> Encoded:
        """Not asked for: features are given."""
        raise NotImplementedError

    def texts(self, texts: Any) -> Encoded:
        """Not asked for: features are given."""
        raise NotImplementedError


def clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    """What some work gives, and its seconds."""
    started = time.perf_counter()
    made = work()
    return made, time.perf_counter() - started


def compare(pixels: int, images: int) -> Timed:
    """Both procedures by turns, picture by picture with its five texts."""
    model, matching = build(pixels)
    given, timed, k = features(model, pixels, images), Timed(), images
    ours = Ours(model, matching, timed)
    with tempfile.TemporaryDirectory() as folder:
        texts = text_rows(given, Path(folder))
        chosen = candidates(given.cosine, torch.eye(len(texts.length)), k)
        timed.pairs = chosen.asked
        literal_text(model, matching, given, 0, 2)  # warms the kernels
        for image in range(images):
            _reference_turn(timed, model, matching, given, image, k)
            rows_P = chosen.text[chosen.of(image)]
            picture_ND = given.image[image].numpy()
            found, seconds = clocked(partial(match_image, ours, picture_ND, texts, rows_P, Effort().memory))
            timed.ours_turns.append(seconds)
            timed.ours |= {(image, int(t)): float(s) for t, s in zip(rows_P, found, strict=True)}
    return timed


def text_rows(given: Given, folder: Path) -> TextRows:
    """The texts' real tokens as our second stage reads them."""
    rows = [x[mask] for x, mask in zip(given.text, given.mask, strict=True)]
    made = Features(folder / "texts", len(rows), len(rows), lambda start, end: Encoded(rows[start:end], None))
    list(made.make())
    return TextRows(made, torch.device("cpu"), 10**9)


def _reference_turn(timed: Timed, model: Model, matching: ITM, given: Given, image: int, k: int) -> None:
    jobs = [partial(literal_image, model, matching, given, image, k)]
    jobs += [partial(literal_text, model, matching, given, t, k) for t in range(5 * image, 5 * image + 5)]
    for job in jobs:
        found, seconds = clocked(job)
        timed.reference |= found
        timed.reference_turns.append(seconds)


def coco_slice(device: torch.device, pictures: int = 8, texts: int = 1_280) -> dict[str, Any]:
    """Our second stage on a slice of COCO 5K in bfloat16: some pictures at 384 pixels, each with its share of texts."""
    model, matching = build(384)
    timed = Timed()
    ours = Ours(model.to(device), matching.to(device), timed)
    ours.device = device
    generator = torch.Generator().manual_seed(2)
    rows = [torch.randn(n, 768, generator=generator) for n in lengths(texts)]
    image_ND = torch.randn(577, 768, generator=generator).numpy()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        features_ = Features(Path(folder), texts, texts, lambda start, end: Encoded(rows[start:end], None))
        list(features_.make())
        held = TextRows(features_, device, 10**9)
        memory = 16 * 10**9
        match_image(ours, image_ND, held, np.arange(texts), memory)  # warms the kernels
        # match_image brings its logits to the host, so that the clock stops when the device is done.
        _, seconds = clocked(
            lambda: [match_image(ours, image_ND, held, np.arange(texts), memory) for _ in range(pictures)]
        )
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "pairs": pictures * texts,
        "seconds": round(seconds, 4),
        "coco_5k_minutes": round(seconds / (pictures * texts) * COCO["k"] * (COCO["images"] + COCO["texts"]) / 60, 2),
    }


def judged(pixels: int, images: int) -> dict[str, Any]:
    """Figures of one size."""
    with torch.no_grad():
        timed = compare(pixels, images)
    pairs = sorted(timed.reference)
    ours, theirs = (np.array([found[pair] for pair in pairs]) for found in (timed.ours, timed.reference))
    apart = np.abs(theirs[:, None] - theirs[None]) > 2e-4
    swapped = apart & ((theirs[:, None] > theirs[None]) != (ours[:, None] > ours[None]))
    match_s = (timed.ours_s - timed.prepare_s) / len(timed.ours)
    asked = COCO["k"] * (COCO["images"] + COCO["texts"])
    return {
        "pixels": pixels,
        "ours_s": round(timed.ours_s, 4),
        "reference_s": round(timed.reference_s, 4),
        "ratio": round(timed.ours_s / timed.reference_s, 4),
        "times_faster": round(timed.reference_s / timed.ours_s, 2),
        "target_times_faster": TARGETS[pixels],
        "max_difference": float(np.abs(ours - theirs).max()),
        "orders_that_differ": int(swapped.sum()) // 2,
        "spread_of_scores": float(theirs.max() - theirs.min()),
        "pairs_reference": timed.pairs,
        "pairs_ours": len(timed.ours),
        "same_pairs": set(timed.ours) == set(timed.reference),
        "prepare_ms_a_picture": round(1000 * timed.prepare_s / images, 2),
        "match_ms_a_pair": round(1000 * match_s, 3),
        "coco_5k_pairs": asked,
        "coco_5k_ours_h": round((COCO["images"] * timed.prepare_s / images + asked * match_s) / 3600, 2),
        "coco_5k_reference_h": round(asked * timed.reference_s / timed.pairs / 3600, 2),
    }


def met(found: dict[str, Any]) -> bool:
    """Whether one size meets its targets."""
    right = found["max_difference"] <= 1e-4 and not found["orders_that_differ"] and found["same_pairs"]
    return bool(right and found["times_faster"] >= found["target_times_faster"])


def main() -> int:
    """Measure both sizes and print a table or JSON."""
    parser = flags(__doc__, "fewer pictures, within 50 seconds")
    given = parser.parse_args()
    sizes = [judged(pixels, images) for pixels, images in (QUICK if given.quick else FULL).items()]
    main_size = {name: sizes[0][name] for name in ("ours_s", "reference_s", "ratio", "max_difference")}
    worst = max(found["max_difference"] for found in sizes)
    whole = {"name": "rerank", **main_size, "max_difference": worst, "by_size": sizes, "machine": machine()}
    if torch.cuda.is_available():
        whole["coco_slice_bf16"] = coco_slice(torch.device("cuda"))
    if given.write:
        write_text(RESULTS / "rerank.json", json.dumps(whole, indent=1) + "\n")
    if given.json:
        print(json.dumps(whole))
    else:
        show(sizes)
    return 0 if all(met(found) for found in sizes) else 1


def show(sizes: list[dict[str, Any]]) -> None:
    """The figures as lines."""
    for found in sizes:
        print(
            f"{found['pixels']} px: reference {found['reference_s']:.2f} s for {found['pairs_reference']} pairs, "
            f"ours {found['ours_s']:.2f} s for {found['pairs_ours']}: {found['times_faster']:.2f} times faster "
            f"(target {found['target_times_faster']:.0f}); largest difference {found['max_difference']:.1e}, "
            f"{found['orders_that_differ']} pairs of scores in another order"
        )
        print(
            f"  COCO 5K at k {COCO['k']}, {found['coco_5k_pairs'] / 1e6:.1f} million pairs, on this machine: "
            f"about {found['coco_5k_ours_h']:.1f} h, reference {found['coco_5k_reference_h']:.1f} h"
        )


if __name__ == "__main__":
    sys.exit(main())
