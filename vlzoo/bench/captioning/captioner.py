"""How a model writes captions; a run of vlzoo: with the decoder of an objective that offers `captions`.

Legend: B pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import TYPE_CHECKING, Any

import torch

from vlzoo.batch import Batch
from vlzoo.bench.engine import Engine
from vlzoo.bench.model import BenchModel
from vlzoo.data.fields import short
from vlzoo.errors import DataError
from vlzoo.models.generate import Decoding, Ends, generate
from vlzoo.models.listed import Listed
from vlzoo.offers import Captions
from vlzoo.types import Row

if TYPE_CHECKING:
    from vlzoo.bench.captioning.task import Captioning

WHOLE = 10_000
"""Tokens of a prompt or of a listed caption that are not too many: the decoder says so itself."""

Captioner = Callable[[Any], list[Row]]
"""From a batch of pictures to a row each: `caption`, and `score` where there is one."""


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
    decoder, special = model.system.model.decoder, model.system.model.special
    ends = Ends.of(special, captions.start, captions.end)
    allowed = [[*_listed(model, text, task.listed), ends.end] for text in task.captions()]
    decoding = Decoding(
        beams=task.beams,
        length=task.length,
        least=task.least,
        length_penalty=task.length_penalty,
        no_repeat=task.no_repeat,
        top_p=task.top_p,
        temperature=task.temperature,
        seed=task.seed,
        listed=Listed(allowed) if allowed else None,
    )
    prompt = _words(model, task.prompt) if task.prompt else []
    first = [ends.start] if captions.reads_prompt else [ends.start, *prompt]
    write_all = partial(generate, decoder, special=special, decoding=decoding, start=captions.start, end=captions.end)

    @torch.no_grad()
    def write(batch: Batch) -> list[Row]:
        with model.autocast():
            memory = captions.memory(model.step(batch), prompt)
            made = write_all(memory=memory, prompt=first, key=batch.key)
        return [{"caption": model.tokenizer.decode(ids[len(first) :]), "score": score} for ids, score in made]

    return write


def _listed(model: Engine, text: str, file: str) -> list[int]:
    """The ids of a listed caption.

    Raises:
        DataError: it has no words, or some that the vocabulary lacks: what is written would be another caption.
    """
    found = _words(model, text)
    if not found or model.tokenizer.special["unk"] in found:
        what = "words that the model's vocabulary lacks" if found else "no words"
        raise DataError(f"the caption {short(text)} has {what}", where=file, fix="leave it out, or say it otherwise")
    return found


def _words(model: Engine, text: str) -> list[int]:
    """The ids of a text's words, without special tokens; cleaned where the run's captions are, but never cut."""
    made = model.tokenizer([model.collator.clean(text, cut=False)], max_length=WHOLE)
    found: list[int] = made.ids[0][~made.special[0]].tolist()
    return found
