"""The rules on rates as rules of this project: references in NumPy, and their on-chip forms.

The equations are in :mod:`lava_align.rules.rates`, the forms in
:mod:`lava_align.rules.graded_chip`; here it is said what each needs of a chip, and which signal of
the reference is which at the synapse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lava_align.rules import graded_chip as chip
from lava_align.rules.base import AlignmentRule, Needs, OnChipForm
from lava_align.rules.rates import RateRule, Signals, Weights, get_rate_rule
from lava_align.rules.rates.base import needed
from lava_align.rules.rates.product_feedback import relay_error

Array = np.ndarray[Any, Any]

# Signed numbers travel as payloads and third factors, which a neuron of its own sends.
GRADED = Needs(factors=3, graded_spikes=True, custom_neuron=True)
PROBE = Needs(graded_spikes=True, custom_neuron=True, probe_phase=True)
ANY = Needs()


def _mirror(signals: Signals, weights: Weights) -> dict[str, Array]:
    return {"pre.activity": signals.upper, "post.activity": signals.lower}


def _information(signals: Signals, weights: Weights) -> dict[str, Array]:
    third = needed(signals.third, "third")
    return _mirror(signals, weights) | {"post.reconstruction": third}


def _phaseless(signals: Signals, weights: Weights) -> dict[str, Array]:
    return {"pre.activity": signals.upper, "post.noise": needed(signals.third, "third")}


def _kolen_pollack(signals: Signals, weights: Weights) -> dict[str, Array]:
    return {"pre.error": needed(signals.error, "error"), "post.activity": signals.lower}


def _product_feedback(signals: Signals, weights: Weights) -> dict[str, Array]:
    # The plastic synapses run from the relay population.
    error = relay_error(needed(weights.relay, "relay"), needed(signals.error, "error"))
    return {"pre.error": error, "post.activity": signals.lower}


def _probe(signals: Signals, weights: Weights) -> dict[str, Array]:
    return {"pre.response": signals.upper, "post.probe": signals.lower > 0}


def _sign_probe(signals: Signals, weights: Weights) -> dict[str, Array]:
    """Probes in between, of one lower neuron after the other; the rule's own samples are a task."""
    probed = np.arange(len(signals)) % weights.forward.shape[1]
    unit = np.eye(weights.forward.shape[1], dtype=bool)
    return {"pre.response": weights.forward.T[probed], "post.probe": unit[probed]}


def _nothing(signals: Signals, weights: Weights) -> dict[str, Array]:
    return {}


def _rule(
    name: str,
    needs: Needs,
    forms: tuple[OnChipForm, ...] = (),
    signals: Callable[[Signals, Weights], Mapping[str, Array]] = _nothing,
    *,
    own_name: str = "",
    fixed: bool = False,
    no_form: str = "",
) -> AlignmentRule:
    rate: RateRule = get_rate_rule(name)
    return AlignmentRule(
        name=own_name or name,
        title=rate.title,
        source=rate.source,
        equation=rate.equation,
        parameters=rate.parameters,
        needs=needs,
        forms=forms,
        rate=rate,
        rate_signals=signals,
        fixed=fixed,
        no_form=no_form,
    )


RATE_RULES = (
    _rule(
        "weight_mirror",
        GRADED,
        chip.WEIGHT_MIRROR_RATE_FORMS,
        _mirror,
        own_name="weight_mirror_rate",
    ),
    _rule("kolen_pollack", GRADED, chip.KOLEN_POLLACK_FORMS, _kolen_pollack),
    _rule("information_alignment", GRADED, chip.INFORMATION_FORMS, _information),
    _rule("symmetric_alignment", PROBE, chip.PROBE_FORMS, _probe),
    _rule(
        "activation_alignment",
        Needs(host=True),
        no_form="the feedback weights would have to carry activity forwards, against their"
        " direction, and a synapse transmits one way",
    ),
    _rule("phaseless_alignment", GRADED, chip.PHASELESS_FORMS, _phaseless),
    _rule("product_feedback", GRADED, chip.PRODUCT_FEEDBACK_FORMS, _product_feedback),
    _rule("feedback_alignment", ANY, fixed=True),
    _rule("direct_feedback_alignment", ANY, fixed=True),
    _rule("sign_symmetry_uniform", PROBE, chip.SIGN_PROBE_FORMS, _sign_probe),
)
