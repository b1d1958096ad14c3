"""NLVR2 and NLVR v1 in their true forms, and on the reference data with the sizes of the publications."""

from __future__ import annotations

import itertools
import json

import pytest
from PIL import Image

from vlzoo.data.readers.nlvr import Nlvr2, Nlvr2Albef, annotated
from vlzoo.data.readers.nlvr_v1 import Nlvr, scene_regions
from vlzoo.data.readers.nlvr_v1 import annotated as annotated_v1
from vlzoo.errors import DataError

small = pytest.mark.filterwarnings("ignore::vlzoo.data.sources.SizeWarning")


def line(identifier: str, label: str = "True", **more) -> dict:
    sentence = f"There are exactly {identifier[-1]} bottles in the right image."
    urls = {"left_url": "https://x/1.jpg", "right_url": "https://x/2.jpg", "synset": "bottle", "query": "bottles4"}
    return {"identifier": identifier, "sentence": sentence, "label": label, "validation": {"1": "True"}, **urls, **more}


def write(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def nlvr2(tmp_path):
    # The official files are json lines although their names end in .json; train has numbered directories.
    dev = [line("dev-850-0-0"), line("dev-850-2-0", "False"), line("dev-850-0-1"), line("dev-9-0-0")]
    write(tmp_path / "data" / "dev.json", dev)
    write(tmp_path / "data" / "balanced" / "balanced_dev.json", dev[:2])
    write(tmp_path / "data" / "train.json", [line("train-10171-0-0", directory=35), line("train-1-0-1", directory="4")])
    (tmp_path / "dev").mkdir()
    Image.new("RGB", (9, 5)).save(tmp_path / "dev" / "dev-850-0-img1.png")
    (tmp_path / "images" / "train").mkdir(parents=True)
    return tmp_path


@small
def test_two_pictures_and_a_sentence(nlvr2):
    source = Nlvr2(nlvr2, split="dev")
    first, second, third, _ = source
    assert first.name == "dev-850-0-0" and (first.label, second.label) == ("true", "false")
    assert [image.path for image in second.images] == ["dev/dev-850-2-img0.png", "dev/dev-850-2-img1.png"]
    assert first.images[1].open().size == (9, 5)
    # A group is one sentence of a set about several pairs: the pair does not count, the sentence does.
    assert first.group == second.group != third.group
    assert first.image_id == third.image_id != second.image_id


@small
def test_training_pictures_lie_in_numbered_directories(nlvr2):
    first, second = Nlvr2(nlvr2, split="train")
    assert first.images[0].path == "images/train/35/train-10171-0-img0.png"
    assert second.images[1].path == "images/train/4/train-1-0-img1.png"


@small
def test_subsets_show_the_pictures_of_their_split(nlvr2):
    source = Nlvr2(nlvr2, split="balanced-dev")
    assert len(source) == 2 and source[0].images[0].path == "dev/dev-850-0-img0.png"


@small
@pytest.mark.parametrize(
    ("row", "told"),
    [
        (line("dev-850-0-0"), "dev.json:5: identifier 'dev-850-0-0' is there twice"),
        (line("dev-1-0-0", "Maybe"), "dev.json:5: the label is 'Maybe'"),
        (line("dev-1"), "'dev-1' is not an NLVR2 identifier"),
        ({"identifier": "dev-1-0-0", "label": "True"}, "no key 'sentence'"),
        ({"identifier": "dev-1-0-0", "sentence": "A."}, "no key 'label'"),
    ],
)
def test_what_is_wrong_is_named(nlvr2, row, told):
    with (nlvr2 / "data" / "dev.json").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=told):
        len(Nlvr2(nlvr2, split="dev"))


@small
def test_a_training_line_without_directory_is_named(nlvr2):
    write(nlvr2 / "data" / "train.json", [line("train-1-0-0")])
    with pytest.raises(DataError, match=r"train\.json:1: no key 'directory'"):
        len(Nlvr2(nlvr2))


@small
def test_albef_list(tmp_path):
    names = [f"dev/dev-850-0-img{side}.png" for side in (0, 1)]
    rows = [
        {"sentence": "Two dogs.", "label": "True", "images": names},
        {"sentence": "A cat.", "label": "False", "images": names},
    ]
    (tmp_path / "nlvr_dev.json").write_text(json.dumps(rows))
    first, second = Nlvr2Albef(tmp_path, split="dev")
    assert [image.path for image in first.images] == names
    assert (first.name, first.label, second.label) == ("dev-0", "true", "false")
    assert first.group != second.group and "identifier" not in first.fields
    rows[1]["images"] = names[:1]
    (tmp_path / "nlvr_dev.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"nlvr_dev.json\[1\]: 1 pictures, expected two"):
        len(Nlvr2Albef(tmp_path, split="dev"))


@small
def test_albef_list_of_other_pictures_names_no_groups(tmp_path):
    rows = [{"sentence": "Half \ud800.", "label": True, "images": ["dev/dev-850-0-img0.png", "dev/dev-850-0-img1.png"]}]
    rows.append({"sentence": "A.", "label": False, "images": ["a.png", "dev/dev-850-0-img1.png"]})
    rows.append({"sentence": "A.", "label": False, "images": ["dev/dev-850-0-img0.png", "dev/dev-850-1-img1.png"]})
    (tmp_path / "nlvr_dev.json").write_text(json.dumps(rows))
    assert [sample.group for sample in Nlvr2Albef(tmp_path, split="dev")] == ["dev-850 Half ?.", None, None]


@small
def test_contrast_sets_have_pictures_and_groups_of_their_own(nlvr2):
    # allenai/contrast-sets nlvr2/README.md: `{identifier}-img{0/1}`.
    write(nlvr2 / "data" / "test1.json", [line("test1-769-1-0-1"), line("test1-769-1-0-2"), line("test1-769-2-0-1")])
    samples = list(Nlvr2(nlvr2, split="test1", pictures=False))
    assert [sample.group for sample in samples] == ["test1-769-1-0", "test1-769-1-0", "test1-769-2-0"]
    assert samples[0].image_id.split("|")[1].endswith("/test1-769-1-0-1-img1.png")


@small
@pytest.mark.parametrize("strange", ["dev-850-0-0.png", "850-0-0", "dev-850-0", "dev-0850-0-0", "valid-1-0-0", 7])
def test_scorer_and_reader_refuse_the_same_identifiers(nlvr2, strange):
    file = nlvr2 / "data" / "dev.json"
    write(file, [{**line("dev-1-0-0"), "identifier": strange}])
    with pytest.raises(DataError, match=r"dev\.json:1: .* is not an NLVR2 identifier") as reader:
        len(Nlvr2(nlvr2, split="dev", pictures=False))
    with pytest.raises(DataError) as scorer:
        list(annotated(file))
    assert str(scorer.value) == str(reader.value)


@small
def test_a_list_called_as_lines_and_a_damaged_subset(nlvr2):
    rows = [line("dev-1-0-0"), line("dev-1-1-0")]
    (nlvr2 / "data" / "dev.json").write_text(json.dumps(rows))  # one list, where the official file has lines
    source = Nlvr2(nlvr2, split="dev", pictures=False)
    assert len(source) == 2
    write(nlvr2 / "data" / "balanced" / "balanced_dev.json", [line("dev-1-0-0", "Maybe")])
    with pytest.raises(DataError, match=r"balanced_dev\.json:1: the label is 'Maybe'"):
        source.subsets()


@pytest.mark.parametrize(
    ("split", "size", "groups"), [("dev", 6_982, 2_018), ("balanced-dev", 2_300, None), ("unbalanced-dev", 3_562, None)]
)
def test_reference_nlvr2_has_the_published_sizes(shared, split, size, groups):
    # PEERS.md D.2: dev 6,982 examples in 2,018 groups, balanced 2,300, unbalanced 3,562.
    source = Nlvr2(shared / "data" / "eval_fixtures", split=split, pictures=False, strict=True)
    assert len(source) == size and f"{size:,} sentences (official: {size:,} sentences)" in source.describe()
    if groups:
        assert len({sample.group for sample in source}) == groups
        # The same table: "all True" scores 0.5085935262102549.
        assert sum(sample.label == "true" for sample in source) / size == 0.5085935262102549


ITEM = {"y_loc": 80, "type": "square", "color": "Yellow", "x_loc": 40, "size": 20}
SCENE = [[ITEM], [], [{**ITEM, "color": "#0099ff", "type": "circle"}]]


@pytest.fixture
def nlvr(tmp_path):
    rows = [
        {
            "identifier": "3304-0",
            "label": "true",
            "sentence": "A tower.",
            "directory": "66",
            "structured_rep": SCENE,
            "evals": {},
        },
        {"identifier": "3304-1", "label": "false", "sentence": "A tower.", "directory": "2"},
    ]
    write(tmp_path / "dev" / "dev.json", rows)
    (tmp_path / "dev" / "images" / "66").mkdir(parents=True)
    Image.new("RGB", (400, 100)).save(tmp_path / "dev" / "images" / "66" / "dev-3304-0-3.png")
    return tmp_path


@small
def test_six_samples_an_example_in_the_official_folders(nlvr):
    source = Nlvr(nlvr, split="dev")
    assert len(source) == 12 and source.sizes == {"examples": 2, "images": 12}
    sample = source[3]
    assert sample.name == "dev-3304-0-3" and sample.label == "true"
    assert sample.images[0].open().size == (400, 100)
    assert sample.fields == {"identifier": "3304-0", "image": 3}
    assert {one.group for one in source} == {"3304"} and len({one.name for one in source}) == 12
    assert source[6].regions == ()  # no structured_rep in this line


def test_regions_follow_the_permutation():
    # ATTRIBUTION.txt of the reference data: picture k shows the boxes in the order permutations(range(3))[k].
    for image, order in enumerate(itertools.permutations(range(3))):
        found = {region.text: region.box for region in scene_regions(SCENE, image)}
        assert found["yellow square"] == (150 * order.index(0) + 40, 80, 20, 20)
        assert found["blue circle"] == (150 * order.index(2) + 40, 80, 20, 20)


@small
@pytest.mark.parametrize(
    ("scene", "told"),
    [
        ([[], []], "2 boxes in structured_rep"),
        ([[{**ITEM, "size": "big"}], [], []], "'size' is 'big'"),
        ([[{}], [], []], "no key 'size'"),
    ],
)
def test_a_malformed_scene_is_named(nlvr, scene, told):
    write(
        nlvr / "dev" / "dev.json",
        [{"identifier": "1-0", "label": "true", "sentence": "A.", "directory": "1", "structured_rep": scene}],
    )
    with pytest.raises(DataError, match=told) as caught:
        len(Nlvr(nlvr, split="dev"))
    assert "dev.json:1" in str(caught.value)


@small
@pytest.mark.parametrize("strange", ["1572", "dev-1572-0", "1572-0-5", "a-0", 7])
def test_scorer_and_reader_of_nlvr_refuse_the_same_identifiers(nlvr, strange):
    file = nlvr / "dev" / "dev.json"
    write(file, [{"identifier": strange, "label": "true", "sentence": "A.", "directory": "1"}])
    with pytest.raises(DataError, match=r"dev\.json:1: .* is no identifier of NLVR") as reader:
        len(Nlvr(nlvr, split="dev", pictures=False))
    with pytest.raises(DataError) as scorer:
        list(annotated_v1(file))
    assert str(scorer.value) == str(reader.value)


@pytest.mark.parametrize(("split", "examples", "groups"), [("dev", 989, 267), ("test", 990, 266)])
def test_reference_nlvr_has_the_published_sizes(shared, split, examples, groups):
    source = Nlvr(shared / "data" / "nlvr_v1", split=split, strict=True)
    assert len(source) == 6 * examples and source.sizes == {"examples": examples, "images": 6 * examples}
    # Consistency of "all true" in eval_fixtures/README.txt is 17/267 and 29/266.
    samples = list(source)
    assert len({sample.group for sample in samples}) == groups
    true = {sample.group for sample in samples} - {sample.group for sample in samples if sample.label == "false"}
    expected = {"dev": 0.06367041198501873, "test": 0.10902255639097744}[split]
    assert len(true) / groups == expected


def test_reference_boxes_lie_on_their_objects(shared):
    # The centre of every square and circle that nothing covers has its colour in the picture itself.
    source = Nlvr(shared / "data" / "nlvr_v1", split="dev")
    colours = {"yellow": (255, 255, 0), "blue": (0, 153, 255), "black": (0, 0, 0)}
    checked = 0
    for index in range(0, len(source), 401):
        sample = source[index]
        picture = sample.images[0].open()
        for region in sample.regions:
            x, y, width, height = region.box
            colour, shape = region.text.split()
            if shape != "triangle":
                pixel = picture.getpixel((int(x + width / 2), int(y + height / 2)))
                assert max(abs(a - b) for a, b in zip(pixel, colours[colour], strict=True)) < 60, (sample.name, region)
                checked += 1
    assert checked > 50


def test_reference_train_tells_that_it_is_a_part(shared):
    with pytest.warns(UserWarning, match="1,000 examples, officially 12,409"):
        assert len(Nlvr(shared / "data" / "nlvr_v1")) == 6_000


@small
def test_nlvr_keeps_what_sources_promise(nlvr, check_data):
    check_data("nlvr", split="dev")


@small
def test_nlvr2_and_its_lists_keep_what_sources_promise(nlvr2, check_data):
    check_data("nlvr2", split="dev")
    names = [f"dev/dev-850-0-img{side}.png" for side in (0, 1)]
    (nlvr2 / "nlvr_dev.json").write_text(json.dumps([{"sentence": "Two dogs.", "label": "True", "images": names}]))
    check_data("nlvr2-albef", split="dev")
