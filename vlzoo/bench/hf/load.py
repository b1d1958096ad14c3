"""The model family `hf`: a model of transformers from a local folder; which class, which processor, and a hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers

from vlzoo.bench.hf.model import Foreign, ForeignModel
from vlzoo.bench.model import ModelFamily
from vlzoo.errors import CheckpointError
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
    "blip": Architecture(("BlipForImageTextRetrieval", "BlipForQuestionAnswering"), "vlzoo.bench.hf.blip:Blip"),
    "vilt": Architecture(
        ("ViltForImageAndTextRetrieval", "ViltForQuestionAnswering", "ViltForImagesAndTextClassification"),
        "vlzoo.bench.hf.vilt:Vilt",
    ),
}
"""`model_type` of config.json -> family."""

READ = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Files of a folder that say what the model does."""


def load_foreign(folder: Path, *, precision: str = "fp32", device: torch.device | None = None) -> ForeignModel:
    """The model of a folder, ready to measure; nothing is downloaded and no code of the folder is run.

    Raises:
        CheckpointError: a family the harness does not know, or files that are missing or do not fit.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = ARCHITECTURES.get(str(config.get("model_type")))
    if known is None:
        fix = f"the harness knows {', '.join(ARCHITECTURES)}"
        raise CheckpointError(f"{str(folder)!r} holds a {config.get('model_type')!r} model", fix=fix)
    named = [name for name in config.get("architectures") or () if name in known.classes]
    name = named[0] if named else known.classes[0]
    foreign = Foreign(
        name=name,
        model=_read(getattr(transformers, name), folder).eval(),
        tokenizer=_read(transformers.AutoTokenizer, folder),
        pictures=_read(transformers.AutoImageProcessor, folder),
        weights=folder_hash(folder),
        precision=precision,
        device=device or default_device(),
    )
    module, attribute = known.target.split(":")
    made: ForeignModel = getattr(import_module(module), attribute)(foreign)
    return made


def _read(cls: Any, folder: Path) -> Any:
    try:
        return cls.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        what = f"{cls.__name__} can't be read: {str(error).splitlines()[0]}"
        fix = "the folder needs the weights, the tokenizer's files and preprocessor_config.json"
        raise CheckpointError(what, where=str(folder), fix=fix) from error


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
        CheckpointError: it does not exist, or is none.
    """
    folder, config = Path(place).expanduser(), Path(place).expanduser() / "config.json"
    if not config.is_file():
        what = "has no config.json" if folder.is_dir() else "does not exist"
        fix = "give a folder that `save_pretrained` of transformers wrote"
        raise CheckpointError(f"{str(folder)!r} {what}", where=f"hf:{place}", fix=fix)
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"not JSON: {error}", where=str(config)) from None
    return folder
