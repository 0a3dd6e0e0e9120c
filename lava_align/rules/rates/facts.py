"""What the rules converge to, and how fast: closed forms for tests, pages and reports.

Orientation as everywhere: W (m, n), B (n, m). Angles are in degrees. White noise means independent
entries of zero mean.
"""

from __future__ import annotations

import math

import numpy as np

from lava_align.rules.rates.base import Array
from lava_align.statistics.alignment import angle_between


def kolen_pollack_ratio(decay: float, updates: int) -> float:
    """What is left of W - B^T after some updates, (1 - decay)^updates, whatever the data."""
    return float((1 - decay) ** updates)


def mirror_target(forward: Array, *, eta: float, decay: float, variance: float = 1.0) -> Array:
    """Mean of the linear weight mirror under white noise, (eta variance / decay) W^T.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    eta, decay : float
        Learning rate and share of B lost per update, > 0.
    variance : float
        Of the entries of x.
    """
    return np.asarray(eta * variance / decay * forward.T)


def mirror_floor(decay: float, n_lower: int) -> float:
    """Stationary angle of the linear weight mirror, atan(sqrt(decay n / 2)) degrees.

    B is a running mean over about 1 / decay samples, each of which puts noise of variance
    E[x^2] E[y^2] on every entry. Gaussian noise, W ~ N(0, 1/n), batches of 1, small decay; the
    learning rate and the amplitude of the noise cancel.
    """
    return math.degrees(math.atan(math.sqrt(decay * n_lower / 2)))


def sigmoid_mirror_angle(
    samples: float, n_lower: int, n_upper: int, *, eta: float, amplitude: float
) -> float:
    """Expected angle of the authors' weight mirror, without decay, degrees.

    Noise of variance s^2 = amplitude^2 / 12 is small, so y = 1/2 + W x / 4. After N samples the
    entries of B hold N eta s^2 W / 4, noise of variance N eta^2 s^2 / 4 (y is mostly its resting
    value 1/2, which therefore sets the noise), and the start, of variance 1/(n + m). W ~ N(0, 1/n).

    Parameters
    ----------
    samples : float
        Number N of noise samples, > 0; batches of summed samples count with their size.
    n_lower, n_upper : int
    eta : float
        Learning rate per sample.
    amplitude : float
        Width of the uniform noise.
    """
    variance = amplitude**2 / 12
    signal = samples * eta * variance / 4 / math.sqrt(n_lower)
    noise = math.sqrt(1 / (n_lower + n_upper) + samples * eta**2 * variance / 4)
    return math.degrees(math.atan2(noise, signal))


def information_target(
    forward: Array, *, alpha: float, beta: float, gamma: float, variance: float = 1.0
) -> Array:
    """Fixed point of information alignment under white noise, a damped pseudo-inverse, (n, m).

    ``(alpha / 2) W^T (beta W W^T + gamma / variance I)^-1``: the transpose where gamma dominates,
    the pseudo-inverse where beta does.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    alpha, beta, gamma : float
        Weights of amp, null and decay; gamma > 0 or W of full row rank.
    variance : float
        Of the entries of x.
    """
    m = len(forward)
    damped = beta * forward @ forward.T + gamma / variance * np.eye(m)
    # The matrix is symmetric, so solving from the left gives the transposed answer.
    return np.asarray(alpha / 2 * np.linalg.solve(damped, forward).T)


def symmetric_target(forward: Array, *, alpha: float, beta: float) -> Array:
    """Fixed point of symmetric and of activation alignment, (beta / 2 alpha) W^T."""
    return np.asarray(beta / (2 * alpha) * forward.T)


def symmetric_contraction(eta: float, alpha: float) -> float:
    """Factor of the distance to the fixed point per symmetric step, 1 - 2 eta alpha."""
    return 1 - 2 * eta * alpha


def activation_contraction(eta: float, alpha: float, n_lower: int, variance: float = 1.0) -> float:
    """Factor of the mean squared distance to the fixed point per sample of activation alignment.

    ``1 - 2 mu + mu^2 (n + 2)`` with mu = 2 eta alpha variance, for Gaussian white noise and batches
    of 1; from E[|x|^2 x x^T] = (n + 2) I. Above 1 the rule diverges: mu must be below 2 / (n + 2).
    """
    mu = 2 * eta * alpha * variance
    return 1 - 2 * mu + mu**2 * (n_lower + 2)


def phaseless_target(
    forward: Array,
    *,
    alpha: float,
    noise_scale: float,
    dt: float,
    tau_noise: float,
    tau_high: float,
) -> Array:
    """Mean of PAL's feedback weights in the stationary state, (gain / alpha) W^T, shape (n, m).

    Noise of decay factor a = 1 - dt / tau_noise and variance v, high-passed with b = 1 - dt /
    tau_high, keeps the covariance gain = v (1 - a) / (1 - a b) with itself; on the grid
    v = noise_scale^2 / (1 + a). A signal independent of the noise does not enter.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    alpha : float
        Decay, > 0.
    noise_scale : float
        Scale of the noise; its standard deviation is about this over sqrt(2).
    dt, tau_noise, tau_high : float
        Time step and time constants, s.
    """
    a, b = 1 - dt / tau_noise, 1 - dt / tau_high
    gain = noise_scale**2 / (1 + a) * (1 - a) / (1 - a * b)
    return np.asarray(gain / alpha * forward.T)


def product_target(forward: Array, relay: Array) -> Array:
    """Path that product feedback alignment tends to, W^T F^T F, shape (n, m).

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    relay : ndarray, shape (M, m)
        The fixed matrix F.
    """
    return np.asarray(forward.T @ relay.T @ relay)


def product_angle(relay: Array) -> float:
    """Angle between F^T F and the identity, degrees: what the path's angle ends at, about.

    Parameters
    ----------
    relay : ndarray, shape (M, m)
        The fixed matrix F.
    """
    return angle_between((relay.T @ relay).ravel(), np.eye(relay.shape[1]).ravel())
