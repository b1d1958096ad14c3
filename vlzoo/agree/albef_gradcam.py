"""`albef_gradcam.json`: word-conditional Grad-CAM of every fusion layer recorded, and that of the contrast.

Legend: B pairs, H heads, L text tokens, N image tokens, P patches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.albef import Built, batch_of, build, text_of
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden
from vlzoo.models.contrast_map import contrast_map
from vlzoo.models.gradcam import lavis_maps, sentence_map, word_maps
from vlzoo.objectives.itm import ITM
from vlzoo.offers import MATCH
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step


def compare(path: Path) -> Iterator[Result]:
    """Logits, attention, its gradient, and the maps as the notebook, the grounding and LAVIS reduce them."""
    golden = Golden(path)
    built = build(golden)
    built.system.eval()
    for case in golden.cases("out/"):
        matched = re.fullmatch(r"(itc_)?block(\d+)", case)
        if matched is None:
            continue
        block = int(matched[2])
        yield from (_contrast(golden, built, case, block) if matched[1] else _words(golden, built, case, block))
    yield from golden.leftovers()


def _step(golden: Golden, built: Built, plan: Plan) -> Step:
    text = text_of(built, golden["in/input_ids"], golden["in/attention_mask"])
    return Step(batch_of({"image": golden["in/image"]}, text), built.model, plan=plan)


def _words(golden: Golden, built: Built, case: str, block: int) -> Iterator[Check]:
    plan = Plan()
    plan.keep_map(block - int(golden.about["config"]["bert_config"]["fusion_layer"]))
    step = _step(golden, built, plan)
    fused, mask_BL = step.fused(), step.ids().mask
    matching = cast(ITM, built.system.named_objectives()["itm"])
    logit_B2 = matching.head(fused.cls)
    yield golden.close(f"{case}/out/itm_logits", logit_B2, LOGITS)
    assert fused.attention is not None
    yield golden.close(f"{case}/out/attention_map", fused.attention, EMBEDDINGS)
    (gradient,) = torch.autograd.grad(logit_B2[:, MATCH].sum(), fused.attention, retain_graph=True)
    yield golden.close(f"{case}/out/attention_grad", gradient, EMBEDDINGS)
    image = step.image()
    grid = image.grid or (1, image.x.shape[1] - image.prefix)
    maps_BLP = word_maps(logit_B2[:, MATCH], fused, mask_BL, prefix=image.prefix)
    yield golden.close(f"{case}/out/per_token", maps_BLP.unflatten(-1, grid), EMBEDDINGS)
    yield golden.close(f"{case}/out/grounding", sentence_map(maps_BLP).unflatten(-1, grid), EMBEDDINGS)
    for row, mask_L in enumerate(mask_BL):
        ours = lavis_maps(maps_BLP[row], mask_L)
        yield golden.close(f"{case}/out/lavis{row}", ours.unflatten(-1, grid), EMBEDDINGS)


def _contrast(golden: Golden, built: Built, case: str, block: int) -> Iterator[Check]:
    batch = _step(golden, built, Plan()).batch
    map_BP, grid = contrast_map(
        built.model, built.system.offered("contrast"), batch.images["image"], batch.texts["text"], block
    )
    yield golden.close(f"{case}/out/map", map_BP.unflatten(-1, grid), EMBEDDINGS)
