"""The forecast of a training: the page's numbers are the script's, and the script's are what its inputs give."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture(scope="module")
def scaling(root, forking):
    def run(*words):
        command = [sys.executable, str(root / "benchmarks" / "scaling.py"), *words]
        done = forking.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_pages_numbers_are_the_scripts(root, scaling):
    printed = scaling().splitlines()
    page = (root / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert len(printed) > 20
    assert [line for line in printed if line and line not in page] == []
    stated = [line for line in page.splitlines() if line.startswith(("| 4M", "| 16M"))]
    assert [line for line in stated if line not in printed] == []


GIVEN = "--share 0.5 --peak 1e15 --price 3 --cores 10 --pictures 100 --inside 1e11 --json"


@pytest.fixture(scope="module")
def made(scaling):
    """What it says of a cluster of ours."""
    return json.loads(scaling(*GIVEN.split()))


def test_a_forecast_is_what_its_inputs_give(made):
    (row,) = [each for each in made["forecasts"] if (each["data"], each["gpus"]) == ("4M", 8)]
    model = made["model"]
    # 64 pairs on each GPU, 5e14 operations a second; 1,000 pictures a second.
    assert row["compute_s"] == pytest.approx(64 * model["flops"] / 5e14)
    assert row["read_s"] == pytest.approx(0.064) and row["bound"] == "reading"
    # Gradients of 4 bytes in a ring; two embeddings of 256 of all pairs (the teacher's too); for each of the GPU's own
    # pairs 257 tokens of 768 come, and as many gradients.
    numbers = 512 * 4 * 2 * 256 + 64 * 2 * 257 * 768
    assert row["exchange_s"] == pytest.approx((8 * model["parameters"] + 4 * numbers) * 7 / 8 / 1e11)
    step_s = 0.064 + row["exchange_s"]
    assert row["gpu_hours"] == pytest.approx(30 * 5.1e6 / 512 * step_s / 3600 * 8)
    assert row["cost"] == pytest.approx(3 * row["gpu_hours"])


def test_the_flops_of_a_step_are_those_of_its_parts(made):
    """By hand: ViT-B/16 on 257 tokens, BERT's 6 + 6 layers on 25; a multiplication with addition is two."""
    layers, width, tokens, words = 12, 768, 257, 25
    image = layers * (2 * 12 * width**2 * tokens + 4 * tokens**2 * width) + 2 * 256 * width**2
    text = 6 * (2 * 12 * width**2 * words + 4 * words**2 * width)
    keys = 6 * 2 * 2 * width**2 * tokens
    read = text + 6 * (2 * 2 * width**2 * words + 4 * words * tokens * width)
    step = 3 * (image + 2 * text + keys + 4 * read) + image + 2 * text + keys + read
    assert made["model"]["flops"] == pytest.approx(step, rel=0.01)
