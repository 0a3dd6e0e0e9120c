"""What the target's neuron cannot express, and the simplifications an experiment may allow.

Loihi's current-based LIF has one exponential kernel, resets to zero and, in Lava's fixed-point
model, has no refractory period (lava/proc/lif/models.py). Anything else is a constraint violation
unless the experiment names it under ``approximate``; then it is simplified here and reported.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, Network
from lava_align.rules import Quantity


def express(network: Network, approximate: Collection[str]) -> tuple[Network, tuple[Quantity, ...]]:
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
            problems.append(_not_lif(population.name))
            continue
        for key, simplify, note in _SIMPLIFICATIONS:
            value = getattr(neuron, key)
            if not value:
                continue
            if key not in approximate:
                problems.append(_problem(population.name, key, value))
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


def _problem(population: str, key: str, value: float) -> Problem:
    return Problem(
        f"populations.{population}.{key}",
        f"{value:g} cannot be expressed by the target's neuron",
        f'set it to 0, or allow the simplification with approximate = ["{key}"]',
    )


def _not_lif(population: str) -> Problem:
    return Problem(
        f"populations.{population}.kind",
        "stochastic neurons cannot be expressed by the target's neuron",
        'kind = "lif"; the reference runs the others (lava-align run --backend brian2)',
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
        p.name: p.lif.tau_syn / expressed.population(p.name).lif.tau_syn
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
