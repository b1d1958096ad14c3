"""A small model, batches for it, and steps: what contract checks show a part, and the tests of training share.

Legend: B batch rows, L text tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from vlzoo.batch import Batch, Text, View
from vlzoo.data.records import Sample
from vlzoo.data_parts import Augmentation
from vlzoo.draws import IGNORED, Draws
from vlzoo.interfaces import Fusion, TokenMask
from vlzoo.models.assemble import Model, System
from vlzoo.models.decoder import CausalDecoder, Reads
from vlzoo.models.fusion_cross import CrossAttentionFusion
from vlzoo.models.fusion_merged import MergedFusion
from vlzoo.models.image_patch import PatchEncoder
from vlzoo.models.teacher import Teacher
from vlzoo.models.text_bert import BertEncoder
from vlzoo.step.columns import Negatives, columns_of
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.text.tokenizer import Tokenizer
from vlzoo.text.vocabulary import SPECIAL as NAMES

WIDTH, VOCAB, SIDE, JOINT, CLASSES = 16, 40, 16, 8, 3
SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}


def model(
    *,
    images: int = 1,
    decoder: bool = False,
    dropout: float = 0.0,
    merged: bool = False,
    fusion: Callable[..., Fusion] | None = None,
    reads: Reads = "",
) -> Model:
    """Two patches a side, one text layer, two fusion layers; weights large enough that every path shows.

    Args:
        images: pictures that one text reads.
        decoder: whether it has a decoder, of one layer.
        dropout: of all parts.
        merged: whether the fusion is merged, not by cross-attention.
        fusion: makes another fusion of the options that those take; None: one of them.
        reads: what the decoder reads.
    """
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": WIDTH, "heads": 2, "intermediate": 24, "dropout": dropout}
    made = Model(
        PatchEncoder(width=WIDTH, patch=8, image_size=SIDE, dropout=dropout),
        BertEncoder(layers=1, vocab=VOCAB, max_length=16, **sizes),
        (fusion or (MergedFusion if merged else CrossAttentionFusion))(
            layers=2, images=images, image_width=WIDTH, **sizes
        ),
        CausalDecoder(layers=1, vocab=VOCAB, max_length=16, memory_width=WIDTH, reads=reads, **sizes)
        if decoder
        else None,
        joint=JOINT,
        special=SPECIAL,
    )
    for name, parameter in made.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def system(
    objectives: Mapping[str, Any],
    *,
    classes: int = 0,
    teacher: bool = False,
    token_mask: TokenMask | None = None,
    words: Sequence[str] = (),
    temperature: float = 0.07,
    **options: Any,
) -> System:
    """A model with objectives that have made their heads, and a token mask."""
    base = model(**options)
    scale = {"initial": temperature}
    spec = base.spec(teacher=teacher, classes=classes, words=words, temperature=scale)
    for part in (*objectives.values(), *filter(None, [token_mask])):
        part.build(spec)
    return System(base, objectives, dict.fromkeys(objectives, 1.0), token_mask)


def text(rows: Sequence[Sequence[int]], *, pad: int = 0) -> Text:
    """Rows of word ids as a text with [CLS], padded to the longest and by `pad` more."""
    full = [[SPECIAL["cls"], *row] for row in rows]
    length = max(map(len, full)) + pad
    ids_BL = torch.tensor([row + [0] * (length - len(row)) for row in full])
    mask_BL = torch.tensor([[True] * len(row) + [False] * (length - len(row)) for row in full])
    return Text(ids_BL, mask_BL, (ids_BL == 0) | (ids_BL == SPECIAL["cls"]) | (ids_BL == SPECIAL["sep"]))


def tokenizer() -> Tokenizer:
    """Reads and writes the model's ids: `w7` is 7."""
    return Tokenizer([*NAMES.values(), *(f"w{number}" for number in range(len(SPECIAL), VOCAB))])


def samples(of: Batch) -> list[Sample]:
    """What the batch is of: its rows' names and references, without pictures."""
    return [Sample(name, texts=tuple(texts)) for name, texts in zip(of.names, of.references, strict=True)]


def batch(rows: int = 4, *, seed: int = 0, views: int = 1, pad: int = 0, classes: int = 0) -> Batch:
    """Random pictures and texts of 3 to 7 words; every picture its own. A reference is the text, another its end."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 8, (rows,), generator=generator).tolist()
    words = [torch.randint(5, VOCAB, (length,), generator=generator).tolist() for length in lengths]
    shape = (rows, 3, SIDE, SIDE)
    names, spoken = ["image", "image1"][:views], tokenizer()
    return Batch(
        key=torch.arange(rows) + 100 * seed,
        names=[f"sample-{row}" for row in range(rows)],
        images={name: torch.randn(shape, generator=generator) for name in names},
        texts={"text": text(words, pad=pad)},
        image_id=torch.arange(rows) + 1000,
        labels=torch.randint(0, classes, (rows,), generator=generator) if classes else None,
        references=[(spoken.decode(row), spoken.decode(row[1:])) for row in words],
    )


def answers(made: Batch) -> Batch:
    """The batch with one answer to the first question, and two to each other one."""
    rows = [row for row in range(len(made)) for _ in range(1 if row == 0 else 2)]
    ids = [[5 + row, 6 + n, 3] if n % 2 else [5 + row, 3] for n, row in enumerate(rows)]
    extra = {"answer_row": torch.tensor(rows), "answer_weight": torch.tensor([1.0 if r == 0 else 0.5 for r in rows])}
    return replace(made, texts={**made.texts, "answer": text(ids)}, extra=extra)


def full(rows: int = 4, *, seed: int = 0, pad: int = 0) -> Batch:
    """A batch with all that rows and tasks of the core give: a second picture, boxes, tags, mixed texts, answers.

    Labels are of `CLASSES` classes; the view `whole` is the picture as it is.
    """
    made = answers(batch(rows, seed=seed, views=2, pad=pad, classes=CLASSES))
    text_ = made.texts["text"]
    numbers = torch.arange(text_.ids.shape[1]).expand_as(text_.ids)
    numbered = replace(text_, word=numbers.masked_fill(text_.special, -1))
    more = {
        "box": torch.tensor([[0.4, 0.5, 0.3, 0.2]] * rows),
        "is_region": torch.ones(rows, dtype=torch.bool),
        "patch_label": torch.tensor([[7, 7, 8, IGNORED]] * rows),
        "patch_share": torch.tensor([[0.5, 0.5, 1, 0]] * rows),
    }
    return replace(
        made,
        images={**made.images, "patches": made.images["image"].clone()},
        texts={**made.texts, **{name: replace(numbered) for name in ("text", "mixed", "tags")}},
        views={"whole": View()},
        extra={**made.extra, **more},
    )


def taken(made: Batch, rows: Sequence[int]) -> Batch:
    """The batch's rows `rows`, in that order; answers are left out."""
    at = torch.tensor(rows)
    return Batch(
        key=made.key[at],
        names=[made.names[row] for row in rows],
        images={name: image[at] for name, image in made.images.items()},
        texts={"text": made.texts["text"].gather(at)},
        image_id=None if made.image_id is None else made.image_id[at],
        labels=None if made.labels is None else made.labels[at],
        references=[made.references[row] for row in rows],
    )


def plan(made: System, *, augmentation: Augmentation | None = None, start: Plan | None = None) -> Plan:
    """What the system's objectives ask for, of a plan that rows have begun."""
    return (start or Plan()).gather(made.named_objectives(), augmentation=augmentation, token_mask=made.token_mask)


def step(
    made: System,
    of: Batch,
    *,
    teacher: Teacher | None = None,
    alpha: float = 0.0,
    number: int = 0,
    augmentation: Augmentation | None = None,
    start: Plan | None = None,
    parts: int = 1,
    negatives: Negatives = "global",
) -> Step:
    """A step of a system on a batch."""
    asked = plan(made, augmentation=augmentation, start=start)
    columns = columns_of(len(of), of.key.device, negatives)
    return Step(
        of,
        made.model,
        teacher=teacher,
        draws=Draws(7, number),
        plan=asked,
        alpha=alpha,
        columns=columns,
        parts=parts,
    )
