"""A trained model, a picture and a caption to the caption's word maps.

Legend: L text tokens, P image tokens after the prefix, N all image tokens, H picture rows, W picture columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.augment.plain import Plain
from vlzoo.augment.view import make_view
from vlzoo.batch import Text, View
from vlzoo.bench.engine import Engine
from vlzoo.data.records import ImageRef
from vlzoo.draws import Draws
from vlzoo.errors import CheckpointError, VlzooError
from vlzoo.explain.words import Word, words_cut, words_of
from vlzoo.interfaces import Prepared
from vlzoo.models.gradcam import choose_layer, soft_mask, word_maps
from vlzoo.models.prepared import words_for_fusion
from vlzoo.offers import MATCH, Match
from vlzoo.text.cleaning import encodable
from vlzoo.types import Fused, Tokens


@dataclass(frozen=True)
class Explained:
    """What a model saw for each word.

    Attributes:
        picture: the picture as the maps lie on it, levels [H, W, 3] uint8.
        words: the caption's words, [CLS] first.
        maps: one map a text position, [L, rows, columns] float32.
        score: the difference of the matching head's two logits: the log-odds of a match.
        probability: of a match.
        layer: the fusion layer of the maps, counted from 0.
        layers: how many the fusion has.
        cut: words of the caption that the model did not read, or not to their end.
    """

    picture: NDArray[np.uint8]
    words: list[Word]
    maps: NDArray[np.float32]
    score: float
    probability: float
    layer: int
    layers: int
    cut: int = 0

    def of(self, word: Word) -> NDArray[np.float32]:
        """A word's map, [rows, columns]: the mean over its pieces."""
        mean: NDArray[np.float32] = self.maps[list(word.rows)].mean(axis=0)
        return mean


@dataclass(frozen=True)
class Masked:
    """What a soft mask of one word does.

    Attributes:
        word: the piece drawn.
        weight: weights of the patches, [rows, columns] float32.
        score: the difference of both logits with the mask.
        probability: likewise.
    """

    word: Word
    weight: NDArray[np.float32]
    score: float
    probability: float


@dataclass(frozen=True)
class Pass:
    """One matching pass of one picture and one caption, with its graph from the text states on.

    Attributes:
        text: ids.
        image: image tokens.
        states: text tokens, a leaf of the graph.
        prepared: what the fusion made of the image tokens.
        fused: what the fusion gave, with the map.
        logit_12: the matching head's output.
    """

    text: Text
    image: Tokens
    states: Tokens
    prepared: Prepared
    fused: Fused
    logit_12: Tensor


def explain(engine: Engine, image: ImageRef, caption: str, layer: int | None = None) -> Explained:
    """Every word's map.

    Args:
        engine: a run with a matching head.
        image: the picture.
        caption: any text; it is cleaned as in training.
        layer: the fusion layer, counted from 0; None: the third, or the last that has word maps.

    Raises:
        DataError: the picture can't be read.
        CheckpointError: the run can't match texts with pictures.
        VlzooError: the caption is empty, or there are no word maps in this layer or fusion.
    """
    return Explainer(engine, layer).explain(image, caption)


class Explainer:
    """Explains pictures and captions with one model.

    Args:
        engine: a run with a matching head.
        layer: as in `explain`.

    Raises:
        CheckpointError: the run can't match texts with pictures.
        VlzooError: there are no word maps in this layer or fusion.
    """

    def __init__(self, engine: Engine, layer: int | None = None) -> None:
        self.engine, self.head = engine, matching_head(engine)
        fusion = engine.system.model.fusion
        self.layer = choose_layer(fusion.layers, layer, cross_attention=fusion.cross_attention)
        self.layers = fusion.layers

    def explain(self, image: ImageRef, caption: str) -> Explained:
        """Every word's map."""
        return self._explained(image, caption)[0]

    def masked(
        self, image: ImageRef, caption: str, *, seed: int = 0, word: str | None = None
    ) -> tuple[Explained, Masked]:
        """The maps, and what the soft mask of one word does to the match.

        Args:
            image: the picture.
            caption: the caption.
            seed: of the draw among the caption's pieces, uniform as in training.
            word: take this word instead of drawing one.

        Raises:
            VlzooError: the caption has no such word.
        """
        explained, passed = self._explained(image, caption)
        clean = self.engine.collator.clean
        chosen = named_word(explained.words, clean(word)) if word else drawn_word(explained.words, passed.text, seed)
        map_1P = torch.from_numpy(explained.of(chosen)).reshape(1, -1).to(passed.image.x.device)
        weight_1N = soft_mask(map_1P, prefix=passed.image.prefix)
        with torch.no_grad(), self.engine.autocast():
            fusion, view = self.engine.system.model.fusion, View(weights=weight_1N)
            dimmed = view.prepared(passed.prepared, passed.image)
            fused = fusion.fuse(passed.states, [dimmed or fusion.prepare(view.tokens(passed.image))])
            logit_12 = self.head(fused.cls)
        grid = weight_1N[0, passed.image.prefix :].reshape(explained.maps.shape[1:]).cpu().numpy()
        return explained, Masked(chosen, grid, *verdict(logit_12))

    def _explained(self, image: ImageRef, caption: str) -> tuple[Explained, Pass]:
        engine = self.engine
        words = words_of(engine.tokenizer, engine.collator.clean(caption))
        # The caller may only measure: all of the pass needs its history, slices of the logits too.
        with torch.inference_mode(False), torch.enable_grad():
            passed = self._pass(image, caption)
            check_read(engine.tokenizer.tokens(passed.text.ids[0].tolist()), words)
            grid, prefix = grid_of(passed.image), passed.image.prefix
            maps_1LP = word_maps(passed.logit_12[:, MATCH], passed.fused, passed.text.mask, prefix=prefix)
        maps = maps_1LP[0].reshape(-1, *grid).cpu().numpy()
        seen = picture_of(engine, image)
        cut = words_cut(engine.tokenizer, engine.collator.clean(caption, cut=False), words)
        return Explained(seen, words, maps, *verdict(passed.logit_12), self.layer, self.layers, cut), passed

    def _pass(self, image: ImageRef, caption: str) -> Pass:
        model = self.engine.system.model
        text = self.engine.tokenise([caption])
        with self.engine.autocast():
            with torch.no_grad():
                tokens = model.image_encoder(self.engine.pixels([image]))
                read = model.text_encoder(text.ids, text.mask)
                read = words_for_fusion(model, text.ids, text.mask, read)
                prepared = model.fusion.prepare(tokens)
            # The graph starts here: what lies before has no part in the gradient, and weights may be frozen.
            states = Tokens(read.x.detach().requires_grad_(), read.mask, read.pooled)
            fused = model.fusion.fuse(states, [prepared], attention=self.layer)
            return Pass(text, tokens, states, prepared, fused, self.head(fused.cls))


def matching_head(engine: Engine) -> Match:
    """The head that an objective of the run offers as `match`: states [P, D] to logits [P, 2].

    Raises:
        CheckpointError: it has none, or reads two pictures.
    """
    found: Match | None = engine.offered("match")
    if found is None:
        raise CheckpointError(
            f"this run has no matching head (its objectives: {', '.join(engine.recipe.active) or 'none'})",
            fix="explain a run whose objectives offer `match`, as `itm` does: a pre-trained or a retrieval run",
        )
    return found


def grid_of(image: Tokens) -> tuple[int, int]:
    """Rows and columns of the picture's tokens.

    Raises:
        VlzooError: they are regions, which have no grid.
    """
    if image.grid is None:
        raise VlzooError("this image encoder gives regions, not a grid", fix="explain a run with a grid of patches")
    return image.grid


def check_read(pieces: Sequence[str], words: Sequence[Word]) -> None:
    """Refuse maps that would stand under other words than the model read.

    Args:
        pieces: what the model read.
        words: the caption's.

    Raises:
        VlzooError: a word's rows hold other pieces: the rows of the run read other texts than captions.
    """
    for word in words[1:]:
        if word.pieces != (read := tuple(pieces[row] for row in word.rows if row < len(pieces))):
            what = f"this run reads {' '.join(read) or 'nothing'} where the caption has {word.text!r}"
            raise VlzooError(what, fix="explain a run whose rows read captions as they are: `rows: {part: pairs}`")


def picture_of(engine: Engine, image: ImageRef) -> NDArray[np.uint8]:
    """The picture on which the maps lie: the whole one where the model saw it all, else the part it saw."""
    if isinstance(engine.augmentation, Plain):
        return np.asarray(image.open())
    return make_view(image.open(), engine.augmentation, np.random.default_rng(0))


def verdict(logit_12: Tensor) -> tuple[float, float]:
    """The log-odds of a match, and its probability.

    One logit says nothing by itself: a head may add the same to both and means what it meant.
    """
    row = logit_12.detach().double()[0]
    return float(row[MATCH] - row[1 - MATCH]), float(row.softmax(0)[MATCH])


def named_word(words: list[Word], text: str) -> Word:
    """The first word spelt `text`, a cleaned one.

    Raises:
        VlzooError: there is none.
    """
    for word in words:
        if word.text == encodable(text).strip():
            return word
    raise VlzooError(f"the caption has no word {text!r}", fix=f"choose among: {', '.join(w.text for w in words)}")


def drawn_word(words: list[Word], text: Text, seed: int) -> Word:
    """A piece drawn uniformly, special tokens left out, as the soft masks of training draw."""
    key = torch.zeros(1, dtype=torch.int64, device=text.ids.device)
    row = int(Draws(seed).choose("explained-word", key, (~text.special).double()))
    for word in words:
        if row in word.rows:
            piece = word.pieces[word.rows.index(row)]
            return Word(piece if len(word.rows) > 1 else word.text, (row,), (piece,))
    raise VlzooError("the caption has no word to draw", fix="use words that are not special tokens")
