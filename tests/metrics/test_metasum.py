import pytest
import yaml

from vlzoo.errors import DataError
from vlzoo.metrics.metasum import META_SUM, meta_sum


def test_sums_of_xvlms_ablation(shared):
    rows = yaml.safe_load((shared / "reference" / "published.yaml").read_text())["results"]
    table = [row for row in rows if row["table"] == "xvlm/ablation"]
    for method in {row["method"] for row in table}:
        own = [row for row in table if row["method"] == method]
        (total,) = [row["value"] for row in own if row["metric"] == "meta-sum"]
        parts = [row["value"] for row in own if row["metric"] != "meta-sum"]
        assert len(parts) == len(META_SUM)
        assert meta_sum(dict(zip(META_SUM, parts, strict=True))) == pytest.approx(total, abs=0.051)


def test_seven_figures_are_no_meta_sum():
    with pytest.raises(DataError, match="refcoco\\+ testB accuracy"):
        meta_sum(dict.fromkeys(META_SUM[:-1], 1.0) | {"other": 2.0})
