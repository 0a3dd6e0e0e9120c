"""What the rules on rates have in common: the signals of a layer pair, its weights, a rule.

A lower layer of n neurons drives an upper one of m through ``forward`` (m, n), and the upper layer
reaches back through ``feedback`` (n, m). Both are ``(n_post, n_pre)``; perfect alignment reads
``feedback = c * forward.T`` with ``c > 0``. Signals are ``(samples, neurons)``.

A batch moves the weights by the *mean* of what its samples would do one by one from the same
weights, decay included. Learning rates thus mean the same for every batch size, as in Kunin et al.;
authors who sum over a batch have a learning rate smaller by its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.base import Parameter, completed

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Signals:
    """What the synapses of a layer pair see, sample by sample.

    Parameters
    ----------
    lower : ndarray, shape (samples, n)
        Activity x of the lower layer.
    upper : ndarray, shape (samples, m)
        Activity y of the upper layer, as the rule's synapses see it (PAL: high-passed).
    error : ndarray, shape (samples, m), optional
        Error delta of the upper layer, the gradient of the loss by its activity.
    third : ndarray, shape (samples, n), optional
        The third factor: reconstruction r = B y (IA) or injected noise xi (PAL).
    upper_rate : ndarray, shape (samples, m), optional
        Activity of the upper layer before the high-pass (PAL alone).
    """

    lower: Array
    upper: Array
    error: Array | None = None
    third: Array | None = None
    upper_rate: Array | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.lower)

    def batches(self, size: int) -> Iterator[Signals]:
        """Yield the samples in order, ``size`` at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Signals(
                **{name: values[part] for name, values in vars(self).items() if values is not None}
            )

    @staticmethod
    def join(parts: Sequence[Signals]) -> Signals:
        """Put batches of one rule in a row."""
        present = [name for name, values in vars(parts[0]).items() if values is not None]
        return Signals(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in present}
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """The matrices of a layer pair.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
        W, lower to upper.
    feedback : ndarray, shape (n, m), or (n, M) with a relay
        B, upper to lower; with a relay the plastic matrix R, relay to lower.
    relay : ndarray, shape (M, m), optional
        Fixed weights from the upper layer to a relay population of M neurons (PFA).

    Raises
    ------
    InvalidInputError
        If the shapes do not fit together, as after a forgotten transpose.
    """

    forward: Array
    feedback: Array
    relay: Array | None = None

    def __post_init__(self) -> None:
        """Check that the shapes fit."""
        m, n = self.forward.shape
        width = m if self.relay is None else self.relay.shape[0]
        problems = []
        if self.feedback.shape != (n, width):
            problems.append(Problem("feedback", f"shape {self.feedback.shape}", f"{(n, width)}"))
        if self.relay is not None and self.relay.shape[1] != m:
            problems.append(Problem("relay", f"shape {self.relay.shape}", f"(any, {m})"))
        if problems:
            raise InvalidInputError(problems)

    @property
    def path(self) -> Array:
        """What an error of the upper layer is multiplied with on its way back, shape (n, m)."""
        return self.feedback if self.relay is None else self.feedback @ self.relay


Parameters = Mapping[str, float]
Sampler = Callable[[Weights, int], Signals]
"""``sample(weights, count)``: the next samples, given the weights they pass through."""


@dataclass(frozen=True, kw_only=True)
class RateRule:
    """A published rule on rates.

    Parameters
    ----------
    name, title : str
    source : str
        The paper.
    equation : str
        Change of the feedback weights by one sample; j is lower, k upper.
    parameters : tuple of Parameter
        Numbers of the rule and of the activity it is shown with.
    initial : callable
        ``initial(n_lower, n_upper, parameters, rng) -> Weights``.
    stimulus : callable
        ``stimulus(weights, parameters, rng) -> Sampler``: activity that suits the rule.
    update : callable
        ``update(weights, signals, parameters, rng) -> Weights``; only brSF draws from ``rng``.
    """

    name: str
    title: str
    source: str
    equation: str
    parameters: tuple[Parameter, ...]
    initial: Callable[[int, int, Parameters, np.random.Generator], Weights]
    stimulus: Callable[[Weights, Parameters, np.random.Generator], Sampler]
    update: Callable[[Weights, Signals, Parameters, np.random.Generator], Weights]

    def complete(self, given: Parameters | None = None) -> dict[str, float]:
        """Return all parameters, ``given`` over the defaults.

        Raises
        ------
        InvalidInputError
            For a parameter this rule does not have, or one that is out of range.
        """
        return completed(self.parameters, given or {}, self.name)


def feedback_update(
    step: Callable[..., Array], *constants: str, third: bool = False
) -> Callable[[Weights, Signals, Parameters, np.random.Generator], Weights]:
    """Make the ``update`` of a rule that moves B alone, by what its synapses see.

    Parameters
    ----------
    step : callable
        ``step(feedback, lower, upper, **constants) -> feedback``.
    *constants : str
        The rule's parameters that ``step`` takes.
    third : bool
        ``step`` also takes the third factor, after ``upper``.
    """

    def update(
        weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
    ) -> Weights:
        seen = [signals.lower, signals.upper]
        if third:
            seen.append(needed(signals.third, "third"))
        feedback = step(weights.feedback, *seen, **{key: parameters[key] for key in constants})
        return Weights(forward=weights.forward, feedback=feedback)

    return update


def needed(values: Array | None, name: str) -> Array:
    """Return a signal or matrix that a rule cannot do without.

    Raises
    ------
    InvalidInputError
        If it is not there.
    """
    if values is None:
        raise InvalidInputError(Problem(name, "missing", "what the rule's own stimulus supplies"))
    return values


def mean_outer(post: Array, pre: Array, weights: Array) -> Array:
    """Mean over a batch of the outer products post x pre, in the shape of ``weights``.

    Parameters
    ----------
    post : ndarray, shape (samples, n_post)
    pre : ndarray, shape (samples, n_pre)
    weights : ndarray, shape (n_post, n_pre)
        The matrix to be changed.

    Raises
    ------
    InvalidInputError
        If the signals do not fit the matrix, or there is no sample.
    """
    # NumPy would broadcast some transposed matrices, such as those of a single neuron.
    fits = post.ndim == pre.ndim == 2 and len(post) == len(pre) > 0
    if not fits or weights.shape != (post.shape[1], pre.shape[1]):
        found = f"{weights.shape} with signals {post.shape} post and {pre.shape} pre"
        allowed = "(n_post, n_pre) with (samples, n_post) and (samples, n_pre), samples > 0"
        raise InvalidInputError(Problem("weights", found, allowed))
    return np.asarray(post.T @ pre / len(post))


def gaussian_weights(
    n_lower: int, n_upper: int, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    """Draw W ~ N(0, 1/n) and, apart from it, B ~ N(0, 1/(n + m)), as the weight mirror's authors.

    Rows of W then have norm 1 on average, so that unit-variance x gives unit-variance y.
    """
    return Weights(
        forward=rng.normal(0, n_lower**-0.5, (n_upper, n_lower)),
        feedback=rng.normal(0, (n_lower + n_upper) ** -0.5, (n_lower, n_upper)),
    )
