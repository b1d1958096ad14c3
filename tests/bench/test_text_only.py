from __future__ import annotations

from vlzoo.bench.text_only import best_constant, choose_blindly, fit_text_only, judge_blindly, text_only


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


def test_a_blind_choice_learns_on_other_folds_alone():
    """In each fold the right text holds `red`; a fold that is alone has nothing to learn of, and draws lots."""
    choices = [["a red dog", "a blue dog"], ["one red cat", "one blue cat"]] * 4
    assert choose_blindly(choices, [0, 1] * 4) == [1.0] * 8
    assert choose_blindly(choices, [0] * 8) == [0.5] * 8


def test_texts_that_are_level_share_the_choice():
    choices = [["a red dog", "a blue dog"]] * 4 + [["what", "when", "where", "why"]]
    assert choose_blindly(choices, [0, 0, 0, 0, 1])[-1] == 0.25


def test_a_blind_judge_learns_on_other_folds_alone():
    rows = [("not so", "false"), ("so", "true")] * 4
    assert judge_blindly(rows, [0, 0, 1, 1] * 2) == [1.0] * 8
    assert judge_blindly(rows, [0] * 8) == [0.0] * 8
