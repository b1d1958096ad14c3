"""Micro models that were never trained, and a small generated corpus, for whole benches in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from vlzoo.bench.engine import Engine
from vlzoo.bench.score import score_files
from vlzoo.config.schema import Recipe
from vlzoo.data.predictions import Files
from vlzoo.data.readers.scenes_tasks import ScenesNlvr2, ScenesRefCoco, ScenesSnliVe, ScenesVqa
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import build_system
from vlzoo.task import Effort
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import build_vocab

MODEL: dict[str, Any] = {
    "image_encoder": {
        "part": "timm",
        "name": "vit_tiny_patch16_224",
        "image_size": 32,
        "arguments": {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    },
    "text_encoder": {
        "part": "bert",
        "layers": 1,
        "width": 16,
        "heads": 2,
        "intermediate": 32,
        "max_length": 32,
        "dropout": 0.0,
    },
    "fusion": {"part": "cross_attention", "layers": 2, "width": 16, "heads": 2, "intermediate": 32, "dropout": 0.0},
    "decoder": {
        "part": "causal",
        "layers": 1,
        "width": 16,
        "heads": 2,
        "intermediate": 32,
        "max_length": 16,
        "dropout": 0.0,
    },
    "joint": 8,
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of 24 pictures: 12 to train, 4 to validate, 8 to test."""
    folder = tmp_path_factory.mktemp("bench") / "scenes"
    make_scenes(folder, Sizes.split(12, 4, 8), seed=3, workers=1)
    return folder


@pytest.fixture(scope="session")
def sources(corpus: Path) -> dict[str, Any]:
    """The test split of each task's data."""
    scenes = registry().build("data", "scenes", root=str(corpus), split="test")
    vqa = ScenesVqa(corpus, split="test")
    return {
        "retrieval": scenes,
        "image-retrieval": _Grouped(scenes),
        "captioning": scenes,
        "vqa": vqa,
        "gqa": _Single(vqa),
        "nlvr2": ScenesNlvr2(corpus, split="test"),
        "nlvr": _OnePicture(ScenesNlvr2(corpus, split="test")),
        "snli-ve": ScenesSnliVe(corpus, split="test"),
        "grounding": ScenesRefCoco(corpus, split="test"),
        "hard-negatives": Wrong(scenes),
        "winoground": Crossed(scenes),
        "vsr": Stated(scenes),
        "zero-shot": Stated(scenes),
    }


class _Changed:
    """A source with each sample changed."""

    def __init__(self, source: Any) -> None:
        self.source, self.name = source, source.name

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Any:
        return (self[row] for row in range(len(self)))

    def fingerprint(self) -> str:
        return str(self.source.fingerprint())


class _Single(_Changed):
    """Questions with one annotator."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        sample = self.source[row]
        return replace(sample, answers=sample.answers[:1])


class _Grouped(_Changed):
    """Pictures of three classes."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        return replace(self.source[row], group=f"class {row % 3}", fields={"style": "ab"[row % 2]})


class _OnePicture(_Changed):
    """Sentences about the left picture."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        sample = self.source[row]
        return replace(sample, images=sample.images[:1])


class Wrong(_Changed):
    """Pictures with one caption and two wrong ones."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        sample = self.source[row]
        words = sample.texts[0].split()
        fields = {"negatives": (" ".join(reversed(words)), f"no {sample.texts[0]}"), "kind": "ab"[row % 2]}
        return replace(sample, texts=sample.texts[:1], fields=fields)


class Crossed(_Changed):
    """Each picture with the next one, and a caption of each."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        first, second = self.source[row], self.source[(row + 1) % len(self.source)]
        both = {"images": (first.images[0], second.images[0]), "texts": (first.texts[0], second.texts[0])}
        return replace(first, **both, fields={"kind": "ab"[row % 2]})


class Stated(_Changed):
    """Pictures with one sentence, true of every other."""

    def __getitem__(self, row: int) -> Any:
        from dataclasses import replace

        sample = self.source[row]
        kind = {"kind": "abc"[row % 3]}
        return replace(sample, texts=sample.texts[:1], label=("true", "false")[row % 2], fields=kind)


def recipe_of(
    objectives: dict[str, Any], images: int = 1, task: str | None = None, parts: Mapping[str, Any] | None = None
) -> Recipe:
    """A recipe over the micro model, with other `parts`."""
    model = {**MODEL, "fusion": {**MODEL["fusion"], "images": images}, **(parts or {})}
    whole = {
        "model": model,
        "objectives": objectives,
        "tokenizer": {"vocab": "data", "max_length": 24},
        "augment": {"eval": {"part": "plain", "size": 32}},
        "task": task,
    }
    return Recipe.model_validate(whole, strict=False)


@pytest.fixture(scope="session")
def engine_for(corpus: Path, sources: dict[str, Any]) -> Callable[..., Engine]:
    """Makes an engine for objectives, with weights drawn from a seed and spread so that scores differ."""
    texts = [text for source in sources.values() for sample in source for text in (*sample.texts, *sample.answers)]
    words = build_vocab((pre_caption(text, 30) for text in texts), size=2_000, characters=True)

    def make(
        objectives: dict[str, Any],
        *,
        task: str | None = None,
        images: int = 1,
        seed: int = 0,
        parts: Mapping[str, Any] | None = None,
    ) -> Engine:
        torch.manual_seed(seed)
        tokenizer = Tokenizer(words, max_length=24)
        recipe = recipe_of(objectives, images, task, parts)
        made = registry().build("task", task) if task else None
        if made is not None:
            made.learn(list(sources[task]))
        classes = len(made.classes()) if made else 0
        system = build_system(recipe, vocab=tokenizer.vocab, special=tokenizer.special, classes=classes)
        for parameter in system.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        return Engine(recipe, system, tokenizer, made, f"seed-{seed}")

    return make


PAIRS = ("hard-negatives", "winoground", "vsr", "zero-shot")
TRAINED: dict[str, dict[str, Any]] = {
    "retrieval": {"objectives": {"itc": {"queue": 16}, "itm": {}}},
    "image-retrieval": {"objectives": {"itc": {"queue": 16}}},
    "grounding": {"objectives": {"itm": {}}},
    "captioning": {
        "objectives": {"lm": {}},
        "parts": {"decoder": {**MODEL["decoder"], "max_length": 20, "reads": "image"}},
    },
    **{name: {"objectives": {"itc": {"queue": 16}, "itm": {}}} for name in PAIRS},
    "vqa": {"objectives": {"answer": {}}, "task": "vqa"},
    "gqa": {"objectives": {"answer": {}}, "task": "gqa"},
    "nlvr2": {"objectives": {"classify": {"images": 2}}, "task": "nlvr2", "images": 2},
    "nlvr": {"objectives": {"classify": {}}, "task": "nlvr"},
    "snli-ve": {"objectives": {"classify": {}}, "task": "snli-ve"},
}
"""What a model for each task is made of."""


EFFORT = {field.name for field in fields(Effort)}


def task_for(name: str, engine: Any, **options: Any) -> Any:
    """A task with options (4 candidates where it takes a number of them), and with what the engine's has learned."""
    known = schema_of(registry().find("task", name)).names
    task = registry().build("task", name, **{**({"k": 4} if "k" in known else {}), **options})
    if engine.task is not None:
        task.restore(engine.task.state())
    return task


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Any]:
    """`task_for`, for tests."""
    return task_for


@pytest.fixture(scope="session")
def score() -> Callable[..., Any]:
    """Scores files as `vlzoo score` does: task, predictions, annotations, protocol, options."""

    def run(
        task: str,
        said: Path,
        truth: Path | None = None,
        protocol: str = "",
        *,
        allow_missing: bool = False,
        **more: Any,
    ) -> Any:
        made = registry().build("task", task, protocol=protocol, **more)
        return score_files(made, Files(said, truth, allow_missing))

    return run


@pytest.fixture(scope="session")
def trained(engine_for: Callable[..., Engine]) -> Callable[..., Engine]:
    """Makes a model for a task."""
    return lambda name, seed=0: engine_for(**TRAINED[name], seed=seed)


@pytest.fixture
def predicted(engine_for: Callable[..., Engine], sources: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Predicts a task's data, by sample name."""

    def predict(name: str, done: frozenset[str] = frozenset(), seed: int = 0, **settings: Any) -> dict[str, Any]:
        engine = engine_for(**TRAINED[name], seed=seed)
        effort = Effort(**{key: settings.pop(key) for key in EFFORT & settings.keys()})
        task = task_for(name, engine, **settings)
        return {row["name"]: row for rows in task.predict(engine, sources[name], done, effort) for row in rows}

    return predict
