r"""Symmetric alignment (Kunin et al. 2020, arXiv 2003.01513).

Gradient descent on ``alpha decay + beta self`` with self = :math:`-\mathrm{tr}(BW)`:

.. math:: B_{jk} \mathrel{+}= \eta\,(\beta W_{kj} - 2\alpha B_{jk}).

The forward weight is not there at the feedback synapse, but can be measured: if lower neuron j
alone is active with rate 1, upper neuron k shows W[k,j]. One sweep of such probes is one step.
"""

from __future__ import annotations

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.base import Parameter
from lava_align.rules.rates.base import (
    Array,
    RateRule,
    feedback_update,
    gaussian_weights,
    mean_outer,
)
from lava_align.rules.rates.stimuli import probes

PARAMETERS = (
    # The authors leave the learning rate to their optimiser; with 10, B - W^T halves in 34 steps.
    Parameter(name="eta", default=10.0, meaning="learning rate"),
    Parameter(name="alpha", default=1e-3, meaning="weight of the loss on size", source="params.py"),
    Parameter(name="beta", default=2e-3, meaning="weight of the likeness", source="params.py"),
)


def step(feedback: Array, forward: Array, *, eta: float, alpha: float, beta: float) -> Array:
    """Move B by the gradient: ``B + eta * (beta W^T - 2 alpha B)``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    forward : ndarray, shape (m, n)
    eta : float
        Learning rate, >= 0.
    alpha, beta : float
        Weights of decay and self, >= 0.

    Raises
    ------
    InvalidInputError
        If ``forward`` does not have the shape of the transposed ``feedback``.
    """
    if forward.shape != feedback.shape[::-1]:
        raise InvalidInputError(
            Problem("forward", f"shape {forward.shape}", f"{feedback.shape[::-1]}")
        )
    return np.asarray(feedback + eta * (beta * forward.T - 2 * alpha * feedback))


def probe_step(
    feedback: Array, lower: Array, upper: Array, *, eta: float, alpha: float, beta: float
) -> Array:
    """Move the rows of the probed neurons: ``B + eta * mean(x (beta y - 2 alpha B_j))``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    lower : ndarray, shape (samples, n)
        1 at the probed neuron, 0 elsewhere.
    upper : ndarray, shape (samples, m)
        Response to the probe.
    eta, alpha, beta : float
        As in :func:`step`. All n probes one by one make one :func:`step`, and as one batch, of
        which the mean is taken, one with ``eta / n``.

    Raises
    ------
    InvalidInputError
        If the signals do not fit ``feedback``.
    """
    gained = mean_outer(lower, upper, feedback)
    gate = lower.mean(axis=0)[:, np.newaxis]
    return np.asarray(feedback + eta * (beta * gained - 2 * alpha * gate * feedback))


SYMMETRIC_ALIGNMENT = RateRule(
    name="symmetric_alignment",
    title="Symmetric alignment, by probing",
    source="Kunin et al. 2020, arXiv 2003.01513",
    equation="dB[j,k] = eta (beta W[k,j] - 2 alpha B[j,k]) at a probe of j",
    parameters=PARAMETERS,
    initial=gaussian_weights,
    stimulus=probes,
    update=feedback_update(probe_step, "eta", "alpha", "beta"),
)
