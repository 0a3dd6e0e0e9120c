r"""Constants of the on-chip forms of STDWI, chosen from a sample of the activity.

Impulses are integers whose kernels have equal area. The update's exponent keeps the weights inside
their range to the end of the run, and the clock balances what the tag loses to clipping against
what the weight loses to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.learning_rule import Trace
from lava_align.rules.base import Quantity, Sample

Array = np.ndarray[Any, Any]

TRACE_MAX = 127  # 7 bits
TAG_MAX = 255
WEIGHT_MAX = 255
SMALLEST_EXPONENT = -7
LARGEST_CLOCK = 9
MANTISSAS = range(1, 8)
# Without spikes nothing can be predicted; this suits the rates and lengths of the paper's example.
GUESSED_EXPONENT = -4
# The kernels' areas must agree: what is left over is a drift that every weight shares, and so is
# what saturation takes from one of them. Half a percent is below the sampling noise of the traces'
# mean in any run of practical length.
TRACE_TOLERANCE = 0.005
# Weights beyond the range are clipped and lost. Three standard deviations of the predicted spread
# inside the range leave about 0.3 % of a normal spread outside.
SPREAD_SIGMAS = 3.0
# A tick that takes more than this of the weight is no longer a small step of the paper's decay.
LARGEST_LEAK = 0.5
# Sums of windows are formed in blocks of about this many numbers.
BLOCK = 2**21


def trace_area(tau_steps: int) -> float:
    """Sum over steps of a unit trace, its first step included."""
    return 1.0 / -math.expm1(-1.0 / tau_steps)


def _trace(spikes: Array, tau_steps: int) -> Array:
    """Unit-impulse exponential trace of a raster, own spike included; shape as ``spikes``."""
    decay = math.exp(-1.0 / tau_steps)
    trace = np.empty(spikes.shape)
    state = np.zeros(spikes.shape[1])
    for step, row in enumerate(spikes):
        state = state * decay + row
        trace[step] = state
    return trace


@dataclass(frozen=True)
class Traces:
    """The two traces on chip: constants and what the sample says of them.

    Parameters
    ----------
    tau, impulse : tuple of int
        Fast and slow; tau in steps.
    difference : ndarray, shape (n_steps, n_post)
        Fast minus slow trace over the sample, saturation included.
    saturated : float
        Share of the traces' area lost to saturation.
    imbalance : float
        Area of the fast kernel over that of the slow one, less 1, saturation included.
    """

    tau: tuple[int, int]
    impulse: tuple[int, int]
    difference: Array
    saturated: float
    imbalance: float

    @property
    def flaw(self) -> float:
        """What makes these traces other than the paper's, relative to their area."""
        return max(self.saturated, abs(self.imbalance))

    @property
    def fast(self) -> Trace:
        """The fast trace."""
        return Trace(impulse=self.impulse[0], tau=self.tau[0])

    @property
    def slow(self) -> Trace:
        """The slow trace."""
        return Trace(impulse=self.impulse[1], tau=self.tau[1])


def impulse_pairs(tau: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Integer impulses (fast, slow) whose kernels have nearly equal area, the largest first."""
    ratio = trace_area(tau[1]) / trace_area(tau[0])
    for slow in range(math.floor(TRACE_MAX / ratio), 0, -1):
        yield round(slow * ratio), slow


def candidate_traces(
    parameters: Mapping[str, float], sample: Sample, where: str
) -> Iterator[Traces]:
    """Traces the chip could hold, the finest grained first; at least one.

    Raises
    ------
    ConstraintViolationError
        If the time constants fall together on the grid, or lie too far apart for 7 bits.
    """
    fast_steps, slow_steps = (
        max(1, round(parameters[name] / sample.dt)) for name in ("tau_fast", "tau_slow")
    )
    tau = (fast_steps, slow_steps)
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
    units = [_trace(sample.post, t) for t in tau]
    for impulse in impulse_pairs(tau):
        held = [np.minimum(u * i, TRACE_MAX) for u, i in zip(units, impulse, strict=True)]
        whole = [float(u.sum()) * i for u, i in zip(units, impulse, strict=True)]
        kept = [float(h.sum()) / w if w else 1.0 for h, w in zip(held, whole, strict=True)]
        areas = [trace_area(t) * i * k for t, i, k in zip(tau, impulse, kept, strict=True)]
        yield Traces(
            tau=tau,
            impulse=impulse,
            difference=held[0] - held[1],
            # Rounding can make the kept share a hair more than the whole.
            saturated=max(0.0, 1.0 - min(kept)),
            imbalance=areas[0] / areas[1] - 1.0,
        )


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
    parameters: Mapping[str, float], sample: Sample, leak: float, where: str
) -> tuple[Traces, Spread, int]:
    """Finest traces that are sound and do not outgrow the weight, and the update's exponent.

    If all sound ones outgrow it, the exponent is below the smallest coefficient. If none is
    sound, those that come nearest are taken.
    """
    sound = None
    nearest: Traces | None = None
    for traces in candidate_traces(parameters, sample, where):
        if nearest is None or traces.flaw < nearest.flaw:
            nearest = traces
        if traces.flaw <= TRACE_TOLERANCE:
            spread = expected_spread(sample, traces.difference, leak)
            sound = traces, spread, update_exponent(spread.reach)
            if sound[2] >= SMALLEST_EXPONENT:
                break
    if sound is not None:
        return sound
    if nearest is None:
        raise AssertionError("there is always a pair of impulses")
    spread = expected_spread(sample, nearest.difference, leak)
    return nearest, spread, update_exponent(spread.reach)


@dataclass(frozen=True)
class Clock:
    """Transfer every 2^exponent steps, and what it costs: shares of the weights' variance."""

    exponent: int
    clipping: float
    rounding: float

    @property
    def noise(self) -> float:
        """Both costs together."""
        return self.clipping + self.rounding


def choose_clock(
    sample: Sample, accumulated: Array, spread: Spread, exponent: int, clocks: Sequence[int]
) -> Clock:
    """Choose the clock at which clipped tags and rounded transfers together cost least.

    Parameters
    ----------
    accumulated : ndarray, shape (n_steps, n_post)
        What an upper spike adds to the tag.
    spread : Spread
        Of the sum of all that at the end of the run.
    exponent : int
        Of the transfer from tag to weight.
    clocks : sequence of int
        Allowed clocks, at least one.
    """
    best: Clock | None = None
    for clock in sorted(clocks, reverse=True):
        candidate = _clock(sample, accumulated, spread, exponent, clock)
        # A shorter clock clips less and rounds more.
        if best is not None and candidate.rounding > best.noise:
            break
        if best is None or candidate.noise < best.noise:
            best = candidate
    if best is None:
        raise AssertionError("there is always a clock")
    return best


def _clock(sample: Sample, accumulated: Array, spread: Spread, exponent: int, clock: int) -> Clock:
    n_steps = len(accumulated)
    clipped = np.zeros((accumulated.shape[1], sample.pre.shape[1]))
    whole = np.zeros_like(clipped)
    rounded = 0.0
    for sums in _window_sums(sample, accumulated, 2**clock):
        whole += sums.sum(axis=0)
        held = np.clip(sums, -TAG_MAX, TAG_MAX)
        clipped += held.sum(axis=0)
        rounded += rounding_variance(held, exponent)
    variance = float(np.var(whole))
    final = (spread.sd * 2.0**exponent) ** 2
    return Clock(
        exponent=clock,
        clipping=float(np.var(whole - clipped)) / variance if variance else 0.0,
        rounding=rounded / whole.size * spread.noise_steps / n_steps / final if final else 0.0,
    )


def rounding_variance(values: Array, exponent: int) -> float:
    """Sum of the variances of stochastic rounding of whole ``values`` times ``2**exponent``."""
    fraction: Array = np.rint(values) * 2.0**exponent % 1.0
    return float((fraction * (1.0 - fraction)).sum())


def _window_sums(sample: Sample, accumulated: Array, length: int) -> Iterator[Array]:
    """Sums over windows of ``length`` steps, in blocks of shape (n_windows, n_post, n_pre)."""
    n_steps, n_post = accumulated.shape
    n_pre = sample.pre.shape[1]
    block = length * max(1, BLOCK // max(n_post * n_pre, length * max(n_post, n_pre)))
    for start in range(0, n_steps, block):
        stop = min(start + block, n_steps)
        windows = -(-(stop - start) // length)
        post = np.zeros((windows * length, n_post))
        pre = np.zeros((windows * length, n_pre))
        post[: stop - start], pre[: stop - start] = accumulated[start:stop], sample.pre[start:stop]
        post, pre = post.reshape(windows, length, n_post), pre.reshape(windows, length, n_pre)
        yield post.transpose(0, 2, 1) @ pre


@dataclass(frozen=True)
class Decay:
    """Leak of the weight on the clock.

    Parameters
    ----------
    asked : float
        Leak per tick as the paper's rule has it at the sample's rate.
    mantissa, exponent : int
        The coefficient that comes nearest; mantissa 0 if all are too large.
    """

    clock: int
    asked: float
    mantissa: int
    exponent: int

    @property
    def per_tick(self) -> float:
        """Leak per tick on the chip."""
        return float(self.mantissa * 2.0**self.exponent)

    @property
    def per_step(self) -> float:
        """The same as a rate, 1/step."""
        return float(-math.log1p(-min(self.per_tick, 0.999)) / 2**self.clock)

    @property
    def term(self) -> str:
        """What it adds to the rule's ``dw``."""
        if not self.mantissa:
            return ""
        return f" - {self.mantissa}*2^{self.exponent}*u{self.clock}*w"

    def quantity(self, where: str) -> Quantity:
        """Asked and realised."""
        left_out = "below the smallest coefficient 2^-7: left out, the run is finite"
        note = left_out if self.asked and not self.mantissa else ""
        return Quantity.compare(where, "decay per clock tick", self.asked, self.per_tick, note=note)


def decay_at(rate: float, clock: int) -> Decay:
    """Nearest leak a tick of this clock can have.

    Parameters
    ----------
    rate : float
        Leak per step, 1/step: eta * kappa * upper spikes per step.
    """
    asked = -math.expm1(-rate * 2**clock)
    smallest = 2.0**SMALLEST_EXPONENT
    if asked < smallest / math.sqrt(2.0):
        return Decay(clock=clock, asked=asked, mantissa=0, exponent=0)
    choices = [(m, e) for e in range(0, SMALLEST_EXPONENT - 1, -1) for m in MANTISSAS]
    choices = [(m, e) for m, e in choices if m * 2.0**e <= 1.0]
    mantissa, exponent = min(choices, key=lambda c: (abs(c[0] * 2.0 ** c[1] - asked), c[0]))
    return Decay(clock=clock, asked=asked, mantissa=mantissa, exponent=exponent)


def clocks_for(rate: float, *, held: bool) -> list[int]:
    """Clocks at which the leak is a small step and, if ``held``, one the chip can take."""
    small = [
        clock
        for clock in range(LARGEST_CLOCK + 1)
        if -math.expm1(-rate * 2**clock) <= LARGEST_LEAK or not clock
    ]
    return [clock for clock in small if not held or decay_at(rate, clock).mantissa]
