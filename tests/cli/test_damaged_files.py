"""Every command that takes a file, given one that is cut, emptied, of another format or not a file at all.

It ends in an error of ours with exit code 2 (1 where it checks things), or in the very words of the good file (but
for a changed byte, which may be another letter). How many cases are run: `--fuzz` (tests/conftest.py).
"""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vlzoo.text.vocabulary import build_vocab


def picture(kind: str) -> bytes:
    """An encoded picture."""
    sink = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(sink, kind)
    return sink.getvalue()


def archive() -> bytes:
    """A zip that holds no tensors."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        opened.writestr("a.txt", "a dog")
    return sink.getvalue()


OTHERS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "number": b"12",
    "nan": b"[NaN]",
    "yaml": b"model: {part: [}",
    "html": b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "png": picture("PNG"),
    "zip": archive(),
    "gzip": b"\x1f\x8b\x08\x00broken",
    "latin": "é\n".encode("latin-1") * 20,
    "zeros": bytes(4096),
}
"""What stands in the place of a file."""


def damages(content: bytes, draw: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """What is done to a file; None: a folder stands in its place."""
    yield from OTHERS.items()
    for _ in range(6):
        place = draw.randrange(len(content) or 1)
        yield f"cut at {place} of {len(content)}", content[:place]
    for _ in range(3):
        place = draw.randrange(len(content) or 1)
        yield f"byte {place} changed", content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
    yield "folder", None


@dataclass(frozen=True)
class Use:
    """A command and the file that is damaged.

    Attributes:
        file: the file, in the folder.
        args: what follows `vlzoo`.
        good: the file's content; None: it is there already.
        others: further files.
        exact: every byte of the file counts, so that no damage may pass: weights have no words to be read twice.
    """

    file: str
    args: tuple[str, ...]
    good: bytes | None = None
    others: tuple[tuple[str, bytes], ...] = ()


QUESTION = {"question_id": 1, "image_id": 2, "question_type": "is", "answer_type": "yes/no"}
ANSWERS = [{**QUESTION, "question_id": n, "answers": [{"answer": "yes"}] * 10} for n in (1, 2, 3)]
VE = [
    {"pairID": f"47.jpg#{n}r1n", "gold_label": "neutral", "Flickr30K_ID": "47", "sentence1": "A.", "sentence2": "B."}
    for n in (1, 2)
]
NLVR2 = [{"identifier": f"dev-850-{n}-0", "sentence": "Two.", "label": "True"} for n in (1, 2)]
NLVR = [{"identifier": f"15-{n}", "sentence": "Two.", "label": "true"} for n in (1, 2)]
GQA = {f"0{n}": {"question": "Is it?", "imageId": "1", "answer": "yes", "isBalanced": True} for n in (1, 2)}
REFS = [{"ref_id": n, "image_id": 1, "bbox": [0, 0, 5, 5]} for n in (1, 2)]


def lines(rows: list) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def scores() -> bytes:
    """A matrix of retrieval scores."""
    sink = io.BytesIO()
    np.savez(sink, scores=np.eye(4), image_of_text=np.arange(4))
    return sink.getvalue()


def scored(task: str, truth: tuple[str, bytes] | None, said: tuple[str, bytes]) -> Iterator[Use]:
    """Both files of a score, one damaged after the other."""
    given = ("--annotations", truth[0]) if truth else ()
    args = ("score", task, "--predictions", said[0], *given)
    yield Use(said[0], args, said[1], (truth,) if truth else ())
    if truth:
        yield Use(truth[0], args, truth[1], (said,))


def weights(kind: str) -> bytes:
    """A small state dict."""
    state = {"visual_encoder.cls_token": torch.ones(1, 1, 4), "text_proj.bias": torch.zeros(3)}
    sink = io.BytesIO()
    if kind == "safetensors":
        from safetensors.torch import save

        return save(state)
    torch.save({"model": state, "epoch": 3}, sink, _use_new_zipfile_serialization=kind == "zip")
    return sink.getvalue()


PREDICTED = lines([{"identifier": f"dev-850-{n}-0", "prediction": "True"} for n in (1, 2)])
DRAWN = lines([{"identifier": f"15-{n}", "image": k, "prediction": "true"} for n in (1, 2) for k in range(6)])
WORDS = "\n".join(build_vocab(["a red square"], size=50, characters=True)).encode()
RUN = ("bench", "retrieval", "--run", "run", "--k", "4")
USES: list[Use] = [
    *scored("vqa", ("a.json", json.dumps({"annotations": ANSWERS}).encode()),
            ("p.json", json.dumps([{"question_id": n, "answer": "yes"} for n in (1, 2, 3)]).encode())),
    *scored("gqa", ("a.json", json.dumps(GQA).encode()),
            ("p.json", json.dumps([{"questionId": f"0{n}", "prediction": "yes"} for n in (1, 2)]).encode())),
    *scored("nlvr2", ("a.json", lines(NLVR2)), ("p.jsonl", PREDICTED)),
    *scored("nlvr", ("a.json", lines(NLVR)), ("p.jsonl", DRAWN)),
    *scored("snli-ve", ("a.jsonl", lines(VE)),
            ("p.csv", b"identifier,prediction\n47.jpg#1r1n,neutral\n47.jpg#2r1n,entailment\n")),
    *scored("grounding", ("a.json", json.dumps(REFS).encode()),
            ("p.json", json.dumps([{"ref_id": n, "box": [0, 0, 5, 5]} for n in (1, 2)]).encode())),
    *scored("retrieval", None, ("p.npz", scores())),
    *(Use(f"w.{kind}", ("weights", "show", f"w.{kind}"), weights(kind)) for kind in ("safetensors", "zip", "legacy")),
    Use("w.pth", ("weights", "convert", "albef", "w.pth", "--out", "made"), weights("zip")),
    Use("micro.yaml", ("check", "micro.yaml")),
    Use("micro.yaml", ("show", "micro.yaml", "--resolved")),
    Use("words.txt", ("pretrain", "micro.yaml", "--out", "new", "--set", "tokenizer.vocab=words.txt",
                      "--set", "train.samples=8"), WORDS),
    Use("start.safetensors", ("pretrain", "micro.yaml", "--out", "new", "--set", "start=[{file: ./start.safetensors}]",
                              "--set", "train.samples=8")),
    Use("x.png", ("explain", "x.png", "a red square", "--run", "run", "--json"), picture("PNG")),
    Use("part.py", ("--plugin", "part.py", "list", "objective"), b"from vlzoo import hookimpl\n"),
    Use("x/train.jsonl", ("data", "check", "jsonl", "--root", "x", "--split", "train"),
        lines([{"id": n, "captions": ["a dog"]} for n in (1, 2)])),
    Use("mix.yaml", ("data", "check", "mix.yaml", "--root", "x"), b"sources: [{part: jsonl, weight: 1}]\n",
        (("x/train.jsonl", lines([{"id": 1, "captions": ["a dog"]}])),)),
]  # fmt: skip
"""Files that stand for themselves; those of a run are found in the run."""


def of_a_run(folder: Path) -> list[Use]:
    """Every file of a run folder: measured, resumed, fine-tuned from and explained."""
    files = sorted(
        str(f.relative_to(folder)) for f in (folder / "run").rglob("*") if f.is_file() and "bench" not in f.parts
    )
    commands = [
        RUN,
        ("pretrain", "micro.yaml", "--out", "run", "--resume"),
        (
            "finetune",
            "retrieval",
            "--recipe",
            "retr.yaml",
            "--from",
            "run",
            "--out",
            "tuned",
            "--set",
            "train.samples=8",
        ),
        ("show", "run"),
    ]
    return [Use(file, args) for file in files for args in commands]


def place(file: Path, content: bytes | None) -> None:
    """Put the damaged content, or a folder, where the file was."""
    file.unlink(missing_ok=True)
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)


def try_uses(zoo, trained, uses: list[Use], count: int) -> None:
    """Run `count` cases drawn from all of them; gather what is wrong before it is told."""
    wrong = []
    draw = random.Random(7)
    cases = [(use, number) for use in uses for number in range(25)]
    for use, number in draw.sample(cases, min(count, len(cases))):
        for child in zoo.folder.iterdir():
            if child.name not in (".stdout", ".stderr", "micro.yaml") and not child.name.endswith(".yaml"):
                shutil.rmtree(child) if child.is_dir() else child.unlink()
        shutil.copytree(trained.folder / "run", zoo.folder / "run")
        shutil.copy(trained.folder / "micro.yaml", zoo.folder / "micro.yaml")
        if use.file == "start.safetensors":
            shutil.copy(next((zoo.folder / "run").rglob("system.safetensors")), zoo.folder / use.file)
        for name, content in (*use.others, *(((use.file, use.good),) if use.good is not None else ())):
            (zoo.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (zoo.folder / name).write_bytes(content)
        file = zoo.folder / use.file
        label, content = list(damages(file.read_bytes(), draw))[number]
        shutil.copytree(zoo.folder, kept := zoo.folder.with_name("kept"), dirs_exist_ok=True)
        place(file, content)
        try:
            result = zoo.run(*use.args)
        except AssertionError as error:
            wrong.append(f"{use.file} {label}: {' '.join(use.args)}\n{str(error)[-600:]}")
            continue
        if result.code == 0:
            said = result.out
            shutil.rmtree(zoo.folder)
            shutil.copytree(kept, zoo.folder)
            # Another letter may be another text.
            if not label.startswith("byte") and zoo.run(*use.args).out != said:
                wrong.append(f"{use.file} {label}: {' '.join(use.args)}: ends well, with other words:\n{said[:500]}")
        elif result.code not in (1, 2) or not (result.err + result.out).strip():
            wrong.append(f"{use.file} {label}: {' '.join(use.args)}: exit code {result.code}\n{result.err[-300:]}")
        shutil.rmtree(kept, ignore_errors=True)
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n---\n".join(wrong)


def test_files_by_themselves(zoo, trained, fuzz):
    try_uses(zoo, trained, USES, fuzz(30, of=25 * len(USES)))


def test_files_of_a_run(zoo, trained, fuzz):
    uses = of_a_run(trained.folder)
    try_uses(zoo, trained, uses, fuzz(12, of=25 * len(uses)))
