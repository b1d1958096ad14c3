"""What goes wrong, said so that the reader can mend it: what, where, and what to do."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class VlzooError(Exception):
    """A mistake a user can mend. The command line prints it without a traceback and exits with `exit_code`.

    Args:
        what: what was wrong, with the offending value.
        where: the place: `file:line`, a key path, or a plugin with its version.
        fix: what to do about it, with the nearest valid name where there is one.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  -> {self.fix}" if self.fix else head


class UnknownName(VlzooError):
    """A name that nothing registered; the nearest valid one is offered."""


class PluginError(VlzooError):
    """A plugin that could not be loaded or broke a rule of the door."""


class DataError(VlzooError):
    """Data that is missing, malformed or not where it was said to be."""


class CheckpointError(VlzooError):
    """Weights that are missing, unsafe to read or made for another recipe."""


class PredictionError(VlzooError):
    """Predictions that do not fit the annotations they are scored against."""


class TrainingError(VlzooError):
    """Training that cannot start or had to stop; the run folder stays usable."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a recipe: its place, its key path, what is wrong, and the remedy."""

    where: str
    path: str
    what: str
    fix: str | None = None

    def __str__(self) -> str:
        line = f"{self.where}: {self.path}: {self.what}" if self.path else f"{self.where}: {self.what}"
        return f"{line}\n  -> {self.fix}" if self.fix else line


class RecipeError(VlzooError):
    """All the mistakes of a recipe at once, in `problems`."""

    def __init__(self, problems: Sequence[Problem], *, recipe: str) -> None:
        self.problems = tuple(problems)
        self.recipe = recipe
        super().__init__(f"{recipe}: {len(self.problems)} mistake{'s' * (len(self.problems) != 1)}")

    def __str__(self) -> str:
        return "\n".join([*(str(problem) for problem in self.problems), self.what])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The valid name closest to `name`, or None where nothing is close.

    Case and the choice between `-` and `_` do not count, so `ITC` finds `itc`.
    """
    spelled = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower().replace("_", "-"), spelled, n=1, cutoff=0.55)
    return spelled[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], *, what: str = "known") -> str:
    """A remedy sentence: the nearest name, then a bounded list of the valid ones."""
    names = sorted(set(known))
    guess = nearest(name, names)
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    listing = f"{what}: {shown}" if names else f"{what}: none"
    return f"did you mean {guess!r}? ({listing})" if guess else f"({listing})"


def origin(error: BaseException) -> BaseException:
    """What a part raised, of the `PluginError` that tells of it; any other error itself."""
    return error.__cause__ if isinstance(error, PluginError) and error.__cause__ is not None else error


def named(error: BaseException) -> str:
    """What was raised, by its kind, and what it says.

    >>> named(ValueError("no such colour")), named(KeyboardInterrupt())
    ('ValueError: no such colour', 'KeyboardInterrupt')
    """
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def raised_in(error: BaseException, package: str) -> str:
    """The last line of a package that an error passed through, `FILE:LINE`; empty where there is none.

    Args:
        error: that was raised.
        package: its name. Of vlzoo's, the door is left out: it calls the parts.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package and not module.startswith("vlzoo.door."):
            found = f"{frame.f_code.co_filename}:{line}"
    return found
