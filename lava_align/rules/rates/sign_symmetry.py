r"""Sign symmetry (Liao et al. 2016, arXiv 1510.05067; variants as in BioTorch, arXiv 2108.13446).

Feedback weights have the signs of the transposed forward weights and magnitudes of their own,
:math:`B_{jk} = M_{jk}\,\mathrm{sign}(W_{kj})`:

* uSF: all magnitudes are :math:`\sqrt{2/(n+m)}`;
* brSF: magnitudes are drawn anew for every batch;
* frSF: magnitudes are drawn once.

Random magnitudes are those of Xavier-uniform numbers, whose standard deviation is that of uSF.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.rates.base import (
    Array,
    Parameters,
    RateRule,
    Signals,
    Weights,
    gaussian_weights,
)
from lava_align.rules.rates.feedback_alignment import PARAMETERS, learn_forward
from lava_align.rules.rates.stimuli import deep_teacher

SOURCE = "Liao et al. 2016, arXiv 1510.05067; BioTorch, arXiv 2108.13446"


def signed(forward: Array, magnitudes: Array) -> Array:
    """Give magnitudes the signs of the transposed forward weights; 0 where W is 0.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    magnitudes : ndarray, shape (n, m)
        Their own signs do not count.

    Raises
    ------
    InvalidInputError
        If the shapes do not fit.
    """
    if magnitudes.shape != forward.shape[::-1]:
        raise InvalidInputError(
            Problem("magnitudes", f"shape {magnitudes.shape}", f"{forward.shape[::-1]}")
        )
    return np.asarray(np.abs(magnitudes) * np.sign(forward.T))


def uniform_magnitudes(n_lower: int, n_upper: int) -> Array:
    """Magnitudes of uSF, sqrt(2 / (n + m)) everywhere, shape (n, m)."""
    return np.full((n_lower, n_upper), math.sqrt(2 / (n_lower + n_upper)))


def random_magnitudes(n_lower: int, n_upper: int, rng: np.random.Generator) -> Array:
    """Magnitudes of brSF and frSF: uniform in 0..sqrt(6 / (n + m)), shape (n, m)."""
    return rng.uniform(0, math.sqrt(6 / (n_lower + n_upper)), (n_lower, n_upper))


def _with_random_magnitudes(
    n_lower: int, n_upper: int, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    weights = gaussian_weights(n_lower, n_upper, parameters, rng)
    magnitudes = random_magnitudes(n_lower, n_upper, rng)
    return replace(weights, feedback=signed(weights.forward, magnitudes))


def _with_uniform_magnitudes(
    n_lower: int, n_upper: int, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    weights = gaussian_weights(n_lower, n_upper, parameters, rng)
    magnitudes = uniform_magnitudes(n_lower, n_upper)
    return replace(weights, feedback=signed(weights.forward, magnitudes))


def _keep_magnitudes(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    learned = learn_forward(weights, signals, parameters)
    return replace(learned, feedback=signed(learned.forward, weights.feedback))


def _draw_magnitudes(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    learned = learn_forward(weights, signals, parameters)
    n_lower, n_upper = weights.feedback.shape
    magnitudes = random_magnitudes(n_lower, n_upper, rng)
    return replace(learned, feedback=signed(learned.forward, magnitudes))


FIXED_SIGN_SYMMETRY = RateRule(
    name="sign_symmetry_fixed",
    title="Sign symmetry, fixed random magnitudes (frSF)",
    source=SOURCE,
    equation="B[j,k] = M[j,k] sign(W[k,j]), M drawn once",
    parameters=PARAMETERS,
    initial=_with_random_magnitudes,
    stimulus=deep_teacher,
    update=_keep_magnitudes,
)

BATCH_SIGN_SYMMETRY = replace(
    FIXED_SIGN_SYMMETRY,
    name="sign_symmetry_batch",
    title="Sign symmetry, magnitudes drawn for every batch (brSF)",
    equation="B[j,k] = M[j,k] sign(W[k,j]), M drawn for every batch",
    update=_draw_magnitudes,
)

UNIFORM_SIGN_SYMMETRY = replace(
    FIXED_SIGN_SYMMETRY,
    name="sign_symmetry_uniform",
    title="Sign symmetry, uniform magnitudes (uSF)",
    equation="B[j,k] = sqrt(2 / (n + m)) sign(W[k,j])",
    initial=_with_uniform_magnitudes,
)
