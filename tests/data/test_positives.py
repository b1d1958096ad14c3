"""Further right answers of COCO, in the form of their releases."""

from __future__ import annotations

import pytest

from vlzoo.data.positives import read_positives
from vlzoo.errors import DataError

HEAD = "caption,image,agg_score,sampling_method\n"


def test_eccv_caption_is_read_by_either_of_its_files(write, tmp_path):
    write("eccv_image_to_caption.json", {"7": [70, 71]})
    write("eccv_caption_to_image.json", {"70": [7], "71": [7, 8]})
    for side in ("image_to_caption", "caption_to_image"):
        found = read_positives(tmp_path / f"eccv_{side}.json")
        assert found.name == "ECCV" and found.captions == {"7": {"70", "71"}}
        assert found.images == {"70": {"7"}, "71": {"7", "8"}}


def test_cxc_counts_from_three(write, tmp_path):
    rows = [
        "sentid:70,COCO_val2014_000000000007.jpg,3.0,c2i_original",
        "sentid:70,COCO_val2014_000000000008.jpg,2.99,x",
    ]
    write("sits_test.csv", HEAD + "".join(f"COCO_val2014:{row}\n" for row in rows))
    found = read_positives(tmp_path / "sits_test.csv")
    assert (found.name, found.captions, found.images) == ("CxC", {"7": {"70"}}, {"70": {"7"}})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.json", {"7": [1]}, "is called ..._image_to_caption.json"),
        ("eccv_image_to_caption.json", {"7": [1]}, "eccv_caption_to_image.json: there is no such file"),
        ("eccv_image_to_caption.json", {"7": 1}, "the right answers is 1, expected a list"),
        ("eccv_image_to_caption.json", {"7": [1.5]}, "the id 1.5 is no whole number"),
        ("sits_test.csv", HEAD + "a,b,3,x\n", "'a' ends with no id of COCO"),
        ("sits_test.csv", HEAD + "s:1,i_2.jpg,high,x\n", "the score 'high' is no number"),
        ("sits_test.csv", "caption,picture\ns:1,i_2.jpg\n", "no key 'image'"),
    ],
)
def test_files_of_another_form_are_refused(write, tmp_path, name, content, words):
    file = write(name, content)
    with pytest.raises(DataError, match=words.replace("...", r"\.\.\.")):
        read_positives(file)
