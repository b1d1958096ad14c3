"""Winoground, SugarCrepe, VSR, ARO and CREPE, in the form of their releases; two real subsets."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest

from vlzoo.data.readers import choices, vsr, winoground
from vlzoo.data.readers.compositional import (
    SUGARCREPE,
    AroAttribution,
    AroOrder,
    AroRelation,
    CocoMiniSugarCrepe,
    Crepe,
    SugarCrepe,
)
from vlzoo.data.readers.vsr import CocoMiniVsr, Vsr
from vlzoo.data.readers.winoground import Winoground
from vlzoo.errors import DataError, UnknownName

pytestmark = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")

PAIR = {"filename": "x.jpg", "caption": " A red cat. ", "negative_caption": "A wet red cat."}
RELATION = {
    **{"image_id": "1", "image_path": "x.jpg", "bbox_x": 2, "bbox_y": 3, "bbox_w": 8, "bbox_h": 6},
    **{"relation_name": "on", "true_caption": "the cat is on the bed", "false_caption": "the bed is on the cat"},
}
EXAMPLE = {
    **{"id": 0, "image_0": "ex_0_img_0", "image_1": "ex_0_img_1", "num_main_preds": 1, "collapsed_tag": "Relation"},
    **{"caption_0": "an old person kisses a young person", "caption_1": "a young person kisses an old person"},
    **{"tag": "Adjective-Age", "secondary_tag": "Morpheme-Level"},
}
SENTENCE = {"image": "x.jpg", "caption": "The cat is on the bed.", "label": 1, "relation": "on", "annotator_id": 2}


def table(header: list[str], *rows: list) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerows([header, *rows])
    return sink.getvalue()


def sugarcrepe(write, picture, folder: str = ""):
    for subset in SUGARCREPE:
        write(f"{folder}{subset}.json", {"0": PAIR, "7": PAIR})
    write("val2017/x.jpg", picture())


def test_sugarcrepe(write, picture, tmp_path, check_data):
    sugarcrepe(write, picture, "data/")
    source = SugarCrepe(tmp_path)
    assert len(source) == 14 and source[1].name == "add_att-7"
    sample = source[13]
    assert (sample.name, sample.texts, sample.image_id) == ("swap_obj-7", ("A red cat.",), "val2017/x.jpg")
    assert sample.fields == {"negatives": ("A wet red cat.",), "kind": "swap_obj"}
    few = SugarCrepe(tmp_path, subsets="swap_obj, add_att", pictures=False)
    assert [each.name for each in few] == ["swap_obj-0", "swap_obj-7", "add_att-0", "add_att-7"] and not few[0].images
    assert not few.official and source.official == {"examples": 7512}
    with pytest.raises(UnknownName, match="no subset 'swap_ob'"):
        SugarCrepe(tmp_path, subsets="swap_ob")
    check_data("sugarcrepe")


def test_the_real_subset_of_sugarcrepe(shared, check_data):
    """Sizes by the data's README; 72 pictures, and seven kinds."""
    source = CocoMiniSugarCrepe(shared / "data" / "coco_mini", strict=True)
    assert source.sizes == {"examples": 319} and len({sample.image_id for sample in source}) == 72
    assert {sample.fields["kind"] for sample in source} == set(SUGARCREPE)
    assert source[0].images[0].open().mode == "RGB"
    check_data("coco-mini-sugarcrepe", shared / "data" / "coco_mini")


def test_a_caption_that_is_empty_is_counted(write, picture, tmp_path):
    write("add_att.json", {"0": {**PAIR, "negative_caption": " "}, "1": PAIR, "2": {**PAIR, "caption": ""}})
    write("val2017/x.jpg", picture())
    source = SugarCrepe(tmp_path, subsets="add_att", allowed_faults=1.0)
    assert [sample.name for sample in source] == ["add_att-1"]
    assert dict(source.faults.skipped) == {"empty wrong caption": 1, "empty caption": 1}


def test_aro(write, picture, tmp_path, check_data):
    write("visual_genome_relation.json", [RELATION, {**RELATION, "relation_name": "under"}])
    attributed = {key: value for key, value in RELATION.items() if key != "relation_name"}
    write("visual_genome_attribution.json", [{**attributed, "attributes": ["red", "old"]}])
    write("images/x.jpg", picture(width=20, height=12))
    source = AroRelation(tmp_path)
    assert [sample.name for sample in source] == ["relation-0", "relation-1"]
    assert source[0].fields == {"negatives": ("the bed is on the cat",), "kind": "on"}
    assert source[0].images[0].open().size == (8, 6) and source[0].image_id == "images/x.jpg"
    assert AroAttribution(tmp_path)[0].fields["kind"] == "red old"
    check_data("aro-relation")
    check_data("aro-attribution")


def test_aros_order(write, picture, tmp_path, check_data):
    """The second shuffle of the first caption is the caption itself; of the last one all are."""
    cases = [["a cat", "cat a", "a  cat"], ["a cat on it", "it on cat a"], ["hi", "hi"]]
    write("order.json", [{"image": f"val2014/{n}.jpg", "caption_options": said} for n, said in enumerate(cases)])
    source = AroOrder(tmp_path, allowed_faults=1.0)
    assert [(s.name, s.fields["negatives"]) for s in source] == [("order-0", ("cat a",)), ("order-1", ("it on cat a",))]
    assert source[0].images[0].path == "val2014/0.jpg" and dict(source.faults.skipped) == {"no wrong caption": 1}
    write("order.json", [{"image": "x.jpg", "caption_options": ["a cat", "cat a"]}] * 2)
    check_data("aro-order")
    write("order.json", [{"image": "x.jpg", "caption_options": []}])
    with pytest.raises(DataError, match="holds no caption"):
        len(AroOrder(tmp_path))


def test_a_box_outside_its_picture_is_an_error_with_its_numbers(write, picture, tmp_path):
    write("visual_genome_relation.json", [{**RELATION, "bbox_x": 90}])
    write("images/x.jpg", picture(width=20, height=12))
    with pytest.raises(DataError, match=r"box \[90, 3, 8, 6\] leaves nothing of 20 x 12 pixels"):
        AroRelation(tmp_path)[0].images[0].open()


def test_crepe(write, picture, tmp_path, check_data):
    header = ["image_id", "x", "y", "width", "height", "caption"]
    row = [7, 2, 3, 8, 6, "a cat on a bed"]
    write(
        "prod/prod_vg_hard_negs_swap_complexity_4.csv",
        table([*header, "hard_negs"], [*row, "['a bed on a cat', 'a cat in a bed']"]),
    )
    both = [*header, "valid_hard_negs_atom", "valid_hard_negs_comp"]
    write("syst_vg_hard_negs_unseen_compounds_in_cc12m.csv", table(both, [*row, "['a dog on a bed']", "['a cat']"]))
    write("VG_100K/1.jpg", picture())
    write("VG_100K_2/7.jpg", picture(width=20, height=12))
    source = Crepe(tmp_path, tables="prod/*.csv")
    assert source[0].fields == {"negatives": ("a bed on a cat", "a cat in a bed"), "kind": "swap, 4 atoms"}
    assert source[0].images[0].open().size == (8, 6) and source[0].image_id == "VG_100K_2/7.jpg"
    systematic = [Crepe(tmp_path, negatives=kind)[0].fields for kind in ("atom", "comp")]
    assert [fields["negatives"] for fields in systematic] == [("a dog on a bed",), ("a cat",)]
    assert systematic[1]["kind"] == "unseen compounds, comp"
    check_data("crepe", tables="prod/*.csv")
    with pytest.raises(UnknownName, match="'atm'"):
        Crepe(tmp_path, negatives="atm")


@pytest.mark.parametrize("value", ["a bed", "('a',)", "[", "{}"])
def test_a_list_that_is_none_is_named(write, picture, tmp_path, value):
    write("x.csv", table(["image_id", "caption", "hard_negs"], [7, "a cat", value]))
    write("images/7.jpg", picture())
    with pytest.raises(DataError, match=r"x\.csv:2: the value of 'hard_negs' is .*expected a list of captions"):
        len(Crepe(tmp_path))


def test_winoground(write, picture, tmp_path, check_data):
    write("examples.jsonl", [EXAMPLE, {**EXAMPLE, "id": 1, "image_0": "a.jpg"}])
    for name in ("ex_0_img_0.png", "ex_0_img_1.png", "a.jpg"):
        write(f"images/{name}", picture())
    first, second = Winoground(tmp_path)
    assert [image.path for image in first.images] == ["images/ex_0_img_0.png", "images/ex_0_img_1.png"]
    assert first.texts == (EXAMPLE["caption_0"], EXAMPLE["caption_1"]) and second.images[0].path == "images/a.jpg"
    assert first.fields == {"kind": "Relation", "tag": "Adjective-Age", "secondary_tag": "Morpheme-Level"}
    check_data("winoground")
    write("examples.jsonl", [EXAMPLE, EXAMPLE])
    with pytest.raises(DataError, match=r"examples\.jsonl:2: the id '0' is there twice|'0' is there twice"):
        len(Winoground(tmp_path))


def test_winoground_in_its_archive(write, picture, tmp_path):
    write("data/examples.jsonl", [EXAMPLE])
    with zipfile.ZipFile(tmp_path / "data" / "images.zip", "w") as archive:
        for number in range(2):
            archive.writestr(f"images/ex_0_img_{number}.png", picture(width=10 + number))
    assert [image.open().width for image in Winoground(tmp_path)[0].images] == [10, 11]


def test_vsr(write, picture, tmp_path, check_data):
    write("data/splits/zeroshot/test.jsonl", [SENTENCE, {**SENTENCE, "label": 0, "relation": "under"}])
    write("images/x.jpg", picture())
    source = Vsr(tmp_path, split="test", variant="zeroshot")
    assert [(s.name, s.label, s.fields["kind"]) for s in source] == [
        ("test-0", "true", "on"),
        ("test-1", "false", "under"),
    ]
    check_data("vsr", split="test", variant="zeroshot")
    with pytest.raises(UnknownName, match="did you mean 'zeroshot'"):
        Vsr(tmp_path, variant="zero-shot")
    write("data/splits/zeroshot/test.jsonl", [{**SENTENCE, "label": 2}])
    with pytest.raises(DataError, match=r"test\.jsonl:1: the value of 'label' is 2, expected 0 or 1"):
        len(Vsr(tmp_path, split="test", variant="zeroshot"))


def test_the_real_subset_of_vsr(shared, check_data):
    source = CocoMiniVsr(shared / "data" / "coco_mini", strict=True)
    assert len(source) == 34 and sum(sample.label == "true" for sample in source) == 12
    check_data("coco-mini-vsr", shared / "data" / "coco_mini")


def test_files_to_judge_by_have_the_names_of_their_sources(write, picture, tmp_path):
    sugarcrepe(write, picture)
    lines = [{"category": "add_att", "image": "x.jpg", "caption": "a cat", "negative_caption": "a wet cat"}]
    cases = [
        (choices, tmp_path / "add_att.json", ["add_att-0", "add_att-7"]),
        (choices, write("lines.jsonl", lines), ["add_att-0"]),
        (choices, write("visual_genome_attribution.json", [{**RELATION, "attributes": ["a", "b"]}]), ["attribution-0"]),
        (choices, write("a.csv", table(["image_id", "caption", "hard_negs"], [7, "a cat", "['b']"])), ["a-0"]),
        (choices, write("order.json", [{"image": "x.jpg", "caption_options": ["a b", "b a"]}]), ["order-0"]),
        (choices, write("own.jsonl", [{"id": "q", "captions": "a cat", "fields": {"negatives": ["b"]}}]), ["q"]),
        (winoground, write("examples.jsonl", [EXAMPLE]), ["0"]),
        (winoground, write("mine.jsonl", [{"id": "q", "captions": ["a b", "b a"]}]), ["q"]),
        (vsr, write("test.jsonl", [SENTENCE]), ["test-0"]),
        (vsr, write("said.jsonl", [{"id": "q", "captions": "a cat", "label": "true"}]), ["q"]),
    ]
    for module, file, names in cases:
        assert [sample.name for sample in module.annotated(file)] == names
