"""A model of base size with random weights, and texts as long as COCO's captions: what `rerank.py` measures with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vlzoo.models.assemble import Model
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.image_timm import TimmEncoder
from vlzoo.models.text_bert import BertEncoder
from vlzoo.objectives.itm import ITM

ROOT = Path(__file__).resolve().parents[3]
CAPTIONS = ROOT.parent / "shared" / "data" / "eval_fixtures" / "coco_captions_val2017.json.gz"
VOCAB = ROOT.parent / "shared" / "data" / "bert_vocab" / "vocab.txt"
LENGTHS = dict(
    zip(
        range(8, 31),
        [147, 2851, 4633, 5207, 4252, 3051, 1919, 1128, 695, 400, 234, 157, 98, 66, 37, 34, 30, 17, 18, 12, 6, 3, 19],
        strict=True,
    )
)
"""Captions of COCO val2017 by their number of WordPiece tokens, cut at 30: recorded from the file at `CAPTIONS`."""
PADDED = 30


def lengths(texts: int) -> list[int]:
    """Token counts of texts, drawn from COCO's captions (from the recorded counts where the file is absent)."""
    counts = dict(LENGTHS)
    if CAPTIONS.is_file() and VOCAB.is_file():
        counts = dict.fromkeys(LENGTHS, 0)
        for tokens in caption_lengths():
            counts[tokens] = counts.get(tokens, 0) + 1
    share = np.array(list(counts.values())) / sum(counts.values())
    return [int(n) for n in np.random.default_rng(0).choice(list(counts), texts, p=share)]


def caption_lengths() -> Iterator[int]:
    """Token counts of the first 2,000 captions of the file."""
    from vlzoo.data.reading import read_json
    from vlzoo.text.cleaning import pre_caption
    from vlzoo.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_file(VOCAB, max_length=PADDED)
    for note in read_json(CAPTIONS)["annotations"][:2_000]:
        yield len(tokenizer.encode(pre_caption(note["caption"], max_words=30)))


def build(pixels: int) -> tuple[Model, ITM]:
    """ViT-B/16, six layers of BERT-base and six of fusion, and the matching head; random, in evaluation mode."""
    torch.manual_seed(0)
    image = TimmEncoder(name="vit_base_patch16_224", image_size=pixels)
    model = Model(image, BertEncoder(), CrossAttentionFusion())
    matching = ITM()
    matching.build(model.spec())
    for parameter in [*model.fusion.parameters(), *matching.parameters()]:
        if parameter.ndim > 1:
            # BERT's own 0.02 leaves the logits of random weights nearly equal, and their order would prove nothing.
            torch.nn.init.normal_(parameter, std=0.05)
    return model.eval(), matching.eval()
