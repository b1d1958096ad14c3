"""What is measured of a run: a value and a picture for every sample of each figure.

Values are in percent, so that a figure is the mean of its values; one that is made of sums has counts in their place,
and says by which formula. What was fine-tuned for a task is measured on it; where nothing was, the pre-trained run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.boxes import boxes_of, by_fixed_box, by_random_object, fixed_box
from vlzoo.bench.request import Request, data_of, opened, source_of
from vlzoo.bench.retrieval.matrices import Captions
from vlzoo.bench.run import Measured, measure, measure_model
from vlzoo.config.check import load
from vlzoo.config.schema import PartRef
from vlzoo.data.derived import OfPictures
from vlzoo.data.roots import open_source
from vlzoo.metrics.figures import Score
from vlzoo.runs.run import Run
from vlzoo.task import Task
from vlzoo.types import Row

Arrays = dict[str, NDArray[Any]]
CAPTIONS = "tasks/captioning-tiny"
"""By which a run that was not fine-tuned for captions is asked for them: data, and how they are written."""
RECALLS = ("TR R@1", "IR R@1", "TR mean", "IR mean")
FACTS, OTHERS = "true facts", ", other pictures"
"""The figure of stated facts; and what stands behind a figure of captions that were written for other pictures."""
ROUNDING = 0.01
"""Official scores of questions are rounded to so much."""


@dataclass(frozen=True)
class Tuned:
    """A run with what was fine-tuned from it.

    Attributes:
        run: pre-trained, with what was fine-tuned inside it.
        root: the data root.
        k: candidates that re-ranking looks at; None: as the recipe says.
        pools: how many pools the test pictures of retrieval are divided into, each searched by itself.
    """

    run: Path
    root: str
    k: int | None
    pools: int = 1

    def figures(self, tasks: Sequence[str]) -> Arrays:
        """`FIGURE/value` and `FIGURE/image` of every sample of the test split, for every figure of the tasks."""
        found: Arrays = {}
        for task in tasks:
            found |= FIGURES[task](self)
        return found

    def retrieval(self) -> Arrays:
        """TR and IR R@1, and the means of R@1, 5 and 10."""
        asked = self._request("retrieval", {"k": self.k} if self.k else {})
        pools = [_recalls(measured) for measured in self._pools(asked)]
        return {name: np.concatenate([pool[name] for pool in pools]) for name in pools[0]}

    def vqa(self) -> Arrays:
        """Accuracy of questions."""
        return _values("VQA", _measured(self._request("vqa")))

    def nlvr2(self) -> Arrays:
        """Accuracy of sentences about two pictures."""
        return _values("NLVR2", _measured(self._request("nlvr2")))

    def snli_ve(self) -> Arrays:
        """Accuracy of hypotheses."""
        return _values("SNLI-VE", _measured(self._request("snli-ve")))

    def captioning(self) -> Arrays:
        """CIDEr-D and true facts; and both of captions that were written for other pictures.

        These are what the decoder knows without looking: each caption is judged beside the next picture.
        """
        tuned = Run(self.run).finetuned("captioning")
        bench = (tuned.recipe() if tuned.exists() else load(CAPTIONS).recipe).bench
        options = bench.options_of(("captioning",), ())
        asked = Request("captioning", f"run:{self.run}", options=options, data=bench.data, root=self.root)
        measured = _measured(asked)
        names = [sample.name for sample in measured.source]
        moved = {name: measured.rows[other] for name, other in zip(names, [*names[1:], *names[:1]], strict=True)}
        return captions(measured.task, measured.source, measured.rows) | {
            figure.replace("/", f"{OTHERS}/"): values
            for figure, values in captions(measured.task, measured.source, moved).items()
        }

    def grounding(self) -> Arrays:
        """By the box head; by the map of the matching score; by boxes that look at nothing."""
        found = _values("grounding", _measured(self._request("grounding", {"mode": "boxes"})))
        tuned = f"run:{Run(self.run).finetuned('retrieval').folder}"
        by_map = self._request("grounding", {"mode": "gradcam"}, model=tuned)
        return found | _values("Grad-CAM", _measured(by_map)) | _without_looking(self.root)

    def _request(self, task: str, options: dict[str, Any] | None = None, model: str = "") -> Request:
        """The task on the test split of what the run was fine-tuned on; else on the run's own."""
        tuned = Run(self.run).finetuned(task)
        data = tuned.recipe().all_streams[0].data if tuned.exists() else None
        return Request(task, model or f"run:{self.run}", options=options or {}, data=data, split="test", root=self.root)

    def _pools(self, request: Request) -> Iterator[Measured]:
        """The request's data in pools."""
        model, task, folder = opened(request)
        model.say = _say
        data = data_of(request, model.recipe)
        source = source_of(data, request.root)
        for part in pools_of(source, self.pools):
            yield measure_model(request, model, task, part, folder, data=data if part is source else None)


FIGURES: dict[str, Callable[[Tuned], Arrays]] = {
    "retrieval": Tuned.retrieval,
    "vqa": Tuned.vqa,
    "nlvr2": Tuned.nlvr2,
    "grounding": Tuned.grounding,
    "snli-ve": Tuned.snli_ve,
    "captioning": Tuned.captioning,
}
"""What measures a task."""


def pools_of(source: Any, count: int) -> Iterator[Any]:
    """Some data in so many pools by their pictures' ids; one that holds no picture is left out."""
    if count == 1:
        yield source
        return
    parts = (OfPictures(source, number / count, (number + 1) / count) for number in range(count))
    yield from (part for part in parts if len(part))


def captions(task: Task, source: Any, rows: Mapping[str, Row]) -> Arrays:
    """`CIDEr` and `true facts` of captions of a source's pictures: what each picture adds, by the task's own scores.

    CIDEr-D is rounded to hundredths. Of the facts there are counts: how many are true, how many are stated.

    Args:
        task: captioning.
        source: the data, a sample a picture, with what each shows.
        rows: a caption for each sample, by its name.
    """
    scores = {score.metric: score for score in task.score(source, rows).scores}
    images = np.array([_image(sample) for sample in source])
    # Where no caption states a fact, there is no such score.
    counts = _made_of(scores[FACTS]) if FACTS in scores else (np.zeros((len(images), 2)), "ratio")
    return {
        "CIDEr/value": _made_of(scores["CIDEr"])[0].round(2),
        "CIDEr/image": images,
        f"{FACTS}/value": counts[0],
        f"{FACTS}/image": images,
        f"{FACTS}/formula": np.array(counts[1]),
    }


def _made_of(score: Score) -> tuple[NDArray[np.float64], str]:
    """What a figure of single pictures is made of, and by which formula."""
    (held,) = score.per_sample
    return held.values, held.formula


def _say(line: str) -> None:
    print(line, flush=True)


def _measured(request: Request) -> Measured:
    return measure(request, _say)


def _without_looking(root: str) -> Arrays:
    """Grounding by the box that is most often right in training, and by an object of the picture, whichever."""
    train, expressions = _scenes("scenes-refcoco", root, "train"), list(_scenes("scenes-refcoco", root, "test"))
    images = np.array([_image(each) for each in expressions])
    fixed = by_fixed_box(fixed_box(boxes_of(train)), expressions)
    drawn = by_random_object(expressions, _scenes("scenes-objects", root, "test"))
    return {
        **{"fixed box/value": fixed, "fixed box/image": images},
        **{"random object/value": drawn, "random object/image": images},
    }


def _scenes(part: str, root: str, split: str) -> Any:
    return open_source(PartRef.model_validate({"part": part, "root": str(Path(root, "scenes")), "split": split}))


def _recalls(measured: Measured) -> Arrays:
    """Of each picture and each text whether it finds its own, as far as the candidates go; a tie is a miss."""
    known, named = Captions.of(measured.source), {sample.name: _image(sample) for sample in measured.source}
    images = np.array([named[name] for name in known.names])
    found = {}
    for score in measured.scored.scores if measured.scored else ():
        if score.metric in RECALLS:
            found[f"{score.metric}/value"] = _made_of(score)[0]
            found[f"{score.metric}/image"] = images if score.metric.startswith("TR") else images[known.owners]
    return found


def _values(figure: str, measured: Measured) -> Arrays:
    """Each sample's value: the task's main score of it alone.

    Raises:
        ValueError: the score of all is not the mean of them.
    """
    samples = list(measured.source)
    values = [measured.task.score([each], {each.name: measured.rows[each.name]}).scores[0].value for each in samples]
    whole = measured.scored.scores[0].value if measured.scored else float("nan")
    if not abs(np.mean(values) - whole) <= ROUNDING:
        raise ValueError(f"{figure}: the mean over samples is {np.mean(values)}, and the score {whole}")
    return {f"{figure}/value": np.array(values), f"{figure}/image": np.array([_image(each) for each in samples])}


def _image(sample: Any) -> str:
    return str(sample.image_id or sample.name)
