"""Options of tasks on the command line: `--NAME VALUE` reaches every task named that takes it, a stranger's too.

Nothing heavy is imported: which options there are is read from the tasks' source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from vlzoo.door.options import check_names, schema_of
from vlzoo.door.parts import Option, Part
from vlzoo.door.plugins import registry
from vlzoo.errors import UnknownName, VlzooError, did_you_mean

GENERAL = ("protocol",)
"""Options of every task that commands name themselves."""


class TaskCommand(click.Command):
    """A command whose unknown options are its tasks'; `--help` lists them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {})["ignore_unknown_options"] = True
        super().__init__(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, which would take the last of an option's values without a word of the others.

        Raises:
            VlzooError: an option that takes one value is given twice.
        """
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for param in order:
            once = isinstance(param, click.Option) and not param.multiple and not param.is_flag
            if once and order.count(param) > 1:
                raise VlzooError(f"{param.opts[0]} is given {order.count(param)} times", fix="give it once")
        return super().parse_args(ctx, args)

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
            if option.name in made[task] and not _takes_several(option):
                what = f"{flag} is given twice: {made[task][option.name]} and {value}"
                raise VlzooError(what, fix="give it once")
            made[task][option.name] = [*made[task].get(option.name, []), value] if _takes_several(option) else value
    return made


def split_sets(sets: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What `--set` gave of the data, `data.OPTION=VALUE`, as texts by option; and all else.

    Raises:
        VlzooError: an option of the data without a name or a value, or one that is given twice.
    """
    data: dict[str, str] = {}
    others: list[str] = []
    for change in sets:
        key, equals, text = change.partition("=")
        section, _, name = key.partition(".")
        if section != "data":
            others.append(change)
            continue
        if not equals or not name or name == "part":
            fix = "write --set data.OPTION=VALUE; --data NAME says which data"
            raise VlzooError(f"--set {change!r} is no option of the data", fix=fix)
        if name in data:
            raise VlzooError(f"--set data.{name} is given twice: {data[name]} and {text}", fix="give it once")
        data[name] = text
    return data, others


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
            fix = "write --set bench.TASK.OPTION=VALUE, or --set data.OPTION=VALUE for the data"
            raise VlzooError(f"--set {change!r} is no option of a task", fix=fix)
        part = registry().find("task", name, where="--set")
        if part.qualified not in named:
            what = f"--set {change!r}: {name} is not among the tasks named"
            raise UnknownName(what, fix=did_you_mean(name, tasks, what="tasks named"))
        check_names(part, [option], where="--set")
        taken = made[named[part.qualified]]
        if option in taken:
            raise VlzooError(f"--set {key} is given twice: {taken[option]} and {text}", fix="give it once")
        taken[option] = _set_value(part, option, text, change)
    return made


def _set_value(part: Part, name: str, text: str, change: str) -> Any:
    from vlzoo.config.values import value_of  # here, as it imports pydantic

    option = next((each for each in schema_of(part).options if each.name == name), Option(name))
    return value_of(text, option, f"--set {change}")


def _option(flag: str, options: Mapping[str, Option]) -> Option | None:
    """The option that a flag means: by its name, or the singular of one that takes several."""
    name = flag.lstrip("-").replace("-", "_")
    several = options.get(f"{name}s")
    return options.get(name) or (several if several and _takes_several(several) else None)


def _takes_several(option: Option) -> bool:
    return option.type.startswith(("Sequence", "list", "tuple"))


def _value(flag: str, text: str, option: Option) -> Any:
    """The value of a flag; of one that may stand several times, one of its values."""
    from vlzoo.config.values import value_of  # here, as it imports pydantic

    kind = option.type.partition("[")[2].partition("]")[0].partition(",")[0] if _takes_several(option) else option.type
    return value_of(text, replace(option, type=kind), flag)
