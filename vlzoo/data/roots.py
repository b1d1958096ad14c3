"""From a recipe's mention of data to an open source: which folder, which split."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

from vlzoo.config.schema import PartRef
from vlzoo.data.build import build_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError


def data_root(given: str | Path | None = None) -> Path:
    """The folder under which data lies: `--data-root`, `VLZOO_DATA`, or `data` here."""
    return Path(given or os.environ.get("VLZOO_DATA") or "data")


def open_source(ref: PartRef, root: str | Path | None = None, **changes: Any) -> Any:
    """Open the data a recipe names.

    Args:
        ref: the part with its options; its `root` is relative to the data root, and the part's name where absent.
        root: the data root.
        changes: options that replace the recipe's, such as `split="test"`.

    Raises:
        UnknownName: no such data source.
        DataError: its folder is not there.
    """
    part = registry().find("data", ref.part)
    options = {**ref.options, **{name: value for name, value in changes.items() if value is not None}}
    root_option = next((option for option in schema_of(part).options if option.name == "root"), None)
    if root_option is not None:
        asked = options.get("root") or _written(root_option.default)
        found = _folder(ref.part, asked, data_root(root))
        if found is None and root_option.default is None:
            raise _nowhere(ref.part, asked, data_root(root))
        # A source that can do without a folder reads its pip package then.
        options |= {"root": str(found)} if found else {}
    return build_source(ref.part, options)


def reference(text: str) -> PartRef:
    """What `--data` names: `coco-mini` below the data root, or `nlvr=FOLDER` in a folder of its own."""
    name, equals, folder = text.partition("=")
    return PartRef.model_validate({"part": name, **({"root": str(Path(folder).resolve())} if equals else {})})


def _written(default: str | None) -> str | None:
    """The folder that a source's own default names, from the data root: a mixture's is the root itself."""
    value = ast.literal_eval(default) if default else None
    return value if isinstance(value, str) else None


def _folder(name: str, asked: Any, base: Path) -> Path | None:
    # One corpus may serve several sources: scenes-vqa lies in scenes.
    names = [str(asked)] if asked else dict.fromkeys([name, name.replace("-", "_"), name.partition("-")[0]])
    return next((base / each for each in names if (base / each).exists()), None)


def _nowhere(name: str, asked: Any, base: Path) -> DataError:
    return DataError(
        f"data {name!r}: there is no folder {str(base / str(asked or name))!r}",
        fix=f"give --data-root, set VLZOO_DATA, or say {name}=FOLDER; `vlzoo show data/{name}` tells what it holds",
    )
