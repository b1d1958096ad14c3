import json

import pytest

from vlzoo.bench.vqa.gqa import Gqa
from vlzoo.bench.vqa.task import Vqa
from vlzoo.data.answers import FIRST_TWICE
from vlzoo.data.records import Sample
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


def test_how_gqas_answers_were_made_stands_beside_its_figures():
    sample, row = Sample("1", answers=("yes",)), {"name": "1", "answer": "yes", "mode": "rank"}
    settings = {task.name: task(k=7).score([sample], {"1": row}).settings for task in (Vqa, Gqa)}
    assert settings == {"vqa": {"mode": "rank", "k": 7}, "gqa": {"mode": "rank", "k": 7}}


def test_gqa_does_not_count_as_balanced_what_is_not_said_so(score, tmp_path):
    said = write(tmp_path / "p.json", [{"questionId": "1", "prediction": "yes"}])
    for value in (0, 1, "false", "true", "False", [], 0.0):
        notes = write(tmp_path / "a.json", {"1": {"answer": "yes", "isBalanced": value}})
        with pytest.raises(DataError, match=r"a\.json: question 1: the value of 'isBalanced' is .*true or false"):
            score("gqa", said, notes)
    for value in (None, True):
        notes = write(tmp_path / "a.json", {"1": {"answer": "yes", "isBalanced": value}})
        assert score("gqa", said, notes).scores[0].value == 100


def test_samples_of_other_data_say_balanced_by_true_or_false():
    samples = [Sample("1", answers=("yes",), fields={"balanced": "false"})]
    with pytest.raises(DataError, match=r"sample 1: .*'balanced' is 'false', expected true or false"):
        Gqa().score(samples, {"1": {"name": "1", "answer": "yes"}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"question_id": 10.0}, r"annotations\[3\]: the id 'question_id' is 10.0, a decimal number\n.*write 10:"),
        ({"question_id": 10}, "question_id '10' is there twice"),
        ({"question_id": "10"}, "question_id '10' is there twice"),
        ({"question_id": "010"}, "question_id '010' is there twice"),
        ({"question_id": True}, "the id 'question_id' is True"),
        ({"question_id": None}, "the id 'question_id' is None"),
        ({"image_id": 5.0}, "the id 'image_id' is 5.0, a decimal number"),
        ({"answer_type": 3}, "question_id 13: the value of 'answer_type' is 3, expected text"),
        ({"question_type": ["what"]}, "expected text"),
        ({"multiple_choice_answer": 2}, "'multiple_choice_answer' is 2, expected text"),
        ({"answers": "yes"}, "'answers' is 'yes', expected a list"),
        ({"answers": [{"answer": 2}] * 10}, "'answer' is 2, expected text"),
        ({"answers": [{"text": "a"}] * 10}, "no key 'answer'"),
        ({"answers": [2] * 10}, "an answer is 2, expected an object"),
        ({"answers": []}, "question_id 13: no answers here"),
    ],
)
def test_bad_annotations(score, vqa, change, words):
    path, said, folder = vqa
    notes = json.loads(path.read_text())["annotations"]
    write(path, {"annotations": [*notes, {**notes[0], "question_id": 13, **change}]})
    with pytest.raises(DataError, match=words) as caught:
        score("vqa", write(folder / "p.json", said), path)
    assert "annotations.json: annotations[3]" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"question_id": 10 + n, "answer": "yes"} for n in range(3)], "tells neither pictures nor answer types"),
        ([{"image_id": 5}], r"q\.json: questions\[0\]: no key 'question_id'"),
        ([{"question_id": 10.0, "image_id": 5}], "a decimal number"),
        ([{"question_id": 10, "image_id": 5}] * 2, "question_id '10' is there twice"),
        ([{"question_id": 10, "image_id": 5}], "question_id 11: this question is not there"),
        ([{"question_id": 10 + n, "image_id": 6} for n in range(3)], "asks about image 6, its annotation is about"),
        ([{"question_id": 10, "image_id": 5, "answer_type": 3}], "'answer_type' is 3"),
        ([], "holds no rows"),
    ],
)
def test_a_wrong_second_file_is_the_one_that_is_named(score, vqa, rows, words):
    path, said, folder = vqa
    questions = write(folder / "q.json", {"questions": rows})
    with pytest.raises(DataError, match=words) as caught:
        score("vqa", write(folder / "p.json", said), path, questions=str(questions))
    assert "q.json" in str(caught.value) and "p.json" not in str(caught.value)


def test_the_annotations_may_be_the_second_file_of_albefs_list(score, vqa):
    path, said, folder = vqa
    answers = [["yes"] * 10, ["2"] * 9 + ["two"], ["red"] * 3 + ["blue"] * 7]
    rows = [{"question_id": 10 + n, "answer": given, "dataset": "vqa"} for n, given in enumerate(answers)]
    scored = score("vqa", write(folder / "p.json", said), write(folder / "l.json", rows), questions=str(path))
    assert values(scored) == values(score("vqa", folder / "p.json", path))


@pytest.mark.parametrize("value", [None, "absent"])
def test_pictures_are_named_by_all_or_none(score, vqa, value):
    # An interval is drawn over pictures: a question without one would stand for a picture of its own.
    path, said, folder = vqa
    notes = json.loads(path.read_text())["annotations"]
    saved = write(folder / "p.json", said)
    for note in notes[:1]:
        note.update(image_id=None)
    if value == "absent":
        del notes[0]["image_id"]
    with pytest.raises(DataError, match=r"annotations\.json: 1 of 3 samples name no picture, and the others do"):
        score("vqa", saved, write(path, {"annotations": notes}))
    bare = [{key: one for key, one in note.items() if key != "image_id"} for note in notes]
    assert score("vqa", saved, write(path, {"annotations": bare})).scores[0].clusters == 3


@pytest.mark.parametrize("content", [[], {"annotations": []}, ""])
def test_nothing_is_scored_on_nothing(score, tmp_path, content):
    said = write(tmp_path / "p.json", [{"question_id": 1, "answer": "yes"}])
    (tmp_path / "a.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=r"a\.json.*holds no rows"):
        score("vqa", said, tmp_path / "a.json")


def test_a_servers_ids_are_numbers_where_they_are_written_as_such():
    ids = {"7": 7, "007": "007", "²": "²", "\u0667": "\u0667", "a7": "a7", "0": 0}
    assert {name: Vqa().server_ids([name])[0] for name in ids} == ids
    assert Vqa().server_ids(["7", "a7"]) == Gqa().server_ids(["7", "a7"]) == ["7", "a7"]
    assert list(Gqa().server_ids(["7"])) == ["7"]  # its files have texts alone


@pytest.mark.parametrize(("protocol", "said", "right"), [("official", "dog", 0.0), ("albef-2021", "cat", 90.0)])
def test_the_answer_that_is_told_is_the_one_that_is_judged(protocol, said, right):
    """Three of ten say cat: each leaves itself out, so 3 times 2/3 and 7 times 1, 90 % (the server's rule)."""
    sample = Sample("1", texts=("what is it?",), answers=("cat",) * 3 + ("fox",) * 7)
    rows = {"1": {"name": "1", "answer": "dog", FIRST_TWICE: "cat"}}
    told = Vqa(protocol=protocol).told([sample], rows)(sample)
    assert (told.asked, told.said, told.right) == ("what is it?", said, pytest.approx(right))
    assert told.truth == ("fox (7 of 10)", "cat (3 of 10)")


def test_anls_of_st_vqas_files(score, tmp_path):
    rows = [
        {"question_id": 1, "file_path": "a.jpg", "answers": ["stop"]},
        {"question_id": 2, "file_path": "a.jpg", "answers": ["7", "seven"]},
        {"question_id": 3, "file_path": "b.jpg", "answers": ["exit"]},
    ]
    said = [{"question_id": n, "answer": answer} for n, answer in ((1, "shop"), (2, "Seven"), (3, "entry"))]
    files = write(tmp_path / "p.json", said), write(tmp_path / "a.json", {"data": rows})
    (figure,) = score("vqa", *files, "anls").scores
    # 3/4 of stop, all of seven, 1 - 4/5 of exit (one letter in its place), which is below a half.
    assert (figure.metric, figure.protocol, figure.clusters) == ("ANLS", "vqa/anls", 2)
    assert figure.value == pytest.approx(175 / 3)
    with pytest.raises(DataError, match="ANLS by -p anls"):
        score("vqa", *files)


def test_vizwiz_questions_are_known_by_their_pictures(score, tmp_path):
    def row(name, *answers):
        return {"image": name, "question": "what?", "answers": [{"answer": each} for each in answers]}

    truth = write(tmp_path / "a.json", [row("a.jpg", *["soup"] * 10), row("b.jpg", *["yes"] * 2, *["no"] * 8)])
    said = write(tmp_path / "p.json", [{"image": "a.jpg", "answer": "soup"}, {"image": "b.jpg", "answer": "yes"}])
    # Two of ten said yes: 2 (1/3) + 8 (2/3) of ten, by leaving each out once.
    assert score("vqa", said, truth).scores[0].value == pytest.approx((100 + 60) / 2)


def test_vizwiz_server_is_sent_pictures():
    samples = [Sample("a.jpg", image_id="a.jpg", answers=("x",), fields={"image": "a.jpg"})]
    rows = {"a.jpg": {"name": "a.jpg", "answer": "soup"}}
    assert Vqa().submission(samples, rows) == [{"image": "a.jpg", "answer": "soup"}]
