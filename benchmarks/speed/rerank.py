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

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference.albef_rerank import Given, literal_image, literal_text
from torch import Tensor

from vlzoo.bench.candidates import candidates
from vlzoo.bench.features import Encoded, Features, TextRows
from vlzoo.bench.pairs import match_texts, prepare_image
from vlzoo.bench.task import Settings
from vlzoo.bench.tasks.retrieval_predict import match_image
from vlzoo.models.assemble import Model
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.itm import ITM
from vlzoo.resources import write_text
from vlzoo.types import Tokens

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = ROOT.parent / "shared" / "data" / "eval_fixtures" / "coco_captions_val2017.json.gz"
VOCAB = ROOT.parent / "shared" / "data" / "bert_vocab" / "vocab.txt"
RESULT = ROOT / "benchmarks" / "results" / "rerank.json"
LENGTHS = dict(
    zip(
        range(8, 31),
        [147, 2851, 4633, 5207, 4252, 3051, 1919, 1128, 695, 400, 234, 157, 98, 66, 37, 34, 30, 17, 18, 12, 6, 3, 19],
        strict=True,
    )
)
"""Captions of COCO val2017 by their number of WordPiece tokens, cut at 30: recorded from the file at `CAPTIONS`."""
PADDED = 30
TARGETS = {384: 4.0, 128: 3.0}
FULL, QUICK = {384: 6, 128: 12}, {384: 3, 128: 6}
"""Pictures, with five captions each; k is their number, so that text and image queries stand 5 to 1 as on COCO."""
COCO = {"images": 5_000, "texts": 25_010, "k": 256}


@dataclass
class Timed:
    """Seconds and logits of both procedures at one size."""

    ours_s: float = 0.0
    reference_s: float = 0.0
    prepare_s: float = 0.0
    ours: dict[tuple[int, int], float] = field(default_factory=dict)
    reference: dict[tuple[int, int], float] = field(default_factory=dict)
    pairs: int = 0


def lengths(texts: int) -> list[int]:
    """Token counts of texts, drawn from COCO's captions (from the recorded counts where the file is absent)."""
    counts = dict(LENGTHS)
    if CAPTIONS.is_file() and VOCAB.is_file():
        counts = dict.fromkeys(LENGTHS, 0)
        for tokens in caption_lengths():
            counts[tokens] = counts.get(tokens, 0) + 1
    share = np.array(list(counts.values())) / sum(counts.values())
    return [int(n) for n in np.random.default_rng(0).choice(list(counts), texts, p=share)]


def caption_lengths() -> Iterator[int]:
    """Token counts of the first 2,000 captions of the file."""
    from vlzoo.bench.predictions import read_json
    from vlzoo.models.text_cleaning import pre_caption
    from vlzoo.models.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_file(VOCAB, max_length=PADDED)
    for note in read_json(CAPTIONS)["annotations"][:2_000]:
        yield len(tokenizer.encode(pre_caption(note["caption"], max_words=30)))


def build(pixels: int) -> tuple[Model, ITM]:
    """ViT-B/16, six layers of BERT-base and six of fusion, and the matching head; random, in evaluation mode."""
    torch.manual_seed(0)
    image = TimmEncoder(name="vit_base_patch16_224", image_size=pixels)
    model = Model(image, BertEncoder(), CrossAttentionFusion())
    matching = ITM()
    matching.build(model.spec())
    for parameter in [*model.fusion.parameters(), *matching.parameters()]:
        if parameter.ndim > 1:
            # BERT's own 0.02 leaves the logits of random weights nearly equal, and their order would prove nothing.
            torch.nn.init.normal_(parameter, std=0.05)
    return model.eval(), matching.eval()


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

    contrasts = matches = True
    scale, device = 1.0, torch.device("cpu")

    def __init__(self, model: Model, matching: ITM, timed: Timed) -> None:
        self.model, self.matching, self.timed = model, matching, timed

    def prepare(self, image_1ND: Tensor) -> Any:
        """Keys and values, timed."""
        made, seconds = clocked(lambda: prepare_image(self.model, image_1ND))
        self.timed.prepare_s += seconds
        return made

    def match(self, prepared: Any, text_PLD: Tensor, mask_PL: Tensor) -> Tensor:
        """Matching logits."""
        return match_texts(self.model, self.matching, prepared, text_PLD, mask_PL)

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
        chosen = candidates(given.cosine_IT, torch.eye(len(texts.length)), k)
        timed.pairs = chosen.asked
        literal_text(model, matching, given, 0, 2)  # warms the kernels
        for image in range(images):
            _reference_turn(timed, model, matching, given, image, k)
            rows_P = chosen.text[chosen.of(image)]
            picture_ND = given.image_IND[image].numpy()
            found, seconds = clocked(lambda x=picture_ND, r=rows_P: match_image(ours, x, texts, r, Settings()))
            timed.ours_s += seconds
            timed.ours |= {(image, int(t)): float(s) for t, s in zip(rows_P, found, strict=True)}
    return timed


def text_rows(given: Given, folder: Path) -> TextRows:
    """The texts' real tokens as our second stage reads them."""
    rows = [x[mask] for x, mask in zip(given.text_TLD, given.mask_TL, strict=True)]
    made = Features(folder / "texts", len(rows), len(rows), lambda start, end: Encoded(rows[start:end], None))
    list(made.make())
    return TextRows(made, torch.device("cpu"), 10**9)


def _reference_turn(timed: Timed, model: Model, matching: ITM, given: Given, image: int, k: int) -> None:
    jobs: list[Callable[[], dict[tuple[int, int], float]]] = [lambda: literal_image(model, matching, given, image, k)]
    jobs += [lambda t=t: literal_text(model, matching, given, t, k) for t in range(5 * image, 5 * image + 5)]  # type: ignore[misc]
    for job in jobs:
        found, seconds = clocked(job)
        timed.reference |= found
        timed.reference_s += seconds


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


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def main() -> int:
    """Measure both sizes and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures, within 50 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results/rerank.json")
    given = parser.parse_args()
    sizes = [judged(pixels, images) for pixels, images in (QUICK if given.quick else FULL).items()]
    main_size = {name: sizes[0][name] for name in ("ours_s", "reference_s", "ratio", "max_difference")}
    worst = max(found["max_difference"] for found in sizes)
    whole = {"name": "rerank", **main_size, "max_difference": worst, "by_size": sizes, "machine": machine()}
    if given.write:
        write_text(RESULT, json.dumps(whole, indent=1) + "\n")
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
