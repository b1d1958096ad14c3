"""Each field of a good record of every data source, replaced in turn by odd values.

What must come of it: an error of ours that names the file, or samples. A sample that is lost is counted. A value of
another kind than the format's is either refused, counted, or not read at all: the samples are then those of the good
data. Where a format does take two kinds (ids as numbers or text, one caption or a list of them), `TAKES` says so.

How many are tried: `--fuzz` (tests/conftest.py); `--fuzz all` takes a minute.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlzoo.data.scenes.make import Sizes, make_scenes
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


SOURCES = sorted(part.name for part in registry().of("data") if part.owner.dist == "vlzoo" and part.name != "mixture")

EMPTY = {
    "coco-mini": "captions",
    "coco-mini-objects": "boxes",
    "emoji": "images",
    "scenes-regions": "regions",
    "vg-qa": "qas",
    "visual-genome": "regions",
    "visual-genome-objects": "objects",
    "visual-genome-regions": "regions",
    "text": "0",
}
"""Fields that say by being empty that a record has nothing for this source, and lines that part paragraphs."""

ID = {("text", "number"), ("number", "text")}
ONE_OR_MORE = {("text", "list"), ("list", "text")}
ABSENT = {(kind, "null") for kind in ("truth", "text", "list", "object")}
TAKES: tuple[tuple[str, str, set[tuple[str, str]]], ...] = (
    (".*", r"(.*/)?(id|image_id|imageId|cocoid|imgid|ref_id|sent_id|qa_id|object_id|category_id|group|hexcode)", ID),
    (".*", r"(.*/)?(Flickr30K_ID|directory)", ID),
    ("snli-ve-albef", r".*/image", ID),
    ("albef-json|coco-albef|flickr30k-albef|jsonl|xvlm", r"(.*/)?captions?", ONE_OR_MORE),
    ("jsonl", r".*/(images|others|attributes|answers)", ONE_OR_MORE),
    ("xvlm", r".*/attributes", ONE_OR_MORE),
    ("vqa-albef", r".*/answer", ONE_OR_MORE),
    ("stream", r".*/text", ONE_OR_MORE),
    (
        "jsonl",
        r".*/fields/.*",
        {("text", kind) for kind in ("truth", "number", "list", "object", "null")},
    ),  # whatever a task makes of it
    (".*nlvr.*", r".*/label", {("text", "truth")}),
    ("gqa|scenes-gqa", r".*/(isBalanced|types|semantic|structural|fullAnswer)", ABSENT),
    (".*snli-ve.*", r".*/(sentence1|annotator_labels|explanation)", ABSENT),
    ("nlvr", r".*/structured_rep", ABSENT),
    (".*", r".*/filepath", ABSENT),
    ("vqa-v2|scenes-vqa|ok-vqa|vizwiz-vqa", r".*/answers/0", {("object", "text")}),
    ("visual-genome-objects|scenes-attributes", r".*/attributes", ABSENT),
    ("vqa-v2|scenes-vqa|ok-vqa|vizwiz-vqa", r".*/(question_type|answer_type|multiple_choice_answer)", ABSENT),
    ("xvlm", r".*/(caption|attributes)", ABSENT),
    ("nocaps", r".*/domain", ABSENT),
    ("textvqa|st-vqa", r".*/question_id", ID),
    ("coco-instances|scenes-objects", r".*/iscrowd", {("number", "truth")}),
    ("scenes-premises", r".*/box", ABSENT),  # a curtain hides the object
    (".*vsr", r".*/label", {("truth", "number"), ("number", "truth")}),
    (".*vsr|winoground", r".*/(relation|tag|secondary_tag|collapsed_tag)", ABSENT),
    ("coco|flickr30k|scenes", r".*/sentid", {*ID, *((kind, "null") for kind in ("number", "text"))}),
)
"""Source, field, and which kinds the format takes in place of which."""


def emptied(source: str, change: Any) -> bool:
    """Whether a record says that it has nothing for this source."""
    nothing = change.value in ([], {}, "", {"a": 1})
    return nothing and change.place.rpartition("/")[2] == EMPTY.get(source)


def taken(source: str, change: Any) -> bool:
    """Whether the format of a source has both kinds of value in this place."""
    known = ((s, f) for s, f, both in TAKES if change.kinds in both)
    return change.same_kind or any(re.fullmatch(s, source) and re.fullmatch(f, change.place) for s, f in known)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated corpus without its pictures."""
    made = tmp_path_factory.mktemp("faults") / "scenes"
    make_scenes(made, Sizes.split(6, 3, 3), seed=3, workers=1)
    return made


def prepare(example: Any, root: Path, corpus: Path) -> dict[str, Any]:
    """Write the good data; the forms of its annotation files."""
    if not example.corpus:
        root.mkdir()
        example.write(root)
        return dict(example.files)
    shutil.copytree(corpus, root)
    found = {}
    for name, form in example.corpus.items():
        text = (corpus / name).read_text(encoding="utf-8")
        found[name] = form(
            [json.loads(x) for x in text.splitlines()] if getattr(form, "lines", False) else json.loads(text)
        )
    return found


def read(name: str, example: Any, root: Path) -> tuple[list[Any], Any]:
    """All samples of a source, and its faults."""
    split = {"split": example.split} if example.split else {}
    source = registry().build("data", name, str(root), allowed_faults=1.0, **split, **example.options)
    return list(source), source.faults


def verdict(name: str, change: Any, example: Any, file: Path, good: tuple[list[Any], Any], gone: object) -> str | None:
    """What is wrong with what came of a change; None: nothing."""
    root = next(parent for parent in file.parents if parent.name == "data")
    try:
        samples, faults = read(name, example, root)
    except VlzooError as error:
        return None if str(root) in str(error) else f"an error that names no file: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    said = faults.skipped or faults.mended or set(faults.sizes) - set(good[1].sizes)
    if change.value is gone or change.place.endswith("split") or emptied(name, change):
        return None  # a field that may be left out, a record of another split, or of a picture of the other kind
    if len(samples) < len(good[0]) and not said:
        return f"{len(good[0]) - len(samples)} samples are lost without a word"
    if samples != good[0] and not said and not taken(name, change):
        return "a value of another kind was taken"
    return None


@pytest.mark.parametrize("name", SOURCES)
def test_odd_values(name, odd, examples, corpus, tmp_path, fuzz, monkeypatch):
    monkeypatch.setenv("VLZOO_CACHE_DIR", str(tmp_path / "cache"))
    example, root = examples.EXAMPLES[name], tmp_path / "data"
    forms = prepare(example, root, corpus)
    good = read(name, example, root)
    assert len(good[0]) >= 2, "an example needs two samples"
    cases = [(file, change) for file, form in forms.items() for change in odd.changes(form)]
    draw, wrong = random.Random(name), []
    for file, change in draw.sample(cases, fuzz(50, of=len(cases))):
        (root / file).write_bytes(replace(forms[file], rows=change.rows).encode())
        if said := verdict(name, change, example, root / file, good, odd.GONE):
            wrong.append(f"{file} {change}: {said[:200]}")
        (root / file).write_bytes(forms[file].encode())
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def test_every_source_has_an_example(examples):
    """`mixture` is made of other sources, and its own file is a recipe's part (tests/data/test_mixture.py)."""
    assert set(examples.EXAMPLES) == set(SOURCES)


def test_the_table_names_tests_that_are_there(root):
    """Each row of README.md ends with the test that shows it."""
    table = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 40
    for file, test in named:
        assert (root / file).is_file()
        assert not test or f"def {test}(" in (root / file).read_text(encoding="utf-8"), f"{file}::{test}"
