"""Tiny checkpoints under ALBEF's names, written out from the names of the official state dicts.

Legend: D width.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from vlzoo.agree.transformers_twins import random_model

CONFIGS = Path(__file__).resolve().parents[1] / "fixtures" / "transformers"

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(25))]
"""A vocabulary of 30 tokens."""


class Official:
    """Builds state dicts of the official code's shapes, filled with random numbers."""

    def __init__(self, seed: int = 0, **sizes: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.image, self.text, self.hidden, self.joint, self.queue = 12, 16, 24, 8, 6
        self.patch, self.grid, self.depth, self.layers, self.fusion = 4, 3, 2, 4, 2
        self.vocab, self.positions = len(WORDS), 20
        vars(self).update(sizes)
        self.state: dict[str, torch.Tensor] = {}

    def put(self, name: str, *shape: int) -> None:
        self.state[name] = torch.randn(shape, generator=self.generator)

    def linear(self, name: str, out: int, into: int) -> None:
        self.put(f"{name}.weight", out, into)
        self.put(f"{name}.bias", out)

    def norm(self, name: str, width: int) -> None:
        self.put(f"{name}.weight", width)
        self.put(f"{name}.bias", width)

    def vision(self, name: str) -> None:
        width = self.image
        self.put(f"{name}.cls_token", 1, 1, width)
        self.put(f"{name}.pos_embed", 1, 1 + self.grid**2, width)
        self.put(f"{name}.patch_embed.proj.weight", width, 3, self.patch, self.patch)
        self.put(f"{name}.patch_embed.proj.bias", width)
        for i in range(self.depth):
            block = f"{name}.blocks.{i}"
            self.norm(f"{block}.norm1", width)
            self.linear(f"{block}.attn.qkv", 3 * width, width)
            self.linear(f"{block}.attn.proj", width, width)
            self.norm(f"{block}.norm2", width)
            self.linear(f"{block}.mlp.fc1", 4 * width, width)
            self.linear(f"{block}.mlp.fc2", width, 4 * width)
        self.norm(f"{name}.norm", width)

    def bert(self, name: str, layers: int, fusion: int, source: int, *, pairs: bool = False) -> None:
        width = self.text
        self.state[f"{name}.embeddings.position_ids"] = torch.arange(self.positions)[None]
        self.put(f"{name}.embeddings.word_embeddings.weight", self.vocab, width)
        self.put(f"{name}.embeddings.position_embeddings.weight", self.positions, width)
        self.put(f"{name}.embeddings.token_type_embeddings.weight", 2, width)
        self.norm(f"{name}.embeddings.LayerNorm", width)
        for i in range(layers):
            layer = f"{name}.encoder.layer.{i}"
            self.attention(f"{layer}.attention", width)
            if i >= fusion:
                self.attention(f"{layer}.crossattention", source)
            if pairs and i >= fusion and (i - fusion) % 2:
                self.share(f"{name}.encoder.layer.{i - 1}.crossattention.self", f"{layer}.crossattention.self")
            self.linear(f"{layer}.intermediate.dense", self.hidden, width)
            self.linear(f"{layer}.output.dense", width, self.hidden)
            self.norm(f"{layer}.output.LayerNorm", width)

    def attention(self, name: str, source: int) -> None:
        self.linear(f"{name}.self.query", self.text, self.text)
        self.linear(f"{name}.self.key", self.text, source)
        self.linear(f"{name}.self.value", self.text, source)
        self.linear(f"{name}.output.dense", self.text, self.text)
        self.norm(f"{name}.output.LayerNorm", self.text)

    def share(self, owner: str, other: str) -> None:
        for part in ("key.weight", "key.bias", "value.weight", "value.bias"):
            self.state[f"{other}.{part}"] = self.state[f"{owner}.{part}"]

    def words(self, name: str) -> None:
        self.linear(f"{name}.cls.predictions.transform.dense", self.text, self.text)
        self.norm(f"{name}.cls.predictions.transform.LayerNorm", self.text)
        self.put(f"{name}.cls.predictions.bias", self.vocab)
        self.state[f"{name}.cls.predictions.decoder.weight"] = self.state[
            f"{name}.bert.embeddings.word_embeddings.weight"
        ]
        self.state[f"{name}.cls.predictions.decoder.bias"] = self.state[f"{name}.cls.predictions.bias"]

    def queues(self, *, ids: bool) -> None:
        self.put("image_queue", self.joint, self.queue)
        self.put("text_queue", self.joint, self.queue)
        self.state["queue_ptr"] = torch.tensor([2])
        if ids:
            self.state["idx_queue"] = torch.arange(self.queue)[None]

    def classifier(self, name: str, classes: int) -> None:
        self.linear(f"{name}.0", self.text, self.text)
        self.linear(f"{name}.2", classes, self.text)

    def twins(self, make) -> None:
        """`make("")` and `make("_m")`: the student and its momentum twin."""
        make("")
        make("_m")

    def pretrain(self) -> dict[str, torch.Tensor]:
        """`model_pretrain.py`."""
        self.put("temp")
        self.queues(ids=False)
        self.linear("itm_head", 2, self.text)
        self.twins(self._joint)
        for end in ("", "_m"):
            self.bert(f"text_encoder{end}.bert", self.layers, self.fusion, self.image)
            self.words(f"text_encoder{end}")
        return self.state

    def retrieval(self) -> dict[str, torch.Tensor]:
        """`model_retrieval.py`."""
        self.put("temp")
        self.queues(ids=True)
        self.linear("itm_head", 2, self.text)
        self.twins(self._joint)
        self.twins(lambda end: self.bert(f"text_encoder{end}", self.layers, self.fusion, self.image))
        return self.state

    def vqa(self) -> dict[str, torch.Tensor]:
        """`model_vqa.py`; the decoder reads states of the text's width."""
        self.image = self.text
        self.twins(lambda end: self.vision(f"visual_encoder{end}"))
        self.twins(lambda end: self.bert(f"text_encoder{end}", self.layers, self.fusion, self.image))
        for end in ("", "_m"):
            self.bert(f"text_decoder{end}.bert", 3, 0, self.text)
            self.words(f"text_decoder{end}")
        return self.state

    def classes(self, classes: int, *, pairs: bool) -> dict[str, torch.Tensor]:
        """`model_ve.py` and `model_nlvr.py`."""
        self.twins(lambda end: self.vision(f"visual_encoder{end}"))
        self.twins(lambda end: self.bert(f"text_encoder{end}", self.layers, self.fusion, self.image, pairs=pairs))
        self.twins(lambda end: self.classifier(f"cls_head{end}", classes))
        return self.state

    def assignment(self) -> dict[str, torch.Tensor]:
        """`model_pretrain_nlvr.py`, which has no momentum twins."""
        self.put("temp")
        self._joint("")
        self.bert("text_encoder", self.layers, self.fusion, self.image, pairs=True)
        self.linear("ta_head", 3, self.text)
        return self.state

    def _joint(self, end: str) -> None:
        self.vision(f"visual_encoder{end}")
        self.linear(f"vision_proj{end}", self.joint, self.image)
        self.linear(f"text_proj{end}", self.joint, self.text)

    def of(self, kind: str) -> dict[str, torch.Tensor]:
        """The state dict of one kind of checkpoint."""
        return {
            "pretrain": self.pretrain,
            "retrieval": self.retrieval,
            "vqa": self.vqa,
            "nlvr2": lambda: self.classes(2, pairs=True),
            "snli-ve": lambda: self.classes(3, pairs=False),
            "text-assignment": self.assignment,
        }[kind]()


@pytest.fixture
def official():
    """Makes builders of official state dicts."""
    return Official


@pytest.fixture
def vocab_file(tmp_path):
    """The vocabulary of the tiny checkpoints."""
    file = tmp_path / "vocab.txt"
    file.write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    return file


@pytest.fixture
def checkpoint(tmp_path):
    """Writes an official checkpoint as the official code does; gives its path."""

    def write(kind: str = "pretrain", seed: int = 0, **sizes: int):
        file = tmp_path / f"{kind}.pth"
        torch.save({"model": Official(seed, **sizes).of(kind), "epoch": 29, "config": {"image_res": 12}}, file)
        return file

    return write


@pytest.fixture
def clip_tokenizer():
    """Writes CLIP's tokenizer of transformers, trained on a few texts; it pads with its end token."""

    def write(folder):
        backend = Backend(models.BPE(end_of_word_suffix="</w>"))
        words = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(False)]
        backend.pre_tokenizer = pre_tokenizers.Sequence(words)
        trainer = trainers.BpeTrainer(
            vocab_size=620,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            end_of_word_suffix="</w>",
            show_progress=False,
        )
        backend.train_from_iterator(["a red ball", "two dogs running towards balls", "a blue square"], trainer)
        backend.model.save(str(folder))
        transformers.CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)

    return write


@pytest.fixture
def saved_model(tmp_path):
    """Weights and configuration of a small model of transformers, the CLIP, with a vocabulary of some words."""

    def make(words: int, name: str = "clip") -> Path:
        named = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(words - 5))]
        place = tmp_path / "saved"
        place.mkdir(exist_ok=True)
        (place / "vocab.txt").write_text("\n".join(named))
        (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
        (place / "config.json").write_text((CONFIGS / name / "config.json").read_text())
        state = random_model(place / "config.json").state_dict()
        save_file({key: tensor.contiguous().clone() for key, tensor in state.items()}, place / "model.safetensors")
        return place

    return make
