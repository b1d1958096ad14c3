"""CLIP, SigLIP, BLIP and ViLT of transformers, tiny and random, as folders that `save_pretrained` wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz?0123456789"]
WORDS += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
VOCAB = len(WORDS)
TEXT = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PICTURE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 16,
}
SIDE = {"size": {"height": 32, "width": 32}}
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}


def clip() -> tuple[Any, Any]:
    text = {**TEXT, "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = hf.CLIPConfig(text_config=text, vision_config={**PICTURE, "image_size": 32}, projection_dim=8)
    crop = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}}
    return hf.CLIPModel(config), hf.CLIPImageProcessor(**crop)


def siglip() -> tuple[Any, Any]:
    text = {**TEXT, "max_position_embeddings": 40, "projection_size": 16, **IDS}
    config = hf.SiglipConfig(text_config=text, vision_config={**PICTURE, "image_size": 32})
    return hf.SiglipModel(config), hf.SiglipImageProcessor(**SIDE)


def blip(cls: type, **words: int) -> tuple[Any, Any]:
    text = {**TEXT, "max_position_embeddings": 64, "encoder_hidden_size": 16, "projection_dim": 8, **IDS, **words}
    config = hf.BlipConfig(
        text_config=text, vision_config={**PICTURE, "image_size": 32}, projection_dim=8, image_text_hidden_size=8
    )
    return cls(config), hf.BlipImageProcessor(**SIDE)


def vilt(cls: type, **options: Any) -> tuple[Any, Any]:
    config = hf.ViltConfig(**TEXT, image_size=32, patch_size=16, max_position_embeddings=64, **options)
    return cls(config), hf.ViltImageProcessor(size={"shortest_edge": 32}, size_divisor=16)


def git() -> tuple[Any, Any]:
    vision = {**PICTURE, "image_size": 32}
    text = {**TEXT, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = hf.GitConfig(vision_config=vision, **text)
    crop = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}}
    return hf.GitForCausalLM(config), hf.CLIPImageProcessor(**crop)


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "clip": clip,
    "siglip": siglip,
    "blip": lambda: blip(hf.BlipForImageTextRetrieval),
    # As the published ones: the decoder begins with an id behind the last word, and the table has a row more.
    "blip-vqa": lambda: blip(hf.BlipForQuestionAnswering, vocab_size=VOCAB + 2, bos_token_id=VOCAB),
    "blip-vqa-cls": lambda: blip(hf.BlipForQuestionAnswering),
    "blip-captioner": lambda: blip(hf.BlipForConditionalGeneration),
    "blip-headless": lambda: blip(hf.BlipModel),
    "git": git,
    "vilt": lambda: vilt(hf.ViltForImageAndTextRetrieval),
    "vilt-words": lambda: vilt(hf.ViltForMaskedLM),
    "vilt-headless": lambda: vilt(hf.ViltModel),
    "vilt-unnamed": lambda: vilt(hf.ViltForQuestionAnswering),
    "clip-classifier": lambda: (hf.CLIPForImageClassification(clip()[0].config), clip()[1]),
    "siglip-classifier": lambda: (hf.SiglipForImageClassification(siglip()[0].config), siglip()[1]),
    "vilt-vqa": lambda: vilt(hf.ViltForQuestionAnswering, id2label={0: "yes", 1: "no", 2: "2"}),
    "vilt-nlvr2": lambda: vilt(
        hf.ViltForImagesAndTextClassification,
        num_images=2,
        modality_type_vocab_size=3,
        id2label={0: "False", 1: "True"},
    ),
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes a model's folder once, as `save_pretrained` does."""
    base = tmp_path_factory.mktemp("hf")
    (base / "vocab.txt").write_text("\n".join(WORDS))

    def save(name: str) -> Path:
        folder = base / name
        if not folder.exists():
            torch.manual_seed(0)
            model, pictures = MODELS[name]()
            model.save_pretrained(folder)
            pictures.save_pretrained(folder)
            hf.BertTokenizer(str(base / "vocab.txt")).save_pretrained(folder)
        return folder

    return save
