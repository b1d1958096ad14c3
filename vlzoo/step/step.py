"""Step: one training step's values, each computed at most once, however many objectives ask.

Legend: B batch rows, C columns (rows of all processes), N of them those that negatives are drawn from, L text tokens,
E joint size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from vlzoo.batch import Batch, Text, View
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.offers import Contrast
from vlzoo.step.columns import Columns
from vlzoo.step.in_parts import in_parts
from vlzoo.step.marked import Marked, mark
from vlzoo.step.memo import Memo
from vlzoo.step.negatives import Negatives, Similarity
from vlzoo.step.passes import Passes
from vlzoo.step.plan import MASKED, PassKey, Plan
from vlzoo.text.masking import Drawing, drawing_name

if TYPE_CHECKING:
    from vlzoo.interfaces import Objective
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
        host: the batch before it was moved: what is drawn and counted of it waits for no device; None: `batch`.
        columns: the rows of all processes that make this step together; None: this one alone makes it.
        parts: in how many parts the model computes the batch, one after the other (`in_parts`).

    Attributes:
        columns: the rows of all processes, of which this one's are some.
        texts: text views by name: those of the batch, and those with masked words that were planned and that the batch
            does not hold yet.
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
        host: Batch | None = None,
        columns: Columns | None = None,
        parts: int = 1,
    ) -> None:
        self.batch, self.host, self.alpha, self._parts = batch, host or batch, alpha, parts
        self.model = in_parts(model, parts)
        self.draws, self.plan = draws or Draws(), plan or Plan()
        self.columns = columns or Columns(len(batch))
        self._teacher, grad = teacher, torch.is_grad_enabled()
        self._once, self._by_student, self._by_teacher = Memo(grad), Memo(grad), Memo(grad=False)
        self._host_texts = dict(self.host.texts) | self._masked_texts()
        there = {view: text.to(batch.key.device) for view, text in self._host_texts.items() if view not in batch.texts}
        self.texts = {**batch.texts, **there}

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
        return Passes(self, self._by_student, self.model)

    @property
    def teacher(self) -> Passes | None:
        """The passes of the momentum teacher, without history; None where the recipe has none."""
        if self._teacher is None:
            return None
        return Passes(self, self._by_teacher, in_parts(self._teacher.model, self._parts), teacher=self._teacher)

    @property
    def made(self) -> tuple[PassKey, ...]:
        """The fusion passes that the student has made so far, in their order."""
        return tuple(dict.fromkeys(kept[1] for kept in self._by_student.values if kept[0] == "fused"))

    @property
    def similarity(self) -> Similarity:
        """Student against the keys of all processes, as the contrast compares them, [B, C] each.

        Raises:
            VlzooError: no objective offers `contrast`.
        """
        return self._once("similarity", self._similarity)

    @property
    def keys(self) -> tuple[Tensor, Tensor]:
        """Image and text features that rows are compared with, [C, E] each: the teacher's, else the student's."""
        return self._once("keys", self._gather_keys)

    @property
    def alike(self) -> Tensor:
        """Which rows (columns, too) are never each other's negatives, [B, C] bool.

        A row and itself, rows that show the same (`Batch.image_id`) and rows that say the same (`Batch.text_id`).
        """
        return self._once("alike", lambda: self._equal("image_id") | self._equal("text_id"))

    @property
    def negatives(self) -> Negatives:
        """One hard negative for each text and each picture, drawn by similarity; never one that is `alike`.

        A row whose every other row is alike draws uniformly among them. Where no objective offers `contrast`,
        embeddings say nothing: all that is not alike has the same chance.
        """
        return self._once("negatives", self._mine)

    def masked_words(self, view: str = MASKED) -> Marked:
        """Where the words of a text view are that are to be predicted.

        Raises:
            VlzooError: no words are masked in it.
        """
        return self._once(("masked words", view), lambda: self._find_masked(view))

    def view(self, name: str = "") -> View:
        """An image view by its name: the batch's, one that was planned, or pictures as they are; empty: the main one.

        Raises:
            VlzooError: there are not as many pictures as rows, and nothing says which row reads which.
        """
        name = name or self.student.main_view
        if name in self.batch.views:
            return self.batch.views[name]
        if name in self.plan.views:
            return self._once(("view", name), lambda: self.plan.views[name](self))
        return self._whole_view(name)

    def host_text(self, view: str) -> Text:
        """A text view on the host: to read it, nothing waits for the device."""
        return self._host_texts[view]

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

    def _gather_keys(self) -> tuple[Tensor, Tensor]:
        source = self.teacher or self.student
        return self.columns.gather(source.image_embed()), self.columns.gather(source.text_embed())

    def _similarity(self) -> Similarity:
        image_key_CE, text_key_CE = self.keys
        contrast: Contrast = self.offered("contrast")
        i2t_BC, t2i_BC = self.image_embed() @ text_key_CE.T, self.text_embed() @ image_key_CE.T
        return Similarity(contrast.logits(i2t_BC), contrast.logits(t2i_BC))

    def _equal(self, name: str) -> Tensor:
        """The diagonal, and equal ids of one sense, [B, C] bool."""
        own_B = self.columns.own(self.batch.key.device)
        ids_B = getattr(self.batch, name)
        if ids_B is None:
            return own_B[:, None] == torch.arange(self.columns.count, device=own_B.device)[None]
        return ids_B[:, None] == self.columns.gather(ids_B)[None]

    def _mine(self) -> Negatives:
        with torch.no_grad():
            level_BC = torch.zeros(self.alike.shape, device=self.alike.device)
            near = self.similarity if "contrast" in self.plan.offers else Similarity(level_BC, level_BC)
            t2i_B = self._mine_rows("image-for-text", near.t2i)
            i2t_B = self._mine_rows("text-for-image", near.i2t)
            own_B = self.columns.own(t2i_B.device)
        return Negatives(t2i_B, i2t_B, torch.cat([own_B, i2t_B]), torch.cat([t2i_B, own_B]))

    def _mine_rows(self, purpose: str, logit_BC: Tensor) -> Tensor:
        key_B = self.batch.key
        column_C = self._once("column keys", lambda: self.columns.gather(key_B))
        near, first = self.columns.near, self.columns.near.start
        weight_BN = self.plan.mining(logit_BC[:, near], self.alike[:, near], self.columns.offset - first)
        return first + self.draws.choose(purpose, key_B, weight_BN, column_C[near])

    def _masked_texts(self) -> dict[str, Text]:
        """The text views made of others that no data worker has made, on the host."""
        made: dict[str, Text] = {}
        for view, (of, how) in self.plan.maskings.items():
            if view not in self.host.texts:
                there = {**self.host.texts, **made}  # one may be made of another
                if of not in there:
                    fix = did_you_mean(of, self.host.texts, what="texts")
                    raise VlzooError(f"words of the text {of!r} are to be {how.aim}, and the batch has none", fix=fix)
                ids = self.model.vocab, self.model.special["mask"]
                about = Drawing(self.draws, self.host.key, drawing_name(view), *ids)
                made[view] = how(there[of], about)
        return made

    def _find_masked(self, view: str) -> Marked:
        labels = self._host_texts[view].labels if view in self._host_texts else None
        if labels is None:
            fix = "say `plan.mask_text()` in the objective's `plan`"
            raise VlzooError(f"no words are masked in the text {view!r}", fix=fix)
        return mark(labels.numpy(force=True) != IGNORED, self.batch.key.device)

    def _whole_view(self, name: str) -> View:
        held = self.batch.images.get(name)
        pictures = (
            len(next(iter(held.values())) if isinstance(held, Mapping) else held) if held is not None else len(self)
        )
        if pictures != len(self):
            raise VlzooError(
                f"{pictures} pictures {name!r} for {len(self)} rows, and nothing says which row reads which",
                fix="give the batch a view with `rows` (`Batch.views`), and make it the plan's main one",
            )
        return View(name)
