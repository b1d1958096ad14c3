"""Mixtures: weights, order, halves, and the files of the papers' corpora."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vlzoo.data.mixture import Mixture, open_mixture
from vlzoo.data.mixture_file import mixture_file, read_mixture
from vlzoo.data.records import Sample
from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.options import check_names
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, UnknownName


class Fake:
    """A source of numbered texts."""

    def __init__(self, name: str, size: int, pairing: str = "pair") -> None:
        self.name, self.size, self.pairing, self.licence = name, size, pairing, f"licence of {name}"

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        return Sample(str(index), texts=(f"{self.name} {index}",), image_id=str(index))

    def fingerprint(self) -> str:
        return f"{self.name}{self.size}"


sizes = st.lists(st.integers(1, 60), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(sizes, st.data())
def test_an_epoch_holds_weight_times_size(numbers, data):
    weights = {str(k): data.draw(st.floats(0.05, 3.0)) for k in range(len(numbers))}
    mixture = Mixture({str(k): Fake(str(k), n) for k, n in enumerate(numbers)}, weights)
    drawn = Counter(mixture.place(3, index)[0] for index in range(len(mixture)))
    assert drawn == mixture.counts
    for k, n in enumerate(numbers):
        assert mixture.counts[str(k)] == max(1, round(weights[str(k)] * n))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.floats(0.05, 2.5), st.integers(0, 5))
def test_no_record_comes_again_before_all_have_come(size, weight, seed):
    mixture = Mixture({"a": Fake("a", size), "b": Fake("b", 7)}, {"a": weight}, seed=seed)
    count = mixture.counts["a"]
    shown: Counter[int] = Counter()
    for epoch in range(5):
        for index in range(count):
            shown[mixture.place(epoch, index)[1]] += 1
        times = [shown[record] for record in range(size)]
        assert sum(times) == (epoch + 1) * count and max(times) - min(times) <= 1


def test_order_depends_on_the_seed_alone():
    parts = {"a": Fake("a", 50), "b": Fake("b", 20)}
    one, two, other = Mixture(parts, seed=1), Mixture(parts, seed=1), Mixture(parts, seed=2)
    assert [s.name for s in one] == [s.name for s in two] != [s.name for s in other]
    assert pickle.loads(pickle.dumps(one))[3] == one[3]
    assert one.fingerprint() == two.fingerprint() != other.fingerprint()
    assert Mixture(parts, {"a": 2.0}, seed=1).fingerprint() != one.fingerprint()
    with pytest.raises(IndexError):
        one[70]


def test_names_and_pictures_of_two_sources_do_not_meet():
    mixture = Mixture({"a": Fake("a", 2), "b": Fake("b", 2)})
    assert len({sample.name for sample in mixture}) == len({sample.image_id for sample in mixture}) == 4
    assert mixture.licence == "licence of a; licence of b"


def test_mistakes_are_named():
    for weight in (0, -1, float("nan"), float("inf"), "1"):
        with pytest.raises(DataError, match="weight of a"):
            Mixture({"a": Fake("a", 2)}, {"a": weight})
    with pytest.raises(DataError, match="a pair, b text"):
        Mixture({"a": Fake("a", 2), "b": Fake("b", 2, "text")})
    with pytest.raises(DataError, match="a mixture of nothing"):
        Mixture({})
    with pytest.raises(DataError, match=r"b \(b\) is empty"):
        len(Mixture({"a": Fake("a", 2), "b": Fake("b", 0)}))


def shipped() -> list[str]:
    return ["4m", "4m-regions", "4m-objects", "4m-phrases", "16m", "16m-regions", "full-texts", "full-images"]


@pytest.mark.parametrize("name", shipped())
def test_shipped_mixtures_name_registered_parts_and_options(name):
    path = mixture_file(name)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#") and f"vlzoo data check {name}" in text
    title, parts = read_mixture(path)
    assert title == name and yaml.safe_load(text)["pairing"] in ("pair", "region", "text", "image")
    for part in parts:
        found = registry().find("data", part.part)
        check_names(found, part.options)
        source = registry().build("data", part.part, root="somewhere", **part.options)
        held = source.pairing if part.take == "all" else {"texts": "text", "images": "image"}[part.take]
        assert held == yaml.safe_load(text)["pairing"], part.name


def test_opening_one(write, tmp_path):
    write("books/a.txt", "one\ntwo\n")
    write("more/b.txt", "three\n")
    parts = {"books": {"part": "text"}, "more": {"part": "text", "weight": 2.0, "root": "more"}}
    file = write("own.yaml", yaml.safe_dump({"name": "own", "pairing": "text", "parts": parts}))
    mixture = open_mixture(str(tmp_path), file=str(file))
    assert sorted(s.texts[0] for s in mixture) == ["one", "three", "three", "two"]
    assert "more: 1 records, 2 an epoch" in mixture.describe()
    with pytest.raises(UnknownName, match="did you mean '4m'"):
        open_mixture(str(tmp_path), file="4mm")


def test_it_keeps_what_sources_promise(write, check_data):
    write("books/a.txt", "one\ntwo\n")
    write("more/b.txt", "three\n")
    parts = {"books": {"part": "text"}, "more": {"part": "text", "root": "more"}}
    file = write("own.yaml", yaml.safe_dump({"name": "own", "pairing": "text", "parts": parts}))
    check_data("mixture", file=str(file))


def test_captions_and_boxes_of_a_picture_are_one_sample(write, tmp_path):
    """X-VLM's lists name them apart: https://github.com/zengyan-97/X-VLM, configs/Pretrain_XVLM_base_4m.yaml."""
    make_scenes(tmp_path / "scenes", Sizes.split(8, 3, 3), seed=1, workers=1)
    parts = {
        "captions": {"part": "scenes", "root": "scenes", "join": "all"},
        "objects": {"part": "scenes-objects", "root": "scenes", "join": "all"},
        "phrases": {"part": "scenes-regions", "root": "scenes", "join": "all"},
    }
    write("own.yaml", yaml.safe_dump({"name": "own", "pairing": "region", "parts": parts}))
    mixture = open_mixture(str(tmp_path), file=str(tmp_path / "own.yaml"))
    apart = {name: registry().build("data", p["part"], root=str(tmp_path / "scenes")) for name, p in parts.items()}
    assert mixture.pairing == "region" and len(mixture) == len(apart["objects"]) == 8
    for sample in mixture:
        own = {name: [s for s in source if s.images[0].name == sample.images[0].name] for name, source in apart.items()}
        assert set(sample.texts) == {text for each in own["captions"] for text in each.texts} and len(sample.texts) > 1
        kinds = [region.kind for region in sample.regions]
        assert set(kinds) == {"object", "phrase"}
        assert kinds.count("object") <= sum(len(each.regions) for each in own["objects"])
    assert pickle.loads(pickle.dumps(mixture))[2] == mixture[2]
    parts["objects"]["weight"] = 2.0
    write("own.yaml", yaml.safe_dump({"name": "own", "pairing": "region", "parts": parts}))
    with pytest.raises(DataError, match=r"parts joined as 'all' have the weights \[1.0, 2.0\]"):
        open_mixture(str(tmp_path), file=str(tmp_path / "own.yaml"))


def test_mistakes_of_a_file_are_named(write):
    cases = {
        "unknown key 'part'.*'parts'": {"name": "x", "pairing": "pair", "part": {}},
        "no pairing 'pairs'.*'pair'": {"name": "x", "pairing": "pairs", "parts": {}},
        r"parts\.a.*no key 'part'": {"name": "x", "pairing": "pair", "parts": {"a": {"weight": 1}}},
        r"parts\.a.*can't take 'text'.*'texts'": {
            "name": "x",
            "pairing": "text",
            "parts": {"a": {"part": "coco", "take": "text"}},
        },
    }
    for message, value in cases.items():
        file = write("x.yaml", yaml.safe_dump(value))
        with pytest.raises(DataError, match=f"(?s){message}"):
            read_mixture(file)
    with pytest.raises(DataError, match="not YAML"):
        read_mixture(write("y.yaml", "a: [1"))


def test_numbers_are_read_as_recipes_read_them(write):
    """5e-1 is a half and 1e2 a hundred, as in a recipe; YAML 1.1 alone would take both for texts."""
    text = "name: own\npairing: text\nparts:\n  books: {part: text, weight: 5e-1, limit: 1e2}\n"
    (part,) = read_mixture(write("own.yaml", text))[1]
    assert (part.weight, part.options) == (0.5, {"limit": 100.0})


LINES = {
    "a: [1": r"own.yaml:1: not YAML: ",
    "": r"own.yaml: is empty\n  -> write a mixture",
    "- a": r"own.yaml:1: a mixture is a mapping of keys to values, not a list",
    "name: x\nname: y": r"own.yaml:2: name: the key 'name' stands here again\n  -> first in line 1",
    "name: x\n\nparst: {}": r"own.yaml:3: unknown key 'parst'\n  -> did you mean 'parts'",
    "name: x\npairing: pairs\nparts: {}": r"own.yaml:2: no pairing 'pairs'\n  -> did you mean 'pair'",
    "name: x\npairing: pair\nparts:\n  a: {part: text}\n  b: {part: text, weight: 0}": (
        r"own.yaml:5: parts.b: the weight of b is 0, expected more than 0"
    ),
    "name: x\npairing: pair\nparts:\n  a: {part: text, take: some}": r"own.yaml:4: parts.a: can't take 'some'",
}


@pytest.mark.parametrize(("text", "message"), LINES.items())
def test_a_mistake_names_its_line(write, text, message):
    with pytest.raises(DataError, match=message):
        read_mixture(write("own.yaml", text))


def test_texts_and_pictures_of_one_corpus_that_never_met(tmp_path):
    """VLMixer's unpaired data: by ids of pictures, and by counting captions."""
    make_scenes(tmp_path / "scenes", Sizes.split(60, 3, 3), seed=0, workers=1)
    halves = {"texts": "[0, 0.5]", "images": "[0.5, 1]"}
    opened = {}
    for take, shares in halves.items():
        file = tmp_path / f"{take}.yaml"
        part = f"{{part: scenes, take: {take}, pictures: {shares}}}"
        file.write_text(f"name: x\npairing: {take[:-1]}\nparts: {{scenes: {part}}}\n")
        opened[take] = open_mixture(str(tmp_path), file=str(file))
    whole = registry().build("data", "scenes", root=tmp_path / "scenes")
    texts, images = opened["texts"], opened["images"]
    of_text = {text: sample.image_id for sample in whole for text in sample.texts}
    shown = {sample.image_id.split("/")[1] for sample in images}
    once = Counter(text for sample in whole for text in sample.texts)
    sure = {of_text[text] for sample in texts for text in sample.texts if once[text] == 1}
    assert sure and shown and not sure & shown
    assert len(texts) + len(images) == len(whole)
    assert not any(sample.images or sample.image_id for sample in texts)
    assert not any(sample.texts or sample.answers for sample in images)
    assert (texts.pairing, images.pairing) == ("text", "image")
