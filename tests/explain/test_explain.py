"""A run, a picture and a caption to word maps; the run is untrained: its numbers mean nothing, and must add up."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
import torch
from PIL import Image

from vlzoo.bench.engine import Engine
from vlzoo.config.check import load
from vlzoo.data.images import FileImage
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.explain.explain import Explainer, check_read, explain
from vlzoo.explain.words import Word
from vlzoo.models.assemble import build_system
from vlzoo.models.gradcam import soft_mask
from vlzoo.text.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cat", "##s", "on", "the", "mat"]
RECIPE = """
model:
  image_encoder: {part: timm, name: vit_tiny_patch16_224, image_size: 64,
                  arguments: {patch_size: 8, embed_dim: 32, depth: 1, num_heads: 2}}
  text_encoder: {part: bert, layers: 1, width: 32, heads: 2, intermediate: 64, max_length: 16}
  fusion: {part: cross_attention, layers: 3, width: 32, heads: 2, intermediate: 64}
  joint: 16
objectives: {itc: {queue: 8}, itm: {}, mlm: {}}
augment: {train: {part: weak, size: 64}, eval: {part: plain, size: 64}}
data: {part: scenes}
"""


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)

    def make(*sets: str) -> Engine:
        recipe = load(str(tmp_path / "small.yaml"), sets=sets).recipe
        tokenizer = Tokenizer(WORDS, max_length=9)
        torch.manual_seed(0)
        system = build_system(recipe, vocab=tokenizer.vocab, special=tokenizer.special)
        return Engine(recipe, system, tokenizer, None, "none")

    return make


@pytest.fixture
def picture(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "p.png")
    return FileImage(str(tmp_path), "p.png")


def test_every_word_has_a_map(engine, picture):
    """One row a token, the picture as it is stored, and the score of an ordinary pass without gradients."""
    made = engine()
    shown = explain(made, picture, "A red cats, on the mat!")
    assert [w.text for w in shown.words] == ["[CLS]", "a", "red", "cats", "on", "the", "mat"]
    assert shown.maps.shape == (8, 8, 8) and (shown.maps >= 0).all() and (shown.maps.max((1, 2)) > 0).all()
    assert np.array_equal(shown.of(shown.words[3]), shown.maps[3:5].mean(0))
    assert shown.picture.shape == (30, 50, 3) and (shown.layer, shown.layers, shown.cut) == (1, 3, 0)
    model, text = made.system.model, made.tokenise(["a red cats on the mat"])
    with torch.no_grad():
        prepared = model.fusion.prepare(model.image_encoder(made.pixels([picture])))
        fused = model.fusion.fuse(model.text_encoder(text.ids, text.mask), [prepared])
        logit_2 = made.offered("match")(fused.cls)[0]
    assert shown.score == pytest.approx(float(logit_2[1] - logit_2[0]), abs=1e-6)
    assert shown.probability == pytest.approx(1 / (1 + np.exp(-shown.score)), abs=1e-6)


def test_a_convolutional_encoder_has_maps_too(engine, picture):
    """Its feature map is the grid: 8 x 8 cells at an output stride of 8."""
    sets = ("name=test_resnet", "arguments={output_stride: 8}")
    shown = explain(engine(*(f"model.image_encoder.{each}" for each in sets)), picture, "a cat")
    assert shown.maps.shape == (3, 8, 8) and shown.maps.max() > 0


def test_it_works_under_no_grad_with_frozen_weights_and_leaves_no_gradient(engine, picture):
    """The same maps in eval under no_grad and inference mode, and where no weight is trained."""
    made = engine()
    expected = explain(made, picture, "a cat").maps
    with torch.no_grad():
        assert np.array_equal(explain(made, picture, "a cat").maps, expected)
    with torch.inference_mode():
        assert np.array_equal(explain(made, picture, "a cat").maps, expected)
    assert all(p.grad is None for p in made.system.parameters())
    made.system.requires_grad_(False)
    assert np.array_equal(explain(made, picture, "a cat").maps, expected)


def test_one_fusion_pass_and_one_more_for_the_mask(engine, picture, monkeypatch):
    """The maps cost no pass of their own; the soft mask costs one."""
    made, passes = engine(), []
    fuse = made.system.model.fusion.fuse
    monkeypatch.setattr(made.system.model.fusion, "fuse", lambda *a, **k: passes.append(1) or fuse(*a, **k))
    Explainer(made).explain(picture, "a cat")
    assert len(passes) == 1
    Explainer(made).masked(picture, "a cat")
    assert len(passes) == 3


def test_the_soft_mask_hides_the_words_patches(engine, picture):
    """Weights 1 - c of the word's map; the logit is that of a pass over scaled image tokens."""
    made = engine()
    shown, hidden = Explainer(made).masked(picture, "a red cat", word="red")
    assert (hidden.word.text, hidden.weight.min(), hidden.weight.max()) == ("red", 0.0, 1.0)
    assert np.unravel_index(hidden.weight.argmin(), (8, 8)) == np.unravel_index(shown.maps[2].argmax(), (8, 8))
    model, text = made.system.model, made.tokenise(["a red cat"])
    with torch.no_grad():
        image = model.image_encoder(made.pixels([picture]))
        weight_1N = soft_mask(torch.from_numpy(shown.maps[2]).reshape(1, -1), prefix=1)
        scaled = type(image)(image.x * weight_1N[..., None], image.mask, image.pooled, 1, image.grid)
        fused = model.fusion.fuse(model.text_encoder(text.ids, text.mask), [model.fusion.prepare(scaled)])
        logit_2 = made.offered("match")(fused.cls)[0]
    assert hidden.score == pytest.approx(float(logit_2[1] - logit_2[0]), abs=1e-5)


def test_what_both_logits_share_is_no_score(engine, picture):
    """A head that adds 100 to both logits means what it meant before."""
    made = engine()
    before, head = explain(made, picture, "a cat"), made.offered("match")
    with torch.no_grad():
        head.bias += 100
    after = explain(made, picture, "a cat")
    assert after.score == pytest.approx(before.score, abs=1e-4)
    assert after.probability == pytest.approx(before.probability, abs=1e-4)


def test_maps_stand_under_the_words_that_were_read(engine, picture):
    """BERT's normalizer deletes U+0085, U+001C and half a surrogate pair, and takes a no-break space for a space."""
    made = engine()
    plain = explain(made, picture, "a red cats on")
    odd = explain(made, picture, "a\x85 re\x1cd\xa0cat\ud800s\u2028on")
    assert [word.rows for word in odd.words] == [word.rows for word in plain.words]
    assert np.array_equal(odd.maps, plain.maps)
    shown, hidden = Explainer(made).masked(picture, "a red cat", word="Red,")
    assert hidden.word == shown.words[2]


@pytest.mark.parametrize("kind", ["bpe", "clip", "sentencepiece"])
def test_every_kind_of_tokenizer_has_words(tokenizers, engine, picture, kind):
    """Pieces of the words in order are what the model read, row by row; so is what a soft mask draws."""
    made = engine()
    tokenizer = made.tokenizer = made.collator.tokenizer = copy(tokenizers[kind])  # all tests share it
    tokenizer.max_length, tokenizer.sep = 16, True
    torch.manual_seed(0)
    made.system = build_system(made.recipe, vocab=tokenizer.vocab, special=tokenizer.special).eval()
    shown, hidden = Explainer(made).masked(picture, "Red ball,\x85\xa0caf\u00e9\u200b \u6771\ud800!", word="ball")
    read = made.tokenise(["red ball\x85\xa0caf\u00e9\u200b \u6771\ud800"])
    pieces = [piece for word in shown.words for piece in word.pieces]
    assert pieces == tokenizer.tokens(read.ids[0].tolist())[:-1]
    assert [row for word in shown.words for row in word.rows] == list(range(len(pieces)))
    assert [word.text for word in shown.words[:3]] == ["[CLS]", "red", "ball"] and hidden.word == shown.words[2]


def test_rows_that_read_other_texts_are_refused():
    """The maps would stand under words that the model never saw."""
    words = [Word("[CLS]", (0,), ("[CLS]",)), Word("cats", (1, 2), ("cat", "##s"))]
    check_read(["[CLS]", "cat", "##s", "[SEP]"], words)
    with pytest.raises(VlzooError, match="reads red where the caption has 'cats'"):
        check_read(["[CLS]", "red"], words)


def test_the_word_drawn(engine, picture):
    """Any piece but [CLS]; the same seed, the same word; 40 seeds reach all four pieces."""
    explainer = Explainer(engine())
    drawn = [explainer.masked(picture, "a red cats", seed=seed)[1].word.pieces[0] for seed in range(40)]
    assert drawn[3] == explainer.masked(picture, "a red cats", seed=3)[1].word.pieces[0]
    assert set(drawn) == {"a", "red", "cat", "##s"}
    with pytest.raises(VlzooError, match="no word 'dog'"):
        explainer.masked(picture, "a red cats", word="dog")


def test_what_a_cropping_evaluation_shows(engine, picture):
    """Where the model saw a part only, the maps lie on that part."""
    made = engine("augment.eval.part=weak", "augment.eval.flip=0", "augment.eval.randaugment=false")
    assert explain(made, picture, "a cat").picture.shape == (64, 64, 3)


def test_runs_without_word_maps(engine):
    """No matching head; a merged fusion; the last layer."""
    with pytest.raises(CheckpointError, match="its objectives: itc, mlm"):
        Explainer(engine("objectives.itm=null"))
    with pytest.raises(VlzooError, match="fusion has no attention map"):
        Explainer(engine("model.fusion.part=merged"))
    with pytest.raises(VlzooError, match="last one"):
        Explainer(engine(), layer=2)
