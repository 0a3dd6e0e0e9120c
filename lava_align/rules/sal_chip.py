r"""Spike-based alignment learning on chip: reversed, antisymmetric pairs, added up in the tag.

With pre = k and post = j, a pair of spikes changes the feedback weight by plus or minus
:math:`\eta e^{-\Delta/\tau}`: pre before post depresses, post before pre potentiates. On the chip

    dt = x0*y1 - y0*x1 - uK*t,    dw = 2^e*uK*t,

with equal traces x1 and y1. Spikes of the same step count the full impulse on both sides and
cancel. All sums in the tag are whole numbers, so nothing is rounded before the transfer.

The rule matches forward weights absolutely. The chip's weight scale must therefore hold the
forward weights, and impulse and exponent together follow from the learning rate:
``impulse * 2^e = eta * scale``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.rules.accumulation import (
    LARGEST_CLOCK,
    SMALLEST_EXPONENT,
    TAG_MAX,
    WEIGHT_MAX,
    Term,
    rounding_variance,
    thinned,
    window_sums,
)
from lava_align.rules.base import LoweredRule, OnChipForm, Plane, Quantity, Sample
from lava_align.rules.stdwi_traces import TRACE_MAX, unit_trace

Array = np.ndarray[Any, Any]

# Feedback wanders around its goal; beyond the range it would be clipped.
HEADROOM = 1.1
# A trace decays by rounding at random, which adds about 1/(4 impulse) to the variance of a pair.
# Pairs themselves are mostly noise, so that is worth a tenth.
COARSENESS = 0.025


@dataclass(frozen=True)
class Steps:
    """How pairs become steps of the weight.

    Parameters
    ----------
    impulse : int
        Of both traces.
    exponent : int
        Of the transfer to the weight.
    clock : int
    clipping, rounding : float
        Shares of the variance of the learned weights.
    """

    impulse: int
    exponent: int
    clock: int
    clipping: float
    rounding: float

    @property
    def pair(self) -> float:
        """Weight units for a pair at zero lag."""
        return self.impulse * 2.0**self.exponent

    @property
    def noise(self) -> float:
        """All costs together; coarse traces are noise as well."""
        return self.clipping + self.rounding + COARSENESS / self.impulse


def lower(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Choose constants for the two-stage form; see :class:`~lava_align.rules.base.OnChipForm`."""
    sample = thinned(sample)
    tau = max(1, round(parameters["tau"] / sample.dt))
    pre, post = unit_trace(sample.pre, tau), unit_trace(sample.post, tau)
    pairs = [Term(post, sample.pre.astype(float)), Term(-sample.post.astype(float), pre)]
    largest = max(float(pre.max(initial=0.0)), float(post.max(initial=0.0)), 1.0)
    reach = HEADROOM * (sample.reach or 1.0)
    steps = _best(parameters["eta"], reach, pairs, sample, int(TRACE_MAX / largest))
    scale = steps.pair / parameters["eta"]
    trace = Trace(impulse=steps.impulse, tau=tau)
    clock = steps.clock
    learning = LearningRule(
        dt=Expression.parse(f"x0*y1 - y0*x1 - u{clock}*t"),
        dw=Expression.parse(f"2^{steps.exponent}*u{clock}*t"),
        x1=trace,
        y1=trace,
    )
    return LoweredRule(
        planes=(Plane(learning=learning),),
        weight_scale=scale,
        predictions={
            # The weights end at the forward weights.
            "weight_mean": 0.0,
            "weight_sd": reach / HEADROOM * scale / 2.0,
            "tag_clipping": steps.clipping,
            "rounding_noise": steps.rounding,
        },
        quantities=(
            Quantity.compare(where, "tau", parameters["tau"], tau * sample.dt, "s", "whole steps"),
            Quantity.compare(
                where,
                "largest weight that is held",
                reach,
                WEIGHT_MAX / scale,
                note=f"a pair at zero lag moves the weight by {steps.pair:g} units",
            ),
        ),
    )


def _best(eta: float, reach: float, pairs: list[Term], sample: Sample, largest: int) -> Steps:
    """Cheapest of all exponents and clocks."""
    found = _candidates(WEIGHT_MAX / reach * eta, largest)
    best: Steps | None = None
    for clock in range(LARGEST_CLOCK, -1, -1):
        costs = list(_costs(pairs, sample.n_steps, clock, found, reach / eta))
        # A faster clock clips less and rounds more.
        if best is not None and min(steps.rounding for steps in costs) > best.noise:
            break
        best = min([*costs, *([] if best is None else [best])], key=lambda steps: steps.noise)
    assert best is not None
    return best


def _candidates(most: float, largest: int) -> list[tuple[int, int]]:
    """Impulses and exponents; ``most`` is what a pair may move a weight by, in its units."""
    found = [
        (min(int(most * 2.0**-exponent), largest, TRACE_MAX), exponent)
        for exponent in range(SMALLEST_EXPONENT, 1)
    ]
    # Half of the range must be used; where a pair moves next to nothing, the smallest step it is.
    sound = [f for f in found if f[0] and f[0] * 2.0 ** f[1] > most / 2]
    return sound or [max(found, key=lambda f: f[0] * 2.0 ** f[1]) if found[0][0] else (1, -7)]


def _costs(
    pairs: list[Term], n_steps: int, clock: int, found: list[tuple[int, int]], per_eta: float
) -> Iterator[Steps]:
    """Every way with one clock; ``per_eta`` is the range of the weights over the learning rate."""
    sums = np.concatenate(list(window_sums(pairs, 2**clock)))
    whole = float(np.var(sums))
    for impulse, exponent in found:
        tag = sums * impulse
        held = np.clip(tag, -TAG_MAX, TAG_MAX)
        # Weights that end at the forward weights spread over half of their range.
        spread = (impulse * 2.0**exponent * per_eta / 2.0) ** 2
        transfers = n_steps / 2**clock
        yield Steps(
            impulse=impulse,
            exponent=exponent,
            clock=clock,
            clipping=float(np.var(tag - held)) / (impulse**2 * whole) if whole else 0.0,
            rounding=float(rounding_variance(held, exponent).mean()) * transfers / spread,
        )


FORMS = (
    OnChipForm(
        name="two-stage",
        summary="exact sums of pairs in the tag, moved to the weight on a clock",
        template="dt = x0*y1 - y0*x1 - uK*t;  dw = 2^e*uK*t",
        lower=lower,
    ),
)
