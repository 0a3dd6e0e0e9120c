"""Spike-train statistics of one population: rates, irregularity, pairwise correlation.

The definitions are those of Elephant (``mean_firing_rate``, ``cv`` of ``isi``,
``correlation_coefficient`` of a ``BinnedSpikeTrain``), computed on the time grid in one pass over
the spikes. A window starts at ``start_step``, so that a warm-up can be left out, and ends with the
run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]

MIN_SPIKES = 10
"""Spikes a neuron needs for a coefficient of variation. Few intervals bias it low: a Poisson train
reads 0.87 on average with the nine intervals of ten spikes, 0.73 with four, 0.50 with two."""

_SAMPLE_SEED = 0


@dataclass(frozen=True, kw_only=True)
class PairwiseCorrelation:
    """Mean correlation of binned spike counts, and which neurons it rests on.

    Parameters
    ----------
    mean : float
        Mean Pearson correlation over all pairs of used neurons, -1..1; ``nan`` with fewer than
        two used neurons.
    n_used : int
        Neurons in the mean.
    n_silent : int
        Sampled neurons without a spike in the window.
    n_constant : int
        Sampled neurons that spiked equally often in every bin, so that no correlation exists.
    """

    mean: float
    n_used: int
    n_silent: int
    n_constant: int


def firing_rates(spikes: Spikes, *, dt: float, n_steps: int, start_step: int = 0) -> Array:
    """Mean rate of each neuron.

    Parameters
    ----------
    spikes : Spikes
    dt : float
        Time step, seconds, > 0.
    n_steps : int
        Length of the run in steps.
    start_step : int
        First step of the window, 0 <= start_step < n_steps.

    Returns
    -------
    ndarray, shape (size,)
        Hz; 0 for a silent neuron.

    Raises
    ------
    InvalidInputError
        If the window is empty or dt is not positive.
    """
    _check_window(dt, n_steps, start_step)
    inside = (spikes.step >= start_step) & (spikes.step < n_steps)
    counts = np.bincount(spikes.neuron[inside], minlength=spikes.size)
    return np.asarray(counts / ((n_steps - start_step) * dt))


def isi_cv(spikes: Spikes, *, start_step: int = 0, min_spikes: int = MIN_SPIKES) -> Array:
    """Coefficient of variation of the inter-spike intervals of each neuron.

    Parameters
    ----------
    spikes : Spikes
    start_step : int
        Spikes before this step are left out.
    min_spikes : int
        Spikes a neuron needs, at least 3 (two intervals).

    Returns
    -------
    ndarray, shape (size,)
        Standard deviation (divisor n, as Elephant's ``cv``) over mean, dimensionless: 0 for a
        clock, about 1 for a Poisson train; ``nan`` for a neuron with fewer than ``min_spikes``.

    Raises
    ------
    InvalidInputError
        If ``min_spikes`` is below 3.
    """
    if min_spikes < 3:
        raise InvalidInputError(Problem("min_spikes", str(min_spikes), "at least 3"))
    # Spikes come sorted by step, and a stable sort keeps that order within a neuron. Sixteen bits
    # are sorted by counting, four times as fast.
    short = spikes.neuron.astype(np.int16) if spikes.size <= 2**15 else spikes.neuron
    order = np.argsort(short, kind="stable")
    order = order[spikes.step[order] >= start_step]
    step, neuron = spikes.step[order], spikes.neuron[order]
    same = neuron[1:] == neuron[:-1]
    interval, owner = np.diff(step)[same], neuron[1:][same]
    counts = np.bincount(owner, minlength=spikes.size)
    enough = counts >= min_spikes - 1
    safe = np.maximum(counts, 1)
    mean = np.bincount(owner, weights=interval, minlength=spikes.size) / safe
    squares = np.square(interval - mean[owner])
    deviation = np.sqrt(np.bincount(owner, weights=squares, minlength=spikes.size) / safe)
    # A mean of 0 needs all spikes in one step, which only a hand-made train can hold.
    enough &= mean > 0
    return np.asarray(np.divide(deviation, mean, out=np.full(spikes.size, math.nan), where=enough))


def pairwise_correlation(
    spikes: Spikes,
    *,
    dt: float,
    n_steps: int,
    start_step: int = 0,
    bin_width: float = 5e-3,
    max_neurons: int = 100,
) -> PairwiseCorrelation:
    """Mean pairwise Pearson correlation of binned spike counts.

    The sum over all pairs follows from the variance of the summed standardised counts,
    ``sum_{i != j} r_ij = |sum_i z_i|^2 - n``, so that neither a matrix of pairs nor a raster is
    made. A last bin that is not full is left out.

    Parameters
    ----------
    spikes : Spikes
    dt : float
        Time step, seconds, > 0.
    n_steps, start_step : int
        Length of the run and first step of the window.
    bin_width : float
        Seconds, >= dt; rounded to whole steps.
    max_neurons : int
        Larger populations are represented by this many neurons, at least 2. The choice depends
        on the population's size alone, so that runs are compared on the same neurons.

    Returns
    -------
    PairwiseCorrelation

    Raises
    ------
    InvalidInputError
        If the window holds fewer than two bins, or an argument is out of range.
    """
    _check_window(dt, n_steps, start_step)
    per_bin = round(bin_width / dt)
    n_bins = (n_steps - start_step) // per_bin if per_bin >= 1 else 0
    if n_bins < 2 or max_neurons < 2:
        found = f"bin_width {bin_width} s, {n_bins} bins, max_neurons {max_neurons}"
        raise InvalidInputError(
            Problem("pairwise_correlation", found, f"bin_width >= {dt} s, 2 bins, 2 neurons")
        )
    sample = sampled_neurons(spikes.size, max_neurons)
    place = np.full(spikes.size, -1)
    place[sample] = np.arange(len(sample))
    time_bin, row = (spikes.step - start_step) // per_bin, place[spikes.neuron]
    inside = (spikes.step >= start_step) & (time_bin < n_bins) & (row >= 0)
    return _mean_correlation(row[inside], time_bin[inside], len(sample), n_bins)


def sampled_neurons(size: int, max_neurons: int) -> Array:
    """Sorted indices of at most ``max_neurons`` of ``size`` neurons, the same at every call."""
    if size <= max_neurons:
        return np.arange(size)
    chosen = np.random.default_rng(_SAMPLE_SEED).permutation(size)[:max_neurons]
    return np.sort(chosen)


def _mean_correlation(row: Array, time_bin: Array, n: int, n_bins: int) -> PairwiseCorrelation:
    counts = np.bincount(row, minlength=n)
    cell, in_cell = np.unique(row.astype(np.int64) * n_bins + time_bin, return_counts=True)
    squares = np.bincount(cell // n_bins, weights=np.square(in_cell), minlength=n)
    # Times n_bins this is a difference of whole numbers, hence exactly 0 for constant counts.
    scatter = squares * n_bins - np.square(counts.astype(np.float64))
    used, silent = scatter > 0, counts == 0
    n_used = int(used.sum())
    weight = np.zeros(n)
    weight[used] = 1 / np.sqrt(scatter[used] / n_bins)
    summed = np.bincount(time_bin, weights=weight[row], minlength=n_bins)
    summed = summed - summed.mean()
    pairs = n_used * (n_used - 1)
    return PairwiseCorrelation(
        mean=float((summed @ summed - n_used) / pairs) if pairs else math.nan,
        n_used=n_used,
        n_silent=int(silent.sum()),
        n_constant=int((~used & ~silent).sum()),
    )


def _check_window(dt: float, n_steps: int, start_step: int) -> None:
    problems = []
    if not (math.isfinite(dt) and dt > 0):
        problems.append(Problem("dt", f"{dt} s", "a positive, finite time step"))
    if not 0 <= start_step < n_steps:
        problems.append(Problem("start_step", str(start_step), f"0..{n_steps - 1}"))
    if problems:
        raise InvalidInputError(problems)
