"""What a recipe's model costs: parameters and forward FLOPs of each part, on meta tensors: nothing is allocated.

Legend: B batch rows (1 here), L text tokens, N image tokens, D width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vlzoo.config.schema import PartRef, Recipe
from vlzoo.data_parts import Rows
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import Model, System, build_system
from vlzoo.models.prepared import words_for_fusion
from vlzoo.step.plan import Plan
from vlzoo.types import Tokens

FILES = ("pretrained_path", "package")
"""Options that fill an image encoder from a file: they change no size, and meta tensors hold nothing to fill.

A text encoder keeps its own, because a BERT's sizes are those of its folder or package.
"""

REGIONS = 36
"""Regions of a picture where an encoder reads a detector's: as many as the published features have."""

WORDS = ("word",)
"""In place of the vocabulary, which may have to be made of data first: parts ask for one, and it changes no cost."""


@dataclass(frozen=True)
class Cost:
    """One part's cost.

    Attributes:
        part: its place in the recipe and its name, `fusion cross_attention`.
        parameters: how many numbers it holds that no part above it does: what parts share is counted once.
        flops: floating-point operations of one forward, batch of 1, two for a multiplication with addition, of texts
            that are as long as `tokenizer.max_length`, those that a decoder writes, too; of the projections also what
            encoders do for a contrast alone. None where the part is not run by itself.
    """

    part: str
    parameters: int
    flops: int | None = None

    def shown(self) -> list[str]:
        """The row of a table."""
        return [self.part, f"{self.parameters:,}", "" if self.flops is None else f"{self.flops / 1e9:,.2f} G"]


def cost_of(recipe: Recipe) -> list[Cost]:
    """The cost of every part of a recipe's model, then of the objectives' heads, then the sum.

    Raises:
        VlzooError: a part is missing, or parts do not fit each other.
    """
    system = sketch(recipe).eval().requires_grad_(False)  # or the counter looks for the history of views
    with torch.device("meta"), torch.no_grad():
        _plan(recipe, system)
        rows = _parts(recipe, system.model)
    rows += [
        Cost(f"objective {name}", _own_parameters(objective, system))
        for name, objective in system.named_objectives().items()
    ]
    known = [row.flops for row in rows if row.flops is not None]
    return [*rows, Cost("sum", sum(each.numel() for each in system.parameters()), sum(known))]


def sketch(recipe: Recipe) -> System:
    """A recipe's system on meta tensors: its parts and what they offer, without a number in them.

    Raises:
        VlzooError: a part is missing, or parts do not fit each other.
    """
    for kind in ("image_encoder", "text_encoder", "fusion", "decoder"):
        ref = getattr(recipe.model, kind)
        if ref is not None and ref.part:
            registry().find(kind, ref.part).load()  # outside: what a library computes when imported needs numbers
    with warnings.catch_warnings(), torch.device("meta"):
        # torch says of every weight of a BERT's file that a meta tensor takes none of it in, which is the point.
        warnings.filterwarnings("ignore", message=".*non-meta parameter")
        classes = len(registry().build("task", recipe.task).classes()) if recipe.task else 0
        return build_system(_without_files(recipe), vocab=recipe.tokenizer.size, classes=classes, words=WORDS)


def _plan(recipe: Recipe, system: System) -> None:
    """Let the objectives of every stream ask, as training does: what does not fit together is refused here already."""
    known = system.named_objectives()
    streams = [(stream.objectives, stream.rows) for stream in recipe.all_streams] or [(None, None)]
    for names, own in streams:
        ref, plan = own or recipe.rows, Plan()
        rows: Rows = registry().build("rows", ref.part, **ref.options)
        rows.plan(plan, "pair")  # what its data hold is not read here
        plan.gather({name: known[name] for name in names or known}, token_mask=system.token_mask)


def _parts(recipe: Recipe, model: Model) -> list[Cost]:
    image, image_flops = _image(recipe, model)
    flops: dict[str, int | None] = {"image_encoder": image_flops}
    length = recipe.tokenizer.max_length
    ids_BL = torch.zeros(1, length, dtype=torch.long)
    mask_BL = torch.ones(1, length, dtype=torch.bool)
    text, memory = None, image
    if model.has("text_encoder"):
        text, flops["text_encoder"] = _counted(lambda: model.text_encoder(ids_BL, mask_BL))
    if model.has("fusion") and text is not None:
        memory, flops["fusion"] = _fused(model, words_for_fusion(model, ids_BL, mask_BL, text), image)
    if model.has("decoder"):
        memory = image if model.decoder_reads == "image" else memory
        # What the text encoder has made of the words, the decoder's lower half need not make again.
        more = {"text": text} if model.decoder.continues_text else {}
        _, flops["decoder"] = _counted(lambda: model.decoder(ids_BL, mask_BL, model.decoder.prepare(memory), **more))
    if text is not None and model.joint:
        _, flops["projections"] = _counted(lambda: (model.embed_image(image), model.embed_text(text)))
    return _rows(recipe, model, flops)


def _fused(model: Model, words: Tokens, image: Tokens) -> tuple[Tokens, int]:
    """What a decoder may read of a pair, and what the fusion costs; image states only where the decoder reads them."""
    more: dict[str, Any] = {"image_states": True} if model.has("decoder") and model.decoder_reads == "all" else {}
    pictures = range(model.fusion.images)
    fused, flops = _counted(lambda: model.fusion.fuse(words, [model.fusion.prepare(image) for _ in pictures], **more))
    x_BND = fused.x if fused.image is None else torch.cat([fused.x, fused.image], dim=1)
    return Tokens(x_BND, torch.ones(x_BND.shape[:2], dtype=torch.bool), x_BND[:, 0]), flops


def _rows(recipe: Recipe, model: Model, flops: Mapping[str, int | None]) -> list[Cost]:
    inside = {"projections": ("image_projection", "text_projection")}
    rows, counted = [], set[int]()
    for name, cost in flops.items():
        held = [p for each in inside.get(name, (name,)) for p in getattr(model, each).parameters()]
        own = [p for p in held if id(p) not in counted]
        rows.append(Cost(name if name in inside else _part_name(name, recipe), sum(p.numel() for p in own), cost))
        counted |= {id(p) for p in own}
    return rows


def _image(recipe: Recipe, model: Model) -> tuple[Tokens, int | None]:
    """Image tokens of one picture, and what they cost; a region encoder's pictures come from elsewhere."""
    encoder = model.image_encoder
    if encoder.input == "regions":
        x_BND = torch.zeros(1, REGIONS, encoder.width)
        return Tokens(x_BND, torch.ones(1, REGIONS, dtype=torch.bool), x_BND[:, 0]), None
    wanted = recipe.model.image_encoder
    size = (wanted.options.get("image_size") if wanted else None) or recipe.augment.eval.options.get("size") or 224
    return _counted(lambda: encoder(torch.zeros(1, 3, size, size)))


def _counted(run: Callable[[], Any]) -> tuple[Any, int]:
    with FlopCounterMode(display=False) as counter:
        made = run()
    return made, int(counter.get_total_flops())


def _own_parameters(objective: nn.Module, system: System) -> int:
    """An objective's parameters without those it shares with the model, as a head tied to the word table does."""
    shared = {id(parameter) for parameter in system.model.parameters()}
    return sum(parameter.numel() for parameter in objective.parameters() if id(parameter) not in shared)


def _part_name(kind: str, recipe: Recipe) -> str:
    ref = getattr(recipe.model, kind)
    return f"{kind} {ref.part}" if ref else kind


def _without_files(recipe: Recipe) -> Recipe:
    """The recipe with no image encoder filled from a file; options of a part it does not name are dropped."""
    kinds = {kind: getattr(recipe.model, kind) for kind in ("image_encoder", "text_encoder", "fusion", "decoder")}
    bare = {kind: (_without_file(ref) if kind == "image_encoder" else ref) for kind, ref in kinds.items() if ref}
    bare = {kind: bare[kind] if kind in bare and bare[kind].part else None for kind in kinds}
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=bare)})


def _without_file(ref: PartRef) -> PartRef:
    return PartRef(part=ref.part, **{name: value for name, value in ref.options.items() if name not in FILES})
