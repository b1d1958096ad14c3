"""A data source from its name and its options, each checked as `vlzoo check` checks a recipe's. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from vlzoo.config.values import misfit, shown
from vlzoo.door.options import check_names, schema_of
from vlzoo.door.parts import Option, Part
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, PluginError, VlzooError


def build_source(name: str, options: Mapping[str, Any], *, where: str | None = None) -> Any:
    """A data source, of which nothing is read yet.

    Args:
        name: the registered name.
        options: by name; `root` is the folder itself.
        where: what the options were given to, for messages: `--set`, or a mixture's file and line.

    Raises:
        UnknownName: no such data source, option, split or the like.
        DataError: an option that is needed is not given, or a value does not fit its option.
        PluginError: the source fails on options that fit.
    """
    part = registry().find("data", name, where=where)
    check_options(part, options, where=where)
    source = part.load()
    try:
        return source(**options)
    except VlzooError:
        raise
    except Exception as error:
        given = ", ".join(f"{key}={shown(value)}" for key, value in options.items())
        said = f"data {part.name!r} can't be made with {given}: {type(error).__name__}: {error}"
        raise PluginError(said, where=str(part.owner)) from error


def check_options(part: Part, options: Mapping[str, Any], *, where: str | None = None) -> None:
    """Refuse options that a data source does not take, values that do not fit, and the lack of those it needs.

    Raises:
        UnknownName: no such option; offers the nearest.
        DataError: names the option, its value and the type wanted.
    """
    check_names(part, options, where=where)
    for option in schema_of(part).options:
        if option.name in options:
            value = options[option.name]
            if reason := misfit(str(value) if isinstance(value, PurePath) else value, option.type):
                said = f"data {part.name!r}: the option {option.name!r} does not fit: {reason}"
                raise DataError(said, where=where, fix=_remedy(option, value))
        elif option.default is None:
            raise _lacking(part, option, where)


def _lacking(part: Part, option: Option, where: str | None) -> DataError:
    value = option.name.upper()
    ways = f"--set data.{option.name}={value} (data check: --set {option.name}={value}), "
    ways += f"or `{option.name}: {value}` beside `part: {part.name}` in a recipe"
    if option.name == "file":
        ways += f"; where a command takes --data: --data {part.name}=FILE"
    about = f" ({option.about.rstrip('.')})" if option.about else ""
    return DataError(f"data {part.name!r} needs the option {option.name!r}{about}", where=where, fix=ways)


def _remedy(option: Option, value: Any) -> str | None:
    """What to do about a value that does not fit: texts that YAML reads as something else are quoted."""
    about = f"{option.name}: {option.about}" if option.about else None
    if option.type.startswith("str") and isinstance(value, bool | int | float):
        word = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        return f"""a text that reads as a number, as yes or as no is quoted: "{option.name}='{word}'\""""
    return about


def require_samples(source: Any) -> None:
    """Refuse data that hold nothing. A `Source` says by itself, when it is first read, what it left out.

    Raises:
        DataError: there is no sample.
    """
    if not len(source):
        raise DataError(
            "it holds no samples", where=getattr(source, "name", None), fix="is it the right data, and split?"
        )
