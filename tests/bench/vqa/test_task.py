import json

import pytest

from vlzoo.errors import DataError, PredictionError


def write(path, value):
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def vqa(tmp_path):
    kinds = ["yes/no", "number", "other"]
    answers = [["yes"] * 10, ["2"] * 9 + ["two"], ["red"] * 3 + ["blue"] * 7]
    notes = [
        {
            "question_id": 10 + n,
            "image_id": 5,
            "answer_type": kinds[n],
            "question_type": "what",
            "answers": [{"answer": one, "answer_id": i, "answer_confidence": "yes"} for i, one in enumerate(given)],
        }
        for n, given in enumerate(answers)
    ]
    said = [
        {"question_id": 10, "answer": "Yes"},
        {"question_id": 11, "answer": "two"},
        {"question_id": 12, "answer": "red"},
    ]
    return write(tmp_path / "annotations.json", {"annotations": notes}), said, tmp_path


def values(scored):
    return {score.metric: score.value for score in scored.scores}


def test_official_by_answer_type(score, vqa):
    path, said, folder = vqa
    scored = score("vqa", write(folder / "p.json", said), path)
    # PEERS.md D.1: equal answers are not normalised (Yes is not yes), 2 x9 and two x1 -> two scores 100, red x3 90.
    assert values(scored) == {
        "accuracy": 190 / 3, "accuracy (yes/no)": 0, "accuracy (number)": 100, "accuracy (other)": 90
    }  # fmt: skip
    main = scored.scores[0]
    assert (main.protocol, main.samples, main.clusters, main.interval) == ("vqa/official", 3, 1, None)
    assert main.detail == {
        **{"answer type: yes/no": 0, "answer type: number": 100, "answer type: other": 90},
        "question type: what": 190 / 3,
    }


@pytest.mark.parametrize(("protocol", "yes"), [("albef-2021", 100), ("vqa/always-normalised", 100), ("official", 0)])
def test_protocols(score, vqa, protocol, yes):
    path, said, folder = vqa
    scored = score("vqa", write(folder / "p.json", said), path, protocol)
    assert values(scored)["accuracy (yes/no)"] == yes


def test_cases_scored_from_files(score, shared, tmp_path):
    cases = json.loads((shared / "goldens" / "vqa_cases.json").read_text())["cases"]
    notes = [{"question_id": n, "answer": case["answers"]} for n, case in enumerate(cases)]
    said = [{"question_id": n, "answer": case["prediction"]} for n, case in enumerate(cases)]
    files = write(tmp_path / "p.json", said), write(tmp_path / "a.json", notes)
    expected = sum(case["official"] for case in cases) / len(cases)
    assert score("vqa", *files).scores[0].value == pytest.approx(expected, abs=1e-12)


def test_answer_types_from_the_questions_file(score, vqa):
    path, said, folder = vqa
    whole = json.loads(path.read_text())
    kinds = [
        {"question_id": note["question_id"], "answer_type": note.pop("answer_type")} for note in whole["annotations"]
    ]
    write(path, whole)
    questions = write(folder / "q.json", {"questions": kinds})
    saved = write(folder / "p.json", said)
    assert "accuracy (yes/no)" in values(score("vqa", saved, path, questions=str(questions)))
    assert "accuracy (yes/no)" not in values(score("vqa", folder / "p.json", path))


def test_bad_predictions(score, vqa):
    path, said, folder = vqa
    with pytest.raises(PredictionError, match="1 answers that are not strings: 11 has 2"):
        score("vqa", write(folder / "p.json", [said[0], {"question_id": 11, "answer": 2}, said[2]]), path)
    scored = score("vqa", write(folder / "p.json", said[1:]), path, allow_missing=True)
    assert scored.missing == 1 and values(scored)["accuracy"] == 190 / 3


def test_single_answers_are_no_vqa(score, tmp_path):
    path = write(tmp_path / "a.json", [{"question_id": 1, "answer": "yes"}])
    said = write(tmp_path / "p.json", [{"question_id": 1, "answer": "yes"}])
    with pytest.raises(DataError, match="score gqa"):
        score("vqa", said, path)
    assert score("gqa", said, path).scores[0].value == 100


def test_gqa_counts_balanced_questions(score, tmp_path):
    notes = {
        "a": {"answer": "yes", "imageId": "1", "isBalanced": True, "types": {"structural": "verify"}},
        "b": {"answer": "cat", "imageId": "1", "isBalanced": True, "types": {"structural": "query"}},
        "c": {"answer": "left", "imageId": "2", "isBalanced": True, "types": {"structural": "choose"}},
        "d": {"answer": "dog", "imageId": "2", "isBalanced": False, "types": {"structural": "query"}},
    }
    said = [
        {"questionId": name, "prediction": one} for name, one in zip("abcd", ["yes", "cat", "right", "x"], strict=True)
    ]
    scored = score("gqa", write(tmp_path / "p.json", said), write(tmp_path / "a.json", notes))
    assert values(scored) == {"accuracy": 200 / 3, "accuracy (binary)": 50, "accuracy (open)": 100}
    assert scored.notes == ("3 balanced questions of 4 are scored",)
