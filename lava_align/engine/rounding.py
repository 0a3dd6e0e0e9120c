"""Where the numbers of stochastic rounding come from.

A value is rounded up where a number in [0, 1) is less than its fraction. Lava draws one number per
connection and lets all its synapses, or all its traces of a side, share it. The independent numbers
are a hash of what they are for, so that they depend neither on order nor on threads.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from lava_align.engine.hashing import hashed, mix

Array = np.ndarray[Any, Any]

STREAMS = ("x1", "x2", "y1", "y2", "y3", "dw", "dd", "dt")
"""What is rounded; the position is the number of the stream."""

LAVA_SYNAPSE_SEED = 2
"""Lava rounds all synapses of all connections with this seed (``random.py``, ConnVarRandom)."""

_LOW64 = 2**64 - 1


class Rounding(Protocol):
    """Numbers in [0, 1) for one projection."""

    def advance(self, *, learning: bool) -> None:
        """Begin the end of a step; ``learning`` in the last one of a learning epoch."""
        ...

    def numbers(self, stream: str, step: int, shape: tuple[int, ...]) -> Array:
        """Numbers for ``stream`` at step ``step`` (from 0), broadcasting to ``shape``."""
        ...

    def state(self) -> Array:
        """What the next numbers depend on, as uint64, empty if on nothing but the step."""
        ...

    def restore(self, state: Array) -> None:
        """Go back to a state."""
        ...


class SharedRounding:
    """Lava's numbers: one draw of NumPy's PCG64 for everybody (``magma/core/learning/random.py``).

    Each of three generators draws once on construction. Those of the pre (``rng_seed``) and of the
    post traces (``rng_seed + 2``) draw twice a step, of which the second counts; the one of the
    synapses once an epoch. Lava has two more, for fractions of impulses; impulses are whole here.
    """

    def __init__(self, rng_seed: int) -> None:
        seeds = (rng_seed, rng_seed + 2, LAVA_SYNAPSE_SEED)
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._drawn = [generator.random() for generator in self._generators]

    def advance(self, *, learning: bool) -> None:
        """Draw."""
        for side in (0, 1):
            self._drawn[side] = self._generators[side].random(2)[1]
        if learning:
            self._drawn[2] = self._generators[2].random()

    def numbers(self, stream: str, step: int, shape: tuple[int, ...]) -> Array:
        """Return the one number there is, whatever the step and the shape."""
        return np.array(self._drawn[{"x": 0, "y": 1, "d": 2}[stream[0]]])

    def state(self) -> Array:
        """Per generator the 128 bits of PCG64's state and increment, low word first: (3, 4)."""
        states = [generator.bit_generator.state["state"] for generator in self._generators]
        words = [
            (state[key] >> low) & _LOW64
            for state in states
            for key in ("state", "inc")
            for low in (0, 64)
        ]
        return np.array(words, np.uint64).reshape(3, 4)

    def restore(self, state: Array) -> None:
        """Set the three generators."""
        for generator, words in zip(self._generators, state.tolist(), strict=True):
            pcg = {"state": words[0] | words[1] << 64, "inc": words[2] | words[3] << 64}
            generator.bit_generator.state = {**generator.bit_generator.state, "state": pcg}


class IndependentRounding:
    """A number of its own for every trace and synapse: a hash of what it is for.

    ``key = mix(mix(mix(mix(mix(seed) + projection) + rng_seed) + stream) + step)``, where ``mix``
    is one step of SplitMix64 in 64 bits, ``projection`` counts all synapses of the program from 0
    and ``stream`` is a position in :data:`STREAMS`. The number of element ``i`` (the neuron, or
    ``post * n_pre + pre``) is ``scramble(scramble(i ^ low) + high) / 2^32``, where ``scramble`` is
    Wellons' lowbias32 in 32 bits, and ``low`` and ``high`` are the halves of the key.
    """

    def __init__(self, seed: int, projection: int, rng_seed: int) -> None:
        self._base = mix(mix(mix(seed) + projection) + rng_seed)

    def advance(self, *, learning: bool) -> None:
        """Do nothing: no number depends on another."""

    def numbers(self, stream: str, step: int, shape: tuple[int, ...]) -> Array:
        """Hash each element of ``shape``."""
        key = mix(mix(self._base + STREAMS.index(stream)) + step)
        number: Array = hashed(key, shape) / 2.0**32
        return number

    def state(self) -> Array:
        """Nothing."""
        return np.zeros((0, 4), np.uint64)

    def restore(self, state: Array) -> None:
        """Do nothing."""
