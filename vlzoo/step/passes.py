"""One model's passes over one batch, each computed at most once.

Legend: R batch rows, P pairs, N image tokens, L text tokens, K kept positions, D width, E joint size.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.batch import Text
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.models.compiling import as_written
from vlzoo.models.given import checked_fused, checked_tokens
from vlzoo.offers import Match
from vlzoo.step.joined import Group, Reader, among, fuse_joined, group_of
from vlzoo.step.lengths import by_length, encode_by_length, lengths_of
from vlzoo.step.memo import Memo
from vlzoo.step.pictures import Pictures
from vlzoo.step.plan import MASKED, Need, Pairs, PassKey, Pattern, Reads, pass_key
from vlzoo.step.shared import Shared
from vlzoo.types import Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Prepared
    from vlzoo.models.assemble import Model
    from vlzoo.models.teacher import Teacher


GIVEN = (("positions", "positions_BL"), ("segments", "segments_BL"), ("boxes", "boxes_BL4"))
"""What a `Text` may say of its tokens, and the argument of a text encoder that takes it."""


class Passes:
    """What one model, student or teacher, makes of a step's batch; each value is computed once, when first asked for.

    >>> step.student.fused(reads="cls").cls.shape  # each text has read its own picture
    torch.Size([4, 96])
    >>> step.student.match("negative").shape  # does a mined pair belong together?
    torch.Size([8, 2])

    Args:
        step: what student and teacher share.
        memo: this model's values so far; they live as long as the step.
        model: the model.
        teacher: whose model it is; None: the student's. A teacher reads its own main views, keeps only the attention
            maps it is asked for itself, and encodes texts one view at a time.
    """

    def __init__(self, step: Shared, memo: Memo, model: Model, *, teacher: Teacher | None = None) -> None:
        self.model, plan = model, step.plan
        self.main_text, self.main_image = plan.main_text, plan.main_image
        if teacher is not None:
            self.main_text = plan.main_text if plan.teacher_text == "" else plan.teacher_text
            self.main_image = plan.main_image if plan.teacher_image is None else plan.teacher_image
        self._step, self._once, self._teacher = step, memo, teacher
        self._pictures = Pictures(step, model, memo)

    def image(self, view: str = "") -> Tokens:
        """Image tokens of a view, x [R, N, D]; an empty name is the main view.

        The encoder sees the views of one picture that were planned together, and the picture once.
        """
        name = view or self.main_view
        return self._once(("image", name), lambda: self._pictures.tokens(name))

    def text(self, view: str = "", pattern: Pattern = "both") -> Tokens:
        """Text tokens of a view, x [R, L, D]; an empty name is the main view.

        The views that planned passes of a student read go through the encoder as one batch: its weights' gradients
        are then made once, the word table's first of all: [V, D] for each time it is read.
        """
        name, together = view or self.main_words, self._step.plan.texts()
        if pattern == "both" and self._teacher is None and name in together and self._alike(together):
            return self._once(("texts", together), lambda: self._encoded(together))[name]
        return self._once(("text", name, pattern), lambda: self._encoded((name,), pattern)[name])

    def words(self, view: str, _pattern: Pattern = "both") -> Tokens:
        """Words of a view before any layer of the text encoder, for a fusion that begins there, x [R, L, D]."""
        return self._once(("words", view), lambda: self._encoded((view,), embedded=True)[view])

    def ids(self, view: str = "") -> Text:
        """Token ids of a text view.

        Raises:
            VlzooError: there is no such view.
        """
        name = view or self.main_words
        if name not in self._step.texts:
            asks = "say `plan.mask_text()` in the objective's `plan`"
            fix = asks if name == MASKED else did_you_mean(name, self._step.texts, what="texts")
            raise VlzooError(f"the batch has no text {name!r}", fix=fix)
        return self._step.texts[name]

    def prepared(self, view: str = "") -> Prepared:
        """What the fusion made of a view's tokens, once for every pass that reads them.

        A text view may be read as a picture is: tags follow their picture so.
        """
        name = view or self.main_view
        if name in self._step.texts:
            return self._once(("prepared", name), lambda: self.model.fusion.prepare_words(self.text(name)))
        return self._once(("prepared", name), lambda: self._pictures.prepared(name, self.image))

    def image_embed(self, view: str = "") -> Tensor:
        """Unit vectors of a view's pictures in the joint space, [R, E]."""
        name = view or self.main_view
        return self._once(("image_embed", name), lambda: self.model.embed_image(self.image(name)))

    def text_embed(self, view: str = "") -> Tensor:
        """Unit vectors of a view's texts in the joint space, [R, E]."""
        name = view or self.main_words
        return self._once(("text_embed", name), lambda: self.model.embed_text(self.text(name)))

    def fused(
        self,
        pairs: Pairs = "positive",
        *,
        image: str | tuple[str, ...] = "",
        text: str | None = "",
        pattern: Pattern = "both",
        reads: Reads = "all",
        attention: int | None = None,
        image_states: bool = False,
    ) -> Fused:
        """States of texts that have read their pictures.

        Who says what it reads lets the last layer compute no more; who planned it, too, shares the pass with others.
        A pass that holds more than was asked for may be given.

        Args:
            pairs: `positive`: each text with its own picture, R rows; `negative`: the 2R mined pairs; `wrong_text`:
                of these the R pictures with the text mined for each.
            image: image view, or one view for each picture a text reads (a text view's name: words are read as a
                picture is); empty: the main ones; `()`: none. `soft` is the main one with its tokens weighed by the
                recipe's token mask.
            text: text view; empty: the main one; None: pictures alone.
            pattern: which words a word reads: `both`, `causal`, or `prefix`.
            reads: which text states are read: `cls` (the first), `masked` (the first and those of masked words), `all`.
            attention: the fusion layer, counted from 0, whose attention map is read; None: none.
            image_states: whether the image states are read, `Fused.image`.
        """
        key = pass_key(image=image, text=text, pairs=pairs, pattern=pattern)
        key = key.resolved(self.main_image, self.main_text)
        return self._pass(key, self._widest_need(key, Need(reads, attention, image_states)))

    def match(self, pairs: Pairs = "positive", *, attention: int | None = None, **views: Any) -> Tensor:
        """Matching logits of a pass (named as in `fused`) by the head that an objective offers as `match`, [P, 2].

        A teacher's are by its copy of the head. With `attention`, they are those of the pass that keeps this map, so
        that a gradient of one by the other can be taken.

        Raises:
            VlzooError: no objective has one, or several do; or the teacher has no copy of it.
        """
        head: Match = self._step.offered("match")
        if self._teacher is not None:
            head = self._teacher.copy_of(head)
        key = pass_key(pairs=pairs, **views).resolved(self.main_image, self.main_text)
        need = self._widest_need(key, Need("cls", attention))
        return self._once(("match", key, need), lambda: head(self._pass(key, need).cls))

    @property
    def main_view(self) -> str:
        """The first of the main image views.

        Raises:
            VlzooError: the stream has no pictures.
        """
        if not self.main_image:
            raise VlzooError("this stream has no pictures", fix="leave out the objectives that read one")
        return self.main_image[0]

    @property
    def main_words(self) -> str:
        """The main text view.

        Raises:
            VlzooError: the stream has no texts.
        """
        if self.main_text is None:
            raise VlzooError("this stream has no texts", fix="leave out the objectives that read one")
        return self.main_text

    def _widest_need(self, key: PassKey, asked: Need) -> Need:
        """What the pass that serves `asked` holds: what was planned, or a pass made before, or no more than asked."""
        planned = self._step.plan.need_of(key)
        if planned is not None and self._teacher is not None:
            planned = planned._replace(attention=None)
        made = (kept[2] for kept in self._once.values if kept[:2] == ("fused", key))
        # The planned one first, though a wider pass may be there: nobody's value moves by a bit with who ran before.
        return next((need for need in (planned, *made) if need is not None and need.covers(asked)), asked)

    def _alike(self, views: tuple[str, ...]) -> bool:
        texts = [self._step.texts.get(view) for view in views]
        # Of equal shape, and all with positions, kinds and boxes of their own or none: what some lacked would be lost.
        forms = {text and (text.ids.shape, *(getattr(text, name) is None for name, _ in GIVEN)) for text in texts}
        return None not in forms and len(forms) == 1

    def _encoded(self, views: tuple[str, ...], pattern: Pattern = "both", embedded: bool = False) -> dict[str, Tokens]:
        texts = [self.ids(view) for view in views]
        given = {argument: [getattr(text, name) for text in texts] for name, argument in GIVEN}
        more = {name: torch.cat(held) for name, held in given.items() if all(h is not None for h in held)}
        if pattern != "both":
            more["among_BLL"] = among(texts[0], pattern)
        ids, mask = torch.cat([text.ids for text in texts]), torch.cat([text.mask for text in texts])
        encoder = self.model.text_encoder
        if self._step.plan.joins_passes and not more and not embedded:
            length_P = np.concatenate([lengths_of(self._step.host_text(view).mask) for view in views])
            tokens = encode_by_length(encoder, ids, mask, by_length(length_P, ids.device))
        else:
            tokens = (encoder.embedded if embedded else encoder)(ids, mask, **more)  # type: ignore[operator]
        return dict(zip(views, checked_tokens(encoder, tokens, len(ids)).chunk(len(views)), strict=True))

    def _pass(self, key: PassKey, need: Need) -> Fused:
        return self._once(("fused", key, need), lambda: self._fuse(key, need))

    def _fuse(self, key: PassKey, need: Need) -> Fused:
        group = self._joined(key, need)
        if len(group) > 1:
            return self._once(("joined", group), lambda: self._fuse_joined(group))[key]
        reader = self._reader(key, need)
        if need.image_states:
            reader.more["image_states"] = True  # named only where it is read: a stranger's fusion need not know it
        fusion = self.model.fusion
        with as_written(self.model, need.attention is not None):
            made = fusion.fuse(reader.text, reader.images, reader.rows, attention=need.attention, **reader.more)
        return checked_fused(fusion, made)

    def _joined(self, key: PassKey, need: Need) -> Group:
        """The planned passes that are made as one with this one; none where they lie in several processes."""
        if self._teacher is not None or not 1 < self._step.columns.count == len(self._step.batch):
            return ()
        group = group_of(key, need, self._step.plan)
        return group if self._alike(tuple(dict.fromkeys(str(each.text) for each, _ in group))) else ()

    def _fuse_joined(self, group: Group) -> dict[PassKey, Fused]:
        length_P = np.concatenate([self._lengths(key) for key, _ in group])
        made = fuse_joined(self.model.fusion, [self._reader(key, need) for key, need in group], length_P)
        return dict(zip((key for key, _ in group), made, strict=True))

    def _lengths(self, key: PassKey) -> NDArray[np.int64]:
        """Tokens of each text of a pass, at most, as the host knows them."""
        own = lengths_of(self._step.host_text(str(key.text)).mask)
        if key.pairs == "positive":
            return own
        rows, _ = self._step.negatives.rows(key.pairs)
        if rows.is_cpu:
            return own[rows.numpy()]
        # Which texts were mined, the device alone knows.
        return np.concatenate([own, np.full_like(own, self.ids(str(key.text)).ids.shape[1])])[-len(rows) :]

    def _reader(self, key: PassKey, need: Need) -> Reader:
        images, rows = [self.prepared(view) for view in key.images or ()], None
        read = self.words if self.model.fusion.reads_embedded else self.text
        text = None if key.text is None else read(key.text, key.pattern)
        more: dict[str, Any] = {"positions_PK": self._positions(key, need)}
        if key.pattern != "both" and key.text is not None:
            more["among_PLL"] = among(self.ids(key.text), key.pattern)
        if key.pairs != "positive":
            (texts, pictures), columns = self._step.negatives.rows(key.pairs), self._step.columns
            text = None if text is None else columns.fetch(text, texts)
            more = {name: self._mined(name, each, texts) for name, each in more.items()}
            if key.pairs == "negative" and columns.count == len(self._step.batch):
                rows = pictures
            elif key.pairs == "negative":  # some of the pictures mined were encoded by other processes
                images = [
                    self._once(("fetched", view), partial(self._fetched, view, pictures)) for view in key.images or ()
                ]
        return Reader(text, images, rows, more)

    def _mined(self, name: str, value: Tensor | None, columns_P: Tensor) -> Tensor | None:
        """What a pass is told of texts, of the texts mined."""
        if value is None:
            return None
        # What is shorter in another process is padded with zeros on the way, and no position is -1.
        none = -1 if name == "positions_PK" else 0
        fetched = self._step.columns.fetch(value - none if none else value, columns_P)
        return fetched + none if none else fetched

    def _fetched(self, view: str, columns_P: Tensor) -> Prepared:
        """A view, or words beside it, at columns [P] of all processes, made ready for the fusion."""
        columns, fusion = self._step.columns, self.model.fusion
        if view in self._step.texts:
            return fusion.prepare_words(columns.fetch(self.text(view), columns_P))
        return fusion.prepare(columns.fetch(self.image(view), columns_P))

    def _positions(self, key: PassKey, need: Need) -> Tensor | None:
        """The text positions that are read, [R, K] padded with -1; None means all."""
        if need.reads == "all" or key.text is None:
            return None
        if need.reads == "masked":
            return self._step.masked_words(key.text).positions
        text = self.ids(key.text)
        return torch.zeros(len(text.ids), 1, dtype=torch.long, device=text.ids.device)
