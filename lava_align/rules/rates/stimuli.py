"""Activity to show the rules with: noise, probes, and tasks with an error.

Each function returns a :data:`~lava_align.rules.rates.base.Sampler`. Upper layers are linear.
"""

from __future__ import annotations

import numpy as np

from lava_align.rules.rates.base import Parameters, Sampler, Signals, Weights


def white_noise(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    """Independent Gaussian noise x of standard deviation ``noise_sd``, and y = W x."""

    def sample(weights: Weights, count: int) -> Signals:
        x = rng.normal(0, parameters["noise_sd"], (count, weights.forward.shape[1]))
        return Signals(lower=x, upper=x @ weights.forward.T)

    return sample


def probes(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    """One lower neuron after the other is set to 1, the rest to 0; y is its column of W."""
    unit = np.eye(weights.forward.shape[1])
    seen = 0

    def sample(weights: Weights, count: int) -> Signals:
        nonlocal seen
        x = unit[np.arange(seen, seen + count) % len(unit)]
        seen += count
        return Signals(lower=x, upper=x @ weights.forward.T)

    return sample


def teacher(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    """Linear regression: x ~ N(0, 1), y = W x, delta = y - T x with a teacher T ~ N(0, 1/n)."""
    n_upper, n_lower = weights.forward.shape
    target = rng.normal(0, n_lower**-0.5, (n_upper, n_lower))

    def sample(weights: Weights, count: int) -> Signals:
        x = rng.normal(size=(count, n_lower))
        y = x @ weights.forward.T
        return Signals(lower=x, upper=y, error=y - x @ target.T)

    return sample


def deep_teacher(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    """Regression through a layer below that learns from the fed-back error.

    As many inputs s ~ N(0, 1) as lower neurons reach these through V, so x = V s, y = W x and
    delta = y - T s. V starts at zero and takes V -= eta (B delta) s^T: only so can feedback weights
    shape the forward ones (Lillicrap et al. 2016, doi 10.1038/ncomms13276).
    """
    n_upper, n_lower = weights.forward.shape
    target = rng.normal(0, n_lower**-0.5, (n_upper, n_lower))
    below = np.zeros((n_lower, n_lower))

    def sample(weights: Weights, count: int) -> Signals:
        nonlocal below
        s = rng.normal(size=(count, n_lower))
        x = s @ below.T
        y = x @ weights.forward.T
        error = y - s @ target.T
        below = below - parameters["eta"] * (error @ weights.path.T).T @ s / count
        return Signals(lower=x, upper=y, error=error)

    return sample
