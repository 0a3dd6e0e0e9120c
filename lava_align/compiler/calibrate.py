r"""A short float run of the network, from which the compiler learns what to expect.

Rates, peak currents and spike trains of a few seconds decide impulses, clocks, exponents and
scales, so that no user file needs a magic number. Learning is left out: the weights are those the
run starts with. The recursion is the exact solution of the linear membrane between grid points,

.. math:: I_{n} = P_s I_{n-1} + w\,n_{spikes}, \qquad v_{n+1} = P_m v_n + c I_n + (1-P_m)\,b .
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, Network, Population, draw_stimuli

Array = np.ndarray[Any, Any]

SAMPLE_SECONDS = 10.0
# Any fixed number: the sample must not depend on the run's seed, or programs would differ by seed.
SAMPLE_SEED = 20


@dataclass(frozen=True, kw_only=True)
class Step:
    """Per-step coefficients of a neuron at a given dt.

    Parameters
    ----------
    membrane, synapse : float
        Factors by which membrane and current decay in a step.
    gain : float
        What a unit current adds to the membrane in the next step.
    """

    membrane: float
    synapse: float
    gain: float

    @classmethod
    def of(cls, neuron: LIF, dt: float) -> Step:
        """Solve the membrane exactly over one step (single-exponential kernel)."""
        membrane, synapse = math.exp(-dt / neuron.tau_m), math.exp(-dt / neuron.tau_syn)
        if math.isclose(neuron.tau_m, neuron.tau_syn, rel_tol=1e-6):
            gain = dt / neuron.tau_m * membrane
        else:
            # The difference of two exponentials near 1, without the loss of digits.
            difference = math.expm1(-dt / neuron.tau_syn) - math.expm1(-dt / neuron.tau_m)
            gain = difference * neuron.tau_syn / (neuron.tau_syn - neuron.tau_m)
        return cls(membrane=membrane, synapse=synapse, gain=gain)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What one population did in the sample.

    Parameters
    ----------
    spikes : ndarray of bool, shape (n_steps, size)
    peak_jump, peak_current, peak_potential : float
        Largest magnitude of the current's jump in a step, of the current, of the membrane.
    """

    spikes: Array
    peak_jump: float
    peak_current: float
    peak_potential: float

    def rate(self, dt: float) -> float:
        """Mean rate, Hz."""
        return float(self.spikes.mean()) / dt


def sample_activity(network: Network) -> dict[str, Activity]:
    """Simulate up to ``SAMPLE_SECONDS`` of the network without learning.

    Neurons must be expressible on chip (single exponential, reset 0, no refractory period).

    Raises
    ------
    ConstraintViolationError
        Naming the populations whose currents or potentials are too large for floating point.
    """
    seconds = min(network.duration, SAMPLE_SECONDS)
    short = Network(
        dt=network.dt,
        duration=seconds,
        populations=network.populations,
        projections=network.projections,
        stimuli=network.stimuli,
    )
    drives = _drives(short)
    states = {p.name: _State(p, short.dt, short.n_steps) for p in short.populations}
    incoming = {p.name: [(q.pre, q.weights) for q in short.into(p.name)] for p in short.populations}
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(short.n_steps):
            new = {name: state.advance(step) for name, state in states.items()}
            for name, state in states.items():
                jump = drives[name][step] + sum(w @ new[pre] for pre, w in incoming[name])
                state.receive(jump)
    problems = [
        Problem(f"populations.{name}", "currents beyond floating point", "use smaller weights")
        for name, state in states.items()
        if not np.isfinite(state.peaks).all()
    ]
    if problems:
        raise ConstraintViolationError(problems)
    return {name: state.activity() for name, state in states.items()}


def _drives(network: Network) -> dict[str, Array]:
    """Current jumps that the stimuli cause, (n_steps, size) per population."""
    drives = {p.name: np.zeros((network.n_steps, p.size)) for p in network.populations}
    spikes = draw_stimuli(network, SAMPLE_SEED)
    for stimulus in network.stimuli:
        raster = spikes[stimulus.name].raster(network.n_steps)
        drives[stimulus.population] += stimulus.weight * raster
    return drives


class _State:
    """Running state of one population."""

    def __init__(self, population: Population, dt: float, n_steps: int) -> None:
        self.neuron = population.lif
        self.step = Step.of(population.lif, dt)
        self.current = np.zeros(population.size)
        self.potential = np.zeros(population.size)
        self.spikes = np.zeros((n_steps, population.size), dtype=bool)
        # Taken with np.maximum, which keeps a NaN where max() would drop it.
        self.peaks = np.zeros(3)

    def advance(self, step: int) -> Array:
        bias = (1.0 - self.step.membrane) * self.neuron.bias
        self.potential = self.step.membrane * self.potential + self.step.gain * self.current + bias
        self.current = self.current * self.step.synapse
        self.peaks[2] = np.maximum(self.peaks[2], np.abs(self.potential).max())
        fired = self.potential > self.neuron.threshold
        self.potential[fired] = 0.0
        self.spikes[step] = fired
        return fired.astype(float)

    def receive(self, jump: Array) -> None:
        self.current += jump
        self.peaks[0] = np.maximum(self.peaks[0], np.abs(jump).max())
        self.peaks[1] = np.maximum(self.peaks[1], np.abs(self.current).max())

    def activity(self) -> Activity:
        return Activity(
            spikes=self.spikes,
            peak_jump=float(self.peaks[0]),
            peak_current=float(self.peaks[1]),
            peak_potential=float(self.peaks[2]),
        )


def rates(activity: Mapping[str, Activity], dt: float) -> dict[str, float]:
    """Mean rate of each population, Hz."""
    return {name: a.rate(dt) for name, a in activity.items()}
