r"""Weight mirror (Akrout et al. 2019, arXiv 1904.05391, eq. 7).

Noise in the lower layer and what it evokes in the upper one are correlated as the forward weights
are:

.. math:: B_{jk} \mathrel{+}= \eta\, x_j y_k - \lambda B_{jk}.

Two variants: the authors' code has zero-mean uniform noise of amplitude A, sigmoid neurons and no
decay, and sums over batches; the linear one has Gaussian noise and decay. Kunin et al.
(arXiv 2003.01513) write the second as ``eta (beta x y^T - 2 alpha B)``.
"""

from __future__ import annotations

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

SOURCE = "Akrout et al. 2019, arXiv 1904.05391, eq. 7"


def step(feedback: Array, lower: Array, upper: Array, *, eta: float, decay: float = 0.0) -> Array:
    """Mirror a batch: ``B + eta * mean(x y^T) - decay * B``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    lower : ndarray, shape (samples, n)
        Noise of zero mean.
    upper : ndarray, shape (samples, m)
        Its response.
    eta : float
        Learning rate, >= 0.
    decay : float
        Share of B lost per batch, 0..1.

    Raises
    ------
    InvalidInputError
        If the signals do not fit ``feedback``.
    """
    return (1 - decay) * feedback + eta * mean_outer(lower, upper, feedback)


def _sigmoid_noise(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    """Noise x uniform in -A/2..A/2, y = sigmoid(W x); biases are 0."""
    half = parameters["amplitude"] / 2

    def sample(weights: Weights, count: int) -> Signals:
        x = rng.uniform(-half, half, (count, weights.forward.shape[1]))
        return Signals(lower=x, upper=1 / (1 + np.exp(-(x @ weights.forward.T))))

    return sample


WEIGHT_MIRROR = RateRule(
    name="weight_mirror",
    title="Weight mirror, linear, with decay",
    source=SOURCE,
    equation="dB[j,k] = eta x[j] y[k] - decay B[j,k]",
    parameters=(
        Parameter(name="eta", default=0.01, meaning="learning rate"),
        Parameter(name="decay", default=0.01, meaning="share of B lost per update"),
        Parameter(name="noise_sd", default=1.0, meaning="standard deviation of x", positive=True),
    ),
    initial=gaussian_weights,
    stimulus=white_noise,
    update=feedback_update(step, "eta", "decay"),
)

WEIGHT_MIRROR_SIGMOID = RateRule(
    name="weight_mirror_sigmoid",
    title="Weight mirror, the authors' sigmoid form",
    source=SOURCE,
    equation="dB[j,k] = eta x[j] sigmoid(W x)[k]",
    parameters=(
        Parameter(
            name="eta", default=0.01, meaning="learning rate per sample", source="FCNN_WM.py"
        ),
        Parameter(
            name="amplitude",
            default=0.1,
            meaning="width of the uniform noise",
            positive=True,
            source="FCNN_WM.py",
        ),
    ),
    initial=gaussian_weights,
    stimulus=_sigmoid_noise,
    update=feedback_update(step, "eta"),
)
