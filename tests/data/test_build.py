"""Options of a data source, checked as those of a recipe are; data that hold nothing."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest

from vlzoo.config.schema import PartRef
from vlzoo.data.build import build_source, require_samples
from vlzoo.data.mixture import open_mixture
from vlzoo.data.roots import open_source
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import DataError, UnknownName

# Option, value, and what the message says of it, besides its name.
WRONG = [
    ("file", 12, r"12 is no str(?s:.*)quoted: \"file='12'\""),
    ("file", False, "False is no str(?s:.*)quoted: \"file='no'\""),
    ("file", ["a"], r"\['a'\] is no str"),
    ("file", None, "None is no str"),
    ("strip", 5, "5 is no str"),
    ("images", {"a": 1}, "is no str"),
    ("strict", 1, r"1 is no bool \(wanted boolean\)"),
    ("strict", "yes", "'yes' is no bool"),
    ("allowed_faults", "abc", r"'abc' is no float \(wanted number\)"),
    ("allowed_faults", True, "True is no float"),
    ("skip", 3, "3 is no str"),
]


@pytest.mark.parametrize(("option", "value", "words"), WRONG)
def test_a_value_that_does_not_fit_its_option(tmp_path, option, value, words):
    options = {"root": str(tmp_path), "file": "list.json", option: value}
    with pytest.raises(
        DataError, match=f"^--set: data 'albef-json': the option '{option}' does not fit: (?s:.*){words}"
    ):
        build_source("albef-json", options, where="--set")
    with pytest.raises(DataError, match=f"the option '{option}' does not fit"):
        open_source(PartRef.model_validate({"part": "albef-json", **options}), tmp_path)


@pytest.mark.parametrize("share", [math.nan, -1, 2, math.inf, -0.0001])
def test_a_share_that_is_none(tmp_path, share):
    with pytest.raises(DataError, match=r"`allowed_faults` is .*, expected a share from 0 to 1"):
        build_source("images", {"root": str(tmp_path), "allowed_faults": share})


def test_an_option_that_is_needed_and_one_that_is_none(tmp_path):
    with pytest.raises(
        DataError, match=r"data 'albef-json' needs the option 'file'(?s:.*)the list(?s:.*)--set data\.file=FILE"
    ):
        build_source("albef-json", {"root": str(tmp_path)})
    with pytest.raises(UnknownName, match=r"takes no option 'flie'(?s:.*)did you mean 'file'"):
        build_source("albef-json", {"root": str(tmp_path), "flie": "x"})
    with pytest.raises(UnknownName, match=r"no data called 'albef-jsn'(?s:.*)did you mean 'albef-json'"):
        build_source("albef-jsn", {})


def test_options_in_a_mixture_are_named_by_file_and_line(tmp_path):
    parts = {"one": {"part": "albef-json", "file": 12}}
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"name": "mine", "pairing": "pair", "parts": parts}))
    with pytest.raises(DataError, match=r"mine\.yaml:1: parts\.one: .*'file' does not fit: 12 is no str"):
        open_mixture(str(tmp_path), file=str(file))
    file.write_text(json.dumps({"name": "mine", "pairing": "pair", "parts": {"one": {"part": "albef-json"}}}))
    with pytest.raises(DataError, match=r"mine\.yaml:1: parts\.one: .*needs the option 'file'"):
        open_mixture(str(tmp_path), file=str(file))


def test_no_option_of_any_source_ends_in_another_error_than_ours(tmp_path):
    """Each option of each source in turn, with odd values; the folder holds little, so most miss their files."""
    (tmp_path / "train.jsonl").write_text('{"id": 1, "image": "a.png", "captions": ["x"]}\n')
    odd = [12, -1, math.nan, "", "abc", None, True, [], {"a": 1}, "..", "/etc/*", "\0", "\ud800", "**", "[", 2**70]
    met: set[tuple[str, str | None]] = set()
    for part in registry().of("data"):
        for option in schema_of(part).options if part.owner.dist == "vlzoo" else ():
            if (option.name, option.default) in met:  # one of a base class
                continue
            met.add((option.name, option.default))
            for value in odd if option.name != "root" else odd[:4]:
                with suppress(DataError, UnknownName):
                    source = build_source(part.name, {"root": str(tmp_path), option.name: value})
                    if not getattr(source, "missing", list)():
                        require_samples(source)


class Empty:
    """A stranger's data without a sample."""

    name = "none/train"

    def __len__(self) -> int:
        return 0


def test_data_that_hold_nothing():
    with pytest.raises(DataError, match="none/train: it holds no samples"):
        require_samples(Empty())


def filled(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def test_a_source_says_what_it_left_out(tmp_path):
    row = '{"id": 1, "image": "a.png", "captions": ["  "]}\n'
    with pytest.raises(DataError, match=r"train\.jsonl: .*holds no rows|train\.jsonl: jsonl/train holds no samples"):
        len(build_source("jsonl", {"root": str(filled(tmp_path, train="\n"))}))
    (tmp_path / "texts.txt").write_text("\0\n\n")
    with pytest.raises(DataError, match=r"texts\.txt: text/train holds no samples \(1 empty line \(skipped\)"):
        len(build_source("text", {"root": str(tmp_path), "allowed_faults": 1.0}))
    (tmp_path / "skip.txt").write_text(f"{tmp_path / 'a.png'}\n")
    filled(tmp_path, train=row)
    with pytest.raises(DataError, match=r"holds no samples \(.*`skip` lists 1 pictures\)"):
        len(build_source("jsonl", {"root": str(tmp_path), "skip": str(tmp_path / "skip.txt"), "allowed_faults": 1.0}))
    (tmp_path / "images").mkdir()
    (tmp_path / "cc12m.tsv").write_text("http://x\ta caption\nhttp://y\tanother\n")
    with pytest.raises(
        DataError, match=r"cc12m\.tsv, .*images: cc12m/train holds no samples \(2 lines; 2 not downloaded\)"
    ):
        len(build_source("cc12m", {"root": str(tmp_path)}))
