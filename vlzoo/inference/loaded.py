"""A trained model that can be asked: embeddings, matches, answers, boxes, word maps.

Legend: N image tokens, P pairs, L text tokens, W numbers a token, H and W rows and columns of pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from vlzoo.bench.engine import Engine
from vlzoo.bench.grounding.maps import box_predictor, mapper
from vlzoo.bench.model import BenchModel, family_of, reference_of
from vlzoo.bench.request import Request, task_of
from vlzoo.bench.retrieval.pairs import PairModel, pair_model
from vlzoo.bench.vqa.answers import answerer
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError, UnknownName, did_you_mean
from vlzoo.explain.explain import Explained, Explainer
from vlzoo.explain.subject import BATCH
from vlzoo.inference.given import Picture, is_one, picture_of, pictures_of, samples_of, words_of
from vlzoo.inference.outputs import Answer, Embedded, Floats, Grounded, Matched
from vlzoo.models.precision import PRECISIONS, default_device, device_of
from vlzoo.runs.run import Run
from vlzoo.runs.selection import chosen
from vlzoo.weights.foreign import as_run

QUESTIONS = ("vqa", "gqa")


def load(
    model: str | os.PathLike[str],
    *,
    checkpoint: str = "",
    precision: str = "fp32",
    device: str | None = None,
    convert: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """A trained model, ready to be asked.

    Args:
        model: a run's folder, `runs/x`; a run that a package carries, `package:vlzoo-tiny/albef`; a model of another
            family, `hf:FOLDER`, as `vlzoo bench --model` takes it; or the file of an official checkpoint that an
            adapter knows, which is made a run in the cache.
        checkpoint: of a run: `last`, `best` or a step; empty: the best where validation found one, else the last.
        precision: of the forward passes: `fp32`, `bf16` or `fp16`.
        device: `cpu`, `cuda`, `cuda:1`; None: a GPU where there is one.
        convert: of a file, what `vlzoo weights convert` is told besides: `{"adapter": "albef", "resolution": 384}`.

    Raises:
        CheckpointError: there is no such run or model, or it can't be read.
        UnknownName: no such family, device or precision.
    """
    if precision not in PRECISIONS:
        raise UnknownName(f"no precision called {precision!r}", fix=did_you_mean(precision, PRECISIONS))
    reference = reference_of(model)
    place = Path(reference.partition(":")[2])
    if place.is_file():
        reference = f"run:{as_run(place, convert or {})}"
    made = LoadedModel(reference, checkpoint, precision, device_of(device))
    made.check()
    return made


@dataclass
class LoadedModel:
    """A model that can be asked. `vlzoo.load` makes it; what was fine-tuned inside a run is read when it is asked for.

    >>> model = vlzoo.load(run)
    >>> model.encode(images=[picture, picture], texts="a red square").texts.shape
    (64,)
    >>> model.match(picture, ["a red square", "a blue circle"]).logits.shape
    (2,)

    Attributes:
        reference: family and place, `run:runs/x`.
        checkpoint: of a run; empty: the best, or the last.
        precision: of the forward passes.
        device: where it is.
    """

    reference: str
    checkpoint: str = ""
    precision: str = "fp32"
    device: torch.device | None = None
    _open: dict[str, BenchModel] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Whether there is such a model.

        Raises:
            CheckpointError: there is none.
        """
        family, place = family_of(self.reference)
        if (run := family.run(place)) is not None:
            chosen(Run(run), self.checkpoint)
        else:
            self._on("retrieval")

    def encode(
        self, images: Picture | Sequence[Picture] | None = None, texts: str | Sequence[str] | None = None
    ) -> Embedded:
        """Embeddings of pictures and texts; their products are cosines.

        Raises:
            CheckpointError: the model has no joint space.
            DataError: a picture can't be read.
        """
        pairs = pair_model(self._on("retrieval")[0])
        if not pairs.contrasts:
            fix = "use one that was trained with a contrast, such as `itc`; `match` scores pairs without one"
            raise CheckpointError("this model gives no embeddings", where=self.reference, fix=fix)
        return Embedded(
            None if images is None else _vectors(_parts(pictures_of(images), pairs.images), is_one(images)),
            None if texts is None else _vectors(_parts(words_of(texts), pairs.texts), is_one(texts)),
        )

    def match(self, images: Picture | Sequence[Picture], texts: str | Sequence[str]) -> Matched:
        """How well each picture fits each text.

        Raises:
            CheckpointError: the model encodes no pictures and texts, or neither matches nor contrasts them.
            DataError: a picture can't be read.
        """
        pairs = pair_model(self._on("retrieval")[0])
        seen, read = _parts(pictures_of(images), pairs.images), _parts(words_of(texts), pairs.texts)
        logits = cosines = None
        if pairs.matches:
            logits = np.stack([_logits(pairs, row, read) for part in seen for row in part.rows])
        if pairs.contrasts:
            cosines = _vectors(seen) @ _vectors(read).T
        left_out = (0 if is_one(images) else slice(None), 0 if is_one(texts) else slice(None))
        return Matched(*(None if each is None else each[left_out] for each in (logits, cosines)))

    def fitting(self, text: str) -> Callable[[Sequence[Picture]], Floats]:
        """How well pictures fit a text, for many of them: from a list to [I], by cosines, else by the matching head.

        Raises:
            CheckpointError: the model encodes no pictures and texts.
        """
        if not pair_model(self._on("retrieval")[0]).contrasts:
            return lambda pictures: _known(self.match(pictures, text).logits)
        vector_E = _known(self.encode(texts=text).texts)
        return lambda pictures: _known(self.encode(images=pictures).images) @ vector_E

    def answer(
        self, image: Picture | Sequence[Picture], question: str | Sequence[str], **options: Any
    ) -> Answer | list[Answer]:
        """Answers to questions about pictures: one picture for all, or one each.

        Args:
            image: the picture, or a list of them, one a question.
            question: the question, or a list: then the answers are a list.
            options: those of the task `vqa`: `mode`, `k`, `beams`, `answers`; as `vlzoo show vqa` lists them.

        Raises:
            CheckpointError: nothing in the run was trained for questions.
            DataError: a picture can't be read, or there are not as many pictures as questions.
        """
        model, task = self._on(self._questions(), **options)
        answering = answerer(model, task)
        rows = samples_of(image, question)
        found = [row for _, batch in model.batches(rows, BATCH) for row in answering(batch)]
        made = [Answer(str(row["answer"]), row.get("score"), str(row["mode"])) for row in found]
        return made[0] if is_one(question) and is_one(image) else made

    def ground(self, image: Picture | Sequence[Picture], text: str | Sequence[str]) -> Grounded | list[Grounded]:
        """Where in pictures texts are: by boxes where the model predicts them, else by Grad-CAM of the match.

        Args:
            image: the picture, or a list of them, one a text.
            text: an expression, or a list: then a list comes back.

        Raises:
            CheckpointError: the model can do neither.
            DataError: a picture can't be read, or there are not as many pictures as texts.
        """
        model, _ = self._on("grounding")
        rows, boxes = samples_of(image, text), box_predictor(model)
        made: list[Grounded] = []
        for samples, batch in model.batches(rows, BATCH):
            if boxes is not None:
                made += map(_by_box, boxes(batch, samples))
            else:
                made += map(_by_map, mapper(model)(batch, [sample.images[0].open().size for sample in samples]))
        return made[0] if is_one(text) and is_one(image) else made

    def explain(self, image: Picture, text: str, *, layer: int | None = None) -> Explained:
        """What the model saw for each word of a text, with the probability that text and picture match.

        Args:
            image: the picture.
            text: a caption.
            layer: the fusion layer, counted from 0; None: the third, or the last that has word maps.

        Raises:
            CheckpointError: the model has no matching head, or is no run of vlzoo.
            DataError: the picture can't be read.
            VlzooError: the text is empty, or there are no word maps in this layer.
        """
        model, _ = self._on("retrieval")
        if not isinstance(model, Engine):
            model.cannot("word maps")
        return Explainer(model, layer).explain(picture_of(image), text)

    def _questions(self) -> str:
        """The task that questions are answered by: `vqa`, unless the run was trained for `gqa` alone."""
        family, place = family_of(self.reference)
        if (folder := family.run(place)) is None:
            return QUESTIONS[0]
        run = Run(folder)
        own = run.recipe().task
        there = [name for name in QUESTIONS if own == name or run.finetuned(name).exists()]
        return (there or QUESTIONS)[0]

    def _on(self, name: str, **options: Any) -> tuple[BenchModel, Any]:
        """The model as it is measured on a task, and the task with its options; the same weights are read once."""
        family, place = family_of(self.reference)
        if self.checkpoint:
            family.choose(self.checkpoint)
        bare = registry().build("task", name)
        key = str(family.folder(place, bare))
        if key not in self._open:
            device = self.device or default_device()
            self._open[key] = family.open(place, bare, precision=self.precision, device=device)
        model = self._open[key]
        task = task_of(Request(name, self.reference, options=options), family.bench(place, bare))
        if model.task is not None and model.task.name == task.name:
            task.restore(model.task.state())
            task.check_learned()
        return model, task


def _parts(things: list[Any], encode: Any) -> list[Any]:
    return [encode(things[start : start + BATCH]) for start in range(0, len(things), BATCH)]


def _vectors(parts: Sequence[Any], one: bool = False) -> Floats:
    made: Floats = torch.cat([part.embed.float().cpu() for part in parts]).numpy()
    return made[0] if one else made


def _known(values: Floats | None) -> Floats:
    assert values is not None
    return values


def _logits(pairs: PairModel, image_NW: torch.Tensor, texts: Sequence[Any]) -> Floats:
    """Matching logits of one picture with all texts, [T]."""
    prepared = pairs.prepare(image_NW[None].float().to(pairs.device))
    found = []
    for part in texts:
        lengths = torch.tensor([len(row) for row in part.rows])
        text_PLW = pad_sequence(list(part.rows), batch_first=True).to(pairs.device)
        mask_PL = (torch.arange(text_PLW.shape[1]) < lengths[:, None]).to(pairs.device)
        found.append(pairs.match(prepared, text_PLW, mask_PL).float().cpu())
    made: Floats = torch.cat(found).numpy()
    return made


def _by_box(box: Sequence[float]) -> Grounded:
    x, y, width, height = map(float, box)
    return Grounded((x, y, width, height), None, (x + width / 2, y + height / 2))


def _by_map(heat_HW: Floats) -> Grounded:
    row, column = np.unravel_index(int(heat_HW.argmax()), heat_HW.shape)
    return Grounded(None, heat_HW, (float(column) + 0.5, float(row) + 0.5))
