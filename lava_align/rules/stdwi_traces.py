r"""The two traces of STDWI on chip: whole impulses and coefficients with kernels of equal area.

The difference of the traces is :math:`m_1 y_1 - m_2 2^{-k} y_2`. Both traces are as fine as 7 bits
allow, for a trace decays by rounding at random, and a slow one of impulse 1 is mostly noise. What
the areas still differ by is a drift that every weight shares, in proportion to the rates of its
neurons: it shifts the weights against zero, and their signs with them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.learning_rule import Trace
from lava_align.rules.accumulation import SMALLEST_EXPONENT
from lava_align.rules.base import Sample

Array = np.ndarray[Any, Any]

TRACE_MAX = 127  # 7 bits
MANTISSAS = range(1, 8)
SHIFTS = range(-SMALLEST_EXPONENT + 1)
# Share of a trace's area that saturation may take. It takes it from the neurons that fire most:
# at 0.5 %, the packaged digits lost 0.006 of r (200 s, seeds 1 to 3), at this 0.001.
TRACE_TOLERANCE = 0.0002
# Relative difference of the two areas up to which finer traces are preferred to closer ones. At
# 0.4 % (impulses 19 and 1 for 10 and 200 ms) the packaged digits lost 0.01 of sign agreement.
AREA_TOLERANCE = 0.0005
WORST_AREA = 0.005


def trace_area(tau_steps: int) -> float:
    """Sum over steps of a unit trace, its first step included."""
    return 1.0 / -math.expm1(-1.0 / tau_steps)


def unit_trace(spikes: Array, tau_steps: int) -> Array:
    """Unit-impulse exponential trace of a raster, own spike included; shape as ``spikes``."""
    decay = math.exp(-1.0 / tau_steps)
    trace = np.empty(spikes.shape)
    state = np.zeros(spikes.shape[1])
    for step, row in enumerate(spikes):
        state = state * decay + row
        trace[step] = state
    return trace


@dataclass(frozen=True)
class Kernels:
    """Constants of the difference ``mantissa[0]*y1 - mantissa[1]*2^-shift*y2``.

    Parameters
    ----------
    tau, impulse, mantissa : tuple of int
        Of the fast and the slow trace; tau in steps.
    shift : int
        0..7.
    """

    tau: tuple[int, int]
    impulse: tuple[int, int]
    mantissa: tuple[int, int] = (1, 1)
    shift: int = 0

    @property
    def fast(self) -> Trace:
        """The fast trace."""
        return Trace(impulse=self.impulse[0], tau=self.tau[0])

    @property
    def slow(self) -> Trace:
        """The slow trace."""
        return Trace(impulse=self.impulse[1], tau=self.tau[1])

    @property
    def step(self) -> tuple[float, float]:
        """What a spike adds to each term of the difference."""
        slow = self.mantissa[1] * 2.0**-self.shift
        return float(self.mantissa[0] * self.impulse[0]), slow * self.impulse[1]

    @property
    def area(self) -> tuple[float, float]:
        """Sum over time of each term after one spike."""
        fast, slow = self.step
        return fast * trace_area(self.tau[0]), slow * trace_area(self.tau[1])

    @property
    def smallest_exponent(self) -> int:
        """Smallest exponent that the whole difference can be multiplied by."""
        return SMALLEST_EXPONENT + self.shift

    def terms(
        self, exponent: int, at: str = "x0", of: str = "y", factor: str = "", sign: int = 1
    ) -> str:
        """``2^exponent`` times the difference, as a rule is written.

        Parameters
        ----------
        at : str
            Dependency at whose events it counts.
        of : {"x", "y"}
            Side whose traces 1 and 2 are the fast and the slow one.
        factor : str
            A further factor of both products, with its ``*`` in front.
        sign : {1, -1}
        """
        fast = _coefficient(self.mantissa[0], exponent)
        slow = _coefficient(self.mantissa[1], exponent - self.shift)
        plus, minus = ("", "-") if sign > 0 else ("-", "+")
        return f"{plus}{fast}{at}*{of}1{factor} {minus} {slow}{at}*{of}2{factor}"


def _coefficient(mantissa: int, exponent: int) -> str:
    whole = f"{mantissa}*" if mantissa != 1 else ""
    return whole + (f"2^{exponent}*" if exponent else "")


@dataclass(frozen=True)
class Traces:
    """Kernels, and what the sample says of them.

    Parameters
    ----------
    kernels : Kernels
    difference : ndarray, shape (n_steps, n_post)
        Over the sample, saturation included.
    saturated : float
        Share of the traces' area lost to saturation.
    imbalance : float
        Area of the fast kernel over that of the slow one, less 1, saturation included.
    """

    kernels: Kernels
    difference: Array
    saturated: float
    imbalance: float


@dataclass(frozen=True)
class SampledTraces:
    """The lower neurons' traces in the sample, as they would be with any impulse.

    Parameters
    ----------
    tau : tuple of int
        Steps.
    units : tuple of ndarray, shape (n_steps, n_post)
        With impulse 1, not saturated.
    """

    tau: tuple[int, int]
    units: tuple[Array, Array]

    @property
    def difference(self) -> Array:
        """The paper's, with kernels of equal area and the fast one of height 1."""
        return self.units[0] - self.units[1] * (trace_area(self.tau[0]) / trace_area(self.tau[1]))

    def held(self, index: int, impulse: int) -> tuple[Array, float]:
        """A trace as it saturates, and the share of its area that is kept."""
        whole = self.units[index] * impulse
        trace = np.minimum(whole, TRACE_MAX)
        total = float(whole.sum())
        # Rounding can make the kept share a hair more than the whole.
        return trace, min(1.0, float(trace.sum()) / total) if total else 1.0

    def finest(self, index: int) -> int:
        """Largest impulse, 1..127, with which a trace hardly saturates; 1 if with none."""
        low, high = 1, TRACE_MAX
        while low < high:
            middle = (low + high + 1) // 2
            sound = 1.0 - self.held(index, middle)[1] <= TRACE_TOLERANCE
            low, high = (middle, high) if sound else (low, middle - 1)
        return low

    def with_kernels(self, kernels: Kernels) -> Traces:
        """The difference with these constants."""
        (fast, kept_fast), (slow, kept_slow) = (self.held(i, kernels.impulse[i]) for i in (0, 1))
        mantissa = kernels.mantissa
        return Traces(
            kernels=kernels,
            difference=mantissa[0] * fast - mantissa[1] * 2.0**-kernels.shift * slow,
            saturated=1.0 - min(kept_fast, kept_slow),
            imbalance=kernels.area[0] * kept_fast / (kernels.area[1] * kept_slow) - 1.0,
        )


def sample_traces(parameters: Mapping[str, float], sample: Sample, where: str) -> SampledTraces:
    """Traces of the lower neurons in the sample.

    Raises
    ------
    ConstraintViolationError
        If the time constants fall together on the grid, or lie too far apart for 7 bits.
    """
    tau = _whole_steps(parameters, sample.dt, where)
    return SampledTraces(tau, (unit_trace(sample.post, tau[0]), unit_trace(sample.post, tau[1])))


def _whole_steps(parameters: Mapping[str, float], dt: float, where: str) -> tuple[int, int]:
    tau = [max(1, round(parameters[name] / dt)) for name in ("tau_fast", "tau_slow")]
    if tau[0] >= tau[1]:
        raise ConstraintViolationError(
            Problem(
                f"{where}.tau_fast",
                f"{parameters['tau_fast']:g} s is {tau[0]} steps, tau_slow {tau[1]}",
                "tau_fast must be shorter than tau_slow on the time grid; use a smaller dt",
            )
        )
    if trace_area(tau[1]) > TRACE_MAX * trace_area(tau[0]):
        raise ConstraintViolationError(
            Problem(
                f"{where}.tau_slow",
                f"{tau[1] / tau[0]:g} times tau_fast",
                f"a 7-bit trace holds integer impulses up to a ratio of {TRACE_MAX}",
            )
        )
    return tau[0], tau[1]


@functools.lru_cache(maxsize=64)
def balanced_kernels(tau: tuple[int, int], finest: tuple[int, int]) -> tuple[Kernels, ...]:
    """Kernels of nearly equal area, the best first; at least one.

    Parameters
    ----------
    finest : tuple of int
        Largest impulses of the fast and of the slow trace, 1..127.
    """
    ratio = trace_area(tau[1]) / trace_area(tau[0])
    # Even the coarsest slow trace can ask for a fast one that saturates.
    found = [Kernels(tau, (round(ratio), 1))]
    for shift, first, second in itertools.product(SHIFTS, MANTISSAS, MANTISSAS):
        if math.gcd(first, second << shift) > 1:
            continue
        for slow in range(1, finest[1] + 1):
            asked = ratio * slow * second / first * 2.0**-shift
            fast = round(asked)
            if 1 <= fast <= finest[0] and abs(fast / asked - 1.0) <= WORST_AREA:
                found.append(Kernels(tau, (fast, slow), (first, second), shift))

    def rank(kernels: Kernels) -> tuple[float, float, int]:
        error = abs(kernels.area[0] / kernels.area[1] - 1.0)
        coarseness = max(f / i for f, i in zip(finest, kernels.impulse, strict=True))
        return max(error, AREA_TOLERANCE), coarseness, kernels.shift

    return tuple(sorted(found, key=rank))
