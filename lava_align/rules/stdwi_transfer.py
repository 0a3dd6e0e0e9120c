"""How the two-stage form of STDWI moves its sums from the tag to the weight.

Every upper spike adds ``2^tag`` times the difference of the traces to the tag, and every 2^clock
steps ``2^weight`` times the tag goes to the weight. Large steps into the tag and slow clocks clip
it; small steps are rounded at every spike, and fast clocks round the weight more often. What comes
after the last tick of the run stays in the tag. All of it is estimated from the sample as shares of
the weights' variance, and the least sum wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lava_align.rules.accumulation import (
    SMALLEST_EXPONENT,
    TAG_MAX,
    WEIGHT_MAX,
    Spread,
    Term,
    rounding_variance,
    window_sums,
)
from lava_align.rules.base import Sample
from lava_align.rules.stdwi_traces import Traces


@dataclass(frozen=True)
class Transfer:
    """Exponents and clock, and what they cost in shares of the weights' variance.

    Parameters
    ----------
    tag, weight : int
        Exponents of the step into the tag and of the transfer to the weight, -7..0.
    clock : int
        0..9.
    clipping, rounding, pending : float
        The last is what the tag holds at the end of the run.
    """

    tag: int
    weight: int
    clock: int
    clipping: float
    rounding: float
    pending: float

    @property
    def noise(self) -> float:
        """All costs together."""
        return self.clipping + self.rounding + self.pending


def choose_transfer(
    sample: Sample, traces: Traces, spread: Spread, exponent: int, clocks: Sequence[int]
) -> Transfer:
    """Choose what costs least.

    Parameters
    ----------
    spread : Spread
        Of the sum of the traces' differences at the end of the run.
    exponent : int
        From the difference to the weight in all.
    clocks : sequence of int
        Allowed clocks, at least one.
    """
    lowest = traces.kernels.smallest_exponent
    tags = [tag for tag in range(lowest, 1) if 0 >= exponent - tag >= SMALLEST_EXPONENT] or [lowest]
    rounded = {tag: rounding_per_spike(sample, traces, spread, tag) for tag in tags}
    best: Transfer | None = None
    for clock in sorted(clocks, reverse=True):
        found = _transfers(sample, traces, spread, exponent, clock, rounded)
        # A faster clock clips less and rounds more.
        if best is not None and min(f.rounding for f in found) > best.noise:
            break
        best = min([*found, *([] if best is None else [best])], key=lambda f: f.noise)
    if best is None:
        raise AssertionError("there is always a clock")
    return best


def filling(spread: Spread, transfer: Transfer) -> tuple[int, int]:
    """Mantissa and exponent of the transfer that fill the weight's range best.

    The exponent alone leaves up to half of it empty; 5, 6 and 7 quarters are tried where they can
    be written.
    """
    reached = spread.reach * 2.0 ** (transfer.tag + transfer.weight)
    found = (1, transfer.weight)
    for mantissa, lower in ((5, 2), (3, 1), (7, 2)):
        fits = reached * mantissa * 2.0**-lower <= WEIGHT_MAX
        if fits and reached > 0 and transfer.weight - lower >= SMALLEST_EXPONENT:
            found = mantissa, transfer.weight - lower
    return found


def _transfers(
    sample: Sample,
    traces: Traces,
    spread: Spread,
    exponent: int,
    clock: int,
    rounded: dict[int, float],
) -> list[Transfer]:
    """Every way into the tag with one clock; ``rounded`` is what each costs at the spikes."""
    n_steps, n_post = traces.difference.shape
    whole = np.zeros((n_post, sample.pre.shape[1]))
    clipped = {tag: np.zeros_like(whole) for tag in rounded}
    variance = dict.fromkeys(rounded, 0.0)
    weight = {tag: max(exponent - tag, SMALLEST_EXPONENT) for tag in rounded}
    for sums in window_sums([Term(traces.difference, sample.pre)], 2**clock):
        whole += sums.sum(axis=0)
        for tag in rounded:
            held = np.clip(sums * 2.0**tag, -TAG_MAX, TAG_MAX)
            clipped[tag] += held.sum(axis=0) * 2.0**-tag
            variance[tag] += float(rounding_variance(held, weight[tag]).sum())
    total = float(np.var(whole))
    per_run = spread.noise_steps / n_steps / whole.size
    return [
        Transfer(
            tag=tag,
            weight=weight[tag],
            clock=clock,
            clipping=float(np.var(whole - clipped[tag])) / total if total else 0.0,
            rounding=rounded[tag]
            + _share(variance[tag] * per_run, spread.sd * 2.0 ** (tag + weight[tag])),
            pending=min(sample.n_steps % 2**clock / spread.noise_steps, 1.0),
        )
        for tag in rounded
    ]


def _share(variance: float, sd: float) -> float:
    return variance / sd**2 if sd else 0.0


def rounding_per_spike(sample: Sample, traces: Traces, spread: Spread, exponent: int) -> float:
    """Share of the weights' variance from rounding ``2**exponent`` differences at upper spikes."""
    upper = sample.pre.sum(axis=1)
    spiking = upper > 0
    shift = traces.kernels.shift
    per_step = rounding_variance(traces.difference[spiking], exponent, shift).sum(axis=1)
    weights = sample.pre.shape[1] * sample.post.shape[1]
    variance = float(per_step @ upper[spiking]) / weights * spread.noise_steps / len(sample.pre)
    return _share(variance, spread.sd * 2.0**exponent)
