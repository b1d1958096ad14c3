"""Picture to picture: find the other pictures of the same class by their embeddings.

Legend: Q pictures, E joint size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlzoo.bench.packed import pack, unpack
from vlzoo.bench.pictures import pictures
from vlzoo.data.predictions import Refused
from vlzoo.data.records import Sample, Told
from vlzoo.errors import CheckpointError, DataError, PredictionError
from vlzoo.metrics.figures import Figures, Scored
from vlzoo.metrics.ranking import ByClass, rank_by_class
from vlzoo.task import Effort, Task, in_order
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.model import BenchModel

KS = (1, 5, 10)


class ImageRetrieval(Task):
    """R@1, 5, 10 and mean average precision by class; a query does not find itself, a tie is a miss.

    A picture's class is its sample's group, else its label, else its image_id: the same emoji in other drawing styles.

    Args:
        protocol: `itc`, the only one: by embeddings in the joint space.
    """

    name = "image-retrieval"
    protocols = ("itc",)
    finetuned = False

    def __init__(self, *, protocol: str = "") -> None:
        super().__init__(protocol=protocol)

    def predict(self, model: BenchModel, source: Any, done: frozenset[str], effort: Effort) -> Iterator[list[Row]]:
        """Each picture's unit vector.

        Raises:
            CheckpointError: the model has no joint space.
        """
        from vlzoo.bench.model import batches_left
        from vlzoo.bench.retrieval.pairs import pair_model

        pairs = pair_model(model)
        if not pairs.contrasts:
            raise CheckpointError(
                "this model gives pictures no embedding", fix="use one that was trained with a contrast, such as `itc`"
            )
        source = self.counted(source)
        for rows in batches_left(source, effort.batch, done):
            samples = [source[row] for row in rows]
            embed_BE = pairs.images([sample.images[0] for sample in samples]).embed
            assert embed_BE is not None
            yield [
                {"name": sample.name, "vector": pack(vector, "<f4")}
                for sample, vector in zip(samples, embed_BE.cpu().numpy(), strict=True)
            ]

    def counted(self, source: Any) -> Any:
        """The data with a sample for each file of a picture: a picture must not find itself on another line."""
        return pictures(source, by_id=False)

    def row(self, row: Mapping[str, Any]) -> Row:
        """The vector, packed as `predict` packs it, or a list of numbers."""
        vector = row["vector"]
        try:
            if unpack(vector, "<f4").ndim != 1:
                raise ValueError
        except (ValueError, TypeError) as error:
            raise Refused("vectors that are not packed float32", vector) from error
        return {"vector": vector}

    def told(self, samples: Any, rows: Mapping[str, Row]) -> Callable[[Sample], Told]:
        """The nearest other picture, with both classes."""
        pairs = in_order(samples, rows)
        numbers = {sample.name: number for number, (sample, _) in enumerate(pairs)}
        vector_QE = np.stack([unpack(row["vector"], "<f4") for _, row in pairs]).astype(np.float64)
        sizes = Counter(_class(sample) for sample, _ in pairs)

        def tell(sample: Sample) -> Told:
            near_Q, own = vector_QE @ vector_QE[numbers[sample.name]], _class(sample)
            near_Q[numbers[sample.name]] = -np.inf
            level = [pairs[at][0] for at in np.flatnonzero(near_Q == near_Q.max())]
            found = next((each for each in level if _class(each) != own), level[0])  # a tie is a miss
            right = 100.0 * (_class(found) == own) if sizes[own] > 1 else None
            return Told("Which other picture is nearest?", _class(found), (own,), right, found=found.images[0])

        return tell

    def score(self, samples: Any, rows: Mapping[str, Row]) -> Scored:
        """Recalls and mAP, with intervals over classes; per style where samples name one."""
        pairs = in_order(samples, rows)
        if not pairs:
            raise DataError("no picture to find", where=getattr(samples, "name", None))
        vectors = [unpack(row["vector"], "<f4") for _, row in pairs]
        sizes = sorted({len(vector) for vector in vectors})
        if len(sizes) > 1:
            raise PredictionError(f"vectors of different lengths: {sizes[0]} and {sizes[-1]}")
        vector_QE = np.stack(vectors).astype(np.float64)
        classes = [_class(sample) for sample, _ in pairs]
        found = rank_by_class(vector_QE @ vector_QE.T, classes, classes, same_pictures=True)
        owners = [classes[query] for query in found.query]
        figures = Figures(self.name, f"{self.name}/{self.protocol}")
        scores = [figures.hits(f"R@{k}", found.first < k, owners) for k in KS]
        styles = [str(pairs[query][0].fields.get("style", "")) for query in found.query]
        precision_Q = 100.0 * found.average_precision
        scores.append(figures.mean("mAP", precision_Q, owners, detail=_by_style(precision_Q, styles)))
        return Scored(tuple(scores), notes=(_sizes(found, classes),))


def _class(sample: Sample) -> str:
    named = sample.group or sample.label or sample.image_id
    if named is None:
        raise DataError("a picture without a class", where=f"sample {sample.name}", fix="give data with groups: emoji")
    return named


def _by_style(precision_Q: NDArray[np.float64], styles: Sequence[str]) -> dict[str, float]:
    style_Q = np.array(styles)
    return {f"mAP of {style}": float(precision_Q[style_Q == style].mean()) for style in sorted(set(styles) - {""})}


def _sizes(found: ByClass, classes: Sequence[str]) -> str:
    alone = len(classes) - len(found.query)
    left = f"; {alone} pictures have no other of their class and are no queries" if alone else ""
    return (
        f"{len(classes)} pictures of {len(set(classes))} classes, {int(found.tied.sum())} ties (a tie is a miss){left}"
    )
