r"""What the user means: a spiking network in SI units and floats, with no backend type in it.

Membrane potential and synaptic current share one dimensionless unit (the papers put the threshold
at 1); times are seconds, rates hertz. Matrices are ``(n_post, n_pre)``. A network is complete:
two equal networks compile to two equal programs.

A neuron is the current-based leaky integrate-and-fire neuron,

.. math::

    \tau_m \dot v = -v + I + b, \qquad
    I(t) = \sum_f w\, \kappa(t - t_f), \qquad
    \kappa(s) = \frac{\tau_d}{\tau_d - \tau_r}\left(e^{-s/\tau_d} - e^{-s/\tau_r}\right),

which tends to the single exponential :math:`e^{-s/\tau_d}` as :math:`\tau_r \to 0` and keeps its
area :math:`\tau_d` for every :math:`\tau_r < \tau_d`. Or it is the stochastic
:class:`EscapeNeuron`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.model.stimuli import Drive
from lava_align.model.units import format_time
from lava_align.recording import Spikes
from lava_align.spike_stream import SpikeStream
from lava_align.values import ArrayValue, frozen_array

# Neurons are counted in int32, and so are steps in Lava.
MAX_SIZE = MAX_STEPS = 2**31 - 1
MAX_SYNAPSES = 2**31

# ASCII, because names become names in programs and files.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class LIF:
    """Current-based leaky integrate-and-fire neuron.

    Parameters
    ----------
    tau_m : float
        Membrane time constant, seconds, > 0.
    tau_syn : float
        Decay of the synaptic current, seconds, > 0.
    tau_rise : float
        Rise of the synaptic current, seconds, 0 <= tau_rise < tau_syn; 0 is a single exponential.
    threshold, reset, bias : float
        Threshold (> reset), reset value and constant drive, in units of the membrane potential.
    refractory : float
        Time after a spike in which there is no other, seconds, >= 0. After a spike in step n the
        next can come in step ``n + 1 + refractory / dt``.
    refractory_holds : bool
        Whether the membrane stays at ``reset`` while refractory. False: it integrates on, and
        crossings of the threshold neither fire nor reset (the neuron of RDD, arXiv 1910.01689).
    """

    tau_m: float
    tau_syn: float
    tau_rise: float = 0.0
    threshold: float = 1.0
    reset: float = 0.0
    bias: float = 0.0
    refractory: float = 0.0
    refractory_holds: bool = True


@dataclass(frozen=True, kw_only=True)
class EscapeNeuron:
    r"""Stochastic neuron with rectangular synaptic potentials, that of SAL (arXiv 2503.02642).

    Its potential is :math:`u = b + \sum_j w_j z_j`, where :math:`z_j` counts the spikes of j in the
    last ``tau_syn``. In every step in which it is not refractory it spikes with probability
    :math:`1 / (1 + e^{-(u - \ln(\tau_{ref} / dt))})`, so that with one neuron alone and small dt
    the share of time it is refractory is the logistic function of u (Buesing et al. 2011).

    Parameters
    ----------
    refractory : float
        :math:`\tau_{ref}`, seconds, >= dt. After a spike in step n the next can come in step
        ``n + 1 + refractory / dt``, as in the authors' program (github.com/unibe-cns/sal-code,
        ``symmnet/src/symmnet/sal_net.py``).
    tau_syn : float or None
        Length of the potential a spike leaves, seconds, > 0; None is ``refractory``. A spike in
        step n is felt in the steps ``n + 1`` to ``n + tau_syn / dt``. A stimulus's spikes count
        in the same way.
    bias : float
        Constant part of the potential.
    """

    refractory: float
    tau_syn: float | None = None
    bias: float = 0.0

    @property
    def pulse(self) -> float:
        """Length of the potential a spike leaves, seconds."""
        return self.refractory if self.tau_syn is None else self.tau_syn


Neuron = LIF | EscapeNeuron


@dataclass(frozen=True, kw_only=True)
class Population:
    """``size`` neurons of one kind."""

    name: str
    size: int
    neuron: Neuron

    @property
    def lif(self) -> LIF:
        """The neuron where nothing but a LIF can be, as behind the compiler's first stage.

        Raises
        ------
        TypeError
            If it is another.
        """
        if not isinstance(self.neuron, LIF):
            raise TypeError(
                f"population {self.name} is of {type(self.neuron).__name__}, not of LIF"
            )
        return self.neuron


@dataclass(frozen=True, kw_only=True)
class Plasticity:
    """A weight-alignment rule on a feedback projection.

    Parameters
    ----------
    rule : str
        Name in the rule registry (``lava-align rules``).
    mirrors : str
        Name of the forward projection whose transpose the feedback weights come to mirror.
    parameters : mapping
        Overrides of the rule's defaults, in SI units.
    variant : str or None
        On-chip form to use; None takes the rule's default.
    """

    rule: str
    mirrors: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    variant: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection(ArrayValue):
    """All-to-all synapses from ``pre`` to ``post``.

    Parameters
    ----------
    weights : ndarray, shape (n_post, n_pre), float
        Jump of the postsynaptic current per presynaptic spike.
    plasticity : Plasticity or None
        None keeps the weights fixed.
    acts : bool
        False: the synapses learn and are read out, but drive nobody. This is the alignment phase
        of the papers, in which feedback reaches a compartment that does not spike.
    """

    name: str
    pre: str
    post: str
    weights: np.ndarray[Any, Any]
    plasticity: Plasticity | None = None
    acts: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_array(self.weights, np.float64))


@dataclass(frozen=True, kw_only=True, eq=False)
class Stimulus(ArrayValue):
    """External spikes, one train per neuron of ``population``, each of strength ``weight``."""

    name: str
    population: str
    weight: float
    drive: Drive


@dataclass(frozen=True, kw_only=True, eq=False)
class Network(ArrayValue):
    """Populations, projections and stimuli on one time grid.

    Parameters
    ----------
    dt : float
        Time step, seconds.
    duration : float
        Simulated time, seconds; rounded to whole steps.

    Raises
    ------
    InvalidInputError
        With every inconsistency at once.
    """

    dt: float
    duration: float
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...] = ()
    stimuli: tuple[Stimulus, ...] = ()

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InvalidInputError(problems)

    @property
    def n_steps(self) -> int:
        """Number of time steps."""
        return round(self.duration / self.dt)

    def population(self, name: str) -> Population:
        """Return the population called ``name``."""
        return next(p for p in self.populations if p.name == name)

    def projection(self, name: str) -> Projection:
        """Return the projection called ``name``."""
        return next(p for p in self.projections if p.name == name)

    def plastic(self) -> tuple[Projection, ...]:
        """Projections that learn."""
        return tuple(p for p in self.projections if p.plasticity is not None)

    def into(self, population: str) -> tuple[Projection, ...]:
        """Projections that drive ``population``."""
        return tuple(p for p in self.projections if p.post == population and p.acts)


def _problems(network: Network) -> Iterator[Problem]:
    time_problems = list(_time_problems(network.dt, network.duration))
    yield from time_problems
    if not network.populations:
        yield Problem("populations", "none", "a network needs at least one population")
    yield from _duplicate_names(network)
    # Without a time step, what is compared with one is not; the other problems still are found.
    dt = math.nan if time_problems else network.dt
    for population in network.populations:
        yield from _population_problems(population, dt)
    sizes = {p.name: p.size for p in network.populations}
    shapes = {p.name: p.weights.shape for p in network.projections}
    for projection in network.projections:
        yield from _projection_problems(projection, sizes)
        yield from _plasticity_problems(projection, shapes, network)
    for stimulus in network.stimuli:
        yield from _stimulus_problems(stimulus, sizes, dt)


def _time_problems(dt: float, duration: float) -> Iterator[Problem]:
    for key, value in (("dt", dt), ("duration", duration)):
        if not (math.isfinite(value) and value > 0):
            yield Problem(key, format_time(value), "a positive, finite time")
            return
    steps = duration / dt
    if round(min(steps, 1.0)) < 1:
        found = f"{format_time(duration)} is shorter than dt ({format_time(dt)})"
        yield Problem("duration", found, "at least one step")
    if steps > MAX_STEPS:
        found = f"{format_time(duration)} is {steps:.3g} steps of dt ({format_time(dt)})"
        yield Problem("duration", found, f"at most {MAX_STEPS} steps")


def _duplicate_names(network: Network) -> Iterator[Problem]:
    seen: set[str] = set()
    groups = (
        ("populations", network.populations),
        ("projections", network.projections),
        ("stimuli", network.stimuli),
    )
    for kind, items in groups:
        for item in items:
            if item.name in seen:
                yield Problem(
                    f"{kind}.{item.name}",
                    "name used twice",
                    "one name for each population, projection and stimulus",
                )
            if not _NAME.fullmatch(item.name):
                yield Problem(
                    f"{kind}.{item.name}",
                    "not a name",
                    "a letter, then letters, digits and underscores",
                )
            seen.add(item.name)


def _population_problems(population: Population, dt: float) -> Iterator[Problem]:
    where = f"populations.{population.name}"
    if not 1 <= population.size <= MAX_SIZE:
        yield Problem(f"{where}.size", str(population.size), f"1..{MAX_SIZE} neurons")
    if isinstance(population.neuron, LIF):
        yield from _lif_problems(where, population.neuron, dt)
    else:
        yield from _escape_problems(where, population.neuron, dt)


def _lif_problems(where: str, neuron: LIF, dt: float) -> Iterator[Problem]:
    for key in ("tau_m", "tau_syn"):
        yield from _positive_time(f"{where}.{key}", getattr(neuron, key))
    for key in ("tau_rise", "refractory"):
        value = getattr(neuron, key)
        if not (math.isfinite(value) and value >= 0):
            yield Problem(f"{where}.{key}", format_time(value), "a finite time >= 0")
    if neuron.tau_rise >= neuron.tau_syn > 0:
        found, limit = format_time(neuron.tau_rise), format_time(neuron.tau_syn)
        yield Problem(f"{where}.tau_rise", found, f"below tau_syn ({limit})")
    for key in ("threshold", "reset", "bias"):
        if not math.isfinite(getattr(neuron, key)):
            yield Problem(f"{where}.{key}", str(getattr(neuron, key)), "a finite number")
    if neuron.threshold <= neuron.reset:
        yield Problem(f"{where}.threshold", str(neuron.threshold), f"above reset ({neuron.reset})")
    if 0 < neuron.refractory < dt:
        found, least = format_time(neuron.refractory), format_time(dt)
        yield Problem(f"{where}.refractory", found, f"0 or >= dt ({least})")
    if not neuron.refractory_holds and not neuron.refractory:
        allowed = "a refractory period, in which the membrane can integrate on; or leave it out"
        yield Problem(f"{where}.refractory_holds", "false without refractory", allowed)


def _escape_problems(where: str, neuron: EscapeNeuron, dt: float) -> Iterator[Problem]:
    times = {"refractory": neuron.refractory}
    if neuron.tau_syn is not None:
        times["tau_syn"] = neuron.tau_syn
    for key, value in times.items():
        yield from _positive_time(f"{where}.{key}", value)
        if 0 < value < dt:
            yield Problem(f"{where}.{key}", format_time(value), f"at least dt ({format_time(dt)})")
    if not math.isfinite(neuron.bias):
        yield Problem(f"{where}.bias", str(neuron.bias), "a finite number")


def _positive_time(where: str, value: float) -> Iterator[Problem]:
    if not (math.isfinite(value) and value > 0):
        yield Problem(where, format_time(value), "a positive, finite time")


def _projection_problems(projection: Projection, sizes: Mapping[str, int]) -> Iterator[Problem]:
    where = f"projections.{projection.name}"
    known = ", ".join(sizes) or "none"
    missing = False
    for end in ("pre", "post"):
        name = getattr(projection, end)
        if name not in sizes:
            missing = True
            yield Problem(f"{where}.{end}", f"no population '{name}'", f"one of: {known}")
    if not projection.acts and projection.plasticity is None:
        yield Problem(f"{where}.acts", "false without a rule", "it would do nothing; remove it")
    if not np.isfinite(projection.weights).all():
        yield Problem(f"{where}.weights", "NaN or infinite entries", "finite numbers")
    if missing:
        return
    expected = (sizes[projection.post], sizes[projection.pre])
    # A size that is itself wrong is reported once and not with everything that depends on it.
    if min(expected) >= 1 and max(expected) <= MAX_SIZE and projection.weights.shape != expected:
        yield Problem(
            f"{where}.weights", f"shape {projection.weights.shape}", f"(n_post, n_pre) = {expected}"
        )


def _plasticity_problems(
    projection: Projection, shapes: Mapping[str, tuple[int, ...]], network: Network
) -> Iterator[Problem]:
    if projection.plasticity is None:
        return
    where = f"projections.{projection.name}.rule.mirrors"
    mirrors = projection.plasticity.mirrors
    if mirrors not in shapes:
        known = ", ".join(name for name in shapes if name != projection.name) or "none"
        yield Problem(where, f"no projection '{mirrors}'", f"one of: {known}")
        return
    forward = network.projection(mirrors)
    ends = {p.name for p in network.populations}
    if not {forward.pre, forward.post, projection.pre, projection.post} <= ends:
        return
    if (forward.pre, forward.post) != (projection.post, projection.pre):
        yield Problem(
            where,
            f"'{mirrors}' runs {forward.pre} -> {forward.post}",
            f"a projection {projection.post} -> {projection.pre}, the opposite direction",
        )


def _stimulus_problems(
    stimulus: Stimulus, sizes: Mapping[str, int], dt: float
) -> Iterator[Problem]:
    where = f"stimuli.{stimulus.name}"
    if not math.isfinite(stimulus.weight):
        yield Problem(f"{where}.weight", str(stimulus.weight), "a finite number")
    if stimulus.population not in sizes:
        yield Problem(
            f"{where}.population",
            f"no population '{stimulus.population}'",
            f"one of: {', '.join(sizes) or 'none'}",
        )
        return
    if not math.isnan(dt) and sizes[stimulus.population] >= 1:
        yield from stimulus.drive.problems(f"{where}.drive", sizes[stimulus.population], dt)


def open_stimuli(network: Network, seed: int) -> dict[str, SpikeStream]:
    """Spikes of every stimulus, drawn as they are asked for.

    Each stimulus has its own random stream, derived from ``seed`` and its place in the network,
    so adding one at the end leaves the others as they were.

    Returns
    -------
    dict
        Stimulus name to spikes on the network's grid; deterministic for a seed.
    """
    streams = np.random.SeedSequence(seed).spawn(len(network.stimuli))
    return {
        stimulus.name: stimulus.drive.stream(
            network.population(stimulus.population).size,
            network.n_steps,
            network.dt,
            np.random.default_rng(stream),
        )
        for stimulus, stream in zip(network.stimuli, streams, strict=True)
    }


def draw_stimuli(network: Network, seed: int) -> dict[str, Spikes]:
    """Draw all spikes of every stimulus: what :func:`open_stimuli` gives to the end of the run."""
    opened = open_stimuli(network, seed)
    return {name: stream.until(network.n_steps) for name, stream in opened.items()}
