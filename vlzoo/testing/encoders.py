"""What every image encoder and every text encoder keeps to.

Legend: M pictures, B texts, N image tokens, L text tokens, D width, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vlzoo.batch import View
from vlzoo.interfaces import ImageEncoder, TextEncoder
from vlzoo.models.given import checked_tokens
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.modules import built, check_sound
from vlzoo.testing.values import furthest, near
from vlzoo.types import Tokens

REGIONS = 5
"""Regions of each picture that an encoder of regions is shown."""


def pictures(case: Case, encoder: Any, rows: int = 3) -> Any:
    """What an image encoder takes of some pictures: pixels of its size, or regions of its width."""
    generator = torch.Generator().manual_seed(3)
    if encoder.input == "regions":
        width = getattr(encoder, "features", None)
        fix = "keep the width of the features that it reads as `self.features`"
        case.demand(isinstance(width, int), "reads regions and does not say how wide their features are", fix)
        low = torch.rand(rows, REGIONS, 2, generator=generator) / 2
        mask = torch.arange(REGIONS).expand(rows, -1) < torch.arange(rows)[:, None] + 2
        features = torch.randn(rows, REGIONS, int(width or 1), generator=generator)
        return {"features": features, "boxes": torch.cat([low, low + 0.5], dim=2), "mask": mask}
    return torch.randn(rows, 3, *[side(encoder)] * 2, generator=generator)


def side(encoder: Any) -> int:
    """Side of the pictures that an encoder is shown, in pixels."""
    return int(encoder.image_size or 4 * encoder.patch if encoder.patch > 8 else encoder.image_size or 32)


def taken(given: Any, rows: Tensor) -> Any:
    """Some of the pictures."""
    return {name: held[rows] for name, held in given.items()} if isinstance(given, Mapping) else given[rows]


def _seen(case: Case, encoder: Any, given: Any) -> Tokens:
    fix = "return `Tokens(x_MND, mask_MN, pooled_MD, prefix, grid)`, of vlzoo.Tokens"
    with case.blamed("fails on pictures", fix, "forward"):
        tokens: Tokens = encoder(given)
        return checked_tokens(encoder, tokens)


def is_an_image_encoder(case: Case) -> None:
    """It is an ImageEncoder that knows its width."""
    is_a(case, ImageEncoder)
    made = built(case)
    right = isinstance(getattr(made, "width", None), int)
    case.demand(right, "has no `width`", "set `self.width` in the constructor: D of its tokens")


def gives_tokens_of_a_grid(case: Case) -> None:
    """Tokens of the promised shapes, whose grid and prefix count them all."""
    encoder = built(case)
    given = pictures(case, encoder)
    tokens = _seen(case, encoder, given)
    case.demand(len(tokens.x) == 3, f"gives {len(tokens.x)} rows for 3 pictures", "a row for each picture", "forward")
    if tokens.grid is not None:
        places = tokens.prefix + tokens.grid[0] * tokens.grid[1]
        what = f"gives {tokens.x.shape[1]} tokens, and says {tokens.prefix} before a grid of {tokens.grid}"
        fix = "`prefix` counts the tokens before the grid ([CLS], registers), `grid` is rows and columns of the rest"
        case.demand(places == tokens.x.shape[1], what, fix, "forward")


def image_numbers_are_sound(case: Case) -> None:
    """Finite numbers and gradients, the same again, near under bf16, in its state; the pictures stay."""
    given = pictures(case, built(case))
    check_sound(case, given, lambda encoder: _seen(case, encoder, given))


def sees_each_picture_by_itself(case: Case) -> None:
    """In evaluation a picture has the same tokens whatever else is in the batch, and alone."""
    encoder = built(case).eval()
    given = pictures(case, encoder)
    with torch.no_grad():
        whole = _seen(case, encoder, given)
        for rows in ([2, 0], [1]):
            some = _seen(case, encoder, taken(given, torch.tensor(rows)))
            what = f"sees a picture otherwise among {len(rows)} than among 3: {furthest(some.x, whole.x[rows])}"
            fix = "mix nothing over the batch; batch statistics rest in evaluation"
            case.demand(near(some.x, whole.x[rows]) and near(some.pooled, whole.pooled[rows]), what, fix, "forward")


def pools_its_parts(case: Case) -> None:
    """The shares of a part's tokens sum to one, and none lies outside the part."""
    encoder = built(case).eval()
    with torch.no_grad():
        whole = _seen(case, encoder, pictures(case, encoder))
        cells = whole.x.shape[1] - whole.prefix
        read = torch.zeros(3, cells, dtype=torch.bool)
        read[:, : max(1, cells // 2)] = True
        part = View(rows=torch.tensor([0, 2, 2]), cells=read)
        shares = encoder.pool(whole, part)
    fix = "give shares [R, N] over the part's cells, softmaxed or divided by their sum; see ImageEncoder.pool"
    shape = [3, whole.x.shape[1]]
    case.demand(list(shares.shape) == shape, f"pools by shares {list(shares.shape)}, not {shape}", fix, "pool")
    summed = near(shares.sum(1), torch.ones(3))
    outside = bool((shares[:, whole.prefix :].masked_fill(read, 0) > 1e-6).any())
    case.demand(summed and not outside, "pools by shares that don't sum to one in the part", fix, "pool")


IMAGE: tuple[Check, ...] = (
    is_described,
    is_an_image_encoder,
    gives_tokens_of_a_grid,
    image_numbers_are_sound,
    sees_each_picture_by_itself,
    pools_its_parts,
    does_no_work_at_import,
)


def check_image_encoder(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check an image encoder against all that image encoders promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor; usual ones (`width`, `patch`, `image_size`) are small where none are given.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(IMAGE, Case.of("image_encoder", part, options))


def words(rows: int = 4, pad: int = 0) -> Any:
    """Some texts of 3 to 7 words."""
    return toy.batch(rows, pad=pad).texts["text"]


def _said(case: Case, encoder: Any, text: Any, **more: Any) -> Tokens:
    fix = "return `Tokens(x_BLD, mask_BL, pooled_BD)`, of vlzoo.Tokens"
    with case.blamed("fails on texts", fix, "forward"):
        return checked_tokens(encoder, encoder(text.ids, text.mask, **more), len(text.ids))


def is_a_text_encoder(case: Case) -> None:
    """It is a TextEncoder that knows its width, its vocabulary and its word table."""
    is_a(case, TextEncoder)
    encoder = built(case)
    for name in ("width", "vocab"):
        right = isinstance(getattr(encoder, name, None), int)
        case.demand(right, f"has no `{name}`", f"set `self.{name}` in the constructor")
    with case.blamed("has no word table", "return the parameter [V, D] in `word_embedding()`", "word_embedding"):
        table = encoder.word_embedding()
    shape = list(table.shape)
    fix = "return its first V rows, one for each id: vocabulary heads are tied to it"
    case.demand(shape[0] == encoder.vocab, f"has a word table {shape} for {encoder.vocab} ids", fix, "word_embedding")


def text_numbers_are_sound(case: Case) -> None:
    """Finite numbers and gradients, the same again, near under bf16, in its state; the ids stay."""
    text = words()

    def read(encoder: Any) -> Tensor:
        tokens = _said(case, encoder, text)
        return torch.cat([tokens.x[text.mask], tokens.pooled])

    check_sound(case, text, read)


def reads_no_padding(case: Case) -> None:
    """Padding, however long and whatever its ids, changes no real token."""
    encoder, text, longer = built(case).eval(), words(), words(pad=4)
    with torch.no_grad():
        plain, padded = (_said(case, encoder, each) for each in (text, longer))
        other = replace(longer, ids=torch.where(longer.mask, longer.ids, 7))
        odd = _said(case, encoder, other)
    fix = "hide padding from every word: `mask_BL` is True at real tokens"
    real = text.mask
    for found in (padded, odd):
        same = near(found.x[:, : real.shape[1]][real], plain.x[real]) and near(found.pooled, plain.pooled)
        case.demand(same, "gives other tokens where texts are padded further, or with other ids", fix, "forward")


def reads_each_text_by_itself(case: Case) -> None:
    """A text has the same tokens whatever else is in the batch, and alone."""
    encoder, text = built(case).eval(), words()
    rows = torch.tensor([2])
    with torch.no_grad():
        whole, alone = _said(case, encoder, text), _said(case, encoder, text.gather(rows))
    what = f"reads a text otherwise alone than among 4: {furthest(alone.x, whole.x[rows])}"
    real = text.mask[rows]
    case.demand(near(alone.x[real], whole.x[rows][real]), what, "mix nothing over the batch", "forward")


def takes_positions(case: Case) -> None:
    """Positions that are given as they are anyway change nothing, where it takes them."""
    encoder, text = built(case).eval(), words()
    if "positions_BL" not in inspect.signature(encoder.forward).parameters:
        return
    places = torch.arange(text.ids.shape[1]).expand_as(text.ids)
    with torch.no_grad():
        plain, placed = _said(case, encoder, text), _said(case, encoder, text, positions_BL=places)
    fix = "positions count from 0, [CLS] stands at 0; `positions_BL=None` means 0, 1, 2, ..."
    same = near(placed.x[text.mask], plain.x[text.mask])
    case.demand(same, "gives other tokens where the usual positions are given", fix, "forward")


TEXT: tuple[Check, ...] = (
    is_described,
    is_a_text_encoder,
    text_numbers_are_sound,
    reads_no_padding,
    reads_each_text_by_itself,
    takes_positions,
    does_no_work_at_import,
)


def check_text_encoder(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check a text encoder against all that text encoders promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor; usual ones (`width`, `layers`, `vocab`) are small where none are given.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(TEXT, Case.of("text_encoder", part, options))
