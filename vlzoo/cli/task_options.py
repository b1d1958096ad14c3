"""Options of tasks on the command line: `--NAME VALUE` reaches every task named that takes it, a stranger's too.

Nothing heavy is imported: which options there are is read from the tasks' source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from vlzoo.door.options import check_names, schema_of
from vlzoo.door.parts import Option, Part
from vlzoo.door.plugins import registry
from vlzoo.errors import RecipeError, UnknownName, VlzooError, did_you_mean

_SEVERAL = ("Sequence", "list", "tuple")
GENERAL = ("protocol",)
"""Options of every task that commands name themselves."""


class TaskCommand(click.Command):
    """A command whose unknown options are its tasks'; `--help` lists them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {})["ignore_unknown_options"] = True
        super().__init__(*args, **kwargs)

    def options_of(self, words: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The tasks that the words name, each with the options that they give it.

        Raises:
            VlzooError: no task is named, an option has no value, or one of another type.
            UnknownName: no such task, or an option that none of them takes.
        """
        tasks, given = split_words(words)
        if not tasks:
            raise VlzooError("no task is named", fix="`vlzoo list task` shows them")
        own = [option for param in self.params for option in param.opts if option.startswith("--")]
        return options_of(tasks, given, own)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of all registered tasks, each with the tasks that take it."""
        takers: dict[str, list[str]] = {}
        abouts: dict[str, str] = {}
        for part in registry().of("task"):
            for option in schema_of(part).options:
                if option.name not in GENERAL:
                    takers.setdefault(option.name, []).append(part.name)
                    abouts.setdefault(option.name, option.about)
        with formatter.section("Options of tasks"):
            formatter.write_dl(
                [(f"--{n.replace('_', '-')} VALUE", f"{abouts[n]} ({', '.join(t)})") for n, t in takers.items()]
            )


def split_words(words: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """What click did not know: names of tasks, and options with their values.

    Raises:
        VlzooError: an option without a value.
    """
    names: list[str] = []
    given: list[tuple[str, str]] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals:
            if not left or left[0].startswith("--"):
                raise VlzooError(f"the option {name} has no value", fix=f"write {name} VALUE")
            value = left.pop(0)
        given.append((name, value))
    return names, given


def options_of(
    tasks: Sequence[str], given: Sequence[tuple[str, str]], known: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Each task's options, of those given by `--NAME VALUE`.

    Args:
        tasks: the tasks named.
        given: options with their values as written.
        known: the command's own options, for the nearest name.

    Raises:
        UnknownName: no such task, or an option that none of the tasks takes.
        VlzooError: a value of another type.
    """
    taken = {task: {o.name: o for o in schema_of(registry().find("task", task)).options} for task in tasks}
    made: dict[str, dict[str, Any]] = {task: {} for task in tasks}
    for flag, text in given:
        takers = {task: found for task, options in taken.items() if (found := _option(flag, options))}
        if not takers:
            names = {f"--{name.replace('_', '-')}" for options in taken.values() for name in options}
            fix = did_you_mean(flag, [*names, *known], what="options")
            raise UnknownName(f"no option {flag} here, nor of {' or '.join(tasks)}", fix=fix)
        for task, option in takers.items():
            value = _value(flag, text, option)
            made[task][option.name] = [*made[task].get(option.name, []), value] if _takes_several(option) else value
    return made


def set_options(tasks: Sequence[str], sets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each task's options, of those given by `--set bench.TASK.OPTION=VALUE`, the value in YAML as recipes write it.

    Raises:
        UnknownName: no such task, one that is not measured here, or an option that it does not take.
        VlzooError: another key, or a value of another type.
    """
    named = {registry().find("task", task).qualified: task for task in tasks}
    made: dict[str, dict[str, Any]] = {task: {} for task in tasks}
    for change in sets:
        key, equals, text = change.partition("=")
        section, _, rest = key.partition(".")
        name, dot, option = rest.rpartition(".")
        if not equals or not dot or section != "bench":
            raise VlzooError(f"--set {change!r} is no option of a task", fix="write --set bench.TASK.OPTION=VALUE")
        part = registry().find("task", name, where="--set")
        if part.qualified not in named:
            what = f"--set {change!r}: {name} is not among the tasks named"
            raise UnknownName(what, fix=did_you_mean(name, tasks, what="tasks named"))
        check_names(part, [option], where="--set")
        made[named[part.qualified]][option] = _set_value(part, option, text, change)
    return made


def _set_value(part: Part, name: str, text: str, change: str) -> Any:
    from vlzoo.config.tree import scalar  # here, as it imports yaml
    from vlzoo.config.values import misfit

    option = next((each for each in schema_of(part).options if each.name == name), None)
    if option is not None and _is_text(option.type):
        return text
    value = scalar(text, f"--set {change}")
    if option is not None and _takes_several(option) and not isinstance(value, list):
        value = [value]
    if option is not None and (reason := misfit(value, option.type)):
        raise VlzooError(reason, where=f"--set {change}", fix=option.about or None)
    return value


def _option(flag: str, options: Mapping[str, Option]) -> Option | None:
    """The option that a flag means: by its name, or the singular of one that takes several."""
    name = flag.lstrip("-").replace("-", "_")
    several = options.get(f"{name}s")
    return options.get(name) or (several if several and _takes_several(several) else None)


def _takes_several(option: Option) -> bool:
    return option.type.startswith(_SEVERAL)


def _is_text(kind: str) -> bool:
    """Whether what was written is the value; of choices the task itself names the nearest."""
    return kind in ("str", "str | None") or kind.startswith("Literal")


def _value(flag: str, text: str, option: Option) -> Any:
    """The value of a flag; of one that may stand several times, one of its values."""
    from vlzoo.config.tree import scalar  # here, as it imports yaml
    from vlzoo.config.values import misfit

    kind = option.type.partition("[")[2].partition("]")[0].partition(",")[0] if _takes_several(option) else option.type
    if _is_text(kind):
        return text
    try:
        value = scalar(text, flag)
    except RecipeError as error:
        raise VlzooError(f"{text!r}: {error.problems[0].what}", where=flag, fix=option.about or None) from error
    if reason := misfit(value, kind):
        raise VlzooError(reason, where=flag, fix=option.about or None)
    return value
