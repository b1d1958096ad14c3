"""How a model writes captions; a run of vlzoo: with the decoder of an objective that offers `captions`.

Legend: B pictures, S ids of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import torch

from vlzoo.batch import Batch
from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.models.generate import Decoding, generate
from vlzoo.offers import Captions
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.captioning.task import Captioning

Captioner = Callable[[Any], list[Row]]
"""From a batch of pictures to a row each: `caption` and `score`."""


@singledispatch
def captioner(model: BenchModel, task: Captioning) -> Captioner:
    """How a model writes captions, as the task's options ask; a family registers its own.

    Raises:
        CheckpointError: the model writes none.
    """
    model.cannot(task.name)


@captioner.register(Engine)
def _(model: Engine, task: Captioning) -> Captioner:
    task.check_offers(lambda name: model.offered(name) is not None)
    captions: Captions = model.offered("captions")
    decoding = Decoding(
        beams=task.beams,
        length=task.length,
        least=task.least,
        length_penalty=task.length_penalty,
        no_repeat=task.no_repeat,
        top_p=task.top_p,
        temperature=task.temperature,
        seed=task.seed,
    )
    decoder, special = model.system.model.decoder, model.system.model.special
    first = _prompt(model, task.prompt, captions.start)
    about = {"start": captions.start, "end": captions.end, "prompt": first}

    @torch.no_grad()
    def write(batch: Batch) -> list[Row]:
        with model.autocast():
            memory = captions.memory(model.step(batch))
            made = generate(decoder, memory, special, decoding, key=batch.key, **about)
        return [{"caption": model.tokenizer.decode(ids[len(first) :]), "score": score} for ids, score in made]

    return write


def _prompt(model: Engine, prompt: str, start: str) -> list[int]:
    """The ids that captions begin with, [S]: the start token and the prompt's, without the token that ends a text."""
    special = model.system.model.special
    if not prompt:
        return [special[start]]
    text = model.tokenise([prompt])
    ids: list[int] = text.ids[0][text.mask[0].bool()].tolist()
    return [special[start], *(each for each in ids if each not in special.values())]
