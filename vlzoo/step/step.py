"""Step: one training step's values, each computed at most once, however many objectives ask.

Legend: B batch rows, P pairs, N image tokens, L text tokens, E joint size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.step.draws import IGNORED, Draws
from vlzoo.step.passes import Passes
from vlzoo.step.plan import MASKED, SOFT, Pairs, Plan, pass_key
from vlzoo.types import Batch, Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Objective, Prepared, TokenMask
    from vlzoo.models.assemble import Model
    from vlzoo.models.teacher import Teacher


class Similarity(NamedTuple):
    """Scaled cosines of a batch: rows are the student's, columns the keys' (the teacher's where there is one).

    Attributes:
        i2t: each picture against every text, [B, B].
        t2i: each text against every picture, [B, B].
    """

    i2t: Tensor
    t2i: Tensor


@dataclass(frozen=True)
class Negatives:
    """Mined hard negatives (ALBEF, section 3.2).

    Attributes:
        image_for_text: for each text the row of a picture that is not its own, [B] int64.
        text_for_image: for each picture the row of a text that is not its own, [B] int64.
        text_rows: texts of the 2B negative pairs: own texts, then the texts mined, [2B].
        image_rows: pictures of the 2B negative pairs: the pictures mined, then the own ones, [2B].
    """

    image_for_text: Tensor
    text_for_image: Tensor
    text_rows: Tensor
    image_rows: Tensor


class Step(Passes):
    """What an objective reads: the student's passes, its teacher, and what both share.

    Args:
        batch: the batch.
        model: the student.
        teacher: the momentum teacher, already updated; None where the recipe has none.
        draws: the step's randomness.
        plan: what the objectives asked for.
        alpha: the weight of the teacher's soft targets at this step.
        token_mask: what weighs the image tokens of the view `soft`.
    """

    def __init__(
        self,
        batch: Batch,
        model: Model,
        *,
        teacher: Teacher | None = None,
        draws: Draws | None = None,
        plan: Plan | None = None,
        alpha: float = 0.0,
        token_mask: TokenMask | None = None,
    ) -> None:
        # A value first asked for under `no_grad` (to mine negatives, say) is read by losses too: it keeps its history.
        history = partial(torch.set_grad_enabled, torch.is_grad_enabled())
        super().__init__(model, batch, dict(batch.texts), plan or Plan(), history)
        self.draws, self.alpha = draws or Draws(), alpha
        self._teacher, self._token_mask = teacher, token_mask
        self.teacher = self._taught_by(teacher) if teacher else None
        self.labels: Tensor | None = None
        if self.plan.mask_probability is not None:
            self._mask_text(self.plan.mask_probability)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def temperature(self) -> Tensor:
        """The contrast's temperature, []."""
        return self.model.temperature

    @property
    def similarity(self) -> Similarity:
        """Student against the batch's keys, divided by the temperature, [B, B] each."""
        return self.once("similarity", self._similarity)

    @property
    def keys(self) -> tuple[Tensor, Tensor]:
        """Image and text features that the batch is compared with, [B, E] each: the teacher's, else the student's."""
        source = self.teacher or self
        return source.image_embed(), source.text_embed()

    @property
    def same_image(self) -> Tensor:
        """Which picture belongs to which text, [B, B] bool: the diagonal, and equal image ids."""
        ids = self.batch.image_id
        if ids is None:
            return torch.eye(len(self), dtype=torch.bool, device=self.batch.key.device)
        return ids[:, None] == ids[None, :]

    @property
    def negatives(self) -> Negatives:
        """One hard negative for each text and each picture, drawn by similarity; never of the same picture.

        A row whose every other row shows the same picture draws uniformly among them.
        """
        return self.once("negatives", self._mine)

    def text(self, view: str = "") -> Tokens:
        """Text tokens of a view, x [B, L, D]; the views that planned passes read go through the encoder as one batch.

        Its weights' gradients are then made once, the word table's first of all: [V, D] for each time it is read.
        """
        name, together = view or self.main_text, self.plan.texts()
        if name not in together or not self._alike(together):
            return super().text(name)
        return self.once(("texts", together), lambda: self._encoded(together))[name]

    def fused(self, pairs: Pairs = "positive", *, image: str | tuple[str, ...] = "image", text: str = "") -> Fused:
        """Text states that have read the picture.

        Args:
            pairs: `positive`: each text with its own picture, B rows; `negative`: the 2B mined pairs.
            image: image view, or one view for each picture a text reads; `soft` is `image` with its tokens weighed
                by the recipe's token mask.
            text: text view; empty: the main one.
        """
        key = self.settle(pass_key(image=image, text=text, pairs=pairs))
        rows = (None, None) if pairs == "positive" else (self.negatives.text_rows, self.negatives.image_rows)
        return self.run(key, *rows)

    def match(self, pairs: Pairs = "positive", *, image: str | tuple[str, ...] = "image", text: str = "") -> Tensor:
        """Matching logits of a pass (named as in `fused`) by the head that an objective offers as `match`, [P, 2].

        Raises:
            VlzooError: no objective has one, or several do.
        """
        key = self.settle(pass_key(image=image, text=text, pairs=pairs))
        head = self.plan.offered("match")
        return self.once(("match", key), lambda: head(self.fused(pairs, image=image, text=text).cls))

    @property
    def image_weights(self) -> Tensor:
        """The token mask's weights of the image tokens, [B, N] in [0, 1], without autograd history.

        Raises:
            VlzooError: the recipe has no token mask.
        """
        mask = self._token_mask
        if mask is None:
            raise VlzooError("this step has no token mask", fix="give the recipe one: `token_mask: gradcam`")
        return self.once("image_weights", lambda: mask(self).detach())

    def taught(self, *, image: str | tuple[str, ...] = "image", text: str = "") -> Fused:
        """The teacher's states of the positive pairs.

        Raises:
            VlzooError: the recipe has no teacher.
        """
        if self.teacher is None:
            raise VlzooError("this step has no momentum teacher", fix="give the recipe a `teacher:` section")
        return self.teacher.run(self.teacher.settle(pass_key(image=image, text=text)), None, None)

    def twin(self, objective: Objective, head: str) -> nn.Module:
        """The teacher's copy of an objective's head, which the objective named in `mirrored`.

        Raises:
            VlzooError: there is no teacher, or it has no such copy.
        """
        if self._teacher is None:
            raise VlzooError("this step has no momentum teacher", fix="give the recipe a `teacher:` section")
        return self._teacher.twin(objective, head)

    def _taught_by(self, teacher: Teacher) -> Passes:
        main = self.plan.teacher_text
        return Passes(teacher.model, self.batch, self.texts, self.plan, torch.no_grad, main_text=main, keeps_maps=False)

    def _prepare(self, view: str) -> Prepared:
        if view == SOFT and SOFT not in self._weights:
            self.weigh_image(SOFT, self.image_weights)
        return super()._prepare(view)

    def _alike(self, views: tuple[str, ...]) -> bool:
        return all(view in self.texts for view in views) and len({self.texts[v].ids.shape for v in views}) == 1

    def _encoded(self, views: tuple[str, ...]) -> dict[str, Tokens]:
        texts = [self.texts[view] for view in views]
        ids, mask = torch.cat([text.ids for text in texts]), torch.cat([text.mask for text in texts])
        return dict(zip(views, self.model.text_encoder(ids, mask).chunk(len(views)), strict=True))

    def _similarity(self) -> Similarity:
        image_key_BE, text_key_BE = self.keys
        scale = 1.0 / self.temperature
        return Similarity(self.image_embed() @ text_key_BE.T * scale, self.text_embed() @ image_key_BE.T * scale)

    def _mine(self) -> Negatives:
        with torch.no_grad():
            t2i_B = self._mined("image-for-text", self.similarity.t2i, self.same_image)
            i2t_B = self._mined("text-for-image", self.similarity.i2t, self.same_image.T)
            own_B = torch.arange(len(self), device=t2i_B.device)
        return Negatives(t2i_B, i2t_B, torch.cat([own_B, i2t_B]), torch.cat([t2i_B, own_B]))

    def _mined(self, purpose: str, logit_BB: Tensor, same_BB: Tensor) -> Tensor:
        # Masking before the softmax: after it, a confident model's legal weights all underflow to zero.
        weight_BB = torch.softmax(logit_BB.float().masked_fill(same_BB, -torch.inf), dim=1).nan_to_num(0.0)
        weight_BB = weight_BB.masked_fill(same_BB, 0.0)
        own_BB = torch.eye(len(self), dtype=torch.bool, device=logit_BB.device)
        lone_B1 = weight_BB.sum(1, keepdim=True) <= 0
        weight_BB = torch.where(lone_B1, (~own_BB).to(weight_BB.dtype), weight_BB)
        return self.draws.choose(purpose, self.batch.key, weight_BB, self.batch.key)

    def _mask_text(self, probability: float) -> None:
        special = self.model.special
        plain = self.texts["text"]
        masked, self.labels = self.draws.corrupt(
            plain, self.batch.key, probability=probability, vocab=self.model.vocab, mask_id=special["mask"]
        )
        self.texts[MASKED] = masked
        chosen_BL = self.labels != IGNORED
        for passes in filter(None, (self, self.teacher)):
            passes.share_masked(chosen_BL)
