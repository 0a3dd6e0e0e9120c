r"""The weight mirror on chip: STDWI's products with traces as long as a rate takes.

The authors of STDWI read Akrout's mirror (arXiv 1904.05391) for spikes as a covariance of spike
counts over stimuli. A trace of the lower neuron less a much slower one of equal area is its count
over the last stimulus less the usual count, seen at the spikes of the upper neuron: the same
products as STDWI's (:mod:`lava_align.rules.stdwi`), so the same calibration serves both.
"""

from __future__ import annotations

from collections.abc import Mapping

from lava_align.rules.base import LoweredRule, OnChipForm, Sample
from lava_align.rules.stdwi import one_stage, two_stage

FAST_OF_PERIOD = 0.5
"""An upper spike falls anywhere into a stimulus and sees half of it, in the mean, behind itself."""
SLOW_OF_FAST = 20
FEWEST_SPIKES = 0.1


def as_stdwi(parameters: Mapping[str, float], sample: Sample) -> dict[str, float]:
    """Parameters of STDWI that do what the mirror does.

    Parameters
    ----------
    parameters : mapping
        ``stimulus``, its length (s), ``eta`` per product of counts, ``decay`` per stimulus in
        units of eta.
    sample : Sample
        Gives the upper neurons' mean rate: the mirror decays by the stimulus, STDWI by the spike.
    """
    fast = FAST_OF_PERIOD * parameters["stimulus"]
    spikes = float(sample.pre.mean()) * parameters["stimulus"] / sample.dt
    return {
        "tau_fast": fast,
        "tau_slow": SLOW_OF_FAST * fast,
        "eta": parameters["eta"],
        "kappa": parameters["decay"] / max(spikes, FEWEST_SPIKES),
    }


def _two_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    return two_stage(as_stdwi(parameters, sample), sample, where)


def _one_stage(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    return one_stage(as_stdwi(parameters, sample), sample, where)


FORMS = (
    OnChipForm(
        name="two-stage",
        summary="exact sums in the tag, moved to the weight on a clock",
        template="dt = a*2^c*x0*y1 - b*2^d*x0*y2 - uK*t;  dw = 2^e*uK*t - m*2^f*uK*x1*w",
        lower=_two_stage,
    ),
    OnChipForm(
        name="one-stage",
        summary="every upper spike moves the weight; each move is rounded",
        template="dw = a*2^c*x0*y1 - b*2^d*x0*y2 - m*2^f*uK*x1*w",
        lower=_one_stage,
    ),
)
