r"""Kolen-Pollack learning (Kolen & Pollack 1994; Akrout et al. 2019, arXiv 1904.05391, eqs 16-17).

Forward and feedback weights take the same increment and the same decay,

.. math::
    W_{kj} \mathrel{+}= -\eta\,\delta_k x_j - \lambda W_{kj}, \qquad
    B_{jk} \mathrel{+}= -\eta\,x_j \delta_k - \lambda B_{jk},

so their difference shrinks by 1 - lambda per update, whatever the data.
"""

from __future__ import annotations

import numpy as np

from lava_align.rules.base import Parameter
from lava_align.rules.rates.base import (
    Array,
    Parameters,
    RateRule,
    Signals,
    Weights,
    gaussian_weights,
    mean_outer,
    needed,
)
from lava_align.rules.rates.stimuli import teacher

PARAMETERS = (
    Parameter(name="eta", default=0.01, meaning="learning rate of both paths"),
    Parameter(name="decay", default=0.01, meaning="share of both paths lost per update"),
)


def gradient_step(
    weights: Array, post: Array, pre: Array, *, eta: float, decay: float = 0.0
) -> Array:
    """Descend by a local product: ``weights - eta * mean(post pre^T) - decay * weights``.

    The one step of this family: (delta, x) for forward, (x, delta) for feedback weights.

    Parameters
    ----------
    weights : ndarray, shape (n_post, n_pre)
    post : ndarray, shape (samples, n_post)
    pre : ndarray, shape (samples, n_pre)
    eta : float
        Learning rate, >= 0.
    decay : float
        Share lost per batch, 0..1.

    Raises
    ------
    InvalidInputError
        If the signals do not fit the weights.
    """
    return (1 - decay) * weights - eta * mean_outer(post, pre, weights)


def step(
    forward: Array,
    feedback: Array,
    lower: Array,
    error: Array,
    *,
    eta: float,
    decay: float,
) -> tuple[Array, Array]:
    """Move both paths of a layer pair by a batch.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    feedback : ndarray, shape (n, m)
    lower : ndarray, shape (samples, n)
    error : ndarray, shape (samples, m)
        Gradient of the loss by the upper activity.
    eta : float
        Learning rate, >= 0.
    decay : float
        Share of both lost per batch, 0..1.

    Returns
    -------
    forward, feedback : ndarray

    Raises
    ------
    InvalidInputError
        If the signals do not fit the weights.
    """
    return (
        gradient_step(forward, error, lower, eta=eta, decay=decay),
        gradient_step(feedback, lower, error, eta=eta, decay=decay),
    )


def _update(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    forward, feedback = step(
        weights.forward,
        weights.feedback,
        signals.lower,
        needed(signals.error, "error"),
        eta=parameters["eta"],
        decay=parameters["decay"],
    )
    return Weights(forward=forward, feedback=feedback)


KOLEN_POLLACK = RateRule(
    name="kolen_pollack",
    title="Kolen-Pollack",
    source="Akrout et al. 2019, arXiv 1904.05391, eqs 16-17",
    equation="dB[j,k] = -eta x[j] delta[k] - decay B[j,k], and the same for W[k,j]",
    parameters=PARAMETERS,
    initial=gaussian_weights,
    stimulus=teacher,
    update=_update,
)
