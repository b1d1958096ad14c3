"""What the words of Scenes give away: nothing. The baseline is the bench's."""

from __future__ import annotations

from collections import Counter

import pytest

from vlzoo.bench.text_only import text_only


@pytest.mark.parametrize(
    ("train", "test", "text", "label", "classes"),
    [
        ("nlvr2/train.json", "nlvr2/test1.json", "sentence", "label", 2),
        ("snli_ve/snli_ve_train.jsonl", "snli_ve/snli_ve_test.jsonl", "sentence2", "gold_label", 3),
    ],
)
def test_the_words_of_scenes_give_nothing_away(read, train, test, text, label, classes):
    rows = [[(row[text], row[label]) for row in read(name)] for name in (train, test)]
    scores = text_only(*rows)
    # Every sentence of the test split is equally frequent in all classes: no reader of text can do better.
    assert sum(scores) / len(scores) == pytest.approx(1 / classes)


def test_questions_give_away_their_kind_only(read):
    rows, kinds = {}, {}
    for split in ("train", "test"):
        asked = read(f"vqa/v2_OpenEnded_scenes_{split}_questions.json")["questions"]
        answered = read(f"vqa/v2_scenes_{split}_annotations.json")["annotations"]
        pairs = [(one["question"], other["multiple_choice_answer"]) for one, other in zip(asked, answered, strict=True)]
        rows[split], kinds[split] = pairs, [row["answer_type"] for row in answered]
    yes_no = {
        split: [row for row, kind in zip(rows[split], kinds[split], strict=True) if kind == "yes/no"] for split in rows
    }
    counts = Counter(label for _, label in yes_no["test"])
    assert counts["yes"] == counts["no"]
    scores = text_only(yes_no["train"], yes_no["test"])
    assert sum(scores) / len(scores) == pytest.approx(0.5, abs=0.03)  # two wordings of a question may differ by one
