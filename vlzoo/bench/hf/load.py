"""The model family `hf`: a model of transformers from a local folder; which class, which processor, and a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging as hf_logging

from vlzoo.bench.hf.model import Foreign, ForeignModel
from vlzoo.bench.model import ModelFamily
from vlzoo.errors import CheckpointError
from vlzoo.files import read_object
from vlzoo.models.local_weights import read_shapes, refuse_nonfinite
from vlzoo.models.precision import default_device
from vlzoo.task import Task


@dataclass(frozen=True)
class Architecture:
    """A family of architectures that the harness knows.

    Attributes:
        classes: model classes by architecture name; the first is meant where config.json names none of them.
        target: `module:class` of what measures it.
    """

    classes: tuple[str, ...]
    target: str


ARCHITECTURES = {
    "clip": Architecture(("CLIPModel",), "vlzoo.bench.hf.dual:Dual"),
    "siglip": Architecture(("SiglipModel",), "vlzoo.bench.hf.dual:Dual"),
    "blip": Architecture(
        ("BlipForImageTextRetrieval", "BlipForQuestionAnswering", "BlipForConditionalGeneration"),
        "vlzoo.bench.hf.blip:Blip",
    ),
    "git": Architecture(("GitForCausalLM",), "vlzoo.bench.hf.writing:Git"),
    "vilt": Architecture(
        ("ViltForImageAndTextRetrieval", "ViltForQuestionAnswering", "ViltForImagesAndTextClassification"),
        "vlzoo.bench.hf.vilt:Vilt",
    ),
}
"""`model_type` of config.json -> family."""

READ = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Files of a folder that say what the model does."""

_SAVED = "give a folder that `save_pretrained` of transformers wrote: model, tokenizer and image processor"


def load_foreign(folder: Path, *, precision: str = "fp32", device: torch.device | None = None) -> ForeignModel:
    """The model of a folder, ready to measure; nothing is downloaded and no code of the folder is run.

    Raises:
        CheckpointError: an architecture the harness does not know, files that are missing or do not fit, weights that
            the folder lacks, or that are not finite.
    """
    name, known = architecture(folder)
    with _quiet():
        model = _model(getattr(transformers, name), folder)
        tokenizer = _tokenizer(folder, model.config.get_text_config().vocab_size)
        pictures = _read(transformers.AutoImageProcessor, folder)
    foreign = Foreign(
        name=name,
        model=model.eval(),
        tokenizer=tokenizer,
        pictures=pictures,
        weights=folder_hash(folder),
        precision=precision,
        device=device or default_device(),
    )
    module, attribute = known.target.split(":")
    made: ForeignModel = getattr(import_module(module), attribute)(foreign)
    return made


def architecture(folder: Path) -> tuple[str, Architecture]:
    """The class of a folder's model, and its family, as config.json says.

    Raises:
        CheckpointError: it says none that the harness knows.
    """
    config = read_object(folder / "config.json", _SAVED)
    known = ARCHITECTURES.get(str(config.get("model_type")))
    if known is None:
        fix = f"the harness knows {', '.join(ARCHITECTURES)}"
        raise CheckpointError(f"it holds a {config.get('model_type')!r} model", where=str(folder), fix=fix)
    named = config.get("architectures") or []
    classes = [named] if isinstance(named, str) else named
    if not isinstance(classes, list):
        raise CheckpointError(f"architectures is {named!r}, no list", where=str(folder / "config.json"), fix=_SAVED)
    fitting = [name for name in classes if name in known.classes]
    if classes and not fitting:
        what = f"it holds a {' and a '.join(map(str, classes))}"
        fix = f"of {config['model_type']} models the harness measures {', '.join(known.classes)}"
        raise CheckpointError(what, where=str(folder), fix=fix)
    return (fitting or [*known.classes])[0], known


def _model(cls: Any, folder: Path) -> Any:
    """The model, with every weight from the folder.

    Raises:
        CheckpointError: a weight is missing, has another shape, or is not finite.
    """
    model, info = _read(cls, folder, output_loading_info=True, ignore_mismatched_sizes=True)
    missing = sorted(info["missing_keys"])
    if missing:
        what = f"{len(missing)} weights of {cls.__name__} are missing: {_some(missing)}"
        fix = "without them it would be measured with random numbers; give a folder that holds this model's own weights"
        raise CheckpointError(what, where=str(folder), fix=fix)
    other = sorted((name, list(there), list(here)) for name, there, here in info["mismatched_keys"])
    if other:
        shapes = _some([f"{name} is {there}, and by config.json {here}" for name, there, here in other])
        raise CheckpointError(f"{len(other)} weights have other shapes: {shapes}", where=str(folder), fix=_SAVED)
    refuse_nonfinite(model.state_dict(), str(folder), "the weights are ruined: get them again")
    return model


def _tokenizer(folder: Path, words: int) -> Any:
    """The tokenizer, from files that are there, for a word table of so many rows.

    Raises:
        CheckpointError: its vocabulary is not in the folder, or is another model's.
    """
    tokenizer = _read(transformers.AutoTokenizer, folder)
    # Without its files transformers makes a tokenizer of special tokens alone: every word would be unknown.
    files = dict(tokenizer.vocab_files_names)
    whole = {files.pop("tokenizer_file", "tokenizer.json"), "tokenizer.json"}
    absent = [file for file in files.values() if not (folder / file).is_file()]
    if (absent or not files) and not any((folder / file).is_file() for file in whole):
        what = f"the tokenizer's vocabulary is missing: tokenizer.json, or {' and '.join(files.values())}"
        raise CheckpointError(what, where=str(folder), fix=_SAVED)
    if not _SHARE * words <= len(tokenizer) <= words:
        what = f"the tokenizer has {len(tokenizer)} tokens, and the model's word table {words} rows"
        raise CheckpointError(what, where=str(folder), fix="give the tokenizer that the model was trained with")
    return tokenizer


_SHARE = 0.9
"""The least share of a word table's rows that a tokenizer must use: tables are rounded up, vocabularies cut short."""


def _read(cls: Any, folder: Path, **options: Any) -> Any:
    try:
        return cls.from_pretrained(str(folder), local_files_only=True, **options)
    except Exception as error:  # of files that are damaged, transformers and its libraries raise nearly anything
        for file in sorted(folder.glob("*.json")):
            read_object(file, _SAVED)  # names the file where it is the one
        for file in (*folder.glob("model*.safetensors"), *folder.glob("pytorch_model*.bin")) if options else ():
            read_shapes(file)  # likewise
        said = " ".join(str(error).split())[:300] or type(error).__name__
        what = f"{cls.__name__} can't be read: {said}"
        raise CheckpointError(what, where=str(folder), fix=_SAVED) from None


def _some(said: Sequence[str], most: int = 4) -> str:
    return ", ".join(said[:most]) + (f", and {len(said) - most} more" if len(said) > most else "")


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers without its own table of weights and its bars: what counts is said here."""
    words, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(words)
        if bars:
            hf_logging.enable_progress_bar()


def folder_hash(folder: Path) -> str:
    """A hash of the files that say what the model does, 16 hex digits."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in READ:
            digest.update(file.name.encode())
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


class HuggingFace(ModelFamily):
    """Models of transformers in local folders: `hf:FOLDER`."""

    name = "hf"

    def check(self, place: str, task: Task) -> None:
        """Whether the folder is one that `save_pretrained` wrote."""
        model_folder(place)

    def open(self, place: str, task: Task, *, precision: str, device: torch.device) -> ForeignModel:
        """The model of the folder."""
        return load_foreign(model_folder(place), precision=precision, device=device)


def model_folder(place: str) -> Path:
    """The folder of a model of transformers.

    Raises:
        CheckpointError: it does not exist, is none, or holds a model that the harness does not know.
    """
    folder, config = Path(place).expanduser(), Path(place).expanduser() / "config.json"
    if not config.is_file():
        what = "has no config.json" if folder.is_dir() else "is no folder" if folder.exists() else "does not exist"
        raise CheckpointError(f"{str(folder)!r} {what}", where=f"hf:{place}", fix=_SAVED)
    architecture(folder)
    return folder
