"""The ring of past features against a list that forgets its oldest."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.objectives.queue import FeatureQueue


def test_it_starts_as_negatives_of_everything():
    queue = FeatureQueue(5, 4)
    torch.testing.assert_close(queue.image.norm(dim=1), torch.ones(5))
    assert queue.ids.tolist() == [-100] * 5


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_last_entries_stay_in_a_ring(length, batches):
    queue, seen = FeatureQueue(length, 2), 0
    ring: list[float] = [-100.0] * length
    place = 0
    for batch in batches:
        numbers = list(range(seen, seen + batch))
        rows = torch.tensor(numbers, dtype=torch.float32)[:, None].expand(-1, 2)
        queue.push(rows, -rows, torch.tensor(numbers))
        for number in numbers:  # one by one, what a ring is
            ring[place] = number
            place = (place + 1) % length
        seen += batch
        assert queue.ids.tolist() == ring
    kept = [i for i, number in enumerate(ring) if number >= 0]
    assert queue.image[kept, 0].tolist() == [ring[i] for i in kept]
    assert queue.text[kept, 1].tolist() == [-ring[i] for i in kept]


def test_what_is_kept_carries_no_gradient_and_travels_in_the_state():
    queue = FeatureQueue(4, 2)
    queue.push(torch.ones(3, 2, requires_grad=True), torch.ones(3, 2))
    assert not queue.image.requires_grad
    other = FeatureQueue(4, 2)
    other.load_state_dict(queue.state_dict())
    other.push(2 * torch.ones(2, 2), torch.ones(2, 2))
    assert other.image[:, 0].tolist()[:1] == [2.0] and other.image[3, 0] == 2.0


@pytest.mark.parametrize("kind", ["image", "text"])
def test_products_and_their_gradient_are_those_of_a_plain_product(kind):
    queue, query = FeatureQueue(6, 3).double(), torch.randn(2, 3, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(queue.against(query, kind), query @ getattr(queue, kind).T)
    assert torch.autograd.gradcheck(lambda q: queue.against(q, kind), query)


def test_products_are_right_under_autocast():
    queue, query = FeatureQueue(6, 3), torch.randn(2, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = queue.against(query, "text")
    found.float().sum().backward()
    assert query.grad is not None and query.grad.dtype == torch.float32
    # bfloat16 keeps 8 bits: six features of at most 1 each.
    torch.testing.assert_close(query.grad, queue.text.sum(0).expand(2, 3), atol=0.05, rtol=0.05)


def test_a_push_before_the_backward_pass_is_refused():
    queue, query = FeatureQueue(6, 3), torch.randn(2, 3, requires_grad=True)
    found = queue.against(query, "image").sum()
    queue.push(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="pushed"):
        found.backward()
