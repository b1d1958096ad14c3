"""A forecast of how long a pre-training takes and what it costs, from FLOPs, bandwidths and data rate.

    python benchmarks/scaling.py [--share 0.23] [--peak 989e12] [--price 2.5] [--cores 12] ... [--json]
    python benchmarks/scaling.py --measure    # pictures that a core of this machine decodes and augments in a second

ALBEF at paper size: 30 epochs at 256 pixels. Every input is an argument; docs/scaling.md says of each where it was
measured, who published it, or that it is assumed. A step is the longer of computing and of reading, and then the
exchange with the other GPUs, as if nothing of it were hidden behind the backward.

Legend: B batch rows (1 here), N image tokens.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch.utils.flop_counter import FlopCounterMode

from vlzoo.augment.view import make_view
from vlzoo.config.check import load
from vlzoo.door.plugins import registry
from vlzoo.step.cost import cost_of, sketch

RECIPE, EPOCHS, PIXELS = "albef", 30, 256
PAIRS = {"4M": 5.1e6, "16M": 16.2e6}
"""Pairs of an epoch: of 4.0 M pictures, and with CC12M's 11.1 M (the tables of ALBEF's and X-VLM's papers)."""
LAYOUTS = ((8, 512), (64, 512), (64, 4096))
"""GPUs, and pairs of a batch of all of them."""
SHARES = (0.16, 0.23, 0.50)
"""Of the peak: what published CLIP runs of this size reach, the best that was found on an H100, the aim."""


@dataclass(frozen=True)
class Inputs:
    """What a forecast is made from.

    Attributes:
        peak: floating-point operations a second of a GPU's matrix units, bf16, without sparsity.
        inside: bytes a second that a GPU exchanges with those of its machine.
        between: likewise with those of other machines.
        machine: GPUs of a machine.
        cores: cores that read data for a GPU.
        pictures: pictures that a core decodes and augments in a second.
        picture_bytes: of a picture's file.
        number_bytes: of a number of features and tokens that are exchanged; what a last norm gives is fp32.
        price: of a GPU's hour.
    """

    peak: float = 989e12
    inside: float = 300e9
    between: float = 25e9
    machine: int = 8
    cores: float = 12
    pictures: float = 150
    picture_bytes: float = 152e3
    number_bytes: float = 4
    price: float = 2.5


@dataclass(frozen=True)
class Model:
    """What a step of the recipe costs.

    Attributes:
        flops: floating-point operations of a step for a pair, backward and teacher included.
        parameters: numbers that are trained.
        tokens: numbers of a picture's tokens, which a negative from another GPU brings along. Those of a text, a tenth
            of it, are left out.
        features: numbers of a pair's two embeddings; the teacher has as many.
    """

    flops: float
    parameters: float
    tokens: float
    features: float


@dataclass(frozen=True)
class Forecast:
    """A row of the table.

    Attributes:
        compute_s: of a step.
        read_s: likewise, for the data.
        exchange_s: likewise, for gradients, features and negatives.
        days: of the whole training.
        gpu_hours: of all GPUs together.
        cost: in the currency of the price.
        read_bytes: a second, of all GPUs together.
    """

    compute_s: float
    read_s: float
    exchange_s: float
    days: float
    gpu_hours: float
    cost: float
    read_bytes: float

    @property
    def bound(self) -> str:
        """What takes the longest."""
        spent = {"computing": self.compute_s, "reading": self.read_s, "exchange": self.exchange_s}
        return max(spent, key=spent.__getitem__)


def model() -> Model:
    """The recipe's cost, as `vlzoo check --cost` counts it, and how often ALBEF's step runs each part.

    The student encodes a picture once, its plain and its masked text; the fusion projects a picture once and reads it
    four times (the pair, two negatives, the masked text). A backward costs twice its forward. The teacher has no
    backward, and fuses the masked text alone.
    """
    recipe = load(RECIPE, sets=("start=[]",)).recipe
    rows = {row.part.split()[0]: row for row in cost_of(recipe)}
    image, text, fusion = (float(rows[part].flops or 0) for part in ("image_encoder", "text_encoder", "fusion"))
    with torch.device("meta"), torch.no_grad():
        made = sketch(recipe).eval().model
        tokens = made.image_encoder(torch.zeros(1, 3, PIXELS, PIXELS))
        with FlopCounterMode(display=False) as counter:
            made.fusion.prepare(tokens)
    keys = float(counter.get_total_flops())
    read = fusion - keys
    student, teacher = image + 2 * text + keys + 4 * read, image + 2 * text + keys + read
    return Model(3 * student + teacher, rows["sum"].parameters, float(tokens.x.numel()), 2.0 * made.joint)


def exchanged(made: Model, given: Inputs, gpus: int, batch: int, local: bool) -> float:
    """Bytes that a GPU receives in a step: gradients (fp32, a ring), embeddings and negatives' tokens of the others.

    Args:
        made: the model's cost.
        given: the inputs.
        gpus: how many.
        batch: pairs of all of them.
        local: negatives are drawn among a GPU's own rows: no tokens travel.
    """
    others = (gpus - 1) / gpus
    gradients = 2 * 4 * made.parameters * others
    # Gathered once, and of what the student made the gradients come back summed, in a ring: twice as much.
    numbers = batch * made.features * (1 + 3)
    # Of each pair one picture that was mined comes, and the gradient of one that was sent comes back.
    numbers += 0 if local else batch / gpus * 2 * made.tokens
    return gradients + others * numbers * given.number_bytes


def forecast(made: Model, given: Inputs, pairs: float, gpus: int, batch: int, share: float, local: bool) -> Forecast:
    """The forecast of a training."""
    own = batch / gpus
    compute_s, read_s = own * made.flops / (given.peak * share), own / (given.cores * given.pictures)
    speed = given.inside if gpus <= given.machine else given.between
    exchange_s = exchanged(made, given, gpus, batch, local) / speed
    step_s = max(compute_s, read_s) + exchange_s
    hours = EPOCHS * pairs / batch * step_s / 3600
    read_bytes = batch / step_s * given.picture_bytes
    return Forecast(compute_s, read_s, exchange_s, hours / 24, hours * gpus, hours * gpus * given.price, read_bytes)


def table(made: Model, given: Inputs, shares: Sequence[float] = SHARES) -> list[str]:
    """The table as Markdown, line by line."""
    lines = [
        "| data | GPUs | batch | negatives | share of the peak | compute | read | exchange | time | GPU hours | cost "
        "| files read |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for data, pairs in PAIRS.items():
        for gpus, batch in LAYOUTS:
            for share in shares:
                for local in (False, True) if share == shares[len(shares) // 2] else (False,):
                    found = forecast(made, given, pairs, gpus, batch, share, local)
                    spent = (found.compute_s, found.read_s, found.exchange_s)
                    cells = [data, gpus, f"{batch:,}", "local" if local else "global", f"{100 * share:.0f} %"]
                    cells += [f"{1e3 * each:.0f} ms" for each in spent]
                    cells += [f"{24 * found.days:,.1f} h", f"{found.gpu_hours:,.0f}", f"{found.cost:,.0f}"]
                    lines.append(f"| {' | '.join(map(str, [*cells, f'{found.read_bytes / 1e6:,.0f} MB/s']))} |")
    return lines


def pictures_a_second(count: int = 40) -> float:
    """How many pictures of 640 x 480 a core decodes and augments in a second of its time, by the recipe."""
    ref = load(RECIPE).recipe.augment.train
    augmentation, rng, files = registry().build("augmentation", ref.part, **ref.options), np.random.default_rng(0), []
    for _ in range(count):
        rough = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).resize((640, 480))
        held = io.BytesIO()
        rough.filter(ImageFilter.EDGE_ENHANCE).save(held, "JPEG", quality=92)
        files.append(held.getvalue())
    began = time.process_time()
    for content in files:
        make_view(Image.open(io.BytesIO(content)).convert("RGB"), augmentation, rng)
    rate = count / (time.process_time() - began)
    print(f"{rate:.0f} pictures a second and core; files of {sum(map(len, files)) / count / 1e3:.0f} kB")
    return rate


def main() -> int:
    """Print the forecast, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for each in fields(Inputs):
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=type(each.default), default=each.default)
    parser.add_argument("--share", type=float, help="of the peak; several published ones are shown otherwise")
    parser.add_argument("--json", action="store_true", help="print inputs and forecasts as one JSON object")
    parser.add_argument("--measure", action="store_true", help="pictures that a core of this machine prepares")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.measure:
        pictures_a_second()
        return 0
    inputs = Inputs(**{each.name: getattr(given, each.name) for each in fields(Inputs)})
    made, shares = model(), SHARES if given.share is None else (given.share,)
    rows = [
        {"data": data, "gpus": gpus, "batch": batch, "share": share}
        | asdict(found := forecast(made, inputs, pairs, gpus, batch, share, local=False))
        | {"bound": found.bound}
        for data, pairs in PAIRS.items()
        for gpus, batch in LAYOUTS
        for share in shares
    ]
    if given.json:
        print(json.dumps({"inputs": asdict(inputs), "model": asdict(made), "forecasts": rows}))
        return 0
    print(f"{made.flops / 1e9:.1f} GFLOP a pair, {made.parameters / 1e6:.1f} M parameters\n")
    print("\n".join(table(made, inputs, shares)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
