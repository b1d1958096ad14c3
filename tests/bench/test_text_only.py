from __future__ import annotations

from vlzoo.bench.text_only import best_constant, fit_text_only, text_only


def test_finds_what_the_words_give_away():
    train = [("a red dog", "yes"), ("a blue dog", "no")] * 10
    assert text_only(train, [("one red cat", "yes"), ("one blue cat", "no"), ("red", "no")]) == [1.0, 1.0, 0.0]


def test_pairs_of_words_count():
    """Single words are equally frequent in both classes; only their order differs."""
    train = [("not good but bad", "minus"), ("not bad but good", "plus")] * 10
    assert fit_text_only(train).predict(["but good", "but bad"]) == ["plus", "minus"]


def test_without_known_words_it_gives_the_most_frequent_label():
    train = [("left", "a")] * 6 + [("right", "b")] * 4
    assert fit_text_only(train).predict(["unheard of"]) == ["a"]


def test_frequencies_of_a_repeated_text_are_respected():
    train = [("same", "b")] * 3 + [("same", "a")] * 2
    assert fit_text_only(train).predict(["same"]) == ["b"]


def test_the_same_rows_give_the_same_weights():
    train = [(f"text {number % 7} of {number % 3}", str(number % 2)) for number in range(50)]
    assert (fit_text_only(train).weight == fit_text_only(train).weight).all()


def test_best_constant_breaks_ties_by_name():
    assert best_constant(["b", "a", "c", "b", "a"]) == "a"
