r"""Information alignment (Kunin et al. 2020, arXiv 2003.01513).

Gradient descent on ``alpha amp + beta null + gamma decay`` with the primitives amp =
:math:`-x^T B W x`, null = :math:`|B W x|^2`, decay = :math:`|B|^2`:

.. math::
    B_{jk} \mathrel{+}= \eta\,(\alpha x_j y_k - 2\beta r_j y_k - 2\gamma B_{jk}), \qquad r = B y.

The reconstruction r is the feedback that reaches j. B tends to the damped pseudo-inverse of
:func:`~lava_align.rules.rates.facts.information_target`, not to the transpose.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lava_align.rules.base import Parameter
from lava_align.rules.rates.base import (
    Array,
    Parameters,
    RateRule,
    Sampler,
    Signals,
    Weights,
    feedback_update,
    gaussian_weights,
    mean_outer,
)
from lava_align.rules.rates.stimuli import white_noise


def reconstruction(feedback: Array, upper: Array) -> Array:
    """Feedback that reaches the lower layer, r = B y, shape (samples, n)."""
    return np.asarray(upper @ feedback.T)


def step(
    feedback: Array,
    lower: Array,
    upper: Array,
    third: Array,
    *,
    eta: float,
    alpha: float,
    beta: float,
    gamma: float,
) -> Array:
    """Move B by a batch: ``B + eta * (mean((alpha x - 2 beta r) y^T) - 2 gamma B)``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    lower : ndarray, shape (samples, n)
    upper : ndarray, shape (samples, m)
    third : ndarray, shape (samples, n)
        :func:`reconstruction` by this ``feedback``.
    eta : float
        Learning rate, >= 0.
    alpha, beta, gamma : float
        Weights of amp, null and decay, >= 0.

    Raises
    ------
    InvalidInputError
        If the signals do not fit ``feedback``.
    """
    drive = mean_outer(alpha * lower - 2 * beta * third, upper, feedback)
    return feedback + eta * (drive - 2 * gamma * feedback)


def _stimulus(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    noise = white_noise(weights, parameters, rng)

    def sample(weights: Weights, count: int) -> Signals:
        signals = noise(weights, count)
        return replace(signals, third=reconstruction(weights.feedback, signals.upper))

    return sample


INFORMATION_ALIGNMENT = RateRule(
    name="information_alignment",
    title="Information alignment",
    source="Kunin et al. 2020, arXiv 2003.01513",
    equation="dB[j,k] = eta (alpha x[j] y[k] - 2 beta (B y)[j] y[k] - 2 gamma B[j,k])",
    parameters=(
        # The authors leave the learning rate to their optimiser. The noise of B grows with its
        # root: with 0.2 single samples end 4 degrees from the target, with 1 they end 9 (20 -> 10).
        Parameter(name="eta", default=0.2, meaning="learning rate"),
        Parameter(name="alpha", default=2e-3, meaning="weight of amp", source="params.py"),
        Parameter(name="beta", default=1e-3, meaning="weight of null", source="params.py"),
        Parameter(name="gamma", default=1e-3, meaning="weight of decay", source="params.py"),
        Parameter(name="noise_sd", default=1.0, meaning="standard deviation of x", positive=True),
    ),
    initial=gaussian_weights,
    stimulus=_stimulus,
    update=feedback_update(step, "eta", "alpha", "beta", "gamma", third=True),
)
