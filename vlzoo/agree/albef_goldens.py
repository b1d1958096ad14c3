"""ALBEF's agreements: its kinds of golden, each with the module that computes it. No torch until `compare`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlzoo.agree.agreement import Agreement, Result


class Pretrain(Agreement):
    """One pre-training step, and three with the optimiser."""

    pattern = "albef_pretrain*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Losses, states, sampling weights, gradients, queue and teacher of each case; then the trajectory."""
        from vlzoo.agree.albef_pretrain import compare

        return compare(path)


class TextAssignment(Agreement):
    """A step of pre-training for NLVR2."""

    pattern = "albef_nlvr_pretrain*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Loss, logits, states, sampling weights and gradients."""
        from vlzoo.agree.albef_assignment import compare

        return compare(path)


class Retrieval(Agreement):
    """A step of retrieval fine-tuning."""

    pattern = "albef_retrieval*.json"
    holds = "/loss_ita"

    def compare(self, path: Path) -> Iterator[Result]:
        """Losses, states, sampling weights, gradients, and the queue after each case."""
        from vlzoo.agree.albef_retrieval import compare

        return compare(path)


class RetrievalEval(Agreement):
    """The score matrices of two-stage retrieval, through the task that `vlzoo bench` runs."""

    pattern = "albef_retrieval_eval*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Token ids, embeddings, cosines, and the two score matrices of each number of candidates."""
        from vlzoo.agree.albef_retrieval_eval import compare

        return compare(path)


class Entailment(Agreement):
    """A step of fine-tuning for SNLI-VE, one picture a text."""

    pattern = "albef_ve*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Loss and gradients of each case, and the predictions of evaluation."""
        from vlzoo.agree.albef_classify import compare

        return compare(path)


class Nlvr(Entailment):
    """A step of fine-tuning for NLVR2, two pictures a text."""

    pattern = "albef_nlvr*.json"
    holds = '"nodistill'


class Vqa(Agreement):
    """A step of VQA fine-tuning, and the ranking of answers."""

    pattern = "albef_vqa*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Loss, logits and gradients of each case, and both stages of ranking."""
        from vlzoo.agree.albef_vqa import compare

        return compare(path)


class GradCam(Agreement):
    """Word-conditional Grad-CAM of the fusion, and that of the contrast."""

    pattern = "albef_gradcam*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """Logits, attention, its gradient, and the maps as the notebook, the grounding and LAVIS reduce them."""
        from vlzoo.agree.albef_gradcam import compare

        return compare(path)


class Functions(Agreement):
    """Position tables, learning rates, cleaned texts and token ids."""

    pattern = "albef_misc*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """One row a table or a function."""
        from vlzoo.agree.albef_misc import compare_functions

        return compare_functions(path)


class Names(Agreement):
    """The names and shapes of a full-size checkpoint, through the adapter."""

    pattern = "keys_albef*.json"

    def compare(self, path: Path) -> Iterator[Result]:
        """How many names have no place here, and how many of the model's the file does not fill."""
        from vlzoo.agree.albef_misc import compare_names

        return compare_names(path)
