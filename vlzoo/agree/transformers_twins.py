"""A model of transformers, of a folder or with random weights, and the system that an adapter makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
import transformers

from vlzoo.errors import CheckpointError
from vlzoo.files import read_object
from vlzoo.models.assemble import System, build_system
from vlzoo.resources import model_file
from vlzoo.runs.checkpoint import load_into
from vlzoo.weights.adapter import Adapter, make_adapter
from vlzoo.weights.beside import SAVED
from vlzoo.weights.blip import DEC
from vlzoo.weights.build import complete

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, DEC: 5}
"""Where special tokens stand in a vocabulary that nobody gave."""
WEIGHTS = "*model-*-of-*.*"
"""What shards of weights are called."""


@dataclass(frozen=True)
class Twins:
    """A model of transformers, and the system that an adapter makes of its weights.

    Attributes:
        name: of the folder.
        theirs: in evaluation mode.
        ours: likewise.
    """

    name: str
    theirs: Any
    ours: System


def twins(path: Path, adapter_name: str) -> Twins:
    """Both models of a folder.

    Raises:
        CheckpointError: a model that no adapter converts.
    """
    theirs = _theirs(path)
    return Twins(path.parent.name, theirs, ours_of(theirs, path, adapter_name))


def ours_of(theirs: Any, path: Path, adapter_name: str, special: Mapping[str, int] = SPECIAL) -> System:
    """The system that an adapter makes of a model's weights, in evaluation mode.

    Args:
        theirs: a model of transformers.
        path: its config.json.
        adapter_name: the adapter.
        special: ids of special tokens.

    Raises:
        CheckpointError: the adapter does not convert it.
    """
    state = {name: tensor.detach().contiguous() for name, tensor in theirs.state_dict().items()}
    adapter: Adapter = make_adapter(adapter_name, model_file(path.parent), {})
    converted = adapter.convert(state)
    made = complete(converted, special, where=str(path))
    ours = build_system(made.checked.recipe, vocab=converted.vocab, special=special, classes=converted.classes)
    load_into(ours, made.system, where=str(path))
    return ours.eval()


def _theirs(path: Path) -> Any:
    folder = str(path.parent)
    if not model_file(path.parent).is_file():
        if found := sorted(each.name for each in path.parent.iterdir() if fnmatch(each.name, WEIGHTS)):
            what = f"its weights are in {len(found)} shards, the first is {found[0]}"
            fix = "save them in one: save_pretrained(FOLDER, max_shard_size='100GB')"
            raise CheckpointError(what, where=folder, fix=fix)  # else others, drawn by lot, would be compared
        return random_model(path)
    try:
        made, info = _class_of(path).from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # of files that are damaged, transformers and its libraries raise nearly anything
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"transformers can't read it: {said}", where=folder, fix=SAVED) from None
    if info["missing_keys"]:
        what = f"{len(info['missing_keys'])} weights are missing, one is {min(info['missing_keys'])!r}"
        raise CheckpointError(what, where=folder, fix=SAVED)
    return made.eval()


def _class_of(path: Path) -> Any:
    return getattr(transformers, read_object(path, SAVED)["architectures"][0])


def random_model(path: Path) -> Any:
    """The model of a config.json that `TransformersFolder` reads, with random weights from a seed.

    Raises:
        CheckpointError: the file can't be read.
    """
    cls = _class_of(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = cls(cls.config_class.from_dict(read_object(path, SAVED)))
        for name, parameter in made.named_parameters():
            # Large enough that every path shows: transformers begins near zero.
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
            elif parameter.ndim and name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()
