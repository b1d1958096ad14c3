"""One part of a recipe's model: built, and refused where the model lacks what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from vlzoo.config.needs import lacking
from vlzoo.config.schema import PartRef, Projection
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model


def needs_met(model: Model, *, teacher: bool = False) -> set[str]:
    """The needs of parts (`vlzoo.config.needs`) that a model meets, with a `teacher` or without."""
    met = {name for name in ("text_encoder", "fusion", "decoder") if model.has(name)}
    if model.has("text_encoder") and model.text_encoder.reads_whole:
        met.add("pooled_text")
    if model.has("fusion") and model.fusion.gives_images:
        met.add("image_states")
    if model.has("fusion") and model.fusion.images > 1:
        met.add("two_pictures")
    if model.has("decoder"):
        met.add("picture_decoder" if model.decoder_reads == "image" else "fused_decoder")
    return met | ({"joint"} if model.joint else set()) | ({"teacher"} if teacher else set())


def check_needs(who: str, needs: Sequence[str], met: Collection[str]) -> None:
    """Refuse a part that needs of the model, or of its teacher, what it lacks.

    Args:
        who: the part, as messages name it.
        needs: keys of `vlzoo.config.needs.NEEDS`.
        met: those that the model meets.

    Raises:
        VlzooError: says what, and the remedy.
    """
    if refused := lacking(who, needs, met):
        raise VlzooError(refused[0], fix=refused[1])


def build_part(kind: str, ref: PartRef, derived: Mapping[str, Any]) -> Any:
    """Build a part of the model; `derived` options are given where it takes them and the recipe does not."""
    known = schema_of(registry().find(kind, ref.part)).names
    follows = {name: value for name, value in derived.items() if name in known}
    return registry().build(kind, ref.part, **{**follows, **ref.options})


def into_joint(widths: Mapping[str, int], joint: int, projection: Projection) -> dict[str, nn.Module | None]:
    """What brings each side's pooled states [B, width] into the joint space, [B, joint]; None where there is no space.

    Args:
        widths: of the encoders, by side: `image`, `text`.
        joint: size of the space; 0: there is none.
        projection: the recipe's.

    Raises:
        VlzooError: a side has no linear map, and another width than the space.
    """
    made: dict[str, nn.Module | None] = {}
    for side, width in widths.items():
        if joint and side not in projection.of and width != joint:
            what = f"states of the {side} encoder, {width} wide, can't stand as they are in a joint space of {joint}"
            fix = f"set model.joint: {width}, or name the side: `projection: {{of: [image, text]}}`"
            raise VlzooError(what, where="model.projection", fix=fix)
        linear = nn.Linear(width, joint, bias=projection.bias) if joint and side in projection.of else nn.Identity()
        made[side] = linear if joint else None
    return made
