"""What objectives and token masks may need of the model (`needs`), and what is said where it lacks that."""

from __future__ import annotations

from collections.abc import Collection

from vlzoo.errors import did_you_mean

NEEDS = {
    "text_encoder": (
        "reads texts, and the recipe names no text encoder",
        "add `model.text_encoder:`; `vlzoo list text_encoder` shows what there is",
    ),
    "fusion": (
        "reads fused states, and the recipe names no fusion",
        "add `model.fusion:`; `vlzoo list fusion` shows what there is",
    ),
    "image_states": (
        "reads image states, and this fusion gives text states alone",
        "name one that gives both: `model.fusion: merged`",
    ),
    "two_pictures": (
        "reads two pictures beside a text, and this fusion reads one",
        "say so in the recipe: `model.fusion: {images: 2}`",
    ),
    "decoder": (
        "writes text word by word, and the recipe names no decoder",
        "add `model.decoder: causal`; `vlzoo list decoder` shows what there is",
    ),
    "picture_decoder": (
        "writes texts of pictures, and the decoder reads fused states, in which these texts would stand already",
        "let it read the pictures: `model.decoder: {reads: image}`",
    ),
    "fused_decoder": (
        "writes from what texts have read of pictures, and the decoder reads the pictures alone",
        "name a fusion and let the decoder read it: `model.decoder: {reads: fused}`; where it is to read the picture, "
        "questions are answered by `prefix_answer`",
    ),
    "joint": (
        "compares embeddings of pictures and texts, and the model has no joint space",
        "give the recipe a text encoder and a size: `model.joint: 256`",
    ),
    "pooled_text": (
        "compares whole texts, and the first state of this text encoder says nothing of the other words",
        "name an encoder whose layers read the text: `model.text_encoder: bert`; or leave the objective out",
    ),
    "teacher": (
        "compares with a momentum teacher, and the recipe has none",
        "give it one: `teacher: {momentum: 0.995, alpha: 0.4}`",
    ),
}
"""Need -> what is said of who has it and does not find it, and the remedy."""


NO_PICTURES = (
    "the recipe names no image_encoder",
    "add `model.image_encoder:`; `vlzoo list image_encoder` shows what there is",
)
NO_TEXTS = (
    "the recipe names a fusion and no text encoder, whose states it would fuse",
    "add `model.text_encoder:`, or take the fusion out: `fusion: null`",
)


ABSENT = {
    "text_encoder": ("this model has no text encoder", "name one in the recipe: `model.text_encoder: bert`"),
    "fusion": ("this model has no fusion", "name one in the recipe: `model.fusion: cross_attention`"),
    "decoder": ("this model has no decoder", "name one in the recipe: `model.decoder: causal`"),
    **dict.fromkeys(
        ("image_projection", "text_projection"),
        ("this model has no joint space of pictures and texts", "give its size in the recipe: `model.joint: 256`"),
    ),
}
"""Parts that a model may lack, what is said where one is asked for, and the remedy."""


def lacking(who: str, needs: Collection[str], has: Collection[str]) -> tuple[str, str] | None:
    """What is wrong and how to mend it, for the first need that is not met; None where all are.

    >>> lacking("objective itm", ["text_encoder", "fusion"], ["text_encoder"])[0]
    'objective itm reads fused states, and the recipe names no fusion'

    Args:
        who: whose needs, as messages name it.
        needs: keys of `NEEDS`.
        has: those that the model meets.
    """
    for need in needs:
        if need not in NEEDS:
            return f"{who} needs {need!r} of a model", did_you_mean(need, NEEDS, what="what a part may need")
        if need not in has:
            what, fix = NEEDS[need]
            return f"{who} {what}", fix
    return None
