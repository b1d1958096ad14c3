"""How several processes cut the work of one bench; and several that share it by files alone, where nobody waits for
anybody and a lost process loses its share only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence

from vlzoo.errors import UnknownName

Say = Callable[[str], None]


def parse_share(text: str) -> tuple[int, int]:
    """`1/4` as this process's number, from 0, and how many there are.

    Raises:
        UnknownName: not of that form, or a number outside 0 to n - 1.
    """
    number, _, processes = text.partition("/")
    if number.isdigit() and processes.isdigit() and int(number) < int(processes):
        return int(number), int(processes)
    raise UnknownName(f"{text!r} is no share of the work", fix="write 0/4, 1/4, 2/4, 3/4 for four processes")


def left_of(share: tuple[int, int], names: Sequence[str], group: int, done: Collection[str]) -> list[str]:
    """The samples that a process is still to predict: of every so many groups one, whole where anything of it is left.

    >>> left_of((1, 2), ["a", "b", "c", "d", "e", "f", "g"], 2, done={"c"})
    ['c', 'd', 'g']

    Args:
        share: the process's number and how many share the work.
        names: of all samples, in their order.
        group: how many are predicted together.
        done: those that are predicted already.
    """
    groups = [names[start : start + group] for start in range(0, len(names), group)]
    return [name for each in groups[share[0] :: share[1]] if not all(map(done.__contains__, each)) for name in each]


def spawn(arguments: Sequence[str], count: int, say: Say) -> None:
    """Run `vlzoo bench ARGUMENTS --shard i/count` for every i, and wait; what a lost one leaves is still to be done.

    Each process gets its part of the cores, and of the GPUs where there are several.
    """
    started = [_start(arguments, number, count) for number in range(count)]
    try:
        for number, process in enumerate(started):
            if code := process.wait():
                say(f"process {number} of {count} ended with code {code}; what is left of its share is done here")
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()


def _start(arguments: Sequence[str], number: int, count: int) -> subprocess.Popen[bytes]:
    threads = max(1, (os.cpu_count() or 1) // count)
    env = {"OMP_NUM_THREADS": str(threads), **os.environ, **_gpu(number)}
    command = [sys.executable, "-m", "vlzoo", *arguments, "--shard", f"{number}/{count}"]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)


def _gpu(number: int) -> dict[str, str]:
    import torch

    gpus = torch.cuda.device_count()
    return {"CUDA_VISIBLE_DEVICES": str(number % gpus)} if gpus > 1 else {}
