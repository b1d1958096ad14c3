"""Which of X-VLM's weights decay."""

import re

from torch import nn

_SPARED = re.compile(r"bias|(^|\.)(\w*norm\w*|LayerNorm)\.")


def spares_biases_and_norms(name: str, parameter: nn.Parameter) -> bool:
    """Everything decays whose name has neither `bias` in it nor a norm, as the official `optim.py` finds by text.

    So a Swin's `relative_position_bias_table` does not decay, and the LayerNorm inside a head, whose name is a number,
    does, as the class token, positions and the temperature do.
    """
    return _SPARED.search(name) is None
