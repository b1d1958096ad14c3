"""A state in shards: each process writes what it holds, by torch.distributed.checkpoint, into safetensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from vlzoo.errors import CheckpointError
from vlzoo.models.safe_torch import unreadable
from vlzoo.processes import Share
from vlzoo.runs.seal import FIX

Like = Callable[[str], Tensor | None]
"""A tensor's name to one that is cut as it is to be."""


def torch_version() -> str:
    """The release of torch, without what it was built for: `2.9.1`."""
    return str(torch.__version__).partition("+")[0]


def write_shards(
    folder: Path, parts: Mapping[str, Mapping[str, Tensor]], share: Share, group: Any, *, later: bool = False
) -> Future[Any] | None:
    """Write what this process holds; all of a group call it together.

    Of tensors that every process holds whole, those of the leading one are written.

    Args:
        folder: where; it is there.
        parts: tensors by their names, of `system`, `optimizer`, ...
        share: this process.
        group: the processes, by gloo.
        later: only copy, and write while training goes on.

    Returns:
        What ends when all is written; None where it is.

    Raises:
        torch.distributed.checkpoint.CheckpointException: a process could not write.
    """
    import torch.distributed.checkpoint as dcp  # takes long, and most runs have no shards

    flat = {
        f"{part}/{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
        if share.leads or is_shard(tensor)
    }
    writer = dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True)
    if later:
        made: Any = dcp.async_save(flat, storage_writer=writer, process_group=group)
        return getattr(made, "upload_completion", made)
    dcp.save(flat, storage_writer=writer, process_group=group)
    return None


def files_of(folder: Path, share: Share) -> list[Path]:
    """The files that a process has written."""
    return sorted(folder.glob(f"shard-{share.number + 1:05d}-*.safetensors"))


def read_shards(folder: Path, part: str, written_by: str, like: Like) -> dict[str, Tensor]:
    """The tensors of a part that several processes have written: whole, or cut as others are, of which no more is read.

    Args:
        folder: where.
        part: `system`, `teacher` or `optimizer`.
        written_by: the version of torch that wrote them.
        like: a tensor's name to one of its shape that is cut as it is to be; None: it is to be whole.

    Raises:
        CheckpointError: another version of torch wrote them, or they are missing or damaged.
    """
    import torch.distributed.checkpoint as dcp

    if written_by != torch_version():
        what = f"the shards were written by torch {written_by}, and here is {torch_version()}"
        why = "torch does not promise to read those of another version"
        fix = f"install torch=={written_by}, and write plain files with it: `vlzoo weights merge RUN`"
        raise CheckpointError(f"{what}: {why}", where=str(folder), fix=fix)
    known = _known(folder, part)
    try:
        whole = {name: _empty(each, like(name.removeprefix(f"{part}/"))) for name, each in known.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
            dcp.load(whole, storage_reader=_reader(folder), no_dist=True)
    except dcp.CheckpointException as error:  # of no class that stands for an error
        cause = next((each for each, _ in error.failures.values() if isinstance(each, Exception)), None)
        raise CheckpointError(unreadable(folder, cause).what, where=str(folder), fix=FIX) from error
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in whole.items()}


def _empty(about: Any, like: Tensor | None) -> Tensor:
    """Room for a tensor of which a header tells, or for this process's part of it."""
    if like is not None and is_shard(like) and like.shape == about.size:
        return torch.empty_like(like, dtype=about.properties.dtype)
    return torch.empty(about.size, dtype=about.properties.dtype)


def shapes_of(folder: Path, part: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the whole tensors of a part.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    return {name.removeprefix(f"{part}/"): tuple(each.size) for name, each in sorted(_known(folder, part).items())}


def _known(folder: Path, part: str) -> dict[str, Any]:
    """What the headers say of a part's tensors, by their full names."""
    try:
        known: Mapping[str, Any] = _reader(folder).read_metadata().state_dict_metadata
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(unreadable(folder, error).what, where=str(folder), fix=FIX) from error
    return {name: each for name, each in known.items() if name.startswith(f"{part}/")}


def _reader(folder: Path) -> Any:
    try:
        from torch.distributed.checkpoint import HuggingFaceStorageReader
    except ImportError:
        what = f"torch {torch_version()} can't read shards"
        raise CheckpointError(what, where=str(folder), fix="install the version of torch that wrote them") from None
    return HuggingFaceStorageReader(str(folder))


def is_shard(tensor: Tensor) -> bool:
    """Whether a tensor is a part of one that several processes hold."""
    return hasattr(tensor, "full_tensor")


def own(tensor: Tensor) -> Tensor:
    """A tensor of which every process holds all, as a plain one; others as they are."""
    replicated = is_shard(tensor) and all(each.is_replicate() for each in tensor.placements)  # type: ignore[attr-defined]
    return tensor.to_local() if replicated else tensor  # type: ignore[attr-defined]


def sharded_as(like: Tensor, whole: Tensor) -> Tensor:
    """This process's part of a whole tensor, cut as `like` is; the whole where that is no shard. Nothing is sent."""
    if not is_shard(like) or is_shard(whole):
        return whole
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = like.device_mesh, like.placements  # type: ignore[attr-defined]
    return distribute_tensor(whole.to(like.device), mesh, placements, src_data_rank=None)


def part_here(tensor: Tensor) -> Tensor:
    """What of a tensor this process holds: the whole where it is no shard."""
    return tensor.to_local() if is_shard(tensor) else tensor  # type: ignore[attr-defined]
