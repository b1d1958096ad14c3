"""From pixel levels to what an image encoder reads.

Legend: H rows, W columns, C = 3 colours; `...` any leading dimensions (a batch, or none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.augment.checks import numbers_of, one_of
from vlzoo.errors import VlzooError

_KNOWN: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Normalise:
    """Levels 0 to 255 to (level / 255 - mean) / std in float32, colours first.

    The default is CLIP's, which ALBEF, TCL and X-VLM use for every encoder, DeiT and Swin included.

    Attributes:
        mean: one number a colour, on the scale 0 to 1.
        std: likewise.

    Raises:
        VlzooError: they are not three numbers each, or a std is not above 0.
    """

    mean: tuple[float, ...] = _KNOWN["clip"][0]
    std: tuple[float, ...] = _KNOWN["clip"][1]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", numbers_of("normalise", "mean", self.mean, 3))
        object.__setattr__(self, "std", numbers_of("normalise", "std", self.std, 3))
        if min(self.std) <= 0:
            raise VlzooError(f"std can't be {self.std!r}", where="normalise, option std", fix="give numbers above 0")

    @classmethod
    def of(cls, option: str | Mapping[str, tuple[float, ...]] | None) -> Normalise:
        """What a recipe's `normalise` means: a name (`clip`, `imagenet`, `half`), `{mean, std}`, or None for CLIP's.

        Raises:
            UnknownName: no such name or key.
            VlzooError: the numbers can't be.
        """
        if option is None:
            return cls()
        if isinstance(option, Mapping):
            return cls(**{one_of("normalise", "key", key, ("mean", "std")): value for key, value in option.items()})
        return cls(*_KNOWN[one_of("normalise", "name", option, _KNOWN)])

    def __call__(self, levels_HWC: NDArray[np.uint8]) -> Tensor:
        """Pixel values of pictures.

        Args:
            levels_HWC: [..., H, W, 3] uint8.

        Returns:
            [..., 3, H, W] float32, contiguous.
        """
        levels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(levels_HWC, -1, -3)))
        mean_C11 = torch.tensor(self.mean)[:, None, None]
        std_C11 = torch.tensor(self.std)[:, None, None]
        return levels.to(torch.float32).div_(255).sub_(mean_C11).div_(std_C11)
