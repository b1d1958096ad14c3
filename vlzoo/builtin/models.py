"""Registrations of the core's encoders, fusions and decoders."""

from __future__ import annotations

from vlzoo.registry import Registrar


def register(registry: Registrar) -> None:
    """Register the core's models."""
    registry.image_encoder(
        "timm", "vlzoo.models.image_timm:TimmEncoder", summary="any timm ViT, DeiT, BEiT, Swin or CNN, as tokens"
    )
    registry.image_encoder(
        "patch",
        "vlzoo.models.image_patch:PatchEncoder",
        summary="one convolution over patches and learned positions",
        paper="Kim et al. 2021 (ViLT)",
    )
    registry.image_encoder(
        "regions",
        "vlzoo.models.image_regions:RegionEncoder",
        summary="a detector's region features and boxes",
        paper="Chen et al. 2020 (UNITER)",
    )
    registry.text_encoder(
        "bert",
        "vlzoo.models.text_bert:BertEncoder",
        summary="the first layers of a BERT: random, from a folder or from a pip package",
        paper="Devlin et al. 2019",
    )
    registry.text_encoder(
        "embedding", "vlzoo.models.embedding:EmbeddingEncoder", summary="word and position vectors alone"
    )
    registry.fusion(
        "cross_attention",
        "vlzoo.models.fusion_cross:CrossAttentionFusion",
        summary="text queries one or two pictures, whose keys and values are projected once",
        paper="Li et al. 2021 (ALBEF)",
    )
    registry.fusion(
        "merged",
        "vlzoo.models.fusion_merged:MergedFusion",
        summary="one stream of words and image tokens that attend to each other",
        paper="Chen et al. 2020 (UNITER)",
    )
    registry.decoder(
        "causal",
        "vlzoo.models.decoder:CausalDecoder",
        summary="words one after the other, reading a memory, with a key and value cache",
        paper="Li et al. 2021 (ALBEF)",
    )
