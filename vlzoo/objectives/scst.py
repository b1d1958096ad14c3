"""Captions are written, judged as wholes, and made likelier where they are better than others (Rennie et al. 2017).

Legend: R rows, S prompt ids, C captions written of a row, K of them drawn, T ids of the longest caption, P captions, L
ids, N scored ids, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import DataError, UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import Objective
from vlzoo.metrics.captions import CiderD, spoken
from vlzoo.models.compiling import as_written
from vlzoo.models.generate import Decoding, Ends, Written, generate
from vlzoo.models.resting import at_rest, differs_at_rest
from vlzoo.step.marked import mark
from vlzoo.step.memo import Memo
from vlzoo.step.memory import require_memory
from vlzoo.step.passes import Passes
from vlzoo.step.plan import WRITTEN, Plan
from vlzoo.step.step import Step
from vlzoo.text.framing import Framed
from vlzoo.types import Loss, Spec, Tokens

if TYPE_CHECKING:
    from vlzoo.data.records import Sample
    from vlzoo.text.tokenizer import Tokenizer

BASELINES = ("greedy", "samples")
END = "<end>"
"""The word that stands for the end of a caption, where that is judged; no tokenizer of words makes one like it."""
ALL_CAPTIONS = (
    "let data give pictures with all their captions, and rows bring them: data.unit=image, rows.references=true"
)


class SCST(Objective):
    """-(r(c) - b) log p(c | picture) of captions c that are drawn of the model, mean over rows and draws.

    r is CIDEr-D against all captions of the row's picture, from 0 to 10, with words as rare as they are in the training
    data; b is the baseline. Captions are written as the model will write them: no dropout in the decoder, and pictures
    encoded once more where their encoder drops anything in training; their probability is that of a pass as in any
    training. A text's prefix (`Text.prefix`: a prompt) is gone on from. Start from a model
    that was trained word by word (`lm`). Lends `captions`.

    Source: Rennie et al., Self-critical Sequence Training for Image Captioning, CVPR 2017, arXiv:1612.00563.

    Args:
        baseline: `greedy`, the reward of the likeliest words' caption (Rennie et al.), or `samples`, the mean reward of
            the row's other drawn captions (Luo, A Better Variant of SCST, arXiv:2003.09971).
        samples: captions drawn of each row; with the baseline `samples` two at least.
        temperature: words are drawn, and their probabilities taken, with logits divided by this.
        length: most ids of a caption, those that begin and end it included.
        judges_end: whether the end of a caption is a word of it, so that one that breaks off is worse; the reward is no
            more the CIDEr-D that the bench prints.
        lends: whether it lends `captions`; off beside another objective that does.
        start: name of the token that texts begin with, of the tokenizer's special ones.
        end: name of the token that ends them.

    Raises:
        UnknownName: no such baseline.
        VlzooError: too few samples for the baseline, or another option has a value that none can have.
    """

    reads_prompt = False
    needs = ("decoder", "picture_decoder")

    def __init__(
        self,
        *,
        baseline: Literal["greedy", "samples"] = "greedy",
        samples: int = 1,
        temperature: float = 1.0,
        length: int = 20,
        judges_end: bool = False,
        lends: bool = True,
        start: str = "cls",
        end: str = "sep",
    ) -> None:
        super().__init__()
        if baseline not in BASELINES:
            fix = did_you_mean(str(baseline), BASELINES, what="baselines")
            raise UnknownName(f"baseline can't be {baseline!r}", where="objective scst", fix=fix)
        least = 2 if baseline == "samples" else 1
        if samples < least:
            what = f"samples is {samples}, and the baseline {baseline} takes {least} or more"
            raise VlzooError(what, where="objective scst", fix="5 is usual: samples: 5")
        self.how = Decoding(length=length, temperature=temperature, sample=True)
        self.baseline, self.samples, self.judges_end = baseline, samples, judges_end
        self.lends, self.start, self.end = lends, start, end
        self.judge: CiderD | None = None
        self.decode: Callable[[Sequence[int]], str] = str

    def build(self, spec: Spec) -> None:
        """Look up the tokens that texts begin and end with.

        Raises:
            VlzooError: the tokenizer has none of these names.
        """
        self.ends = Ends.of(spec.special, self.start, self.end)

    def meet(self, model: Any) -> None:
        """Refuse captions that are longer than the decoder can write.

        Raises:
            VlzooError: says how long they may be.
        """
        positions = model.decoder.max_length
        if positions is not None and self.how.length > positions:
            what = f"captions of up to {self.how.length} ids are to be drawn, and the decoder has {positions} positions"
            raise VlzooError(what, where="objective scst", fix=f"set its length to {positions} or less")

    def learn(self, samples: Iterable[Sample], tokenizer: Tokenizer) -> None:
        """Count in how many pictures' captions each n-gram of words stands; keep how ids are read.

        Raises:
            DataError: no sample has a text, or two are of one picture, so that each has a part of its captions.
        """
        self.judge, self.decode = CiderD(self._all_captions(samples)), tokenizer.decode

    def plan(self, plan: Plan) -> None:
        """The texts, for the prompt that they may begin with.

        Raises:
            VlzooError: another objective lends `captions`, too.
        """
        try:
            plan.offers.one("captions", None)
        except VlzooError as error:  # no bench could tell later whose are meant
            raise VlzooError(error.what, fix="let one lend them: `objectives: {scst: {lends: false}}`") from None
        plan.make_text(WRITTEN, Framed(self.ends.start, self.ends.end))

    def offers(self) -> Mapping[str, Any]:
        """`captions`: itself, if it lends them."""
        return {"captions": self} if self.lends else {}

    def memory(self, step: Step, prompt: Sequence[int] = ()) -> Tokens:
        """What the decoder reads of each row, x [R, N, D].

        Raises:
            VlzooError: the rows have no pictures.
        """
        return require_memory(step.student)

    def forward(self, step: Step) -> Loss:
        """The mean over rows that have references, and the mean rewards; rows without any give zero.

        Raises:
            VlzooError: nothing was learned of the training data, the rows bring no references, or the captions can't
                be written.
        """
        references, memory, first_RS = self._references(step), self.memory(step), _prompt(step)
        texts = self._write(step, memory, first_RS)
        reward_RC = self._rewards([text.ids[first_RS.shape[1] :] for text in texts], references)
        greedy = self.baseline == "greedy"
        drawn_RK = reward_RC[:, 1:] if greedy else reward_RC
        others_RK = (drawn_RK.sum(1, keepdims=True) - drawn_RK) / max(1, self.samples - 1)
        baseline_RK = reward_RC[:, :1] if greedy else others_RK
        real, each = sum(map(bool, references)), len(texts) // len(step)
        scored = [text for number, text in enumerate(texts) if not greedy or number % each]
        total = self._loss(step, memory, scored, drawn_RK - baseline_RK, first_RS.shape[1]) / max(1, real)
        means = {"reward": drawn_RK.mean(1), "baseline": baseline_RK.mean(1)}
        parts = {name: total.new_tensor(value_R.sum() / max(1, real)) for name, value_R in means.items()}
        return Loss(total, {"scst": total.detach(), **parts}, real)

    def _all_captions(self, samples: Iterable[Sample]) -> Iterator[list[str]]:
        """The captions of each picture as words."""
        names: dict[str, str] = {}
        for sample in samples:
            picture = sample.image_id or sample.name
            if names.get(picture, sample.name) != sample.name:
                what = f"samples {names[picture]} and {sample.name} show one picture, each with a part of its captions"
                raise DataError(what, fix=ALL_CAPTIONS)
            if sample.texts and picture not in names:  # a mixture may show one twice
                names[picture] = sample.name
                yield self._words(sample.texts)
        if not names:
            raise DataError("no sample of the training data has a caption to compare with", fix=ALL_CAPTIONS)

    def _words(self, texts: Iterable[str], *, ends: bool = True) -> list[str]:
        """Captions as words. One by one: what stands behind a text moves a full stop of it, and rows have no order."""
        end = f" {END}" if self.judges_end and ends else ""
        return [spoken([text])[0] + end for text in texts]

    def _references(self, step: Step) -> list[list[str]]:
        """The captions of each row's picture as words."""
        if self.judge is None:
            what = "it has seen no training data, and knows not how rare words are"
            raise VlzooError(what, fix="call `learn(samples, tokenizer)` before the first step, as training does")
        if not step.batch.references:
            raise VlzooError("the rows bring no references to compare captions with", fix=ALL_CAPTIONS)
        return [self._words(texts) for texts in step.batch.references]

    def _write(self, step: Step, memory: Tokens, first_RS: Tensor) -> list[Written]:
        """The captions of each row behind each other: the greedy one, if it is the baseline, then those drawn."""
        rows, decoder, greedy = len(step), step.model.decoder, self.baseline == "greedy"
        drawn_R = step.draws.uniform("scst", step.batch.key, self.samples * self.how.length)
        uniform_RCT = drawn_R.view(rows, self.samples, self.how.length)
        if greedy:  # the number 0 draws the likeliest word
            uniform_RCT = torch.cat([torch.zeros_like(uniform_RCT[:, :1]), uniform_RCT], dim=1)
        memory = self._memory_at_rest(step, memory)
        with at_rest(decoder), as_written(step.model, True):  # of every length a layer would be compiled anew
            return generate(
                decoder,
                memory,
                step.model.special,
                self.how,
                prompt=first_RS.repeat_interleave(self.samples + greedy, dim=0),
                start=self.start,
                end=self.end,
                uniform=uniform_RCT.flatten(0, 1),
            )

    def _memory_at_rest(self, step: Step, memory: Tokens) -> Tokens:
        """What the decoder will read of the pictures: `memory`, where the training pass has dropped nothing of them."""
        encoder = step.model.image_encoder
        if not differs_at_rest(encoder):
            return memory
        with at_rest(encoder), torch.no_grad():
            return require_memory(Passes(step, Memo(grad=False), step.model))

    def _rewards(self, said: Sequence[Sequence[int]], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """CIDEr-D of each caption, [R, C]; 0 in rows without references."""
        assert self.judge is not None
        each, reward_P = len(said) // len(references), np.zeros(len(said))
        judged = [number for number in range(len(said)) if references[number // each]]
        words = [self._words([self.decode(said[n])], ends=said[n][-1] == self.ends.end)[0] for n in judged]
        reward_P[judged] = self.judge(words, [references[number // each] for number in judged])
        return reward_P.reshape(len(references), each)

    def _loss(
        self, step: Step, memory: Tokens, texts: Sequence[Written], gain_RK: NDArray[np.float64], prompt: int
    ) -> Tensor:
        """The sum over rows of the mean over draws: -gain times the log-probability of all ids behind the prompt."""
        longest, device = max(len(text.ids) for text in texts), memory.x.device
        ids_PL = np.full((len(texts), longest), self.ends.pad)
        new_PL = np.zeros(ids_PL.shape, dtype=np.bool_)
        for row, text in enumerate(texts):
            ids_PL[row, : len(text.ids)], new_PL[row, prompt : len(text.ids)] = text.ids, True
        new, ids = mark(new_PL, device), torch.from_numpy(ids_PL).to(device)
        real_PL = torch.arange(longest - 1, device=device) < torch.tensor(
            [[len(text.ids)] for text in texts], device=device
        )
        decoder = step.model.decoder
        logit_PLV = decoder(ids[:, :-1], real_PL, decoder.prepare(memory))
        logit_NV = logit_PLV[new.rows, new.columns - 1].float() / self.how.temperature
        loss_N = F.cross_entropy(logit_NV, ids[new.rows, new.columns], reduction="none")
        gain_P = torch.from_numpy(gain_RK.reshape(-1)).to(loss_N)
        return (gain_P[new.rows] * loss_N).sum() / self.samples


def _prompt(step: Step) -> Tensor:
    """The ids that captions begin with, [R, S]: the first token, and a prompt where texts have one."""
    prefix = step.host_text(WRITTEN).prefix
    lengths = {1} if prefix is None else set(prefix.tolist())
    if len(lengths) > 1:
        what = f"the prefixes of these texts have from {min(lengths)} to {max(lengths)} tokens"
        raise VlzooError(what, fix="let all texts begin with one prompt: `rows: {prompt: a picture of}`")
    return step.ids(WRITTEN).ids[:, : max(lengths)]
