"""External spike trains: their statistics, and the spikes a seed draws from them.

Rate-coded drives are piecewise constant: time is cut into segments of one ``period``, a drive
gives each segment a rate per neuron, and every step draws at most one spike per neuron with
probability ``rate * dt``. A segment may share part of its spikes between its active neurons
(single-interaction process; Kuhn, Aertsen & Rotter 2003), which gives a pairwise correlation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import Problem
from lava_align.model.units import format_time
from lava_align.recording import Spikes
from lava_align.spike_stream import SpikeStream
from lava_align.values import ArrayValue, frozen_array

Array = np.ndarray[Any, Any]


Piece = tuple[int, Array, Array]
"""Spikes (step, neuron) of a stretch of time, and the step at which it ends."""


@dataclass(frozen=True)
class Segment:
    """Rates of one segment (Hz, one per neuron) and the share of spikes active neurons share."""

    rates: Array
    correlation: float = 0.0


class Drive(ABC):
    """What feeds a population: a rule for drawing spikes on the network's time grid."""

    @abstractmethod
    def problems(self, where: str, size: int, dt: float) -> Iterator[Problem]:
        """Yield what is wrong with this drive for ``size`` neurons at step ``dt``."""

    @abstractmethod
    def pieces(
        self, size: int, n_steps: int, dt: float, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Draw the spikes of ``n_steps`` steps, piece by piece in the order of time."""

    def stream(self, size: int, n_steps: int, dt: float, rng: np.random.Generator) -> SpikeStream:
        """Spikes of ``n_steps`` steps, drawn as they are asked for."""
        return SpikeStream(self.pieces(size, n_steps, dt, rng), size)

    def draw(self, size: int, n_steps: int, dt: float, rng: np.random.Generator) -> Spikes:
        """Draw the spikes of ``n_steps`` steps at once."""
        return self.stream(size, n_steps, dt, rng).until(n_steps)


class SegmentedDrive(Drive):
    """A drive whose rates are constant within segments of one ``period``."""

    period: float

    @abstractmethod
    def segment(self, size: int, rng: np.random.Generator) -> Segment:
        """Draw the next segment."""

    def pieces(
        self, size: int, n_steps: int, dt: float, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Draw the spikes segment by segment."""
        per_segment = max(1, round(self.period / dt))
        for start in range(0, n_steps, per_segment):
            length = min(per_segment, n_steps - start)
            raster = _bernoulli(self.segment(size, rng), length, dt, rng)
            step, neuron = np.nonzero(raster)
            yield start + length, step + start, neuron


def _bernoulli(segment: Segment, length: int, dt: float, rng: np.random.Generator) -> Array:
    """Boolean raster (length, size) of one segment."""
    probability = segment.rates * dt
    own = rng.random((length, probability.size))
    if not segment.correlation:
        return np.asarray(own < probability)
    # A neuron fires if its own train or the common train does. The common train is the same
    # uniform number for everybody, so that neurons of unequal rates share as much as they can.
    common = segment.correlation * probability
    rest = (probability - common) / np.maximum(1.0 - common, np.finfo(float).tiny)
    shared = rng.random((length, 1))
    return np.asarray((own < rest) | (shared < common))


@dataclass(frozen=True, kw_only=True)
class PoissonDrive(SegmentedDrive):
    """Independent or correlated Poisson trains into a random part of the population.

    Parameters
    ----------
    rate : float
        Rate of a driven neuron, Hz, >= 0 and at most 1/dt.
    active_fraction : float
        Share of the neurons driven in a segment, 0 < f <= 1; drawn anew every ``period``.
    period : float
        Length of a segment, seconds.
    correlation : float
        Share of each driven neuron's spikes taken from one common train, 0..1.
    """

    rate: float
    active_fraction: float = 1.0
    period: float = 0.1
    correlation: float = 0.0

    def problems(self, where: str, size: int, dt: float) -> Iterator[Problem]:
        """Yield what is out of range."""
        yield from _rate_problems(f"{where}.rate", self.rate, dt)
        yield from _period_problems(where, self.period, dt)
        if not 0 < self.active_fraction <= 1:
            yield Problem(f"{where}.active_fraction", str(self.active_fraction), "0 < f <= 1")
        if not 0 <= self.correlation <= 1:
            yield Problem(f"{where}.correlation", str(self.correlation), "0 <= c <= 1")

    def segment(self, size: int, rng: np.random.Generator) -> Segment:
        """Drive a fresh random subset."""
        n_active = max(1, round(self.active_fraction * size))
        rates = np.zeros(size)
        rates[rng.permutation(size)[:n_active]] = self.rate
        return Segment(rates, self.correlation)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDrive(SegmentedDrive, ArrayValue):
    """Poisson trains with rates proportional to the pixels of a random image per segment.

    Parameters
    ----------
    images : ndarray, shape (n_images, size), float
        Intensities, 0..1.
    max_rate : float
        Rate of a pixel of intensity 1, Hz.
    period : float
        Time each image is shown, seconds.
    """

    images: Array
    max_rate: float
    period: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", frozen_array(self.images, np.float64))

    def problems(self, where: str, size: int, dt: float) -> Iterator[Problem]:
        """Yield what is out of range."""
        yield from _rate_problems(f"{where}.max_rate", self.max_rate, dt)
        yield from _period_problems(where, self.period, dt)
        if self.images.ndim != 2 or not self.images.size or self.images.shape[1] != size:
            yield Problem(f"{where}.images", f"shape {self.images.shape}", f"(n_images, {size})")
        elif not ((self.images >= 0) & (self.images <= 1)).all():
            yield Problem(f"{where}.images", "values outside 0..1", "intensities in 0..1")

    def segment(self, size: int, rng: np.random.Generator) -> Segment:
        """Show a random image."""
        return Segment(self.images[rng.integers(len(self.images))] * self.max_rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class MixedDrive(SegmentedDrive, ArrayValue):
    """Segments drawn at random from several segmented drives.

    Parameters
    ----------
    parts : tuple of SegmentedDrive
        The drives; their own periods are not used.
    shares : tuple of float
        Relative frequency of each, > 0.
    period : float
        Length of every segment, seconds.
    """

    parts: tuple[SegmentedDrive, ...]
    shares: tuple[float, ...]
    period: float = 0.1

    def problems(self, where: str, size: int, dt: float) -> Iterator[Problem]:
        """Yield what is wrong with the mixture or with a part of it."""
        yield from _period_problems(where, self.period, dt)
        if not self.parts:
            yield Problem(f"{where}.parts", "none", "at least one drive")
        if len(self.shares) != len(self.parts) or not all(s > 0 for s in self.shares):
            yield Problem(f"{where}.shares", str(self.shares), "one positive share per part")
        for index, part in enumerate(self.parts):
            found = part.problems(f"{where}.parts[{index}]", size, dt)
            # A part's own period is not used, so it cannot be wrong.
            yield from (p for p in found if not p.where.endswith(".period"))

    def segment(self, size: int, rng: np.random.Generator) -> Segment:
        """Let one part draw the segment."""
        shares = np.asarray(self.shares) / sum(self.shares)
        return self.parts[rng.choice(len(self.parts), p=shares)].segment(size, rng)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedDrive(Drive, ArrayValue):
    """Spikes given one by one, the same for every seed.

    Parameters
    ----------
    times : ndarray, shape (n_spikes,)
        Seconds, ascending, >= 0; each goes to the nearest step. Spikes after the end of the run
        are not used.
    neurons : ndarray of int, shape (n_spikes,)
        Index of the neuron each spike goes to.
    """

    times: Array
    neurons: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", frozen_array(self.times, np.float64))
        object.__setattr__(self, "neurons", frozen_array(self.neurons, np.int64))

    def problems(self, where: str, size: int, dt: float) -> Iterator[Problem]:
        """Yield unsorted or negative times, indices out of range and doubled spikes."""
        if self.times.ndim != 1 or self.times.shape != self.neurons.shape:
            shapes = f"times {self.times.shape}, neurons {self.neurons.shape}"
            yield Problem(where, shapes, "two one-dimensional arrays of equal length")
            return
        if not np.isfinite(self.times).all() or (self.times < 0).any():
            bad = self.times[~(np.isfinite(self.times) & (self.times >= 0))][0]
            yield Problem(f"{where}.times", f"{bad} s", "finite seconds >= 0")
            return
        if (np.diff(self.times) < 0).any():
            at = int(np.argmax(np.diff(self.times) < 0)) + 1
            yield Problem(f"{where}.times", f"not sorted (entry {at})", "ascending times")
        outside = (self.neurons < 0) | (self.neurons >= size)
        if outside.any():
            bad = int(self.neurons[outside][0])
            yield Problem(f"{where}.neurons", f"index {bad}", f"0..{size - 1}")
            return
        # Compared as floats: a time far behind the end of the run may not fit an integer.
        step = np.round(self.times / dt)
        order = np.lexsort((self.neurons, step))
        twice = (np.diff(step[order]) == 0) & (np.diff(self.neurons[order]) == 0)
        if twice.any():
            at = order[int(np.argmax(twice))]
            yield Problem(
                f"{where}.times",
                f"neuron {self.neurons[at]} has two spikes at {self.times[at]:g} s",
                f"at most one per step of {format_time(dt)}",
            )

    def pieces(
        self, size: int, n_steps: int, dt: float, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Return the given spikes on the grid."""
        step = np.round(self.times / dt)
        inside = step < n_steps
        yield n_steps, step[inside].astype(np.int64), self.neurons[inside]


def _rate_problems(where: str, rate: float, dt: float) -> Iterator[Problem]:
    if not (math.isfinite(rate) and 0 <= rate * dt <= 1):
        yield Problem(where, f"{rate} Hz", f"0..{1 / dt:g} Hz (at most one spike per step)")


def _period_problems(where: str, period: float, dt: float) -> Iterator[Problem]:
    if not (math.isfinite(period) and period >= dt):
        found, least = format_time(period), format_time(dt)
        yield Problem(f"{where}.period", found, f"a finite time >= dt ({least})")
