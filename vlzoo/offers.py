"""What an objective lends to others (`Objective.offers`), in shapes: a matching head, class logits, boxes.

Losses of other objectives, token masks, tasks and explanations ask for an offer by its name, never for a class: so a
stranger's matching loss is measured and explained as `itm` is.

Legend: B batch rows, C classes, P text-image pairs, L text tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from torch import Tensor

from vlzoo.batch import Text
from vlzoo.errors import VlzooError, did_you_mean
from vlzoo.types import Fused, Tokens

if TYPE_CHECKING:
    from vlzoo.interfaces import Objective
    from vlzoo.step.step import Step

T = TypeVar("T")

MATCH = 1
"""The class of `match` that means: this text belongs to this picture."""

LENDERS = {
    "match": "itm",
    "contrast": "itc",
    "mlm": "mlm",
    "classes": "classify",
    "answers": "answer",
    "captions": "lm",
}
"""Offers -> the built-in objective that makes each."""
PICTURE_LENDERS = {"answers": "prefix_answer"}
"""Offers -> the built-in objective that makes each where the decoder reads the picture, which the other one refuses."""


class Match(Protocol):
    """`match`: does a text belong to a picture?"""

    def __call__(self, state_PD: Tensor) -> Tensor:
        """Logits [P, 2] of first states [P, D]; class 1 means yes."""
        ...


class Contrast(Protocol):
    """`contrast`: the embeddings of pictures and of texts were trained to be compared.

    Hard negatives are mined and pictures are ranked by it; without it negatives are drawn uniformly, and nothing is
    ranked by embeddings.
    """

    def logits(self, cosine: Tensor) -> Tensor:
        """Cosines of any shape as its loss compares them: over its temperature, with its bias where it has one."""
        ...


class MaskedWords(Protocol):
    """`mlm`: predict the masked words of any pass over the view `masked`."""

    def __call__(self, step: Step, fused: Fused) -> Tensor:
        """The loss of the masked words, []; the pass holds their states (`reads="masked"`)."""
        ...


class Classes(Protocol):
    """`classes`: which class of the task's closed list."""

    def __call__(self, step: Step) -> Tensor:
        """Class logits, [B, C]."""
        ...


class Answers(Protocol):
    """`answers`: the model's decoder was trained to answer."""

    def memory(self, step: Step) -> Tokens:
        """What the decoder reads of each question and picture, x [B, L, D]."""
        ...

    def prompt(self, step: Step) -> Text:
        """The words behind which the answer to each question is written: a start token, or the question; B rows."""
        ...


class Captions(Protocol):
    """`captions`: the model's decoder was trained to write the texts of pictures."""

    @property
    def start(self) -> str:
        """Name of the tokenizer's token that its texts begin with: `cls`."""
        ...

    @property
    def end(self) -> str:
        """Name of the token that ends them: `sep`."""
        ...

    @property
    def reads_prompt(self) -> bool:
        """Whether a prompt's words are read with the picture (SimVLM), not gone on from by the decoder (GIT)."""
        ...

    def memory(self, step: Step, prompt: Sequence[int] = ()) -> Tokens:
        """What the decoder reads of each picture, x [B, N, D]; of a prompt's ids too, where they are read."""
        ...


class Boxes(Protocol):
    """`boxes`: where in the picture is what the text speaks of?"""

    def __call__(self, step: Step) -> Tensor:
        """Centre, width and height in shares of the picture, [B, 4]: cx, cy, w, h."""
        ...


class Offers:
    """What the objectives of a system or of a stream lend, by name.

    >>> offers = Offers(system.named_objectives())
    >>> "match" in offers, "boxes" in offers
    (True, False)
    >>> offers.one("match")(torch.zeros(3, 96)).shape
    torch.Size([3, 2])

    Args:
        objectives: the objectives by name.
    """

    def __init__(self, objectives: Mapping[str, Objective] | None = None) -> None:
        self._lent: dict[str, dict[str, Any]] = {}
        for lender, objective in (objectives or {}).items():
            for name, what in objective.offers().items():
                self._lent.setdefault(name, {})[lender] = what

    def __contains__(self, name: str) -> bool:
        return name in self._lent

    def one(self, name: str, *default: T) -> Any | T:
        """The one thing that is lent under a name; a second argument is given back where nobody lends it.

        Raises:
            VlzooError: nobody lends it and there is no default, or several do.
        """
        found = self._lent.get(name, {})
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            what = f"{len(found)} objectives offer {name!r} ({', '.join(found)}), and which one is meant can't be told"
            raise VlzooError(what, fix="switch all but one of them off: `objectives: {NAME: false}`")
        if default:
            return default[0]
        raise VlzooError(f"no objective of this recipe offers {name!r}", fix=self._remedy(name))

    def _remedy(self, name: str) -> str:
        streams = "to `objectives` (with several streams: to those of this stream)"
        if name in LENDERS:
            picture = PICTURE_LENDERS.get(name)
            behind = f", or where the decoder reads the picture `{picture}`," if picture else ""
            return f"add `{LENDERS[name]}`{behind} {streams}"
        known = did_you_mean(name, {*LENDERS, *self._lent}, what="offers")
        return f"{known}; or add an objective that offers it {streams}"
