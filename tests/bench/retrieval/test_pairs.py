"""Retrieval of pictures with tags beside them: what is kept of a picture is what a pass of training reads."""

from __future__ import annotations

import numpy as np
import torch

from vlzoo.bench.engine import Engine
from vlzoo.bench.retrieval.pairs import pair_model
from vlzoo.config.schema import Recipe
from vlzoo.data.features import Detected, Features
from vlzoo.data.records import Sample
from vlzoo.models.assemble import build_system
from vlzoo.offers import MATCH
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "see", "a"]
SIZES = {"width": 16, "dropout": 0.0}
RECIPE = Recipe.model_validate(
    {
        "model": {
            "image_encoder": {"part": "regions", "features": 3, **SIZES},
            "text_encoder": {"part": "embedding", "segments": 2, "max_length": 64, **SIZES},
            "fusion": {
                "part": "merged",
                "layers": 2,
                "heads": 2,
                "intermediate": 24,
                "initializer_range": 0.4,
                **SIZES,
            },
            "joint": None,
        },
        "objectives": {"itm": {}},
        "rows": {"part": "tags"},
    }
)


class Picture:
    """A picture that nobody opens."""

    name = "picture"


def picture(*labels):
    rng = np.random.default_rng(len(labels))
    features = rng.random((len(labels), 3)).astype(np.float32)
    return Detected(Picture(), Features(features, rng.random((len(labels), 4)).astype(np.float32), labels))


def test_every_pair_is_matched_with_the_tags_of_its_picture():
    torch.manual_seed(0)
    tokenizer = Tokenizer(WORDS, sep=True, max_length=8)
    system = build_system(RECIPE, vocab=len(WORDS), special=tokenizer.special, words=WORDS)
    engine = Engine(RECIPE, system, tokenizer, task=None, weights="none")
    pictures, texts = [picture("cat"), picture("dog", "cat", "dog")], ["a dog", "see a cat a"]
    model = pair_model(engine)
    images, said = model.images(pictures), model.texts(texts)
    assert [len(row) for row in images.rows] == [2 + 1, 4 + 3]  # tags with their [SEP], then regions
    source = [Sample(f"{i} {t}", (p,), (text,)) for i, p in enumerate(pictures) for t, text in enumerate(texts)]
    (_, batch), *_ = engine.batches(source, 4)
    with torch.no_grad():
        expected = model.matching(engine.step(batch).fused(reads="cls").cls)[:, MATCH]
    found = [
        model.match(model.prepare(image[None]), text[None], torch.ones(1, len(text), dtype=torch.bool))
        for image in images.rows
        for text in said.rows
    ]
    torch.testing.assert_close(torch.cat(found), expected, atol=1e-5, rtol=1e-5)
    other = engine.batches([Sample("x", (picture("dog", "dog", "dog"),), (texts[0],))], 1)
    assert not torch.allclose(expected[2], model.matching(engine.step(next(other)[1]).fused().cls)[0, MATCH], atol=1e-3)
