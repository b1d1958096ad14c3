"""Which golden is compared by which code. A new agreement is one line here and one module.

A module's function takes the golden's path (`Path`) and gives rows (`Iterable[Row]`); it is imported when a golden of
its kind is met, so that evaluators do not load torch. It raises `DataError` for a golden that it cannot read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """One kind of golden.

    Attributes:
        pattern: file name of its goldens, with `*`; gzip's `.gz` may follow it.
        target: `module:function` that compares one.
        holds: text near the start of the file, where its name says too little.
        prefix: how the names of its quantities begin; empty where it is the golden's own name and a slash.
    """

    pattern: str
    target: str
    holds: str = ""
    prefix: str = ""


AGREEMENTS: tuple[Agreement, ...] = (
    Agreement("*vqa_cases*.json", "vlzoo.agree.vqa:agree", prefix="vqa/"),
    Agreement("*.json", "vlzoo.agree.vqa:agree", holds='"always_normalised"', prefix="vqa/"),
    Agreement("*albef_retrieval_eval*.json", "vlzoo.agree.recall:agree", prefix="recall/"),
    Agreement("keys_albef*.json", "vlzoo.agree.albef_keys:agree"),
    Agreement("albef_pretrain*.json", "vlzoo.agree.albef_pretrain:agree"),
    Agreement("albef_retrieval*.json", "vlzoo.agree.albef_retrieval:agree", holds="/loss_ita"),
    Agreement("albef_ve*.json", "vlzoo.agree.albef_classify:agree"),
    Agreement("albef_nlvr*.json", "vlzoo.agree.albef_classify:agree", holds='"nodistill'),
    Agreement("albef_nlvr_pretrain*.json", "vlzoo.agree.albef_assignment:agree"),
    Agreement("albef_vqa*.json", "vlzoo.agree.albef_vqa:agree"),
    Agreement("albef_gradcam*.json", "vlzoo.agree.gradcam:agree"),
    Agreement("albef_misc*.json", "vlzoo.agree.albef_misc:agree"),
    Agreement("albef_retrieval_eval*.json", "vlzoo.agree.albef_retrieval_eval:agree"),
    Agreement("*xvlm_bbox*.json", "vlzoo.agree.boxes:agree"),
    Agreement("README.txt", "vlzoo.agree.nlvr:agree", holds="NLVR2 ", prefix="nlvr"),
    Agreement("README.txt", "vlzoo.agree.coco:agree", holds="eccv-caption", prefix="recall/coco"),
)
"""Several may match one golden; each compares its own quantities, and a target runs once."""
