"""The "use it so" of the docstrings works as written: every `>>>` in the package is run."""

from __future__ import annotations

import ast
import doctest
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vlzoo
from vlzoo.batch import Batch, Text
from vlzoo.bench.labeller import labeller
from vlzoo.config.check import load
from vlzoo.data.features import Features
from vlzoo.data.images import BytesImage
from vlzoo.data.pairs import Item
from vlzoo.data.records import Sample, Shown
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.data.visit import Visit
from vlzoo.models.assemble import SPECIAL, build_system
from vlzoo.models.decoder import CausalDecoder
from vlzoo.models.teacher import Teacher
from vlzoo.runs.checkpoint import tensors_of
from vlzoo.runs.run import Run
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.tokenizer import Tokenizer

PACKAGE = Path(vlzoo.__file__).parent
MODULES = sorted(
    ".".join(("vlzoo", *file.relative_to(PACKAGE).with_suffix("").parts))
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@dataclass
class Source:
    """A data source of two texts."""

    name = "two/train"
    pairing = "text"
    licence = "CC0"

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return Sample(name=f"two/{index}", texts=("a red square", "a blue circle")[index : index + 1])

    def __iter__(self):
        return (self[index] for index in range(2))

    def fingerprint(self):
        return "two"


def saved(folder: Path, tokenizer: Tokenizer) -> Path:
    """A run of albef-tiny that was never trained."""
    checked = load("albef-tiny")
    system = build_system(checked.recipe, vocab=tokenizer.vocab, special=tokenizer.special)
    run = Run(folder)
    run.describe(checked, "resolved", {})
    run.keep_tokenizer(tokenizer)
    run.save(1, {"system": tensors_of(system)}, {"step": 1, "steps": 1, "scaler": {}}, keep=1)
    return folder


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> dict[str, Any]:
    """What examples speak of without saying where it is from: albef-tiny and a batch of four pairs."""
    torch.manual_seed(0)
    recipe = load("albef-tiny").recipe
    system = build_system(recipe, vocab=50)
    ids_BL = torch.randint(5, 50, (4, 6))
    ids_BL[:, 0] = SPECIAL["cls"]
    special_BL = torch.arange(6).expand(4, 6) == 0
    texts = {"text": Text(ids_BL, torch.ones_like(special_BL), special_BL)}
    images = {"image": torch.randn(4, 3, 64, 64)}
    batch = Batch(torch.arange(4), [f"sample {row}" for row in range(4)], images, texts, image_id=torch.arange(4))
    plan = Plan().gather(system.named_objectives())
    data_root = tmp_path_factory.mktemp("data")
    make_scenes(data_root / "scenes", Sizes.split(12, 4, 4), seed=3, workers=1)
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "square", "blue", "circle"])
    return {
        "folder": tmp_path_factory.mktemp("examples"),
        "data_root": data_root,
        "recipe": recipe,
        "tokenizer": tokenizer,
        "labeller": labeller,
        "Features": Features,
        "Shown": Shown,
        "image": BytesImage("a picture", b""),
        "system": system,
        "batch": batch,
        "step": Step(batch, system.model, teacher=Teacher(system), plan=plan, alpha=0.4),
        "decoder": CausalDecoder(width=96, layers=1, heads=4, intermediate=96, vocab=50, memory_width=96),
        "picture": Image.new("RGB", (8, 8)),
        "run": saved(tmp_path_factory.mktemp("run") / "albef-tiny", tokenizer),
        "vlzoo": vlzoo,
        "source": Source(),
        "Item": Item,
        "Visit": Visit,
        "torch": torch,
        "np": np,
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_work(name, things):
    found = doctest.testmod(import_module(name), extraglobs=dict(things))
    assert found.attempted > 0
    assert found.failed == 0


INTERFACES = [
    (module, node.name)
    for module in ("interfaces", "data_parts")
    for node in ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef)
]


@pytest.mark.parametrize(("module", "name"), INTERFACES)
def test_every_interface_shows_its_use(module, name):
    assert ">>> " in getattr(import_module(f"vlzoo.{module}"), name).__doc__
