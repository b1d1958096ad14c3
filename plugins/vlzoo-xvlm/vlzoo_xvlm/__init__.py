"""X-VLM (Zeng et al., ICML 2022): texts aligned with pictures and their regions, and boxes found by their text."""

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

VLZOO_API = 1

PAPER = (
    "Zeng et al., Multi-Grained Vision Language Pre-Training: Aligning Texts with Visual Concepts (X-VLM), ICML 2022"
)

METHODS = {
    "xvlm-base-4m": "X-VLM at paper size: Swin-B, 4M pictures",
    "xvlm-base-16m": "X-VLM at paper size: Swin-B, 16M pictures",
    "xvlm-vit-4m": "X-VLM with a DeiT",
    "xvlm-clip-4m": "X-VLM with CLIP's ViT",
    "xvlm-tiny": "X-VLM in minutes, on Scenes",
}
AGREEMENTS = {
    "Pretrain": "image and region updates of X-VLM",
    "Boxes": "a step of X-VLM's fine-tuning for boxes",
    "Retrieval": "a step of X-VLM's retrieval, and its score matrices",
    "Nlvr": "a step of X-VLM's fine-tuning for NLVR2",
    "Vqa": "a step of X-VLM's VQA, and the ranking of answers",
    "Names": "the names of X-VLM's full-size checkpoints",
}


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the parts and the recipes."""
    registry.image_encoder(
        "local_vit",
        "vlzoo_xvlm.vit:LocalVit",
        summary="a ViT whose last blocks look at regions by themselves",
        paper=PAPER,
    )
    registry.image_encoder(
        "attention_pool",
        "vlzoo_xvlm.attention_pool:AttentionPool",
        summary="any timm model, its regions merged by attention",
        paper=PAPER,
    )
    registry.rows(
        "regions", "vlzoo_xvlm.rows:Regions", summary="a caption and regions of a picture, a row each", paper=PAPER
    )
    registry.augmentation(
        "around_box", "vlzoo_xvlm.around_box:AroundBox", summary="a crop that holds one of the boxes", paper=PAPER
    )
    registry.objective("span_mlm", "vlzoo_xvlm.span_mlm:SpanMLM", summary="MLM of whole words and spans", paper=PAPER)
    registry.objective("box", "vlzoo_xvlm.box:Box", summary="a region's box from its text and the picture", paper=PAPER)
    registry.decay(
        "xvlm", "vlzoo_xvlm.optim:spares_biases_and_norms", summary="X-VLM's: no bias, no norm of a block", paper=PAPER
    )
    registry.adapter("xvlm", "vlzoo_xvlm.weights:XvlmAdapter", summary="official checkpoints of X-VLM", paper=PAPER)
    for name, about in METHODS.items():
        registry.method(name, f"vlzoo_xvlm:recipes/{name}.yaml", summary=about, paper=PAPER)
    for name, summary in AGREEMENTS.items():
        registry.agreement(f"xvlm-{name.lower()}", f"vlzoo_xvlm.agree:{name}", summary=summary)
    registry.agreement("xvlm-data", "vlzoo_xvlm.agree_data:Data", summary="X-VLM's masks, regions and batches")
