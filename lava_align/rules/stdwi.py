r"""Spike-timing-dependent weight inference (Ahmad, Ambrogioni & van Gerven, arXiv 2003.03988).

Each lower neuron j keeps a fast and a slow trace of its spikes with kernels of equal area. At
every spike of an upper neuron k the feedback weight moves towards the difference of the two,

.. math:: B_{jk} \mathrel{+}= \eta\,(f_j - s_j - \kappa B_{jk}),

so that it comes to measure by how much j fires more than usual just before k does, which to first
order is proportional to the forward weight :math:`W_{kj}`.

On the chip the feedback synapse has pre = k and post = j, so the event is ``x0`` and the traces
are ``y1`` (fast) and ``y2`` (slow). Two forms:

* *two-stage*: the tag adds up ``y1 - y2`` at each spike of k, in exact integers, and every 2^K
  steps a fraction 2^e of it moves to the weight. Rounding happens once per transfer.
* *one-stage*: every spike of k moves the weight directly; each move is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.backends.brian2_rules import STDWI_REFERENCE
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.rules.base import (
    AlignmentRule,
    LoweredRule,
    Needs,
    OnChipForm,
    Parameter,
    Quantity,
    Sample,
)

Array = np.ndarray[Any, Any]

TRACE_MAX = 127  # 7 bits
TAG_MAX = 255
WEIGHT_MAX = 255
SMALLEST_EXPONENT = -7
LARGEST_CLOCK = 9
# The kernels' areas must agree: what is left over is a drift that every weight shares. Half a
# percent is below the sampling noise of the traces' mean in any run of practical length.
AREA_TOLERANCE = 0.005
# Share of the spikes' trace area that may be lost to saturation at 127.
SATURATION_TOLERANCE = 0.005
# Weights beyond the range are clipped and lost. Three standard deviations of the predicted spread
# inside the range leave about 0.3 % of a normal spread outside.
SPREAD_SIGMAS = 3.0


def _trace_area(tau_steps: int) -> float:
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
class _Traces:
    """The two traces on chip: constants and what the sample says of them."""

    tau: tuple[int, int]
    impulse: tuple[int, int]
    difference: Array
    saturated: float

    @property
    def fast(self) -> Trace:
        return Trace(impulse=self.impulse[0], tau=self.tau[0])

    @property
    def slow(self) -> Trace:
        return Trace(impulse=self.impulse[1], tau=self.tau[1])


def _impulse_pairs(tau: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Integer impulses (fast, slow) whose kernels have equal area, the largest first."""
    ratio = _trace_area(tau[1]) / _trace_area(tau[0])
    pairs = [
        (round(slow * ratio), slow) for slow in range(1, TRACE_MAX + 1) if slow * ratio <= TRACE_MAX
    ]
    pairs = [pair for pair in pairs if pair[0] >= 1]
    good = [p for p in pairs if abs(p[0] / (p[1] * ratio) - 1) <= AREA_TOLERANCE]
    if not good and pairs:
        good = [min(pairs, key=lambda p: abs(p[0] / (p[1] * ratio) - 1))]
    yield from reversed(good)


def _candidate_traces(
    parameters: Mapping[str, float], sample: Sample, where: str
) -> Iterator[_Traces]:
    """Traces the chip could hold, the finest grained first."""
    tau = (
        max(1, round(parameters["tau_fast"] / sample.dt)),
        max(1, round(parameters["tau_slow"] / sample.dt)),
    )
    if tau[0] >= tau[1]:
        raise ConstraintViolationError(
            Problem(
                f"{where}.tau_fast",
                f"{parameters['tau_fast']:g} s is {tau[0]} steps, tau_slow {tau[1]}",
                "tau_fast must be shorter than tau_slow on the time grid; use a smaller dt",
            )
        )
    fast, slow = (_trace(sample.post, t) for t in tau)
    for impulse in _impulse_pairs(tau):
        y1 = np.minimum(fast * impulse[0], TRACE_MAX)
        y2 = np.minimum(slow * impulse[1], TRACE_MAX)
        whole = fast.sum() * impulse[0] + slow.sum() * impulse[1]
        lost = 1.0 - (y1.sum() + y2.sum()) / whole if whole else 0.0
        yield _Traces(tau=tau, impulse=impulse, difference=y1 - y2, saturated=float(lost))


def _totals(sample: Sample, difference: Array, steps: slice) -> Array:
    """Sum of the trace difference over the upper spikes of a stretch, (n_post, n_pre)."""
    return np.asarray(difference[steps].T @ sample.pre[steps].astype(float))


@dataclass(frozen=True)
class _Spread:
    """Expected distribution of the accumulated difference at the end of the run."""

    mean: float
    sd: float
    reliability: float

    @property
    def reach(self) -> float:
        return abs(self.mean) + SPREAD_SIGMAS * self.sd


def _expected_spread(sample: Sample, difference: Array) -> _Spread:
    """Extrapolate from the sample to the whole run.

    The two halves of the sample share the drift (grows with time) and differ in the noise (grows
    with its square root), so their covariance separates the two.
    """
    half = len(difference) // 2
    first, second = (
        _totals(sample, difference, slice(0, half)),
        _totals(sample, difference, slice(half, 2 * half)),
    )
    growth = sample.n_steps / max(half, 1)
    drift = max(float(np.mean((first - first.mean()) * (second - second.mean()))), 0.0)
    noise = max((float(first.var()) + float(second.var())) / 2 - drift, 0.0)
    variance = drift * growth**2 + noise * growth
    return _Spread(
        mean=float(first.mean() + second.mean()) / 2 * growth,
        sd=math.sqrt(variance),
        reliability=math.sqrt(drift * growth**2 / variance) if variance else math.nan,
    )


@dataclass(frozen=True)
class _Clock:
    """Transfer every 2^exponent steps, and what it costs: shares of the weights' variance."""

    exponent: int
    clipping: float
    rounding: float

    @property
    def noise(self) -> float:
        return self.clipping + self.rounding


def _clock(sample: Sample, difference: Array, spread: _Spread, exponent: int) -> _Clock:
    """Choose the clock at which clipped tags and rounded transfers together cost least.

    A long clock lets tags run into their limit; a short one rounds more often. Stochastic rounding
    to integers has a variance of 1/6 per transfer, averaged over the fractions.
    """
    variance = (spread.sd * 2.0**exponent) ** 2
    best: _Clock | None = None
    for clock in range(LARGEST_CLOCK, -1, -1):
        transfers = sample.n_steps / 2**clock
        candidate = _Clock(
            exponent=clock,
            clipping=_clipping(sample, difference, 2**clock),
            rounding=transfers / 6 / variance if variance else 0.0,
        )
        if best is not None and candidate.rounding > best.noise:
            break
        if best is None or candidate.noise < best.noise:
            best = candidate
    if best is None:
        raise AssertionError("there is always a clock")
    return best


def _clipping(sample: Sample, difference: Array, length: int) -> float:
    """Share of variance lost if the sums of ``length`` steps are clipped to the tag's range."""
    whole = clipped = np.zeros((difference.shape[1], sample.pre.shape[1]))
    for start in range(0, len(difference), length):
        window = _totals(sample, difference, slice(start, start + length))
        whole = whole + window
        clipped = clipped + np.clip(window, -TAG_MAX, TAG_MAX)
    lost, variance = float(np.var(whole - clipped)), float(np.var(whole))
    return lost / variance if variance else 0.0


def _decay_term(
    parameters: Mapping[str, float], sample: Sample, clock: int, where: str
) -> tuple[str, Quantity]:
    """Leak of the weight per clock tick that comes nearest to eta*kappa per upper spike."""
    rate = float(sample.pre.mean())
    asked = parameters["eta"] * parameters["kappa"] * rate * 2**clock
    exponent = round(math.log2(asked)) if asked > 0 else SMALLEST_EXPONENT - 1
    held = exponent >= SMALLEST_EXPONENT
    realised = 2.0 ** min(exponent, 0) if held else 0.0
    quantity = Quantity.compare(
        where,
        "decay per clock tick",
        asked,
        realised,
        note="" if held else "below the smallest coefficient 2^-7: left out, the run is finite",
    )
    term = f" - 2^{min(exponent, 0)}*u{clock}*w" if held else ""
    return term, quantity


def _trace_quantities(
    traces: _Traces, parameters: Mapping[str, float], sample: Sample, where: str
) -> tuple[Quantity, ...]:
    ratio = _trace_area(traces.tau[1]) / _trace_area(traces.tau[0])
    return (
        Quantity.compare(
            where, "tau_fast", parameters["tau_fast"], traces.tau[0] * sample.dt, "s", "whole steps"
        ),
        Quantity.compare(
            where, "tau_slow", parameters["tau_slow"], traces.tau[1] * sample.dt, "s", "whole steps"
        ),
        Quantity.compare(
            where,
            "impulse ratio",
            ratio,
            traces.impulse[0] / traces.impulse[1],
            note=f"integer impulses {traces.impulse[0]}:{traces.impulse[1]} of equal kernel area",
        ),
    )


def _exponent(reach: float, highest: int) -> int:
    """Largest exponent that keeps ``reach`` inside the weight range."""
    if reach <= 0:
        return highest
    return min(highest, math.floor(math.log2(WEIGHT_MAX / reach)))


def _choose(
    parameters: Mapping[str, float], sample: Sample, where: str
) -> tuple[_Traces, _Spread, int]:
    """Finest traces that neither saturate nor outgrow the weight, and the update's exponent."""
    best: tuple[_Traces, _Spread, int] | None = None
    for traces in _candidate_traces(parameters, sample, where):
        spread = _expected_spread(sample, traces.difference)
        exponent = _exponent(spread.reach, highest=0)
        best = (traces, spread, max(exponent, SMALLEST_EXPONENT))
        if traces.saturated <= SATURATION_TOLERANCE and exponent >= SMALLEST_EXPONENT:
            break
    if best is None:
        raise ConstraintViolationError(
            Problem(
                f"{where}.tau_slow",
                f"{parameters['tau_slow'] / parameters['tau_fast']:g} times tau_fast",
                "a 7-bit trace holds integer impulses up to a ratio of 127",
            )
        )
    return best


def _lowered(
    learning: LearningRule,
    chosen: tuple[_Traces, _Spread, int],
    parameters: Mapping[str, float],
    predictions: Mapping[str, float],
    quantities: tuple[Quantity, ...],
) -> LoweredRule:
    traces, spread, exponent = chosen
    gain = 2.0**exponent
    return LoweredRule(
        learning=learning,
        weight_scale=gain * traces.impulse[0] / parameters["eta"] if parameters["eta"] else 1.0,
        predictions={
            "weight_mean": spread.mean * gain,
            "weight_sd": spread.sd * gain,
            "reliability": spread.reliability,
            "trace_saturation": traces.saturated,
            **predictions,
        },
        quantities=quantities,
    )


def _two_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    chosen = _choose(parameters, sample, where)
    traces, spread, exponent = chosen
    best = _clock(sample, traces.difference, spread, exponent)
    clock = best.exponent
    decay, decay_quantity = _decay_term(parameters, sample, clock, where)
    learning = LearningRule(
        dt=Expression.parse(f"x0*y1 - x0*y2 - u{clock}*t"),
        dw=Expression.parse(f"2^{exponent}*u{clock}*t{decay}"),
        y1=traces.fast,
        y2=traces.slow,
    )
    return _lowered(
        learning,
        chosen,
        parameters,
        {"tag_clipping": best.clipping, "rounding_noise": best.rounding},
        (*_trace_quantities(traces, parameters, sample, where), decay_quantity),
    )


def _one_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    chosen = _choose(parameters, sample, where)
    traces, _, exponent = chosen
    decay, decay_quantity = _decay_term(parameters, sample, LARGEST_CLOCK, where)
    learning = LearningRule(
        dw=Expression.parse(f"2^{exponent}*x0*y1 - 2^{exponent}*x0*y2{decay}"),
        y1=traces.fast,
        y2=traces.slow,
    )
    return _lowered(
        learning,
        chosen,
        parameters,
        {},
        (*_trace_quantities(traces, parameters, sample, where), decay_quantity),
    )


STDWI = AlignmentRule(
    name="stdwi",
    title="Spike-timing-dependent weight inference",
    source="Ahmad, Ambrogioni & van Gerven, arXiv 2003.03988; NBDT 2021, doi 10.51628/001c.27423",
    equation="at a spike of k:  B_jk += eta * (f_j - s_j - kappa * B_jk)",
    parameters=(
        Parameter(
            name="tau_fast",
            default=10e-3,
            dimension="time",
            meaning="fast trace of the lower neuron",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="tau_slow",
            default=200e-3,
            dimension="time",
            meaning="slow trace of the lower neuron, same area",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="eta",
            default=5e-4,
            meaning="learning rate per upper spike",
            source="authors' Example.ipynb",
        ),
        Parameter(
            name="kappa",
            default=0.1,
            meaning="decay relative to eta",
            source="authors' Example.ipynb",
        ),
    ),
    needs=Needs(),
    forms=(
        OnChipForm(
            name="two-stage",
            summary="exact sums in the tag, moved to the weight on a clock",
            template="dt = x0*y1 - x0*y2 - uK*t;  dw = 2^e*uK*t",
            lower=_two_stage,
        ),
        OnChipForm(
            name="one-stage",
            summary="every upper spike moves the weight; each move is rounded",
            template="dw = 2^a*x0*y1 - 2^a*x0*y2",
            lower=_one_stage,
        ),
    ),
    reference=STDWI_REFERENCE,
)
