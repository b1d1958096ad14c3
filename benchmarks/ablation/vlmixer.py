"""VLMixer's table: which figures, which rows of the paper, and what the report says."""

from __future__ import annotations

from ablation import lots
from ablation.tuned import Look, Paper
from ablation.tuned_table import Words

COLUMNS = {
    "VQA": ("vqa2", "test-dev", "vqa-accuracy"),
    "NLVR2": ("nlvr2", "test", "accuracy"),
    "COCO TR": ("coco", "test-5k", "TR R@1"),
    "COCO IR": ("coco", "test-5k", "IR R@1"),
}
ROWS = {
    "bert": {"method": "BERT-base"},
    "vinvl-unpaired": {"method": "VinVL-unpaired", "image_data": "COCO"},
    "u-visualbert": {"method": "U-VisualBERT", "image_data": "COCO"},
    "vlmixer": {"method": "VLMixer", "image_data": "COCO"},
    "paired": {"method": "VinVL-base"},
}
"""Of the paper's settings COCO / COCO; its paired line is VinVL, on far more data. The other rows are ours."""
PARTS = ("without-contrast", "r-ctx-0", "k-1", "k-15")
"""Rows that change one thing of VLMixer."""
LOOK = Look(
    ("VQA", "NLVR2", "TR R@1", "IR R@1"),
    Paper("vlmixer/main", ROWS, COLUMNS),
    beside=("TR mean", "IR mean"),
    against=dict.fromkeys(PARTS, "vlmixer"),
    chance=lots.of_job,
)
WORDS = Words(
    title="VLMixer: what can be learned from pictures and texts that never met",
    trained=(
        "as many updates as {samples} samples of one stream make. In settings `unpaired` pictures are those of one "
        "half of Scenes, texts the captions of the other; the row `paired` has the pictures of the one half with their "
        "own captions. Then it is fine-tuned for each task, on all training pictures with what is said and asked of "
        "them. Settings `real` have photos and other texts, as is told beside them."
    ),
    measured=(
        "On pictures of which neither pre-training nor fine-tuning saw one: the test split of Scenes, or photos that "
        "were held out. VQA: official accuracy. NLVR2: accuracy, by two passes. TR and IR R@1: `retrieval/itm` over "
        "all pairs of a pool, for there is no first stage; Scenes' test pictures are divided into {pools} pools by "
        "their ids, and recall is the mean over the pictures, or texts, of all pools; a tie is a miss. TR and IR mean: "
        "the mean of R@1, 5 and 10. The line `by lot` is what an order by lot is worth. Regions and tags come from "
        "galleries of the detector that the setting names: `annotations` takes the true boxes and labels, `ssd` and "
        "`nanodet` are what two small real detectors found; `torchvision` is a small Faster R-CNN that was fitted to "
        "the boxes of all training pictures. Features of Scenes' known boxes are those of a net that was never "
        "trained, of boxes in photos an EfficientNet-Lite0's, which knows ImageNet."
    ),
    shows_not=(
        "A tiny model trained for minutes on drawings of six shapes is no replication: the paper's figures are of "
        "BERT-base on COCO's pictures and captions, and stand beside ours only to show the order found there. Nothing "
        "starts from BERT here: the row `bert` is trained on the same texts alone. Scenes have few concepts, each of "
        "them in very many pictures, and a shape's name is the detector's label: nothing is learned about concepts "
        "that a detector lacks, names otherwise or misses. With `annotations` tags are always true, which is easier "
        "than any detector makes it; `torchvision` was fitted to pictures that training reads, and may find their "
        "shapes more surely than those of the test split. Fine-tuning reads twice the pictures of pre-training, now "
        "with their captions, which can make up for much that pre-training lacked. The row `paired` differs in its "
        "objectives, too: it was trained to match, which is what retrieval is fine-tuned by. A replaced word has 5 "
        "patches here and 15 in the paper. A pool of about a hundred pictures is easier than the paper's 5,000: "
        "recalls are not to be compared with its, nor is its paired line, which is of far more data. The photos are a "
        "few hundred, which so small a model can learn by heart, and some of them are those that the two detectors "
        "were trained on."
    ),
)
