"""What a decoder reads of each row of a step.

Legend: R batch rows, N image tokens, L text tokens, D width.
"""

from __future__ import annotations

import torch

from vlzoo.errors import VlzooError
from vlzoo.step.passes import Passes
from vlzoo.types import Fused, Tokens


def memory_of(passes: Passes) -> Tokens | None:
    """The tokens that the model's decoder reads: image tokens [R, N, D], or fused states [R, L, D], as it says.

    None where the stream has no pictures and the decoder reads these: it then reads words alone.
    """
    reads = passes.model.decoder_reads
    if reads == "image":
        return passes.image() if passes.main_image else None
    return fused_memory(passes, passes.fused(image_states=reads == "all"))


def fused_memory(passes: Passes, fused: Fused) -> Tokens:
    """The states that a pass gives, words' first, then those of the main pictures where it gives them."""
    if fused.image is None:
        return Tokens(fused.x, fused.mask, fused.cls)
    masks = [fused.mask, *(passes.image(view).mask for view in passes.main_image)]
    return Tokens(torch.cat([fused.x, fused.image], dim=1), torch.cat(masks, dim=1), fused.cls)


def require_memory(passes: Passes) -> Tokens:
    """`memory_of`, where something must be read.

    Raises:
        VlzooError: the stream has no pictures.
    """
    memory = memory_of(passes)
    if memory is None:
        raise VlzooError("these rows have no pictures for the decoder to read", fix="take data with pictures")
    return memory
