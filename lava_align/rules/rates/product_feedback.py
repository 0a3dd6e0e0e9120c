r"""Product feedback alignment, PFA (Li & Benna, arXiv 2405.20594).

The error goes back through a relay population: a fixed random matrix F to it, a plastic matrix R
from it. W and R learn as in Kolen-Pollack, R with the relay's error :math:`F\delta`:

.. math:: R_{ji} \mathrel{+}= -\eta\,x_j\,(F\delta)_i - \lambda R_{ji}.

R tends to :math:`W^T F^T` and the path :math:`R F` to :math:`W^T F^T F`, close to the transpose of
W if :math:`F^T F` is close to the identity. The paper writes row vectors: its fixed matrix
(m x M) is the transpose of F (M, m), its R (M x n) that of R (n, M).
"""

from __future__ import annotations

import math

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.base import Parameter
from lava_align.rules.rates import kolen_pollack
from lava_align.rules.rates.base import (
    Array,
    Parameters,
    RateRule,
    Signals,
    Weights,
    needed,
)
from lava_align.rules.rates.stimuli import teacher


def relay_error(relay: Array, error: Array) -> Array:
    """Error that reaches the relay population, F delta, shape (samples, M)."""
    return np.asarray(error @ relay.T)


def step(
    forward: Array,
    feedback: Array,
    relay: Array,
    lower: Array,
    error: Array,
    *,
    eta: float,
    decay: float,
) -> tuple[Array, Array]:
    """Move W and R by a batch.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    feedback : ndarray, shape (n, M)
        R, relay to lower.
    relay : ndarray, shape (M, m)
        F, fixed.
    lower : ndarray, shape (samples, n)
    error : ndarray, shape (samples, m)
    eta : float
        Learning rate, >= 0.
    decay : float
        Share of W and R lost per batch, 0..1.

    Returns
    -------
    forward, feedback : ndarray

    Raises
    ------
    InvalidInputError
        If the signals do not fit the weights.
    """
    return (
        kolen_pollack.gradient_step(forward, error, lower, eta=eta, decay=decay),
        kolen_pollack.gradient_step(
            feedback, lower, relay_error(relay, error), eta=eta, decay=decay
        ),
    )


def draw_relay(n_upper: int, ratio: int, rng: np.random.Generator) -> Array:
    """Draw F (ratio * m, m), Xavier uniform with the authors' gain: entries of variance 1/M."""
    n_relay = ratio * n_upper
    gain = math.sqrt((1 + 1 / ratio) / 2)
    bound = gain * math.sqrt(6 / (n_upper + n_relay))
    return rng.uniform(-bound, bound, (n_relay, n_upper))


def _initial(
    n_lower: int, n_upper: int, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    ratio = parameters["ratio"]
    if ratio != int(ratio):
        raise InvalidInputError(Problem("product_feedback.ratio", str(ratio), "a whole number"))
    relay = draw_relay(n_upper, int(ratio), rng)
    return Weights(
        forward=rng.normal(0, n_lower**-0.5, (n_upper, n_lower)),
        feedback=rng.normal(0, (n_lower + len(relay)) ** -0.5, (n_lower, len(relay))),
        relay=relay,
    )


def _update(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    forward, feedback = step(
        weights.forward,
        weights.feedback,
        needed(weights.relay, "relay"),
        signals.lower,
        needed(signals.error, "error"),
        eta=parameters["eta"],
        decay=parameters["decay"],
    )
    return Weights(forward=forward, feedback=feedback, relay=weights.relay)


PRODUCT_FEEDBACK = RateRule(
    name="product_feedback",
    title="Product feedback alignment (PFA)",
    source="Li & Benna, arXiv 2405.20594",
    equation="dR[j,i] = -eta x[j] (F delta)[i] - decay R[j,i], and Kolen-Pollack's for W",
    parameters=(
        *kolen_pollack.PARAMETERS,
        Parameter(
            name="ratio",
            default=10,
            meaning="relay neurons per upper neuron, a whole number",
            positive=True,
            source="exp_configs",
        ),
    ),
    initial=_initial,
    stimulus=teacher,
    update=_update,
)
