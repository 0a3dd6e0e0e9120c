"""Random numbers that are a hash of what they are for, so that no order of work changes them.

Imports NumPy alone: Lava's ProcessModels draw from here as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_LOW32, _LOW64 = 2**32 - 1, 2**64 - 1

NEURONS = 2**32
"""Added to the mixed seed where numbers are those of neurons, beyond any projection's."""


def mix(value: int) -> int:
    """One step of SplitMix64 (Steele, Lea and Flood 2014): 64 bits to 64 bits."""
    z = (value + 0x9E3779B97F4A7C15) & _LOW64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _LOW64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _LOW64
    return z ^ z >> 31


def scramble(value: Array) -> Array:
    """Wellons' lowbias32: 32 bits to 32 bits, held in uint64."""
    low = np.uint64(_LOW32)
    value = ((value ^ value >> np.uint64(16)) * np.uint64(0x7FEB352D)) & low
    value = ((value ^ value >> np.uint64(15)) * np.uint64(0x846CA68B)) & low
    mixed: Array = value ^ value >> np.uint64(16)
    return mixed


def hashed(key: int, shape: tuple[int, ...]) -> Array:
    """Hash each index of an array of this shape with a key of 64 bits: 32 bits, in uint64."""
    index = np.arange(np.prod(shape, dtype=int), dtype=np.uint64).reshape(shape)
    first = scramble(index ^ np.uint64(key & _LOW32))
    return scramble((first + np.uint64(key >> 32)) & np.uint64(_LOW32))


def neuron_base(seed: int, group: int) -> int:
    """What the keys of a neuron group begin with; ``group`` is its place in the program."""
    return mix(mix(mix(seed) + NEURONS) + group)


def neuron_bits(base: int, step: int, size: int) -> Array:
    """16 random bits for each neuron of a group in a step (from 0): int64, shape (size,)."""
    bits: Array = (hashed(mix(base + step), (size,)) >> np.uint64(16)).astype(np.int64)
    return bits
