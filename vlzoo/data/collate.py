"""From samples to batches: rows made, texts cleaned and tokenised, a task's fields added, words masked.

Runs in data workers. All randomness is keyed by seed, epoch and sample, that of masked words by the batch's number.

Legend: M pictures, H rows and columns of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vlzoo.augment.tensor import Normalise
from vlzoo.batch import Batch, Text
from vlzoo.data.features import Features, padded
from vlzoo.data.pairs import Pairs
from vlzoo.data.ranges import read_ahead
from vlzoo.data.records import Fields, Sample
from vlzoo.data.tolerance import Tolerance
from vlzoo.data.visit import Visit
from vlzoo.data_parts import Augmentation, Rows
from vlzoo.draws import Draws
from vlzoo.errors import DataError, VlzooError
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.masking import Drawing, Rule, drawing_name
from vlzoo.text.tokenizer import Tokenizer


@dataclass
class Reader:
    """Makes items of a source's samples; `reader[(epoch, index)]`. A map-style data set for torch's loader.

    Attributes:
        source: where samples come from.
        augmentation: what happens to pictures, and to texts and boxes with them.
        rows: makes items of samples.
        seed: the run's seed.
        tolerance: what is done about pictures that can't be read; None: the first one stops the run.
        input: what the image encoder reads.
    """

    source: Any
    augmentation: Augmentation
    rows: Rows = field(default_factory=Pairs)
    seed: int = 0
    tolerance: Tolerance | None = None
    input: Literal["image", "regions"] = "image"
    _ahead: dict[tuple[int, int], Sample] = field(default_factory=dict, init=False, repr=False)

    def read_ahead(self, places: Sequence[tuple[int, int]]) -> None:
        """Have at hand the samples that are asked for next, their pictures read at once where that is quicker."""
        self._ahead.clear()
        found = {}
        for place in places:
            with suppress(VlzooError):  # who asks for it is told
                found[place] = self._sample(*place)
        with suppress(VlzooError):
            self._ahead.update(zip(found, read_ahead(list(found.values())), strict=True))

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, index = place
        if self.tolerance is None:
            return self._make(epoch, index)
        return self.tolerance.take(index, lambda readable: self._make(epoch, readable))

    def __len__(self) -> int:
        return len(self.source)

    def _make(self, epoch: int, index: int) -> Any:
        sample = self._ahead.pop((epoch, index), None) or self._sample(epoch, index)
        return self.rows.make(sample, Visit(index, epoch, self.seed, self.augmentation, self.input))

    def _sample(self, epoch: int, index: int) -> Sample:
        # A mixture shows other records of its parts in another epoch.
        found: Sample = self.source.at(epoch, index) if hasattr(self.source, "at") else self.source[index]
        return found


@dataclass
class Collator:
    """Makes batches of items.

    Attributes:
        tokenizer: words to ids.
        rows: makes batches of the items that it made.
        normalise: levels to pixel values.
        max_words: a text is cut after so many words.
        cleans: whether texts are cleaned as captions; else they stay as they are, whole.
        add: what a task adds to the batch; None in pre-training.
        maskings: text views made of others, with masked words for instance: the view each is made of, and the rule
            (`Plan.maskings`).
        seed: the run's seed.
        stream: the stream's name, where there are several.
    """

    tokenizer: Tokenizer
    rows: Rows = field(default_factory=Pairs)
    normalise: Normalise = field(default_factory=Normalise)
    max_words: int = 30
    cleans: bool = True
    add: Callable[[Sequence[Any], Tokenizer], Fields] | None = None
    maskings: Mapping[str, tuple[str, Rule]] = field(default_factory=dict)
    seed: int = 0
    stream: str = ""

    def __call__(self, items: Sequence[Any], number: int = 0) -> Batch:
        """The batch of some items.

        Args:
            items: as the rows made them.
            number: the batch's in its stream: what is drawn for its words depends on it.

        Raises:
            DataError: samples that do not fit together, or have no text whose words could be masked.
        """
        batch = self.rows.collate(items, self)
        if self.add is not None:
            batch = self._added(batch, self.add(self.rows.samples(items), self.tokenizer))
        return self._masked(batch, number) if self.maskings else batch

    def clean(self, text: str, *, cut: bool = True) -> str:
        """A text as the official code cleans captions, cut at `max_words`; as it is where nothing is cleaned.

        Args:
            text: the text.
            cut: whether words beyond `max_words` are left out.
        """
        return pre_caption(text, max_words=self.max_words if cut else None) if self.cleans else text

    def tokenise(self, clean: Sequence[str]) -> Text:
        """Cleaned texts as ids, with the words that pieces belong to where a masking reads them."""
        text = self.tokenizer(clean)
        if not any(rule.reads_words for _, rule in self.maskings.values()):
            return text
        word_RL = torch.full_like(text.ids, -1)
        for row, each in enumerate(clean):
            numbers = self.tokenizer.number_words(each)
            word_RL[row, : len(numbers)] = torch.tensor(numbers)
        return replace(text, word=word_RL)

    def pictures(self, seen: Sequence[NDArray[np.uint8] | Features]) -> Any:
        """What the image encoder takes of M pictures: pixel values [M, 3, H, H]; of regions a mapping of tensors."""
        features = [each for each in seen if isinstance(each, Features)]
        if features:
            return {name: torch.from_numpy(held) for name, held in padded(features).items()}
        return self.normalise(np.stack([each for each in seen if not isinstance(each, Features)]))

    def _added(self, batch: Batch, added: Fields) -> Batch:
        extra = {name: _tensor(value) for name, value in added.extra.items()}
        labels = batch.labels if added.labels is None else torch.as_tensor(added.labels)
        return replace(batch, texts={**batch.texts, **added.texts}, extra={**batch.extra, **extra}, labels=labels)

    def _masked(self, batch: Batch, number: int) -> Batch:
        """With the texts that are made of others: drawn as a step draws them that is given none."""
        draws, texts = Draws(self.seed, number, stream=self.stream), dict(batch.texts)
        for view, (of, rule) in self.maskings.items():
            if view in texts:  # the rows made it
                continue
            if of not in texts:
                raise DataError(
                    f"words of the text {of!r} are to be {rule.aim}, and these samples have none",
                    where=", ".join([*([f"stream {self.stream}"] if self.stream else []), *batch.names[:3]]),
                    fix=f"leave out the objectives for which words are {rule.aim}, or take data with texts",
                )
            about = Drawing(draws, batch.key, drawing_name(view), self.tokenizer.vocab, self.tokenizer.special["mask"])
            texts[view] = rule(texts[of], about)
        return replace(batch, texts=texts)


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
