"""Planted faults: changes a comparison must not overlook, or it proves nothing.

Faults of a recording keep whatever a weak comparison looks at; faults of a program are errors a
compiler or an operator makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lava_align.backends.common import sum_of_planes
from lava_align.compiler.program import NeuronGroup, Program
from lava_align.errors import ConstraintViolationError, InvalidInputError, Problem
from lava_align.recording import Array, Recording, Series, Spikes

MAX_VTH = 2**17 - 1
"""Largest threshold mantissa (17 bits)."""

_ROUNDS = 24


def shuffle_neurons(recording: Recording, population: str, seed: int) -> Recording:
    """Give the spike trains of a population to other neurons.

    Keeps the population's rates, irregularity and correlation; changes which neuron does what.
    No neuron keeps its train, unless the population has only one.

    Raises
    ------
    InvalidInputError
        If the population was not recorded.
    """
    spikes = _spikes(recording, population)
    order = np.random.default_rng(seed).permutation(spikes.size)
    # One cycle through all neurons has no fixed point.
    target = np.empty_like(order)
    target[order] = np.roll(order, 1)
    fault = f"shuffle_neurons({population}, seed={seed})"
    return _with_spikes(recording, population, target[spikes.neuron], fault)


def shuffle_spikes(recording: Recording, population: str, seed: int) -> Recording:
    """Exchange spike times between the neurons of a population.

    Keeps the spike count of every neuron and the spike times of the population, so all rates and
    the summed activity; destroys the order within trains. On trains that are Poisson with constant
    rates nothing is left to destroy, and no statistic of the spikes can tell.

    Raises
    ------
    InvalidInputError
        If the population was not recorded.
    """
    spikes = _spikes(recording, population)
    rng = np.random.default_rng(seed)
    neuron = spikes.neuron.astype(np.int64)
    for _ in range(_ROUNDS):
        _exchange(spikes.step, neuron, spikes.size, rng)
    fault = f"shuffle_spikes({population}, seed={seed})"
    return _with_spikes(recording, population, neuron, fault)


def _exchange(step: Array, neuron: Array, size: int, rng: np.random.Generator) -> None:
    """Let random pairs of spikes swap neurons, where nobody gets two spikes in a step."""
    half = len(step) // 2
    order = rng.permutation(len(step))
    a, b = order[:half], order[half : 2 * half]
    to_a, to_b = step[a] * size + neuron[b], step[b] * size + neuron[a]
    wanted, times = np.unique(np.concatenate([to_a, to_b]), return_counts=True)
    taken = wanted[(times > 1) | np.isin(wanted, step * size + neuron)]
    free = ~np.isin(to_a, taken) & ~np.isin(to_b, taken)
    a, b = a[free], b[free]
    neuron[a], neuron[b] = neuron[b], neuron[a]


def raise_threshold(program: Program, factor: float = 1.10) -> Program:
    """Multiply every threshold mantissa by ``factor``, by one count at least.

    Raises
    ------
    InvalidInputError
        If ``factor`` is not above 1.
    ConstraintViolationError
        If a threshold no longer fits 17 bits.
    """
    if not factor > 1:
        raise InvalidInputError(Problem("factor", str(factor), "above 1"))
    raised = {
        g.name: max(g.vth + 1, round(g.vth * factor))
        for g in program.neurons
        if isinstance(g, NeuronGroup)
    }
    too_large = [
        Problem(f"neurons.{name}.vth", str(vth), f"at most {MAX_VTH}; use a smaller factor")
        for name, vth in raised.items()
        if vth > MAX_VTH
    ]
    if too_large:
        raise ConstraintViolationError(too_large)
    neurons = tuple(
        replace(g, vth=raised[g.name]) if isinstance(g, NeuronGroup) else g for g in program.neurons
    )
    return replace(program, neurons=neurons)


def learning_off(program: Program) -> Program:
    """Make every plastic projection static at its initial weights.

    ``mirrors`` stays, so that :func:`with_static_weights` can report the weights all the same.
    """
    return replace(program, synapses=tuple(replace(s, learning=None) for s in program.synapses))


def with_static_weights(recording: Recording, program: Program, steps: Sequence[int]) -> Recording:
    """Add the weights of static projections that mirror a forward projection.

    A backend reports the weights of plastic projections only; those of a program without learning
    are known beforehand.

    Parameters
    ----------
    recording : Recording
        A run of ``program``.
    program : Program
        As returned by :func:`learning_off`.
    steps : sequence of int
        Snapshot steps, as a run with learning would have been probed.
    """
    step = np.asarray(steps)
    weights = {s.name: s.weights for s in program.synapses if s.learning is None}
    added = {}
    for name in program.mirrors:
        planes = program.planes.get(name, (name,))
        if set(planes) <= set(weights):
            values = sum_of_planes(weights[plane] for plane in planes)
            added[name] = Series(step=step, values=np.repeat(values[None], len(step), axis=0))
    return replace(
        recording,
        weights={**recording.weights, **added},
        not_probed=tuple(n for n in recording.not_probed if n not in added),
    )


def _spikes(recording: Recording, population: str) -> Spikes:
    if population not in recording.spikes:
        recorded = f"one of: {', '.join(recording.spikes) or 'none'}"
        raise InvalidInputError(Problem("population", f"'{population}' not recorded", recorded))
    return recording.spikes[population]


def _with_spikes(recording: Recording, population: str, neuron: Array, fault: str) -> Recording:
    spikes = replace(recording.spikes[population], neuron=neuron)
    return replace(
        recording,
        spikes={**recording.spikes, population: spikes},
        provenance={**recording.provenance, "fault": fault},
    )
