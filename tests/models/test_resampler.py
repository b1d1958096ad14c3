from __future__ import annotations

import torch
from torch.nn import functional

from vlzoo.models.resampler import Resampler

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def literal(made: Resampler, x_ND: torch.Tensor) -> torch.Tensor:
    """One picture without padding: layer norms, softmaxes and squares alone, as the paper's appendix has it."""
    latent = made.latents
    for layer in made.stack:
        normed = layer.latent_norm(latent)
        seen = torch.cat([layer.image_norm(x_ND), normed])
        query, key, value = (
            linear(x).view(len(x), layer.heads, -1).transpose(0, 1)
            for linear, x in ((layer.query, normed), (layer.key, seen), (layer.value, seen))
        )
        share = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        latent = latent + layer.output((share @ value).transpose(0, 1).flatten(1))
        norm, into, _, out = layer.feed_forward
        latent = latent + out(functional.relu(into(norm(latent))) ** 2)
    return made.norm(latent)


def test_any_number_of_tokens_become_a_few(make_loud):
    torch.manual_seed(0)
    made = make_loud(Resampler(12, latents=3, layers=2, heads=2, intermediate=24)).eval()
    x = torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(5) < torch.tensor([5, 2, 4])[:, None]
    found = made(x, mask)
    assert found.shape == (3, 3, 12)
    for row in range(3):
        torch.testing.assert_close(found[row], literal(made, x[row][mask[row]]), **CLOSE)
