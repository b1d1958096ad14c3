"""Sources of tests of composition that show one picture: SugarCrepe, ARO, CREPE, and a small part of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlzoo.data.cards import Card
from vlzoo.data.expected import Expected
from vlzoo.data.paths import matching
from vlzoo.data.readers.choices import Case, Choices, aro, aro_order, crepe, sugarcrepe
from vlzoo.data.readers.task import joined
from vlzoo.data.reading import first_existing
from vlzoo.errors import UnknownName, did_you_mean

COCO_LICENCE = "the pictures are under the Flickr licences of their authors"
SUGARCREPE = ("add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")
VG = "the pictures are Visual Genome's, under their authors' licences"


class SugarCrepe(Choices):
    """SugarCrepe: captions of COCO with one change that reads as well as they do.

    Args:
        root: the folder with the seven files and the pictures of COCO's val2017.
        subsets: comma-separated, of add_att, add_obj, replace_att, replace_obj, replace_rel, swap_att, swap_obj; all.
        annotations: folder below the root that holds the files; empty: the root, or `data`.
        images: folder below the root that holds the pictures; empty: `val2017` or `images`.
        pictures: False reads texts alone.
    """

    folders = ("", "data", "annotations")
    picture_folders = ("val2017", "images")
    card = Card(
        "sugarcrepe",
        "SugarCrepe, captions of COCO with one fluent change that is wrong",
        f"MIT (texts); {COCO_LICENCE}",
        "https://github.com/RAIVNLab/sugar-crepe",
        "Hsieh et al. 2023, SugarCrepe",
        {"test": {"examples": 7_512}},
        ("add_att.json ... swap_obj.json    seven files, also in data/", "val2017/*.jpg    COCO's pictures of 2017"),
        "data/ of github.com/RAIVNLab/sugar-crepe; val2017.zip of cocodataset.org",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        subsets: str = "",
        annotations: str = "",
        images: str = "",
        pictures: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(root, annotations=annotations, images=images, pictures=pictures, **options)
        self.subsets = tuple(dict.fromkeys(each.strip() for each in subsets.split(","))) if subsets else SUGARCREPE
        for each in self.subsets:
            if each not in SUGARCREPE:
                fix = did_you_mean(each, SUGARCREPE, what="subsets")
                raise UnknownName(f"SugarCrepe has no subset {each!r}", fix=fix)

    @property
    def official(self) -> Mapping[str, int]:
        """The size of all subsets; none is stated for some of them."""
        return super().official if set(self.subsets) == set(SUGARCREPE) else {}

    def _places(self) -> list[str]:
        return [self.located(f"{subset}.json") for subset in self.subsets]

    def files(self) -> Sequence[Expected]:
        """A file for each subset, and the pictures."""
        return self.expected([Expected(place, "a caption and a wrong one each") for place in self._places()])

    def cases(self) -> Iterator[Case]:
        """The subsets, one after the other."""
        for place in self._places():
            yield from sugarcrepe(self.place(place))


class CocoMiniSugarCrepe(Choices):
    """The rows of SugarCrepe that speak of the 336 photos of coco-mini.

    Args:
        root: the folder with `sugarcrepe_subset.jsonl` and `images`.
    """

    card = Card(
        "coco-mini-sugarcrepe",
        "319 rows of SugarCrepe about 72 COCO photos of 224 px",
        f"MIT (texts); {COCO_LICENCE}, of each in ATTRIBUTION.tsv",
        "https://github.com/RAIVNLab/sugar-crepe",
        "Hsieh et al. 2023, SugarCrepe",
        {"test": {"examples": 319}},
        ("sugarcrepe_subset.jsonl    category, image, caption, negative_caption", "images/*.jpg"),
    )

    def files(self) -> Sequence[Expected]:
        """The lines, and the pictures."""
        return self.expected([Expected(self.located("sugarcrepe_subset.jsonl"), "a caption and a wrong one each")])

    def cases(self) -> Iterator[Case]:
        """The lines."""
        return sugarcrepe(self.place(self.located("sugarcrepe_subset.jsonl")))


class AroRelation(Choices):
    """ARO, Visual Genome Relation: what stands on either side of a relation changes places.

    Args:
        root: the folder with the json and `images`.
    """

    file = "visual_genome_relation.json"
    card = Card(
        "aro-relation",
        "ARO: Visual Genome's relations with their ends in either order",
        f"MIT (texts); {VG}",
        "https://github.com/mertyg/vision-language-models-are-bows",
        "Yuksekgonul et al. 2023, When and Why Vision-Language Models Behave like Bags-of-Words",
        {"test": {"examples": 23_937}},
        ("visual_genome_relation.json    captions and boxes; the box is cut out", "images/*.jpg"),
        "links in dataset_zoo/aro_datasets.py of the homepage",
    )

    def files(self) -> Sequence[Expected]:
        """The json, and the pictures."""
        return self.expected([Expected(self.located(self.file), "captions, right and wrong, with boxes")])

    def cases(self) -> Iterator[Case]:
        """The entries."""
        return aro(self.place(self.located(self.file)))


class AroAttribution(AroRelation):
    """ARO, Visual Genome Attribution: the attributes of two things change places.

    Args:
        root: the folder with the json and `images`.
    """

    file = "visual_genome_attribution.json"
    card = Card(
        "aro-attribution",
        "ARO: Visual Genome's things with the attributes of each other",
        f"MIT (texts); {VG}",
        "https://github.com/mertyg/vision-language-models-are-bows",
        "Yuksekgonul et al. 2023, When and Why Vision-Language Models Behave like Bags-of-Words",
        {"test": {"examples": 28_748}},
        ("visual_genome_attribution.json    captions and boxes; the box is cut out", "images/*.jpg"),
        "links in dataset_zoo/aro_datasets.py of the homepage",
    )


class AroOrder(Choices):
    """ARO, COCO-Order and Flickr-Order: a caption against its words in other orders.

    Args:
        root: the folder that paths of pictures are below.
        file: the list, below the root.
    """

    card = Card(
        "aro-order",
        "ARO: captions of COCO or Flickr30K against their words in other orders",
        f"MIT (code); {COCO_LICENCE}",
        "https://github.com/mertyg/vision-language-models-are-bows",
        "Yuksekgonul et al. 2023, When and Why Vision-Language Models Behave like Bags-of-Words",
        layout=("order.json    [{image, caption_options: [caption, shuffled, ...]}, ...]", "the pictures it names"),
        get="json.dump(COCO_Order(...).test_cases) of its code, which shuffles anew each time",
        note="there is no release of the shuffled captions: figures of two such files differ a little",
    )

    def __init__(self, root: str | Path, *, file: str = "order.json", **options: Any) -> None:
        super().__init__(root, **options)
        self.file = file

    def picture(self, image: str) -> str:
        """As the list has it, below `images` where that is given."""
        return joined(self.images, image)

    def files(self) -> Sequence[Expected]:
        """The list."""
        return [Expected(self.located(self.file), "captions with their words shuffled")]

    def cases(self) -> Iterator[Case]:
        """The entries."""
        return aro_order(self.place(self.located(self.file)))


class Crepe(Choices):
    """CREPE: a region of Visual Genome with its caption and many wrong ones.

    Args:
        root: the folder with the tables and the folders of pictures.
        tables: tables below the root; `*` stands for any part of a name.
        negatives: which wrong captions of a table of the systematicity test: atom or comp; empty: those there are.
    """

    card = Card(
        "crepe",
        "CREPE: captions of Visual Genome with wrong atoms, swaps, negations and compounds",
        f"see its homepage (texts); {VG}",
        "https://github.com/RAIVNLab/CREPE",
        "Ma et al. 2023, CREPE: Can Vision-Language Foundation Models Reason Compositionally?",
        layout=(
            "prod_hard_negatives/swap/prod_vg_hard_negs_swap_complexity_4.csv    any csv with image_id, caption,",
            "    hard_negs or valid_hard_negs_atom and valid_hard_negs_comp, and perhaps x, y, width, height",
            "VG_100K/*.jpg, VG_100K_2/*.jpg",
        ),
        get="the links on its homepage; the pictures of Visual Genome",
    )
    picture_folders = ("VG_100K", "images")

    def __init__(self, root: str | Path, *, tables: str = "*.csv", negatives: str = "", **options: Any) -> None:
        super().__init__(root, **options)
        self.tables, self.negatives = tables, negatives
        if negatives not in ("", "atom", "comp"):
            fix = did_you_mean(negatives, ("atom", "comp"), what="kinds")
            raise UnknownName(f"CREPE has no wrong captions called {negatives!r}", fix=fix)

    def _places(self) -> list[str]:
        return matching(self.root, self.tables) or [self.tables]

    def files(self) -> Sequence[Expected]:
        """The tables, by name, and the pictures."""
        return self.expected([Expected(place, "captions with wrong ones") for place in self._places()])

    def cases(self) -> Iterator[Case]:
        """The rows of all tables."""
        column = f"valid_hard_negs_{self.negatives}" if self.negatives else ""
        for place in self._places():
            yield from crepe(self.place(place), column)

    def picture(self, image: str) -> str:
        """In `VG_100K`, or where it is not there in `VG_100K_2`."""
        return first_existing(self.root, (f"{self.picture_folder()}/{image}", f"VG_100K_2/{image}"))
