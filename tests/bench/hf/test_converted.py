"""A model of transformers and the run that it is converted to: the same scores, so the same figures."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import vlzoo
from vlzoo.bench.engine import load_run
from vlzoo.bench.hf.load import load_foreign
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.data.images import FileImage
from vlzoo.door.plugins import registry
from vlzoo.runs.run import Run
from vlzoo.task import Effort
from vlzoo.weights.convert import Conversion, convert


@pytest.fixture(scope="module")
def folders(saved, tmp_path_factory):
    """A model's folder, with weights that tell pictures apart, and the run that it is converted to."""
    base = tmp_path_factory.mktemp("converted")

    def both(name: str):
        folder, run = base / name, base / f"{name}-run"
        if not folder.exists():
            shutil.copytree(saved(name), folder)
            torch.manual_seed(0)
            state = load_file(folder / "model.safetensors")
            loud = {
                key: torch.randn_like(each) / each[0].numel() ** 0.5 for key, each in state.items() if each.ndim > 1
            }
            save_file({**state, **loud}, folder / "model.safetensors", metadata={"format": "pt"})
            convert(Conversion(name, str(folder), run), lambda _line: None)
        return folder, run

    return both


class AtItsSize:
    """A source whose pictures are those that the models see: Pillow's resizing and torchvision's differ by a level."""

    def __init__(self, source, folder):
        self.source, self.folder, self.name = source, folder, source.name

    def __len__(self):
        return len(self.source)

    def __getitem__(self, row):
        sample, file = self.source[row], f"{row}.png"
        sample.images[0].open().resize((32, 32)).save(self.folder / file)
        return replace(sample, images=(FileImage(str(self.folder), file),))

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def __getattr__(self, name):
        return getattr(self.source, name)


def scores(engine, source, protocol):
    task = registry().build("task", "retrieval", protocol=protocol, k=None)
    rows = {row["name"]: row for rows in task.predict(engine, source, frozenset(), Effort(batch=3)) for row in rows}
    captions = Captions.of(source)
    figures = {score.metric: score.value for score in task.score(source, rows).scores}
    return matrices(captions.names, captions.texts, rows, protocol), figures


PROTOCOLS = [("clip", "itc"), ("siglip", "itc"), ("blip", "itc"), ("blip", "itm"), ("vilt", "itm")]


@pytest.mark.parametrize(("name", "protocol"), PROTOCOLS)
def test_retrieval_of_the_run_is_that_of_the_folder(name, protocol, folders, sources, tmp_path):
    source, device = AtItsSize(sources["retrieval"], tmp_path), torch.device("cpu")
    folder, run = folders(name)
    theirs, wanted = scores(load_foreign(folder, device=device), source, protocol)
    ours, figures = scores(load_run(run, device=device), source, protocol)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)
    assert figures == wanted


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_run_is_a_run_like_any_other(name, folders):
    run = Run(folders(name)[1])
    card = run.card()
    assert card.kind == "pretrain" and not any("missing" in line or "unexpected" in line for line in card.report)
    recipe = run.recipe()
    assert recipe.tokenizer.clean is False and recipe.bench.model_dump()["retrieval"] == {"protocol": "itc"}
    model = vlzoo.load(str(run.folder))
    assert model.encode(texts=["a cat", "two dogs!"]).texts.shape[0] == 2
