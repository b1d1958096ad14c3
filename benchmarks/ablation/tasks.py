"""What is measured of a run fine-tuned for X-VLM's tasks: a value and a picture for every sample of each figure.

Values are in percent, so that a figure is the mean of its values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.boxes import boxes_of, by_fixed_box, by_random_object, fixed_box
from vlzoo.bench.request import Request
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.bench.run import Measured, measure
from vlzoo.config.schema import PartRef
from vlzoo.data.roots import open_source
from vlzoo.metrics.recall import recall

Arrays = dict[str, NDArray[Any]]
SUMMED = ("TR R@1", "IR R@1", "VQA", "NLVR2", "grounding")
"""The figures whose sum is the Meta-Sum."""
BESIDE = ("Grad-CAM", "fixed box", "random object")
"""Grounding by the map of the matching score, of the run fine-tuned for retrieval; by boxes that look at nothing."""
ROUNDING = 0.01
"""Official scores of questions are rounded to so much."""


def figures_of(run: Path, root: str, k: int) -> Arrays:
    """`FIGURE/value` and `FIGURE/image` of every sample of Scenes' test split, for `SUMMED` and `BESIDE`.

    Args:
        run: pre-trained, with what was fine-tuned inside it.
        root: the data root.
        k: candidates that re-ranking looks at.
    """
    found = _retrieval(_measured("retrieval", run, root, {"k": k}))
    found |= _values("VQA", _measured("vqa", run, root))
    found |= _values("NLVR2", _measured("nlvr2", run, root))
    found |= _values("grounding", _measured("grounding", run, root, {"mode": "boxes"}))
    tuned = run / "finetune" / "retrieval"
    found |= _values("Grad-CAM", _measured("grounding", tuned, root, {"mode": "gradcam"}))
    return found | _without_looking(root)


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


def _measured(task: str, run: Path, root: str, options: dict[str, Any] | None = None) -> Measured:
    name = {"retrieval": "scenes", "grounding": "scenes-refcoco"}.get(task, f"scenes-{task}")
    data = PartRef.model_validate({"part": name, "root": str(Path(root, "scenes"))})
    request = Request(task, f"run:{run}", options=options or {}, data=data, split="test")
    return measure(request, lambda line: print(line, flush=True))


def _retrieval(measured: Measured) -> Arrays:
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
