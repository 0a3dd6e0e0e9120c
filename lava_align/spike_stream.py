"""Spikes in the order of time, a window at a time, so that a long input need not be held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]
Piece = tuple[int, Array, Array]
GradedPiece = tuple[int, Array, Array, Array]


class SpikeStream:
    """Spikes that are made as they are asked for.

    Parameters
    ----------
    pieces : iterable of (stop, step, neuron) or of (stop, step, neuron, value)
        Spikes of consecutive stretches of time, each with the step at which it ends; values, if
        they are graded, none of them 0.
    size : int
        Number of neurons.
    graded : bool
        Whether the pieces have values.
    """

    def __init__(
        self, pieces: Iterable[Piece | GradedPiece], size: int, *, graded: bool = False
    ) -> None:
        self.size, self.graded = size, graded
        self._pieces = iter(pieces)
        self._drawn = self._read = 0
        kinds = (np.int64, np.int32, np.int32)
        self._held = [tuple(np.zeros(0, kind) for kind in kinds[: 3 if graded else 2])]

    @classmethod
    def of(cls, spikes: Spikes) -> SpikeStream:
        """Stream spikes that are there already."""
        end = int(spikes.step[-1]) + 1 if len(spikes) else 0
        if spikes.value is None:
            return cls([(end, spikes.step, spikes.neuron)], spikes.size)
        pieces = [(end, spikes.step, spikes.neuron, spikes.value)]
        return cls(pieces, spikes.size, graded=True)

    def until(self, stop: int) -> Spikes:
        """Spikes from where the last call stopped up to step ``stop - 1``.

        Raises
        ------
        ValueError
            If that lies in the past.
        """
        if stop < self._read:
            raise ValueError(f"the stream is at step {self._read} and cannot go back to {stop}")
        while self._drawn < stop and (piece := next(self._pieces, None)) is not None:
            self._drawn, *columns = piece
            self._held.append(tuple(columns))
        if len(self._held) > 1:
            joined = (np.concatenate(arrays) for arrays in zip(*self._held, strict=True))
            self._held = [tuple(joined)]
        (held,) = self._held
        cut = int(np.searchsorted(held[0], stop))
        self._held = [tuple(array[cut:] for array in held)]
        self._read = stop
        step, neuron, *value = (array[:cut] for array in held)
        return Spikes(step=step, neuron=neuron, size=self.size, value=value[0] if value else None)
