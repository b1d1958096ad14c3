"""Captions at base size: transformers' `generate` of a GIT against ours, on the same weights.

    python benchmarks/speed/captions.py [--quick] [--pictures 500] [--json] [--write]

One process, microsoft/git-base's sizes with random weights, 224 pixels, batches of 8, texts of 20 ids at most; greedy,
and five beams with a length penalty of 1. The picture's encoder is the same module on both sides. An end token is made
so likely that texts end at different lengths. Both take turns, batch by batch, so that a busy machine slows both. The
exit code is 1 where ours takes more than 0.9 of the time, or writes another text.

Legend: B pictures, H rows and columns of a picture, P texts, L ids, V vocabulary.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any, cast

import numpy as np
import torch
from telling import flags, machine, told
from torch import Tensor
from transformers import GitConfig, GitForCausalLM, GitVisionConfig

from vlzoo.models.bert_names import BLOCK
from vlzoo.models.decoder_prefix import PrefixDecoder
from vlzoo.models.generate import Decoding, generate
from vlzoo.types import Tokens

TARGET, BATCH, LENGTH = 0.9, 8, 20
SPECIAL = {"pad": 0, "cls": 101, "sep": 102}
HOW = {
    "greedy": Decoding(length=LENGTH),
    "beams": Decoding(length=LENGTH, beams=5, length_penalty=1.0),
}
PLACES = {
    "git.visual_projection.visual_projection": "image",
    "git.embeddings.word_embeddings": "embedding.word",
    "git.embeddings.position_embeddings": "embedding.position",
    "git.embeddings.LayerNorm": "embedding.norm",
    "output": "head",
}
"""transformers' names of a GIT's modules -> ours."""


def build(small: bool) -> tuple[GitForCausalLM, PrefixDecoder]:
    """A GIT of transformers, and its decoder as ours."""
    torch.manual_seed(0)
    eye = {"num_hidden_layers": 2} if small else {}
    theirs = GitForCausalLM(GitConfig(num_hidden_layers=2 if small else 6, vision_config=eye)).eval()
    theirs.output.weight.data.mul_(5)  # so that few words are as good as level
    ids_PL = torch.randint(1_000, 30_000, (8, 10), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logit_PLV = theirs(input_ids=ids_PL, pixel_values=pixels(0)).logits[:, -10:]
    behind = logit_PLV.amax(-1) - logit_PLV[..., SPECIAL["sep"]]
    theirs.output.bias.data[SPECIAL["sep"]] = behind.quantile(0.1)
    return theirs, ours_of(theirs)


def vision_of(theirs: GitForCausalLM) -> GitVisionConfig:
    """The settings of its image encoder."""
    return cast("GitVisionConfig", theirs.config.vision_config)


def ours_of(theirs: GitForCausalLM) -> PrefixDecoder:
    """The same weights in our decoder."""
    layers, names = theirs.config.num_hidden_layers, dict(PLACES)
    for layer in range(layers):
        names |= {f"git.encoder.layer.{layer}.{theirs_}": f"stack.{layer}.{mine}" for theirs_, mine in BLOCK.items()}
    config = theirs.config
    made = PrefixDecoder(
        width=config.hidden_size,
        layers=layers,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        vocab=config.vocab_size,
        max_length=config.max_position_embeddings,
        memory_width=vision_of(theirs).hidden_size,
        dropout=0.0,
    ).eval()
    held = {"embedding.kind": torch.zeros(made.width)}
    for name, value in theirs.state_dict().items():
        found = next((each for each in names if name.startswith(f"{each}.")), None)
        if found is not None:
            held[names[found] + name.removeprefix(found)] = value
    made.load_state_dict(held)
    return made


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


def by_ours(theirs: GitForCausalLM, ours: PrefixDecoder, seen: Tensor, how: Decoding) -> list[list[int]]:
    """Texts by ours."""
    x_BND = theirs.git.image_encoder(seen).last_hidden_state
    memory = Tokens(x_BND, torch.ones(x_BND.shape[:2], dtype=torch.bool), x_BND[:, 0])
    return [each.ids for each in generate(ours, memory, SPECIAL, how)]


def compare(theirs: GitForCausalLM, ours: PrefixDecoder, name: str, batches: int) -> dict[str, Any]:
    """Both by turns."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    equal, lengths, how = 0, list[int](), HOW[name]
    for batch in range(batches + 1):
        seen, texts = pixels(batch, cast("int", vision_of(theirs).image_size)), {}
        for side in ("theirs", "ours"):
            began = time.perf_counter()
            texts[side] = by_theirs(theirs, seen, how) if side == "theirs" else by_ours(theirs, ours, seen, how)
            seconds[side].append(time.perf_counter() - began)
        if batch:  # the first one warms the kernels
            equal += sum(a == b for a, b in zip(texts["theirs"], texts["ours"], strict=True))
            lengths += [len(ids) for ids in texts["ours"]]
    mine, other = (float(np.median(seconds[side][1:])) for side in ("ours", "theirs"))
    about = {"name": name, "pictures": batches * BATCH, "equal_texts": equal, "mean_length": float(np.mean(lengths))}
    return {**about, "ours_s": round(mine, 4), "reference_s": round(other, 4), "ratio": round(mine / other, 4)}


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
        f"{row['ratio']:.2f} of its time; {row['equal_texts']} of {row['pictures']} texts are equal, "
        f"{row['mean_length']:.1f} ids on average"
        for row in rows
    ]
    return told({"name": "captions", "by_way": rows, "missed": missed, "machine": machine()}, lines, given)


if __name__ == "__main__":
    sys.exit(main())
