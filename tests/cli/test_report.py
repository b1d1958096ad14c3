"""`vlzoo report` as a process: what is on the page, what it says where something is missing, and every mistake."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "link", "img", "br", "path", "rect", "line", "circle"}


class Page(HTMLParser):
    """A page's tags, attributes and text; every tag that is opened is closed, in order."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = Counter[str](), list[tuple[str, str]](), list[str](), [""]
        self.feed(file.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [""]
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open[-1] != "style":
            self.texts.append(data)

    def pictures(self) -> list[str]:
        return [value for name, value in self.attributes if name == "src"]


@pytest.fixture(scope="module")
def both(benched) -> tuple:
    """The page of two runs, with maps."""
    result = benched.run("report", "run", "other", "--html", "pages/both.html", "--examples", "2")
    assert result.code == 0, result.err
    return benched.folder / "pages/both.html", result


def test_all_parts_of_two_runs_are_on_one_page(both, benched):
    file, result = both
    assert re.fullmatch(r"written to pages/both.html: [1-9]\d\d kB\n", result.out)
    page = Page(file)
    assert page.open == [""]
    (score,) = (benched.folder / "run/bench/retrieval").glob("*/score-itm.json")
    for each in json.loads(score.read_text())["scores"]:
        assert f"{each['value']:.2f}" in page.text and f"{each['samples']:,}" in page.text
    assert "2 comparisons with the first run of each table" in page.text  # TR R@1 and IR R@1
    assert "run: vqa/official, rank, fp32" in page.text  # which one run alone was measured on
    assert "accuracy by question type" in page.text
    for name in ("itc loss", "itm loss", "mlm loss", "learning rate", "Fine-tuning for vqa"):
        assert name in page.text, name
    assert "Which text fits best?" in page.text and "Wrong" in page.text
    assert "commit" in page.text and "train.seed" in page.text and "vlzoo-softmask" in page.text
    (data,) = json.loads((benched.folder / "run/run.json").read_text())["data"]
    assert data["fingerprint"] in page.text


def test_word_maps_are_drawn_where_a_run_can_match_and_missed_with_a_reason_elsewhere(both):
    page = Page(both[0])
    assert "Grad-CAM of fusion layer 0 (0 to 1)" in page.text
    assert "Not drawn: run: this run has no matching head (its objectives: answer)" in page.text


def test_maps_of_other_weights_than_were_measured_are_not_drawn(benched, zoo):
    zoo_of(benched, zoo)
    (file,) = (zoo.folder / "run/bench/retrieval").glob("*/score-itm.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "weights": "0123"}))
    assert zoo.run("report", "run", "--html", "page.html").code == 0
    said = "Not drawn: run: run: the weights of step 10 are not those that were measured; bench it again"
    assert said in Page(zoo.folder / "page.html").text


def test_nothing_is_asked_for_from_outside_and_pictures_are_small(both):
    page = Page(both[0])
    assert page.tags["script"] == page.tags["iframe"] == 0
    assert len(page.pictures()) > 10
    assert all(re.match(r"data:image/(png|jpeg);base64,", each) and len(each) < 16_100 for each in page.pictures())
    links = {value for name, value in page.attributes if name in ("href", "action", "xlink:href", "srcset")}
    assert all(each.startswith("#") or each == "data:," for each in links)
    text = both[0].read_text()
    assert not re.search(r"url\(|@import|https?://", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_without_complaint_on_a_phone_too(both, browse, dark):
    seen = browse(both[0], dark=dark)
    assert seen.console == []
    assert seen.wide <= seen.window == 360


def test_the_same_page_again(both, benched):
    before = both[0].read_text()
    assert benched.run("report", "run", "other", "--html", "pages/both.html", "--examples", "2").code == 0
    assert both[0].read_text() == before


def test_torch_is_imported_for_maps_alone(benched, world):
    code = "import sys\nfrom vlzoo.cli.main import run\nprint(run(sys.argv[1:]), 'torch' in sys.modules)"
    data = str(benched.corpus.parent)
    names = [str(benched.folder / name) for name in ("run", "other")]
    done = world.python("-c", code, "report", *names, "--html", "page.html", "--no-maps", VLZOO_DATA=data)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr
    page = Page(world.folder / "page.html")
    assert "Which text fits best?" in page.text and "Grad-CAM" not in page.text


def test_a_run_that_was_never_measured_has_curves_and_manifest(benched, zoo):
    shutil.copytree(benched.folder / "other", zoo.folder / "fresh", ignore=shutil.ignore_patterns("bench"))
    result = zoo.run("report", "fresh", "--html", "page.html")
    assert result.code == 0, result.err
    page = Page(zoo.folder / "page.html")
    assert "fresh was never measured: no figures of `vlzoo bench` lie in it (vlzoo bench TASK --run fresh" in page.text
    assert "itc loss" in page.text and "seed" in page.text
    assert "Results" not in page.text and page.pictures() == []


def test_predictions_of_another_model_have_neither_curves_nor_manifest(benched, zoo):
    shutil.copytree(benched.folder / "run/bench", zoo.folder / "bench-clip/bench")
    result = zoo.run("report", "bench-clip", "--html", "page.html")
    assert result.code == 0, result.err
    page = Page(zoo.folder / "page.html")
    assert "no run of vlzoo: it has neither curves nor a manifest" in page.text
    assert "Which text fits best?" in page.text and "Learning curves" not in page.text
    assert "Not drawn: bench-clip: " in page.text and "is not a run: it has no recipe.yaml" in page.text


def test_predictions_of_a_run_that_lie_apart_have_its_maps(benched, zoo):
    """As `vlzoo bench retrieval --run run --out apart` leaves them."""
    zoo_of(benched, zoo)
    shutil.copytree(zoo.folder / "run/bench", zoo.folder / "apart/bench")
    result = zoo.run("report", "apart", "--html", "page.html", "--examples", "1")
    assert result.code == 0, result.err
    page = Page(zoo.folder / "page.html")
    assert "predictions of run, whose curves and manifest `vlzoo report run` shows" in page.text
    assert "Grad-CAM of fusion layer 0" in page.text and "Not drawn" not in page.text


def test_what_data_say_is_text_and_never_markup(benched, zoo):
    """In an answer, in the run's name, in its recipe's name and in a note of the bench."""
    name, hostile = "<b>run&", "<script>alert('1')</script>"
    shutil.copytree(benched.folder / "run", zoo.folder / name)
    (shard,) = (zoo.folder / name / "finetune/vqa/bench/vqa").glob("*/shard-000.jsonl")
    rows = [{**json.loads(line), "answer": hostile} for line in shard.read_text().splitlines()]
    shard.write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = zoo.folder / name / "run.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "recipe": hostile}))
    for score in (zoo.folder / name).glob("**/score-*.json"):
        score.write_text(json.dumps({**json.loads(score.read_text()), "notes": [hostile]}))
    result = zoo.run("report", name, "--html", "page.html", "--no-maps")
    assert result.code == 0, result.err
    page = Page(zoo.folder / "page.html")
    assert page.tags["script"] == page.tags["b"] == 0
    assert page.text.count(hostile) >= 4 and name in page.text


def test_data_that_are_not_there_leave_examples_out_with_the_reason(benched, zoo):
    result = zoo_of(benched, zoo).run("report", "run", "--html", "page.html", "--data-root", "nowhere")
    assert result.code == 0, result.err
    page = Page(zoo.folder / "page.html")
    assert "Not shown: data 'scenes': there is no folder 'nowhere/scenes'; give --data-root DIR" in page.text
    assert page.pictures() == [] and "TR R@1" in page.text


def zoo_of(benched, zoo):
    """A folder of its own with both runs, to be changed."""
    pages = shutil.ignore_patterns("*.html")  # which other tests wrote there
    shutil.copytree(benched.folder, zoo.folder, dirs_exist_ok=True, ignore=pages)
    return zoo


def other_fingerprint(folder: Path) -> None:
    (file,) = (folder / "run/bench/retrieval").glob("*/score-itm.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "fingerprint": "0123"}))


def older(folder: Path) -> None:
    (file,) = (folder / "run/bench/retrieval").glob("*/score-itm.json")
    held = json.loads(file.read_text())
    held.pop("opened")
    file.write_text(json.dumps(held))


def no_predictions(folder: Path) -> None:
    for file in (folder / "run/bench/retrieval").glob("*/shard-*.jsonl"):
        file.unlink()


def spoilt_log(folder: Path) -> None:
    (folder / "run/metrics.jsonl").write_text("{}\nnonsense\n{}\n")


def no_log(folder: Path) -> None:
    (folder / "run/metrics.jsonl").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (other_fingerprint, "Not shown: scenes/test: the data have changed since: their fingerprint is"),
        (older, "of an older vlzoo, which did not note how the data were opened; bench it again"),
        (no_predictions, "Not shown: run: "),
        (spoilt_log, "run/metrics.jsonl:2: no row of metrics"),
        (no_log, "run has logged nothing: no curves"),
    ],
)
def test_what_is_missing_is_said_on_the_page(benched, zoo, damage, said):
    zoo_of(benched, zoo)
    damage(zoo.folder)
    result = zoo.run("report", "run", "--html", "page.html", "--no-maps", "--examples", "1")
    assert result.code == 0, result.err
    assert said in Page(zoo.folder / "page.html").text


def no_values(folder: Path) -> None:
    (file,) = (folder / "other/bench/retrieval").glob("*/score-itm.npz")
    file.write_bytes(file.read_bytes()[:80])


@pytest.mark.parametrize(
    ("words", "damage", "said"),
    [
        (["run"], None, ["Missing option '--html'"]),
        (["othr", "--html", "page.html"], None, ["no such folder", "did you mean 'other'"]),
        (["run", "run", "--html", "page.html"], None, ["named twice"]),
        (["micro.yaml", "--html", "page.html"], None, ["a file is there"]),
        (["run", "--html", "run"], None, ["the page can't be written: a folder is there"]),
        (["run", "--html", "micro.yaml/page.html"], None, ["the page can't be written"]),
        (["run", "--html", "page.html", "--examples", "51"], None, ["0<=x<=50"]),
        (["run", "other", "--html", "page.html"], no_values, ["the values of samples can't be read", "bench it again"]),
    ],
)
def test_mistakes_are_one_message(benched, zoo, words, damage, said):
    zoo_of(benched, zoo)
    if damage:
        damage(zoo.folder)
    result = zoo.run("report", *words)
    assert result.code == 2
    assert all(word in result.err for word in said), result.err
    assert not (zoo.folder / "page.html").exists()
