"""Mixer `cmc`: which words give way, to which patches, and what can't be."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from vlzoo_vlmixer.cmc import CrossModalCutMix
from vlzoo_vlmixer.gallery import Gallery
from vlzoo_vlmixer.shards import Found, Header, write_shard

from vlzoo.config.check import load
from vlzoo.data.collate import Collator
from vlzoo.data.features import Features
from vlzoo.data.mixed import Mixed
from vlzoo.data.records import Sample
from vlzoo.data.visit import Visit
from vlzoo.errors import DataError, RecipeError, UnknownName
from vlzoo.text.tokenizer import Tokenizer

WIDTH = 4
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "two", "trains", "at", "a", "traffic", "light", "dog", "the"]


def write(folder, pictures, width=WIDTH):
    """A gallery of pictures, each a mapping of label to score; a patch's features are the number of its picture."""
    rows = []
    for number, labels in enumerate(pictures):
        count = len(labels)
        boxes = np.tile(np.float32([0.1, 0.2, 0.5, 0.8]), (count, 1))
        scores = np.array([score for _, score in labels], np.float32)
        features = np.full((count, width), number, np.float32)
        found = Features(features, boxes, tuple(label for label, _ in labels), scores, (10, 10))
        rows.append(Found("scenes", str(number), f"{number}.png", found))
    Header({}, {}, len(rows), len(rows)).write(folder)
    write_shard(folder, 0, rows, width)
    return folder


@pytest.fixture
def gallery(tmp_path):
    """Thirty pictures of a train, of which half show a traffic light, too; and three of a dog."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    trains = [[("train", 0.9)] + ([("traffic light", 0.8)] if n % 2 else []) for n in range(30)]
    return write(folder, [*trains, *[[("dog", 0.5)]] * 3])


def swaps(mixer, text, seed=0):
    """What is replaced, with how many patches, and of which pictures."""
    return [
        (text[swap.start : swap.end], swap.patches.features[:, 0].astype(int).tolist())
        for swap in mixer.mix(text, np.random.default_rng(seed))
    ]


def test_every_concept_word_gives_way_in_order(gallery):
    """Plural folded; the longest concept first; other words never."""
    mixer = CrossModalCutMix(gallery=gallery, r_cmc=1.0)
    found = swaps(mixer, "two trains at a traffic light")
    assert [word for word, _ in found] == ["trains", "traffic light"]
    assert [len(pictures) for _, pictures in found] == [15, 15]
    assert all(len(set(pictures)) == len(pictures) for _, pictures in found)  # none twice
    assert all(picture % 2 for picture in found[1][1])  # the pictures that show one
    assert mixer.width == WIDTH and swaps(mixer, "nothing of it") == []
    patches = mixer.mix("a train", np.random.default_rng(0))[0].patches
    np.testing.assert_allclose(patches.boxes[0], [0.1, 0.2, 0.5, 0.8])


def test_a_label_of_fewer_patches_gives_all_it_has_in_a_drawn_order(gallery):
    mixer = CrossModalCutMix(gallery=gallery, r_cmc=1.0)
    orders = {tuple(swaps(mixer, "the dog", seed)[0][1]) for seed in range(40)}
    assert {tuple(sorted(order)) for order in orders} == {(30, 31, 32)}
    assert len(orders) == 6  # where not all have room, any may be the first


@pytest.mark.parametrize("r_cmc", [0.0, 0.3, 1.0])
def test_each_word_is_replaced_by_its_own_chance(gallery, r_cmc):
    mixer = CrossModalCutMix(gallery=gallery, r_cmc=r_cmc, k=1)
    counts = np.array([[len(swaps(mixer, "a train, a dog", seed))] for seed in range(1000)])
    # Of 2,000 words a share deviates by sqrt(p (1 - p) / 2000) < 0.0103.
    assert abs(counts.mean() / 2 - r_cmc) < 4 * 0.0103
    if r_cmc == 0.3:
        both = (counts == 2).mean()
        assert abs(both - 0.09) < 4 * np.sqrt(0.09 * 0.91 / 1000)  # independently of each other


def test_the_context_of_the_sentence_counts(gallery):
    """By the formula: beside a traffic light a train weighs 0.9 + r_ctx 0.8, else 0.9; half of the trains have one."""
    mixer = CrossModalCutMix(gallery=gallery, r_cmc=1.0, k=1, r_ctx=2.0)
    drawn = [swaps(mixer, "two trains at a traffic light", seed)[0][1][0] % 2 for seed in range(2000)]
    expected = 2.5 / (2.5 + 0.9)
    assert abs(np.mean(drawn) - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)
    alone = [swaps(mixer, "two trains", seed)[0][1][0] % 2 for seed in range(2000)]
    assert abs(np.mean(alone) - 0.5) < 4 * np.sqrt(0.25 / 2000)
    every = CrossModalCutMix(gallery=gallery, r_cmc=1.0, k=1, r_ctx=2.0, context="all")
    drawn = [swaps(every, "two trains", seed)[0][1][0] % 2 for seed in range(2000)]
    assert abs(np.mean(drawn) - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)


def test_the_same_again_and_after_pickling(gallery):
    mixer = CrossModalCutMix(gallery=gallery)
    again = pickle.loads(pickle.dumps(mixer))
    for seed in range(5):
        assert swaps(mixer, "two trains at a traffic light", seed) == swaps(
            again, "two trains at a traffic light", seed
        )


def test_a_mixed_sentence_of_a_gallery_by_hand(gallery):
    rows = Mixed(mixer={"part": "cmc", "gallery": str(gallery), "r_cmc": 1.0})
    item = rows.make(Sample("0", texts=("Two trains at a traffic light",)), Visit(0, epoch=0))
    batch = Collator(Tokenizer(WORDS, sep=True, max_length=30), rows)([item])
    kept = [WORDS[i] for i in batch.texts["mixed"].ids[0].tolist()]
    assert kept == ["[CLS]", "two", "at", "a", "[SEP]"]
    assert batch.texts["mixed"].positions[0].tolist() == [0, 1, 3, 4, 7]
    # Thirty tokens less five that stay: thirteen patches for the first word, twelve for the second.
    labels = [WORDS[i] for i in batch.extra["patch_label"][0].tolist()]
    assert labels == ["trains"] * 13 + ["traffic"] * 12


def test_a_gallery_that_can_not_be_is_told_before_a_run_begins(tmp_path, gallery):
    rows = Mixed(mixer={"part": "cmc", "gallery": "gallery"})
    rows.open(gallery.parent, WIDTH)
    with pytest.raises(DataError, match="features are 4 wide, and the encoder was made for 2048"):
        Mixed(mixer={"part": "cmc", "gallery": "gallery"}).open(gallery.parent, 2048)
    with pytest.raises(DataError, match="no gallery is there"):
        Mixed(mixer={"part": "cmc", "gallery": "nowhere"}).open(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", [[("train", 0.1)]])
    with pytest.raises(DataError, match="an empty gallery"):
        CrossModalCutMix(gallery=tmp_path / "empty").open()
    assert isinstance(Mixed(mixer={"part": "cmc", "gallery": str(gallery)}).mixer.gallery, Gallery)


def test_options_that_can_not_be(tmp_path):
    with pytest.raises(UnknownName, match=r"context can't be 'sentences'\n.*sentence"):
        CrossModalCutMix(gallery="g", context="sentences")
    for option in ({"r_cmc": 1.5}, {"k": 0}, {"r_ctx": -1.0}):
        with pytest.raises(DataError):
            CrossModalCutMix(gallery="g", **option)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "# r\nextends: uniter-tiny\nneeds: [vlzoo-vlmixer]\nrows: {part: mixed, mixer: {part: cmc, galery: x}}\n"
    )
    with pytest.raises(RecipeError, match=r"rows\.mixer.*galery|galery.*gallery"):
        load(str(recipe))
