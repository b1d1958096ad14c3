"""What takes no step: `albef_misc.json`'s tables, learning rates and texts, and the names of `keys_albef_*.json`.

Legend: N image tokens, D width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlzoo.agree.agreement import Check, Result, name_of
from vlzoo.agree.golden import EMBEDDINGS, Golden, one_thread, worst
from vlzoo.config.schema import Train
from vlzoo.data.reading import read_json
from vlzoo.models.assemble import SPECIAL
from vlzoo.models.positions import resize_positions
from vlzoo.text.cleaning import pre_caption, pre_question
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.train.schedule import Length, learning_rate
from vlzoo.weights.adapter import Adapter
from vlzoo.weights.albef import AlbefAdapter
from vlzoo.weights.build import complete

RATES = 1e-12
"""Learning rates are computed in double precision on both sides."""

_TIED = ("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight")
_TABLE = re.compile(r"out/pos_embed_(\d+)x(\d+)")
_CLEANERS = {"pre_caption": pre_caption, "pre_question": pre_question}


@one_thread
def compare_functions(path: Path) -> Iterator[Result]:
    """One row a table or a function."""
    golden = Golden(path)
    yield from _positions(golden)
    for name, facts in golden.about["schedules"].items():
        yield worst(f"{golden.name}/schedules/{name}", _rate_gaps(facts), RATES)
    for name, clean in _CLEANERS.items():
        examples = golden.about[name]
        wrong = sum(clean(text, words) != expected for text, words, expected in examples)
        yield Check(f"{golden.name}/{name}", wrong, 0, len(examples))
    tokenizer = Tokenizer(golden.about["vocab"])
    examples = golden.about["tokenized"]
    wrong = sum(tokenizer.encode(text) != ids for text, ids in examples)
    yield Check(f"{golden.name}/tokenized", wrong, 0, len(examples))
    yield from golden.leftovers()


def _positions(golden: Golden) -> Iterator[Check]:
    (source,) = golden.below("in/")
    table_1ND = golden[f"in/{source}"]
    for name in golden.below("out/"):
        size = _TABLE.fullmatch(f"out/{name}")
        if size:
            resized = resize_positions(table_1ND, (int(size[1]), int(size[2])))
            yield golden.close(f"out/{name}", resized, EMBEDDINGS)


def _rate_gaps(facts: Mapping[str, Any]) -> Iterator[float]:
    """Differences from the rates of one official schedule.

    The rate recorded at iteration i is the one set there, which iteration i + 1 runs with.
    """
    config, warming, epochs = facts["config"], facts["lr_at_iter_0_100_200.."], facts["lr_epoch_1.."]
    train = Train(
        lr=config["lr"],
        min_lr=config["min_lr"],
        warmup_lr=config["warmup_lr"],
        warmup_samples=100 * config["warmup_epochs"],
        schedule="albef-2021",
        epochs=float(config["epochs"]),
        batch=1,
    )
    per_epoch = 100 * len(warming) + 1
    length = Length(per_epoch * config["epochs"], per_epoch, 1)
    yield abs(learning_rate(train, 0, length) - facts["lr_before_first_step"])
    for i, rate in enumerate(warming):
        yield abs(learning_rate(train, 100 * i + 1, length) - rate)
    for epoch, rate in enumerate(epochs, start=1):
        yield abs(learning_rate(train, epoch * per_epoch, length) - rate)


@one_thread
def compare_names(path: Path) -> Iterator[Result]:
    """How many names of the file have no place here, and how many of the model's the file does not fill."""
    yield from check_names(path, AlbefAdapter(where=name_of(path)))


def check_names(path: Path, adapter: Adapter) -> Iterator[Check]:
    """The same by any adapter: a file of names and shapes as a checkpoint of numbers nobody reads."""
    name = name_of(path)
    converted = adapter.convert(stand_ins(read_json(path)))
    made = complete(converted, SPECIAL, where=name)
    given = len(converted.places) + len(converted.unexpected)
    yield Check(f"{name}/names without a place", len(made.report.unexpected), 0, given)
    yield Check(f"{name}/weights not filled", len(made.report.missing), 0, len(made.system))


def stand_ins(shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """One number for each tensor, seen in its full shape: names and shapes cost no memory. Tied names share theirs."""
    state = {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())}
    return {name: state[name.replace(*_TIED)] if name.endswith(_TIED[0]) else tensor for name, tensor in state.items()}
