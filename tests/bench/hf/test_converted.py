"""A model of transformers and the run that it is converted to: the same scores, so the same figures."""

from __future__ import annotations

import json
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
from vlzoo.errors import CheckpointError, DataError
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
            convert(Conversion(name.partition("-")[0], str(folder), run), lambda _line: None)
        return folder, run

    return both


class AtItsSize:
    """The first samples of a source, with pictures as the models see them: Pillow and torchvision resize otherwise."""

    def __init__(self, source, folder, most=1000):
        self.source, self.folder, self.most, self.name = source, folder, most, source.name

    def __len__(self):
        return min(self.most, len(self.source))

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


def answered(engine, source, state, mode):
    task = registry().build("task", "vqa", mode=mode)
    task.restore(state)
    return {row["name"]: row for rows in task.predict(engine, source, frozenset(), Effort(batch=3)) for row in rows}


@pytest.mark.parametrize(("name", "mode"), [("vilt-vqa", "classify"), ("blip-vqa", "generate")])
def test_answers_of_the_run_are_those_of_the_folder(name, mode, folders, sources, tmp_path):
    most = 24 if mode == "generate" else 1000  # words are written one by one, which is slow
    source, device = AtItsSize(sources["vqa"], tmp_path, most), torch.device("cpu")
    folder, run = folders(name)
    wanted = answered(load_foreign(folder, device=device), source, {}, mode)
    ours = answered(load_run(run, device=device), source, Run(run).task_state() or {}, mode)
    assert {key: row["answer"] for key, row in ours.items()} == {key: row["answer"] for key, row in wanted.items()}
    assert len({row["answer"] for row in wanted.values()}) > 1
    for key, row in wanted.items():
        assert ours[key]["mode"] == mode
        assert "score" not in row or ours[key]["score"] == pytest.approx(row["score"], abs=1e-4)


def test_a_vilt_knows_its_answers_and_a_blip_writes_them(folders):
    vilt, blip = (Run(folders(name)[1]) for name in ("vilt-vqa", "blip-vqa"))
    assert vilt.task_state() == {"answers": ["yes", "no", "2"]}  # id2label, in its order
    options = vilt.recipe().active["classify"].options
    assert (options["head"], options["loss"]) == ("mlp", "binary")
    assert blip.recipe().bench.model_dump()["vqa"]["mode"] == "generate"
    assert blip.recipe().active["answer"].options == {"start": "[DEC]"}
    for run in (vilt, blip):
        assert run.recipe().task == run.card().kind == "vqa"
        assert not any("missing" in line or "unexpected" in line for line in run.card().report)


def test_a_blip_ranks_a_list_where_it_is_given_one(saved, sources, tmp_path):
    """The best of two stages is the answer with the largest sum of log-probabilities, from [DEC] on."""
    listed = tmp_path / "answers.json"
    listed.write_text(json.dumps(["a", "b c", "1 2"]))
    convert(Conversion("blip", str(saved("blip-vqa")), tmp_path / "run", answers=listed), lambda _line: None)
    engine, source = load_run(tmp_path / "run", device=torch.device("cpu")), AtItsSize(sources["vqa"], tmp_path)
    rows = answered(engine, source, Run(tmp_path / "run").task_state(), "rank")
    (samples, batch), *_ = engine.batches(source, 1)
    model, special = engine.system.model, engine.system.model.special
    with torch.no_grad():
        memory = model.decoder.prepare(engine.offered("answers").memory(engine.step(batch)))
        scores = {}
        for text in ("a", "b c", "1 2"):
            words = engine.tokenizer.encode(text, sep=True)[1:]
            ids = torch.tensor([[special["[DEC]"], *words]])
            gain_LV = model.decoder(ids, ids >= 0, memory)[0].log_softmax(-1)
            scores[text] = float(sum(gain_LV[place, word] for place, word in enumerate(words)))
    row = rows[samples[0].name]
    assert row["answer"] == max(scores, key=scores.get)
    assert row["score"] == pytest.approx(scores[row["answer"]], abs=1e-4)


def convert_changed(name, saved, tmp_path, answers=None, change=None):
    folder = tmp_path / "folder"
    shutil.copytree(saved(name), folder)
    if change:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **change}))
    if answers is not None:
        (tmp_path / "answers.json").write_text(json.dumps(answers))
    given = None if answers is None else tmp_path / "answers.json"
    convert(Conversion(name.partition("-")[0], str(folder), tmp_path / "run", answers=given), lambda _line: None)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("vilt-unnamed", {}, "its head has 2 classes, and nothing says what they are called"),
        ("vilt-vqa", {"answers": ["yes", "no"]}, "its head has 3 classes, and the list 2 answers"),
        ("vilt-vqa", {"change": {"id2label": {"0": "a", "1": "a", "2": "b"}}}, "entry 1 of the answer list is 'a'"),
        ("vilt-vqa", {"change": {"id2label": {"0": "yes", "7": "no"}}}, "their numbers are not 0 to 1"),
        ("blip-vqa-cls", {}, r"its decoder begins with id 2, and \[DEC\] is 78 in its tokenizer"),
    ],
)
def test_what_does_not_fit_is_said(name, given, said, saved, tmp_path):
    with pytest.raises((CheckpointError, DataError), match=said):
        convert_changed(name, saved, tmp_path, **given)
    assert not (tmp_path / "run").exists()


def test_answers_that_nobody_named_are_told(saved, tmp_path):
    convert_changed("vilt-unnamed", saved, tmp_path, answers=["left", "right"])
    assert Run(tmp_path / "run").task_state() == {"answers": ["left", "right"]}
