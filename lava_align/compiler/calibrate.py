r"""A short float run of the network, from which the compiler learns what to expect.

Rates, peak currents and spike trains of a few seconds decide impulses, clocks, exponents and
scales, so that no user file needs a magic number. Learning is left out: the weights are those the
run starts with. The recursion is the exact solution of the linear membrane between grid points,

.. math:: I_{n} = P_s I_{n-1} + w\,n_{spikes}, \qquad v_{n+1} = P_m v_n + c I_n + (1-P_m)\,b .

A kernel of two exponentials has a second current that is taken from the first. Exactly, the two
would reach the membrane with different gains; a chip has one. So both decay a little faster or
slower than asked, such that the membrane's response to a spike keeps its area and comes nearest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.network import LIF, EscapeNeuron, Network, Population, draw_stimuli

Array = np.ndarray[Any, Any]

SAMPLE_SECONDS = 10.0
LONGEST_RESPONSE = 4096
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
    rise : float or None
        Factor by which the second current decays; None for a single exponential.
    """

    membrane: float
    synapse: float
    gain: float
    rise: float | None = None

    @classmethod
    def of(cls, neuron: LIF, dt: float) -> Step:
        """Solve the membrane over one step."""
        membrane, synapse = math.exp(-dt / neuron.tau_m), math.exp(-dt / neuron.tau_syn)
        gain = _gain(neuron.tau_m, neuron.tau_syn, dt)
        if not neuron.tau_rise:
            return cls(membrane=membrane, synapse=synapse, gain=gain)
        amplitude = neuron.tau_syn / (neuron.tau_syn - neuron.tau_rise)
        fast = math.exp(-dt / neuron.tau_rise)
        n = np.arange(_response_steps(neuron, dt))
        gain_fast = _gain(neuron.tau_m, neuron.tau_rise, dt)
        exact = amplitude * (gain * synapse**n - gain_fast * fast**n)
        synapse, rise = _nearest_kernel(membrane, exact, (synapse, fast))
        area = float(exact.sum()) / current_area(synapse, rise)
        return cls(membrane=membrane, synapse=synapse, gain=area, rise=rise)

    @property
    def current_area(self) -> float:
        """Sum over the steps of the current that a unit jump leaves."""
        return current_area(self.synapse, self.rise)


def current_area(synapse: float, rise: float | None) -> float:
    """Sum over the steps of a unit current, or of the difference of two, decaying by factors."""
    tiny = float(np.finfo(float).eps)
    whole = 1.0 / max(1.0 - synapse, tiny)
    return whole if rise is None else whole - 1.0 / max(1.0 - rise, tiny)


def _response_steps(neuron: LIF, dt: float) -> int:
    """Steps after which a spike is forgotten to one part in a million."""
    slowest = max(neuron.tau_m, neuron.tau_syn)
    return min(max(32, math.ceil(14.0 * slowest / dt)), LONGEST_RESPONSE)


def _nearest_kernel(
    membrane: float, exact: Array, start: tuple[float, float]
) -> tuple[float, float]:
    """Factors of two exponentials with one gain whose membrane response is nearest to a given one.

    Least squares at equal area: mean and, nearly, variance of the drive stay as they are.

    Parameters
    ----------
    exact : ndarray, shape (n_steps,)
        What reaches the membrane step by step after a spike.
    start : tuple of float
        Factors to start from.
    """
    from scipy.optimize import minimize
    from scipy.signal import lfilter

    n = np.arange(len(exact))
    wanted = lfilter([1.0], [1.0, -membrane], exact)

    def error(factors: Array) -> float:
        slow, fast = factors
        if not 0.0 <= fast < 0.99 * slow < 0.99:
            return math.inf
        kernel = slow**n - fast**n
        response = lfilter([1.0], [1.0, -membrane], kernel * (exact.sum() / kernel.sum()))
        return float(np.sum((response - wanted) ** 2))

    found = minimize(error, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12})
    return float(found.x[0]), float(found.x[1])


def _gain(tau_m: float, tau_syn: float, dt: float) -> float:
    """What a unit current that decays with ``tau_syn`` adds to the membrane in one step."""
    if math.isclose(tau_m, tau_syn, rel_tol=1e-6):
        return dt / tau_m * math.exp(-dt / tau_m)
    # The difference of two exponentials near 1, without the loss of digits.
    difference = math.expm1(-dt / tau_syn) - math.expm1(-dt / tau_m)
    return difference * tau_syn / (tau_syn - tau_m)


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
    states = {p.name: _state(p, short.dt, short.n_steps) for p in short.populations}
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


class _State(ABC):
    """What both kinds of neurons have in a sample."""

    def __init__(self, size: int, n_steps: int) -> None:
        self.spikes = np.zeros((n_steps, size), dtype=bool)
        self.rest = np.zeros(size, int)
        # Taken with np.maximum, which keeps a NaN where max() would drop it.
        self.peaks = np.zeros(3)

    @abstractmethod
    def advance(self, step: int) -> Array:
        """One step; return 1.0 for each neuron that spikes."""

    @abstractmethod
    def receive(self, jump: Array) -> None:
        """Take in what the spikes of this step are worth."""

    def peak(self, index: int, values: Array) -> None:
        """Remember the largest magnitude."""
        self.peaks[index] = np.maximum(self.peaks[index], np.abs(values).max())

    def note(self, step: int, fired: Array, refractory: int) -> Array:
        """Write spikes down and count refractory steps."""
        self.rest = np.where(fired, refractory, np.maximum(self.rest - 1, 0))
        self.spikes[step] = fired
        return fired.astype(float)

    def activity(self) -> Activity:
        """Sum up."""
        return Activity(
            spikes=self.spikes,
            peak_jump=float(self.peaks[0]),
            peak_current=float(self.peaks[1]),
            peak_potential=float(self.peaks[2]),
        )


class _LifState(_State):
    def __init__(self, population: Population, dt: float, n_steps: int) -> None:
        super().__init__(population.size, n_steps)
        self.neuron = population.lif
        self.step = Step.of(population.lif, dt)
        self.refractory = round(self.neuron.refractory / dt)
        self.current, self.second = np.zeros((2, population.size))
        self.potential = np.full(population.size, self.neuron.reset)
        self.peak(2, self.potential)

    def advance(self, step: int) -> Array:
        neuron, held = self.neuron, self.rest > 0
        bias = (1.0 - self.step.membrane) * neuron.bias
        current = self.current - self.second
        self.potential = self.step.membrane * self.potential + self.step.gain * current + bias
        self.current = self.current * self.step.synapse
        if self.step.rise is not None:
            self.second = self.second * self.step.rise
        if neuron.refractory_holds:
            self.potential[held] = neuron.reset
        self.peak(2, self.potential)
        fired = (self.potential > neuron.threshold) & ~held
        self.potential[fired] = neuron.reset
        return self.note(step, fired, self.refractory)

    def receive(self, jump: Array) -> None:
        self.current += jump
        if self.step.rise is not None:
            self.second += jump
        self.peak(0, jump)
        self.peak(1, self.current)


class _EscapeState(_State):
    def __init__(self, population: Population, dt: float, n_steps: int) -> None:
        super().__init__(population.size, n_steps)
        neuron = population.neuron
        assert isinstance(neuron, EscapeNeuron)
        self.bias, self.refractory = neuron.bias, round(neuron.refractory / dt)
        self.offset = math.log(neuron.refractory / dt)
        self.arrived = np.zeros((round(neuron.pulse / dt), population.size))
        self.potential = np.zeros(population.size)
        self.rng = np.random.default_rng(SAMPLE_SEED)

    def advance(self, step: int) -> Array:
        potential = self.potential + self.bias
        self.peak(2, potential)
        chance = 1.0 / (1.0 + np.exp(np.clip(self.offset - potential, -700, 700)))
        fired = (self.rng.random(len(chance)) < chance) & (self.rest == 0)
        return self.note(step, fired, self.refractory)

    def receive(self, jump: Array) -> None:
        self.potential = self.potential + jump - self.arrived[0]
        self.arrived = np.roll(self.arrived, -1, axis=0)
        self.arrived[-1] = jump
        self.peak(0, jump)
        self.peak(1, self.potential)


def _state(population: Population, dt: float, n_steps: int) -> _State:
    kind = _LifState if isinstance(population.neuron, LIF) else _EscapeState
    return kind(population, dt, n_steps)


def rates(activity: Mapping[str, Activity], dt: float) -> dict[str, float]:
    """Mean rate of each population, Hz."""
    return {name: a.rate(dt) for name, a in activity.items()}
