"""What the target's neurons cannot express, and the simplifications an experiment may allow.

Loihi's current-based LIF has one exponential kernel, resets to zero and, in Lava's fixed-point
model, has no refractory period (lava/proc/lif/models.py). What an experiment names under
``approximate`` is simplified to that here, and reported. Anything else needs neurons of its own
(``docs/engine_semantics.md``), on targets whose neurons can be programmed; on others it is a
constraint violation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, Network
from lava_align.rules import Quantity
from lava_align.targets import HardwareTarget


def express(
    network: Network, approximate: Collection[str], target: HardwareTarget
) -> tuple[Network, tuple[Quantity, ...]]:
    """Return a network of neurons the target can express, and what was simplified.

    Raises
    ------
    ConstraintViolationError
        Naming every population and property that is not expressible and not allowed to be
        approximated.
    """
    problems: list[Problem] = []
    quantities: list[Quantity] = []
    populations = []
    for population in network.populations:
        neuron = population.neuron
        if not isinstance(neuron, LIF):
            if not target.custom_neurons:
                problems.append(_not_lif(population.name, target))
            populations.append(population)
            continue
        for key, simplify, note in _SIMPLIFICATIONS:
            value = getattr(neuron, key)
            if not value:
                continue
            if key not in approximate:
                if not target.custom_neurons:
                    problems.append(_problem(population.name, key, value, target))
                continue
            if key == "reset" and neuron.threshold <= 0:
                problems.append(_below_reset(population.name, neuron.threshold))
                continue
            neuron = simplify(neuron)
            quantities.append(Quantity.compare(population.name, key, value, 0.0, note=note))
        populations.append(replace(population, neuron=neuron))
    if problems:
        raise ConstraintViolationError(problems)
    expressed = replace(network, populations=tuple(populations))
    return _keep_areas(network, expressed), tuple(quantities)


def _problem(population: str, key: str, value: float, target: HardwareTarget) -> Problem:
    return Problem(
        f"populations.{population}.{key}",
        f"{value:g} cannot be expressed by the neuron of {target.id}",
        f'set it to 0, allow the simplification with approximate = ["{key}"], or take a target'
        " with programmable neurons",
    )


def _not_lif(population: str, target: HardwareTarget) -> Problem:
    return Problem(
        f"populations.{population}.kind",
        f"stochastic neurons cannot be expressed by the neuron of {target.id}",
        'kind = "lif", or a target with programmable neurons',
    )


def _below_reset(population: str, threshold: float) -> Problem:
    return Problem(
        f"populations.{population}.threshold",
        f"{threshold:g} with the reset simplified to 0",
        "a threshold above 0",
    )


def _single_exponential(neuron: LIF) -> LIF:
    # The decay is lengthened by the rise, which keeps the mean delay of the kernel.
    return replace(neuron, tau_syn=neuron.tau_syn + neuron.tau_rise, tau_rise=0.0)


def _without_refractory(neuron: LIF) -> LIF:
    return replace(neuron, refractory=0.0, refractory_holds=True)


def _keep_areas(original: Network, expressed: Network) -> Network:
    """Scale the weights into every population whose kernel has grown, so that its area stays."""
    gain = {
        p.name: p.neuron.tau_syn / expressed.population(p.name).lif.tau_syn
        if isinstance(p.neuron, LIF)
        else 1.0
        for p in original.populations
    }
    return replace(
        expressed,
        projections=tuple(
            replace(p, weights=p.weights * gain[p.post]) for p in expressed.projections
        ),
        stimuli=tuple(replace(s, weight=s.weight * gain[s.population]) for s in expressed.stimuli),
    )


_SIMPLIFICATIONS = (
    ("tau_rise", _single_exponential, "one exponential of equal area and mean delay"),
    ("reset", lambda neuron: replace(neuron, reset=0.0), "resets to 0: fires more often"),
    ("refractory", _without_refractory, "left out: fires more often"),
)
