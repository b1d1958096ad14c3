"""X-VLM's image and region updates: the official procedure in plain torch against ours, on the same weights and data.

`step.py --xvlm` runs it: ViT-B/16 at 128 pixels, the last four blocks on regions, and Swin-B at 224, with BERT-base
of 6 text and 6 fusion layers and 4 rows of 25 tokens. The rows of the region update show 2 pictures: one of them is a
whole picture, the others are regions. Dropout and the Swin's dropped paths are 0 on both sides.

Legend: R rows, M pictures, G cells of the encoder's grid.
"""

from __future__ import annotations

import dataclasses
import tempfile
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measuring import LR, Side, batch_of, by_turns, figures
from reference.albef_step import MASK_ID
from reference.xvlm_layers import XvlmSizes
from reference.xvlm_step import Literal, Xvlm
from vlzoo_xvlm.masking import Spans
from vlzoo_xvlm.weights import XvlmAdapter

from vlzoo.batch import Batch, View
from vlzoo.config.schema import Recipe
from vlzoo.draws import Draws
from vlzoo.models.assemble import SPECIAL, System, build_system
from vlzoo.runs.checkpoint import load_into
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.train.feed import Feed
from vlzoo.train.loop import Trainer
from vlzoo.train.schedule import Length

ENCODERS = {"vit": XvlmSizes(), "swin": XvlmSizes(encoder="swin", pixels=224)}
UPDATES = ("image", "region")
TIME_TARGET, SAVED_TARGET = 0.75, 0.85
WEIGHT_DECAY = 0.01
TURNS = 9
"""How often each side makes each update: single ones wander by a fifth."""


def literal_model(sizes: XvlmSizes) -> Xvlm:
    """The official model with random weights."""
    torch.manual_seed(0)
    model = Xvlm(sizes, Spans(most=sizes.most))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.03 if "encoder" in name else 0.1)
    return model


def system_of(model: Xvlm) -> tuple[Recipe, System]:
    """Our system with the official model's weights, by the adapter, and the official forms where ours has others."""
    sizes = model.sizes
    heads = sizes.heads if sizes.encoder == "vit" else None
    adapter = XvlmAdapter(
        heads=sizes.heads, image_heads=heads, local_blocks=sizes.local, pixels=sizes.pixels, dropout=0.0
    )
    converted = adapter.convert(model.state_dict())
    assert not converted.unexpected, converted.unexpected
    made = converted.recipe
    made["objectives"]["itm"]["mining"] = "floored"
    made["objectives"]["mlm"]["most"] = sizes.most
    if sizes.encoder == "swin":
        made["model"]["image_encoder"]["arguments"]["drop_path_rate"] = 0.0
    made["train"] |= {"batch": sizes.batch, "lr": LR, "weight_decay": WEIGHT_DECAY, "clip": 1.0}
    made["train"] |= {"betas": (0.9, 0.98), "schedule": "constant"}
    recipe = Recipe.model_validate(made)
    system = build_system(recipe, vocab=sizes.vocab, special={**SPECIAL, "mask": MASK_ID})
    load_into(system, converted.system, where="the literal model")
    return recipe, system.train()


def pairs_of(sizes: XvlmSizes) -> Batch:
    """A batch of pictures and texts, each token a word of its own."""
    made = batch_of(sizes)
    text = made.texts["text"]
    word_RL = torch.arange(sizes.length).expand_as(text.ids).masked_fill(text.special, -1)
    return dataclasses.replace(made, texts={"text": dataclasses.replace(text, word=word_RL)})


def regions_of(sizes: XvlmSizes) -> Batch:
    """A batch of rows that share pictures: the first row is a whole picture, the others are regions."""
    made, generator = pairs_of(sizes), torch.Generator().manual_seed(2)
    row_R = torch.arange(sizes.batch) * sizes.pictures // sizes.batch
    corner_R22 = torch.randint(0, sizes.grid, (sizes.batch, 2, 2), generator=generator).sort(1).values
    corner_R22[0, 0], corner_R22[0, 1] = 0, sizes.grid - 1
    place_G = torch.arange(sizes.grid)
    met_R2G = (place_G >= corner_R22[:, 0, :, None]) & (place_G <= corner_R22[:, 1, :, None])
    cells_RG = (met_R2G[:, 0, :, None] & met_R2G[:, 1, None]).flatten(1)
    size_R2 = corner_R22[:, 1] - corner_R22[:, 0] + 1
    centre_R2 = corner_R22[:, 0] + size_R2 / 2
    box_R4 = torch.cat([centre_R2, size_R2], dim=1).float() / sizes.grid
    return dataclasses.replace(
        made,
        images={"image": made.images["image"][: sizes.pictures]},
        views={"region": View("image", row_R, cells_RG), "whole": View("image", row_R)},
        extra={"box": box_R4[:, [1, 0, 3, 2]], "is_region": torch.arange(sizes.batch) > 0},
    )


def sides(sizes: XvlmSizes, update: str, folder: Path) -> tuple[Side, Side]:
    """Ours and the reference at an update, `image` or `region`, on the same weights, data and draws."""
    model = literal_model(sizes)
    recipe, system = system_of(model)
    trainer = Trainer(recipe, Run(folder), system, Length(1_000, 1_000, sizes.batch))
    literal = Literal(model, lr=LR, weight_decay=WEIGHT_DECAY)
    objectives, batch, main = system.named_objectives(), regions_of(sizes), "region"
    if update == "image":
        batch, main = pairs_of(sizes), "image"
        del objectives["box"]
    feed = Feed("main", repeat(batch), objectives, Plan(main_image=(main,)).gather(objectives))

    def ours() -> dict[str, float]:
        return {name: float(value) for name, value in trainer.update([feed]).items()}

    def reference() -> dict[str, float]:
        return literal.update(batch, Draws(recipe.train.seed, trainer.step))

    return Side(ours, [system]), Side(reference, [model])


def compare_updates(encoders: dict[str, XvlmSizes], repetitions: int) -> dict[str, Any]:
    """Losses and saved bytes of each first update, then times by turns, for each image encoder.

    Raises:
        AssertionError: the losses differ by more than 1e-5.
    """
    updates: dict[str, Any] = {}
    for encoder, sizes in encoders.items():
        for update in UPDATES:
            with tempfile.TemporaryDirectory() as folder:
                updates[f"{encoder} {update}"] = _compare(*sides(sizes, update, Path(folder)), repetitions)
    return {"name": "xvlm-step", "updates": updates}


def _compare(ours: Side, reference: Side, repetitions: int) -> dict[str, Any]:
    found = by_turns(ours, reference, repetitions)
    # Turn by turn: what slows a whole turn down, slows both sides.
    ratios = [mine / other for mine, other in zip(ours.seconds, reference.seconds, strict=True)]
    told = {"ratio": round(median(ratios), 4), "ratios": [round(ratio, 3) for ratio in ratios]}
    return figures(ours, reference) | told | found


def updates_met(found: dict[str, Any]) -> bool:
    """Whether the targets are met."""
    rows = found["updates"].values()
    return all(row["ratio"] <= TIME_TARGET and row["saved_ratio"] <= SAVED_TARGET for row in rows)


def show_updates(found: dict[str, Any]) -> None:
    """The figures as lines."""
    for name, row in found["updates"].items():
        print(
            f"{name:>11}: reference {row['reference_s']:.2f} s, ours {row['ours_s']:.2f} s, ratio {row['ratio']:.3f} "
            f"(target {TIME_TARGET:.2f}); saved for backward: reference {row['saved_bytes_reference'] / 1e6:.0f} MB, "
            f"ours {row['saved_bytes_ours'] / 1e6:.0f} MB, ratio {row['saved_ratio']:.3f} "
            f"(target {SAVED_TARGET:.2f}); largest difference of the losses {row['max_difference']:.1e}"
        )
