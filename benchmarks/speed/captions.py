"""Captions at base size: transformers' `generate` of a GIT against ours, on the same weights.

    python benchmarks/speed/captions.py [--quick] [--pictures 500] [--json] [--write]

One process, microsoft/git-base's sizes with random weights, 224 pixels, batches of 8, texts of 20 ids at most; greedy,
and five beams with a length penalty of 1. Ours is what `vlzoo weights convert git` makes of the weights, with its image
encoder. An end token is made so likely that texts end at different lengths. Both take turns, batch by batch, so that a
busy machine slows both. What the picture's encoder takes by itself stands beside: of greedy captions it is half.
The exit code is 1 where ours takes more than 0.9 of the time, or writes another text.

Legend: B pictures, H rows and columns of a picture, P texts, L ids, V vocabulary.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from telling import flags, machine, told
from torch import Tensor
from transformers import GitConfig, GitForCausalLM, GitVisionConfig

from vlzoo.agree.transformers_twins import ours_of
from vlzoo.models.assemble import Model
from vlzoo.models.generate import Decoding, generate

TARGET, BATCH, LENGTH = 0.9, 8, 20
SPECIAL = {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
HOW = {
    "greedy": Decoding(length=LENGTH),
    "beams": Decoding(length=LENGTH, beams=5, length_penalty=1.0),
}


def build(small: bool) -> tuple[GitForCausalLM, Model]:
    """A GIT of transformers, and its weights as ours."""
    torch.manual_seed(0)
    eye = {"num_hidden_layers": 2} if small else {}
    theirs = GitForCausalLM(GitConfig(num_hidden_layers=2 if small else 6, vision_config=eye)).eval()
    theirs.output.weight.data.mul_(5)  # so that few words are as good as level
    seen, first = pixels(0), torch.full((BATCH, 1), SPECIAL["cls"])
    endless = theirs.generate(pixel_values=seen, input_ids=first, max_length=LENGTH, suppress_tokens=[SPECIAL["sep"]])
    logit_PLV = theirs(input_ids=endless, pixel_values=seen).logits[:, -LENGTH:]
    behind = logit_PLV.amax(-1) - logit_PLV[..., SPECIAL["sep"]]
    theirs.output.bias.data[SPECIAL["sep"]] = behind.quantile(0.1)  # one greedy word in ten would rather be the end
    return theirs, converted(theirs)


def converted(theirs: GitForCausalLM) -> Model:
    """The same weights as the adapter lays them out."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "config.json")
        theirs.config.to_json_file(path)
        return ours_of(theirs, path, "git", SPECIAL).model


def vision_of(theirs: GitForCausalLM) -> GitVisionConfig:
    """The settings of its image encoder."""
    return cast("GitVisionConfig", theirs.config.vision_config)


def pixels(batch: int, side: int = 224) -> Tensor:
    """Random pictures of one batch, [B, 3, H, H]."""
    return torch.randn(BATCH, 3, side, side, generator=torch.Generator().manual_seed(100 + batch))


def by_theirs(theirs: GitForCausalLM, seen: Tensor, how: Decoding) -> list[list[int]]:
    """Texts by transformers, padding cut off."""
    penalty = {"length_penalty": how.length_penalty} if how.beams > 1 else {}
    made = theirs.generate(
        pixel_values=seen,
        input_ids=torch.full((len(seen), 1), SPECIAL["cls"]),
        max_length=LENGTH,
        num_beams=how.beams,
        do_sample=False,
        **penalty,
    )
    return [_ended(ids) for ids in made.tolist()]


def _ended(ids: list[int]) -> list[int]:
    return ids[: ids.index(SPECIAL["sep"]) + 1] if SPECIAL["sep"] in ids else ids


def by_ours(ours: Model, seen: Tensor, how: Decoding) -> list[list[int]]:
    """Texts by ours."""
    return [each.ids for each in generate(ours.decoder, ours.image_encoder(seen), SPECIAL, how)]


def compare(theirs: GitForCausalLM, ours: Model, name: str, batches: int) -> dict[str, Any]:
    """Both by turns."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": [], "their encoder": [], "our encoder": []}
    encoders = {"their encoder": theirs.git.image_encoder, "our encoder": ours.image_encoder}
    equal, lengths, how = 0, list[int](), HOW[name]
    for batch in range(batches + 1):
        seen, texts = pixels(batch, cast("int", vision_of(theirs).image_size)), {}
        for side in ("theirs", "ours"):
            began = time.perf_counter()
            texts[side] = by_theirs(theirs, seen, how) if side == "theirs" else by_ours(ours, seen, how)
            seconds[side].append(time.perf_counter() - began)
        for side, encoder in encoders.items():
            began = time.perf_counter()
            encoder(seen)
            seconds[side].append(time.perf_counter() - began)
        if batch:  # the first one warms the kernels
            equal += sum(a == b for a, b in zip(texts["theirs"], texts["ours"], strict=True))
            lengths += [len(ids) for ids in texts["ours"]]
    median_s = {side: float(np.median(taken[1:])) for side, taken in seconds.items()}
    ratio = median_s["ours"] / median_s["theirs"]
    about = {"name": name, "pictures": batches * BATCH, "equal_texts": equal, "mean_length": float(np.mean(lengths))}
    whole = {"ours_s": median_s["ours"], "reference_s": median_s["theirs"]}
    pictures = {"ours_pictures_s": median_s["our encoder"], "reference_pictures_s": median_s["their encoder"]}
    return {**about, **{key: round(value, 4) for key, value in {**whole, **pictures, "ratio": ratio}.items()}}


def main() -> int:
    """Measure both ways of writing."""
    parser = flags(__doc__, "two layers of each, 16 pictures")
    parser.add_argument("--pictures", type=int, default=500, help="how many (default: 500)")
    given = parser.parse_args()
    batches = 2 if given.quick else max(1, given.pictures // BATCH)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = build(given.quick)
        rows = [compare(theirs, ours, name, batches) for name in HOW]
    missed = [
        row["name"]
        for row in rows
        if row["equal_texts"] < row["pictures"] or (row["ratio"] > TARGET and not given.quick)
    ]
    lines = [
        f"{row['name']}: {row['ours_s']:.2f} s a batch of {BATCH}, transformers {row['reference_s']:.2f} s: "
        f"{row['ratio']:.2f} of its time; of these the pictures' encoder {row['ours_pictures_s']:.2f} and "
        f"{row['reference_pictures_s']:.2f} s; {row['equal_texts']} of {row['pictures']} texts are equal, "
        f"{row['mean_length']:.1f} ids on average"
        for row in rows
    ]
    return told({"name": "captions", "by_way": rows, "missed": missed, "machine": machine()}, lines, given)


if __name__ == "__main__":
    sys.exit(main())
