"""CLIP, SigLIP, ViLT, GIT and BLIP of transformers as runs: what is refused, what becomes of vocabularies, starts.

That features and logits are theirs: tests/agree/test_transformers_folder.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vlzoo.agree.transformers_twins import random_model
from vlzoo.bench.engine import load_run
from vlzoo.config.check import load
from vlzoo.config.finetune import task_recipe
from vlzoo.config.schema import Recipe
from vlzoo.errors import CheckpointError
from vlzoo.models.assemble import build_system
from vlzoo.runs.run import Run
from vlzoo.step.cost import sketch
from vlzoo.weights.blip import BlipAdapter
from vlzoo.weights.convert import Conversion, convert
from vlzoo.weights.dual import ClipAdapter, SiglipAdapter
from vlzoo.weights.git import GitAdapter
from vlzoo.weights.look import known_by
from vlzoo.weights.start import start_system
from vlzoo.weights.vilt import ViltAdapter

CONFIGS = Path(__file__).resolve().parents[1] / "fixtures" / "transformers"
ADAPTERS = {"clip": ClipAdapter, "siglip": SiglipAdapter, "vilt": ViltAdapter, "vilt-words": ViltAdapter}
ADAPTERS |= {"git": GitAdapter, "blip": BlipAdapter, "blip-captions": BlipAdapter}


def state_of(name):
    return {
        key: tensor.contiguous() for key, tensor in random_model(CONFIGS / name / "config.json").state_dict().items()
    }


@pytest.mark.parametrize("name", ADAPTERS)
def test_each_file_is_known_by_one_adapter(name, tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({key: tensor.clone() for key, tensor in state_of(name).items()}, file)
    _, known = known_by(file, lambda _line: None)
    assert known == [name.partition("-")[0]]


@pytest.mark.parametrize("name", ADAPTERS)
def test_another_models_weights_are_refused(name):
    other = state_of("vilt" if name in ("clip", "siglip") else "clip")
    with pytest.raises(CheckpointError):
        ADAPTERS[name]().convert(other)


def test_a_grid_that_is_no_square():
    state = state_of("clip")
    state["vision_model.embeddings.position_embedding.weight"] = torch.zeros(16, 32)
    with pytest.raises(CheckpointError, match="15 places of patches form no square"):
        ClipAdapter().convert(state)


def test_a_folder_becomes_a_run_with_its_own_tokenizer(saved_model, tmp_path):
    lines = []
    card = convert(Conversion("clip", str(saved_model(60)), tmp_path / "run"), lines.append)
    run = Run(tmp_path / "run")
    assert run.tokenizer().encode("w1 w2") == [2, 6, 7, 3]
    assert (card.resolution, card.licence) == ((32, 32), "MIT")
    assert not [line for line in lines if line.startswith(("missing", "unexpected"))]


def test_a_shorter_vocabulary_beside_the_weights_is_taken(saved_model, tmp_path):
    convert(Conversion("clip", str(saved_model(55)), tmp_path / "run"), lambda _line: None)
    assert Run(tmp_path / "run").tokenizer().vocab == 55


def test_another_vocabulary_is_refused(saved_model, tmp_path):
    with pytest.raises(CheckpointError, match="the vocabulary has 70 tokens, and the model's word table 60 rows"):
        convert(Conversion("clip", str(saved_model(70)), tmp_path / "run"), lambda _line: None)
    with pytest.raises(CheckpointError, match="the vocabulary has 55 tokens"):
        convert(
            Conversion("clip", str(saved_model(60)), tmp_path / "run", vocab=_words(tmp_path, 55)), lambda _line: None
        )


def _words(folder: Path, count: int) -> str:
    file = folder / "other.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"v{n}" for n in range(count - 5))]))
    return str(file)


def test_special_tokens_that_the_table_lacks_get_rows(tmp_path, clip_tokenizer):
    """CLIP's vocabulary has no [MASK], [PAD] or [UNK]: three rows of zeros behind the last word."""
    clip_tokenizer(tmp_path)
    held = json.loads((CONFIGS / "clip" / "config.json").read_text())
    words = len(json.loads((tmp_path / "vocab.json").read_text()))
    held["text_config"] |= {"vocab_size": words, "eos_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(held))
    state = random_model(tmp_path / "config.json").state_dict()
    save_file({key: tensor.contiguous().clone() for key, tensor in state.items()}, tmp_path / "model.safetensors")
    lines = []
    convert(Conversion("clip", str(tmp_path), tmp_path / "run"), lines.append)
    table = Run(tmp_path / "run").latest().tensors("system")["model.text_encoder.word.weight"]
    assert len(table) == words + 3 and not table[words:].any() and table[:words].any(1).all()
    assert any("rows of special tokens, zero" in line for line in lines)


def test_a_fine_tuning_starts_from_the_file():
    """What an adapter gives has a place in a recipe of the same parts."""
    state = state_of("siglip")
    converted = SiglipAdapter().convert(state)
    system = build_system(Recipe.model_validate(converted.recipe, strict=False), vocab=converted.vocab)
    offered = SiglipAdapter().start(state, system, Path("model.safetensors"))
    assert {*offered.tensors} == {*system.state_dict()} and not offered.unexpected


def test_a_rank_is_the_logit_of_yes():
    """transformers ranks by one number; here there are two classes, and that of `no` is 0 everywhere."""
    state = state_of("vilt")
    head = ViltAdapter().convert(state).system["objectives.itm.head.weight"]
    assert torch.equal(head[1:], state["rank_output.weight"]) and not head[0].any()


@pytest.mark.parametrize(("name", "start"), [("git", "[CLS]"), ("blip-captions", "[DEC]")])
def test_a_model_that_writes_becomes_a_run_with_its_start_token(name, start, saved_model, tmp_path):
    """BLIP's decoder begins with a token behind BERT's words, which no file of its folder holds: 59 words, then it."""
    convert(Conversion(name.partition("-")[0], str(saved_model(59, name)), tmp_path / "run"), lambda _line: None)
    engine = load_run(tmp_path / "run", device=torch.device("cpu"))
    words, objective = engine.tokenizer, engine.system.named_objectives()["lm"]
    assert words.encode("w1") == [2, 6]  # the objective ends texts
    assert objective.start == ("cls" if name == "git" else "[DEC]")
    assert words.words[words.special[objective.start]] == start
    assert words.special[objective.start] == (2 if name == "git" else 59)


@pytest.mark.parametrize("name", ["git", "blip-captions"])
def test_further_training_for_captions_goes_on_with_the_decoder(name, saved_model, tmp_path):
    """The recipe of captions names a decoder of ALBEF's, of six layers, which begins with [CLS]."""
    convert(Conversion(name.partition("-")[0], str(saved_model(59, name)), tmp_path / "run"), lambda _line: None)
    run = Run(tmp_path / "run")
    before, recipe = run.checked().recipe, task_recipe("captioning", run.checked().tree).recipe
    assert recipe.model.decoder == before.model.decoder
    asked, kept = recipe.active["lm"].options, before.active["lm"].options
    assert asked["smoothing"] == 0.1 and asked.get("start", "cls") == kept["start"]
    words = run.tokenizer()
    started = start_system(build_system(recipe, vocab=words.vocab, special=words.special), run)
    assert not [each for each in started.fresh if each.startswith("model.decoder.")]


def test_a_git_answers_behind_its_questions(saved_model, tmp_path):
    """What `vlzoo finetune vqa` takes where nobody names a recipe; tasks/vqa asks for a fusion."""
    convert(Conversion("git", str(saved_model(60, "git")), tmp_path / "run"), lambda _line: None)
    run = Run(tmp_path / "run").checked()
    recipe = task_recipe("vqa", run.tree).recipe
    assert set(recipe.active) == {"prefix_answer"} and recipe.model.decoder == run.recipe.model.decoder


def test_a_blips_fusion_shares_the_layers_of_its_text_encoder():
    """One BERT in two roles, whose weights are stored once; the recipe `blip` has parts of the same names."""
    state = state_of("blip")
    converted = BlipAdapter().convert(state)
    system = build_system(Recipe.model_validate(converted.recipe, strict=False), vocab=converted.vocab)
    assert system.model.fusion.stack[1].blocks[0].attention is system.model.text_encoder.stack[1].attention
    named = {name for name, _ in system.named_parameters()}  # shared ones once
    assert named - {*converted.system} == {"objectives.itc.temperature"} and {*converted.system} <= named
    published = sketch(load("blip").recipe).state_dict()
    assert {re.sub(r"(stack|blocks)\.1\.", r"\1.11.", name) for name in converted.system} <= {*published}


def test_a_blip_of_another_epsilon_is_refused(saved_model):
    place = saved_model(60, "blip")
    held = json.loads((place / "config.json").read_text())
    held["vision_config"]["layer_norm_eps"] = 1e-3
    (place / "config.json").write_text(json.dumps(held))
    with pytest.raises(CheckpointError, match="LayerNorms add"):
        BlipAdapter(where=str(place / "model.safetensors")).convert(state_of("blip"))


@pytest.mark.parametrize("name", ["git", "blip", "blip-captions"])
def test_words_of_another_epsilon_are_refused(name, saved_model):
    """Ours are BERT's, 1e-12: a run would compute other numbers than the model, and nobody would be told."""
    place = saved_model(60, name)
    held = json.loads((place / "config.json").read_text())
    held.get("text_config", held)["layer_norm_eps"] = 1e-5
    (place / "config.json").write_text(json.dumps(held))
    with pytest.raises(CheckpointError, match="the LayerNorms of its words add 1e-05 to the variance, and ours 1e-12"):
        ADAPTERS[name](where=str(place / "model.safetensors")).convert(state_of(name))
