"""Whether the parts of a recipe's model fit each other, and what its objectives need of it: read from sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from vlzoo.config.needs import NO_PICTURES, NO_TEXTS, lacking
from vlzoo.config.references import references
from vlzoo.config.tree import Tree, dotted
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import Problem, VlzooError

READERS = ("objective", "token_mask")
"""Kinds whose parts may need something of the model."""


def model_problems(tree: Tree) -> Iterator[Problem]:
    """What objectives need and the model lacks; a fusion without texts; no image encoder.

    A task's recipe that leaves the model to the run it starts from is taken as it is.
    """
    model = tree.data.get("model")
    if not isinstance(model, dict) or (tree.data.get("task") and not _name(model.get("image_encoder"))):
        return
    where = tree.origin(("model",))
    if not model.get("image_encoder") and any(kind == "objective" for kind, *_ in references(tree.data)):
        yield Problem(where, "model", *NO_PICTURES)
    if model.get("fusion") and not model.get("text_encoder"):
        yield Problem(tree.origin(("model", "fusion")), "model.fusion", *NO_TEXTS)
        return
    has = _met(model) | ({"teacher"} if tree.data.get("teacher") is not None else set())
    for kind, path, name, _ in references(tree.data):
        if kind in READERS and (needs := _facts(kind, name).get("needs")):
            who = f"{kind} {path[-1] if kind == 'objective' else name}"
            if refused := lacking(who, needs, has):
                yield Problem(tree.origin(path), dotted(path), *refused)


def _met(model: dict[str, Any]) -> set[str]:
    """The needs that a model meets."""
    met = {kind for kind in ("text_encoder", "fusion", "decoder") if model.get(kind)}
    if "decoder" in met:
        reads = decoder_reads(model["decoder"], fusion="fusion" in met)
        met.add("picture_decoder" if reads == "image" else "fused_decoder")
    if "text_encoder" in met:
        met |= {"joint"} if model.get("joint", True) else set()
        if _facts("text_encoder", _name(model["text_encoder"])).get("reads_whole") is not False:
            met.add("pooled_text")
    if "fusion" in met and _facts("fusion", _name(model["fusion"])).get("gives_images") is True:
        met.add("image_states")
    if "fusion" in met and _pictures(model["fusion"]) > 1:
        met.add("two_pictures")
    return met


def decoder_reads(decoder: Any, *, fusion: bool) -> Literal["image", "fused", "all"]:
    """What a decoder reads: as the recipe says (`reads`), or its source; else fused states where there are any.

    Args:
        decoder: the recipe's reference to it.
        fusion: whether the model has a fusion.
    """
    said = decoder.get("reads") if isinstance(decoder, Mapping) else None
    said = said or _facts("decoder", _name(decoder)).get("reads")
    return "image" if not fusion or said == "image" else "all" if said == "all" else "fused"


def _pictures(fusion: Any) -> int:
    """How many pictures a fusion reads beside a text, as the recipe says or its source; 1 where neither tells."""
    facts = _facts("fusion", _name(fusion))
    found = fusion.get("images") if isinstance(fusion, dict) else None
    found = facts.get("images") if found is None else found
    return found if isinstance(found, int) else 1


def _name(ref: Any) -> str:
    """The part that a reference names; empty where it names none."""
    named = ref.get("part") if isinstance(ref, Mapping) else ref
    return named if isinstance(named, str) else ""


def _facts(kind: str, name: str) -> dict[str, Any]:
    """What a part's source says of it; nothing where the part or its source can't be found, as is said elsewhere."""
    try:
        return dict(schema_of(registry().find(kind, name)).facts)
    except VlzooError:
        return {}
