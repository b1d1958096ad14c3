"""Two-stage retrieval against a literal procedure, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from vlzoo.bench.packed import pack, unpack
from vlzoo.bench.retrieval.matrices import UNSCORED, Captions, matrices, require_captions
from vlzoo.bench.retrieval.task import Retrieval
from vlzoo.data.records import Sample
from vlzoo.errors import CheckpointError, DataError
from vlzoo.task import Effort
from vlzoo.types import Tokens

K = 3


def literal(engine, source) -> tuple[np.ndarray, np.ndarray]:
    """ALBEF's `evaluation()`: each direction for itself, texts padded, pairs one by one; [I, T] and [T, I]."""
    model = engine.system.model
    texts = [text for sample in source for text in sample.texts]
    with torch.no_grad():
        words = engine.tokenise(texts)
        text = model.text_encoder(words.ids, words.mask)
        images = [model.image_encoder(engine.pixels([sample.images[0]])) for sample in source]
        cosine = torch.cat([model.embed_image(image) for image in images]) @ model.embed_text(text).T

        def score(i: int, t: int) -> float:
            one = Tokens(text.x[t : t + 1], text.mask[t : t + 1], text.pooled[t : t + 1])
            fused = model.fusion.fuse(one, [model.fusion.prepare(images[i])])
            return float(engine.system.objectives["itm"].head(fused.cls)[0, 1])

        scores_it = np.full(cosine.shape, UNSCORED)
        scores_ti = np.full(cosine.T.shape, UNSCORED)
        for i in range(len(images)):
            for t in cosine[i].topk(K).indices.tolist():
                scores_it[i, t] = score(i, t)
        for t in range(len(texts)):
            for i in cosine[:, t].topk(K).indices.tolist():
                scores_ti[t, i] = score(i, t)
    return scores_it, scores_ti


def test_the_matrices_are_those_of_the_literal_procedure(engine_for, sources):
    source, engine = sources["retrieval"], engine_for({"itc": {"queue": 16}, "itm": {}})
    made = Retrieval(k=K).predict(engine, source, frozenset(), Effort())
    rows = {row["name"]: row for rows in made for row in rows}
    captions = Captions.of(source)
    found = matrices(captions.names, captions.texts, rows, "itm")
    for ours, theirs in zip(found, literal(engine, source), strict=True):
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
        np.testing.assert_allclose(ours[np.isfinite(ours)], theirs[np.isfinite(theirs)], atol=1e-4)


def test_itm_plus_itc_adds_the_cosine_over_the_temperature(predicted):
    """0.07 is the temperature that recipes start from."""
    rows = predicted("retrieval", protocol="itm+itc")
    (row, *_) = rows.values()
    assert np.abs(unpack(row["itc"], "<f4")).max() <= 1 / 0.07 + 1e-3
    captions = 8 * 5
    both, alone = (matrices(list(rows), captions, rows, protocol)[0] for protocol in ("itm+itc", "itm"))
    at = unpack(row["texts"], "<i4")[unpack(row["of_image"], "|u1").astype(bool)]
    gap = unpack(row["itc"], "<f4")[unpack(row["of_image"], "|u1").astype(bool)]
    np.testing.assert_allclose(both[0, at] - alone[0, at], gap, atol=1e-4)


def test_itc_needs_no_matching_head(engine_for, sources):
    engine = engine_for({"itc": {"queue": 16}})
    made = Retrieval(protocol="itc", k=K).predict(engine, sources["retrieval"], frozenset(), Effort())
    rows = [row for rows in made for row in rows]
    assert "itm" not in rows[0]
    with pytest.raises(CheckpointError, match="no matching head"):
        list(Retrieval().predict(engine, sources["retrieval"], frozenset(), Effort()))


@dataclass
class Listed:
    """Samples with a name."""

    samples: list[Sample] = field(default_factory=list)
    name: str = "coco/test"

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> Sample:
        return self.samples[row]

    def fingerprint(self) -> str:
        return "f"


def scored(
    protocol: str, of_own: float, of_other: float, name: str = "own/test"
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Figures of two pictures with one text each, where both texts score alike."""
    source = Listed([Sample(n, (None,), ("a text",)) for n in "ab"], name)
    rows = {}
    for at, picture in enumerate("ab"):
        values = [of_own if text == at else of_other for text in range(2)]
        all_two = pack([1, 1], "|u1")
        rows[picture] = {
            "texts": pack([0, 1], "<i4"),
            "itm": pack(values, "<f4"),
            "of_image": all_two,
            "of_text": all_two,
        }
    result = Retrieval(protocol=protocol).score(source, rows)
    return {score.metric: score.value for score in result.scores}, result.notes


def test_a_tie_is_a_miss_and_is_counted():
    figures, notes = scored("itm", 1.0, 1.0)
    assert figures["TR R@1"] == figures["IR R@1"] == 0.0
    assert figures["TR R@5"] == 100.0
    assert "ties: 2 image and 2 text queries (a tie is a miss)" in notes[1]


def test_argsort_settles_ties_as_numpy_does():
    """`numpy.argsort([1, 1])[::-1]` is [1, 0]: the second one first."""
    figures, _ = scored("itm/argsort", 1.0, 1.0)
    assert figures["TR R@1"] == 50.0


def test_a_karpathy_split_of_another_size_is_refused():
    with pytest.raises(DataError, match="5000 images and 25010 texts"):
        scored("itm", 2.0, 1.0, name="coco/test")
    assert scored("itm", 2.0, 1.0, name="coco/val")[0]["TR R@1"] == 100.0


def test_pictures_without_captions_are_named():
    with pytest.raises(DataError, match="1 samples lack"):
        require_captions(Listed([Sample("a", (None,), ())]))


def predictions(engine, source, **options):
    """What retrieval predicts, by picture."""
    made = Retrieval(**options).predict(engine, source, frozenset(), Effort())
    return {row["name"]: row for rows in made for row in rows}


WORDS = {"text_encoder": {"part": "embedding", "width": 16, "max_length": 32, "dropout": 0.0}}
"""A text side whose first state is one for all texts: a cosine with it ranks nothing."""


def test_without_a_contrast_every_pair_is_scored(engine_for, sources, monkeypatch):
    """Though there is a joint space: nobody trained it. Expected: every pair by itself, whatever the usual k."""
    monkeypatch.setattr("vlzoo.bench.retrieval.task.USUAL_K", 3)
    source, engine, said = sources["retrieval"], engine_for({"itm": {}}, parts=WORDS), []
    engine.say = said.append
    rows = predictions(engine, source)
    assert all("itc" not in row and len(unpack(row["texts"], "<i4")) == 40 for row in rows.values())
    model, captions = engine.system.model, Captions.of(source)
    words = engine.tokenise([text for sample in source for text in sample.texts])
    found = matrices(captions.names, captions.texts, rows, "itm")
    with torch.no_grad():
        text = model.text_encoder(words.ids, words.mask)
        for i, sample in enumerate(source):
            image = model.fusion.prepare(model.image_encoder(engine.pixels([sample.images[0]])))
            fused = model.fusion.fuse(text, [image], torch.zeros(len(text.x), dtype=torch.long))
            logit_T = engine.system.objectives["itm"].head(fused.cls)[:, 1].numpy()
            np.testing.assert_allclose(found[0][i], logit_T, atol=1e-4)
            np.testing.assert_allclose(found[1][:, i], logit_T, atol=1e-4)
    assert any("so no first stage: all 320 pairs are matched, about " in line for line in said)


def test_without_a_contrast_nothing_can_choose_k_candidates(engine_for, sources):
    source, engine = sources["retrieval"], engine_for({"itm": {}})
    with pytest.raises(CheckpointError, match=r"k is 4, and this model has no contrast.*\n  -> leave k out.*all 320"):
        predictions(engine, source, k=4)
    assert len(predictions(engine, source, k=40)) == 8


@pytest.mark.parametrize("protocol", ["itc", "itm+itc", "itc/argsort"])
def test_without_a_contrast_nothing_is_ranked_by_embeddings(engine_for, sources, protocol):
    with pytest.raises(CheckpointError, match="no contrast of pictures and texts to rank by\n  -> give --protocol itm"):
        predictions(engine_for({"itm": {}}), sources["retrieval"], protocol=protocol)


def test_a_model_without_a_fusion_is_ranked_by_its_contrast(engine_for, sources):
    source = sources["retrieval"]
    parts = {"fusion": None, "decoder": None}
    engine = engine_for({"itc": {}}, parts=parts)
    rows = predictions(engine, source, protocol="itc")
    captions = Captions.of(source)
    scores_IT, _ = matrices(captions.names, captions.texts, rows, "itc")
    words = engine.tokenise([text for sample in source for text in sample.texts])
    model = engine.system.model
    with torch.no_grad():
        image = model.embed_image(model.image_encoder(engine.pixels([sample.images[0] for sample in source])))
        cosine_IT = image @ model.embed_text(model.text_encoder(words.ids, words.mask)).T
    np.testing.assert_allclose(scores_IT, cosine_IT.numpy(), atol=1e-6)
    with pytest.raises(CheckpointError, match="no matching head"):
        predictions(engine, source)
