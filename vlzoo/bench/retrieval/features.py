"""Features computed once, in files that are mapped into memory: blocks of rows, shared by processes through the disk.

A block appears whole or not at all, so a killed bench keeps the blocks it finished, and processes that share the work
need no word with each other: each makes its own blocks first, then takes what others left.

Legend: B rows of a block, n tokens of all rows together, W numbers a token, E joint size.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlzoo.errors import PredictionError
from vlzoo.files import new_folder, writing
from vlzoo.processes import is_alive

Floats = NDArray[Any]
STALE_S = 600.0
"""A block that a process on another machine began so long ago is made here after all."""


@dataclass(frozen=True)
class Encoded:
    """What a model gives for some rows.

    Attributes:
        rows: tokens of each row, [its length, W].
        embed: [B, E]; None where the model has no joint space.
    """

    rows: Sequence[Tensor]
    embed: Tensor | None


class Features:
    """Tokens and embeddings of `total` rows in blocks below `folder`.

    Args:
        folder: where the blocks lie; its name must change with whatever could change the features.
        total: number of rows.
        block: rows of a block.
        encode: makes the features of the rows `start` to `end`.
    """

    def __init__(self, folder: Path, total: int, block: int, encode: Callable[[int, int], Encoded]) -> None:
        self.folder, self.total, self.block, self._encode = folder, total, block, encode
        self.blocks = -(-total // block)
        self._open: list[tuple[Floats, NDArray[np.int64]]] = []

    def make(self, share: tuple[int, int] = (0, 1)) -> Iterator[int]:
        """Make every block that is not there, this process's first; yields the rows that are there so far.

        Raises:
            PredictionError: the disk is full or forbidden.
        """
        mine = [number for number in range(self.blocks) if number % share[1] == share[0]]
        others = [number for number in range(self.blocks) if number % share[1] != share[0]]
        for done, number in enumerate([*mine, *others], 1):
            while not self._there(number):
                if self._claim(number):
                    self._write(number)
                else:
                    time.sleep(0.2)
            yield min(done * self.block, self.total)

    def embeddings(self) -> Tensor | None:
        """All rows' embeddings, [total, E] float32; None where there are none."""
        files = [self._path(number) / "embed.npy" for number in range(self.blocks)]
        if not all(file.is_file() for file in files):
            return None
        return torch.from_numpy(np.concatenate([np.load(file) for file in files]))

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, [total]."""
        return np.concatenate([np.diff(starts) for _, starts in self.opened()])

    def size(self) -> int:
        """Bytes of all tokens."""
        return sum(x.nbytes for x, _ in self.opened())

    def row(self, number: int) -> Floats:
        """One row's tokens, [its length, W], read from the mapped file."""
        x_nW, starts = self.opened()[number // self.block]
        at = number % self.block
        return x_nW[starts[at] : starts[at + 1]]

    def opened(self) -> list[tuple[Floats, NDArray[np.int64]]]:
        """Each block's tokens, mapped [n, W], and where its rows start [B + 1]."""
        if not self._open:
            paths = [self._path(number) for number in range(self.blocks)]
            self._open = [(np.load(p / "x.npy", mmap_mode="r"), np.load(p / "starts.npy")) for p in paths]
        return self._open

    def _path(self, number: int) -> Path:
        return self.folder / f"block-{number:05d}"

    def _there(self, number: int) -> bool:
        return self._path(number).is_dir()

    def _claim(self, number: int) -> bool:
        """Whether this process may make a block: nobody else began it, or whoever did is gone."""
        claim = self.folder / f"block-{number:05d}.begun"
        with writing(claim, "features", PredictionError):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with claim.open("x", encoding="utf-8") as file:
                    file.write(f"{socket.gethostname()} {os.getpid()}")
            except FileExistsError:
                if not _abandoned(claim):
                    return False
                claim.write_text(f"{socket.gethostname()} {os.getpid()}", encoding="utf-8")
        return True

    def _write(self, number: int) -> None:
        final = self._path(number)
        try:
            made = self._encode(number * self.block, min((number + 1) * self.block, self.total))
            with writing(final, "features", PredictionError, "make room, or give --out on a larger disk"):
                try:
                    with new_folder(final) as fresh:
                        _save(fresh, made)
                except OSError:
                    if not self._there(number):  # else another process was quicker
                        raise
        finally:  # after an error, too: others may wait for the block, and this process may live on
            (self.folder / f"block-{number:05d}.begun").unlink(missing_ok=True)


def _abandoned(claim: Path) -> bool:
    """Whether the process that began a block is gone: dead on this machine, or silent for long on another."""
    try:
        age = time.time() - claim.stat().st_mtime
        host, _, process = claim.read_text(encoding="utf-8").partition(" ")
    except FileNotFoundError:
        return False
    if host != socket.gethostname() or not process.isdigit():
        return age > STALE_S
    return int(process) == os.getpid() or not is_alive(int(process))


def _save(folder: Path, made: Encoded) -> None:
    np.save(folder / "x.npy", torch.cat(list(made.rows)).cpu().numpy())
    np.save(folder / "starts.npy", np.cumsum([0, *(len(row) for row in made.rows)], dtype=np.int64))
    if made.embed is not None:
        np.save(folder / "embed.npy", made.embed.float().cpu().numpy())


class TextRows:
    """Rows of tokens to be read many times: held on the device where they fit, else read from the mapped files.

    Args:
        features: the rows.
        device: where they are wanted.
        room: bytes that may be held.
    """

    def __init__(self, features: Features, device: torch.device, room: int) -> None:
        self.features, self.device, self.length = features, device, features.lengths()
        self.start = np.concatenate([[0], np.cumsum(self.length)])[:-1]
        self.held: Tensor | None = None
        if features.size() <= room:
            parts = [torch.from_numpy(np.array(x_nW)) for x_nW, _ in features.opened()]
            self.held = torch.cat(parts).to(device)

    def take(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Tokens of some rows, padded with zeros to the longest [P, L, W], and where they are real [P, L]."""
        length_P = self.length[rows]
        real_PL = np.arange(int(length_P.max())) < length_P[:, None]
        mask = torch.from_numpy(real_PL).to(self.device)
        if self.held is None:
            first = self.features.row(int(rows[0]))
            x_PLW = np.zeros((*real_PL.shape, first.shape[1]), dtype=first.dtype)
            for at, row in enumerate(rows):
                x_PLW[at, : length_P[at]] = self.features.row(int(row))
            return torch.from_numpy(x_PLW).to(self.device), mask
        at_PL = np.where(real_PL, self.start[rows][:, None] + np.arange(real_PL.shape[1]), 0)
        return self.held[torch.from_numpy(at_PL).to(self.device)], mask
