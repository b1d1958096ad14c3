"""X-VLM's agreements: its kinds of golden, each with the module that computes it. No torch until `compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Result


class Pretrain(Agreement):
    """An image update, a region update, and two of each with the optimiser."""

    pattern = "xvlm_pretrain*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Losses, states, chances of negatives and gradients of each case; groups and weights of the trajectory."""
        from vlzoo_xvlm.agree_pretrain import compare

        return compare(path)


class Boxes(Agreement):
    """A step of fine-tuning for RefCOCO+, with the box head."""

    pattern = "xvlm_bbox*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Boxes, losses, gradients, the degenerate batch, and overlaps of boxes."""
        from vlzoo_xvlm.agree_tasks import compare_boxes

        return compare_boxes(path)


class Retrieval(Agreement):
    """A step of retrieval fine-tuning, and both score matrices of evaluation."""

    pattern = "xvlm_retrieval*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Losses, states, chances of negatives, gradients, matrices."""
        from vlzoo_xvlm.agree_tasks import compare_retrieval

        return compare_retrieval(path)


class Nlvr(Agreement):
    """A step of fine-tuning for NLVR2."""

    pattern = "xvlm_nlvr*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Loss, gradients, predictions."""
        from vlzoo_xvlm.agree_tasks import compare_nlvr

        return compare_nlvr(path)


class Vqa(Agreement):
    """A step of VQA fine-tuning, and the ranking of answers."""

    pattern = "xvlm_vqa*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Loss, gradients, candidates and their chances."""
        from vlzoo_xvlm.agree_tasks import compare_vqa

        return compare_vqa(path)


class Names(Agreement):
    """The names and shapes of a full-size checkpoint, through the adapter."""

    pattern = "keys_xvlm*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """How many names have no place here, and how many of the model's the file does not fill."""
        from vlzoo.agree.agreement import name_of
        from vlzoo.agree.albef_misc import check_names
        from vlzoo_xvlm.weights import XvlmAdapter

        return check_names(path, XvlmAdapter(where=name_of(path)))
