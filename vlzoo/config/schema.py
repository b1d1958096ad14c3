"""What a recipe may say. Defaults are ALBEF's (METHODS.md 1.3) unless a comment says otherwise."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# What float32, a whole number of a tensor's size, and one that a float still counts exactly can hold. `check` finds
# what is beyond before torch does.
Positive = Annotated[float, Field(gt=0, le=3.4e38)]
NotNegative = Annotated[float, Field(ge=0, le=3.4e38)]
Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0, lt=2**31)]
Samples = Annotated[int, Field(gt=0, lt=2**53)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Strict(BaseModel):
    """A section: unknown keys and values of another type are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


class PartRef(BaseModel):
    """A registered part with its options: `part: timm` and the options beside it, or just `timm`.

    A task's recipe may leave `part` out: the run it starts from says which part, the task changes its options.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    part: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options beside `part`."""
        return dict(self.model_extra or {})


def _as_part_ref(value: Any) -> Any:
    return {"part": value} if isinstance(value, str) else value


Ref = Annotated[PartRef, BeforeValidator(_as_part_ref)]

ROWS = "pairs"
"""The rows that options without a part are of."""


def as_rows(value: Any) -> Any:
    """A reference to rows as a mapping that names its part; anything else as it is."""
    named = _as_part_ref(value)
    return {"part": ROWS, **named} if isinstance(named, dict) else named


RowsRef = Annotated[PartRef, BeforeValidator(as_rows)]


class ObjectiveRef(BaseModel):
    """An objective: its weight in the sum, the share of the run before it begins, and its options; `part` where the key
    is not the part's name.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    part: str | None = None
    weight: float = 1.0
    begins: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """The objective's own options."""
        return dict(self.model_extra or {})


class Temperature(Strict):
    """The contrast's temperature: where it starts, whether it is learned, and its bounds.

    The parameter is the objective's (`itc`). It is written beside `joint`, whose cosines it scales, because a
    fine-tuning has the model of its run and objectives of its own. Learned as `logit_scale`, CLIP's way, it is exp(-s)
    of the number s that is trained: a step changes it by a share of itself.
    """

    initial: Positive = 0.07
    learned: bool = True
    learned_as: Literal["temperature", "logit_scale"] = "temperature"
    low: Positive = 0.001
    high: Positive = 0.5


class Projection(Strict):
    """How pooled states come into the joint space: which sides by a linear map of their own, and whether it has a bias.

    A side without one has its encoder's width.
    """

    of: list[Literal["image", "text"]] = ["image", "text"]
    bias: bool = True


class Model(Strict):
    """The parts of the model and the size of the shared embedding space (null: none)."""

    image_encoder: Ref | None = None
    text_encoder: Ref | None = None
    fusion: Ref | None = None
    decoder: Ref | None = None
    joint: Count | None = 256
    projection: Projection = Projection()
    temperature: Temperature = Temperature()


class Tokenizer(BaseModel):
    """How text becomes ids: a registered tokenizer with its options.

    `vocab` is a file or folder, the name of one in the weights folder, `package:NAME` for a pip package that carries
    one, or `data` to build it from the training texts, which `wordpiece` alone does.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    part: str = "wordpiece"
    vocab: str = "data"
    size: Annotated[int, Field(ge=6, lt=2**31)] = 30522  # five special tokens and a word
    sep: bool = False
    max_length: Annotated[int, Field(ge=2, lt=2**31)] = 25  # [CLS] and a word
    max_words: Count = 30
    clean: bool = True  # captions as ALBEF's: lower case, no punctuation, `max_words` words

    @property
    def options(self) -> dict[str, Any]:
        """The part's options: `sep`, `max_length`, and what it has of its own; where the files lie its user says."""
        return {**(self.model_extra or {}), "sep": self.sep, "max_length": self.max_length}


class Start(BaseModel):
    """Weights to start from: an adapter, the file it reads, and the adapter's options beside them.

    `file` is a path, a name below the weights folder, `package:NAME` or `hf:OWNER/NAME/FILE@COMMIT`; `into` names the
    modules that it may fill.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    adapter: str
    file: str
    into: list[str] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's options."""
        return dict(self.model_extra or {})


class Teacher(Strict):
    """The momentum teacher: how slowly it follows, and how much its soft targets count (`alpha`, ramped)."""

    momentum: Share = 0.995
    alpha: Share = 0.4
    ramp_epochs: NotNegative = 1.0
    start: Literal["student", "fresh"] = "student"


class Augment(Strict):
    """Augmentation of training and of evaluation pictures."""

    train: Ref = PartRef(part="weak")
    eval: Ref = PartRef(part="plain")


class Stream(Strict):
    """One source of batches with the objectives that read it; `train.draw` and `train.update` say how several run."""

    name: str = "main"
    data: Ref
    objectives: list[str] | None = None
    choose: Count | None = None
    rows: RowsRef | None = None
    augment: Ref | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    batch: Count | None = None


class Train(Strict):
    """How long, how fast, and how it is kept. Lengths are in samples: they do not depend on the devices."""

    epochs: Positive | None = None
    epoch_of: str | None = None
    samples: Samples | None = None
    batch: Count = 64
    accumulate: Count = 1
    checkpointing: bool = False
    compile: bool | str = False
    draw: Literal["each", "one"] = "each"
    update: Literal["each", "sum"] = "each"
    lr: Positive = 1e-4
    lr_batch: Count | None = None
    lr_scaling: Literal["linear", "sqrt"] = "linear"
    fresh_factor: Positive = 1.0
    weight_decay: NotNegative = 0.02
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: str = "matrices"
    schedule: str = "cosine"
    warmup_samples: Annotated[int, Field(ge=0, lt=2**53)] = 0
    warmup_lr: NotNegative = 1e-5
    min_lr: NotNegative = 1e-5
    clip: Positive | None = None
    negatives: Literal["global", "local"] = "global"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: Seed = 0
    workers: Annotated[int, Field(ge=0, le=1024)] = 2
    log_every: Count = 20
    save_every: Count = 1000
    keep: Count = 1
    patience: Positive = 600.0
    shard: bool = False
    save_async: bool = False
    spikes: Positive | None = 6.0


class Bench(BaseModel):
    """How a run is measured: on which data, in which batches, and by which options of tasks.

    A mapping under a task's name holds options of that task; any other key is an option of every task that takes it.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    data: Ref | None = None
    batch: Count = 64

    def options_of(self, task: Collection[str], known: Collection[str]) -> dict[str, Any]:
        """The options of one task, by its names (bare and `dist:name`), of which it takes `known`."""
        written = self.model_extra or {}
        shared = {name: value for name, value in written.items() if name in known and value is not None}
        own = (written[name] for name in task if isinstance(written.get(name), dict))
        return {**shared, **{option: value for options in own for option, value in options.items()}}


class Validation(BaseModel):
    """Measuring while training: how often in epochs, on which data, and by which figure the best checkpoint is kept.

    Any other key is an option of the task.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    every: Positive = 1.0
    task: str | None = None
    metric: str | None = None
    data: Ref | None = None
    batch: Count | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The task's options."""
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}


class Recipe(Strict):
    """A method or a task over registered parts. `docs/recipes.md` explains every key."""

    about: str = ""
    paper: str = ""
    needs: list[str] = []
    task: str | None = None
    model: Model = Model()
    tokenizer: Tokenizer = Tokenizer()
    start: list[Start] = []
    teacher: Teacher | None = None
    objectives: dict[str, ObjectiveRef | Literal[False] | None] = {}
    token_mask: Ref | None = None
    rows: RowsRef = PartRef(part=ROWS)
    augment: Augment = Augment()
    data: Ref | None = None
    streams: list[Stream] = []
    train: Train = Train()
    validation: Validation | None = None
    bench: Bench = Bench()
    finetune: dict[str, dict[str, Any]] = {}

    @property
    def active(self) -> dict[str, ObjectiveRef]:
        """The objectives that are on."""
        return {name: ref for name, ref in self.objectives.items() if isinstance(ref, ObjectiveRef)}

    @property
    def all_streams(self) -> list[Stream]:
        """The streams; `data` alone is one stream that every objective reads."""
        return self.streams or ([Stream(data=self.data)] if self.data else [])
