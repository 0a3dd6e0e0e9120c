"""What a tag adds up between two ticks of its clock, estimated from a sample of the activity.

Every update that is a sum of products of a postsynaptic and a presynaptic factor, a trace at the
other side's spikes for instance, is here a sum of :class:`Term`: a matrix of outer products, step
by step. Sums of windows of it say how far a tag goes, and what rounding its transfers costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.rules.base import Sample

Array = np.ndarray[Any, Any]

TAG_MAX = 255
WEIGHT_MAX = 255
LARGEST_CLOCK = 9
SMALLEST_EXPONENT = -7
# Without spikes nothing can be predicted; this suits the rates and lengths of the paper's example.
GUESSED_EXPONENT = -4
# Weights beyond the range are clipped and lost. Three standard deviations of the predicted spread
# inside the range leave about 0.3 % of a normal spread outside.
SPREAD_SIGMAS = 3.0
# Sums of windows are formed in blocks of about this many numbers.
BLOCK = 2**21
# Constants are chosen from so many upper and so many lower neurons, evenly spaced: enough to know a
# spread to a few per cent, and time and memory do not grow with the network.
NEURONS_LOOKED_AT = 128


@dataclass(frozen=True)
class Term:
    """An update ``post[step, j] * pre[step, k]`` of synapse (j, k) in every step.

    Parameters
    ----------
    post : ndarray, shape (n_steps, n_post)
    pre : ndarray, shape (n_steps, n_pre)
    """

    post: Array
    pre: Array


def thinned(sample: Sample) -> Sample:
    """Evenly spaced neurons of a sample, at most ``NEURONS_LOOKED_AT`` a side."""

    def some(raster: Array) -> Array:
        step = -(-raster.shape[1] // NEURONS_LOOKED_AT)
        return raster[:, ::step]

    return Sample(
        pre=some(sample.pre),
        post=some(sample.post),
        dt=sample.dt,
        n_steps=sample.n_steps,
        signals={name: some(signal) for name, signal in sample.signals.items()},
        reach=sample.reach,
    )


@dataclass(frozen=True)
class Spread:
    """Expected distribution of the accumulated updates at the end of the run.

    Parameters
    ----------
    mean, sd : float
        Over the synapses.
    reliability : float
        Correlation with what an endless run would give, 0..1.
    noise_steps : float
        Steps over which independent noise adds up: those of the run, or fewer with a leak.
    """

    mean: float
    sd: float
    reliability: float
    noise_steps: float

    @property
    def reach(self) -> float:
        """Magnitude that few weights exceed."""
        return abs(self.mean) + SPREAD_SIGMAS * self.sd

    def beyond(self, limit: float) -> float:
        """Share of a normal distribution outside ``-limit..limit``."""
        if not self.sd:
            return float(abs(self.mean) > limit)
        ends = ((limit - self.mean) / self.sd, (limit + self.mean) / self.sd)
        return sum(0.5 * math.erfc(end / math.sqrt(2.0)) for end in ends)


def expected_spread(terms: Sequence[Term], n_steps: int, leak: float = 0.0) -> Spread:
    """Extrapolate from the sample to the whole run.

    The two halves of the sample share the drift (grows with time) and differ in the noise (grows
    with its square root), so their covariance separates the two.

    Parameters
    ----------
    terms : sequence of Term
        Over the sample.
    n_steps : int
        Of the run.
    leak : float
        Share of the weight that decays per step on the chip.
    """
    half = len(terms[0].pre) // 2
    first, second = (
        np.sum(
            [t.post[start : start + half].T @ t.pre[start : start + half] for t in terms], axis=0
        )
        for start in (0, half)
    )
    growth = _remembered(leak, n_steps) / max(half, 1)
    noise_steps = _remembered(2.0 * leak, n_steps)
    drift = max(float(np.mean((first - first.mean()) * (second - second.mean()))), 0.0)
    noise = max((float(first.var()) + float(second.var())) / 2 - drift, 0.0)
    variance = drift * growth**2 + noise * noise_steps / max(half, 1)
    return Spread(
        mean=float(first.mean() + second.mean()) / 2 * growth,
        sd=math.sqrt(variance),
        reliability=math.sqrt(drift * growth**2 / variance) if variance else 0.0,
        noise_steps=noise_steps,
    )


def _remembered(leak: float, n_steps: int) -> float:
    """Steps that a weight with this leak still holds at the end."""
    return -math.expm1(-leak * n_steps) / leak if leak else float(n_steps)


def update_exponent(reach: float) -> int:
    """Exponent that keeps ``reach`` inside the weight range, at most 0; it may be too small."""
    if reach <= 0:
        return GUESSED_EXPONENT
    return min(0, math.floor(math.log2(WEIGHT_MAX / reach)))


def window_sums(terms: Sequence[Term], length: int) -> Iterator[Array]:
    """Sums of all terms over windows of ``length`` steps.

    Yields
    ------
    ndarray, shape (n_windows, n_post, n_pre)
        In blocks; what is left at the end is a window of its own.
    """
    n_steps, n_post = terms[0].post.shape
    n_pre = terms[0].pre.shape[1]
    block = length * max(1, BLOCK // max(n_post * n_pre, length * max(n_post, n_pre)))
    for start in range(0, n_steps, block):
        stop = min(start + block, n_steps)
        windows = -(-(stop - start) // length)
        sums = np.zeros((windows, n_post, n_pre))
        for term in terms:
            post = _windowed(term.post[start:stop], windows, length)
            pre = _windowed(term.pre[start:stop], windows, length)
            sums += post.transpose(0, 2, 1) @ pre
        yield sums


def _windowed(values: Array, windows: int, length: int) -> Array:
    """Shape (windows, length, n), filled up with zeros."""
    padded = np.zeros((windows * length, values.shape[1]))
    padded[: len(values)] = values
    return padded.reshape(windows, length, -1)


def rounding_variance(values: Array, exponent: int, shift: int = 0) -> Array:
    """Variance of stochastic rounding of each of ``values`` times ``2**exponent``.

    ``values`` are those of a sample in floats; on the chip they are multiples of ``2**-shift``.
    """
    fraction: Array = np.rint(values * 2.0**shift) * 2.0 ** (exponent - shift) % 1.0
    variance: Array = fraction * (1.0 - fraction)
    return variance
