"""Windows of regression discontinuity: what a lower neuron watches, and what it says at their ends.

All of it is known to the neuron alone, and in small integers, so that a neuron program can send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.recording import Spikes
from lava_align.rules.base import WindowPlan
from lava_align.rules.stdwi_traces import TRACE_MAX

Array = np.ndarray[Any, Any]

AVERAGE = 9
"""The share of ``plus`` windows follows with a weight of 2^-9 per window."""
CLASS_BITS = 4
DISTANCE_STEP = 2.0**-5
"""Distances from the threshold are sent in steps of this, as 7 bits: up to 4 thresholds."""


@dataclass(frozen=True)
class ClassAverage:
    """The share of ``plus`` windows as a neuron keeps it, in integers.

    Parameters
    ----------
    average : int
        The share follows with a weight of ``2**-average`` per window.
    bits : int
        It is sent in ``2**bits`` levels.
    """

    average: int = AVERAGE
    bits: int = CLASS_BITS

    def signals(self, plus: Array, minus: Array) -> tuple[Array, Array]:
        """What neurons send at the ends of their windows.

        Parameters
        ----------
        plus, minus : ndarray of bool, shape (n_steps, n)

        Returns
        -------
        tuple of ndarray of int32, shape (n_steps, n)
            ``above``, ``2**bits`` less the share, after a ``plus``, and ``below``, the share, after
            a ``minus``; 0 elsewhere.
        """
        above, below = np.zeros(plus.shape, np.int32), np.zeros(plus.shape, np.int32)
        share = np.full(plus.shape[1], 2**15)
        for step in np.flatnonzero((plus | minus).any(axis=1)):
            level = (share + 2 ** (15 - self.bits)) >> (16 - self.bits)
            up, down = plus[step], minus[step]
            above[step, up] = 2**self.bits - level[up]
            below[step, down] = level[down]
            share[up] += (65535 - share[up]) >> self.average
            share[down] -= share[down] >> self.average
        return above, below


def window_signals(plus: Array, minus: Array, distance: Array | None = None) -> dict[str, Array]:
    """All signals of the lower neurons that the forms learn from.

    Parameters
    ----------
    plus, minus : ndarray of bool, shape (n_steps, n)
        Ends of windows with and without a spike.
    distance : ndarray, shape (n_steps, n), optional
        Of the drive's peak from the threshold at the end of a window, >= 0, in its units.
    """
    above, below = ClassAverage().signals(plus, minus)
    found = {} if distance is None else {"post.distance": distance_levels(distance)}
    return found | {
        "post.plus": plus,
        "post.minus": minus,
        "post.window": plus | minus,
        "post.above": above,
        "post.below": below,
    }


def derive(recorded: Mapping[str, Spikes], n_steps: int) -> dict[str, Array]:
    """Signals of the forms from recorded ends of windows, whose values are distances."""
    plus, minus = (recorded[f"post.{name}"] for name in ("plus", "minus"))
    distance = None
    if plus.value is not None and minus.value is not None:
        distance = np.zeros((n_steps, plus.size))
        for ends in (plus, minus):
            distance[ends.step, ends.neuron] = ends.value
    return window_signals(plus.raster(n_steps), minus.raster(n_steps), distance)


def window_plan(parameters: Mapping[str, float], dt: float) -> WindowPlan:
    """What the lower neurons watch."""
    return WindowPlan(
        margin=parameters["margin"],
        reach=parameters["reach"],
        length=max(1, round(parameters["window"] / dt)),
        average=AVERAGE,
        bits=CLASS_BITS,
        distance_step=DISTANCE_STEP,
    )


def distance_levels(distance: Array) -> Array:
    """Distances as neurons send them: int32, 0..127 in steps of ``DISTANCE_STEP``."""
    levels: Array = np.minimum(np.abs(distance) / DISTANCE_STEP, TRACE_MAX).astype(np.int32)
    return levels
