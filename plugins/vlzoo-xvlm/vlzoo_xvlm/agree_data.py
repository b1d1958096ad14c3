"""The agreement with `xvlm_data.json`. No torch until `compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Result


class Data(Agreement):
    """Masked texts, cells of boxes, region samples and a batch of them, resized tables of relative places."""

    pattern = "xvlm_data*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """One row a function, a tensor of the batch, or a field of the samples."""
        from vlzoo_xvlm.data_golden import compare

        return compare(path)
