"""What `xvlm_data.json` holds, computed here: masked texts, cells, region samples, their batch, resized tables.

The official code draws with Python's `random`: rows, augmentation and masking are given a generator that draws so.

Legend: R rows, L text tokens, G cells of the grid.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.golden import EMBEDDINGS, LOGITS, Golden, gap, one_thread
from vlzoo.batch import Batch
from vlzoo.data.collate import Collator
from vlzoo.data.faults import Faults
from vlzoo.data.readers.xvlm import XvlmLines
from vlzoo.data.records import Sample
from vlzoo.data.visit import Look, Visit
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import DataError
from vlzoo.models.positions import resize_relative
from vlzoo.text.cleaning import pre_caption
from vlzoo.text.masking import Drawing
from vlzoo.text.tokenizer import Tokenizer
from vlzoo_xvlm.around_box import AroundBox
from vlzoo_xvlm.masking import Spans
from vlzoo_xvlm.pieces import Piece, cells
from vlzoo_xvlm.rows import REGION, Drawn, Item, Regions
from vlzoo_xvlm.twister import official

TIMES = 100
"""How often each recorded text is masked where shares are compared."""

ERRORS = 5
"""Standard errors that a share may be off."""

_SIZES = re.compile(r"image_res (\d+), patch (\d+)")


@one_thread
def compare(path: Path) -> Iterator[Result]:
    """One row a function, a tensor of the batch, or a field of the samples."""
    golden = Golden(path)
    yield from _masked(golden)
    yield from _shares(golden)
    yield from _cells(golden)
    yield from _tables(golden)
    yield from _regions(golden)
    yield from golden.leftovers()


class Recording(Regions):
    """Regions whose texts are masked as they are drawn, between the draws for one row and the next.

    Attributes:
        masked: ids with words masked, and the places, by the sample's name and the row's place in it.
        seed: of the batch's draw; None: all rows in their order.
    """

    def __init__(self, facts: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        config, options = facts["config"], facts["config"]["regions"]
        super().__init__(
            each=options["max_regions"],
            rows=options["batch_size"],
            least_inside=options["min_perc_in_image"],
            patch=config["patch_size"],
        )
        self.words, self.tokenizer = config["max_words"], tokenizer
        self.rule = rule_of(config, whole="mask_whole_word")
        self.masked: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
        self.seed: int | None = None

    def pieces(self, sample: Sample, look: Look, rng: np.random.Generator) -> Iterator[Piece]:
        """Those of `Regions`, each masked before the next is drawn."""
        for piece in super().pieces(sample, look, rng):
            clean = pre_caption(piece.text, self.words)
            ids, numbers = self.tokenizer.encode(clean), self.tokenizer.number_words(clean)
            made = self.rule.masked(
                ids, numbers, rng, vocab=len(self.tokenizer.words), mask=self.tokenizer.special["mask"]
            )
            self.masked[sample.name, piece.place] = made
            yield piece

    def drawn(self, items: Sequence[Item]) -> list[Drawn]:
        """The official draw of a batch, or all rows."""
        if self.seed is not None:
            return super().drawn(items)
        return [Drawn(picture, item, piece, 0) for picture, item in enumerate(items) for piece in item.pieces]

    def generator(self, items: Sequence[Item]) -> np.random.Generator:
        """The official one."""
        assert self.seed is not None  # else nothing is drawn
        return official(self.seed)


def word_numbers(tokens: Sequence[str]) -> list[int]:
    """The word of each WordPiece: `##` goes on with the one before; -1 at [CLS] and at pieces that go on with it."""
    numbers = [-1]
    for token in tokens[1:]:
        numbers.append(numbers[-1] if token.startswith("##") else max(numbers) + 1)
    return numbers


def rule_of(facts: Mapping[str, Any], *, whole: str) -> Spans:
    """The rule of a configuration; `whole` is its name for whole words."""
    names = ("mask_prob", "max_masks", "skipgram_prb", "skipgram_size", whole)
    return Spans(*(facts[name] for name in names))


def _masked(golden: Golden) -> Iterator[Check]:
    """How many texts are masked otherwise, at the same places and in the same order."""
    facts, ids = golden.about["text_masking"], {word: i for i, word in enumerate(golden.about["vocab"])}
    rule, wrong = rule_of(facts, whole="whole_word"), {"places": 0, "tokens": 0}
    for sample in facts["samples"]:
        given = [ids[token] for token in sample["tokens"]]
        numbers, rng = word_numbers(sample["tokens"]), official(sample["seed"])
        changed, places = rule.masked(given, numbers, rng, vocab=len(ids), mask=ids["[MASK]"])
        wrong["places"] += places != sample["masked_pos"]
        wrong["tokens"] += changed != [ids[token] for token in sample["masked_tokens"]]
    for what, count in wrong.items():
        yield Check(f"{golden.name}/text_masking/{what}", count, 0, len(facts["samples"]))


def _shares(golden: Golden) -> Iterator[Check]:
    """Shares of masked tokens in many texts, by the draws of training; in standard errors of both counts."""
    facts = golden.about["text_masking_stats"]
    masked, as_mask, kept, seen = _counted(golden)
    chances = {
        "as_mask": (as_mask / masked, facts["as_mask"] / facts["masked"]),
        "kept": (kept / masked, facts["kept"] / facts["masked"]),
    }
    for what, (ours, theirs) in chances.items():
        error = math.sqrt(theirs * (1 - theirs) * (1 / masked + 1 / facts["masked"]))
        yield Check(f"{golden.name}/text_masking_stats/{what} in standard errors", abs(ours - theirs) / error, ERRORS)
    # The share of tokens depends on how long the texts are, and these are others.
    yield Check(f"{golden.name}/text_masking_stats/masked", abs(masked / seen - facts["masked"] / facts["tok"]), 0.02)


def _counted(golden: Golden) -> tuple[int, int, int, int]:
    """Of the recorded texts, masked `TIMES` times: masked tokens, those that became [MASK], that stayed, and all."""
    facts, tokenizer = golden.about["text_masking"], Tokenizer(golden.about["vocab"])
    ids = {word: i for i, word in enumerate(tokenizer.words)}
    tokens = [sample["tokens"] for sample in facts["samples"]] * TIMES
    text = tokenizer.pad([[ids[token] for token in row] for row in tokens])
    words = [word_numbers(row) for row in tokens]
    text = replace(text, word=_padded(words, text.ids.shape[1], -1))
    mask = tokenizer.special["mask"]
    made = rule_of(facts, whole="whole_word")(
        text, Drawing(Draws(), torch.arange(len(tokens)), "", tokenizer.vocab, mask)
    )
    chosen = cast(Tensor, made.labels) != IGNORED
    counts = (chosen, chosen & (made.ids == mask), chosen & (made.ids == text.ids), text.mask)
    masked, as_mask, kept, seen = (int(each.sum()) for each in counts)
    return masked, as_mask, kept, seen


def _cells(golden: Golden) -> Iterator[Check]:
    """The cells of single boxes."""
    sizes = _SIZES.search(golden.about["image_attns"])
    if sizes is None:
        raise DataError("`image_attns` does not tell image_res and patch", where=golden.name)
    side, patch = int(sizes[1]), int(sizes[2])
    boxes = golden["image_attns/in/boxes_xywh"].tolist()
    met = torch.stack([torch.from_numpy(cells(tuple(box), side, patch).reshape(-1)) for box in boxes])
    yield golden.close("image_attns/out/atts", _with_cls(met), 0)


def _tables(golden: Golden) -> Iterator[Check]:
    """A Swin's table of relative places, resized."""
    (source,) = golden.below("relpos/in/")
    for name in golden.below("relpos/out/"):
        side = math.isqrt(len(golden[f"relpos/out/{name}"]))
        resized = resize_relative(golden[f"relpos/in/{source}"], side)
        yield golden.close(f"relpos/out/{name}", resized, EMBEDDINGS)


def _regions(golden: Golden) -> Iterator[Check]:
    """The samples, one after the other, then the batch of them."""
    facts = golden.about["region_dataset"]
    config = facts["config"]
    careful = config["regions"].get("careful_hflip", False)
    change = AroundBox(size=config["image_res"], careful_flip=careful, randaugment=False)
    tokenizer = Tokenizer(golden.about["vocab"], max_length=config["max_tokens"])
    rows, rng = Recording(facts, tokenizer), official(facts["py_random_seed"])
    samples = read_annotations(facts["annotations"])
    items = [rows.make(each, Visit(i, 0, augmentation=change, generator=rng)) for i, each in enumerate(samples)]
    collator = Collator(tokenizer, rows, max_words=config["max_words"])
    for item, expected in zip(items, facts["samples"], strict=True):
        ours = _official_form(rows, [item], collator([item]), config)
        for name, values in expected.items():
            yield _same(f"{golden.name}/region_dataset/{item.key}/{name}", ours[name], torch.tensor(values))
    rows.seed = facts["collate_py_random_seed"]
    batch = collator(items)
    ours = _official_form(rows, items, batch, config)
    for name, tensor in ours.items():
        yield golden.close(f"region_collate/out/{name}", tensor, LOGITS)
    shape = torch.tensor(batch.images["image"].shape)
    yield _same(
        f"{golden.name}/region_dataset/collated_image_shape", shape, torch.tensor(facts["collated_image_shape"])
    )


def read_annotations(annotations: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """Lines in X-VLM's format as the reader gives them, with black pictures of the sizes told."""
    with TemporaryDirectory() as folder:
        with Path(folder, "lines.jsonl").open("w", encoding="utf-8") as file:
            for entry in annotations:
                encoded = io.BytesIO()
                Image.new("RGB", tuple(entry["size"])).save(encoded, "PNG")
                file.write(json.dumps({**entry, "binary": base64.b64encode(encoded.getvalue()).decode()}) + "\n")
        source = XvlmLines(folder)
        return [source.sample(row) for row in source.records(Faults("golden"))]


def _official_form(
    rows: Recording, items: Sequence[Item], batch: Batch, config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """A batch under the official names, padded as the official code pads."""
    tokens, most = config["max_tokens"], config["max_masks"]
    text, view = batch.texts["text"], batch.views[REGION]
    masked = [rows.masked[row.item.sample.name, row.piece.place] for row in rows.drawn(items)]
    originals = [[int(ids[place]) for place in places] for ids, (_, places) in zip(text.ids, masked, strict=True)]
    return {
        "text_ids": _wide(text.ids, tokens),
        "text_atts": _wide(text.mask.long(), tokens),
        "text_ids_masked": _padded([ids for ids, _ in masked], tokens, 0),
        "masked_pos": _padded([places for _, places in masked], most, 0),
        "masked_ids": _padded(originals, most, IGNORED),
        "image_atts": _with_cls(cast(Tensor, view.cells)),
        "target_bbox": batch.extra["box"],
        "is_image": (~batch.extra["is_region"]).long(),
        "idx_to_group_img": cast(Tensor, view.rows),
    }


def _same(quantity: str, ours: Tensor, theirs: Tensor) -> Check:
    return Check(quantity, gap(ours, theirs), LOGITS, ours.numel())


def _with_cls(cells_RG: Tensor) -> Tensor:
    """Cells as the official code marks image tokens, [R, 1 + G] int64: [CLS] is always read."""
    return torch.cat([cells_RG.new_ones(len(cells_RG), 1), cells_RG], dim=1).long()


def _wide(values_RL: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(values_RL, (0, length - values_RL.shape[1]))


def _padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])
