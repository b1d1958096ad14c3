"""Sentences with a label: class numbers, and predictions matched to samples."""

from __future__ import annotations

import pytest

from vlzoo.bench.tasks.labelled import in_order
from vlzoo.bench.tasks.nlvr2 import Nlvr2
from vlzoo.bench.tasks.snli_ve import SnliVe
from vlzoo.data.records import Sample
from vlzoo.errors import DataError, PredictionError


class Source(list):
    """Samples with a name."""

    name = "tiny/test"

    def fingerprint(self):
        return "0"


def test_classes_are_numbered_as_in_the_official_code():
    # ALBEF `VE.py`: contradiction 0, neutral 1, entailment 2; `NLVR.py`: class 1 means true.
    numbers = [SnliVe().number(Sample("a", label=label)) for label in ("contradiction", "neutral", "entailment")]
    assert numbers == [0, 1, 2]
    assert [Nlvr2().number(Sample("a", label=label)) for label in ("false", "true")] == [0, 1]


@pytest.mark.parametrize(("label", "said"), [("entailed", "did you mean 'entailment'"), (None, "None is no class")])
def test_another_label_is_named_with_its_sample(label, said):
    with pytest.raises(DataError, match="sample x7") as caught:
        SnliVe().number(Sample("x7", label=label))
    assert said in str(caught.value)


def test_nlvr2_counts_examples_and_whole_sentences():
    truth = {"s1": ["true", "false"], "s2": ["true", "true"], "s3": ["false"]}
    source = Source(
        Sample(f"{group}-{i}", label=label, group=group)
        for group, labels in truth.items()
        for i, label in enumerate(labels)
    )
    rows = {sample.name: {"name": sample.name, "prediction": sample.label} for sample in source}
    rows["s2-1"]["prediction"] = "false"
    accuracy, consistency = Nlvr2().score(source, rows, "official").scores
    # Four of five examples; sentences s1 and s3 of three.
    assert accuracy.value == pytest.approx(80.0) and accuracy.samples == 5
    assert consistency.value == pytest.approx(200 / 3) and consistency.samples == 3


def test_predictions_that_miss_or_are_of_other_data_are_refused():
    source = Source([Sample("a", label="true"), Sample("b", label="true")])
    with pytest.raises(PredictionError, match=r"1 predictions missing \(b\), 1 unknown \(c\)"):
        in_order(source, {"a": {}, "c": {}})
