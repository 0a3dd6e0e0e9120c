"""Checks of what the reference is asked for, before Brian2 is touched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lava_align.backends.brian2_runtime import CODEGENS
from lava_align.errors import InvalidInputError, Problem
from lava_align.model.network import LIF, Network, Projection
from lava_align.recording import Spikes
from lava_align.rules.base import AlignmentRule
from lava_align.rules.registry import get_rule

# Brian2 writes the exact solution with exp(dt / tau), which overflows at 709.
LARGEST_STEP = 500.0
# The double exponential is a difference of two kernels of amplitude tau_syn / (tau_syn - tau_rise):
# below this distance it keeps fewer than ten digits.
RISE_DISTANCE = 1e-6
# Weights that a standalone program may keep for the snapshots, bytes.
SNAPSHOT_LIMIT = 2**30


def request_problems(
    network: Network,
    seeds: Sequence[int],
    *,
    inputs: Sequence[Mapping[str, Spikes] | None] | None,
    dt: float,
    weight_steps: Sequence[int],
    codegen: str,
) -> Iterator[Problem]:
    """Yield everything that is wrong with the arguments of a run; ``dt`` in seconds."""
    yield from _argument_problems(network, seeds, dt, weight_steps, codegen)
    yield from _network_problems(network)
    if inputs is not None:
        yield from _input_problems(network, seeds, inputs)


def _argument_problems(
    network: Network, seeds: Sequence[int], dt: float, weight_steps: Sequence[int], codegen: str
) -> Iterator[Problem]:
    for seed in seeds:
        if seed < 0:
            yield Problem("seeds", str(seed), "integers >= 0")
    if not (math.isfinite(dt) and dt > 0 and _divides(dt, network.dt)):
        yield Problem("dt", f"{dt} s", f"{network.dt} s or a whole fraction of it")
    for step in weight_steps:
        if not 0 <= step <= network.n_steps or step != int(step):
            yield Problem("weight_steps", str(step), f"whole steps 0..{network.n_steps}")
    if codegen not in CODEGENS:
        yield Problem("codegen", repr(codegen), f"one of: {', '.join(CODEGENS)}")
    elif codegen == "cpp_standalone":
        yield from snapshot_problems(network, len(seeds), weight_steps)


def _divides(dt: float, whole: float) -> bool:
    parts = round(whole / dt)
    return parts >= 1 and math.isclose(parts * dt, whole, rel_tol=1e-9)


def _network_problems(network: Network) -> Iterator[Problem]:
    for population in network.populations:
        where, neuron = f"populations.{population.name}", population.neuron
        if not isinstance(neuron, LIF):
            continue
        for name in ("tau_m", "tau_syn", "tau_rise"):
            tau = getattr(neuron, name)
            if 0 < tau * LARGEST_STEP < network.dt:
                allowed = f"at least dt / {LARGEST_STEP:g} ({network.dt / LARGEST_STEP:g} s)"
                yield Problem(f"{where}.{name}", f"{tau} s", allowed)
        if math.isclose(neuron.tau_rise, neuron.tau_syn, rel_tol=RISE_DISTANCE):
            allowed = f"further from tau_syn ({neuron.tau_syn} s) than one part in a million"
            yield Problem(f"{where}.tau_rise", f"{neuron.tau_rise} s", allowed)
    for projection in network.plastic():
        if projection.plasticity is not None:
            where = f"projections.{projection.name}"
            try:
                rule = get_rule(projection.plasticity.rule, f"{where}.rule")
                rule.complete(projection.plasticity.parameters, where)
            except InvalidInputError as error:
                yield from error.problems
                continue
            if rule.reference is None:
                found = f"{rule.name} is defined on rates, not on spikes"
                yield Problem(f"{where}.rule", found, "a rule on spikes; see `lava-align rules`")
                continue
            yield from _membrane_problems(network, projection, rule)


def _membrane_problems(
    network: Network, projection: Projection, rule: AlignmentRule
) -> Iterator[Problem]:
    for side in ("pre", "post"):
        name = getattr(projection, side)
        neuron = network.population(name).neuron
        if getattr(rule.reference, side).membrane and not isinstance(neuron, LIF):
            found = f"rule '{rule.name}' reads a membrane that neurons of {name} do not have"
            yield Problem(
                f"projections.{projection.name}.rule", found, 'a population of kind "lif"'
            )


def _input_problems(
    network: Network, seeds: Sequence[int], inputs: Sequence[Mapping[str, Spikes] | None]
) -> Iterator[Problem]:
    if len(inputs) != len(seeds):
        yield Problem("inputs", f"{len(inputs)} for {len(seeds)} seeds", "one per seed")
    sizes = {s.name: network.population(s.population).size for s in network.stimuli}
    for index, given in enumerate(inputs):
        if given is None:
            continue
        if given.keys() != sizes.keys():
            found = ", ".join(sorted(given)) or "none"
            expected = ", ".join(sorted(sizes)) or "none"
            yield Problem(f"inputs[{index}]", f"stimuli: {found}", f"exactly: {expected}")
            continue
        for name, spikes in given.items():
            yield from _spike_problems(f"inputs[{index}].{name}", spikes, sizes[name], network)


def _spike_problems(where: str, spikes: Spikes, size: int, network: Network) -> Iterator[Problem]:
    if spikes.size != size:
        yield Problem(where, f"{spikes.size} neurons", f"{size}, the size of the population")
    if not len(spikes):
        return
    if spikes.neuron.min() < 0 or spikes.neuron.max() >= size:
        yield Problem(where, "neuron out of range", f"0..{size - 1}")
    if spikes.step[0] < 0 or spikes.step[-1] >= network.n_steps:
        yield Problem(where, "step out of range", f"0..{network.n_steps - 1}")
    if ((np.diff(spikes.step) == 0) & (np.diff(spikes.neuron) == 0)).any():
        yield Problem(where, "a neuron has two spikes in one step", "at most one")


def snapshot_problems(
    network: Network, n_seeds: int, weight_steps: Sequence[int]
) -> Iterator[Problem]:
    """Yield a problem if a standalone program cannot hold the snapshots."""
    inner = [int(step) for step in weight_steps if 0 < step < network.n_steps]
    if not inner:
        return
    kept = network.n_steps // math.gcd(*inner)
    size = 8 * kept * n_seeds * sum(p.weights.size for p in network.plastic())
    if size > SNAPSHOT_LIMIT:
        allowed = "multiples of a longer interval, or another codegen"
        yield Problem("weight_steps", f"{kept} snapshots, {size / 2**30:.1f} GiB", allowed)
