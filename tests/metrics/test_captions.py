"""Caption scores against pycocoevalcap: recorded cases of our own, and COCO's captions of val2017.

`captions.json` says what it was recorded from. Of COCO each picture's first caption is held against the others; the
official numbers are those of pycocoevalcap 1.2 (with Java 17) on the same file, in its order of pictures.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from vlzoo.metrics.captions import CiderD, bleu_columns, bleu_counts, rouge_l, spoken
from vlzoo.metrics.pooled import bleu
from vlzoo.metrics.ptb import ptb_words

RECORDED = json.loads(Path(__file__).with_name("captions.json").read_text(encoding="utf-8"))
COCO_BLEU = [0.6344705701552054, 0.4373799065113723, 0.29412868702985323, 0.19553851792504892]
COCO_ROUGE, COCO_CIDER = 0.4717583581954499, 0.886544201761606


def figures_of(said, references):
    counts = bleu_counts(said, references)
    bleus = [float(bleu(bleu_columns(counts, n).sum(0))) / 100 for n in (1, 2, 3, 4)]
    return bleus, rouge_l(said, references), CiderD(references)(said, references)


def spoken_references(references):
    words = iter(spoken([text for texts in references for text in texts]))
    return [[next(words) for _ in texts] for texts in references]


@pytest.mark.parametrize("number", range(len(RECORDED["texts"])), ids=RECORDED["texts"])
def test_words_are_those_of_the_official_tokenizer(number):
    texts = [*RECORDED["texts"], ""]
    assert " ".join(ptb_words(*texts[number : number + 2])) == RECORDED["words"][number]


def test_the_next_line_decides_about_a_full_stop():
    # The official program read: "a sign K." before "A dog" -> k; before "dogs" -> k. (recorded by hand, CoreNLP 3.4.1)
    assert spoken(["a sign K.", "A dog"])[0] == "a sign k"
    assert spoken(["a sign K.", "dogs"])[0] == "a sign k."


def test_scores_are_those_of_pycocoevalcap():
    said, references = spoken(RECORDED["said"]), spoken_references(RECORDED["references"])
    bleus, rouges, ciders = figures_of(said, references)
    assert bleus == pytest.approx(RECORDED["bleu"], abs=1e-9)
    assert rouges == pytest.approx(RECORDED["rouge"], abs=1e-9)
    assert ciders == pytest.approx(RECORDED["cider"], abs=1e-9)


def test_scores_of_5000_coco_pictures_are_those_of_pycocoevalcap(shared):
    with gzip.open(shared / "data/eval_fixtures/coco_captions_val2017.json.gz") as opened:
        held = json.load(opened)
    captions = {image["id"]: [] for image in held["images"]}
    for each in held["annotations"]:
        captions[each["image_id"]].append(each["caption"])
    said = spoken([texts[0] for texts in captions.values()])
    references = spoken_references([texts[1:] for texts in captions.values()])
    bleus, rouges, ciders = figures_of(said, references)
    assert bleus == pytest.approx(COCO_BLEU, abs=1e-9)
    assert rouges.mean() == pytest.approx(COCO_ROUGE, abs=1e-9)
    assert ciders.mean() == pytest.approx(COCO_CIDER, abs=1e-9)


def test_a_caption_that_is_a_reference_has_the_most_of_everything():
    references = [["a red dog runs fast"], ["two cats sleep on it"]]
    bleus, rouges, ciders = figures_of([each[0] for each in references], references)
    assert bleus == pytest.approx([1.0] * 4)
    assert rouges.tolist() == [1.0, 1.0]
    assert ciders == pytest.approx([10.0, 10.0])


def test_of_one_picture_no_word_is_rare():
    assert CiderD([["a dog"]])(["a dog"], [["a dog"]]).tolist() == [0.0]


def test_counts_are_numbers_of_one_picture_each():
    # Said 2 words; right: both words, one pair; the nearest reference has 3 words.
    assert bleu_counts(["a dog"], [["a dog runs", "dogs run over the hill"]]).tolist() == [
        [2, 1, 0, 0, 2, 1, 0, 0, 2, 3],
    ]
    assert np.array_equal(bleu_columns(np.arange(10.0)[None], 2), [[0, 1, 4, 5, 8, 9]])
