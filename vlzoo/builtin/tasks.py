"""Registrations of the core's tasks."""

from __future__ import annotations

from vlzoo.registry import Registrar


def register(registry: Registrar) -> None:
    """Register the core's tasks."""
    registry.task(
        "retrieval",
        "vlzoo.bench.tasks.retrieval:Retrieval",
        summary="find a picture's captions (TR) and a caption's picture (IR): recall@1, 5, 10",
        paper="Karpathy and Fei-Fei, CVPR 2015",
    )
    registry.task(
        "vqa",
        "vlzoo.bench.tasks.vqa:Vqa",
        summary="answer a question about a picture, by ranking a list of answers",
        paper="Goyal et al., CVPR 2017",
    )
    registry.task(
        "nlvr2",
        "vlzoo.bench.tasks.nlvr2:Nlvr2",
        summary="is a sentence true of two pictures: accuracy and consistency",
        paper="Suhr et al., ACL 2019",
    )
    registry.task(
        "snli-ve",
        "vlzoo.bench.tasks.snli_ve:SnliVe",
        summary="does a picture entail a sentence, contradict it, or neither",
        paper="Xie et al., 2019",
    )
    registry.task(
        "gqa",
        "vlzoo.bench.tasks.vqa:Gqa",
        summary="answer a compositional question about a picture: one right answer",
        paper="Hudson and Manning, CVPR 2019",
    )
    registry.task(
        "nlvr",
        "vlzoo.bench.tasks.nlvr2:Nlvr",
        summary="is a sentence true of a drawing: accuracy and consistency over six drawings",
        paper="Suhr et al., ACL 2017",
    )
    registry.task(
        "grounding",
        "vlzoo.bench.tasks.grounding:Grounding",
        summary="which box an expression means: accuracy at IoU 0.5, pointing game, energy in the box",
        paper="Yu et al., ECCV 2016",
    )
    registry.task(
        "image-retrieval",
        "vlzoo.bench.tasks.image_retrieval:ImageRetrieval",
        summary="find the other pictures of a picture's class: recall@1, 5, 10 and mAP",
    )
