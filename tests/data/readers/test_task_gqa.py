"""GQA's questions and Visual Genome's own, in their true form and with what goes wrong in them."""

from __future__ import annotations

import json
import math

import pytest

from vlzoo.data.readers.gqa import Gqa, VgQa, annotated
from vlzoo.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")
QUESTION = {
    "semantic": [{"operation": "select", "argument": "sky (2486325)", "dependencies": []}],
    "entailed": ["02930160"],
    "equal": ["02930152"],
    "question": "Is the sky dark?",
    "imageId": "2354786",
    "isBalanced": True,
    "groups": {"global": None, "local": "06-sky_dark"},
    "answer": "yes",
    "semanticStr": "select: sky (2486325)->verify color: dark [0]",
    "annotations": {"answer": {}, "question": {"2": "2486325"}, "fullAnswer": {}},
    "types": {"detailed": "verifyAttr", "semantic": "attr", "structural": "verify"},
    "fullAnswer": "Yes, the sky is dark.",
}


@pytest.fixture
def gqa(tmp_path):
    (tmp_path / "images").mkdir()
    test = {key: QUESTION[key] for key in ("question", "imageId", "isBalanced")}
    rows = {"02930152": QUESTION, "07333408": {**QUESTION, "imageId": "n161313", "answer": "pipe"}}
    (tmp_path / "val_balanced_questions.json").write_text(json.dumps(rows))
    (tmp_path / "test_balanced_questions.json").write_text(json.dumps({"201971873": test}))
    return tmp_path


def test_questions_with_one_answer(gqa):
    source = Gqa(gqa, split="val")
    first, second = source
    assert first.name == "02930152" and first.answers == ("yes",)  # the id keeps its leading zero
    assert first.fields["structural"] == "verify" and first.fields["full_answer"] == "Yes, the sky is dark."
    assert second.images[0].path == "images/n161313.jpg"  # ids are not all numbers
    assert source.sizes == {"questions": 2, "images": 2}


def test_a_test_question_has_no_answer(gqa):
    sample = Gqa(gqa, split="test")[0]
    assert sample.answers == () and "structural" not in sample.fields


def test_train_all_comes_in_ten_files(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "questions1.2" / "train_all_questions").mkdir(parents=True)
    for number in range(10):
        file = tmp_path / "questions1.2" / "train_all_questions" / f"train_all_questions_{number}.json"
        file.write_text(json.dumps({f"0{number}": QUESTION}))
    assert [sample.name for sample in Gqa(tmp_path, split="train-all")] == [f"0{number}" for number in range(10)]
    file.write_text(json.dumps({"00": QUESTION}))
    with pytest.raises(DataError, match=r"question 00: the question '00' is there twice\n.*in an earlier file"):
        len(Gqa(tmp_path, split="train-all"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps({"1": {**QUESTION, "question": None}}), "question 1: the value of 'question' is None"),
        (json.dumps({"1": {k: v for k, v in QUESTION.items() if k != "imageId"}}), "no key 'imageId'"),
        (f'{{"1": {json.dumps(QUESTION)}, "1": {json.dumps(QUESTION)}}}', "'1' is there twice"),
        (json.dumps([QUESTION]), "the top level is"),
        (json.dumps({"1": {**QUESTION, "isBalanced": 0}}), "question 1: the value of 'isBalanced' is 0, expected true"),
        (json.dumps({"1": {**QUESTION, "isBalanced": "false"}}), "'isBalanced' is 'false', expected true or false"),
        (json.dumps({"1": {**QUESTION, "types": {"structural": 3}}}), "1: types: the value of 'structural' is 3"),
        (json.dumps({"1": {**QUESTION, "types": {"semantic": ["a"]}}}), r"'semantic' is \['a'\], expected text"),
        (json.dumps({"1": {**QUESTION, "types": "verify"}}), "'types' is 'verify', expected an object"),
        (json.dumps({"1": {**QUESTION, "fullAnswer": math.nan}}), "'fullAnswer' is nan, expected text"),
        (json.dumps({"1": {**QUESTION, "answer": 2}}), "'answer' is 2, expected text"),
        (json.dumps({"1": {**QUESTION, "imageId": "2354786.jpg"}}), "imageId is '2354786.jpg'\n.*without an ending"),
        (json.dumps({"1": {**QUESTION, "imageId": "../7"}}), r"imageId is '\.\./7'"),
        (json.dumps({"1": {**QUESTION, "imageId": 7.0}}), "the id 'imageId' is 7.0, a decimal number\n.*write 7:"),
        (json.dumps({"1": "what?"}), r"question 1: the question is 'what\?', expected an object"),
        ("{}", "holds no rows"),
        ('{"1": {', "not JSON"),
    ],
)
def test_what_is_wrong_is_named(gqa, text, told):
    (gqa / "val_balanced_questions.json").write_text(text)
    with pytest.raises(DataError, match=told) as caught:
        len(Gqa(gqa, split="val"))
    assert "val_balanced_questions.json" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"isBalanced": 0}, {"isBalanced": "false"}, {"types": {"structural": 3}}, {"types": []}, {"answer": 2},
        {"imageId": 7.0}, {"imageId": "n161313.jpg"}, {"imageId": True},
    ],
)  # fmt: skip
def test_scorer_and_reader_refuse_the_same(gqa, change):
    file = gqa / "val_balanced_questions.json"
    file.write_text(json.dumps({"1": {**QUESTION, **change}}))
    with pytest.raises(DataError) as reader:
        len(Gqa(gqa, split="val"))
    with pytest.raises(DataError) as scorer:
        list(annotated(file))
    assert str(scorer.value) == str(reader.value) and "question 1" in str(reader.value)


@pytest.mark.parametrize("form", ["official", "indented", "list", "lines", "inside", "one line", "csv"])
def test_all_ways_to_write_answers(tmp_path, form):
    row = {"question_id": "1", "answer": "yes", "isBalanced": False}
    text = {
        "official": json.dumps({"1": QUESTION | {"isBalanced": False}}),
        "indented": json.dumps({"1": QUESTION | {"isBalanced": False}}, indent=1),
        "list": json.dumps([row]),
        "lines": f"{json.dumps(row)}\n{json.dumps({**row, 'question_id': 2})}\n",
        "inside": json.dumps({"questions": [row]}),
        "one line": json.dumps(row),
        "csv": "question_id,answer\n1,yes\n",
    }[form]
    (tmp_path / "a.csv").write_text(text)  # what a file is, its content says
    first = next(iter(annotated(tmp_path / "a.csv")))
    assert (first.name, first.answers, first.fields.get("balanced", False)) == ("1", ("yes",), False)


@pytest.fixture
def genome(tmp_path):
    for folder in ("VG_100K", "VG_100K_2"):
        (tmp_path / folder).mkdir()
    (tmp_path / "VG_100K_2" / "1.jpg").write_bytes(b"")
    (tmp_path / "VG_100K" / "2.jpg").write_bytes(b"")
    qa = {"a_objects": [], "question": "What color is the clock?", "image_id": 1, "qa_id": 986768, "answer": "Green."}
    rows = [
        {"id": 1, "qas": [{**qa, "q_objects": []}]},
        {"id": 2, "qas": [{"question": "Who?", "qa_id": 5, "answer": "A man."}]},
        {"id": 3, "qas": []},  # a picture nobody asks about
    ]
    (tmp_path / "question_answers.json").write_text(json.dumps(rows))
    return tmp_path


def test_visual_genome_questions_find_their_folder(genome):
    source = VgQa(genome)
    assert [sample.images[0].path for sample in source] == ["VG_100K_2/1.jpg", "VG_100K/2.jpg"]
    assert source[0].answers == ("Green.",)
    assert source[0].fields["weight"] == 0.5  # METHODS.md 1.4: VG-QA answers weight 0.5
    assert source.sizes == {"questions": 2, "images": 2}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[1]["qas"][0].update(qa_id=986768), "qa_id 986768: qa_id '986768' is there twice"),
        (lambda rows: rows[0]["qas"][0].pop("answer"), "qa_id 986768: no key 'answer'"),
        (lambda rows: rows[0].pop("qas"), r"question_answers.json\[0\]: no key 'qas'"),
        (lambda rows: rows[1].pop("id"), "no key 'id'"),
    ],
)
def test_visual_genome_names_what_is_wrong(genome, change, told):
    rows = json.loads((genome / "question_answers.json").read_text())
    change(rows)
    (genome / "question_answers.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=told):
        len(VgQa(genome))


def test_they_keep_what_sources_promise(gqa, genome, check_data):
    check_data("gqa", split="val")
    check_data("vg-qa")
