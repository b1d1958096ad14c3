"""Every recipe in zoo_configs opens with what it is and how to run it, passes `vlzoo check`, and names no machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlzoo.cli.main import COMMANDS
from vlzoo.config.check import load
from vlzoo.config.tree import leaves, read
from vlzoo.door.plugins import registry
from vlzoo.resources import zoo_configs

FILES = sorted(zoo_configs().rglob("*.yaml"))
IDS = [str(file.relative_to(zoo_configs())) for file in FILES]
RECIPES = [file for file in FILES if "data" not in file.relative_to(zoo_configs()).parts]
MACHINE = re.compile(
    r"(?<![\w.])(/(home|root|work|tmp|mnt|export|data|users|nfs)/|[A-Z]:\\|~/|hdfs://|s3://|file://)", re.IGNORECASE
)


def opening(file: Path) -> list[str]:
    """The comment lines that a file opens with, without their signs."""
    lines = file.read_text(encoding="utf-8").splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.lstrip("#").strip() for line in lines[:end]]


def test_the_method_that_all_others_are_compared_with_is_there():
    assert "methods/albef.yaml" in IDS


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_it_opens_with_what_it_is_and_the_command_that_runs_it(file):
    said = opening(file)
    assert said
    assert 10 <= len(said[0]) <= 120, said[0]
    commands = [line.removeprefix("Run:").strip() for line in said if re.match(r"(Run: )?vlzoo \w+", line)]
    assert commands, "no line of the opening comment is a vlzoo command"
    for line in commands:
        assert line.split()[1] in COMMANDS
    name = file.relative_to(zoo_configs()).with_suffix("")
    assert any(file.stem in line or str(name) in line for line in commands), f"no command runs {name}"


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_it_names_no_machine(file):
    assert not MACHINE.search(file.read_text(encoding="utf-8"))
    for path, value in leaves(read(file).data):
        assert not (isinstance(value, str) and value.startswith(("/", "~"))), path


@pytest.mark.parametrize("file", RECIPES, ids=[str(file.relative_to(zoo_configs())) for file in RECIPES])
def test_it_has_no_mistakes(file):
    load(str(file.relative_to(zoo_configs()).with_suffix("")))


# Written by hand: a method's name and its line in `vlzoo list`.
METHODS = {
    "albef": "ALBEF pre-training at paper size: ITC with momentum queue and distillation, ITM, MLM (Li et al. 2021).",
    "albef-tiny": "ALBEF small enough for two CPU cores: pre-trained and fine-tuned on generated Scenes in minutes.",
    "blip": (
        "BLIP-base pre-training at paper size: contrast, matching and captions by one BERT in three roles "
        "(Li et al. 2022)."
    ),
    "blip-tiny": "BLIP small enough for two CPU cores: one set of text layers in three roles, on generated Scenes.",
    "clip": "CLIP ViT-B/32 at paper size: two encoders and a contrast in the batch (Radford et al. 2021).",
    "clip-tiny": (
        "CLIP small enough for two CPU cores: two encoders and a contrast in the batch, without a fusion, "
        "on generated Scenes."
    ),
    "coca": (
        "CoCa-base pre-training at paper size: contrast and captions from one encoding of pictures and texts "
        "(Yu et al. 2022)."
    ),
    "coca-tiny": (
        "CoCa small enough for two CPU cores: contrast and captions from one encoding each, on generated Scenes."
    ),
    "easy-vqa": (
        "easy-VQA from nothing: questions about one coloured shape, 13 answers (Zhou 2019), "
        "in minutes on two CPU cores."
    ),
    "flamingo-tiny": (
        "Flamingo small enough for two CPU cores: a language model reads a resampled picture through "
        "gates, on generated Scenes."
    ),
    "meter-clip": (
        "METER at paper size: CLIP's ViT-B/16, RoBERTa, six layers of co-attention; masked words and "
        "matching (Dou et al. 2022)."
    ),
    "meter-swin": (
        "METER at paper size with Swin-B in place of CLIP's ViT: 384 pixels, the picture's state is the "
        "mean (Dou et al. 2022)."
    ),
    "meter-tiny": (
        "METER small enough for two CPU cores: co-attention of words and picture, matching and masked "
        "words, on generated Scenes."
    ),
    "git": (
        "GIT-base pre-training at paper size: a ViT of CLIP, and words written in one stream with its tokens "
        "(Wang et al. 2022)."
    ),
    "git-tiny": ("GIT small enough for two CPU cores: captions in one stream with image tokens, on generated Scenes."),
    "mini": (
        "A small pretrained start: MiniLM text and EfficientNet-Lite0 pictures from pip packages, "
        "aligned by a contrast."
    ),
    "nlvr-v1": (
        "NLVR v1 from nothing: is a sentence true of a drawn picture (Suhr et al. 2017)? "
        "Small, as little data is at hand."
    ),
    "oscar": (
        "Oscar at paper size: tags and regions beside the text, in one stream; masked words and matching "
        "(Li et al. 2020)."
    ),
    "oscar-tiny": (
        "Oscar small enough for two CPU cores: tags and regions beside the text, in one stream, on generated Scenes."
    ),
    "pixel-bert": (
        "Pixel-BERT at paper size: a ResNet-50's grid and words in one stream, 100 places a step (Huang et al. 2020)."
    ),
    "pixel-bert-tiny": (
        "Pixel-BERT small enough for two CPU cores: a CNN's grid and words in one stream, some places a "
        "step, on Scenes."
    ),
    "siglip": "SigLIP B/16 at paper size: two encoders and a yes or no for every pair of the batch (Zhai et al. 2023).",
    "siglip-tiny": (
        "SigLIP small enough for two CPU cores: two encoders and a yes or no for every pair of the batch, "
        "on generated Scenes."
    ),
    "simvlm": (
        "SimVLM-base pre-training at paper size: a picture and a text's beginning are read, the rest written "
        "(Wang et al. 2022)."
    ),
    "simvlm-tiny": (
        "SimVLM small enough for two CPU cores: a text's rest from its beginning and the picture, on generated Scenes."
    ),
    "softmaskpp": (
        "SoftMask++ at paper size: soft masks of words, focal ITC, multi-modal augmentation (Park & Han, CVPR 2023)."
    ),
    "softmaskpp-tiny": (
        "SoftMask++ small enough for two CPU cores: pre-trained and fine-tuned on generated Scenes in minutes."
    ),
    "ufo": (
        "UFO at paper size: one transformer for pictures, for words and for both, and one loss a step "
        "(Wang et al. 2021)."
    ),
    "ufo-tiny": (
        "UFO small enough for two CPU cores: one transformer for pictures, for words and for both, on generated Scenes."
    ),
    "uniter": (
        "UNITER at paper size: a detector's regions and words in one stream; masked words and matching "
        "(Chen et al. 2020)."
    ),
    "uniter-tiny": (
        "UNITER small enough for two CPU cores: a detector's regions and words in one stream, on generated Scenes."
    ),
    "vilt": ("ViLT-B/32 at paper size: patches and words in one stream; matching and masked words (Kim et al. 2021)."),
    "vilt-tiny": (
        "ViLT small enough for two CPU cores: patches and words in one stream, without an encoder, on generated Scenes."
    ),
}


def test_every_method_is_registered_under_its_name_with_one_line_about_it():
    mine = {part.name: part.summary for part in registry().of("method") if part.owner.dist == "vlzoo"}
    assert mine == METHODS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("root: /home/me/coco", True),
        ("root: ~/coco", True),
        ("hdfs://x", True),
        ("see a/home/b", False),
        ("1/2", False),
    ],
)
def test_the_search_for_machine_paths_finds_them(text, names):
    assert bool(MACHINE.search(text)) == names
