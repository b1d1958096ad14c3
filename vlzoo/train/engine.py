"""Work in one process, or in several by accelerate on torch.distributed; nothing else asks which it is."""

from __future__ import annotations

import atexit
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlzoo.errors import TrainingError, VlzooError
from vlzoo.models.assemble import System
from vlzoo.models.precision import default_device
from vlzoo.models.teacher import Teacher
from vlzoo.processes import Share
from vlzoo.runs.pulse import Pulse
from vlzoo.signals import STOPS, ignore_stops
from vlzoo.train.meeting import LONG, first_line, is_lost, leave, meet
from vlzoo.train.optim import trained
from vlzoo.types import Losses

T = TypeVar("T")
Forward = Callable[..., Losses]
"""As `System.forward`: a step and names of objectives to losses."""
GO_ON = "start all processes again with --resume: as many as there are now"


class Engine:
    """One process.

    >>> engine = Engine(torch.device("cpu"))
    >>> engine.share.leads, engine.agree("SIGTERM")
    (True, 'SIGTERM')

    Attributes:
        share: this process among those that train together.
        device: where it computes.
        savers: the processes that write a checkpoint together, a group of gloo; None: the one that leads writes alone.
        joins_passes: whether a step may choose by the rows it has how often it calls a layer (`Plan.joins_passes`).
        go_on: what a user is to do where a process is gone.
    """

    share = Share()
    savers: Any = None
    joins_passes = True
    go_on = GO_ON

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wrap(self, system: System, teacher: Teacher | None = None) -> Forward:
        """The forward of a system whose gradients are those of all rows, after `finish_backward`.

        Args:
            system: the student; its parameters may be others from here on.
            teacher: its teacher; likewise.
        """
        return system

    def parameters(self, system: System) -> Mapping[str, nn.Parameter]:
        """What the optimiser steps on, by name, of a system that was wrapped: every parameter that is trained."""
        return trained(system)

    def before_last(self) -> AbstractContextManager[None]:
        """Around all backwards of an update but the last: gradients add up here and are exchanged once."""
        return nullcontext()

    def finish_backward(self) -> None:
        """After an update's last backward: what gradients still lack is added."""

    def agree(self, stop: str) -> str:
        """The name of a signal that any process was sent; empty where none was."""
        return stop

    def mean(self, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The mean over all processes of values that each of them has, [] each."""
        return values

    def join(self, value: T) -> list[T]:
        """What each process gives, in their order; every process must ask."""
        return [value]

    def wait(self) -> None:
        """Until all processes are here."""

    def agree_on_step(self, step: int) -> None:
        """Refuse to begin where processes stand at different steps.

        Raises:
            TrainingError: names the steps.
        """

    def explained(self, error: BaseException) -> BaseException:
        """An error as a user is told it: that another process does not answer says which, and what it said last."""
        return error

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within it errors are told by one process, and what another alone knows by that one."""
        yield

    def does(self, what: str, step: int) -> None:
        """Say what this process begins to do: `reading data`, `step`, `saving`, `measuring`, `waiting`."""

    @contextmanager
    def together(self, folder: Path, patience: float) -> Iterator[None]:
        """Within it the processes watch each other; after it they have all come to its end.

        Args:
            folder: where they give signs of life.
            patience: seconds for which one may keep the others waiting.
        """
        yield

    @contextmanager
    def first(self) -> Iterator[None]:
        """What is within is done by the process that leads, and then by the others, who find what it has written."""
        if not self.share.leads:
            self.wait()
        yield
        if self.share.leads:
            self.wait()


class Several(Engine):
    """One process of several, which hold the same weights: DistributedDataParallel.

    Started by torchrun or `accelerate launch`.

    Args:
        device: `cpu` where no GPU is to be used; None: a GPU for each process where there are any.
        share: this process among them.
    """

    _pulse: Pulse | None = None

    def __init__(self, device: torch.device | None, share: Share) -> None:
        from accelerate import Accelerator, DistributedType
        from accelerate.utils import DistributedDataParallelKwargs

        if not dist.is_initialized():
            dist.init_process_group(store=meet(share), rank=share.number, world_size=share.of, timeout=LONG)
            atexit.register(leave)
        # An update on one stream may leave out heads that another reads. Queues are the same everywhere.
        handlers = [DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)]
        # Said in any case: without a GPU, and not told so, accelerate takes several processes for one. How precisely is
        # computed the recipe says, and not the user's file of `accelerate config`.
        on_host = (device or default_device()).type == "cpu"
        plain: Any = {"mixed_precision": "no", "dynamo_backend": "no"}
        self.accelerator = Accelerator(cpu=on_host, kwargs_handlers=handlers, **plain)
        kind, seen = self.accelerator.distributed_type, self.accelerator.num_processes
        if kind not in (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU) or seen != share.of:
            what = f"{share.of} processes were started, and accelerate makes of them {seen} of kind {kind.value}"
            raise TrainingError(what, fix="start them by torchrun, without FSDP or DeepSpeed")
        super().__init__(self.accelerator.device)
        self.share, self._wrapped = share, cast(Any, None)
        # Of its own, on the host: what is agreed on keeps no device waiting.
        self._hosts: Any = dist.new_group(backend="gloo", timeout=LONG)

    def wrap(self, system: System, teacher: Teacher | None = None) -> Forward:
        """As `Engine.wrap`."""
        with warnings.catch_warnings():
            # Under its newer name accelerate's handler does not know it.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            self._wrapped = self.accelerator.prepare_model(system, device_placement=False)
        return cast(Forward, self._wrapped)

    def before_last(self) -> AbstractContextManager[None]:
        """As `Engine.before_last`."""
        return self.accelerator.no_sync(self._wrapped)

    def agree(self, stop: str) -> str:
        """As `Engine.agree`."""
        names = ["", *(number.name for number in STOPS)]
        asked = torch.tensor(names.index(stop))
        dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._hosts)
        return names[int(asked)]

    def mean(self, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As `Engine.mean`."""
        if not values:
            return values
        held = torch.stack([value.detach().to(self.device, torch.float32) for value in values.values()])
        dist.all_reduce(held)
        return dict(zip(values, held / self.share.of, strict=True))

    def join(self, value: T) -> list[T]:
        """As `Engine.join`."""
        parts: list[Any] = [None] * self.share.of
        dist.all_gather_object(parts, value, group=self._hosts)
        return parts

    def wait(self) -> None:
        """As `Engine.wait`."""
        dist.barrier(group=self._hosts)

    def agree_on_step(self, step: int) -> None:
        """As `Engine.agree_on_step`."""
        steps = [torch.zeros((), dtype=torch.long) for _ in range(self.share.of)]
        dist.all_gather(steps, torch.tensor(step), group=self._hosts)
        if len({int(each) for each in steps}) > 1:
            said = ", ".join(f"process {rank} at {int(each)}" for rank, each in enumerate(steps))
            fix = "do all of them see the same run folder? start them again when they do"
            raise TrainingError(f"the processes stand at different steps: {said}", fix=fix)

    def explained(self, error: BaseException) -> BaseException:
        """As `Engine.explained`."""
        # torchrun asks the rest to end as soon as one is gone: that may come while its loss is being told.
        cause = error.__context__ if isinstance(error, KeyboardInterrupt) else error
        if cause is None or not is_lost(cause):
            # Or before this process has asked the lost one anything.
            failed = self._pulse.failed() if self._pulse and isinstance(error, KeyboardInterrupt) else ""
            return TrainingError(failed, fix=self.go_on) if failed else error
        ignore_stops()
        said = self._pulse.gone() if self._pulse is not None else ""
        return TrainingError(said or f"another process does not answer: {first_line(cause)}", fix=self.go_on)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """As `Engine.answering`."""
        try:
            yield
        except (RuntimeError, VlzooError, KeyboardInterrupt) as error:
            told = self.explained(error)
            alone = isinstance(told, Exception) and (self._pulse is not None or told is error)
            if alone and not self.share.leads and self._pulse is not None:
                alone = not self._pulse.told(error if told is error else None)
            if alone and not self.share.leads:  # only this one knows; the command tells what the leading one says
                print(f"vlzoo: process {self.share.number}: {told}", file=sys.stderr, flush=True)
            if told is error:
                raise
            raise told from error

    def does(self, what: str, step: int) -> None:
        """As `Engine.does`."""
        if self._pulse is not None:
            self._pulse.does(what, step)

    @contextmanager
    def together(self, folder: Path, patience: float) -> Iterator[None]:
        """As `Engine.together`."""
        with Pulse(folder, self.share, patience=patience, fix=self.go_on) as self._pulse:
            yield
            self.does("waiting", self._pulse.sign.step)
            self.wait()
        self._pulse = None
        self.wait()  # the last signs are written
        if self.share.leads:
            rmtree(folder, ignore_errors=True)
