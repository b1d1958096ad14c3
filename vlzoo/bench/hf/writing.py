"""Captions by models of transformers that generate texts: GIT (Wang et al. 2022), and BLIP's captioner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vlzoo.bench.captioning.captioner import Captioner, captioner
from vlzoo.bench.hf.model import ForeignModel
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.captioning.task import Captioning


class Git(ForeignModel):
    """Writes captions; its class reads image tokens and words in one row."""

    able = ("captioning",)


def writing(model: ForeignModel, task: Captioning) -> Captioner:
    """Captions by the model's own `generate`, as the task's options ask.

    Raises:
        CheckpointError: words are to be drawn, or captions chosen from a list, which `generate` does in no way that
            gives the same captions in any batch; the tokenizer or the model knows no token that texts begin or end
            with; or captions are longer than the model has positions, or no longer than the prompt.
    """
    _check_ends(model)
    if task.drawn or task.listed:
        asked = "draw words" if task.drawn else "choose from a list"
        raise CheckpointError(f"{model.name} can't {asked} here", fix="leave --top-p, --temperature and --listed out")
    ends = model.foreign.tokenizer
    ids = ends(task.prompt)["input_ids"] if task.prompt else [ends.cls_token_id, ends.sep_token_id]
    cut = ids if model.name == "BlipForConditionalGeneration" else ids[:-1]  # BLIP takes the end token off by itself
    if len(ids) - 1 >= task.length:
        what = f"a prompt of {len(ids) - 1} ids leaves no room in texts of {task.length}"
        raise CheckpointError(what, where=model.name, fix=f"give --length {len(ids)} or more")
    positions = model.model.config.get_text_config().max_position_embeddings
    if task.length > positions:
        what = f"texts of {task.length} ids are longer than the {positions} positions of the model"
        raise CheckpointError(what, where=model.name, fix=f"give --length {positions} or less")
    options = {
        "num_beams": task.beams,
        "max_length": task.length,
        "min_length": task.least,
        "length_penalty": task.length_penalty,
        "no_repeat_ngram_size": task.no_repeat,
        "do_sample": False,
    }

    @torch.no_grad()
    def write(samples: list[Sample]) -> list[Row]:
        ids_BS = torch.tensor([cut] * len(samples), device=model.device)
        seen: dict[str, Any] = {"input_ids": ids_BS, "attention_mask": torch.ones_like(ids_BS)}
        with model.autocast():
            made = model.model.generate(**seen, **model.pixels([each.images[0] for each in samples]), **options)
        texts = ends.batch_decode(made[:, len(ids) - 1 :], skip_special_tokens=True)
        return [{"caption": text.strip()} for text in texts]

    return write


def _check_ends(model: ForeignModel) -> None:
    """Refuse a model whose texts could not begin, or would never end."""
    ends, config = model.foreign.tokenizer, model.model.config
    for token, use in ((ends.cls_token_id, "begin"), (ends.sep_token_id, "end")):
        if token is None:
            fix = "give the tokenizer that the model was trained with: a BERT's"
            raise CheckpointError(f"its tokenizer has no token for texts to {use} with", where=model.name, fix=fix)
    # BLIP's class ends texts by its text model's configuration, whatever its generation_config.json says.
    told = (
        config.text_config.sep_token_id
        if hasattr(config, "text_config")
        else model.model.generation_config.eos_token_id
    )
    if told is None:
        fix = f"put the tokenizer's end token, {ends.sep_token_id}, into its configuration"
        raise CheckpointError("it says no token that texts end with", where=model.name, fix=fix)


captioner.register(Git)(writing)
