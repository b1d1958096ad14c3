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
