"""Data `detected`: a data source whose pictures come with the regions of a gallery. No torch here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlzoo.config.schema import PartRef
from vlzoo.data.cards import Card
from vlzoo.data.features import FeatureRef, Features
from vlzoo.data.mixture import Mixture
from vlzoo.data.records import ImageRef, Sample
from vlzoo.data.roots import open_source
from vlzoo.data_parts import Pairing
from vlzoo.errors import DataError
from vlzoo_vlmixer.pictures import shown_in
from vlzoo_vlmixer.regions import Regions, open_regions
from vlzoo_vlmixer.shards import read_header

if TYPE_CHECKING:
    from PIL.Image import Image

NAMED = 3
"""How many pictures without regions are named."""


@dataclass(frozen=True)
class InGallery(FeatureRef):
    """A picture whose regions are in a gallery; they are read when they are asked for.

    Attributes:
        image: the picture.
        regions: of the gallery.
        source: the data that the picture is of, without the split.
        image_id: its id there.
        least: the least score of a region.
        most: the most regions, the surest first; None: all.
    """

    image: ImageRef
    regions: Regions
    source: str
    image_id: str
    least: float = 0.0
    most: int | None = None

    @property
    def name(self) -> str:
        """The picture's."""
        return self.image.name

    def open(self) -> Image:
        """The decoded picture."""
        return self.image.open()

    def features(self) -> Features:
        """The regions with labels and scores.

        Raises:
            DataError: nobody looked for any in this picture.
        """
        return self.regions.of_picture(self.source, self.image_id, self.image.name).best(self.least, self.most)


class WithRegions:
    """A source whose pictures come with the regions of a gallery, found by the data's name and the picture's id.

    Pictures of other data than the gallery's are the same where their files have the same name: questions about COCO's
    pictures find what was detected for its captions.

    >>> both = WithRegions(source, open_regions(folder))
    >>> both[0].images[0].features().labels
    ('cat', 'dog')

    Args:
        source: the data.
        regions: of the gallery.
        least: the least score of a region.
        most: the most regions of a picture, the surest first; None: all.
    """

    def __init__(self, source: Any, regions: Regions, *, least: float = 0.0, most: int | None = None) -> None:
        self.source, self.regions, self.least, self.most = source, regions, least, most
        self.name, self.licence, self.split = source.name, source.licence, getattr(source, "split", "")
        self.pairing: Pairing = source.pairing

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        return self._joined(self.source[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self._joined(sample) for sample in self.source)

    def _joined(self, sample: Sample) -> Sample:
        images = [
            InGallery(shown.image, self.regions, shown.source, shown.image_id, self.least, self.most)
            for shown in shown_in(self.source, sample)
        ]
        return replace(sample, images=tuple(images))

    def fingerprint(self) -> str:
        """A hash of the source's and of what the gallery was made of."""
        header = json.dumps(asdict(read_header(self.regions.folder)), sort_keys=True)
        facts = f"{self.source.fingerprint()} {header} {self.least} {self.most}"
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def describe(self) -> str:
        """One line: the source's, and the gallery."""
        about = getattr(self.source, "describe", lambda: self.name)()
        return f"{about}; regions of {self.regions.folder.name}, {self.regions.width} wide"

    def missing(self) -> list[str]:
        """What is missing of the data, and the pictures in which nobody looked for regions; a line each."""
        if lines := list(getattr(self.source, "missing", list)()):
            return lines
        absent: dict[str, None] = {}
        for sample in self.source:
            for shown in shown_in(self.source, sample):
                try:
                    self.regions.number(shown.source, shown.image_id, shown.image.name)
                except DataError:
                    absent[shown.image.name] = None
        more = [f"... and {len(absent) - NAMED:,} more"] if len(absent) > NAMED else []
        return [f"regions of {name}: missing" for name in [*absent][:NAMED]] + more


def open_detected(
    root: str = ".",
    *,
    of: str | Mapping[str, Any],
    gallery: str | Path,
    split: str | None = None,
    least: float = 0.0,
    most: int | None = 50,
) -> Any:
    """A data source whose pictures come with the regions of a gallery, for encoders of regions.

    Args:
        root: the folder that holds the data's folder, or the data's folder itself.
        of: the data: a name, or `{part: NAME, ...}` with its options; a mixture, too.
        gallery: of `vlzoo detect`, below the root or a whole path; `{split}` in it stands for the split.
        split: of the data; None: its own default.
        least: the least score of a region.
        most: the most regions of a picture, the surest first; None: all.

    Raises:
        DataError: there is no such data or gallery, or the gallery is not whole.
        UnknownName: no such source or option.
    """
    ref = PartRef.model_validate({"part": of} if isinstance(of, str) else dict(of))
    named = ref.options.get("root") or next((name for name in _folders(ref.part) if Path(root, name).exists()), ".")
    options = {**ref.options, "root": named}
    changes = {"split": split} if split is not None else {}
    source = open_source(PartRef.model_validate({"part": ref.part, **options}), root, **changes)
    place = str(gallery).replace("{split}", split or str(getattr(source, "split", "")))
    regions = open_regions(Path(root, place))
    if isinstance(source, Mixture):
        parts = {name: WithRegions(part, regions, least=least, most=most) for name, part in source.sources.items()}
        return Mixture(parts, source.weights, name=source.name, seed=source.seed)
    return WithRegions(source, regions, least=least, most=most)


def _folders(name: str) -> Sequence[str]:
    """The folders that a source's data may lie in, below the data root."""
    return (name, name.replace("-", "_"), name.partition("-")[0])


# `vlzoo data list` reads the card of what is registered.
open_detected.card = Card(  # type: ignore[attr-defined]
    "detected",
    "a data source with a detector's regions",
    "that of the data",
    layout=("the data's own files", "a gallery: `vlzoo detect --images DATA --detector D --out GALLERY`"),
)
