"""Which engine a process trains by."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist

from vlzoo.errors import TrainingError
from vlzoo.models.precision import default_device
from vlzoo.processes import here
from vlzoo.train.engine import GO_ON, Engine, Several
from vlzoo.train.meeting import first_line
from vlzoo.train.sharded import Sharded


def make_engine(device: torch.device | None, *, shard: bool = False, go_on: str = GO_ON) -> Engine:
    """The engine of this process, alone or among those that torchrun has started.

    Args:
        device: where to train; None: a GPU where there is one.
        shard: whether several processes hold a part of every weight each; alone there is nothing to share.
        go_on: what a user is to do where a process is gone.

    Raises:
        TrainingError: torch is too old for shards, one GPU is named for several processes, there are fewer GPUs than
            processes here, or they do not find each other.
    """
    share = here()
    if share.of == 1:
        return Engine(device or default_device())
    if device is not None and device.index is not None:
        what = f"--device {device} names one GPU, and {share.of} processes were started"
        raise TrainingError(what, fix=f"write --device {device.type}: each process takes its own")
    local, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if (device or default_device()).type == "cuda" and local > there:
        raise TrainingError(f"{local} processes for {there} GPUs of this machine", fix=f"--nproc-per-node {there}")
    try:
        made = Sharded(device, share) if shard else Several(device, share)
    except dist.DistError as error:
        raise TrainingError(f"the processes do not find each other: {first_line(error)}", fix=go_on) from error
    made.go_on = go_on
    return made
