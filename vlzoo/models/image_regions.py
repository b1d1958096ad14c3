"""A detector's regions as image tokens: features and boxes projected and summed (UNITER, Chen et al. 2020; Oscar, Li et
al. 2020).

Legend: M images, R regions, F width of the features, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor, nn

from vlzoo.errors import DataError, UnknownName, VlzooError, did_you_mean
from vlzoo.interfaces import ImageEncoder
from vlzoo.models.blocks import EPSILON, init_bert
from vlzoo.models.boxes import box_numbers, corners_and_sides
from vlzoo.models.embedding import EmbeddingEncoder
from vlzoo.types import Tokens

if TYPE_CHECKING:
    from vlzoo.models.assemble import Model

LAYOUTS = {"uniter": 7, "vinvl": 6}
"""How many numbers a box is told by."""


class RegionEncoder(ImageEncoder):
    """Region features and boxes to tokens; `pooled` is the mean of the real ones.

    >>> encoder = RegionEncoder(features=16, width=8, layout="vinvl")
    >>> boxes = torch.tensor([[[0.0, 0.0, 0.5, 1.0]] * 3])
    >>> encoder({"features": torch.zeros(1, 3, 16), "boxes": boxes, "mask": torch.ones(1, 3) > 0}).x.shape
    torch.Size([1, 3, 8])

    Args:
        features: F, width of the detector's features.
        width: D of the tokens it gives.
        dropout: chance of dropping a number.
        layout: `uniter`: corners, width, height and area, feature and box each normalised before they are summed;
            `vinvl`: corners, width and height, summed as they are: one linear map of feature and box together (Oscar).
        places: add the text encoder's position vector to a region that stands at a place in a text, as the patches of a
            mixed sentence may.

    Raises:
        UnknownName: there is no such layout.
    """

    input: ClassVar[Literal["image", "regions"]] = "regions"

    def __init__(
        self,
        *,
        features: int = 2048,
        width: int = 768,
        dropout: float = 0.1,
        layout: Literal["uniter", "vinvl"] = "uniter",
        places: bool = False,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            fix = did_you_mean(str(layout), LAYOUTS, what="layouts")
            raise UnknownName(f"layout can't be {layout!r}", where="image_encoder regions", fix=fix)
        self.features, self.width, self.layout, self.places = features, width, layout, places
        self.feature, self.box = nn.Linear(features, width), nn.Linear(LAYOUTS[layout], width)
        if layout == "uniter":
            self.feature_norm, self.box_norm = (nn.LayerNorm(width, eps=EPSILON) for _ in range(2))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.apply(init_bert)
        self.position: nn.Embedding | None = None

    def meet(self, model: Model) -> None:
        """Take over the text encoder's positions, where regions have places.

        Raises:
            VlzooError: the text encoder has no such table of this width.
        """
        if not self.places:
            return
        text = model.text_encoder if model.has("text_encoder") else None
        if not isinstance(text, EmbeddingEncoder) or text.width != self.width:
            fix = "name `model.text_encoder: embedding` of the same width, or set places: false"
            raise VlzooError("places: true needs the positions of an embedding-only text encoder", fix=fix)
        self.position = text.embedding.position

    def forward(self, regions: Any) -> Tokens:
        """Tokens of regions.

        Args:
            regions: a mapping of `features` [M, R, F]; `boxes` [M, R, 4]: left, top, right, bottom as shares of
                the picture's width and height; `mask` [M, R] bool: True where a region is real; and, where regions
                stand in a text, `places` [M, R] int64.

        Raises:
            DataError: features of another width than the encoder was made for.
        """
        features, mask = regions["features"], regions["mask"]
        if features.shape[-1] != self.features:
            raise DataError(
                f"region features are {features.shape[-1]} wide, and the encoder was made for {self.features}",
                where="image_encoder regions",
                fix=f"set the encoder's option features: {features.shape[-1]}",
            )
        summed_MRD = self._placed(features, regions["boxes"])
        if self.position is not None and "places" in regions:
            summed_MRD = summed_MRD + self.position(regions["places"])
        x_MRD = self.dropout(self.norm(summed_MRD))
        weight = mask[..., None].to(x_MRD.dtype)
        pooled = (x_MRD * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return Tokens(x_MRD, mask, pooled, 0, None)

    def _placed(self, features_MRF: Tensor, boxes_MR4: Tensor) -> Tensor:
        if self.layout == "vinvl":
            return self.feature(features_MRF) + self.box(corners_and_sides(boxes_MR4))
        placed_MRD = self.box_norm(self.box(box_numbers(boxes_MR4)))
        normed_MRD: Tensor = self.feature_norm(self.feature(features_MRF))
        return normed_MRD + placed_MRD
