"""Traces and exponent of the on-chip forms of STDWI, chosen from a sample of the activity.

The update's exponent keeps the weights inside their range to the end of the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.rules.base import Sample
from lava_align.rules.stdwi_traces import Kernels, Traces, balanced_kernels, sample_traces

Array = np.ndarray[Any, Any]

WEIGHT_MAX = 255
# Without spikes nothing can be predicted; this suits the rates and lengths of the paper's example.
GUESSED_EXPONENT = -4
# Weights beyond the range are clipped and lost. Three standard deviations of the predicted spread
# inside the range leave about 0.3 % of a normal spread outside.
SPREAD_SIGMAS = 3.0


@dataclass(frozen=True)
class Spread:
    """Expected distribution of the accumulated difference at the end of the run.

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


def expected_spread(sample: Sample, difference: Array, leak: float) -> Spread:
    """Extrapolate from the sample to the whole run.

    The two halves of the sample share the drift (grows with time) and differ in the noise (grows
    with its square root), so their covariance separates the two.

    Parameters
    ----------
    leak : float
        Share of the weight that decays per step on the chip.
    """
    half = len(difference) // 2
    first, second = (
        difference[start : start + half].T @ sample.pre[start : start + half].astype(float)
        for start in (0, half)
    )
    growth = _remembered(leak, sample.n_steps) / max(half, 1)
    noise_steps = _remembered(2.0 * leak, sample.n_steps)
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


def choose_traces(
    parameters: Mapping[str, float], sample: Sample, leak: float, where: str, *, room: int
) -> tuple[Traces, Spread, int]:
    """Best traces that do not outgrow the weight, and the update's exponent.

    If all outgrow it, those that do least are taken, and the exponent is too small.

    Parameters
    ----------
    leak : float
        Of the weight, 1/step.
    room : int
        By how much the exponent may be below the smallest coefficient.
    """
    sampled = sample_traces(parameters, sample, where)
    reach = expected_spread(sample, sampled.difference, leak).reach
    kernels = balanced_kernels(sampled.tau, (sampled.finest(0), sampled.finest(1)))

    def spare(candidate: Kernels) -> int:
        exponent = update_exponent(reach * candidate.step[0])
        return exponent - (candidate.smallest_exponent - room)

    chosen = next((k for k in kernels if spare(k) >= 0), None) or max(kernels, key=spare)
    traces = sampled.with_kernels(chosen)
    spread = expected_spread(sample, traces.difference, leak)
    return traces, spread, update_exponent(spread.reach)
