"""Step: one training step's values, each computed at most once, however many objectives ask.

Legend: B batch rows, P pairs, N image tokens, L text tokens, K kept positions, E joint size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from vlzoo.errors import VlzooError
from vlzoo.offers import Contrast
from vlzoo.step.draws import IGNORED, Draws
from vlzoo.step.negatives import Negatives, Similarity, negative_weights
from vlzoo.step.passes import Marked, Passes, mark
from vlzoo.step.plan import MASKED, SOFT, Plan
from vlzoo.types import Batch

if TYPE_CHECKING:
    from vlzoo.interfaces import Objective, TokenMask
    from vlzoo.models.assemble import Model
    from vlzoo.models.teacher import Teacher

T = TypeVar("T")
P = ParamSpec("P")


def _students(method: Callable[Concatenate[Passes, P], T]) -> Callable[Concatenate[Step, P], T]:
    """The student's method under a short name of the step."""

    @wraps(method)
    def short(self: Step, *args: P.args, **kwargs: P.kwargs) -> T:
        return method(self.student, *args, **kwargs)

    return short


class Step:
    """What an objective reads: the passes of the student and of the teacher, and what both share.

    `step.student` and `step.teacher` (None without one) answer to the same names. As most objectives read the student,
    `step.fused` is short for `step.student.fused`; so are `match`, `image`, `text`, `ids`, `prepared`, `image_embed`,
    `text_embed` and `model`.

    >>> step = Step(batch, system.model, plan=Plan().gather(system.named_objectives()))
    >>> step.fused(reads="cls").cls.shape, step.similarity.i2t.shape
    (torch.Size([4, 96]), torch.Size([4, 4]))

    Args:
        batch: the batch.
        model: the student.
        teacher: the momentum teacher, already updated; None where the recipe has none.
        draws: the step's randomness.
        plan: what the objectives asked for, and lend.
        alpha: the weight of the teacher's soft targets at this step.
        token_mask: what weighs the image tokens of the view `soft`.
        host: the batch before it was moved: what is drawn and counted of it waits for no device; None: `batch`.

    Attributes:
        texts: text views by name: those of the batch, and `masked` where somebody planned it.
        labels: the words behind the masked ones, `IGNORED` elsewhere, [B, L] int64; None where nothing is masked.
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
        host: Batch | None = None,
    ) -> None:
        self.batch, self.host, self.model, self.alpha = batch, host or batch, model, alpha
        self.draws, self.plan = draws or Draws(), plan or Plan()
        self.texts = dict(batch.texts)
        self.labels: Tensor | None = None
        self._host_labels: Tensor | None = None
        # A value first asked for under `no_grad` (to mine negatives, say) is read by losses too: it keeps its history.
        self._teacher, self._token_mask, self._grad = teacher, token_mask, torch.is_grad_enabled()
        self._weights: dict[str, tuple[str, Tensor]] = {}
        self._kept: dict[str, Any] = {}
        self._kept_by_student: dict[Any, Any] = {}
        self._kept_by_teacher: dict[Any, Any] = {}
        if self.plan.mask_probability is not None:
            self._mask_text(self.plan.mask_probability)

    fused = _students(Passes.fused)
    match = _students(Passes.match)
    image = _students(Passes.image)
    text = _students(Passes.text)
    ids = _students(Passes.ids)
    prepared = _students(Passes.prepared)
    image_embed = _students(Passes.image_embed)
    text_embed = _students(Passes.text_embed)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def student(self) -> Passes:
        """The passes of the model that is trained."""
        # Made anew each time: a step that held what holds it would outlive its last reader, with all its tensors.
        return Passes(self, self._kept_by_student, self.model, grad=self._grad)

    @property
    def teacher(self) -> Passes | None:
        """The passes of the momentum teacher, without history; None where the recipe has none."""
        if self._teacher is None:
            return None
        return Passes(self, self._kept_by_teacher, self._teacher.model, grad=False, teacher=self._teacher)

    @property
    def similarity(self) -> Similarity:
        """Student against the batch's keys, as the contrast compares them, [B, B] each.

        Raises:
            VlzooError: no objective offers `contrast`.
        """
        return self._once("similarity", self._similarity)

    @property
    def keys(self) -> tuple[Tensor, Tensor]:
        """Image and text features that the batch is compared with, [B, E] each: the teacher's, else the student's."""
        source = self.teacher or self.student
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

        A row whose every other row shows the same picture draws uniformly among them. Where no objective offers
        `contrast`, embeddings say nothing: every other picture has the same chance.
        """
        return self._once("negatives", self._mine)

    @property
    def masked(self) -> Tensor:
        """Which tokens of the view `masked` are to be predicted, [B, L] bool.

        Raises:
            VlzooError: no words are masked, because nobody planned it.
        """
        if self.labels is None:
            raise VlzooError("no words are masked in this step", fix="say `plan.mask_text()` in the objective's `plan`")
        return self.labels != IGNORED

    @property
    def masked_words(self) -> Marked:
        """Where the words of the view `masked` are that are to be predicted.

        Raises:
            VlzooError: no words are masked.
        """
        return self._once("masked_words", self._masked_words)

    @property
    def image_weights(self) -> Tensor:
        """The token mask's weights of the image tokens, [B, N] in [0, 1], without autograd history.

        Raises:
            VlzooError: the recipe has no token mask.
        """
        mask = self._token_mask
        if mask is None:
            raise VlzooError("this step has no token mask", fix="give the recipe one: `token_mask: gradcam`")
        return self._once("image_weights", lambda: mask(self).detach())

    def weigh_image(self, view: str, weight_BN: Tensor, *, of: str = "image") -> None:
        """Make `view` the picture `of` with its tokens scaled by `weight_BN` [B, N]; costs no projection."""
        self._weights[view] = (of, weight_BN)

    def weighted(self, view: str) -> tuple[str, Tensor] | None:
        """The view that `view` is made of and its tokens' weights [B, N]; None where it is a picture of the batch."""
        if view == SOFT and SOFT not in self._weights:
            self.weigh_image(SOFT, self.image_weights)
        return self._weights.get(view)

    def offered(self, name: str) -> Any:
        """What an objective of the stream lends (`vlzoo.offers`): `match`, `contrast`, `mlm`, ...

        Raises:
            VlzooError: nobody lends it, or several do.
        """
        return self.plan.offers.one(name)

    def twin(self, objective: Objective, head: str) -> nn.Module:
        """The teacher's copy of an objective's head, which the objective named in `mirrored`.

        Raises:
            VlzooError: there is no teacher, or it has no such copy.
        """
        if self._teacher is None:
            raise VlzooError("this step has no momentum teacher", fix="give the recipe a `teacher:` section")
        return self._teacher.twin(objective, head)

    def _once(self, key: str, compute: Callable[[], T]) -> T:
        if key not in self._kept:
            with torch.set_grad_enabled(self._grad):
                self._kept[key] = compute()
        return self._kept[key]

    def _similarity(self) -> Similarity:
        image_key_BE, text_key_BE = self.keys
        contrast: Contrast = self.offered("contrast")
        i2t_BB, t2i_BB = self.image_embed() @ text_key_BE.T, self.text_embed() @ image_key_BE.T
        return Similarity(contrast.logits(i2t_BB), contrast.logits(t2i_BB))

    def _mine(self) -> Negatives:
        with torch.no_grad():
            same_BB = self.same_image
            level_BB = torch.zeros(same_BB.shape, device=same_BB.device)
            alike = self.similarity if "contrast" in self.plan.offers else Similarity(level_BB, level_BB)
            t2i_B = self._mine_rows("image-for-text", alike.t2i, same_BB)
            i2t_B = self._mine_rows("text-for-image", alike.i2t, same_BB.T)
            own_B = torch.arange(len(self), device=t2i_B.device)
        return Negatives(t2i_B, i2t_B, torch.cat([own_B, i2t_B]), torch.cat([t2i_B, own_B]))

    def _mine_rows(self, purpose: str, logit_BB: Tensor, same_BB: Tensor) -> Tensor:
        return self.draws.choose(purpose, self.batch.key, negative_weights(logit_BB, same_BB), self.batch.key)

    def _mask_text(self, probability: float) -> None:
        text, labels_BL = self.draws.corrupt(
            self.host.texts["text"],
            self.host.key,
            probability=probability,
            vocab=self.model.vocab,
            mask_id=self.model.special["mask"],
        )
        device = self.batch.key.device
        self._host_labels = labels_BL
        self.texts[MASKED], self.labels = text.to(device), labels_BL.to(device, non_blocking=True)

    def _masked_words(self) -> Marked:
        device = self.masked.device
        assert self._host_labels is not None  # where words are masked
        return mark(self._host_labels.numpy(force=True) != IGNORED, device)
