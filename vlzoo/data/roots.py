"""From a recipe's mention of data to an open source: which folder, which split."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlzoo.config.paths import below, from_here
from vlzoo.config.schema import PartRef
from vlzoo.data.build import build_source
from vlzoo.data.places import is_url
from vlzoo.door.options import check_names, schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, did_you_mean


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
        UnknownName: no such data source, or no such option of it.
        DataError: its folder is not there, or an option that it needs is not given.
    """
    part = registry().find("data", ref.part)
    check_names(part, [*ref.options, *changes])
    options = {**ref.options, **{name: value for name, value in changes.items() if value is not None}}
    root_option = next((option for option in schema_of(part).options if option.name == "root"), None)
    if root_option is not None:
        asked = options.get("root") or _written(root_option.default)
        if is_url(asked):
            return build_source(ref.part, {**options, "root": asked})
        found = _folder(ref.part, asked, data_root(root))
        if found is None and root_option.default is None:
            raise _nowhere(ref.part, asked, data_root(root))
        # A source that can do without a folder reads its pip package then.
        options = {**below(found, part, options), "root": str(found)} if found else options
    return build_source(ref.part, options)


def reference(text: str) -> PartRef:
    """What `--data` names: `coco-mini` below the data root, `nlvr=FOLDER` in a folder of its own, `csv=FILE`, or
    `stream=s3://bucket/shards`.

    Raises:
        DataError: there is no such folder or file.
    """
    name, equals, place = text.partition("=")
    if not equals:
        return PartRef.model_validate({"part": name})
    if is_url(place):
        return PartRef.model_validate({"part": name, "root": place})
    found = Path(place).resolve()
    if not found.exists():
        near = [each.name for each in found.parent.glob("*")] if found.parent.is_dir() else []
        fix = did_you_mean(found.name, near, what="there") if near else "is the path right?"
        raise DataError(f"--data {text}: there is no folder and no file {place!r}", fix=fix)
    if found.is_file() and "file" in schema_of(registry().find("data", name)).names:
        return PartRef.model_validate({"part": name, "root": str(found.parent), "file": found.name})
    return PartRef.model_validate({"part": name, "root": str(found)})


def given_options(name: str, written: Mapping[str, str]) -> dict[str, Any]:
    """Options of a data source that a command line gives by `--set data.OPTION=VALUE`; paths as seen from here.

    Args:
        name: the data source's.
        written: the values as they were written, by option.

    Raises:
        UnknownName: the source has no such option.
        VlzooError: a value does not fit its option.
    """
    from vlzoo.config.values import values_of

    part = registry().find("data", name)
    return {key: from_here(part, key, value) for key, value in values_of(part, written, "--set data.").items()}


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
        fix=f"give --data-root DIR or set VLZOO_DATA, the folder that holds it; or name its own: --data {name}=FOLDER "
        f"(bench, score), --set data.root=FOLDER (pretrain, finetune); `vlzoo data show {name}` tells what it holds",
    )
