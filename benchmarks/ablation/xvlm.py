"""X-VLM's ablation: which figures, which rows of the paper, and what the report says."""

from __future__ import annotations

from ablation.tuned import Look, Paper
from ablation.tuned_table import Words

COLUMNS = {
    "Meta-Sum": ("all", "-", "meta-sum"),
    "COCO TR": ("coco", "test-5k", "TR R@1"),
    "COCO IR": ("coco", "test-5k", "IR R@1"),
    "F30K TR": ("flickr30k", "test-1k", "TR R@1"),
    "F30K IR": ("flickr30k", "test-1k", "IR R@1"),
    "VQA": ("vqa2", "test-dev", "vqa-accuracy"),
    "NLVR2": ("nlvr2", "test-P", "accuracy"),
    "RefCOCO+ A": ("refcoco+", "testA", "accuracy"),
    "RefCOCO+ B": ("refcoco+", "testB", "accuracy"),
}
ROWS = {
    "full": {"method": "X-VLM"},
    "without-objects": {"method": "w/o object"},
    "without-regions": {"method": "w/o region"},
    "without-box": {"method": "w/o bbox loss"},
    "without-all": {"method": "w/o all"},
}
"""The attention pool is ours."""
LOOK = Look(
    ("TR R@1", "IR R@1", "VQA", "NLVR2", "grounding"),
    Paper("xvlm/ablation", ROWS, COLUMNS),
    total="Meta-Sum",
    beside=("Grad-CAM", "fixed box", "random object"),
)
"""Beside the sum: grounding by the map of the matching score, of the run fine-tuned for retrieval, and by boxes that
look at nothing."""
WORDS = Words(
    title="X-VLM: which part does what",
    trained=(
        "{samples} pictures with captions, and in the rows that have regions one more update on them at every second "
        "step. Then it is fine-tuned for each task, for as many updates as ablation/lengths.py says: fewer than the "
        "recipe's, and for grounding at the size of the pictures, not at twice as much."
    ),
    measured=(
        "Test split of Scenes. TR and IR R@1: `retrieval/itm` with the {k} nearest re-scored; a tie is a miss. VQA: "
        "official accuracy. NLVR2: accuracy. grounding: the box head's accuracy at IoU 0.5. Meta-Sum: the sum of these "
        "five; the paper's has eight. Grad-CAM: grounding by the matching score's map of the run fine-tuned for "
        "retrieval, among the true boxes of the picture's objects; fixed box: the one most often right for training "
        "expressions; random object: any of the picture's, the mean over all. They are no part of the sum."
    ),
    shows_not=(
        "A tiny model (a small convolutional net, 64 px, a grid of 4 x 4 tokens of 16 px) trained for minutes is no "
        "replication: the paper's figures are of Swin-B on 4M pictures. Objects and phrases of Scenes are exact and "
        "their words few; real annotations are neither. The row without regions and objects makes as many updates on "
        "pictures with captions, sees fewer pictures in all and costs less. In rows without the box loss the box head "
        "begins at random in fine-tuning. Our copy of the paper's table does not say by which form of grounding its "
        "RefCOCO+ columns were measured, boxes or maps: neither of our columns is to be read against them one for one."
    ),
)
