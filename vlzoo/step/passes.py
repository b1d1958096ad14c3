"""One model's passes over one batch, each computed at most once.

Legend: B batch rows, P pairs, N image tokens, L text tokens, K kept positions, D width, E joint size.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.step.plan import PassKey, Plan
from vlzoo.types import KV, Batch, Fused, Text, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Prepared
    from vlzoo.models.assemble import Model

T = TypeVar("T")


class Passes:
    """The memoised values of one model (student or teacher) on one batch.

    Args:
        model: the model.
        batch: the batch.
        texts: text views by name; shared between student and teacher, so that both read the same masked words.
        plan: what was asked for.
        context: entered around every computation: `torch.no_grad` for a teacher.
        main_text: the text view read where none is named.
        keeps_maps: whether passes keep the attention maps asked for; a teacher's would serve nobody.
    """

    def __init__(
        self,
        model: Model,
        batch: Batch,
        texts: dict[str, Text],
        plan: Plan,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        *,
        main_text: str = "",
        keeps_maps: bool = True,
    ) -> None:
        self.model, self.batch, self.texts, self.plan = model, batch, texts, plan
        self.main_text, self._context, self._keeps_maps = main_text or plan.main_text, context, keeps_maps
        self._memo: dict[Any, Any] = {}
        self._weights: dict[str, tuple[str, Tensor]] = {}

    def once(self, key: Any, compute: Callable[[], T]) -> T:
        """The value kept under `key`, computed the first time it is asked for."""
        if key not in self._memo:
            with self._context():
                self._memo[key] = compute()
        return self._memo[key]

    def image(self, view: str = "image") -> Tokens:
        """Image tokens of a view, x [B, N, D]."""
        return self.once(("image", view), lambda: self.model.image_encoder(self._pixels(view)))

    def text(self, view: str = "") -> Tokens:
        """Text tokens of a view, x [B, L, D]; an empty name is the main view."""
        name = view or self.main_text
        return self.once(("text", name), lambda: self.model.text_encoder(self.ids(name).ids, self.ids(name).mask))

    def ids(self, view: str = "") -> Text:
        """Token ids of a text view.

        Raises:
            VlzooError: there is no such view.
        """
        name = view or self.main_text
        if name not in self.texts:
            raise VlzooError(f"the batch has no text {name!r}", fix=did_you_mean(name, self.texts, what="texts"))
        return self.texts[name]

    def weigh_image(self, view: str, weight_BN: Tensor, *, of: str = "image") -> None:
        """Make `view` the picture `of` with its tokens scaled by `weight_BN` [B, N]; costs no projection."""
        self._weights[view] = (of, weight_BN)

    def prepared(self, view: str = "image") -> Prepared:
        """What the fusion made of a view's image tokens, once for every pass that reads them."""
        return self.once(("prepared", view), lambda: self._prepare(view))

    def image_embed(self, view: str = "image") -> Tensor:
        """Unit vectors of a view's pictures in the joint space, [B, E]."""
        return self.once(("image_embed", view), lambda: self.model.embed_image(self.image(view)))

    def text_embed(self, view: str = "") -> Tensor:
        """Unit vectors of a view's texts in the joint space, [B, E]."""
        name = view or self.main_text
        return self.once(("text_embed", name), lambda: self.model.embed_text(self.text(name)))

    def settle(self, key: PassKey) -> PassKey:
        """The pass's name with the main text view written out."""
        return self.plan.settle(key, self.main_text)

    def run(self, key: PassKey, text_rows: Tensor | None, image_rows: Tensor | None) -> Fused:
        """One fusion pass over the rows named; None: all rows in order. Memoised by `key`."""
        return self.once(key, lambda: self._fuse(key, text_rows, image_rows))

    def _pixels(self, view: str) -> Tensor:
        if view not in self.batch.images:
            known = [*self.batch.images, *self._weights]
            raise VlzooError(f"the batch has no picture {view!r}", fix=did_you_mean(view, known, what="pictures"))
        return self.batch.images[view]

    def _prepare(self, view: str) -> Prepared:
        if view not in self._weights:
            return self.model.fusion.prepare(self.image(view))
        of, weight_BN = self._weights[view]
        base = self.prepared(of)
        if not isinstance(base, KV) or not base.key_bias:
            raise VlzooError(
                "this fusion can't read weighted image tokens", fix="use cross_attention, or no token mask"
            )
        return base.scaled(weight_BN)

    def _fuse(self, key: PassKey, text_rows: Tensor | None, image_rows: Tensor | None) -> Fused:
        text, positions_BK = self.text(key.text), self._positions(key)
        if text_rows is not None:
            text = text.gather(text_rows)
            positions_BK = None if positions_BK is None else positions_BK[text_rows]
        return self.model.fusion.fuse(
            text,
            [self.prepared(view) for view in key.images],
            image_rows,
            attention=self.plan.map_of(key) if self._keeps_maps else None,
            positions_PK=positions_BK,
        )

    def _positions(self, key: PassKey) -> Tensor | None:
        """The text positions somebody reads of a pass, [B, K] padded with -1; None means all."""
        reads = self.plan.reads_of(key)
        if "all" in reads:
            return None
        text = self.ids(key.text)
        cls_B1 = torch.zeros(len(text.ids), 1, dtype=torch.long, device=text.ids.device)
        if "masked" not in reads:
            return cls_B1
        return torch.cat([cls_B1, kept_positions(self.batch_masked())], dim=1)

    def batch_masked(self) -> Tensor:
        """Which tokens were masked, [B, L] bool; set by the step when it makes the masked view."""
        return self._memo["masked_BL"]

    def share_masked(self, masked_BL: Tensor) -> None:
        """Say which tokens were masked, [B, L] bool."""
        self._memo["masked_BL"] = masked_BL


def kept_positions(chosen_BL: Tensor) -> Tensor:
    """The positions of True in each row, ascending, [B, K] int64, padded with -1; K is the most any row has."""
    count_B = chosen_BL.sum(1)
    most = int(count_B.max()) if len(count_B) else 0
    order_BL = torch.argsort((~chosen_BL).long(), dim=1, stable=True)[:, :most]
    filled_BK = torch.arange(most, device=chosen_BL.device)[None] < count_B[:, None]
    return torch.where(filled_BK, order_BL, torch.full_like(order_BL, -1))


def select(fused: Fused, chosen_BL: Tensor) -> Tensor:
    """The states of `fused` at the positions marked in `chosen_BL` [B, L], row by row, [T, D].

    The pass must have computed them: it was planned with `read("masked")` or reads all positions.
    """
    if fused.positions is None:
        return fused.x[chosen_BL]
    wanted_BK = chosen_BL.gather(1, fused.positions.clamp(min=0)) & (fused.positions >= 0)
    return fused.x[wanted_BK]
