"""What is measured of a fine-tuned run: a value and a picture for every sample of each figure.

Values are in percent, so that a figure is the mean of its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.boxes import boxes_of, by_fixed_box, by_random_object, fixed_box
from vlzoo.bench.request import Request, data_of, opened, source_of
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.bench.run import Measured, measure, measure_model
from vlzoo.config.schema import PartRef
from vlzoo.data.derived import OfPictures
from vlzoo.data.roots import open_source
from vlzoo.metrics.recall import recall
from vlzoo.runs.run import Run

Arrays = dict[str, NDArray[Any]]
ROUNDING = 0.01
"""Official scores of questions are rounded to so much."""


@dataclass(frozen=True)
class Tuned:
    """A run that was fine-tuned for tasks.

    Attributes:
        run: pre-trained, with what was fine-tuned inside it.
        root: the data root.
        k: candidates that re-ranking looks at; None: every pair, of models without a contrast.
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
        """TR and IR R@1."""
        pools = [_recalls(measured) for measured in self._pools(self._request("retrieval", {"k": self.k}))]
        return {name: np.concatenate([pool[name] for pool in pools]) for name in pools[0]}

    def vqa(self) -> Arrays:
        """Accuracy of questions."""
        return _values("VQA", _measured(self._request("vqa")))

    def nlvr2(self) -> Arrays:
        """Accuracy of sentences about two pictures."""
        return _values("NLVR2", _measured(self._request("nlvr2")))

    def grounding(self) -> Arrays:
        """By the box head; by the map of the matching score; by boxes that look at nothing."""
        found = _values("grounding", _measured(self._request("grounding", {"mode": "boxes"})))
        tuned = f"run:{Run(self.run).finetuned('retrieval').folder}"
        by_map = self._request("grounding", {"mode": "gradcam"}, model=tuned)
        return found | _values("Grad-CAM", _measured(by_map)) | _without_looking(self.root)

    def _request(self, task: str, options: dict[str, Any] | None = None, model: str = "") -> Request:
        """The task on the test split of what it was fine-tuned on."""
        data = Run(self.run).finetuned(task).recipe().all_streams[0].data
        return Request(task, model or f"run:{self.run}", options=options or {}, data=data, split="test", root=self.root)

    def _pools(self, request: Request) -> Iterator[Measured]:
        """The request's data in pools by their pictures' ids."""
        model, task, folder = opened(request)
        model.say = _say
        data = data_of(request, model.recipe)
        source = source_of(data, request.root)
        if self.pools == 1:
            yield measure_model(request, model, task, source, folder, data=data)
            return
        for number in range(self.pools):
            part = OfPictures(source, number / self.pools, (number + 1) / self.pools)
            if len(part):
                yield measure_model(request, model, task, part, folder)


FIGURES: dict[str, Callable[[Tuned], Arrays]] = {
    "retrieval": Tuned.retrieval,
    "vqa": Tuned.vqa,
    "nlvr2": Tuned.nlvr2,
    "grounding": Tuned.grounding,
}
"""What measures a task."""


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
    """Whether each picture finds one of its texts first, and each text its picture; a tie is a miss."""
    captions = Captions.of(measured.source)
    scores_IT, scores_TI = matrices(captions.names, captions.texts, measured.rows, "itm")
    ranks = recall(scores_IT, captions.owners, scores_of_texts=scores_TI)
    named = {sample.name: _image(sample) for sample in measured.source}
    images = np.array([named[name] for name in captions.names])
    return {
        "TR R@1/value": 100.0 * (ranks.text.rank < 1),
        "TR R@1/image": images,
        "IR R@1/value": 100.0 * (ranks.image.rank < 1),
        "IR R@1/image": images[captions.owners],
    }


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
