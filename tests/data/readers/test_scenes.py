"""What the objects of Scenes look like to a detector without a fault."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from vlzoo.data.features import features_of
from vlzoo.data.readers.scenes import Scenes
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.errors import DataError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "scenes"
    make_scenes(out, Sizes.split(8, 3, 3), seed=1, workers=1)
    return out


def test_objects_that_look_alike_have_equal_features_at_their_boxes(corpus):
    source = pickle.loads(pickle.dumps(Scenes(corpus, split="test", features=12)))
    lines = (corpus / "annotations/scenes.jsonl").read_text().splitlines()
    scenes = {str(scene["image_id"]): scene for scene in map(json.loads, lines)}
    known: dict[tuple, bytes] = {}
    for sample in source:
        things = [thing for thing in scenes[sample.name]["things"] if thing["box"]]
        found = features_of(sample.images[0])
        assert found.features.shape == (len(things), 12) and found.features.dtype == np.float32
        for thing, feature, box in zip(things, found.features, found.boxes, strict=True):
            x, y, width, height = thing["box"]
            # A scene is 64 pixels wide: left, top, right, bottom as shares of it.
            np.testing.assert_allclose(box, np.array([x, y, x + width, y + height]) / 64, rtol=1e-6)
            look = tuple(thing[name] for name in ("color", "shape", "size", "texture"))
            assert known.setdefault(look, feature.tobytes()) == feature.tobytes()
    assert len(set(known.values())) == len(known) > 3


def test_who_asks_for_no_features_has_the_data_of_before(corpus):
    plain, rich = (Scenes(corpus, features=width) for width in (0, 4))
    assert ("features", 0) not in plain._options()
    assert plain.fingerprint() != rich.fingerprint() != Scenes(corpus, features=5).fingerprint()
    assert len(plain.files()) + 2 == len(rich.files())
    assert [sample.name for sample in plain] == [sample.name for sample in rich]
    with pytest.raises(DataError, match="features can't be -1"):
        Scenes(corpus, features=-1)


def test_the_visible_objects_are_told_where_they_are_asked_for(corpus):
    plain, told = Scenes(corpus, split="test"), pickle.loads(pickle.dumps(Scenes(corpus, split="test", things=True)))
    assert plain.fingerprint() != told.fingerprint()
    lines = (corpus / "annotations/scenes.jsonl").read_text().splitlines()
    scenes = {str(scene["image_id"]): scene for scene in map(json.loads, lines)}
    for sample, bare in zip(told, plain, strict=True):
        seen = [thing for thing in scenes[sample.name]["things"] if thing["box"]]
        keys = ("color", "shape", "size", "texture", "x", "y")
        assert sample.fields["things"] == [{key: thing[key] for key in keys} for thing in seen]
        assert "things" not in bare.fields and bare.texts == sample.texts
