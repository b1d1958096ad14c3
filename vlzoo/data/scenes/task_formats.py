"""Questions, two-image sentences and hypotheses in the official formats: VQA v2, NLVR2, SNLI-VE; and descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vlzoo.data.scenes.duos import Duo
from vlzoo.data.scenes.formats import INFO, LICENCE, Json, file_name
from vlzoo.data.scenes.picture import Picture
from vlzoo.data.scenes.premises import Hypothesis
from vlzoo.data.scenes.questions import Question

NLVR2_NAMES = {"train": "train", "val": "dev", "test": "test1"}
"""Split -> its name in NLVR2's files and identifiers."""
SNLI_NAMES = {"train": "train", "val": "dev", "test": "test"}
"""Split -> its name in SNLI-VE's files."""


def vqa(questions: Iterable[Question], pictures: Sequence[Picture], split: str) -> tuple[Json, Json]:
    """VQA v2's questions and annotations files of one split."""
    asked: list[Json] = []
    annotated: list[Json] = []
    turn: Counter[int] = Counter()
    for question in questions:
        image_id = pictures[question.row].order.image_id
        key = {"image_id": image_id, "question_id": image_id * 1000 + turn[image_id]}
        turn[image_id] += 1
        asked.append({**key, "question": question.text})
        annotated.append({**key, **_annotation(question)})
    head = {"info": INFO, "license": LICENCE, "data_type": "scenes", "data_subtype": split}
    return {**head, "task_type": "Open-Ended", "questions": asked}, {**head, "annotations": annotated}


def _annotation(question: Question) -> Json:
    return {
        "question_type": question.kind,
        "answer_type": question.answer_type,
        "multiple_choice_answer": question.answer,
        "answers": [
            {
                "answer": answer,
                "answer_confidence": "yes" if answer == question.answer else "maybe",
                "answer_id": number,
            }
            for number, answer in enumerate(question.given, start=1)
        ],
    }


def nlvr2(duos: Iterable[Duo], pictures: Sequence[Picture], split: str) -> list[Json]:
    """NLVR2's lines of one split; `left_url` and `right_url` name the pictures, as does `images` without folder."""
    rows = []
    for duo in duos:
        names = [file_name(pictures[row].order.image_id) for row in (duo.left, duo.right)]
        rows.append(
            {
                "identifier": f"{NLVR2_NAMES[split]}-{duo.group}-{duo.pair}-0",
                "sentence": duo.sentence,
                "label": str(duo.label),
                "left_url": f"images/{names[0]}",
                "right_url": f"images/{names[1]}",
                "images": names,
            }
        )
    return rows


def snli_ve(hypotheses: Iterable[Hypothesis], pictures: Sequence[Picture]) -> list[Json]:
    """SNLI-VE's lines of one split; `Flickr30K_ID` is the picture's name without its ending."""
    rows = []
    turn: Counter[int] = Counter()
    for hypothesis in hypotheses:
        picture = pictures[hypothesis.row]
        image_id = picture.order.image_id
        caption = turn[image_id] % len(picture.captions)
        caption_id = f"{file_name(image_id)}#{caption}"
        rows.append(
            {
                "Flickr30K_ID": str(image_id),
                "annotator_labels": [hypothesis.label],
                "captionID": caption_id,
                "gold_label": hypothesis.label,
                "pairID": f"{caption_id}r{turn[image_id]}{hypothesis.label[0]}",
                "sentence1": picture.captions[caption],
                "sentence2": hypothesis.text,
            }
        )
        turn[image_id] += 1
    return rows


def descriptions(pictures: Iterable[Picture]) -> list[Json]:
    """What each picture holds, exactly: the lines of `scenes.jsonl`."""
    rows = []
    for picture in pictures:
        scene = picture.scene
        things = [
            {**vars(thing), "box": box, "area": area}
            for thing, box, area in zip(scene.things, picture.boxes, picture.areas, strict=True)
        ]
        order = picture.order
        key = {"image_id": order.image_id, "split": order.split, "kind": order.kind}
        rows.append(
            {**key, "ground": scene.ground, "clutter": scene.clutter, "curtain": scene.curtain, "things": things}
        )
    return rows
