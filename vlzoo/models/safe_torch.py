"""Torch files read without running anything that they name, whatever lies in them beside the tensors."""

from __future__ import annotations

import collections
import pickletools
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from vlzoo.errors import CheckpointError
from vlzoo.file_kinds import OLDER_TORCH, PICKLE, SAFETENSORS, TORCH, TORCHSCRIPT, kind_of, remedy

_FIX = "give a .safetensors file, or a torch file that holds tensors alone and plain values"

_GLOBAL = re.compile(r"GLOBAL (\S+)|<(?:class|function|built-in function) '?([\w.]+)")
"""Where torch's message names what a file asked for."""

_SCALARS = ("multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer")
_HARMLESS = (
    *(f"numpy.{core}.{name}" for core in ("core", "_core") for name in _SCALARS),
    "numpy.ndarray",
    "numpy.dtype",
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"pathlib.{name}" for name in ("Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")),
    *(f"datetime.{name}" for name in ("datetime", "date", "timedelta", "timezone")),
)
"""What trainers store beside weights: a best score of numpy, the arguments, paths, dates."""


class Unread:
    """Stands where a file has a value that nobody reads: it keeps nothing of it and does nothing."""

    def __new__(cls, *_values: object) -> Unread:
        """One of them, whatever it is made of."""
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        """Forget the state."""


def _stand_in(full: str) -> type[Unread]:
    """A class of a name that torch takes for the one in the file: neither numpy's code nor argparse's is called."""
    module, _, name = full.rpartition(".")
    return type(name, (Unread,), {"__module__": module, "__qualname__": name})


_PICKLES = {PICKLE: 1, OLDER_TORCH: 4}
"""How many pickles stand at the beginning of a file of a kind: in torch's older format the fourth has the names."""

_STAND_INS: list[Any] = [_stand_in(full) for full in _HARMLESS]


def load_torch(file: Path) -> Any:
    """What a torch file holds, on the CPU. Values of harmless classes beside the tensors are `Unread`.

    Raises:
        CheckpointError: it is none, is damaged, or names a class or function that could run code; nothing of it is run.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS), file.open("rb") as opened:
            warnings.simplefilter("ignore")  # about its own reading; what the user must know is said here
            return torch.load(opened, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is cut or damaged makes torch raise nearly anything
        raise unreadable(file, error) from None


def unreadable(file: Path, error: Exception | None = None) -> CheckpointError:
    """What to say of a file of weights that its reader refused: what it is, or the class that it asks for.

    Args:
        file: the file.
        error: what the reader raised; None: it is of a kind that no reader takes.
    """
    try:
        kind = kind_of(file)
    except OSError as refused:
        return CheckpointError(f"it can't be read as weights: {refused.strerror}", where=str(file), fix=_FIX)
    found = _GLOBAL.search(str(error)) if kind == TORCH or _whole(file, _PICKLES.get(kind, 0)) else None
    what, fix = f"it is {kind}", remedy(kind, _FIX)
    if kind == TORCHSCRIPT:
        fix = "save the state_dict() of its model alone, as safetensors"
    elif found:
        what = f"it asks for {found[1] or found[2]}, and to read that could run code"
    elif kind in (SAFETENSORS, TORCH, OLDER_TORCH):
        how = "" if kind == SAFETENSORS else ", or written in a way that can't be read safely"
        what = f"{what} that is cut short or damaged{how}{_reason(error)}"
        fix = "get the file again" + (", or have its tensors saved as safetensors" if how else "")
    return CheckpointError(f"it can't be read as weights: {what}", where=str(file), fix=fix)


def _whole(file: Path, pickles: int) -> bool:
    """Whether so many pickles stand whole at a file's beginning: a name that is cut is no class that it asks for."""
    try:
        with file.open("rb") as opened:
            for _ in range(pickles):
                collections.deque(pickletools.genops(opened), maxlen=0)
    except Exception:  # bytes that are no pickle make it raise nearly anything
        return False
    return pickles > 0


def _reason(error: Exception | None) -> str:
    """What safetensors says; torch's own words are about its insides, or advise to read the file unsafely."""
    return f" ({str(error).splitlines()[0]})" if isinstance(error, SafetensorError) and str(error) else ""
