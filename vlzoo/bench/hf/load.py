"""A model of transformers from a local folder: which class, which processor, and a hash of what was read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from vlzoo.bench.hf.engine import Foreign
from vlzoo.errors import CheckpointError
from vlzoo.models.precision import default_device


@dataclass(frozen=True)
class Kind:
    """A family that the harness knows.

    Attributes:
        classes: model classes by architecture name; the first is meant where config.json names none of them.
        target: `module:class` of what measures it.
    """

    classes: tuple[str, ...]
    target: str


KINDS = {
    "clip": Kind(("CLIPModel",), "vlzoo.bench.hf.dual:Dual"),
    "siglip": Kind(("SiglipModel",), "vlzoo.bench.hf.dual:Dual"),
    "blip": Kind(("BlipForImageTextRetrieval", "BlipForQuestionAnswering"), "vlzoo.bench.hf.blip:Blip"),
    "vilt": Kind(
        ("ViltForImageAndTextRetrieval", "ViltForQuestionAnswering", "ViltForImagesAndTextClassification"),
        "vlzoo.bench.hf.vilt:Vilt",
    ),
}
"""`model_type` of config.json -> family."""

READ = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Files of a folder that say what the model does."""


def load_foreign(folder: Path, *, precision: str = "fp32", device: torch.device | None = None) -> Any:
    """The model of a folder, ready to measure; nothing is downloaded and no code of the folder is run.

    Raises:
        CheckpointError: a family the harness does not know, or files that are missing or do not fit.
    """
    from importlib import import_module

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = KINDS.get(str(config.get("model_type")))
    if kind is None:
        known = f"the harness knows {', '.join(KINDS)}"
        raise CheckpointError(f"{str(folder)!r} holds a {config.get('model_type')!r} model", fix=known)
    named = [name for name in config.get("architectures") or () if name in kind.classes]
    name = named[0] if named else kind.classes[0]
    foreign = Foreign(
        name=name,
        model=_read(getattr(transformers, name), folder).eval(),
        tokenizer=_read(transformers.AutoTokenizer, folder),
        pictures=_read(transformers.AutoImageProcessor, folder),
        weights=folder_hash(folder),
        precision=precision,
        device=device or default_device(),
    )
    module, attribute = kind.target.split(":")
    return getattr(import_module(module), attribute)(foreign)


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
