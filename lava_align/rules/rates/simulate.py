"""Shows a rule with the activity that suits it, and hands out what its synapses saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.rates.base import Parameters, RateRule, Signals, Weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """A stretch of a run.

    Parameters
    ----------
    start : int
        Number of samples before it.
    signals : Signals
        What the synapses saw, in order.
    before, after : Weights
        At its first and after its last sample.
    """

    start: int
    signals: Signals
    before: Weights
    after: Weights


def run(
    rule: RateRule,
    *,
    n_lower: int,
    n_upper: int,
    n_samples: int,
    rng: np.random.Generator,
    parameters: Parameters | None = None,
    weights: Weights | None = None,
    batch: int = 1,
    chunk: int = 1024,
) -> Iterator[Chunk]:
    """Run a rule and yield its signals and weights, a chunk at a time.

    Memory is that of one chunk. The same generator state gives the same run, whatever the chunks.

    Parameters
    ----------
    rule : RateRule
    n_lower, n_upper : int
        Neurons.
    n_samples : int
        Length of the run.
    rng : numpy.random.Generator
    parameters : mapping, optional
        Those that differ from the defaults.
    weights : Weights, optional
        To start from; drawn by the rule if not given.
    batch : int
        Samples per update; the last update may have fewer.
    chunk : int
        Samples per chunk, at least; made up to whole batches.

    Raises
    ------
    InvalidInputError
        For a parameter the rule does not have or that is out of range, or sizes below 1.
    """
    _check(n_lower=n_lower, n_upper=n_upper, n_samples=n_samples, batch=batch, chunk=chunk)
    complete = rule.complete(parameters)
    start = rule.initial(n_lower, n_upper, complete, rng) if weights is None else weights
    return _chunks(rule, start, complete, rng, n_samples, batch, chunk)


def snapshots(
    rule: RateRule,
    *,
    n_lower: int,
    n_upper: int,
    at: Sequence[int],
    rng: np.random.Generator,
    parameters: Parameters | None = None,
    weights: Weights | None = None,
    batch: int = 1,
) -> list[Weights]:
    """Run a rule and return its weights at chosen times; arguments as for :func:`run`.

    Parameters
    ----------
    at : sequence of int
        Numbers of samples, ascending multiples of ``batch``; 0 is the start.

    Raises
    ------
    InvalidInputError
        As :func:`run`, and for times that are not ascending multiples of ``batch``.
    """
    times = list(at)
    if not times or times != sorted(set(times)) or any(t < 0 or t % batch for t in times):
        raise InvalidInputError(Problem("at", str(times), f"ascending multiples of {batch}, >= 0"))
    _check(n_lower=n_lower, n_upper=n_upper, batch=batch)
    complete = rule.complete(parameters)
    start = rule.initial(n_lower, n_upper, complete, rng) if weights is None else weights
    found = {0: start}
    for seen, _, after in _updates(rule, start, complete, rng, times[-1], batch):
        if seen in times:
            found[seen] = after
    return [found[time] for time in times]


def _chunks(
    rule: RateRule,
    weights: Weights,
    parameters: Parameters,
    rng: np.random.Generator,
    n_samples: int,
    batch: int,
    chunk: int,
) -> Iterator[Chunk]:
    start, before, parts = 0, weights, list[Signals]()
    for seen, signals, after in _updates(rule, weights, parameters, rng, n_samples, batch):
        parts.append(signals)
        if seen - start >= chunk or seen == n_samples:
            yield Chunk(start=start, signals=Signals.join(parts), before=before, after=after)
            start, before, parts = seen, after, []


def _updates(
    rule: RateRule,
    weights: Weights,
    parameters: Parameters,
    rng: np.random.Generator,
    n_samples: int,
    batch: int,
) -> Iterator[tuple[int, Signals, Weights]]:
    """Yield, after every update, the samples so far, the last of them and the new weights."""
    sample = rule.stimulus(weights, parameters, rng)
    seen = 0
    while seen < n_samples:
        signals = sample(weights, min(batch, n_samples - seen))
        weights = rule.update(weights, signals, parameters, rng)
        seen += len(signals)
        yield seen, signals, weights


def _check(**sizes: int) -> None:
    problems = [
        Problem(name, str(value), "a whole number >= 1")
        for name, value in sizes.items()
        if value < 1
    ]
    if problems:
        raise InvalidInputError(problems)
