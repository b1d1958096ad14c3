"""Parameters of recipes whose models write, against published counts, within 1 %; each row names its source."""

from __future__ import annotations

import pytest
import torch

from vlzoo.config.check import load
from vlzoo.step.cost import cost_of, sketch

MILLION = 1e6


def counted(*modules) -> float:
    """Millions of parameters of some modules."""
    return sum(each.numel() for module in modules for each in module.parameters()) / MILLION


def recipe(name: str, *sets: str):
    return load(f"methods/{name}", sets=sets).recipe


def test_git_has_the_parameters_of_microsofts_git_base():
    """transformers' GitForCausalLM of its default configuration, which is microsoft/git-base's, on meta tensors."""
    from transformers import GitConfig, GitForCausalLM

    with torch.device("meta"):
        theirs = counted(GitForCausalLM(GitConfig()))
    ours = cost_of(recipe("git"))[-1].parameters / MILLION
    assert ours == pytest.approx(theirs, rel=0.01)


def test_git_without_its_word_tables_is_the_papers_129_million():
    """Wang et al. 2022 give GIT_B 129 M: that is without the word tables, 47 M more."""
    model = sketch(recipe("git")).model
    layers = (model.image_encoder, model.decoder.image, model.decoder.stack)
    assert counted(*layers) == pytest.approx(129, rel=0.01)


@pytest.mark.parametrize(
    ("sets", "millions"), [((), 252), (("model.decoder.shared=false",), 361)], ids=["all but self-attention", "nothing"]
)
def test_blip_has_what_its_table_of_sharing_says(sets, millions):
    """Li et al. 2022, table 3: 252 M where text encoder and decoder share all but self-attention, 361 M unshared."""
    assert cost_of(recipe("blip", *sets))[-1].parameters / MILLION == pytest.approx(millions, rel=0.01)


def test_coca_base_has_86_million_for_pictures_and_297_for_texts():
    """Yu et al. 2022, table 1: image encoder 86 M, text decoders 297 M (64,000 words); poolers have no line there."""
    model = sketch(recipe("coca", "tokenizer.size=64000")).model
    assert counted(model.image_encoder.model) == pytest.approx(86, rel=0.01)
    assert counted(model.decoder) == pytest.approx(297, rel=0.01)
    assert model.decoder.lower is model.text_encoder
