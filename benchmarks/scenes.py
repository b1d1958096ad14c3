"""Look at Scenes and measure them.

    python benchmarks/scenes.py DIR --sheet sheet.png   draw pictures of a corpus with all their texts
    python benchmarks/scenes.py DIR --text-only         what the words give away, task by task
    python benchmarks/scenes.py DIR --profile           where the time of generation goes; DIR is not touched

DIR is what `vlzoo data make scenes --out DIR` wrote.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from vlzoo.bench.text_only import Labelled, best_constant, fit_text_only
from vlzoo.data.scenes.make import Sizes, make_scenes

Texts = dict[str, list[str]]
SHOWN = 256
ROW = SHOWN + 16


def main() -> None:
    """Carry out what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path, metavar="FILE.png")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--text-only", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.sheet:
        sheet(given.folder, given.split).save(given.sheet)
        print(given.sheet)
    if given.text_only:
        text_only_table(given.folder)
    if given.profile:
        profile()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _vqa(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    asked = _read(folder / f"annotations/vqa/v2_OpenEnded_scenes_{split}_questions.json")["questions"]
    answered = _read(folder / f"annotations/vqa/v2_scenes_{split}_annotations.json")["annotations"]
    return ({**question, **answer} for question, answer in zip(asked, answered, strict=True))


# The contact sheet


def sheet(folder: Path, split: str, pictures: int = 8, pairs: int = 5) -> Image.Image:
    """Scenes, premises and pairs of one split, each beside its texts, with boxes drawn in."""
    rows = [row for row in _lines(folder / "annotations/scenes.jsonl") if row["split"] == split]
    texts = _texts_of(folder, split)
    strips = []
    for kind in ("scene", "premise"):
        chosen = [row for row in rows if row["kind"] == kind][:pictures]
        strips += [_strip(folder, [row], texts[row["image_id"]]) for row in chosen]
    described = {row["image_id"]: row for row in rows}
    strips += [_strip(folder, *pair) for pair in _groups(folder, split, described, pairs)]
    whole = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), "white")
    top = 0
    for strip in strips:
        whole.paste(strip, (0, top))
        top += strip.height
    return whole


def _texts_of(folder: Path, split: str) -> dict[int, Texts]:
    texts: dict[int, Texts] = defaultdict(lambda: defaultdict(list))
    captions = _read(folder / "annotations/captions/dataset_scenes.json")["images"]
    for image in captions:
        texts[image["cocoid"]]["captions"] = [sentence["raw"] for sentence in image["sentences"]]
    for row in _read(folder / "annotations/refcoco/refs(umd).json"):
        said = " / ".join(sentence["raw"] for sentence in row["sentences"])
        texts[row["image_id"]]["refers to object"].append(f"{row['ann_id'] % 10}: {said}")
    for row in _read(folder / "annotations/visual_genome/region_descriptions.json"):
        boxes = [f"{part['phrase']} {[part[key] for key in ('x', 'y', 'width', 'height')]}" for part in row["regions"]]
        texts[row["id"]]["regions"] = boxes
    for row in _vqa(folder, split):
        given = Counter(answer["answer"] for answer in row["answers"])
        texts[row["image_id"]]["questions"].append(f"{row['question']} {dict(given)}")
    name = {"val": "dev"}.get(split, split)
    for row in _lines(folder / f"annotations/snli_ve/snli_ve_{name}.jsonl"):
        texts[int(row["Flickr30K_ID"])]["hypotheses"].append(f"{row['sentence2']} [{row['gold_label']}]")
        texts[int(row["Flickr30K_ID"])]["premise sentence"] = [row["sentence1"]]
    return texts


def _groups(folder: Path, split: str, described: dict[int, Any], count: int) -> Iterator[tuple[list[Any], Texts]]:
    name = {"val": "dev", "test": "test1"}.get(split, split)
    for row in _lines(folder / f"annotations/nlvr2/{name}.json")[: count * 4 : 2]:
        scenes = [described[int(Path(image).stem)] for image in row["images"]]
        yield scenes, {row["identifier"]: [f"{row['sentence']} [{row['label']}]"]}


def _strip(folder: Path, rows: Sequence[Any], texts: Texts) -> Image.Image:
    wrapped = [
        line
        for title, said in texts.items()
        for text in [title.upper(), *said]
        for line in textwrap.wrap(text, 150, subsequent_indent="      ")
    ]
    strip = Image.new("RGB", (1700, max(ROW, 16 * len(wrapped) + 12)), "white")
    for number, row in enumerate(rows):
        strip.paste(_boxed(folder, row), (8 + number * ROW, 8))
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(14)
    for number, line in enumerate(wrapped):
        pen.text((len(rows) * ROW + 16, 6 + 16 * number), line, fill="black", font=font)
    return strip


def _boxed(folder: Path, row: Any) -> Image.Image:
    image = Image.open(folder / "images" / f"{row['image_id']}.png").convert("RGB")
    scale = SHOWN / image.width
    shown = image.resize((SHOWN, SHOWN), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(shown)
    for number, thing in enumerate(row["things"]):
        if thing["box"]:
            x, y, width, height = (value * scale for value in thing["box"])
            pen.rectangle((x - 1, y - 1, x + width, y + height), outline="magenta")
            pen.text((x + 1, y - 1), str(number), fill="magenta")
    return shown


# The text-only baseline


def text_only_table(folder: Path) -> None:
    """Print chance, best constant and text-only accuracy of each task, trained on train, measured on test."""
    card = _read(folder / "card.json")
    print(f"Scenes, seed {card['seed']}, fingerprint {card['fingerprint'][:16]}; accuracy on test in percent")
    print(f"{'task':<26}{'samples':>8}{'chance':>8}{'constant':>10}{'per type':>10}{'text-only':>11}")
    vqa = {split: list(_vqa(folder, split)) for split in ("train", "test")}
    parts = [("vqa", vqa)]
    for answer_type in ("yes/no", "number", "other"):
        parts.append(
            (
                f"vqa, {answer_type}",
                {split: [row for row in rows if row["answer_type"] == answer_type] for split, rows in vqa.items()},
            )
        )
    for name, rows in parts:
        _vqa_line(name, rows)
    for name, train, test, sentence, label in (
        ("nlvr2", "nlvr2/train.json", "nlvr2/test1.json", "sentence", "label"),
        ("snli-ve", "snli_ve/snli_ve_train.jsonl", "snli_ve/snli_ve_test.jsonl", "sentence2", "gold_label"),
    ):
        learnt, asked = (
            [(row[sentence], row[label]) for row in _lines(folder / "annotations" / file)] for file in (train, test)
        )
        _line(name, learnt, asked)


def _vqa_line(name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    pairs = {
        split: [(row["question"], row["multiple_choice_answer"]) for row in found] for split, found in rows.items()
    }
    kinds = {split: [row["question_type"] for row in found] for split, found in rows.items()}
    _line(name, pairs["train"], pairs["test"], kinds["train"], kinds["test"])


def _line(
    name: str, train: list[Labelled], test: list[Labelled], kinds: Sequence[str] = (), test_kinds: Sequence[str] = ()
) -> None:
    truth = [label for _, label in test]
    constant = best_constant(label for _, label in train)
    guess = fit_text_only(train).predict([text for text, _ in test])
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, (_, label) in zip(kinds, train, strict=bool(kinds)):
        by_kind[kind].append(label)
    typed = [best_constant(by_kind[kind]) for kind in test_kinds] or [constant] * len(test)
    figures = (
        100 / len({label for _, label in train}),
        _percent([constant] * len(test), truth),
        _percent(typed, truth),
        _percent(guess, truth),
    )
    print(f"{name:<26}{len(test):>8}{figures[0]:>8.1f}{figures[1]:>10.1f}{figures[2]:>10.1f}{figures[3]:>11.1f}")


def _percent(guess: Sequence[str], truth: Sequence[str]) -> float:
    return 100 * sum(one == other for one, other in zip(guess, truth, strict=True)) / len(truth)


# The profile


def profile(images: int = 2000) -> None:
    """Generate `images` scenes of 64 px in one process and print the costliest functions."""
    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        card = make_scenes(Path(folder) / "plain", Sizes.of(images))
        wall, cpu = time.perf_counter() - start, time.process_time() - busy
        print(f"{card['images']} pictures in one process: {wall:.1f} s, of which {cpu:.1f} s on the processor")
        watch = cProfile.Profile()
        watch.runcall(make_scenes, Path(folder) / "watched", Sizes.of(images))
    pstats.Stats(watch).strip_dirs().sort_stats("cumulative").print_stats(
        r"scenes|make|draw|phrases|referring|PngImage|write|encod", 30
    )


if __name__ == "__main__":
    main()
