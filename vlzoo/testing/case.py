"""A part under test: how it is built, what it is called, and the error that tells its author what to do."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from vlzoo.door.options import Schema, schema_of
from vlzoo.door.parts import FUNCTIONS, Owner, Part
from vlzoo.door.plugins import registry
from vlzoo.errors import RecipeError, VlzooError, named, raised_in

Check = Callable[[Any], None]
"""One thing that every part of a kind keeps to: it is given a case, and refuses what breaks it."""


class ContractError(VlzooError):
    """A part that does not keep to what its kind promises: what it did, where, and what its author can do."""


@dataclass
class Case:
    """One part with its options.

    >>> case = Case.of("objective", "itm")
    >>> case.part.name, type(case.build()).__name__
    ('itm', 'ITM')

    Attributes:
        kind: of the part.
        part: as it was registered; of a class that nobody registered, as if it had been.
        code: its class or function.
        options: for its constructor.
        given: what the author gives beside the part, by name: data, a state.
    """

    kind: str
    part: Part
    code: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, part: Any, options: Mapping[str, Any] | None = None, **given: Any) -> Case:
        """The case of a part by its name, or of a class.

        Raises:
            UnknownName: nothing of this kind has the name.
            PluginError: it can't be imported.
        """
        if isinstance(part, str):
            found = registry().find(kind, part)
            code = found.load() if kind != "method" else None
        else:
            code, name = part, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", part.__name__).lower()
            found = Part(kind, name, f"{part.__module__}:{part.__qualname__}", "", Owner("", "", ""))
        return cls(kind, found, code, dict(options or {}), given)

    @property
    def schema(self) -> Schema:
        """The options that it takes, as far as its source tells."""
        return schema_of(self.part)

    @property
    def called(self) -> str:
        """Kind, name and plugin, for messages."""
        owner = f" ({self.part.owner})" if self.part.owner.dist else ""
        return f"{self.kind} {self.part.name!r}{owner}"

    def build(self, **options: Any) -> Any:
        """The part, built anew; a function as it is.

        Args:
            options: more of them; those that the author gave come first.

        Raises:
            ContractError: an option that must be given is missing, or its own code fails.
        """
        if self.kind in FUNCTIONS:
            return self.code
        given = {**options, **self.options}
        missing = [each.name for each in self.schema.options if each.default is None and each.name not in given]
        if missing:
            fix = f"give it: check_{self.kind}({self.part.name!r}, options={{{missing[0]!r}: ...}})"
            self.refuse(f"can't be built here: its option {missing[0]!r} has no default", fix)
        with self.blamed("can't be built", "a part is built with its defaults alone: check options in the constructor"):
            return self.code(**given)

    def taking(self, **options: Any) -> dict[str, Any]:
        """Those of some options that it takes."""
        known = self.schema
        return {name: value for name, value in options.items() if name in known.names}

    def sent(self, value: Any, fix: str, method: str = "", *, what: str = "can't be sent to a data worker") -> Any:
        """A value as a data worker has it: there and back by pickle.

        Raises:
            ContractError: it does not pickle.
        """
        with self.blamed(what, fix, method):
            return pickle.loads(pickle.dumps(value))

    def refuse(self, what: str, fix: str, method: str = "") -> NoReturn:
        """Raise what the part did wrong.

        Args:
            what: it did: "gives a loss of nan".
            fix: what its author can do.
            method: where it went wrong.

        Raises:
            ContractError: always.
        """
        raise ContractError(f"{self.called} {what}", where=self.where(method) or None, fix=fix)

    def demand(self, right: bool, what: str, fix: str, method: str = "") -> None:
        """Refuse where something is not right; see `refuse`."""
        if not right:
            self.refuse(what, fix, method)

    def where(self, method: str = "") -> str:
        """`FILE:LINE` of the part, or of one of its methods."""
        code = getattr(getattr(self.code, method, None), "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
        return self.schema.where

    @contextmanager
    def blamed(self, what: str, fix: str, method: str = "") -> Iterator[None]:
        """Around the part's own code: whatever it raises becomes an error that says when, and what to do.

        Raises:
            ContractError: it raised something.
        """
        try:
            yield
        except ContractError:
            raise
        except VlzooError as error:
            place = error.where or self.where(method) or None
            said = str(error) if isinstance(error, RecipeError) else error.what
            raise ContractError(f"{self.called} {what}: {said}", where=place, fix=error.fix or fix) from error
        except Exception as error:
            place = raised_in(error, self.part.package) or self.where(method)
            raise ContractError(f"{self.called} {what}: {named(error)}", where=place or None, fix=fix) from error


def run(checks: Iterable[Check], case: Case) -> None:
    """Every check of a kind, one after the other; the first that is not kept is raised.

    Raises:
        ContractError: says which part, what it did, and what to do.
    """
    for check in checks:
        check(case)


def is_described(case: Case) -> None:
    """It has a docstring, and every option a line in its `Args:`, so that `vlzoo show` tells both."""
    if case.kind in (*FUNCTIONS, "method"):
        return
    fix = 'write what it does in a line: """..."""; `vlzoo show` prints it'
    case.demand(bool((case.code.__doc__ or "").strip()), "has no docstring", fix)
    for option in case.schema.options:
        fix = f"add `{option.name}: ...` under `Args:` of its docstring; `vlzoo show` prints it"
        case.demand(bool(option.about), f"says nothing of its option {option.name!r}", fix)


def is_a(case: Case, base: type) -> None:
    """It is made from the base class of its kind."""
    made = case.code if isinstance(case.code, type) else type(case.build())
    fix = f"derive its class from `vlzoo.{base.__name__}`"
    case.demand(issubclass(made, base), f"builds a {made.__name__}, which is no {base.__name__}", fix)
