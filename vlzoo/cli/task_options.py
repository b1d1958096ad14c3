"""Options of tasks on the command line: `--NAME VALUE` reaches every task named that takes it, a stranger's too.

Nothing heavy is imported: which options there are is read from the tasks' source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from vlzoo.door.options import schema_of
from vlzoo.door.parts import Option
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName, VlzooError, did_you_mean

GENERAL = ("protocol",)
"""Options of every task that commands name themselves."""


class TaskCommand(click.Command):
    """A command whose unknown options are its tasks'; `--help` lists them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {})["ignore_unknown_options"] = True
        super().__init__(*args, **kwargs)

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
            if _takes_several(option):
                value = [*made[task].get(option.name, []), *(value if isinstance(value, list) else [value])]
            made[task][option.name] = value
    return made


def set_options(task: str, sets: Sequence[str]) -> dict[str, Any]:
    """The options that `--set bench.TASK.OPTION=VALUE` gives a task.

    Raises:
        VlzooError: another key, or a value of another type.
    """
    options = {option.name: option for option in schema_of(registry().find("task", task)).options}
    made = {}
    for change in sets:
        key, equals, text = change.partition("=")
        steps = key.split(".")
        if not equals or len(steps) != 3 or steps[0] != "bench":
            raise VlzooError(f"--set {change!r} is no option of a task", fix="write --set bench.TASK.OPTION=VALUE")
        registry().find("task", steps[1], where="--set")
        if steps[1] == task:
            if steps[2] not in options:
                fix = did_you_mean(steps[2], options, what="options")
                raise UnknownName(f"task {task!r} takes no option {steps[2]!r}", where="--set", fix=fix)
            made[steps[2]] = _value(key, text, options[steps[2]])
    return made


def _option(flag: str, options: Mapping[str, Option]) -> Option | None:
    """The option that a flag means: by its name, or the singular of one that takes several."""
    name = flag.lstrip("-").replace("-", "_")
    several = options.get(f"{name}s")
    return options.get(name) or (several if several and _takes_several(several) else None)


def _takes_several(option: Option) -> bool:
    return option.type.startswith(("Sequence", "list", "tuple"))


def _value(flag: str, text: str, option: Option) -> Any:
    from vlzoo.config.tree import scalar  # here, as it imports yaml
    from vlzoo.config.values import misfit

    # Of choices the task itself names the nearest.
    if option.type == "str" or option.type.startswith("Literal") or _takes_several(option):
        return text
    value = scalar(text, flag)
    if reason := misfit(value, option.type):
        raise VlzooError(reason, where=flag, fix=option.about or None)
    return value
