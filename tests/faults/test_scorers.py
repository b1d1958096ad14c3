"""Each field of good predictions and good annotations, replaced in turn by odd values, for every task.

What must come of it: an error of ours that names a file, or figures. A value of another kind than the format's gives an
error or the good data's figures, never others.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from vlzoo.bench.score import score_files
from vlzoo.data.predictions import Files
from vlzoo.door.plugins import registry
from vlzoo.errors import VlzooError


@dataclass(frozen=True)
class Scoring:
    """Good files for a task, and the fields of which both kinds are good.

    Attributes:
        task: its name.
        said: name and form of the predictions.
        truth: name and form of the annotations.
        takes: fields that the format has in several kinds, whose value may change the figure.
        options: of the task.
    """

    task: str
    said: tuple[str, Any]
    truth: tuple[str, Any]
    takes: frozenset[str] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)


def scorings(forms: Any) -> dict[str, Scoring]:
    """By a name for the test."""
    lines, whole, table = forms.Lines, forms.Whole, forms.Table
    answers = [
        {
            "question_id": n,
            "image_id": 2,
            "question_type": "is",
            "answer_type": "other",
            "answers": [{"answer": a}] * 10,
        }
        for n, a in enumerate(("yes", "no", "red"))
    ]
    said = [{"question_id": n, "answer": "yes"} for n in range(3)]
    albef = [{"question_id": n, "question": "Is it?", "image": "a.jpg", "answer": ["yes"] * 10} for n in range(3)]
    gqa = {f"0{n}": {**forms.GQA, "answer": a} for n, a in enumerate(("yes", "no"))}
    ve = [{**row, "gold_label": label} for row, label in zip(forms.VE, ("neutral", "entailment", "-"), strict=True)]
    guessed = [{"identifier": row["pairID"], "prediction": "neutral"} for row in forms.VE[:2]]
    pairs = [forms.nlvr2(f"dev-850-{n}-0", "True") for n in range(3)]
    drawn = [forms.nlvr_v1(f"15-{n}", "true") for n in range(2)]
    refs = [{"ref_id": n, "image_id": 1, "bbox": [0, 0, 5, 5], "split": "val"} for n in range(3)]
    boxes = [{"ref_id": n, "box": [0, 0, 5, 6]} for n in range(3)]
    return {
        "vqa": Scoring(
            "vqa",
            ("p.json", whole(said)),
            ("a.json", whole({"annotations": answers})),
            frozenset({"answer_type"}),  # without it, or null, there are no figures by type
        ),
        "vqa, ALBEF's lists": Scoring("vqa", ("p.jsonl", lines(said)), ("a.json", whole(albef))),
        "gqa": Scoring(
            "gqa",
            ("p.json", whole([{"questionId": f"0{n}", "prediction": "yes"} for n in range(2)])),
            ("a.json", whole(gqa)),
            frozenset({"types", "structural"}),  # without them there are no figures by kind of question
        ),
        "nlvr2": Scoring(
            "nlvr2",
            ("p.json", lines([{"identifier": row["identifier"], "prediction": "True"} for row in pairs])),
            ("a.json", lines(pairs)),
            frozenset({"prediction", "label"}),
        ),
        "nlvr2, as its authors' script reads them": Scoring(
            "nlvr2",
            ("p.csv", table([[row["identifier"], "True"] for row in pairs], ",")),
            ("a.json", lines(pairs)),
            frozenset({"label"}),
        ),
        "nlvr": Scoring(
            "nlvr",
            (
                "p.jsonl",
                lines(
                    [{"identifier": f"15-{n}", "image": k, "prediction": "true"} for n in range(2) for k in range(6)]
                ),
            ),
            ("a.json", lines(drawn)),
            frozenset({"prediction", "label"}),
        ),
        "snli-ve": Scoring("snli-ve", ("p.json", whole(guessed)), ("a.jsonl", lines(ve))),
        "snli-ve, e-SNLI-VE's table": Scoring(
            "snli-ve",
            ("p.csv", table([["identifier", "prediction"], *(["47.jpg#2r1n", "neutral"] for _ in range(1))], ",")),
            ("a.csv", table([forms.E_SNLI, ["47.jpg#2r1n", "47.jpg", "They hug.", "neutral", "Because."]], ",")),
        ),
        "captioning": Scoring(
            "captioning",
            ("p.json", whole([{"image_id": n, "caption": "two dogs run"} for n in range(2)])),
            ("a.json", whole(forms.NOCAPS)),
            frozenset({"domain"}),  # without it there are no figures by domain
        ),
        "captioning, TextCaps": Scoring(
            "captioning",
            ("p.json", whole([{"image_id": f"x{n}", "caption": "a sign"} for n in range(2)])),
            ("a.json", whole({"data": forms.TEXTCAPS})),
        ),
        "vqa, ST-VQA": Scoring(
            "vqa",
            ("p.json", whole([{"question_id": n, "answer": "stop"} for n in range(2)])),
            ("a.json", whole({"data": [{**forms.STVQA, "question_id": n} for n in range(2)]})),
            options={"protocol": "anls"},
        ),
        "vqa, VizWiz": Scoring(
            "vqa",
            ("p.json", whole([{"image": f"{n}.jpg", "answer": "soup"} for n in range(2)])),
            ("a.json", whole([{**forms.VIZWIZ, "image": f"{n}.jpg"} for n in range(2)])),
        ),
        "grounding": Scoring("grounding", ("p.json", whole(boxes)), ("a.json", whole(refs))),
    }


NAMES = (
    *("vqa", "vqa, ALBEF's lists", "gqa", "nlvr2", "nlvr2, as its authors' script reads them", "nlvr", "snli-ve"),
    *("snli-ve, e-SNLI-VE's table", "grounding", "captioning", "captioning, TextCaps", "vqa, ST-VQA", "vqa, VizWiz"),
)


@pytest.mark.parametrize("name", NAMES)
def test_odd_values(name, odd, examples, tmp_path, fuzz):
    one = scorings(examples)[name]
    files = dict((one.said, one.truth))

    def figures() -> dict[str, float]:
        task = registry().build("task", one.task, **one.options)
        scored = score_files(task, Files(tmp_path / one.said[0], tmp_path / one.truth[0]))
        return {score.metric: score.value for score in scored.scores}

    for where, form in files.items():
        (tmp_path / where).write_bytes(form.encode())
    good = figures()
    cases = [(where, change) for where, form in files.items() for change in odd.changes(form)]
    draw, wrong = random.Random(name), []
    for where, change in draw.sample(cases, fuzz(60, of=len(cases))):
        (tmp_path / where).write_bytes(replace(files[where], rows=change.rows).encode())
        told = None
        try:
            found = figures()
            same = change.value is odd.GONE or change.same_kind or change.place.rpartition("/")[2] in one.takes
            if json.dumps(found) != json.dumps(good) and not same:
                told = f"other figures: {found}, not {good}"
        except VlzooError as error:
            told = None if one.said[0] in str(error) or one.truth[0] in str(error) else f"names no file: {error}"
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        if told:
            wrong.append(f"{where} {change}: {told[:200]}")
        (tmp_path / where).write_bytes(files[where].encode())
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
