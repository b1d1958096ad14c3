"""Training in one process, or in several by accelerate on torch.distributed; nothing else asks which it is."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from vlzoo.errors import TrainingError, VlzooError
from vlzoo.models.assemble import System
from vlzoo.models.precision import default_device
from vlzoo.processes import Share, here
from vlzoo.runs.pulse import Pulse
from vlzoo.signals import STOPS
from vlzoo.types import Losses

Forward = Callable[..., Losses]
"""As `System.forward`: a step and names of objectives to losses."""
GO_ON = "start all processes again with --resume: as many as there are now"
LONG = timedelta(days=30)
"""How long the others wait for the process that leads; who hangs, `vlzoo.runs.pulse` tells long before."""


class Engine:
    """One process.

    >>> engine = Engine(torch.device("cpu"))
    >>> engine.share.leads, engine.agree("SIGTERM")
    (True, 'SIGTERM')

    Attributes:
        share: this process among those that train together.
        device: where it computes.
    """

    share = Share()

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wrap(self, system: System) -> Forward:
        """The forward of a system whose gradients are those of all rows, after its last backward."""
        return system

    def before_last(self) -> AbstractContextManager[None]:
        """Around all backwards of an update but the last: gradients add up here and are exchanged once."""
        return nullcontext()

    def agree(self, stop: str) -> str:
        """The name of a signal that any process was sent; empty where none was."""
        return stop

    def mean(self, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The mean over all processes of values that each of them has, [] each."""
        return values

    def wait(self) -> None:
        """Until all processes are here."""

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within it another process's end is no surprise.

        Raises:
            TrainingError: another has ended, before they were together; it has said why.
        """
        yield

    def does(self, what: str, step: int) -> None:
        """Say what this process begins to do: `reading data`, `step`, `saving`, `measuring`, `waiting`."""

    @contextmanager
    def together(self, folder: Path, patience: float) -> Iterator[None]:
        """Within it the processes watch each other.

        Args:
            folder: where they give signs of life.
            patience: seconds for which one may keep the others waiting.

        Raises:
            TrainingError: another is gone; says which, and what it did last.
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

    def __init__(self, device: torch.device | None, share: Share) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        if not dist.is_initialized():
            dist.init_process_group(store=_meeting_place(share), rank=share.number, world_size=share.of, timeout=LONG)
            atexit.register(_leave)
        # An update on one stream may leave out heads that another reads. Queues are the same everywhere.
        handlers = [DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)]
        # Said in any case: without a GPU, and not told so, accelerate takes several processes for one.
        on_host = (device or default_device()).type == "cpu"
        self.accelerator = Accelerator(cpu=on_host, kwargs_handlers=handlers)
        if self.accelerator.num_processes != share.of:
            what = f"{share.of} processes were started, and accelerate sees {self.accelerator.num_processes}"
            raise TrainingError(what, fix="start them by torchrun")
        super().__init__(self.accelerator.device)
        self.share, self._wrapped = share, cast(Any, None)
        self._pulse: Pulse | None = None
        # Of its own, on the host: what is agreed on keeps no device waiting.
        self._hosts: Any = dist.new_group(backend="gloo", timeout=LONG)

    def wrap(self, system: System) -> Forward:
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

    def wait(self) -> None:
        """As `Engine.wait`."""
        dist.barrier(group=self._hosts)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """As `Engine.answering`."""
        try:
            yield
        except RuntimeError as error:
            if not is_lost(error):
                raise
            raise TrainingError("another process has ended", fix=GO_ON) from error
        except VlzooError as error:
            if not self.share.leads:  # what only this process knows; what the leading one says, the command says
                print(f"vlzoo: process {self.share.number}: {error}", file=sys.stderr, flush=True)
            raise

    def does(self, what: str, step: int) -> None:
        """As `Engine.does`."""
        if self._pulse is not None:
            self._pulse.does(what, step)

    @contextmanager
    def together(self, folder: Path, patience: float) -> Iterator[None]:
        """As `Engine.together`."""
        with self.first():
            if self.share.leads:
                rmtree(folder, ignore_errors=True)  # of processes that were killed
        with Pulse(folder, self.share, patience=patience) as self._pulse:
            try:
                yield
                self.wait()
            except RuntimeError as error:
                if not is_lost(error):
                    raise
                raise TrainingError(self._pulse.gone(), fix=GO_ON) from error
        self.wait()  # the last signs are written
        if self.share.leads:
            rmtree(folder, ignore_errors=True)


def make_engine(device: torch.device | None) -> Engine:
    """The engine of this process, alone or among those that torchrun has started.

    Args:
        device: where to train; None: a GPU where there is one.

    Raises:
        TrainingError: one GPU is named for several processes.
    """
    share = here()
    if share.of == 1:
        return Engine(device or default_device())
    if device is not None and device.index is not None:
        what = f"--device {device} names one GPU, and {share.of} processes were started"
        raise TrainingError(what, fix=f"write --device {device.type}: each process takes its own")
    return Several(device, share)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process does not answer any more."""
    said = str(error)
    kinds = (dist.DistError, dist.DistBackendError, dist.DistNetworkError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and "gloo" in said.lower())


def _meeting_place(share: Share) -> dist.Store:
    """Where the processes find each other, as torchrun's environment says: each time it starts them anew, another.

    torch's own rendezvous looks at the same place again, where those who are gone have left their addresses.
    """
    told = os.environ
    held = told.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    place = dist.TCPStore(
        told["MASTER_ADDR"], int(told["MASTER_PORT"]), share.of, is_master=share.leads and not held, timeout=LONG
    )
    return dist.PrefixStore(f"vlzoo {told.get('TORCHELASTIC_RESTART_COUNT', '0')} {share.of}", place)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
