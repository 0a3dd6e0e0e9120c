r"""Regression discontinuity on chip: what an upper neuron did after a lower one barely fired.

The lower neuron watches its drive without reset. When it comes near the threshold, a window opens,
and at its end the neuron says whether it fired in it (``plus``) or not (``minus``). The synapse
takes the upper neuron's response from two traces of equal area, a fast and a slow one: their
difference is the rate of the last few steps less the usual rate, so that a constant baseline is
gone before it can be rounded.

* *centred-class*: one plane. Neuron j knows the share p of its windows that are ``plus`` and sends
  1 - p after a ``plus``, -p after a ``minus``, in small integers. The sum over windows of
  (class - p) times response has expectation p(1 - p) beta, whatever the baseline.
* *piecewise-constant*: two planes, one a class. The one of ``minus`` learns the negative of the
  response, so that beta is the sum of both and can act (the simplification of Lansdell and Kording,
  PLoS Comput Biol 2023, doi 10.1371/journal.pcbi.1011005).

* *local-linear*: two planes, each a regression of the response on the distance of the drive from
  the threshold (the authors' estimator, arXiv 1910.01689), with the intercept in the weight and the
  slope in the tag. With the distance as regressor, and not the drive, beta is the difference of the
  intercepts; again one plane holds the negative.

In the first two the tag adds up what the windows give and moves it to the weight on a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule import Expression, LearningRule
from lava_align.rules.accumulation import (
    LARGEST_CLOCK,
    SMALLEST_EXPONENT,
    TAG_MAX,
    WEIGHT_MAX,
    Spread,
    Term,
    expected_spread,
    thinned,
    update_exponent,
    window_sums,
)
from lava_align.rules.base import LoweredRule, OnChipForm, Plane, Quantity, Sample
from lava_align.rules.rdd_window import (
    CLASS_BITS,
    DISTANCE_STEP,
    derive,
    window_plan,
)
from lava_align.rules.stdwi_decay import Decay, decay_at
from lava_align.rules.stdwi_traces import (
    Kernels,
    SampledTraces,
    Traces,
    balanced_kernels,
    unit_trace,
)

Array = np.ndarray[Any, Any]

# The response is looked at over about the length of a window, the baseline over ten times that.
FAST_OF_WINDOW = 2 / 3
SLOW_OF_FAST = 10
# Clipping of the tag costs its share of the weights' variance.
CLIPPING = 1e-3
# Lava shifts products right: of two traces, of a synaptic variable and one or two traces.
PRODUCT_SHIFT, SYNAPSE_SHIFT, SQUARE_SHIFT = 3, 5, 12


@dataclass(frozen=True)
class _Learned:
    """What becomes of summed responses.

    Parameters
    ----------
    spread : Spread
        Of their sums at the end of the run, before any coefficient.
    gain : float
        Weight units per unit of the sum.
    clipping : float
        Share of the variance of the sums that the tag clips.
    """

    spread: Spread
    gain: float
    clipping: float = 0.0


@dataclass(frozen=True)
class _Path:
    """Exponents of the step into the tag and of the transfer to the weight, and its clock."""

    tag: int
    weight: int
    clock: int
    clipping: float

    def learned(self, spread: Spread) -> _Learned:
        """What it makes of sums that spread like this."""
        return _Learned(spread, 2.0 ** (self.tag + self.weight), self.clipping)


def _path(terms: list[Term], sample: Sample, shift: int) -> _Path:
    """Slowest clock and largest step into the tag that hardly clip it."""
    total = update_exponent(expected_spread(terms, sample.n_steps).reach)
    lowest = SMALLEST_EXPONENT + shift
    best: tuple[float, int, int] | None = None
    for clock in range(LARGEST_CLOCK, 5, -1):
        sums = np.concatenate(list(window_sums(terms, 2**clock)))
        whole = float(np.var(sums)) or 1.0
        for tag in range(min(0, total + 7), lowest - 1, -1):
            held = np.clip(sums * 2.0**tag, -TAG_MAX, TAG_MAX) * 2.0**-tag
            clipping = float(np.var(sums - held)) / whole
            if best is None or clipping < best[0]:
                best = clipping, clock, tag
            if clipping <= CLIPPING:
                return _Path(tag, _transfer(total, tag), clock, clipping)
    assert best is not None
    clipping, clock, tag = best
    return _Path(tag, _transfer(total, tag), clock, clipping)


def _transfer(total: int, tag: int) -> int:
    return max(SMALLEST_EXPONENT, min(0, total - tag))


def _responses(parameters: Mapping[str, float], sample: Sample) -> Traces:
    """Traces of the upper neurons, as fine as 7 bits allow."""
    fast = max(2, round(FAST_OF_WINDOW * parameters["window"] / sample.dt))
    tau = (fast, SLOW_OF_FAST * fast)
    sampled = SampledTraces(tau, (unit_trace(sample.pre, tau[0]), unit_trace(sample.pre, tau[1])))
    kernels = balanced_kernels(tau, (sampled.finest(0), sampled.finest(1)))
    return sampled.with_kernels(kernels[0])


def _signal(sample: Sample, name: str, where: str) -> Array:
    if name not in sample.signals:
        raise InvalidInputError(
            Problem(f"{where}.signals", f"no '{name}'", "the ends of the lower neurons' windows")
        )
    return sample.signals[name]


def lower_centred_class(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the form *centred-class*."""
    sample = thinned(sample)
    classes = _signal(sample, "post.above", where).astype(float)
    classes = classes - _signal(sample, "post.below", where)
    traces = _responses(parameters, sample)
    kernels = traces.kernels
    terms = [Term(classes * 2.0**-PRODUCT_SHIFT, traces.difference)]
    path = _path(terms, sample, kernels.shift)
    products = [
        kernels.terms(path.tag, at="y0", of="x", factor=f"*{y}", sign=sign)
        for y, sign in (("y1", 1), ("y2", -1))
    ]
    plane = Plane(
        learning=LearningRule(
            dt=Expression.parse(f"{products[0]} {products[1]} - u{path.clock}*t"),
            dw=Expression.parse(f"2^{path.weight}*u{path.clock}*t"),
            x1=kernels.fast,
            x2=kernels.slow,
            third_factor=True,
        ),
        gate="post.window",
        modulators={"y1": "post.above", "y2": "post.below"},
    )
    share = float(np.mean(classes[classes != 0] > 0)) if classes.any() else 0.5
    # A window adds (class - p) * 2^bits / 2^shift times the response; the mean goes with p(1 - p).
    step = 2.0 ** (CLASS_BITS - PRODUCT_SHIFT) * max(share * (1 - share), 0.05)
    learned = path.learned(expected_spread(terms, sample.n_steps))
    return _lowered((plane,), learned, step, traces, parameters, (), sample, where)


def lower_constant(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the form *piecewise-constant*."""
    sample = thinned(sample)
    traces = _responses(parameters, sample)
    kernels = traces.kernels
    events = {name: _signal(sample, f"post.{name}", where) for name in ("plus", "minus")}
    terms = [
        Term(events["plus"].astype(float), traces.difference),
        Term(-events["minus"].astype(float), traces.difference),
    ]
    # Each plane must hold what its class adds up to; most windows are of one class.
    most = max(events, key=lambda name: int(events[name].sum()))
    path = _path([Term(events[most].astype(float), traces.difference)], sample, kernels.shift)
    learned = path.learned(expected_spread(terms, sample.n_steps))
    decays = {
        name: decay_at(parameters["eta"], path.clock, found) for name, found in events.items()
    }
    planes = tuple(
        Plane(
            name=name,
            gate=f"post.{name}",
            learning=LearningRule(
                dt=Expression.parse(
                    f"{kernels.terms(path.tag, at='y0', of='x', sign=sign)} - u{path.clock}*t"
                ),
                dw=Expression.parse(f"2^{path.weight}*u{path.clock}*t{decays[name].term('y1')}"),
                x1=kernels.fast,
                x2=kernels.slow,
                y1=decays[name].trace,
            ),
        )
        for name, sign in (("plus", 1), ("minus", -1))
    )
    rows = tuple(_decay_row(decay, name, where) for name, decay in decays.items())
    return _lowered(planes, learned, 1.0, traces, parameters, rows, sample, where)


@dataclass(frozen=True)
class _Regression:
    """Scales and rates of the linear regression, all powers of two (exponents).

    The prediction of a response is ``w * 2^-intercept + t * 2^-slope * y2``.

    Parameters
    ----------
    intercept, slope : int
        Weight and tag units per unit of response, and of response per step of distance.
    rate, slope_rate : int
        With which intercept and slope follow the error.
    """

    intercept: int
    slope: int
    rate: int
    slope_rate: int

    def rule(self, kernels: Kernels, sign: int) -> LearningRule:
        """Learning rule of a plane; what Lava shifts right is made up for in the exponents.

        With ``sign`` -1 it regresses the negative of the response.
        """
        g, h, rate, slow = self.intercept, self.slope, self.rate, self.slope_rate
        response = kernels.terms(rate + g, at="y0", of="x", sign=sign)
        at_distance = kernels.terms(
            slow + h + PRODUCT_SHIFT, at="y0", of="x", factor="*y2", sign=sign
        )
        return LearningRule(
            dw=Expression.parse(
                f"{response} - 2^{rate}*y0*w - 2^{rate + g - h + SYNAPSE_SHIFT}*y0*t*y2"
            ),
            dt=Expression.parse(
                f"{at_distance} - 2^{slow + h - g + SYNAPSE_SHIFT}*y0*w*y2"
                f" - 2^{slow + SQUARE_SHIFT}*y0*t*y2*y2"
            ),
            x1=kernels.fast,
            x2=kernels.slow,
            third_factor=True,
        )


def _regression(parameters: Mapping[str, float], traces: Traces, events: Array) -> _Regression:
    """Scales and rates nearest to the paper's that the exponents allow.

    The paper's slope follows with the rate of the intercept times the square of a distance. A
    slope that follows faster takes the intercept's part: the distances are all positive.
    """
    responses = [traces.difference[step] for step in np.flatnonzero(events.any(axis=1))]
    typical = max(float(np.std(responses)), 1e-3) if responses else 1.0
    shift = traces.kernels.shift
    # An intercept is a mean over many windows: a sixth of the spread of single responses.
    g = math.floor(math.log2(2 * WEIGHT_MAX / typical))
    rate = max(
        round(math.log2(parameters["eta"])), SMALLEST_EXPONENT, SMALLEST_EXPONENT + shift - g
    )
    # The finest slope of which the prediction's part can still be written.
    h = rate + g + SYNAPSE_SHIFT - SMALLEST_EXPONENT
    slow = max(
        rate + round(2 * math.log2(DISTANCE_STEP)),
        SMALLEST_EXPONENT - SQUARE_SHIFT,
        SMALLEST_EXPONENT - SYNAPSE_SHIFT - h + g,
        SMALLEST_EXPONENT + shift - PRODUCT_SHIFT - h,
    )
    return _Regression(g, h, rate, slow)


def lower_linear(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the form *local-linear*."""
    sample = thinned(sample)
    traces = _responses(parameters, sample)
    events = {name: _signal(sample, f"post.{name}", where) for name in ("plus", "minus")}
    most = max(events, key=lambda name: int(events[name].sum()))
    regression = _regression(parameters, traces, events[most].astype(bool))
    planes = tuple(
        Plane(
            name=name,
            gate=f"post.{name}",
            learning=regression.rule(traces.kernels, sign),
            modulators={"y2": "post.distance"},
        )
        for name, sign in (("plus", 1), ("minus", -1))
    )
    terms = [
        Term(events["plus"].astype(float), traces.difference),
        Term(-events["minus"].astype(float), traces.difference),
    ]
    windows = float(events[most].sum(axis=0).mean()) * sample.n_steps / len(sample.pre)
    # Of a sum of as many responses, which is what the spread is of.
    share = -math.expm1(-windows * 2.0**regression.rate) / windows if windows else 1.0
    learned = _Learned(
        spread=expected_spread(terms, sample.n_steps), gain=2.0**regression.intercept * share
    )
    rows = (
        Quantity.compare(
            where, "eta", parameters["eta"], 2.0**regression.rate, note="of the intercept"
        ),
    )
    return _lowered(planes, learned, 1.0, traces, parameters, rows, sample, where)


def _decay_row(decay: Decay, name: str, where: str) -> Quantity:
    row = decay.quantity(where)
    return Quantity.compare(
        where, f"decay per {name} window", row.asked, row.realised, note=row.note
    )


def _lowered(
    planes: tuple[Plane, ...],
    learned: _Learned,
    step: float,
    traces: Traces,
    parameters: Mapping[str, float],
    rows: tuple[Quantity, ...],
    sample: Sample,
    where: str,
) -> LoweredRule:
    """``step`` is what a window adds per unit of response."""
    spread, kernels, gain = learned.spread, traces.kernels, learned.gain
    # The paper adds eta times a mean rate; the trace of a steady rate is that times its area.
    scale = gain * step * kernels.area[0] / parameters["eta"]
    return LoweredRule(
        planes=planes,
        weight_scale=scale,
        predictions={
            "weight_mean": spread.mean * gain,
            "weight_sd": spread.sd * gain,
            "weight_clipping": spread.beyond(WEIGHT_MAX / gain),
            "reliability": spread.reliability,
            "trace_saturation": traces.saturated,
            "tag_clipping": learned.clipping,
        },
        quantities=(
            *(
                Quantity.compare(where, name, asked, steps * sample.dt, "s", "whole steps")
                for name, asked, steps in (
                    ("fast trace", FAST_OF_WINDOW * parameters["window"], kernels.tau[0]),
                    (
                        "slow trace",
                        SLOW_OF_FAST * FAST_OF_WINDOW * parameters["window"],
                        kernels.tau[1],
                    ),
                )
            ),
            *rows,
        ),
    )


FORMS = (
    OnChipForm(
        name="centred-class",
        summary="one plane; class less its running share, times response, added up in the tag",
        template="dt = a*2^c*y0*x1*y1 - b*2^d*y0*x2*y1 - a*2^c*y0*x1*y2 + b*2^d*y0*x2*y2 - uK*t;"
        "  dw = 2^e*uK*t",
        lower=lower_centred_class,
        derive=derive,
        window=window_plan,
    ),
    OnChipForm(
        name="piecewise-constant",
        summary="two planes, one a class; their sum is the discontinuity",
        template="dt = a*2^c*y0*x1 - b*2^d*y0*x2 - uK*t;  dw = 2^e*uK*t - m*2^f*uK*y1*w",
        lower=lower_constant,
        derive=derive,
        window=window_plan,
    ),
    OnChipForm(
        name="local-linear",
        summary="two planes, each a linear regression with its intercept in w and its slope in t",
        template="dw = 2^a*y0*(x1 - x2) - 2^b*y0*w - 2^c*y0*t*y2;"
        "  dt = 2^d*y0*(x1 - x2)*y2 - 2^e*y0*w*y2 - 2^f*y0*t*y2*y2",
        lower=lower_linear,
        derive=derive,
        window=window_plan,
    ),
)
