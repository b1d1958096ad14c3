"""What is measured of a trained run: ranks of every retrieval query, and where every word's map lies.

Legend: I images, T texts, B pairs, L text tokens, N image tokens, h, w rows and columns of a map's cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from ablation.facts import steps
from ablation.words import KINDS, Spoken, spoken_words
from vlzoo.bench.engine import Engine, load_run
from vlzoo.bench.request import Request
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.bench.run import measure
from vlzoo.config.schema import PartRef
from vlzoo.config.training_problems import LOGGED
from vlzoo.data.records import Sample
from vlzoo.data.roots import open_source
from vlzoo.explain.explain import Explainer, grid_of
from vlzoo.explain.words import words_of
from vlzoo.metrics.grounding import pointing_hit
from vlzoo.metrics.pointing import box_on_cells, point
from vlzoo.metrics.recall import recall
from vlzoo.models.gradcam import word_maps
from vlzoo.models.prepared import as_kv
from vlzoo.offers import MATCH
from vlzoo.runs.run import Run
from vlzoo.types import Tokens

Arrays = dict[str, NDArray[Any]]
PROTOCOLS = ("itm", "itc")
BATCH = 16
"""Pictures whose captions go through the fusion together."""
SEEN = "-seen"
"""How the name of a domain ends that was trained on."""
POINTS = 60
"""Of a loss curve at most so many are kept, each the mean of those that were logged since the last."""
FIGURES = ("touch", "strict", "energy", "coverage", "everywhere", "touch_chance", "area")
"""Columns of a word's row; `strict` is the peak of the map enlarged to pixels, inside the box without tolerance."""


def retrieval(run: Path, domains: Mapping[str, Mapping[str, Any]], k: int) -> Arrays:
    """Ranks in each domain, from 0: `DOMAIN/itm/TR` [I], `DOMAIN/itm/IR` [T], likewise itc; `DOMAIN/owners` [T].

    One prediction serves both protocols: its cosines hold the top k of the first stage, in which itc's first ten are.
    A right answer that the first stage left out ranks behind everything; a tie is a miss.
    """
    found: Arrays = {}
    for name, ref in domains.items():
        data = PartRef.model_validate(dict(ref))
        seen = name.endswith(SEEN)
        request = Request(
            "retrieval", f"run:{run}", options={"k": k}, data=data, split=ref.get("split"), allow_train_data=seen
        )
        measured = measure(request, lambda line: print(line, flush=True))
        captions = Captions.of(measured.source)
        found[f"{name}/owners"] = captions.owners
        for protocol in PROTOCOLS:
            scores_IT, scores_TI = matrices(captions.names, captions.texts, measured.rows, protocol)
            ranks = recall(scores_IT, captions.owners, scores_of_texts=scores_TI)
            found[f"{name}/{protocol}/TR"], found[f"{name}/{protocol}/IR"] = ranks.text.rank, ranks.image.rank
    return found


def curves(run: Path) -> Arrays:
    """What was logged of each loss while the run was trained: `curve/step` [n] and `curve/NAME` [n]."""
    rows = steps(Run(run))
    parts = np.array_split(np.arange(len(rows)), min(POINTS, len(rows)))
    names = [name for name, value in rows[-1].items() if name not in LOGGED and isinstance(value, float)]
    found = {
        f"curve/{name}": [np.mean([rows[row].get(name, np.nan) for row in part]) for part in parts] for name in names
    }
    ends = {"curve/step": [rows[part[-1]]["step"] for part in parts]}
    return {name: np.round(values, 4) for name, values in {**ends, **found}.items()}


def words(run: Path, domains: Mapping[str, Mapping[str, Any]]) -> Arrays:
    """Of each image the sums over its captions' spoken words: `words/KIND/FIGURE` [I], and `words/KIND/count` [I].

    Images are numbered through all domains; a domain's folder holds a generated corpus of Scenes. Sums are rounded to
    four places: what a table shows is the mean of thousands.
    """
    engine = load_run(run)
    explainer = Explainer(engine)
    rows: list[list[float]] = []
    image = 0
    for ref in domains.values():
        things = things_of(Path(ref["root"]))
        source = open_source(PartRef.model_validate(dict(ref)))
        for start in range(0, len(source), BATCH):
            samples = [source[row] for row in range(start, min(start + BATCH, len(source)))]
            rows += _rows(explainer, samples, things, image)
            image += len(samples)
    found = np.asarray(rows, dtype=np.float64).reshape(-1, 2 + len(FIGURES))
    return dict(_summed(found, image))


def _summed(words: NDArray[np.float64], images: int) -> Iterator[tuple[str, NDArray[Any]]]:
    for number, kind in enumerate(KINDS):
        own = words[words[:, 1] == number]
        rows = own[:, 0].astype(np.int64)
        yield f"words/{kind}/count", np.bincount(rows, minlength=images)
        for column, figure in enumerate(FIGURES, 2):
            yield f"words/{kind}/{figure}", np.bincount(rows, own[:, column], images).round(4)


def things_of(folder: Path) -> dict[str, list[Mapping[str, Any]]]:
    """The objects of every picture of a corpus of Scenes, by the picture's id."""
    lines = (folder / "annotations" / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    return {str(row["image_id"]): row["things"] for row in map(json.loads, lines)}


def _rows(
    explainer: Explainer, samples: list[Sample], things: Mapping[str, list[Mapping[str, Any]]], image: int
) -> Iterator[list[float]]:
    pairs = [(row, text) for row, sample in enumerate(samples) for text in sample.texts]
    maps = caption_maps(explainer, [sample.images[0] for sample in samples], pairs)
    for (row, text), maps_Lhw in zip(pairs, maps, strict=True):
        size = samples[row].images[0].open().size
        spoken = spoken_words(text, things[str(samples[row].image_id)])
        for word, map_hw in _maps_of(explainer.engine, text, spoken, maps_Lhw):
            yield [image + row, KINDS.index(word.kind), *figures(map_hw, word, size)]


def _maps_of(
    engine: Engine, text: str, spoken: list[Spoken], maps_Lhw: NDArray[np.float32]
) -> Iterator[tuple[Spoken, NDArray[np.float32]]]:
    """The spoken words that the model read, each with the mean map of its pieces."""
    read = words_of(engine.tokenizer, engine.collator.clean(text))[1:]
    for word in spoken:
        if word.place < len(read):
            yield word, maps_Lhw[list(read[word.place].rows)].mean(axis=0)


def figures(map_hw: NDArray[np.float32], word: Spoken, size: tuple[int, int]) -> list[float]:
    """`FIGURES` of one word's map over a picture of `size` (width, height)."""
    found = point(map_hw, box_on_cells(word.box, map_hw.shape, size))
    large_HW = F.interpolate(
        torch.from_numpy(map_hw)[None, None], size=size[::-1], mode="bicubic", align_corners=False
    )[0, 0]
    values = {**vars(found), "strict": float(pointing_hit(large_HW.numpy(), word.box))}
    return [values[name] for name in FIGURES]


def caption_maps(explainer: Explainer, images: list[Any], pairs: list[tuple[int, str]]) -> list[NDArray[np.float32]]:
    """Word maps of (row of an image, caption) pairs, [L, h, w] each: as `Explainer.explain`, many at once.

    Pairs do not mix, and padding changes nothing.
    """
    engine, model = explainer.engine, explainer.engine.system.model
    text = engine.tokenise([caption for _, caption in pairs])
    rows_B = torch.tensor([row for row, _ in pairs])
    with torch.no_grad():
        tokens = model.image_encoder(engine.pixels(images))
        read = model.text_encoder(text.ids, text.mask)
        prepared = as_kv(model.fusion.prepare(tokens)).gather(rows_B)
    with torch.enable_grad():
        states = Tokens(read.x.detach().requires_grad_(), read.mask, read.pooled)
        fused = model.fusion.fuse(states, [prepared], attention=explainer.layer)
        score_B = explainer.head(fused.cls)[:, MATCH]
    maps_BLN = word_maps(score_B, fused, text.mask, prefix=tokens.prefix)
    return list(maps_BLN.unflatten(2, grid_of(tokens)).cpu().numpy())
