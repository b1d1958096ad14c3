"""One model's passes over one batch, each computed at most once.

Legend: B batch rows, P pairs, N image tokens, L text tokens, K kept positions, T marked tokens, D width, E joint size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.offers import Match
from vlzoo.step.negatives import Negatives
from vlzoo.step.plan import MASKED, Need, Pairs, PassKey, Plan, Reads, pass_key
from vlzoo.types import KV, Batch, Fused, Text, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Prepared
    from vlzoo.models.assemble import Model
    from vlzoo.models.teacher import Teacher

T = TypeVar("T")


class Shared(Protocol):
    """What the student's and the teacher's passes have in common: their step, as they see it."""

    batch: Batch
    plan: Plan
    texts: dict[str, Text]

    @property
    def negatives(self) -> Negatives:
        """The pairs of the negative pass."""
        ...

    @property
    def masked_words(self) -> Marked:
        """The masked words of the view `masked`."""
        ...

    def weighted(self, view: str) -> tuple[str, Tensor] | None:
        """The view that `view` is made of and its tokens' weights [B, N]; None where it is a picture of the batch."""
        ...

    def offered(self, name: str) -> Any:
        """What an objective of the stream lends."""
        ...


class Passes:
    """What one model, student or teacher, makes of a step's batch; each value is computed once, when first asked for.

    >>> step.student.fused(reads="cls").cls.shape  # each text has read its own picture
    torch.Size([4, 96])
    >>> step.student.match("negative").shape  # does a mined pair belong together?
    torch.Size([8, 2])

    Args:
        step: what student and teacher share.
        kept: this model's values so far; they live as long as the step.
        model: the model.
        grad: whether values keep their history.
        teacher: whose model it is; None: the student's. A teacher reads its own main text view, keeps only the
            attention maps it is asked for itself, and encodes texts one view at a time.
    """

    def __init__(
        self, step: Shared, kept: dict[Any, Any], model: Model, *, grad: bool, teacher: Teacher | None = None
    ) -> None:
        self.model = model
        self.main_text = step.plan.main_text if teacher is None else step.plan.teacher_text or step.plan.main_text
        self._step, self._kept, self._grad, self._teacher = step, kept, grad, teacher

    def image(self, view: str = "image") -> Tokens:
        """Image tokens of a view, x [B, N, D]."""
        return self._once(("image", view), lambda: self.model.image_encoder(self._pixels(view)))

    def text(self, view: str = "") -> Tokens:
        """Text tokens of a view, x [B, L, D]; an empty name is the main view.

        The views that planned passes of a student read go through the encoder as one batch: its weights' gradients
        are then made once, the word table's first of all: [V, D] for each time it is read.
        """
        name, together = view or self.main_text, self._step.plan.texts()
        if self._teacher is None and name in together and self._alike(together):
            return self._once(("texts", together), lambda: self._encoded(together))[name]
        return self._once(("text", name), lambda: self._encoded((name,))[name])

    def ids(self, view: str = "") -> Text:
        """Token ids of a text view.

        Raises:
            VlzooError: there is no such view.
        """
        name = view or self.main_text
        if name not in self._step.texts:
            asks = "say `plan.mask_text()` in the objective's `plan`"
            fix = asks if name == MASKED else did_you_mean(name, self._step.texts, what="texts")
            raise VlzooError(f"the batch has no text {name!r}", fix=fix)
        return self._step.texts[name]

    def prepared(self, view: str = "image") -> Prepared:
        """What the fusion made of a view's image tokens, once for every pass that reads them."""
        return self._once(("prepared", view), lambda: self._prepare(view))

    def image_embed(self, view: str = "image") -> Tensor:
        """Unit vectors of a view's pictures in the joint space, [B, E]."""
        return self._once(("image_embed", view), lambda: self.model.embed_image(self.image(view)))

    def text_embed(self, view: str = "") -> Tensor:
        """Unit vectors of a view's texts in the joint space, [B, E]."""
        name = view or self.main_text
        return self._once(("text_embed", name), lambda: self.model.embed_text(self.text(name)))

    def fused(
        self,
        pairs: Pairs = "positive",
        *,
        image: str | tuple[str, ...] = "image",
        text: str = "",
        reads: Reads = "all",
        attention: int | None = None,
    ) -> Fused:
        """Text states that have read the picture.

        Who says what it reads lets the last layer compute no more; who planned it, too, shares the pass with others.
        A pass that holds more than was asked for may be given.

        Args:
            pairs: `positive`: each text with its own picture, B rows; `negative`: the 2B mined pairs.
            image: image view, or one view for each picture a text reads; `soft` is `image` with its tokens weighed
                by the recipe's token mask.
            text: text view; empty: the main one.
            reads: which states are read: `cls` (the first), `masked` (the first and those of masked words), `all`.
            attention: the fusion layer, counted from 0, whose attention map is read; None: none.
        """
        key = pass_key(image=image, text=text, pairs=pairs).resolved(self.main_text)
        return self._pass(key, self._widest_need(key, Need(reads, attention)))

    def match(
        self,
        pairs: Pairs = "positive",
        *,
        image: str | tuple[str, ...] = "image",
        text: str = "",
        attention: int | None = None,
    ) -> Tensor:
        """Matching logits of a pass (named as in `fused`) by the head that an objective offers as `match`, [P, 2].

        A teacher's are by its copy of the head. With `attention`, they are those of the pass that keeps this map, so
        that a gradient of one by the other can be taken.

        Raises:
            VlzooError: no objective has one, or several do; or the teacher has no copy of it.
        """
        head: Match = self._step.offered("match")
        if self._teacher is not None:
            head = self._teacher.copy_of(head)
        key = pass_key(image=image, text=text, pairs=pairs).resolved(self.main_text)
        need = self._widest_need(key, Need("cls", attention))
        return self._once(("match", key, need), lambda: head(self._pass(key, need).cls))

    def _once(self, key: Any, compute: Callable[[], T]) -> T:
        if key not in self._kept:
            with torch.set_grad_enabled(self._grad):
                self._kept[key] = compute()
        return self._kept[key]

    def _widest_need(self, key: PassKey, asked: Need) -> Need:
        """What the pass that serves `asked` holds: what was planned, or a pass made before, or no more than asked."""
        planned = self._step.plan.need_of(key)
        if planned is not None and self._teacher is not None:
            planned = planned._replace(attention=None)
        made = (kept[2] for kept in self._kept if kept[:2] == ("fused", key))
        # The planned one first, though a wider pass may be there: nobody's value moves by a bit with who ran before.
        return next((need for need in (planned, *made) if need is not None and need.covers(asked)), asked)

    def _pixels(self, view: str) -> Tensor:
        images = self._step.batch.images
        if view not in images:
            raise VlzooError(f"the batch has no picture {view!r}", fix=did_you_mean(view, images, what="pictures"))
        return images[view]

    def _alike(self, views: tuple[str, ...]) -> bool:
        texts = self._step.texts
        return all(view in texts for view in views) and len({texts[view].ids.shape for view in views}) == 1

    def _encoded(self, views: tuple[str, ...]) -> dict[str, Tokens]:
        texts = [self.ids(view) for view in views]
        ids, mask = torch.cat([text.ids for text in texts]), torch.cat([text.mask for text in texts])
        return dict(zip(views, self.model.text_encoder(ids, mask).chunk(len(views)), strict=True))

    def _prepare(self, view: str) -> Prepared:
        weighted = self._step.weighted(view)
        if weighted is None:
            return self.model.fusion.prepare(self.image(view))
        base = self.prepared(weighted[0])
        if not isinstance(base, KV) or not base.key_bias:
            raise VlzooError(
                "this fusion can't read weighted image tokens", fix="use cross_attention, or no token mask"
            )
        return base.scaled(weighted[1])

    def _pass(self, key: PassKey, need: Need) -> Fused:
        return self._once(("fused", key, need), lambda: self._fuse(key, need))

    def _fuse(self, key: PassKey, need: Need) -> Fused:
        mined = self._step.negatives if key.pairs == "negative" else None
        text, positions_BK = self.text(key.text), self._positions(key, need)
        if mined is not None:
            text = text.gather(mined.text_rows)
            positions_BK = None if positions_BK is None else positions_BK[mined.text_rows]
        return self.model.fusion.fuse(
            text,
            [self.prepared(view) for view in key.images],
            None if mined is None else mined.image_rows,
            attention=need.attention,
            positions_PK=positions_BK,
        )

    def _positions(self, key: PassKey, need: Need) -> Tensor | None:
        """The text positions that are read, [B, K] padded with -1; None means all."""
        if need.reads == "all":
            return None
        if need.reads == "masked":
            return self._step.masked_words.positions
        text = self.ids(key.text)
        return torch.zeros(len(text.ids), 1, dtype=torch.long, device=text.ids.device)


class Marked(NamedTuple):
    """Marked tokens of texts, row by row, as whole numbers: to read them, the host need not wait for the device.

    Attributes:
        rows: their rows, [T] int64.
        columns: their positions in the rows, [T] int64.
        places: their places among a row's `positions`, [T] int64.
        positions: the first position of each row and the marked ones, ascending, [B, K] int64, padded with -1.
    """

    rows: Tensor
    columns: Tensor
    places: Tensor
    positions: Tensor


def mark(chosen_BL: NDArray[np.bool_], device: torch.device) -> Marked:
    """The tokens at the True of each row; the first token of a row is never marked."""
    row_T, column_T = np.nonzero(chosen_BL)
    count_B = chosen_BL.sum(1)
    place_T = 1 + np.arange(len(row_T)) - np.repeat(count_B.cumsum() - count_B, count_B)
    positions_BK = np.full((len(chosen_BL), 1 + int(count_B.max(initial=0))), -1)
    positions_BK[:, 0], positions_BK[row_T, place_T] = 0, column_T
    held = (row_T, column_T, place_T, positions_BK)
    return Marked(*(torch.from_numpy(each.astype(np.int64)).to(device, non_blocking=True) for each in held))


def select(fused: Fused, marked: Marked) -> Tensor:
    """The states of `fused` at marked positions, row by row, [T, D].

    The pass must hold them: it was asked for with `reads="masked"`, or all positions.
    """
    return fused.x[marked.rows, marked.columns if fused.positions is None else marked.places]
