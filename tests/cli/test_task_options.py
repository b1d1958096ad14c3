"""Options of tasks: which of the command line, of `--set` and of the recipe holds, and what is refused."""

from __future__ import annotations

import re

import pytest

from vlzoo.bench.request import Request, task_of
from vlzoo.cli.bench import requests_of
from vlzoo.cli.task_options import options_of, set_options
from vlzoo.config.schema import Bench
from vlzoo.errors import UnknownName, VlzooError

GIVEN = {
    **dict.fromkeys(["model", "out", "data", "split", "data_root", "batch", "device", "shard"]),
    "run": "runs/a",
    "protocol": "",
    "checkpoint": "",
    "sets": (),
    "memory": "2GB",
    "precision": "fp32",
    "allow_missing": False,
    "keep_features": False,
    "allow_train_data": False,
    "submission": None,
    "json_": False,
}


@pytest.mark.parametrize("recipe", [{"retrieval": {"protocol": "itc"}}, {"protocol": "itc"}])
def test_a_recipes_protocol_holds_where_the_command_names_none(recipe):
    (plain,) = requests_of(("retrieval",), GIVEN)
    assert task_of(plain, Bench(**recipe)).protocol == "itc"
    (asked,) = requests_of(("retrieval",), {**GIVEN, "protocol": "itm+itc"})
    assert task_of(asked, Bench(**recipe)).protocol == "itm+itc"


def test_a_task_is_found_by_its_qualified_name_too():
    bench = Bench(**{"vlzoo:vqa": {"k": 3}})
    assert task_of(Request("vqa", "run:a"), bench).k == task_of(Request("vlzoo:vqa", "run:a"), bench).k == 3
    assert set_options(["vqa"], ["bench.vlzoo:vqa.k=4"]) == {"vqa": {"k": 4}}
    assert set_options(["vlzoo:vqa"], ["bench.vqa.k=4"]) == {"vlzoo:vqa": {"k": 4}}


def test_set_reads_yaml_as_a_recipe_does():
    assert set_options(["nlvr2"], ["bench.nlvr2.subsets=[a.json, b.json]"])["nlvr2"] == {
        "subsets": ["a.json", "b.json"]
    }
    assert set_options(["nlvr2"], ["bench.nlvr2.subsets=a.json"])["nlvr2"] == {"subsets": ["a.json"]}
    assert set_options(["vqa"], ["bench.vqa.answers=null", "bench.vqa.questions=17"])["vqa"] == {
        "answers": None,
        "questions": "17",
    }


def test_a_flag_of_several_values_takes_each_as_it_is():
    given = [("--subset", "[a"), ("--subsets", "b, c")]
    assert options_of(["nlvr2"], given) == {"nlvr2": {"subsets": ["[a", "b, c"]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("bench.vqa.k=1", "vqa is not among the tasks named"),
        ("bench.vqaa.k=1", "did you mean 'vqa'"),
        ("bench.retrieval.kk=1", "takes no option 'kk'\n  -> did you mean 'k'"),
        ("bench.retrieval=1", "write --set bench.TASK.OPTION=VALUE"),
        ("train.lr=1", "write --set bench.TASK.OPTION=VALUE"),
        ("bench.retrieval.k=abc", "'abc' is no int"),
        ("bench.retrieval.k=[a", "not YAML"),
    ],
)
def test_what_set_gives_wrongly_is_refused(change, said):
    with pytest.raises(VlzooError, match=re.escape(said)):
        set_options(["retrieval"], [change])


def test_a_flag_that_is_no_yaml_is_named():
    with pytest.raises(VlzooError, match=r"--answers: '\[a': not YAML"):
        options_of(["vqa"], [("--answers", "[a")])


def test_no_task_is_no_bench():
    with pytest.raises(VlzooError, match="no task is named"):
        requests_of(("--k", "3"), GIVEN)
    with pytest.raises(UnknownName, match="no option --kk here"):
        requests_of(("vqa", "--kk", "3"), GIVEN)
