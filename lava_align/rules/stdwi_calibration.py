"""Traces and exponent of the on-chip forms of STDWI, chosen from a sample of the activity.

The update's exponent keeps the weights inside their range to the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping

from lava_align.rules.accumulation import Spread, Term, expected_spread, update_exponent
from lava_align.rules.base import Sample
from lava_align.rules.stdwi_traces import (
    Array,
    Kernels,
    Traces,
    balanced_kernels,
    sample_traces,
)


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
    upper = sample.pre.astype(float)

    def spread_of(difference: Array) -> Spread:
        return expected_spread([Term(difference, upper)], sample.n_steps, leak)

    reach = spread_of(sampled.difference).reach
    kernels = balanced_kernels(sampled.tau, (sampled.finest(0), sampled.finest(1)))

    def spare(candidate: Kernels) -> int:
        exponent = update_exponent(reach * candidate.step[0])
        return exponent - (candidate.smallest_exponent - room)

    chosen = next((k for k in kernels if spare(k) >= 0), None) or max(kernels, key=spare)
    traces = sampled.with_kernels(chosen)
    spread = spread_of(traces.difference)
    return traces, spread, update_exponent(spread.reach)
