"""Spikes in the order of time, a window at a time, so that a long input need not be held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]


class SpikeStream:
    """Spikes that are made as they are asked for.

    Parameters
    ----------
    pieces : iterable of (stop, step, neuron)
        Spikes of consecutive stretches of time, each with the step at which it ends.
    size : int
        Number of neurons.
    """

    def __init__(self, pieces: Iterable[tuple[int, Array, Array]], size: int) -> None:
        self.size = size
        self._pieces = iter(pieces)
        self._drawn = self._read = 0
        self._held = [(np.zeros(0, np.int64), np.zeros(0, np.int32))]

    @classmethod
    def of(cls, spikes: Spikes) -> SpikeStream:
        """Stream spikes that are there already."""
        end = int(spikes.step[-1]) + 1 if len(spikes) else 0
        return cls([(end, spikes.step, spikes.neuron)], spikes.size)

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
            self._drawn, step, neuron = piece
            self._held.append((step, neuron))
        if len(self._held) > 1:
            steps, neurons = zip(*self._held, strict=True)
            self._held = [(np.concatenate(steps), np.concatenate(neurons))]
        ((step, neuron),) = self._held
        cut = int(np.searchsorted(step, stop))
        self._held = [(step[cut:], neuron[cut:])]
        self._read = stop
        return Spikes(step=step[:cut], neuron=neuron[:cut], size=self.size)
