r"""From floats to the integers of our ``EscapeNeuron`` (``docs/engine_semantics.md``).

One free number per population, the scale ``S``: what arrives is ``S`` times the potential, so a
weight ``w`` becomes a mantissa and an exponent with ``S w = mantissa * 2**exponent``, and the table
of firing probabilities is the logistic function at the middles of its 256 steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lava_align.compiler.calibrate import Activity
from lava_align.compiler.program import EscapeGroup
from lava_align.compiler.quantise import Afferent, Quantised, quantise_afferents
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import EscapeNeuron, Population
from lava_align.rules import Quantity

Array = np.ndarray[Any, Any]

TABLE_SIZE = 256
PROBABILITY_ONE = 65536
LONGEST = 255
LARGEST_SHIFT = 15
# Beyond these the logistic function is 0 or 1 to 1/65536, or the neuron fires all it can.
LEAST_REACH = 8.0
# The run is longer than the sample, and weights grow.
HEADROOM = 1.5
FINE_SCALE = 1024.0
"""Steps per unit of the potential where no plastic weight says otherwise."""


def quantise_escape(
    population: Population,
    afferents: Sequence[Afferent],
    activity: Activity,
    dt: float,
    scale: float | None,
) -> Quantised:
    """Quantise stochastic neurons and their fixed afferents.

    Parameters
    ----------
    scale : float or None
        Steps per unit of the potential that plastic weights bring with them; None leaves the
        choice.

    Raises
    ------
    ConstraintViolationError
        If times do not fit 8 bits of steps.
    """
    neuron = population.neuron
    assert isinstance(neuron, EscapeNeuron)
    steps = {"tau_syn": round(neuron.pulse / dt), "refractory": round(neuron.refractory / dt)}
    problems = [
        Problem(f"populations.{population.name}.{key}", f"{n} steps", f"1..{LONGEST} steps of dt")
        for key, n in steps.items()
        if not 1 <= n <= LONGEST
    ]
    if problems:
        raise ConstraintViolationError(problems)
    scale = scale or FINE_SCALE
    reach = max(LEAST_REACH, HEADROOM * activity.peak_potential)
    shift = min(LARGEST_SHIFT, max(0, math.ceil(math.log2(reach * scale / (TABLE_SIZE // 2)))))
    bias = round(neuron.bias * scale)
    group = EscapeGroup(
        name=population.name,
        size=population.size,
        bias=np.full(population.size, bias),
        window=steps["tau_syn"],
        refractory=steps["refractory"],
        shift=shift,
        table=escape_table(neuron.refractory / dt, scale, shift),
    )
    synapses, rows = quantise_afferents(afferents, population.name, scale)
    where = population.name
    asked = {"tau_syn": neuron.pulse, "refractory": neuron.refractory}
    return Quantised(
        neurons=group,
        synapses=synapses,
        scale=scale,
        quantities=(
            *(Quantity.compare(where, key, asked[key], n * dt, "s") for key, n in steps.items()),
            Quantity.compare(where, "bias", neuron.bias, bias / scale),
            Quantity.compare(
                where,
                "step of the firing probability's table",
                0.0,
                2.0**shift / scale,
                note=f"in units of the potential, over +-{TABLE_SIZE // 2 * 2.0**shift / scale:g}",
            ),
            *rows,
        ),
    )


def escape_table(refractory: float, scale: float, shift: int) -> Array:
    """Firing probabilities in 1/65536 at the middles of the table's steps: int32, (256,).

    Parameters
    ----------
    refractory : float
        Refractory time, steps.
    scale, shift
        Steps per unit of the potential, and how many bits the index drops.
    """
    potential = (np.arange(TABLE_SIZE) - TABLE_SIZE // 2 + 0.5) * 2.0**shift / scale
    chance = 1.0 / (1.0 + np.exp(np.clip(math.log(refractory) - potential, -700, 700)))
    table: Array = np.minimum(np.rint(PROBABILITY_ONE * chance), PROBABILITY_ONE - 1)
    return table.astype(np.int32)
