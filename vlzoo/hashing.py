"""Numbers from words: the counter-based generator under every draw and every order of samples. No torch here."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(*words: int | np.ndarray) -> np.ndarray:
    """Hash words to 64 well-mixed bits (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    state = np.asarray(np.uint64(0))
    with np.errstate(over="ignore"):
        for word in words:
            state = _finish(state + np.asarray(word).astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + _GOLDEN)
    return state


def _finish(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def name_word(name: str) -> int:
    """A number for a purpose's name, the same on every machine."""
    return zlib.crc32(name.encode())


def number_of(name: str) -> int:
    """A number of 63 bits for a name, the same in every process.

    A name may hold half a surrogate pair, as JSON can write it, and bytes of a file name that are no UTF-8.
    """
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1
