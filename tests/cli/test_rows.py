"""A plugin's rows by the command line: trained, stopped and resumed, benched; and data that lack what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PLUGIN = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.rows("areas", "row_parts:Regions", summary="rows are regions, several of one picture")
    registry.rows("two-views", "row_parts:TwoViews", summary="a pair whose teacher sees another crop")
    registry.objective("stop", "row_parts:Stop", summary="ends the process where it is told to")
"""

PARTS = '''
import math
import os
import signal
from dataclasses import dataclass, replace

import torch

from vlzoo import Batch, Loss, Objective
from vlzoo.augment.boxes import inside
from vlzoo.batch import View
from vlzoo.data.pairs import Pairs
from vlzoo.hashing import number_of


@dataclass
class Boxed:
    """One sample's picture with some of its regions."""

    sample: object
    levels: object
    regions: list


class Regions(Pairs):
    """Regions of pictures as rows, a fixed number of them (X-VLM).

    Args:
        count: rows of a batch.
        most: regions of one picture.
        patch: side of a cell in pixels.
    """

    def __init__(self, *, count: int = 12, most: int = 3, patch: int = 16):
        super().__init__()
        self.count, self.most, self.patch = count, most, patch

    def plan(self, plan, pairing):
        super().plan(plan, pairing)
        plan.main_image = ("region",)

    def whole(self):
        return Pairs()

    def texts(self, sample):
        return [region.text for region in sample.regions]

    def make(self, sample, visit):
        chosen = visit.rng.permutation(len(sample.regions))[: self.most]
        regions = [sample.regions[place] for place in chosen]
        look = visit.look(sample.images[0], [each.text for each in regions], [each.box for each in regions])
        side, kept = len(look.seen), []
        for place, text, box in zip(chosen, look.texts, look.boxes):
            box, share = inside(box, side, side)
            if share > 0.3:
                kept.append((int(place), text, box))
        return Boxed(sample, look.seen, kept)

    def rows(self, items):
        real = [(number, *region) for number, item in enumerate(items) for region in item.regions][: self.count]
        return real, [real[n % len(real)] for n in range(self.count - len(real))]

    def samples(self, items):
        real, padding = self.rows(items)
        return [items[number].sample for number, *_ in (*real, *padding)]

    def collate(self, items, collator):
        real, padding = self.rows(items)
        rows = [*real, *padding]
        names = [f"{items[number].sample.name}/{place}" for number, place, _, _ in real]
        names += [f"padding/{n}" for n in range(len(padding))]
        clean = [collator.clean(text) for _, _, text, _ in rows]
        side = len(items[0].levels)
        cells = torch.stack([self.cells(box, side) for *_, box in rows])
        return Batch(
            key=torch.tensor([number_of(name) for name in names]),
            names=names,
            images={"image": collator.pictures([item.levels for item in items])},
            texts={"text": collator.tokenise(clean)},
            views={"region": View(rows=torch.tensor([number for number, *_ in rows]), cells=cells)},
            image_id=torch.tensor([number_of(f"{items[n].sample.name}/{place}") for n, place, _, _ in rows]),
            text_id=torch.tensor([number_of(text) for text in clean]),
        )

    def cells(self, box, side):
        across = side // self.patch
        x, y, width, height = box
        grid = torch.zeros(across, across, dtype=torch.bool)
        left, top = (min(int(edge // self.patch), across - 1) for edge in (x, y))
        right, bottom = (math.ceil(edge / self.patch) for edge in (x + width, y + height))
        grid[top : max(bottom, top + 1), left : max(right, left + 1)] = True
        return grid.flatten()


class TwoViews(Pairs):
    """Two crops of each picture; the teacher sees the second (TCL)."""

    def plan(self, plan, pairing):
        super().plan(plan, pairing)
        plan.teacher_image = ("other",)

    def whole(self):
        return Pairs()

    def make(self, sample, visit):
        item = super().make(sample, visit)
        second = visit.look(sample.images[0], [item.text])
        return replace(item, levels=[*item.levels, second.seen])

    def pictures(self, items, collator):
        named = super().pictures(items, collator)
        return {"image": named["image"], "other": named["image1"]}


class Stop(Objective):
    """No loss: ends the process after step 6 where VLZOO_TEST_DO says so."""

    def forward(self, step):
        assert set(step.batch.images) <= {"image", "other"}
        total = step.image_embed().sum() * 0
        return Loss(total, {"rows": torch.tensor(float(len(step)))})

    def after_step(self, step):
        if os.environ.get("VLZOO_TEST_DO") and step.draws.step == 6:
            os.kill(os.getpid(), signal.SIGKILL)
'''

ROWS = {
    "areas": "rows: {part: areas, count: 12}\ndata: {part: scenes-regions, root: scenes, split: train}\n",
    "two-views": "rows: two-views\n",
}
MEASURED = ["--data", "scenes", "--protocol", "itm", "--json-file", "figures.json"]


@pytest.fixture
def rows(zoo):
    """The tiny recipe's folder, with the plugin and a recipe over each of its parts."""
    zoo.write("rows_plugin.py", PLUGIN)
    zoo.write("row_parts.py", PARTS)
    for name, text in ROWS.items():
        zoo.write(f"{name}.yaml", f"extends: micro.yaml\n{text}objectives: {{stop: {{}}}}\n")
    return zoo


def call(zoo, *args: str, **env: str):
    return zoo.run("--plugin", "rows_plugin.py", *args, **env)


def kept(run: Path) -> dict[str, bytes]:
    """Everything in the last checkpoint, by file."""
    (folder,) = (run / "checkpoints").iterdir()
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.safetensors"))}


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ROWS)
def test_a_plugins_rows_are_trained_resumed_and_measured(rows, name):
    whole = call(rows, "pretrain", f"{name}.yaml", "--out", "whole")
    assert whole.code == 0, whole.err
    assert call(rows, "pretrain", f"{name}.yaml", "--out", "broken", VLZOO_TEST_DO="SIGKILL").code == -9
    resumed = call(rows, "pretrain", f"{name}.yaml", "--out", "broken", "--resume", "--set", "train.workers=2")
    assert resumed.code == 0, resumed.err
    assert "going on from step 4 of 10" in resumed.err
    assert kept(rows.folder / "whole") == kept(rows.folder / "broken") != {}
    lines = metrics(rows.folder / "whole")
    assert {row["rows"] for row in lines} == {12.0 if name == "areas" else 8.0}
    assert {"itc", "itm", "mlm"} <= set(lines[0])
    measured = call(rows, "bench", "retrieval", "--run", "whole", *MEASURED)
    assert measured.code == 0, measured.err
    assert json.loads((rows.folder / "figures.json").read_text())[0]["protocol"] == "retrieval/itm"


def test_another_view_for_the_teacher_is_another_loss(rows, trained):
    """The student's first step is the same but for its teacher: what is drawn after the first crop touches no row."""
    assert call(rows, "pretrain", "two-views.yaml", "--out", "run", "--set", "train.log_every=1").code == 0
    call(rows, "pretrain", "micro.yaml", "--out", "plain", "--set", "train.log_every=1")
    ours, plain = metrics(rows.folder / "run")[0], metrics(rows.folder / "plain")[0]
    assert ours["itc"] != plain["itc"]
    assert ours["mlm"] == plain["mlm"]  # alpha is 0 at first: no teacher


def test_the_part_shows_its_options_and_is_checked(rows):
    shown = call(rows, "show", "rows/pairs").out
    assert "equal_texts" in shown and "'alike'" in shown
    rows.write("wrong.yaml", "extends: micro.yaml\nrows: {part: areas, cuont: 3}\n")
    checked = call(rows, "check", "wrong.yaml")
    assert checked.code == 2
    assert "rows.cuont: rows 'areas' takes no option 'cuont'" in checked.err and "'count'" in checked.err
    assert call(rows, "check", "micro.yaml", "--set", "rows=pears").code == 2


UNITER = """\
extends: micro.yaml
model:
  image_encoder: {part: regions, features: 16, width: 16, dropout: 0.0}
  fusion: {part: merged, layers: 1, width: 16, heads: 2, intermediate: 32}
data: {part: scenes, split: train, features: 16}
bench: {data: {part: scenes, split: test, features: 16}, k: 4, batch: 16}
"""


def test_a_model_of_region_features_is_trained_resumed_and_measured(rows):
    rows.write("uniter.yaml", UNITER + "objectives: {stop: {}}\n")
    whole = call(rows, "pretrain", "uniter.yaml", "--out", "whole")
    assert whole.code == 0, whole.err
    assert call(rows, "pretrain", "uniter.yaml", "--out", "broken", VLZOO_TEST_DO="SIGKILL").code == -9
    resumed = call(rows, "pretrain", "uniter.yaml", "--out", "broken", "--resume")
    assert resumed.code == 0, resumed.err
    assert kept(rows.folder / "whole") == kept(rows.folder / "broken") != {}
    measured = call(rows, "bench", "retrieval", "--run", "whole", "--json-file", "figures.json")
    assert measured.code == 0, measured.err
    figures = json.loads((rows.folder / "figures.json").read_text())
    assert figures[0]["samples"] == 6
    bare = call(rows, "bench", "retrieval", "--run", "whole", "--data", "scenes")
    assert bare.code == 2
    assert "the image encoder reads region features, and this data gives pictures alone" in bare.err


def test_pictures_without_region_features_are_refused_before_the_folder_is_made(zoo):
    zoo.write("uniter.yaml", UNITER.replace("split: train, features: 16", "split: train"))
    result = zoo.run("pretrain", "uniter.yaml", "--out", "run")
    assert result.code == 2
    assert "the image encoder reads region features, and this data gives pictures alone" in result.err
    assert "scenes: `features:` and the encoder's width" in result.err
    assert not (zoo.folder / "run").exists()


LACKING = {
    "photos": (
        "{part: scenes-images, root: scenes}",
        ["itc", "mlm"],
        "objective mlm reads texts, and the data of stream 'photos'",
    ),
    "halves": (
        "{part: mixture, file: halves.yaml, root: .}",
        ["mlm"],
        "objective mlm reads texts, and the data of stream 'halves', halves (pairing: image), hold pictures alone",
    ),
    "words": (
        "{part: scenes-texts, root: scenes}",
        ["itm"],
        "objective itm reads pictures, and the data of stream 'words'",
    ),
}


@pytest.mark.parametrize("name", LACKING)
def test_data_that_lack_what_an_objective_reads_are_refused_by_name(zoo, name):
    data, objectives, said = LACKING[name]
    zoo.write("halves.yaml", "name: halves\npairing: image\nparts:\n  a: {part: scenes, root: scenes, take: images}\n")
    data = data.replace("halves.yaml", str(zoo.folder / "halves.yaml"))
    recipe = (
        f"extends: micro.yaml\ndata: null\nstreams:\n  - {{name: {name}, data: {data}, objectives: {objectives}}}\n"
    )
    zoo.write("lacking.yaml", recipe)
    result = zoo.run("pretrain", "lacking.yaml", "--out", "run")
    assert result.code == 2
    assert said in result.err, result.err
    assert not (zoo.folder / "run").exists()
    checked = zoo.run("check", "lacking.yaml")
    # What a mixture holds stands in its file; that itm mines negatives, only its plan says.
    assert checked.code == (2 if name == "photos" else 0)
    if name == "photos":
        assert said in checked.err and "objective itc reads texts" in checked.err


@pytest.mark.parametrize("pairs", ["negative", "wrong_text"])
@pytest.mark.parametrize("image", ["", "own"])
def test_who_reads_mined_pairs_of_data_without_pictures_is_refused_by_name(rows, pairs, image):
    """Of whichever view, and of pairs of either kind: only the objective's plan says it."""
    parts = (rows.folder / "row_parts.py").read_text(encoding="utf-8")
    planned = f"""
    def plan(self, plan):
        plan.read("cls", image={image!r}, pairs={pairs!r})
"""
    rows.write("row_parts.py", f"{parts}{planned}")
    words = "{name: words, data: {part: scenes-texts, root: scenes}, objectives: [stop]}"
    rows.write("mined.yaml", f"extends: micro.yaml\ndata: null\nobjectives: {{stop: {{}}}}\nstreams: [{words}]\n")
    result = call(rows, "pretrain", "mined.yaml", "--out", "run")
    assert result.code == 2
    assert "objective stop reads pictures, and the data of stream 'words'" in result.err, result.err


def test_a_stream_of_texts_alone_is_trained_beside_one_of_pairs(zoo):
    fusion = "model: {fusion: {part: merged, layers: 1, width: 16, heads: 2, intermediate: 32}}\n"
    streams = "streams:\n  - {name: pairs, data: {part: scenes, split: train}}\n"
    streams += "  - {name: words, data: {part: scenes-texts, root: scenes}, objectives: [mlm]}\n"
    zoo.write("two.yaml", f"extends: micro.yaml\ndata: null\n{fusion}{streams}train: {{epoch_of: pairs}}\n")
    result = zoo.run("pretrain", "two.yaml", "--out", "run")
    assert result.code == 0, result.err
    assert all(row["words/mlm"] > 0 for row in metrics(zoo.folder / "run"))


def test_workers_in_any_number_mask_the_same_words(zoo):
    """What is masked shows in the loss of every step."""
    masked = ["--set", "objectives={mlm: {}}", "--set", "train.log_every=1"]
    for workers in (0, 1, 3):
        result = zoo.pretrain(f"run{workers}", *masked, "--set", f"train.workers={workers}")
        assert result.code == 0, result.err
    losses = [[row["mlm"] for row in metrics(zoo.folder / f"run{workers}")] for workers in (0, 1, 3)]
    assert losses[0] == losses[1] == losses[2]
    assert len(set(losses[0])) == 10
