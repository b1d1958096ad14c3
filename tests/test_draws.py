"""Randomness keyed by seed, step, purpose and sample."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from vlzoo.draws import Draws
from vlzoo.hashing import mix, name_word


def test_mix_is_splitmix64():
    # The first outputs of SplitMix64 from state 0 (Steele et al.; Java's SplittableRandom, test vector of rust's
    # rand_xoshiro): 0xe220a8397b1dcdaf. One word 0 from state 0 adds the golden gamma once, as SplitMix64 does.
    assert int(mix(0)) == 0xE220A8397B1DCDAF


def test_a_purpose_has_the_same_number_everywhere():
    # CRC-32 of "123456789" is the check value of the standard (ITU-T V.42).
    assert name_word("123456789") == 0xCBF43926


def test_numbers_are_uniform():
    drawn = Draws(1, 2).uniform("mlm", torch.arange(2000), 50).flatten()
    assert float(drawn.min()) >= 0.0 and float(drawn.max()) < 1.0
    # Kolmogorov-Smirnov on 100,000 draws; the seed is fixed, so this does not flicker.
    assert kstest(drawn.numpy(), "uniform").pvalue > 0.01


def test_steps_seeds_purposes_and_keys_are_independent():
    key = torch.arange(5000)
    base = Draws(1, 2).uniform("mlm", key, 1)
    others = [Draws(2, 2).uniform("mlm", key, 1), Draws(1, 3).uniform("mlm", key, 1), Draws(1, 2).uniform("x", key, 1)]
    for other in [*others, Draws(1, 2).uniform("mlm", key + 5000, 1)]:
        correlation = torch.corrcoef(torch.stack([base.flatten(), other.flatten()]))[0, 1]
        # For independent pairs its deviation is 1 / sqrt(5000) = 0.014; four of these.
        assert abs(float(correlation)) < 0.057


def test_streams_do_not_share_their_draws():
    """Before, sample 5 of either stream had the same masks and negatives."""
    key = torch.arange(5000)
    known = [Draws(1, 2, stream=name).uniform("mlm", key, 1) for name in ("", "pairs", "regions")]
    assert torch.equal(known[0], Draws(1, 2).uniform("mlm", key, 1))
    for first, second in ((0, 1), (0, 2), (1, 2)):
        correlation = torch.corrcoef(torch.stack([known[first].flatten(), known[second].flatten()]))[0, 1]
        # As above: four deviations of 1 / sqrt(5000).
        assert abs(float(correlation)) < 0.057


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=12, unique=True), st.randoms(), st.integers(1, 9))
def test_a_samples_draws_do_not_depend_on_its_batch(keys, random, count):
    draws = Draws(3, 4)
    whole = dict(zip(keys, draws.uniform("mlm", torch.tensor(keys), count + 3).tolist(), strict=True))
    random.shuffle(keys)
    for key, row in zip(keys[:5], draws.uniform("mlm", torch.tensor(keys[:5]), count).tolist(), strict=True):
        assert row == whole[key][:count]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0, 1e-300, 1e-30, 0.1, 1.0, 1e30]), min_size=1, max_size=20))
def test_columns_without_weight_are_never_chosen(weights):
    weight = torch.tensor(weights, dtype=torch.float64)
    chosen = Draws().choose("x", torch.arange(300), weight.expand(300, -1))
    assert chosen.shape == (300,)
    if weight.sum() > 0:
        assert bool((weight[chosen] > 0).all())
    else:
        assert bool((chosen >= 0).all()) and bool((chosen < len(weights)).all())


def test_columns_are_chosen_in_proportion():
    weight = torch.tensor([1.0, 0.0, 2.0, 3.0, 4.0])
    chosen = Draws(5).choose("x", torch.arange(20_000), weight.expand(20_000, -1))
    counts = torch.bincount(chosen, minlength=5).tolist()
    assert counts[1] == 0
    # 20,000 draws with weights 1, 2, 3, 4 of 10.
    assert chisquare([counts[i] for i in (0, 2, 3, 4)], [2000, 4000, 6000, 8000]).pvalue > 0.01


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(7)))
def test_under_keys_the_order_of_columns_does_not_matter(order):
    weight = torch.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0]).expand(20, -1)
    column, rows, at = torch.arange(7) + 40, torch.arange(20), torch.tensor(order)
    first = column[Draws(5).choose("x", rows, weight, column)]
    assert torch.equal(first, column[at][Draws(5).choose("x", rows, weight[:, at], column[at])])


def test_a_row_without_weight_is_uniform():
    chosen = Draws(5).choose("x", torch.arange(8000), torch.zeros(8000, 4))
    assert chisquare(torch.bincount(chosen, minlength=4).tolist()).pvalue > 0.01


def test_keys_that_are_held_on_the_host_are_not_read_from_the_device():
    """Here the device is `meta`, of which nothing can be read."""
    host = torch.arange(4) + 10
    there = host.to("meta")
    draws = Draws(3, 5, (there, host))
    assert draws.uniform("any", there, 6).device.type == "meta"
    assert torch.equal(Draws(3, 5, (host, host)).uniform("any", host, 6), Draws(3, 5).uniform("any", host, 6))
    with pytest.raises(NotImplementedError):
        Draws(3, 5).uniform("any", there, 6)
