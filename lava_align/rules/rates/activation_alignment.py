r"""Activation alignment (Kunin et al. 2020, arXiv 2003.01513).

Gradient descent on ``alpha sparse + beta amp`` with sparse = :math:`|x^T B|^2`, amp =
:math:`-x^T B W x`:

.. math:: B_{jk} \mathrel{+}= \eta\,x_j\,(\beta y_k - 2\alpha\,(B^T x)_k).

With beta = 2 alpha this is the delta rule with y as its target. It needs the feedback weights in
the forward direction.
"""

from __future__ import annotations

from lava_align.rules.base import Parameter
from lava_align.rules.rates.base import (
    Array,
    RateRule,
    feedback_update,
    gaussian_weights,
    mean_outer,
)
from lava_align.rules.rates.stimuli import white_noise
from lava_align.rules.rates.symmetric_alignment import PARAMETERS


def step(
    feedback: Array, lower: Array, upper: Array, *, eta: float, alpha: float, beta: float
) -> Array:
    """Move B by a batch: ``B + eta * mean(x (beta y - 2 alpha B^T x)^T)``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    lower : ndarray, shape (samples, n)
    upper : ndarray, shape (samples, m)
    eta : float
        Learning rate, >= 0; see :func:`~lava_align.rules.rates.facts.activation_contraction`.
    alpha, beta : float
        Weights of sparse and amp, >= 0.

    Raises
    ------
    InvalidInputError
        If the signals do not fit ``feedback``.
    """
    gained = mean_outer(lower, upper, feedback)
    lost = mean_outer(lower, lower @ feedback, feedback)
    return feedback + eta * (beta * gained - 2 * alpha * lost)


ACTIVATION_ALIGNMENT = RateRule(
    name="activation_alignment",
    title="Activation alignment",
    source="Kunin et al. 2020, arXiv 2003.01513",
    equation="dB[j,k] = eta x[j] (beta y[k] - 2 alpha (B^T x)[k])",
    parameters=(
        *PARAMETERS,
        Parameter(name="noise_sd", default=1.0, meaning="standard deviation of x", positive=True),
    ),
    initial=gaussian_weights,
    stimulus=white_noise,
    update=feedback_update(step, "eta", "alpha", "beta"),
)
