r"""The decay of STDWI's weights on chip: at the upper neuron's own spikes, in the mean.

The paper takes the share :math:`\eta\kappa` (5e-5 in the authors' example) off a weight at each
spike of its upper neuron. A coefficient cannot be that small. So a short trace x1 of the upper
neuron is looked at on the clock: the term ``u_K*x1*w`` sees each spike for the few steps that the
trace lasts out of the 2^K between two ticks, and takes more. In the mean this is the paper's decay,
neuron by neuron: the share per spike is

    coefficient * area of the trace / 2^K.

A leak of the same size for all synapses would not do: the weights of upper neurons that fire often
would outgrow the others. Measured on the packaged digits (200 s, seeds 1 and 2, the update in
floats on the chip's own spikes): r 0.875 and 0.884 with the decay, 0.849 and 0.863 without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lava_align.learning_rule import Expression, Trace
from lava_align.learning_rule.arithmetic import right_shift
from lava_align.rules.accumulation import LARGEST_CLOCK, SMALLEST_EXPONENT
from lava_align.rules.base import Quantity
from lava_align.rules.stdwi_traces import (
    MANTISSAS,
    TRACE_MAX,
    TRACE_TOLERANCE,
    Array,
    trace_area,
    unit_trace,
)

# A tick that takes more than this of a weight is no longer a small step of the paper's decay.
LARGEST_LEAK = 0.5
# Relative error of the decay up to which a longer trace, which samples better, is preferred.
ERROR_TOLERANCE = 0.03
LARGEST_ERROR = 0.3
IMPULSES = range(1, 9)
# Lava shifts products of several factors right and does not make up for it.
SHIFT = right_shift(Expression.parse("u0*x1*w").products[0])


@dataclass(frozen=True)
class Decay:
    """A decay term and its trace.

    Parameters
    ----------
    asked : float
        Share of the weight that an upper spike takes, as the paper has it.
    clock : int
    mantissa, exponent : int
        Of the coefficient as written; mantissa 0 leaves the decay out.
    trace : Trace
        x1, of the upper neuron.
    """

    asked: float
    clock: int
    mantissa: int = 0
    exponent: int = 0
    trace: Trace = field(default_factory=Trace)

    @property
    def per_spike(self) -> float:
        """Share of the weight that an upper spike takes on the chip, in the mean."""
        return self.coefficient * _area(self.trace) / 2.0**self.clock

    @property
    def coefficient(self) -> float:
        """Share of the weight that a tick takes for each unit of the trace."""
        return float(self.mantissa * 2.0 ** (self.exponent - SHIFT))

    @property
    def error(self) -> float:
        """Relative, without its sign; 0 if nothing was asked for."""
        return abs(self.per_spike / self.asked - 1.0) if self.asked else 0.0

    def term(self, trace: str = "x1") -> str:
        """What it adds to the rule's ``dw``, by the trace of that name."""
        if not self.mantissa:
            return ""
        return f" - {self.mantissa}*2^{self.exponent}*u{self.clock}*{trace}*w"

    def quantity(self, where: str) -> Quantity:
        """Asked and realised."""
        note = ""
        if self.mantissa:
            note = f"by x1 (impulse {self.trace.impulse}, {self.trace.tau} steps) on the clock"
        elif self.asked:
            note = "the clock and the smallest coefficient do not meet it: left out"
        name = "decay per upper spike"
        return Quantity.compare(where, name, self.asked, self.per_spike, note=note)


def decay_at(asked: float, clock: int, events: Array) -> Decay:
    """Decay on this clock that comes close, with the longest trace; without a term if none does.

    Parameters
    ----------
    events : ndarray of bool, shape (n_steps, n)
        The sample's events that take the share ``asked`` each.
    """
    none = Decay(asked, clock)
    best = none
    for decay in _candidates(asked, clock):
        if decay.error < min(best.error, LARGEST_ERROR) and _sound(decay, events):
            best = decay
            if best.error <= ERROR_TOLERANCE:
                break
    return best


def _candidates(asked: float, clock: int) -> Iterator[Decay]:
    """Small coefficients first, whose traces are long."""
    coefficients = sorted(
        ((m, e) for m in MANTISSAS for e in range(SMALLEST_EXPONENT, SHIFT + 1)),
        key=lambda c: (c[0] * 2.0 ** c[1], c[0]),
    )
    for mantissa, exponent in coefficients if asked else ():
        area = asked * 2.0**clock / (mantissa * 2.0 ** (exponent - SHIFT))
        # A trace that outlasts the time between two ticks would only come late.
        if 1.0 - LARGEST_ERROR <= area <= 2.0**clock:
            traces = [Trace(impulse, _tau(area / impulse)) for impulse in IMPULSES]
            nearest = min(traces, key=lambda trace: abs(_area(trace) - area))
            yield Decay(asked, clock, mantissa, exponent, nearest)


def _sound(decay: Decay, events: Array) -> bool:
    """Whether trace and leak stay within bounds in the sample."""
    trace = decay.trace
    values = trace.impulse * (unit_trace(events, trace.tau) if trace.tau else events)
    held = np.minimum(values, TRACE_MAX)
    peak = max(float(held.max(initial=0.0)), float(trace.impulse))
    lost = float((values - held).sum())
    return decay.coefficient * peak <= LARGEST_LEAK and lost <= TRACE_TOLERANCE * values.sum()


def _area(trace: Trace) -> float:
    """Sum over the steps of one spike's trace."""
    return trace.impulse * (trace_area(trace.tau) if trace.tau else 1.0)


def _tau(area: float) -> int:
    """Whole time constant whose unit trace comes nearest to an area."""
    if area <= 1.0:
        return 0
    tau = -1.0 / math.log1p(-1.0 / area)
    near = range(max(0, math.floor(tau)), math.ceil(tau) + 1)
    return min(near, key=lambda t: abs((trace_area(t) if t else 1.0) - area))


def clocks_with_decay(asked: float, events: Array) -> list[int]:
    """Clocks on which the decay can be held."""
    return [k for k in range(LARGEST_CLOCK + 1) if decay_at(asked, k, events).mantissa]
