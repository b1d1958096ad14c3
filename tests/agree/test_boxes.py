import json

from vlzoo.agree.boxes import agree


def test_the_worst_example_counts(tmp_path):
    path = tmp_path / "xvlm_bbox_other.json"
    path.write_text(
        json.dumps({"computeIoU": [[[0, 0, 10, 10], [0, 0, 10, 5], 0.5], [[0, 0, 2, 2], [5, 5, 2, 2], 0.25]]})
    )
    (check,) = agree(path)
    assert (check.quantity, check.difference, check.compared, check.ok) == (
        "xvlm_bbox_other/computeIoU",
        0.25,
        2,
        False,
    )
