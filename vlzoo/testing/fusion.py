"""What every fusion keeps to.

Legend: P texts, M pictures, N image tokens, L text tokens, K kept positions, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from vlzoo.interfaces import Fusion
from vlzoo.models.given import checked_fused
from vlzoo.testing import toy
from vlzoo.testing.case import Case, Check, is_a, is_described, run
from vlzoo.testing.imports import does_no_work_at_import
from vlzoo.testing.modules import built, check_sound, read_width
from vlzoo.testing.values import furthest, near
from vlzoo.types import Fused, Tokens

ROWS, LENGTH, PLACES = 3, 6, 5


def tokens(rows: int = ROWS, length: int = LENGTH, *, seed: int = 0, width: int = toy.WIDTH, pad: int = 0) -> Tokens:
    """Tokens of some rows, the last of which has one token less; what is padded holds numbers, too."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, length, width, generator=generator)
    mask = torch.ones(rows, length, dtype=torch.bool)
    if rows > 1:
        mask[-1, -1] = False
    more = torch.full((rows, pad, width), 5.0)
    mask = torch.cat([mask, torch.zeros(rows, pad, dtype=torch.bool)], dim=1)
    return Tokens(torch.cat([x, more], dim=1), mask, x[:, 0], prefix=1)


def _text(case: Case, fusion: Any, **more: Any) -> Tokens:
    return tokens(width=read_width(case, fusion, "text_width"), **more)


def _fused(case: Case, fusion: Any, text: Tokens, images: list[Tokens], rows: Any = None, **more: Any) -> Fused:
    fix = "return `Fused(x_PLD, mask_PL)`, of vlzoo.Fused"
    with case.blamed("fails on texts with their pictures", fix, "fuse"):
        prepared = [fusion.prepare(each) for each in images]
        return checked_fused(fusion, fusion.fuse(text, prepared, rows, **more))


def _images(case: Case, fusion: Any, **more: Any) -> list[Tokens]:
    width = read_width(case, fusion, "image_width")
    return [tokens(length=PLACES, seed=9 + i, width=width, **more) for i in range(fusion.images)]


def is_a_fusion(case: Case) -> None:
    """It is a Fusion that knows its width, its layers and its pictures."""
    is_a(case, Fusion)
    fusion = built(case)
    for name in ("width", "layers", "images"):
        right = isinstance(getattr(fusion, name, None), int)
        case.demand(right, f"has no `{name}`", f"set `self.{name}` in the constructor; see vlzoo.Fusion")


def gives_states_of_the_texts(case: Case) -> None:
    """States [P, L, D] with the texts' mask; image states where it says that it gives them."""
    fusion = built(case)
    text, images = _text(case, fusion), _images(case, fusion)
    made = _fused(case, fusion, text, images)
    shape = [ROWS, LENGTH, fusion.width]
    fix = "give a state for each word of each text, and the text's mask"
    case.demand(list(made.x.shape) == shape, f"gives states {list(made.x.shape)}, not {shape}", fix, "fuse")
    case.demand(torch.equal(made.mask, text.mask), "gives another mask than the texts'", fix, "fuse")
    width = fusion.pooled_width or fusion.width
    fix = "set `pooled_width` to the width of `Fused.pooled`, 0 where the first state stands for the pair"
    case.demand(made.cls.shape == (ROWS, width), f"pools a pair to {list(made.cls.shape)}, not {width}", fix, "fuse")
    if fusion.gives_images:
        made = _fused(case, fusion, text, images, image_states=True)
        found = None if made.image is None else list(made.image.shape)
        shape = [ROWS, PLACES * fusion.images, fusion.width]
        fix = "give `Fused.image` where image_states is True, or set gives_images = False"
        case.demand(found == shape, f"gives image states {found}, not {shape}", fix, "fuse")


def fused_numbers_are_sound(case: Case) -> None:
    """Finite numbers and gradients, the same again, near under bf16, in its state; the tokens stay."""
    fusion = built(case)
    text, images = _text(case, fusion), _images(case, fusion)

    def read(fusion: Any) -> Any:
        made = _fused(case, fusion, text, images)
        return torch.cat([made.x[text.mask].flatten(), made.cls.flatten()])

    check_sound(case, (text, images), read, "fuse")


def reads_the_picture(case: Case) -> None:
    """Another picture gives other states."""
    fusion = built(case).eval()
    text, images = _text(case, fusion), _images(case, fusion)
    with torch.no_grad():
        plain = _fused(case, fusion, text, images)
        other = _fused(case, fusion, text, [replace(each, x=each.x.flip(2)) for each in images])
    fix = "let the text attend to what `prepare` made of the pictures"
    case.demand(not near(plain.x, other.x), "gives the same states for another picture", fix, "fuse")


def fusing_ignores_padding(case: Case) -> None:
    """Padding of texts and of pictures changes no state."""
    fusion = built(case).eval()
    with torch.no_grad():
        text, images = _text(case, fusion), _images(case, fusion)
        plain = _fused(case, fusion, text, images)
        padded = _fused(case, fusion, _text(case, fusion, pad=2), _images(case, fusion, pad=3))
    same = near(padded.x[:, :LENGTH][text.mask], plain.x[text.mask]) and near(padded.cls, plain.cls)
    fix = "hide what the masks of both sides call padding: True is real"
    case.demand(same, "gives other states where texts or pictures are padded further", fix, "fuse")


def picks_rows(case: Case) -> None:
    """`row_of_image`, and pictures gathered beforehand, are the pictures that they name; one row alone is the same."""
    fusion = built(case).eval()
    rows = torch.tensor([2, 0, 0])
    with torch.no_grad():
        text, images = _text(case, fusion), _images(case, fusion)
        picked = [each.gather(rows) for each in images]
        wanted = _fused(case, fusion, text, picked)
        named = _fused(case, fusion, text, images, rows)
        prepared = [fusion.prepare(each).gather(rows) for each in images]
        gathered = fusion.fuse(text, prepared)
        first = torch.tensor([1])
        alone = _fused(case, fusion, text.gather(first), [each.gather(first) for each in picked])
    fix = "text p reads row `row_of_image[p]` of every entry of `images`; what `prepare` gives has gather(rows)"
    real = text.mask
    for found, how in ((named, "by row_of_image"), (gathered, "by gather(rows)")):
        what = f"reads other pictures {how} than it is told: {furthest(found.x[real], wanted.x[real])}"
        case.demand(near(found.x[real], wanted.x[real]), what, fix, "fuse")
    same = near(alone.x[real[first]], wanted.x[first][real[first]])
    case.demand(same, "fuses a pair otherwise alone than among 3", "mix nothing over the batch", "fuse")


def keeps_positions(case: Case) -> None:
    """Kept positions are those of the whole result."""
    fusion = built(case).eval()
    kept = torch.tensor([[0, 2], [1, -1], [3, 0]])
    with torch.no_grad():
        text, images = _text(case, fusion), _images(case, fusion)
        whole, some = (_fused(case, fusion, text, images, positions_PK=each) for each in (None, kept))
    wanted = whole.x.gather(1, kept.clamp(min=0)[..., None].expand(-1, -1, fusion.width))
    shape = [ROWS, 2, fusion.width]
    fix = "under positions_PK give the states at those positions alone, [P, K, D], with a mask [P, K]; -1 is none"
    case.demand(list(some.x.shape) == shape, f"gives states {list(some.x.shape)}, not {shape}", fix, "fuse")
    real = kept >= 0
    case.demand(torch.equal(some.mask, real), "gives another mask than positions_PK >= 0", fix, "fuse")
    case.demand(near(some.x[real], wanted[real]), "gives other states under positions_PK", fix, "fuse")


def gives_maps(case: Case) -> None:
    """Where it says that it has cross-attention, every layer's map sums to one over the picture's tokens."""
    fusion = built(case).eval()
    if not fusion.cross_attention:
        return
    text, images = _text(case, fusion), _images(case, fusion)
    fix = "give the probabilities of the layer asked for, [P, H, L, N], or set cross_attention = False"
    for layer in range(fusion.layers):
        made = _fused(case, fusion, text, images, attention=layer)
        found = None if made.attention is None else list(made.attention.shape)
        right = found is not None and len(found) == 4 and [found[0], *found[2:]] == [ROWS, LENGTH, PLACES]
        case.demand(right, f"gives a map {found} of layer {layer}", fix, "fuse")
        assert made.attention is not None
        summed = made.attention.sum(-1)
        case.demand(
            near(summed, torch.ones_like(summed)), f"has a map of layer {layer} that sums to no one", fix, "fuse"
        )
        case.demand(made.attention.requires_grad, f"cuts the history of its map of layer {layer}", fix, "fuse")


CHECKS: tuple[Check, ...] = (
    is_described,
    is_a_fusion,
    gives_states_of_the_texts,
    fused_numbers_are_sound,
    reads_the_picture,
    fusing_ignores_padding,
    picks_rows,
    keeps_positions,
    gives_maps,
    does_no_work_at_import,
)


def check_fusion(part: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Check a fusion against all that fusions promise.

    Args:
        part: its registered name, or its class.
        options: for its constructor; usual ones (`width`, `layers`, `heads`) are small where none are given.

    Raises:
        ContractError: the first promise that it breaks, and what to do.
    """
    run(CHECKS, Case.of("fusion", part, options))
