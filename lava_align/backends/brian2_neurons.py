"""The neurons of the reference in Brian2's notation, and how spikes reach them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lava_align.backends.brian2_rules import rename
from lava_align.model.network import LIF, EscapeNeuron, Neuron

# Two time constants closer than this are one: the exact solution divides by their difference, and
# here the rounding error of that has grown to the error of taking them as equal.
SAME_TIME_CONSTANT = 1e-8

SINGLE_EXPONENTIAL = """
dv/dt = (-v + I + bias) / tau_m : 1
dI/dt = -I / tau_syn : 1
"""

DOUBLE_EXPONENTIAL = """
dv/dt = (-v + A * (e_d - e_r) + bias) / tau_m : 1
de_d/dt = -e_d / tau_syn : 1
de_r/dt = -e_r / tau_rise : 1
"""

# Instead of "(unless refractory)", whose exact solution fails if tau_m is tau_syn.
HOLD = "v = v * int(not_refractory) + v_reset * int(not not_refractory)"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A neuron as Brian2 is told of it.

    Parameters
    ----------
    equations, threshold : str
    reset : str
        Statements at a spike; may be empty.
    held : str
        Statements executed after integration in every step of a neuron with a refractory period;
        may be empty.
    namespace : mapping
        Constants with their units.
    """

    equations: str
    threshold: str
    reset: str = ""
    held: str = ""
    namespace: Mapping[str, Any]


def cell(brian2: Any, neuron: Neuron, felt: Sequence[str] = ()) -> Cell:
    """Describe a neuron.

    Parameters
    ----------
    brian2 : module
    neuron : LIF or EscapeNeuron
    felt : sequence of str
        Of an escape neuron: variables, set by synapses in every step, that add to its potential.
    """
    return _lif(brian2, neuron) if isinstance(neuron, LIF) else _escape(brian2, neuron, felt)


def arrival(neuron: Neuron) -> dict[str, str]:
    """Statements by which a spike of weight ``w`` reaches the neuron, by pathway.

    ``transmit`` is executed in the spike's own step, ``cease`` when its effect ends.
    """
    if isinstance(neuron, EscapeNeuron):
        return {"transmit": "arrived_post += w", "cease": "arrived_post -= w"}
    if neuron.tau_rise:
        return {"transmit": "e_d_post += w\ne_r_post += w"}
    return {"transmit": "I_post += w"}


def lif_equations(neuron: LIF) -> str:
    """Differential equations of the LIF neuron in Brian2's notation."""
    equations = DOUBLE_EXPONENTIAL if neuron.tau_rise else SINGLE_EXPONENTIAL
    same = {
        name: "tau_m"
        for name in ("tau_syn", "tau_rise")
        if math.isclose(getattr(neuron, name), neuron.tau_m, rel_tol=SAME_TIME_CONSTANT)
    }
    return rename(equations, same)


def _lif(brian2: Any, neuron: LIF) -> Cell:
    return Cell(
        equations=lif_equations(neuron),
        threshold="v > v_threshold",
        reset="v = v_reset",
        held=HOLD if neuron.refractory_holds else "",
        namespace={
            "tau_m": neuron.tau_m * brian2.second,
            "tau_syn": neuron.tau_syn * brian2.second,
            "tau_rise": neuron.tau_rise * brian2.second,
            "A": neuron.tau_syn / (neuron.tau_syn - neuron.tau_rise),
            "bias": neuron.bias,
            "v_threshold": neuron.threshold,
            "v_reset": neuron.reset,
        },
    )


def _escape(brian2: Any, neuron: EscapeNeuron, felt: Sequence[str]) -> Cell:
    variables = "".join(f"{name} : 1\n" for name in ("arrived", *felt))
    return Cell(
        equations=f"\nu = {' + '.join(('bias', 'arrived', *felt))} : 1\n{variables}",
        threshold="rand() < 1 / (1 + exp(log(tau_ref / dt) - u))",
        namespace={"tau_ref": neuron.refractory * brian2.second, "bias": neuron.bias},
    )
