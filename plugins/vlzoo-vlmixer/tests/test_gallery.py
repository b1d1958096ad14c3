from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from scipy.stats import chisquare
from vlzoo_vlmixer.gallery import Gallery

from vlzoo.errors import DataError

TRAINS = (
    [("train", 0.9), ("person", 0.8), ("person", 0.4), ("tree", 0.5)],
    [("Trains", 0.6), ("person", 0.3)],
    [("train", 0.3), ("tree", 0.9)],
    [("train", 0.5)],
    [("train", 0.7), ("train", 0.2), ("person", 0.1)],
)
"""Five pictures; the last person is below the least score of 0.2."""


def frequencies(gallery, word, context, r_ctx, draws=100_000):
    rng = np.random.default_rng(11)
    concept = gallery.number(word)
    rows = [int(gallery.choose(concept, context, 1, r_ctx, rng)[0]) for _ in range(draws)]
    return {row: rows.count(row) for row in sorted(set(rows))}


def literal(told, word, sentence, r_ctx, least=0.2):
    """p_i of METHODS 4.3, written out: the contexts are the picture's other detections that the sentence speaks of."""
    shares, row = {}, 0
    for picture in told:
        kept = [(label.lower().rstrip("s"), score, row + place) for place, (label, score) in enumerate(picture)]
        row += len(picture)
        context = [score for label, score, _ in kept if label in sentence and label != word and score >= least]
        for label, score, number in kept:
            if label == word and score >= least:
                shares[number] = score + (r_ctx * sum(context) / len(context) if context else 0.0)
    total = sum(shares.values())
    return {number: share / total for number, share in shares.items()}


@pytest.mark.parametrize("r_ctx", [0.0, 0.5])
@pytest.mark.parametrize("sentence", [("person",), ("person", "tree"), ("train", "tree"), ()])
def test_patches_are_drawn_as_the_formula_says(make_gallery, r_ctx, sentence):
    """100,000 draws, chi-square."""
    gallery = Gallery.open(make_gallery(*TRAINS))
    expected = literal(TRAINS, "train", sentence, r_ctx)
    counts = frequencies(gallery, "trains", [gallery.number(word) for word in sentence], r_ctx)
    assert counts.keys() == expected.keys()
    assert chisquare(list(counts.values()), [100_000 * expected[row] for row in counts]).pvalue > 0.01


def test_the_weights_by_hand(make_gallery):
    """Picture 0: 0.9 + 0.5 / 2 * (0.8 + 0.4); picture 1: 0.6 + 0.5 * 0.3; the others show no person that counts."""
    gallery = Gallery.open(make_gallery(*TRAINS))
    train, person = gallery.number("train"), gallery.number("person")
    assert gallery.weights(train, [train, person], 0.5) == pytest.approx([1.2, 0.75, 0.3, 0.5, 0.7, 0.2])
    # All contexts: picture 0 has three others, 1.7 / 3; in picture 4 the trains are each other's.
    everything = [0.9 + 0.5 * 1.7 / 3, 0.6 + 0.5 * 0.3, 0.3 + 0.5 * 0.9, 0.5, 0.7 + 0.5 * 0.2, 0.2 + 0.5 * 0.7]
    assert gallery.weights(train, None, 0.5) == pytest.approx(everything)
    assert gallery.weights(train, None, 0.0) == pytest.approx([0.9, 0.6, 0.3, 0.5, 0.7, 0.2])


def test_all_contexts_count_where_no_sentence_is_given(make_gallery):
    gallery = Gallery.open(make_gallery(*TRAINS))
    train = gallery.number("train")
    share = gallery.weights(train, None, 0.5)
    rows, share = gallery.rows_of(train).tolist(), share / share.sum()
    counts = frequencies(gallery, "train", None, 0.5)
    expected = [100_000 * share[rows.index(row)] for row in counts]
    assert chisquare(list(counts.values()), expected).pvalue > 0.01


def test_k_patches_without_repeats_and_all_where_there_are_fewer(make_gallery):
    gallery = Gallery.open(make_gallery(*TRAINS))
    train, rng = gallery.number("train"), np.random.default_rng(0)
    for r_ctx in (0.0, 0.5):
        for k in (1, 3, 5):
            assert len(set(gallery.choose(train, None, k, r_ctx, rng).tolist())) == k
        assert sorted(gallery.choose(train, None, 15, r_ctx, rng).tolist()) == sorted(gallery.rows_of(train).tolist())


def test_what_a_row_is(make_gallery, found_of):
    gallery = Gallery.open(make_gallery(*TRAINS))
    rows = np.array([4, 0, 8])  # of pictures 1, 0 and 3
    assert gallery.image_ids(rows) == ["1", "0", "3"]
    assert gallery.pictures(rows) == ["pictures/0001.jpg", "pictures/0000.jpg", "pictures/0003.jpg"]
    assert gallery.scores(rows) == pytest.approx([0.6, 0.9, 0.5])
    true = [found_of(1, TRAINS[1]), found_of(0, TRAINS[0]), found_of(3, TRAINS[3])]
    assert np.array_equal(gallery.features(rows), np.stack([each.features[0] for each in true]))
    corner = np.stack([each.boxes[0] for each in true])
    assert gallery.boxes(rows) == pytest.approx(np.concatenate([corner, corner[:, 2:] - corner[:, :2]], axis=1))
    assert gallery.features(rows[:0]).shape == (0, 4) and gallery.boxes(rows[:0]).shape == (0, 6)


def test_the_least_score_and_the_concepts_that_have_patches(make_gallery):
    folder = make_gallery(*TRAINS, [("zebra", 0.1)])
    gallery = Gallery.open(folder)
    assert dict(zip(gallery.concepts, gallery.counts.tolist(), strict=True)) == {
        "person": 3,
        "train": 6,
        "tree": 2,
        "zebra": 0,
    }
    assert [concept for _, _, concept in gallery.find(["a", "zebra", "and", "a", "tree"])] == [gallery.number("tree")]
    assert len(Gallery.open(folder, least=0.5)) == 7 and len(Gallery.open(folder, least=0.0)) == 13


def test_a_cap_takes_each_pictures_surest_first_and_spreads_over_pictures(make_gallery):
    told = [[("dog", 0.5 + 0.01 * place) for place in range(5)] for _ in range(6)]
    gallery = Gallery.open(make_gallery(*told), cap=6)
    rows = gallery.rows_of(0)
    assert sorted(gallery.image_ids(rows)) == ["0", "1", "2", "3", "4", "5"]
    assert gallery.scores(rows) == pytest.approx([0.54] * 6)
    few = Gallery.open(gallery.regions.folder, cap=4)
    assert len({*few.image_ids(few.rows_of(0))}) == 4
    assert len(Gallery.open(gallery.regions.folder, cap=None)) == 30


def test_a_cap_takes_no_context_away(make_gallery):
    told = [[("dog", 0.9), ("cat", 0.5 + 0.1 * place)] for place in range(3)]
    gallery = Gallery.open(make_gallery(*told), cap=1)
    assert len(gallery) == 2
    capped, whole = gallery.weights(1, [0], 1.0), Gallery.open(gallery.regions.folder).weights(1, [0], 1.0)
    place = [0, 1, 2].index(int(gallery.image_ids(gallery.rows_of(1))[0]))
    assert capped.tolist() == [whole[place]]


def test_an_empty_gallery_is_an_error(make_gallery):
    with pytest.raises(DataError, match=r"an empty gallery: of 1 regions none has a score of 0\.2"):
        Gallery.open(make_gallery([("dog", 0.1)], []))
    with pytest.raises(DataError, match="an empty gallery"):
        Gallery.open(make_gallery([], [], name="none"))


def test_another_width_is_an_error_with_both_numbers(make_gallery):
    with pytest.raises(DataError, match="features are 4 wide, and the encoder was made for 2048"):
        Gallery.open(make_gallery(*TRAINS), width=2048)
    assert Gallery.open(make_gallery(*TRAINS), width=4).width == 4


def test_what_was_cut_off_is_named(make_gallery):
    folder = make_gallery(*TRAINS)
    shutil.rmtree(folder / "shards" / "00001")
    (folder / "shards" / ".00001.7.tmp").mkdir()
    with pytest.raises(DataError, match=r"cut off in the middle.*1 of 2 shards.*00001: missing.*\.00001\.7\.tmp"):
        Gallery.open(folder)


def test_a_shard_that_is_cut_is_named(make_gallery):
    folder = make_gallery(*TRAINS)
    (file,) = (folder / "shards" / "00000").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="shard 00000: cut off"):
        Gallery.open(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "damaged"), ("[]", "damaged"), ('{"format": 9}', "of format 9"), ('{"format": 1}', "damaged")],
)
def test_a_damaged_header_is_named(make_gallery, text, said):
    folder = make_gallery(*TRAINS)
    (folder / "gallery.json").write_text(text)
    with pytest.raises(DataError, match=said):
        Gallery.open(folder)


def test_where_there_is_none(tmp_path):
    with pytest.raises(DataError, match="no gallery is there") as error:
        Gallery.open(tmp_path)
    assert "vlzoo detect" in str(error.value)


@pytest.mark.parametrize(("option", "value"), [("least", 1.5), ("least", -0.1), ("cap", 0)])
def test_bounds_that_can_not_be(make_gallery, option, value):
    with pytest.raises(DataError, match="can't be"):
        Gallery.open(make_gallery(*TRAINS), **{option: value})


def test_it_pickles_as_its_folder(make_gallery):
    gallery = Gallery.open(make_gallery(*TRAINS), least=0.5, cap=3)
    kept = pickle.dumps(gallery)
    again = pickle.loads(kept)
    assert len(kept) < 1000 and (len(again), again.least, again.cap) == (len(gallery), 0.5, 3)


def test_shards_are_arrow_as_datasets_reads_them(make_gallery):
    import datasets

    table = datasets.load_from_disk(str(make_gallery(*TRAINS) / "shards" / "00000"))
    assert table[1]["labels"] == ["Trains", "person"] and table[1]["image_id"] == "1"
    assert np.array(table[0]["features"]).shape == (4, 4)
