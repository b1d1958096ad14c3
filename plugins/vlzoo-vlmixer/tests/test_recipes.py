"""The recipes: the published settings, no pair that leaks, and the tiny one by the command line, to the tasks."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from vlzoo_vlmixer import METHODS
from vlzoo_vlmixer.gallery import Gallery

from vlzoo.cli.main import run as vlzoo
from vlzoo.config.check import load
from vlzoo.config.finetune import task_recipe
from vlzoo.data.collate import Collator
from vlzoo.data.roots import open_source
from vlzoo.data.visit import Visit
from vlzoo.runs.run import Run
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.train.feeds import rows_of

TASKS = ("retrieval", "vqa", "nlvr2", "snli-ve")
ENCODER = (
    "{part: timm, name: test_resnet, arguments: "
    "{output_stride: 16, norm_layer: groupnorm1, stem_width: 8, channels: [16, 32, 64, 96]}}"
)


@pytest.mark.parametrize("name", METHODS)
def test_a_recipe_and_its_fine_tunings_are_whole(name):
    recipe = load(name).recipe
    assert recipe.paper and recipe.needs == ["vlzoo-vlmixer"]
    for task in (*TASKS, *(() if name.endswith("tiny") else ("gqa",))):
        tuned = task_recipe(task, load(name).tree).recipe
        boxes = {"boxes": True} if "visualbert" in name else {}
        assert tuned.task == task and tuned.rows.part == "tags" and tuned.data.part == "detected"
        assert tuned.rows.options.get("boxes", False) == boxes.get("boxes", False)
        assert set(tuned.active) == ({"itm"} if task == "retrieval" else {"classify"})


@pytest.mark.parametrize("name", ["coco", "cc3m", "full"])
def test_paper_size_is_the_papers(name):
    """Reference METHODS 4.1 and 4.4: 12 layers of 768, 80 and 100 tokens, 300k steps of 1024, 5e-5, tau, r, K."""
    recipe = load(f"vlmixer-{name}").recipe
    texts, images = recipe.streams
    mixer = texts.rows.options["mixer"]
    assert (recipe.model.fusion.options["layers"], recipe.model.fusion.options["width"]) == (12, 768)
    assert recipe.tokenizer.max_length == 80 and recipe.tokenizer.sep
    assert images.rows.options == {"pieces": 50, "regions": 50}
    assert (recipe.train.batch, recipe.train.lr, recipe.train.update) == (1024, 5e-5, "sum")
    assert recipe.train.samples == 300_000 * 2 * 1024
    assert (mixer["r_cmc"], mixer["r_ctx"], mixer["k"]) == (0.5, 0.5, 15)
    assert recipe.active["valp"].options["temperature"] == 0.1
    assert {ref.weight for ref in recipe.active.values()} == {1.0}
    assert (texts.objectives, images.objectives) == (["valp"], ["tavp"])


@pytest.mark.parametrize(
    ("task", "rate", "epochs", "batch", "text", "regions"),
    [
        ("vqa", 5e-5, 25, 32, 128, 50),
        ("gqa", 5e-5, 5, 48, 165, 45),
        ("nlvr2", 3e-5, 20, 72, 55, 40),
        ("retrieval", 2e-5, 30, 16, 70, 70),
    ],
)
def test_fine_tunings_are_oscars(task, rate, epochs, batch, text, regions):
    """Reference METHODS 4.7."""
    recipe = task_recipe(task, load("vlmixer-coco").tree).recipe
    train = recipe.train
    assert (train.lr, train.epochs, train.batch, train.weight_decay) == (rate, epochs, batch, 0.05)
    assert (recipe.tokenizer.max_length, recipe.rows.options["regions"]) == (text, regions)
    head = {"vqa": ("linear", "binary"), "gqa": ("linear", None)}.get(task)
    if head:
        options = recipe.active["classify"].options
        assert (options["head"], options.get("loss"), options["dropout"]) == (*head, 0.3)
    if task == "nlvr2":
        assert recipe.active["classify"].options["two_pass"] and train.warmup_samples == 10_000 * 72


def test_baselines_differ_from_vlmixer_in_what_they_leave_out():
    whole, bare = (load(f"{name}-coco").recipe for name in ("vlmixer", "vinvl-unpaired"))
    assert bare.streams[0].rows.options["mixer"]["r_cmc"] == 0 and bare.active["valp"].options["contrast"] is False
    assert bare.model == whole.model and bare.train == whole.train and bare.streams[1] == whole.streams[1]
    boxed = load("u-visualbert-coco").recipe
    assert boxed.streams[1].rows.options["boxes"] and boxed.model.text_encoder.options["boxes"]
    assert (boxed.train.draw, set(boxed.active)) == ("one", {"mlm", "tavp"})
    assert set(load("bert-unimodal").recipe.active) == {"mlm"}


def changes(*sizes: str) -> list[str]:
    return [word for size in sizes for word in ("--set", size)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Scenes with galleries of known boxes, and VLMixer trained on them for four steps, as a user would."""
    folder = tmp_path_factory.mktemp("vlmixer")
    assert vlzoo(["data", "make", "scenes", "--images", "60", "--seed", "0", "--out", str(folder / "scenes")]) == 0
    found = [("scenes-half", "mixture", ["--set", "data.file=scenes-half-objects"])]
    for kind, data in {"scenes": "scenes-objects", "scenes-premises": "scenes-premises"}.items():
        found += [(f"{kind}-{split}", data, ["--split", split]) for split in ("train", "test")]
    for name, data, more in found:
        given = ["--detector", "annotations", *changes("detector.size=64", f"detector.encoder={ENCODER}"), *more]
        out = ["--out", str(folder / "galleries" / name), "--data-root", str(folder)]
        assert vlzoo(["detect", "--images", data, *given, *out]) == 0
    assert pretrain(folder, "run") == 0
    return folder


def pretrain(folder, out: str, *more: str, method: str = "vlmixer-tiny") -> int:
    sizes = ("train.samples=64", "train.batch=8", "train.save_every=2", "train.keep=2", "train.log_every=1")
    where = ["--out", str(folder / out), "--data-root", str(folder)]
    return vlzoo(["pretrain", method, *where, *changes(*sizes, "train.warmup_samples=16", "train.workers=0"), *more])


def streams(folder):
    """The sources of both streams, and their rows, opened."""
    recipe = load("vlmixer-tiny").recipe
    rows = [rows_of(recipe, stream) for stream in recipe.streams]
    for each in rows:
        each.open(folder, 96)
    return [open_source(stream.data, folder) for stream in recipe.streams], rows


def test_no_pair_leaks_by_ids_and_by_counting(trained):
    """Texts name no picture; every picture that training reads, as a patch or whole, is of the other half."""
    (texts, images), (mixed, _) = streams(trained)
    whole = open_source(load("uniter-tiny").recipe.data, trained, features=0)
    owner = {text: sample.image_id for sample in whole for text in sample.texts}
    often = Counter(text for sample in whole for text in sample.texts)
    of_texts = {owner[text] for sample in texts for text in sample.texts if often[text] == 1}
    of_images = {sample.image_id.split("/")[-1] for sample in images}
    gallery: Gallery = mixed.mixer.gallery
    rows = np.concatenate([gallery.rows_of(number) for number in range(len(gallery.concepts))])
    of_patches = set(gallery.image_ids(rows))
    assert of_texts and of_patches and of_patches <= of_images
    assert not of_texts & of_images
    assert not any(sample.images or sample.image_id for sample in texts)
    assert not any(sample.texts or sample.answers for sample in images)
    # By counting: every picture is on one side and once, every caption is of a picture on the other.
    pictures = {sample.image_id for sample in whole}
    assert len(images) == len(of_images) < len(pictures)
    captions = [sample for sample in whole if sample.image_id not in of_images]
    assert len(texts) == len(captions) == len(whole) - sum(sample.image_id in of_images for sample in whole)
    assert Counter(text for sample in texts for text in sample.texts) == Counter(
        text for sample in captions for text in sample.texts
    )


def test_patches_are_told_apart_from_words_in_a_batch_of_the_recipe(trained):
    (texts, images), (mixed, tags) = streams(trained)
    words = sorted({word for sample in texts for text in sample.texts for word in text.lower().strip(".").split()})
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words], sep=True, max_length=40)
    items = [mixed.make(texts[row], Visit(row, epoch=0)) for row in range(8)]
    batch = Collator(tokenizer, mixed)(items)
    patches = batch.images["patches"]
    assert patches["features"].shape[2] == 96 and patches["mask"].sum(1).max() > 0
    lengths = batch.texts["mixed"].mask.sum(1) + patches["mask"].sum(1)
    assert int(lengths.max()) <= 40
    seen = Collator(tokenizer, tags)([tags.make(images[row], Visit(row, epoch=0, input="regions")) for row in range(4)])
    assert int(seen.texts["tags"].mask.sum(1).max()) <= 24 and set(seen.texts) == {"tags"}


def test_one_update_by_the_sum_of_both_streams(trained):
    rows = [row for row in Run(trained / "run").metrics() if "lr" in row]
    assert len(rows) == 4
    for row in rows:
        assert {"texts/valp", "texts/valp_mlm", "texts/valp_contrast", "images/tavp"} <= row.keys()
        assert row["texts/valp"] == pytest.approx(row["texts/valp_mlm"] + row["texts/valp_contrast"], rel=1e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_neither_a_resume_nor_workers_change_a_weight(trained, workers):
    """Bit for bit: the run that went on from its checkpoint of step 2, against the one without a break."""
    again = trained / f"again-{workers}"
    shutil.copytree(trained / "run", again)
    shutil.rmtree(Run(again).latest().folder)
    assert pretrain(trained, again.name, "--resume", "--set", f"train.workers={workers}") == 0
    ours, theirs = (Run(trained / name).latest() for name in (again.name, "run"))
    assert ours.step == theirs.step == 4
    one, other = ours.tensors("system"), theirs.tensors("system")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("task", TASKS)
def test_tasks_are_the_common_ones(trained, task, capsys):
    """Fine-tuned and measured by the common harness: retrieval over all pairs, whose cost is told before it begins."""
    small = changes("train.samples=16", "train.batch=8", "train.workers=0", "train.warmup_samples=8")
    root = ["--data-root", str(trained)]
    assert vlzoo(["finetune", task, "--from", str(trained / "run"), *root, *small]) == 0
    capsys.readouterr()
    assert vlzoo(["bench", task, "--run", str(trained / "run"), *root]) == 0
    told = capsys.readouterr()
    said = " ".join((told.out + told.err).split())  # however wide the terminal is said to be
    if task == "retrieval":
        assert "no contrast, so no first stage: all" in said and "TR R@1" in said
    elif task == "vqa":
        assert "predicted with mode classify" in said
    run = trained / "run" / "finetune" / task
    assert set(Run(run).recipe().active) == ({"itm"} if task == "retrieval" else {"classify"})


@pytest.mark.parametrize("method", ["vinvl-unpaired-tiny", "u-visualbert-tiny", "bert-unimodal-tiny"])
def test_tiny_baselines_train(trained, method):
    assert pretrain(trained, method, method=method) == 0
    last = [row for row in Run(trained / method).metrics() if "lr" in row][-1]
    assert not any("contrast" in name for name in last)


def test_a_gallery_of_another_width_is_told_before_the_run_folder_is_made(trained, capsys):
    capsys.readouterr()
    assert pretrain(trained, "wide", "--set", "model.image_encoder.features=128") == 2
    said = capsys.readouterr().err
    assert "96 wide" in said and "128" in said
    assert not (trained / "wide").exists()


def test_a_mixed_sentence_is_drawn(trained, capsys, tmp_path):
    gallery = ["--gallery", str(trained / "galleries" / "scenes-half")]
    call = ["explain", "--cmc", "Two circles left of a star", *gallery, "--set", "r_cmc=1", "--set", "k=3"]
    capsys.readouterr()
    assert vlzoo([*call, "--out", str(tmp_path / "m.png"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["word"] for each in told["replaced"]] == ["circles", "star"]
    assert all(len(each["patches"]) == 3 for each in told["replaced"])
    assert (tmp_path / "m.png").stat().st_size > 5000
    for more, sentence in (([], "two circles left of a star"), (["--no-clean"], "Two circles left of a star")):
        assert vlzoo([*call, *more, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sentence"] == sentence
    for wrong, said in (
        (["explain", "a.png", "a", "--no-clean", "--json"], "--no-clean belongs to --cmc"),
        (["explain", "--cmc", "a star", "--json"], "no gallery is given"),
        (["explain", "cat.png", "--cmc", "a star", *gallery, "--json"], "IMAGE and --cmc don't go together"),
        (["explain", "a.png", "a", *gallery, "--json"], "--gallery and --set belong to --cmc"),
        (["explain", "a.png", "a", "--json"], "no run is given"),
        ([*call, "--set", "r_cmcc=1", "--json"], "did you mean 'r_cmc'"),
        ([*call, "--set", "r_cmc", "--json"], "no value is given"),
        ([*call, "--mixer", "cmcc", "--json"], "no mixer called 'cmcc'"),
        (["explain", "--cmc", " . ", *gallery, "--json"], "has no word"),
    ):
        capsys.readouterr()
        assert vlzoo(wrong) == 2
        assert said in capsys.readouterr().err
