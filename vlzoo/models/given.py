"""What parts of a model give, looked at before it is used: a stranger's slip is named as the stranger's.

Shapes and kinds alone are read, which waits for no device.

Legend: R rows, N tokens, P pairs, L text tokens, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from vlzoo.door.options import schema_of
from vlzoo.door.supplier import supplier, wrong
from vlzoo.errors import VlzooError
from vlzoo.types import Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.data_parts import Augmentation, Rows
    from vlzoo.interfaces import ImageEncoder
    from vlzoo.models.assemble import Model


def shown(value: Any) -> str:
    """A value as messages name it.

    >>> shown(torch.zeros(2, 3)), shown(None), shown(0.5)
    ('a tensor [2, 3]', 'None', 'a float')
    """
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def check_pictures(augmentation: Augmentation, encoder: ImageEncoder) -> None:
    """Refuse pictures of another size than the encoder was made for, before one is seen.

    Raises:
        PluginError: names the augmentation, its plugin and both sizes.
    """
    size, made_for = augmentation.size, encoder.image_size
    if encoder.input != "image" or made_for is None or size == made_for:
        return
    what = f"gives pictures of {size}x{size} pixels, and the image encoder was made for {made_for}x{made_for}"
    part = supplier(augmentation)
    is_option = part is not None and "size" in schema_of(part).names
    own = f"set its option `size` to {made_for}" if is_option else f"write `size = {made_for}` into its class"
    fix = f"{own} (`augment.train`, `augment.eval`), or the encoder's image_size to {size}"
    raise wrong(augmentation, what, fix=fix, kind="augmentation")


def check_reach(rows: Rows, longest: int, model: Model) -> None:
    """Refuse rows whose words stand where the text encoder has no positions, as tags behind a text may.

    Args:
        rows: what makes the rows.
        longest: most tokens of a text.
        model: the model.

    Raises:
        VlzooError: names both numbers.
    """
    encoder = model.text_encoder if model.has("text_encoder") else None
    room, reach = getattr(encoder, "max_length", None), rows.reach(longest)
    # Texts alone may be shorter than they might be, and one that is too long is told when it is read.
    if isinstance(room, int) and reach > max(room, longest):
        raise VlzooError(
            f"words stand at up to {reach} positions, and the text encoder has {room}",
            where=f"rows {type(rows).__name__}",
            fix=f"set model.text_encoder.max_length: {reach}, or a smaller tokenizer.max_length or `pieces`",
        )


def checked_tokens(encoder: Any, given: Any, rows: int | None = None) -> Tokens:
    """What an encoder gave.

    Args:
        encoder: the part.
        given: by it.
        rows: R; None where it is not known.

    Raises:
        PluginError: it is no `Tokens`, or its shapes do not fit together.
    """

    def refuse(what: str, fix: str) -> NoReturn:
        raise wrong(encoder, what, fix=fix, kind="encoder", method="forward")

    if not isinstance(given, Tokens):
        refuse(f"gave {shown(given)}, not Tokens", "return `Tokens(x_RND, mask_RN, pooled_RD)`, of vlzoo.Tokens")
    x, mask, pooled = given.x, given.mask, given.pooled
    if x.ndim != 3 or x.shape[-1] != encoder.width or (rows is not None and len(x) != rows):
        wanted = f"[{'rows' if rows is None else rows}, tokens, {encoder.width}]"
        refuse(f"gave token vectors {list(x.shape)}, not {wanted}", "its `width` says the last of them")
    if mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        what = f"gave a mask {list(mask.shape)} of {mask.dtype} for token vectors {list(x.shape)}"
        refuse(what, "one bool for each token: `torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)`")
    if pooled.shape != (len(x), x.shape[-1]):
        refuse(f"gave a pooled state {list(pooled.shape)}, not {[len(x), x.shape[-1]]}", "one vector for each row")
    return given


def checked_fused(fusion: Any, given: Any) -> Fused:
    """What a fusion gave for some pairs.

    Raises:
        PluginError: it is no `Fused`, or its states have another width than it says.
    """
    if not isinstance(given, Fused):
        fix = "return `Fused(x_PLD, mask_PL)`, of vlzoo.Fused"
        raise wrong(fusion, f"gave {shown(given)}, not Fused", fix=fix, kind="fusion", method="fuse")
    if given.x.ndim != 3 or given.x.shape[-1] != fusion.width:
        what, fix = (
            f"gave states {list(given.x.shape)}, not [pairs, words, {fusion.width}]",
            "its `width` says the last",
        )
        raise wrong(fusion, what, fix=fix, kind="fusion", method="fuse")
    return given


def checked_weights(token_mask: Any, given: Any, rows: int) -> Tensor:
    """What a token mask gave for a step of so many rows.

    Raises:
        PluginError: it is no weight for each image token.
    """
    if isinstance(given, Tensor) and given.ndim == 2 and len(given) == rows and given.is_floating_point():
        return given
    fix = f"give a weight in [0, 1] for each image token, [{rows}, tokens]"
    raise wrong(token_mask, f"gave {shown(given)}", fix=fix, kind="token_mask", method="forward")
