"""Every registered part, plugins' too, keeps to what its kind promises: by the checks that strangers run on theirs."""

from __future__ import annotations

import base64
import importlib.util
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vlzoo.testing
from vlzoo.agree.run import Found, discover, load_agreements
from vlzoo.data.readers.scenes_tasks import ScenesNlvr2, ScenesRefCoco, ScenesVqa
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.parts import KINDS
from vlzoo.door.plugins import registry
from vlzoo.models.assemble import Model, System
from vlzoo.testing.case import Case
from vlzoo.testing.imports import watch
from vlzoo.testing.samples import COLOURS, SHAPES, WORDS, Drawn, shown
from vlzoo.testing.trial import Trial

_spec = importlib.util.spec_from_file_location(
    "bench_fixtures", Path(__file__).resolve().parent.parent / "bench" / "conftest.py"
)
assert _spec and _spec.loader
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)

VIT = {
    "name": "vit_tiny_patch16_224",
    "image_size": 32,
    "arguments": {"patch_size": 16, "embed_dim": 16, "depth": 2, "num_heads": 2},
}
REGIONS: dict[str, Any] = {"input": "regions"}

GIVEN: dict[tuple[str, str], dict[str, Any] | Callable[..., dict[str, Any]]] = {
    ("image_encoder", "timm"): {"options": VIT},
    ("image_encoder", "attention_pool"): {"options": VIT},
    ("image_encoder", "queries"): {"options": {**VIT, "queries": 3, "heads": 2}},
    ("image_encoder", "local_vit"): {"options": {**VIT, "local_blocks": 1}},
    ("decoder", "flamingo"): {"options": {"gate": 1.0}},  # closed, as they begin, nothing is read of the picture
    ("rows", "tags"): REGIONS,
    ("rows", "tag_texts"): REGIONS,
    ("rows", "mixed"): lambda at: {"options": {"mixer": {"part": "cmc", "gallery": str(at.gallery)}}},
    ("rows", "regions"): {"options": {"patch": 8}},
    ("mixer", "cmc"): lambda at: {"options": {"gallery": str(at.gallery)}},
    # With flat chances a rounding of bf16 draws other captions, which have other rewards.
    ("objective", "scst"): {"options": {"length": 6, "samples": 8, "baseline": "samples", "temperature": 0.3}},
    ("tokenizer", "wordpiece"): {"options": {"texts": WORDS}},
    ("tokenizer", "bpe"): lambda at: {"options": {"vocab": at.vocab("bpe")}},
    ("tokenizer", "sentencepiece"): lambda at: {"options": {"vocab": at.vocab("sentencepiece")}},
    ("task", "captioning"): {"objectives": {"lm": {}}, "parts": {"decoder": {"reads": "image", "max_length": 20}}},
    ("task", "vqa"): {"objectives": {"answer": {}}, "data": Drawn(asks=True)},
    ("task", "gqa"): lambda at: {"objectives": {"answer": {}}, "data": at.once(ScenesVqa(at.scenes, split="test"))},
    ("task", "nlvr2"): lambda at: {
        "objectives": {"classify": {"images": 2}},
        "data": ScenesNlvr2(at.scenes, split="test"),
    },
    ("task", "nlvr"): lambda at: {"objectives": {"classify": {}}, "data": at.one(ScenesNlvr2(at.scenes, split="test"))},
    ("task", "snli-ve"): lambda at: {"objectives": {"classify": {}}, "data": at.source("scenes-snli-ve")},
    ("task", "grounding"): lambda at: {"data": ScenesRefCoco(at.scenes, split="test")},
    ("task", "hard-negatives"): {"data": kit.Wrong(Drawn())},
    ("task", "winoground"): {"data": kit.Crossed(Drawn())},
    ("task", "vsr"): {"data": kit.Stated(Drawn())},
    ("adapter", "timm"): lambda at: at.timm_weights(),
    ("adapter", "clip"): lambda at: at.transformers("clip"),
    ("adapter", "siglip"): lambda at: at.transformers("siglip"),
    ("adapter", "vilt"): lambda at: at.transformers("vilt"),
    ("adapter", "git"): lambda at: at.transformers("git"),
    ("adapter", "blip"): lambda at: at.transformers("blip"),
    ("agreement", "transformers"): lambda at: {"goldens": [at.configs / "clip" / "config.json"]},
    ("detector", "annotations"): {
        "options": {"encoder": {"part": "patch", "width": 8, "patch": 8, "image_size": 32}, "size": 32, "device": "cpu"}
    },
    ("detector", "torchvision"): lambda at: {"options": at.rcnn()},
    ("detector", "precomputed"): lambda at: {"options": {"files": str(at.found())}},
}
"""What an author would give beside the part: options, files, a task's data."""

ELSEWHERE = ("data", "adapter", "model_family")
"""Kinds whose parts read files of their own form: their own tests write these, and try the part on them."""
SKIPPED = {("detector", "detectron2"): "detectron2"}
"""Parts that need a package which may be missing."""

TRIED = [
    part
    for part in registry()
    if part.kind not in ELSEWHERE
    or (part.kind == "data" and part.name.startswith("scenes"))
    or (part.kind, part.name) in GIVEN
]


@pytest.fixture(scope="session")
def at(tmp_path_factory, tokenizers):
    """Files that parts read."""
    return Files(tmp_path_factory.mktemp("contracts"), tokenizers)


class Files:
    """A small corpus, a gallery, vocabularies, a detector's weights."""

    def __init__(self, folder: Path, tokenizers: dict[str, Any]) -> None:
        self.folder, self.tokenizers = folder, tokenizers
        self.scenes = folder / "scenes"
        make_scenes(self.scenes, Sizes.split(12, 4, 8), seed=3, workers=1)

    @property
    def gallery(self) -> Path:
        from vlzoo_vlmixer.shards import Found as Seen
        from vlzoo_vlmixer.shards import Header, write_shard

        folder = self.folder / "gallery"
        if not folder.exists():
            Header({"name": "coco/train"}, {"part": "made"}, 2, 2).write(folder)
            found = [Seen("coco", str(n), f"pictures/{n}.jpg", self.features(n, (*SHAPES, *COLOURS))) for n in range(2)]
            write_shard(folder, 0, found, 4)
        return folder

    def features(self, number: int, labels: tuple[str, ...]):
        rng = np.random.default_rng(number)
        boxes = np.sort(rng.random((len(labels), 2, 2), np.float32), axis=1).reshape(-1, 4)
        scores = np.full(len(labels), 0.9, np.float32)
        return vlzoo.Features(rng.random((len(labels), 4), np.float32), boxes, labels, scores, (20, 10))

    def vocab(self, name: str) -> str:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        self.tokenizers[name].save(folder)
        return str(folder)

    def source(self, name: str):
        return registry().build("data", name, root=str(self.scenes), split="test")

    def once(self, source):
        from dataclasses import replace

        return Changed(source, lambda sample: replace(sample, answers=sample.answers[:1]))

    def one(self, source):
        from dataclasses import replace

        return Changed(source, lambda sample: replace(sample, images=sample.images[:1]))

    def rcnn(self) -> dict[str, Any]:
        from vlzoo_vlmixer.rcnn import Facts, build_rcnn, save_rcnn

        file = self.folder / "small.safetensors"
        if not file.exists():
            torch.manual_seed(0)
            facts = Facts("small", ("ball", "box"), 64)
            save_rcnn(file, build_rcnn(facts), facts)
        return {"weights": str(file), "least": 0.01, "most": 4, "device": "cpu"}

    def timm_weights(self) -> dict[str, Any]:
        """The weights of a timm model, and a system that has one like it."""
        encoder = registry().build("image_encoder", "timm", **VIT)
        model = Model(encoder, registry().build("text_encoder", "embedding", vocab=9, width=16))
        return {"state": dict(encoder.model.state_dict()), "system": System(model, {}, {})}

    configs = Path(__file__).resolve().parents[1] / "fixtures" / "transformers"

    def transformers(self, name: str) -> dict[str, Any]:
        """The weights of a small model of transformers."""
        from vlzoo.agree.transformers_twins import random_model

        return {"state": random_model(self.configs / name / "config.json").state_dict()}

    def found(self) -> Path:
        def packed(values):
            return base64.b64encode(np.asarray(values, np.float32)).decode()

        rows = []
        for number in range(3):
            size = shown(number).image.open().size
            rows.append([f"picture-{number}", *map(str, size), "1", packed([[0, 0, 9, 9]]), packed([[1, 2, 3]])])
        file = self.folder / "found.tsv"
        file.write_text("".join("\t".join(row) + "\n" for row in rows))
        return file


class Changed:
    """A source with each sample changed."""

    def __init__(self, source: Any, change: Callable[[Any], Any]) -> None:
        self.source, self.change, self.name = source, change, source.name

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row: int) -> Any:
        return self.change(self.source[row])

    def __iter__(self) -> Any:
        return (self[row] for row in range(len(self)))

    def fingerprint(self) -> str:
        return str(self.source.fingerprint())


@cache
def goldens(folder: Path) -> list[Found]:
    """All goldens, with the agreements that read them."""
    return list(discover(folder, load_agreements(registry().of("agreement"))[0]))


def golden(name: str, shared: Path) -> Path:
    """The smallest golden that an agreement reads."""
    read = [each.path for each in goldens(shared / "goldens") if name in each.agreements]
    return min(read, key=lambda path: path.stat().st_size)


@pytest.fixture(scope="session")
def watched():
    """All modules of all parts, imported in two processes: a part's own check finds what was seen."""
    watch([Case.of(part.kind, part.qualified) for part in TRIED])


def test_there_is_a_check_for_every_kind():
    """A new kind needs a check: `vlzoo.testing.check_KIND`."""
    assert {f"check_{kind}" for kind in KINDS} == set(vlzoo.testing.__all__) - {"ContractError"}
    assert all(callable(getattr(vlzoo.testing, name)) for name in vlzoo.testing.__all__)
    documented = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert all(f"`check_{kind}`" in documented for kind in KINDS)


@pytest.mark.parametrize("part", TRIED, ids=[f"{part.kind}/{part.name}" for part in TRIED])
def test_a_part_keeps_to_what_its_kind_promises(part, at, watched, request):
    if (needed := SKIPPED.get((part.kind, part.name))) and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed; the plugin's own test runs this one on its interface")
    given = GIVEN.get((part.kind, part.name), {})
    given = given(at) if callable(given) else given
    if part.kind == "data":
        given = {"options": {"root": str(at.scenes), "split": part.load().splits[-1]}}
    if part.kind == "agreement" and not given:
        given = {"goldens": [golden(part.qualified, request.getfixturevalue("shared"))]}
    getattr(vlzoo.testing, f"check_{part.kind}")(part.qualified, **given)


@pytest.mark.parametrize("part", registry().of("objective"), ids=lambda part: part.name)
def test_an_objective_says_what_its_loss_is_made_of(part):
    """A stranger's may log nothing; of ours the curves show the parts."""
    given = GIVEN.get(("objective", part.name), {})
    trial = Trial.of(Case.of("objective", part.qualified, given.get("options")))
    assert trial.loss(trial.step()).parts


def test_what_is_not_tried_here_is_tried_where_its_files_are(root):
    """By its name, in some test: `check_data("coco", ...)`."""
    files = [file for place in ("tests", "plugins") for file in (root / place).rglob("test_*.py")]
    texts = "".join(file.read_text(encoding="utf-8") for file in files)
    tried = set(re.findall(r"\bcheck_(\w+)\(\s*\"([\w.-]+)\"", texts))
    left = [part for part in registry() if part not in TRIED and (part.kind, part.name) not in tried]
    assert [f"{part.kind}/{part.name}" for part in left] == []
