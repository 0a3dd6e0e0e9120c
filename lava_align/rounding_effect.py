r"""What Lava's shared random number does to learned weights.

Lava rounds all synapses of a projection with one random number per step (see
``docs/engine_semantics.md``); a chip rounds each by itself. Here every seed runs the same program
with the same input spikes under both, and the alignment reached is compared pair by pair.

A compiled program rounds its traces with the same numbers in every run. Were they left so, seeds
would differ in weights and input alone, and one lucky or unlucky sequence would pass for an effect.
So each seed gets numbers of its own for the traces. Those for the weights are fixed in Lava
(``fixed-synapse-seed``), and stay.

An error of a weight is its distance from the mean of :data:`REPEATS` further runs, which round
independently with other random numbers. Averaged over N synapses, errors :math:`e` of equal size
and mean correlation :math:`\rho` have :math:`E[\bar e^2] = E[e^2]\,(1 + (N-1)\rho)/N`. So
:math:`\rho` tells errors that all weights share from those that average out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from lava_align.backends.base import Probes
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import Program
from lava_align.engine.base import Semantics
from lava_align.errors import InvalidInputError, Problem
from lava_align.model.experiment import load_experiment
from lava_align.model.network import draw_stimuli
from lava_align.pipeline import StageCallback, compile_experiment, forward_weights
from lava_align.recording import Array, Spikes
from lava_align.statistics.alignment import alignment
from lava_align.targets import HardwareTarget

SHARED: Semantics = "lava-0.10.0"
INDEPENDENT: Semantics = "independent-rounding"

MEASURES = ("r", "sign_agreement", "angle")

REPEATS = 4
"""Runs with further independent numbers whose mean stands for the weights without rounding."""

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean over seeds and its standard error."""

    mean: float
    se: float

    @classmethod
    def of(cls, values: Array) -> Estimate:
        """Estimate from one value per seed, at least two."""
        return cls(mean=float(values.mean()), se=float(stats.sem(values)))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A measure of alignment under both roundings.

    Parameters
    ----------
    shared, independent : Estimate
    difference : Estimate
        Shared less independent, paired by seed.
    interval : tuple of float
        Of the mean difference, 95 % (Student's t).
    """

    shared: Estimate
    independent: Estimate
    difference: Estimate
    interval: tuple[float, float]

    @property
    def resolved(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.interval[0] <= 0.0 <= self.interval[1]


@dataclass(frozen=True, kw_only=True)
class WeightError:
    """Rounding errors of the weights at the end, in chip units.

    Parameters
    ----------
    typical : float
        Root mean square of one weight's error.
    common : float
        Root mean square over seeds of the error's mean over all synapses.
    correlation : float
        Mean correlation of two synapses' errors, at least -1/(N - 1).
    correlation_same_post : float
        The same for synapses of one postsynaptic neuron, which learn from the same traces.
    """

    typical: float
    common: float
    correlation: float
    correlation_same_post: float


def weight_errors(shared: Array, independent: Array) -> tuple[WeightError, WeightError]:
    """Sum up errors of both roundings, each of shape (n_seeds, n_post, n_pre).

    They are measured from a mean of :data:`REPEATS` independent runs. What that adds to their
    squares follows from the independent ones, and is taken away.
    """
    shape = shared.shape[1:]
    own = _mean_squares(independent) * REPEATS / (REPEATS + 1)
    without = np.maximum(_mean_squares(shared) - own / REPEATS, 0.0)
    return _weight_error(without, shape), _weight_error(own, shape)


def _mean_squares(errors: Array) -> Array:
    """Mean squares of one error, of the mean of all, and of the means of postsynaptic neurons."""
    parts = (errors, errors.mean(axis=(1, 2)), errors.mean(axis=2))
    return np.array([np.mean(part**2) for part in parts])


def _weight_error(squares: Array, shape: tuple[int, ...]) -> WeightError:
    square, common, of_neuron = (float(value) for value in squares)
    n_post, n_pre = shape
    return WeightError(
        typical=math.sqrt(square),
        common=math.sqrt(common),
        correlation=_correlation(common, square, n_post * n_pre),
        correlation_same_post=_correlation(of_neuron, square, n_pre),
    )


def _correlation(of_mean: float, square: float, n: int) -> float:
    """Mean correlation of n errors from the mean squares of their mean and of one of them."""
    return (n * of_mean / square - 1) / (n - 1) if square > 0 and n > 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class ProjectionEffect:
    """What the shared number does to one plastic projection.

    Parameters
    ----------
    projection : str
    n_synapses : int
    acts : bool
        Whether its weights drive neurons, so that errors change the spikes that it learns from.
    measures : mapping
        ``r``, ``sign_agreement`` and ``angle`` (degrees) to :class:`Comparison`.
    shared, independent : WeightError
    per_seed : mapping
        Measure to one (shared, independent) pair per seed.
    """

    projection: str
    n_synapses: int
    acts: bool
    measures: Mapping[str, Comparison]
    shared: WeightError
    independent: WeightError
    per_seed: Mapping[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, kw_only=True)
class RoundingEffect:
    """What the shared number does to an experiment.

    Parameters
    ----------
    target : str
    duration : float
        Seconds.
    seeds : tuple of int
    projections : tuple of ProjectionEffect
    """

    target: str
    duration: float
    seeds: tuple[int, ...]
    projections: tuple[ProjectionEffect, ...]


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """One seed and projection: measures and errors of the shared and of the independent run."""

    acts: bool
    measures: Mapping[str, tuple[float, float]]
    errors: tuple[Array, Array]


def measure_rounding(
    experiment: str | Path,
    target: HardwareTarget,
    seeds: Sequence[int],
    *,
    duration: float | None = None,
    jobs: int = -1,
    progress: StageCallback | None = None,
) -> RoundingEffect:
    """Run an experiment under both roundings, paired by seed.

    Parameters
    ----------
    experiment : path
        Experiment file.
    seeds : sequence of int
        At least two different ones, >= 0. A seed decides weights and input spikes, the same for
        both roundings, and the numbers with which traces are rounded.
    duration : float, optional
        Overrides the file's, seconds.
    jobs : int
        Processes at a time; -1 is one per processor. The figures do not depend on it.
    progress : callable, optional
        Called with (stage, seeds done, seeds in all).

    Raises
    ------
    InvalidInputError
        For fewer than two seeds, or an experiment that is faulty or learns nothing.
    ConstraintViolationError
        If the target cannot hold the experiment.
    """
    from joblib import Parallel, delayed

    if len(set(seeds)) < max(2, len(seeds)) or min(seeds) < 0:
        raise InvalidInputError(
            Problem("seeds", ", ".join(map(str, seeds)) or "none", "two or more, each once, >= 0")
        )
    first = load_experiment(experiment, seed=seeds[0], duration=duration, comparable=False)
    if not first.network.plastic():
        found = "no projection with a rule"
        raise InvalidInputError(Problem(str(experiment), found, "an experiment that learns"))
    stage = f"rounding, {len(seeds)} seeds"
    if progress is not None:
        progress(stage, 0, len(seeds))
    outcomes = []
    with Parallel(n_jobs=min(jobs, len(seeds)), return_as="generator") as parallel:
        runs = (delayed(_one_seed)(experiment, target, seed, duration) for seed in seeds)
        for outcome in parallel(runs):
            outcomes.append(outcome)
            if progress is not None:
                progress(stage, len(outcomes), len(seeds))
    return RoundingEffect(
        target=target.id,
        duration=first.network.n_steps * first.network.dt,
        seeds=tuple(seeds),
        projections=tuple(_effect(name, [o[name] for o in outcomes]) for name in outcomes[0]),
    )


def _one_seed(
    experiment: str | Path, target: HardwareTarget, seed: int, duration: float | None
) -> dict[str, _Outcome]:
    """Run one seed under both roundings and ``REPEATS`` times more."""
    loaded = load_experiment(experiment, seed=seed, duration=duration, comparable=False)
    sequence = np.random.SeedSequence(seed, spawn_key=(3,))
    program = _with_numbers(compile_experiment(loaded, target).program, sequence)
    stimuli = draw_stimuli(loaded.network, seed)
    numbers = sequence.generate_state(1 + REPEATS, np.uint64)
    shared = _final_weights(program, stimuli, SHARED, 0)
    independent, *others = (
        _final_weights(program, stimuli, INDEPENDENT, int(number)) for number in numbers
    )
    outcomes = {}
    for name, forward in forward_weights(loaded.network).items():
        pair = shared[name], independent[name]
        expected = np.mean([weights[name] for weights in others], axis=0)
        aligned = [alignment(forward, weights) for weights in pair]
        outcomes[name] = _Outcome(
            acts=loaded.network.projection(name).acts,
            measures={m: (getattr(aligned[0], m), getattr(aligned[1], m)) for m in MEASURES},
            errors=(pair[0] - expected, pair[1] - expected),
        )
    return outcomes


def _with_numbers(program: Program, sequence: np.random.SeedSequence) -> Program:
    """Give the traces of every plastic projection random numbers of their own."""
    seeds = sequence.spawn(len(program.synapses))
    synapses = [
        replace(s, rng_seed=int(own.generate_state(1)[0]))
        for s, own in zip(program.synapses, seeds, strict=True)
    ]
    return replace(program, synapses=tuple(synapses))


def _final_weights(
    program: Program, stimuli: Mapping[str, Spikes], semantics: Semantics, seed: int
) -> dict[str, Array]:
    probes = Probes(spikes=(), weight_steps=(program.n_steps,))
    backend = NativeBackend(semantics=semantics, seed=seed)
    recording = backend.run(program, stimuli, program.n_steps, probes)
    return {name: series.values[-1] for name, series in recording.weights.items()}


def _effect(name: str, outcomes: Sequence[_Outcome]) -> ProjectionEffect:
    per_seed = {m: tuple(o.measures[m] for o in outcomes) for m in MEASURES}
    sides = [np.array([o.errors[side] for o in outcomes]) for side in (0, 1)]
    shared, independent = weight_errors(*sides)
    return ProjectionEffect(
        projection=name,
        n_synapses=sides[0][0].size,
        acts=outcomes[0].acts,
        measures={m: compare_pairs(np.array(pairs)) for m, pairs in per_seed.items()},
        shared=shared,
        independent=independent,
        per_seed=per_seed,
    )


def compare_pairs(pairs: Array) -> Comparison:
    """Compare pairs (shared, independent), shape (n_seeds, 2), at least two seeds."""
    difference = pairs[:, 0] - pairs[:, 1]
    estimate = Estimate.of(difference)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(pairs) - 1)) * estimate.se
    return Comparison(
        shared=Estimate.of(pairs[:, 0]),
        independent=Estimate.of(pairs[:, 1]),
        difference=estimate,
        interval=(estimate.mean - reach, estimate.mean + reach),
    )


def in_words(effect: ProjectionEffect) -> tuple[str, ...]:
    """Say what the figures mean, one sentence each."""
    sentences = [_measure_in_words(m, found) for m, found in effect.measures.items()]
    sentences.append(_errors_in_words(effect.shared, effect.independent))
    if effect.acts:
        sentences.append("Its weights drive neurons, so errors hold changed spikes as well.")
    return tuple(sentences)


def _errors_in_words(shared: WeightError, independent: WeightError) -> str:
    if not (shared.typical and independent.common):
        return "One of the roundings leaves no error, so that there is nothing to compare."
    word = "more" if shared.typical > independent.typical else "less"
    change = abs(shared.typical / independent.typical - 1)
    ratio = shared.common / independent.common
    return (
        f"Under the shared number a weight has {change:.0%} {word} rounding noise, and the mean of "
        f"all weights {ratio:.2g} times the noise that independent numbers leave in it."
    )


def _measure_in_words(measure: str, found: Comparison) -> str:
    label = measure.replace("_", " ")
    low, high = found.interval
    if math.isnan(low):
        return f"{label}: not defined for every seed."
    span = f"95 % interval {low:+.2g} to {high:+.2g}"
    if found.resolved:
        word = "raises" if found.difference.mean > 0 else "lowers"
        return f"The shared number {word} {label} by {abs(found.difference.mean):.2g} ({span})."
    return f"No difference in {label} is resolved ({span})."
