"""The picture side of a model's passes: what its encoder sees of a batch's pictures, and what each view reads of that.

Legend: R batch rows, M pictures, N image tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vlzoo.batch import View
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.models.given import checked_tokens
from vlzoo.step.memo import Memo
from vlzoo.step.shared import Shared
from vlzoo.types import Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Prepared
    from vlzoo.models.assemble import Model


@dataclass(frozen=True)
class Source:
    """Where a view's tokens come from, and what remains to be done with them.

    Attributes:
        name: of the value that keeps the tokens: equal for views of the same ones.
        tokens: as the encoder gave them, of whole pictures or of the view alone.
        rest: what makes the view's tokens of them.
    """

    name: tuple[str, str]
    tokens: Tokens
    rest: View


class Pictures:
    """What one model makes of a step's pictures. They are encoded and projected once, whatever the number of views.

    Args:
        step: says which pictures and views there are.
        model: the model.
        memo: the model's values so far.
    """

    def __init__(self, step: Shared, model: Model, memo: Memo) -> None:
        self._step, self._model, self._once = step, model, memo

    def tokens(self, name: str) -> Tokens:
        """Each row's tokens in a view, x [R, N, D]."""
        source = self._source(name)
        return source.rest.tokens(source.tokens)

    def prepared(self, name: str, tokens: Callable[[str], Tokens]) -> Prepared:
        """What the fusion makes of a view: of the keys and values of whole pictures where that can be.

        Args:
            name: the view.
            tokens: gives a view's tokens, for fusions that must prepare them anew.
        """
        source, fusion = self._source(name), self._model.fusion
        whole = self._once(("prepared of", source.name), lambda: fusion.prepare(source.tokens))
        seen: Prepared | None = source.rest.prepared(whole, source.tokens)
        return fusion.prepare(tokens(name)) if seen is None else seen

    def _source(self, name: str) -> Source:
        view, encoder = self._step.view(name), self._model.image_encoder
        if view.cells is None:
            return Source(("whole", view.picture), self._look(view.picture)[0], view)
        own = self._own(name, view)
        if own is not None:
            return Source(("own", own[0]), own[1], View(view.picture, weights=view.weights, pool=view.pool))
        whole = self._look(view.picture)[0]
        pool = encoder.pool(whole, view) if view.pool is None else view.pool
        return Source(("whole", view.picture), whole, replace(view, pool=pool))

    def _look(self, picture: str) -> tuple[Tokens, Mapping[str, Tokens]]:
        """What the encoder makes of pictures, and of the parts of them that somebody planned to read."""
        known = self._step.batch.views
        planned = {name: known[name] for name in self._step.plan.images() if name in known}
        parts = {n: view for n, view in planned.items() if view.picture == picture and view.cells is not None}
        return self._once(("look", picture), lambda: self._encode(picture, parts))

    def _own(self, name: str, view: View) -> tuple[str, Tokens] | None:
        """A view's tokens where the encoder looks at parts of pictures by themselves, and the name they go by."""
        planned, known = self._look(view.picture)[1], self._step.batch.views
        for part, tokens in planned.items():
            if part == name or (known[part].rows is view.rows and known[part].cells is view.cells):
                return part, tokens
        if not self._model.image_encoder.looks_at_parts:
            return None
        # Nobody planned it: the encoder looks once more.
        return name, self._once(("look at", name), lambda: self._encode(view.picture, {name: view}))[1][name]

    def _encode(self, picture: str, parts: Mapping[str, View]) -> tuple[Tokens, Mapping[str, Tokens]]:
        images = self._step.batch.images
        if picture not in images:
            fix = did_you_mean(picture, images, what="pictures")
            raise VlzooError(f"the batch has no picture {picture!r}", fix=fix)
        encoder = self._model.image_encoder
        whole, own = encoder.look(images[picture], parts)
        return checked_tokens(encoder, whole), {name: checked_tokens(encoder, each) for name, each in own.items()}
