"""Regions of pictures through the stock losses, against arithmetic that knows no view.

Legend: M pictures, R rows, N image tokens, D width.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from vlzoo.batch import Batch, View
from vlzoo.draws import IGNORED
from vlzoo.errors import VlzooError
from vlzoo.interfaces import ImageEncoder, Objective
from vlzoo.objectives.itc import ITC
from vlzoo.objectives.itm import ITM
from vlzoo.objectives.mlm import MLM
from vlzoo.step.plan import MASKED
from vlzoo.step.step import Step
from vlzoo.types import Loss, Tokens

M, R = 3, 6
PICTURE = torch.tensor([0, 0, 1, 2, 2, 2])
CELLS = torch.tensor(
    [[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0]], dtype=torch.bool
)
"""Which of the toy's four patches each row is about."""


class Pooled(ImageEncoder):
    """The toy's patches with their mean in front, as X-VLM's fusion reads a Swin."""

    def __init__(self, inner: ImageEncoder) -> None:
        super().__init__()
        self.inner, self.width = inner, inner.width

    def forward(self, image_M3HW):
        tokens = self.inner(image_M3HW)
        x = torch.cat([tokens.pooled[:, None], tokens.x], dim=1)
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool), tokens.pooled, 1, tokens.grid)


class Restricted(Pooled):
    """The last block of this one reads a part's cells alone, as X-VLM's ViT does: here it adds their sum to each."""

    looks_at_parts = True
    looks = 0

    def look(self, image_M3HW, parts):
        self.looks += 1
        whole = self(image_M3HW)
        own = {}
        for name, view in parts.items():
            seen = View(view.picture, view.rows, view.cells).tokens(whole)
            own[name] = replace(seen, x=seen.x + (seen.x * seen.mask[..., None]).sum(1, keepdim=True))
        return whole, own


def batch(toy) -> Batch:
    rows = toy.batch(R)
    view = View(rows=PICTURE, cells=CELLS)
    whole = View(rows=PICTURE)
    return replace(
        rows,
        images={"image": rows.images["image"][:M]},
        views={"region": view, "whole": whole},
        image_id=torch.arange(R),
        text_id=torch.tensor([0, 1, 2, 3, 4, 1]),  # rows 1 and 5 say the same
    )


def made_of(toy, parts, encoder=None, *, teacher=False):
    made = toy.system(parts)
    if encoder is not None:
        made.model.image_encoder = encoder(made.model.image_encoder)
    return made


def step_of(toy, made) -> Step:
    plan = toy.plan(made)
    plan.main_image = ("region",)
    return Step(batch(toy), made.model, plan=plan)


def literal_tokens(model, of: Batch, prefix: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row by row from a picture of its own: tokens, mask and pooled state [R, ...]."""
    xs, masks, pools = [], [], []
    for picture, cells in zip(PICTURE.tolist(), CELLS, strict=True):
        tokens = model.image_encoder(of.images["image"][picture : picture + 1])
        grid = tokens.x[0, prefix:]
        pooled = grid[cells].mean(0)
        xs.append(torch.cat([pooled[None], grid]) if prefix else grid)
        masks.append(torch.cat([torch.ones(prefix, dtype=torch.bool), cells]))
        pools.append(pooled)
    return torch.stack(xs), torch.stack(masks), torch.stack(pools)


@pytest.mark.parametrize(("encoder", "prefix"), [(None, 0), (Pooled, 1)], ids=["patches", "mean and patches"])
def test_stock_losses_serve_a_region_batch(toy, encoder, prefix):
    made = made_of(toy, {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4)}, encoder)
    step = step_of(toy, made)
    losses, model = made(step), made.model
    x, mask, pooled = literal_tokens(model, step.batch, prefix)
    ids = step.batch.texts["text"]
    text = model.text_encoder(ids.ids, ids.mask)
    temperature = made.named_objectives()["itc"].temperature
    image_RE = functional.normalize(model.image_projection(pooled), dim=-1)
    text_RE = functional.normalize(model.text_projection(text.pooled), dim=-1)
    logit_RR = image_RE @ text_RE.T / temperature
    itc = (
        functional.cross_entropy(logit_RR, torch.arange(R)) + functional.cross_entropy(logit_RR.T, torch.arange(R))
    ) / 2
    torch.testing.assert_close(losses["itc"].total, itc)

    mined = step.negatives
    states = [fused(model, x, mask, r, text, r) for r in range(R)]
    states += [fused(model, x, mask, int(mined.image_for_text[r]), text, r) for r in range(R)]
    states += [fused(model, x, mask, r, text, int(mined.text_for_image[r])) for r in range(R)]
    logit_P2 = made.offered("match")(torch.stack([state[0] for state in states]))
    label_P = torch.tensor([1] * R + [0] * 2 * R)
    torch.testing.assert_close(losses["itm"].total, functional.cross_entropy(logit_P2, label_P))

    masked = step.ids(MASKED)
    read = model.text_encoder(masked.ids, masked.mask)
    words = torch.stack([fused(model, x, mask, r, read, r) for r in range(R)])
    at = masked.labels != IGNORED
    logit_TV = made.named_objectives()["mlm"].head(words[at])
    torch.testing.assert_close(losses["mlm"].total, functional.cross_entropy(logit_TV, masked.labels[at]))


def fused(model, x, mask, picture: int, text: Tokens, row: int) -> torch.Tensor:
    """One text's states [L, D] after reading one row's tokens, alone."""
    image = Tokens(x[picture : picture + 1], mask[picture : picture + 1], x[picture : picture + 1, 0])
    one = text.gather(torch.tensor([row]))
    return model.fusion.fuse(one, [model.fusion.prepare(image)]).x[0]


def test_what_is_alike_in_either_sense_is_never_mined(toy):
    """Rows 1 and 5 say the same of different regions: similarity would prefer just this pair."""
    made = made_of(toy, {"itc": ITC(), "itm": ITM()})
    plan = toy.plan(made)
    plan.main_image = ("region",)
    for number in range(50):
        step = toy.step(made, batch(toy), number=number)
        step.plan.main_image = ("region",)
        mined = step.negatives
        assert mined.image_for_text[1] != 5 and mined.text_for_image[5] != 1
        assert (mined.image_for_text != torch.arange(R)).all()
    shared = replace(batch(toy), image_id=torch.tensor([0, 0, 1, 2, 2, 2]), text_id=None)
    step = Step(shared, made.model, plan=plan)
    assert (shared.image_id[step.negatives.text_for_image] != shared.image_id).all()


def test_alike_texts_are_positives_of_itc_where_it_is_asked(toy):
    made = made_of(toy, {"itc": ITC(targets="alike")})
    target_RC = made.named_objectives()["itc"].hard_targets(step_of(toy, made))
    assert target_RC[1].tolist() == [0, 0.5, 0, 0, 0, 0.5]
    assert target_RC[0].tolist() == [1, 0, 0, 0, 0, 0]


def counted(module, monkeypatch, name: str) -> list[int]:
    """How many rows each call of a method saw."""
    seen: list[int] = []
    call = getattr(module, name)

    def counting(value, *args, **kwargs):
        seen.append(len(value.x if isinstance(value, Tokens) else value))
        return call(value, *args, **kwargs)

    monkeypatch.setattr(module, name, counting)
    return seen


class Boxes(Objective):
    """Reads the whole picture of each row beside the region, as X-VLM's box loss does."""

    def plan(self, plan):
        plan.read("cls", image="whole")

    def forward(self, step):
        return Loss(step.fused(image="whole", reads="cls").cls.square().mean())


def test_three_pictures_are_encoded_and_projected_once(toy, monkeypatch):
    """M rows through the encoder and the fusion's projections, though six regions and six whole pictures are read."""
    parts = {"itc": ITC(), "itm": ITM(), "mlm": MLM(probability=0.4), "boxes": Boxes()}
    made = made_of(toy, parts, Pooled)
    encoded = counted(made.model.image_encoder, monkeypatch, "forward")
    prepared = counted(made.model.fusion, monkeypatch, "prepare")
    projected = counted(made.model.fusion.stack[0], monkeypatch, "prepare")
    step = step_of(toy, made)
    made(step).total.backward()
    assert (encoded, prepared, projected) == ([M], [M], [M])


def test_a_whole_picture_is_a_view_of_its_rows(toy):
    made = made_of(toy, {"itm": ITM()}, Pooled)
    step = step_of(toy, made)
    tokens = made.model.image_encoder(step.batch.images["image"])
    direct = made.model.fusion.fuse(step.text(), [made.model.fusion.prepare(tokens.gather(PICTURE))])
    torch.testing.assert_close(step.fused(image="whole").x, direct.x)


def test_an_encoder_sees_the_views_planned_of_one_picture_together(toy):
    made = made_of(toy, {"itc": ITC(), "itm": ITM(), "boxes": Boxes()}, Restricted)
    step = step_of(toy, made)
    made(step).total.backward()
    encoder = made.model.image_encoder
    assert encoder.looks == 1
    whole = encoder(step.batch.images["image"])
    picked = View(rows=PICTURE, cells=CELLS).tokens(whole)
    expected = picked.x + (picked.x * picked.mask[..., None]).sum(1, keepdim=True)
    torch.testing.assert_close(step.image("region").x, expected)
    torch.testing.assert_close(step.image("whole").x, whole.x[PICTURE])


def test_a_view_that_nobody_planned_is_looked_at_once_more(toy):
    made = made_of(toy, {"itm": ITM()}, Restricted)
    planned, later = step_of(toy, made), step_of(toy, made)
    later.plan.main_image = ("whole",)
    planned.image(), later.image()
    before = made.model.image_encoder.looks
    torch.testing.assert_close(later.image("region").x, planned.image("region").x)
    assert made.model.image_encoder.looks == before + 1


def test_a_soft_region_weighs_the_regions_tokens(toy):
    for encoder in (Pooled, Restricted):
        made = made_of(toy, {"itm": ITM()}, encoder)
        step = step_of(toy, made)
        weight = torch.rand(R, 5, generator=torch.Generator().manual_seed(2))
        step.plan.add_view("soft", lambda step, weight=weight: replace(step.view(), weights=weight))
        tokens = step.image("region")
        scaled = made.model.fusion.prepare(replace(tokens, x=tokens.x * weight[..., None]))
        direct = made.model.fusion.fuse(step.text(), [scaled])
        torch.testing.assert_close(step.fused(image="soft").x, direct.x, rtol=1e-4, atol=1e-5)


def test_rows_that_no_view_gives_to_pictures_are_refused(toy):
    """Before, text p read picture p // k without a word."""
    made = made_of(toy, {"itm": ITM()})
    step = Step(replace(batch(toy), views={}), made.model, plan=toy.plan(made))
    with pytest.raises(VlzooError, match="3 pictures 'image' for 6 rows, and nothing says which row reads which"):
        step.fused()


def test_the_gradient_of_a_region_reaches_its_cells_alone(toy):
    made = made_of(toy, {"itm": ITM()}, Pooled)
    of = batch(toy)
    pixels = of.images["image"].clone().requires_grad_()
    plan = toy.plan(made)
    plan.main_image = ("region",)
    step = Step(replace(of, images={"image": pixels}), made.model, plan=plan)
    step.fused().x[2].sum().backward()  # row 2: picture 1, its right half
    side = pixels.shape[-1] // 2
    assert (pixels.grad[1, :, :, :side] == 0).all() and (pixels.grad[1, :, :, side:] != 0).any()
    assert (pixels.grad[[0, 2]] == 0).all()


def test_pooling_an_empty_region_gives_no_nan(toy):
    made = made_of(toy, {"itc": ITC()})
    of = replace(batch(toy), views={"region": View(rows=PICTURE, cells=torch.zeros_like(CELLS))})
    plan = toy.plan(made)
    plan.main_image = ("region",)
    assert math.isfinite(float(made(Step(of, made.model, plan=plan)).total))


def test_a_softly_masked_region_is_no_further_look(toy):
    """Before, the pictures were encoded once more for it."""
    made = made_of(toy, {"itm": ITM()}, Restricted)
    step = step_of(toy, made)
    step.plan.add_view("soft", lambda step: step.view().dimmed(torch.full((R, 5), 0.5)))
    step.fused(), step.fused(image="soft")
    assert made.model.image_encoder.looks == 1


def test_what_a_view_hides_stays_hidden_where_it_is_dimmed():
    weight = torch.tensor([[1.0, 0.0]])
    assert View(weights=weight).dimmed(torch.tensor([[0.5, 0.5]])).weights.tolist() == [[0.5, 0.0]]


def test_a_row_without_a_cell_has_the_mean_of_its_picture(toy):
    made = made_of(toy, {"itc": ITC()}, Pooled)
    of = replace(batch(toy), views={"region": View(rows=PICTURE, cells=CELLS & False)})
    plan = toy.plan(made)
    plan.main_image = ("region",)
    step = Step(of, made.model, plan=plan)
    whole = made.model.image_encoder(of.images["image"])
    torch.testing.assert_close(step.image().pooled, whole.pooled[PICTURE])


def test_a_pool_of_ones_own_holds_where_the_encoder_looks_at_parts(toy):
    made = made_of(toy, {"itc": ITC()}, Restricted)
    pool = torch.zeros(R, 5)
    pool[:, 2] = 1.0
    of = replace(batch(toy), views={"region": View(rows=PICTURE, cells=CELLS, pool=pool)})
    plan = toy.plan(made)
    plan.main_image = ("region",)
    step = Step(of, made.model, plan=plan)
    torch.testing.assert_close(step.image().pooled, step.image().x[:, 2])


def test_rows_gathered_of_a_region_keep_its_pool_and_its_cells(toy):
    """As text assignment picks pictures: what a layer reads of gathered rows is what it reads by their numbers."""
    made = made_of(toy, {"itm": ITM()}, Pooled)
    prepared, rows = step_of(toy, made).prepared(), torch.tensor([4, 1, 1])
    for gathered, picked in zip(prepared.gather(rows).layer(1), prepared.layer(1, rows), strict=True):
        assert torch.equal(gathered, picked)
    assert torch.equal(prepared.gather(rows).mask, prepared.mask[rows])
    one = made.model.fusion.fuse(step_of(toy, made).text().gather(rows), [prepared.gather(rows)])
    torch.testing.assert_close(one.x, step_of(toy, made).fused().x[rows])
