"""What a registered part is: its kind, its name, who supplied it, its options, and where its code lies."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlzoo.errors import PluginError, raised_in

CORE = "vlzoo"
"""The distribution whose names nobody else can take."""

KINDS: Mapping[str, str] = {
    "image_encoder": "pictures to image tokens",
    "text_encoder": "words to text tokens",
    "fusion": "text and image tokens to fused states",
    "tokenizer": "texts to ids",
    "decoder": "fused states to text, word by word",
    "objective": "a training step to a loss",
    "augmentation": "an image with its texts and boxes to a changed one",
    "token_mask": "a training step to weights on image tokens",
    "rows": "samples to rows of a batch",
    "mixer": "a sentence to one in which patches of pictures stand for words",
    "detector": "pictures to boxes, labels and features",
    "data": "where samples come from",
    "task": "how a downstream task is trained and measured",
    "method": "a recipe over registered parts",
    "adapter": "a foreign checkpoint to vlzoo's names",
    "schedule": "a place in a run to its learning rate",
    "decay": "a parameter to whether weight decay applies to it",
    "model_family": "a reference to a model that can be measured",
    "agreement": "a file of official values to their comparison with ours",
}
"""Every kind of part, with what it turns into what."""

FUNCTIONS = ("schedule", "decay")
"""Kinds whose part is a function that is called as it is, not built: it takes no options, a recipe gives its name."""


@dataclass(frozen=True)
class Option:
    """One option of a part.

    Attributes:
        name: keyword of the constructor.
        type: the annotation as written, `int | None`; `""` where there is none.
        default: the default as written, `0.07`; None where the option must be given.
        about: one line about it, from the docstring's `Args`.
    """

    name: str
    type: str = ""
    default: str | None = None
    about: str = ""


@dataclass(frozen=True)
class Owner:
    """Who supplied a part: the distribution, its version and the entry point's name."""

    dist: str
    version: str
    entry: str

    def __str__(self) -> str:
        return f"{self.dist} {self.version}"


@dataclass(frozen=True)
class Part:
    """One registered part.

    Attributes:
        kind: a key of `KINDS`.
        name: the bare name, unique among the core's parts of its kind.
        target: `package.module:attribute`, or `package:folder/recipe.yaml` for a method.
        summary: one line about it.
        owner: who supplied it.
        paper: where it was published.
        options: its option schema where the registration gave one; None means: read from the signature.
    """

    kind: str
    name: str
    target: str
    summary: str
    owner: Owner
    paper: str = ""
    options: tuple[Option, ...] | None = None

    @property
    def package(self) -> str:
        """The package that its code lies in."""
        return self.target.partition(":")[0].partition(".")[0]

    @property
    def qualified(self) -> str:
        """The name that is never ambiguous: `dist:name`."""
        return f"{self.owner.dist}:{self.name}"

    def load(self) -> Any:
        """The class or function behind the part; imports its module.

        Raises:
            PluginError: the module does not import, has no such attribute, or it can't be called.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for step in attribute.split("."):
                found = getattr(found, step)
            if not callable(found):
                raise TypeError(f"its type is {type(found).__name__}, neither a class nor a function")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a part must not end the program
            raise PluginError(
                f"{self.kind} {self.name!r} could not be loaded from {self.target!r}: {type(error).__name__}: {error}",
                where=", ".join(filter(None, [str(self.owner), raised_in(error, self.package)])),
                fix="reinstall the plugin or tell its author; `vlzoo doctor` shows what is installed",
            ) from error
        return found
