r"""Phaseless alignment learning, PAL (Max et al., arXiv 2212.10249).

Lower neurons carry a slow signal and, always, a little fast noise xi. Feedback synapses multiply
the noise of the lower neuron with the high-passed rate of the upper one:

.. math::
    B_{jk} \mathrel{+}= dt\,\eta\,(\xi_j r^{HP}_k - \alpha B_{jk}).

Constants, Ornstein-Uhlenbeck noise and high-pass are those of the authors' Fig. 3 (in their
discrete, Euler form). What differs: neurons are linear and follow their input at once, as the
prospective coding of the paper lets them in the ideal case; noise enters the rate and not an apical
compartment; feedback does not act on the lower layer; the signal is an Ornstein-Uhlenbeck process
too, of standard deviation 1 and 100 ms, where the authors present patterns for some time each.
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
    mean_outer,
    needed,
)


def step(
    feedback: Array, noise: Array, upper: Array, *, eta: float, alpha: float, dt: float
) -> Array:
    """Move B by a batch of time steps: ``B + dt * eta * (mean(xi r_HP^T) - alpha B)``.

    Parameters
    ----------
    feedback : ndarray, shape (n, m)
    noise : ndarray, shape (samples, n)
        Noise xi of the lower neurons.
    upper : ndarray, shape (samples, m)
        High-passed rates of the upper neurons.
    eta : float
        Learning rate, >= 0, 1/s.
    alpha : float
        Decay in units of xi r, >= 0.
    dt : float
        Time step, > 0, s. A batch of k steps counts as one; ``k * dt`` makes it count as k.

    Raises
    ------
    InvalidInputError
        If the signals do not fit ``feedback``.
    """
    return feedback + dt * eta * (mean_outer(noise, upper, feedback) - alpha * feedback)


class _FirstOrder:
    """The recursion s[t] = keep s[t-1] + u[t], continued over calls."""

    def __init__(self, keep: float, state: Array) -> None:
        self._keep, self._state = keep, state

    def __call__(self, inputs: Array) -> Array:
        outputs, state = np.empty_like(inputs), self._state
        for t, value in enumerate(inputs):
            outputs[t] = state = self._keep * state + value
        self._state = state
        return outputs


def _stimulus(weights: Weights, parameters: Parameters, rng: np.random.Generator) -> Sampler:
    n_upper, n_lower = weights.forward.shape
    noise_rate, high_rate, slow_rate = (
        parameters["dt"] / parameters[tau] for tau in ("tau_noise", "tau_high", "tau_signal")
    )
    # The signal starts in its stationary state: an onset would pass the high-pass.
    start = rng.normal(0, parameters["signal_sd"], n_lower)
    wander, jitter = _FirstOrder(1 - slow_rate, start), _FirstOrder(1 - noise_rate, np.zeros(1))
    high_pass = _FirstOrder(1 - high_rate, np.zeros(n_upper))
    last = start @ weights.forward.T

    def sample(weights: Weights, count: int) -> Signals:
        nonlocal last
        kicks = rng.normal(size=(2, count, n_lower))
        # From 1 - (1 - a)^2 = a (2 - a): the standard deviation is exact on the grid.
        slow_kick = parameters["signal_sd"] * np.sqrt(slow_rate * (2 - slow_rate))
        xi = jitter(parameters["noise_scale"] * np.sqrt(noise_rate) * kicks[0])
        x = wander(slow_kick * kicks[1]) + xi
        y = x @ weights.forward.T
        high = high_pass(np.diff(y, axis=0, prepend=last[np.newaxis]))
        last = y[-1]
        return Signals(lower=x, upper=high, third=xi, upper_rate=y)

    return sample


def _initial(
    n_lower: int, n_upper: int, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    """All weights uniform in -1..1, as the authors'."""
    return Weights(
        forward=rng.uniform(-1, 1, (n_upper, n_lower)),
        feedback=rng.uniform(-1, 1, (n_lower, n_upper)),
    )


def _update(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    constants = {name: parameters[name] for name in ("eta", "alpha", "dt")}
    noise = needed(signals.third, "third")
    feedback = step(weights.feedback, noise, signals.upper, **constants)
    return Weights(forward=weights.forward, feedback=feedback)


def _time(name: str, default: float, meaning: str, source: str = "") -> Parameter:
    return Parameter(
        name=name, default=default, meaning=meaning, dimension="time", positive=True, source=source
    )


FIGURE_3 = "Fig. 3, params.json"

PHASELESS_ALIGNMENT = RateRule(
    name="phaseless_alignment",
    title="Phaseless alignment learning (PAL)",
    source="Max et al., arXiv 2212.10249",
    equation="dB[j,k] = dt eta (xi[j] r_HP[k] - alpha B[j,k])",
    parameters=(
        # 50 per millisecond, the authors' unit of time.
        Parameter(name="eta", default=5e4, meaning="learning rate, 1/s", source=FIGURE_3),
        Parameter(name="alpha", default=1e-5, meaning="decay", source=FIGURE_3),
        _time("dt", 1e-5, "time step", FIGURE_3),
        _time("tau_high", 1e-4, "time constant of the high-pass", FIGURE_3),
        _time("tau_noise", 1e-4, "correlation time of the noise", FIGURE_3),
        # The authors' process has the variance noise_scale^2 / 2.
        Parameter(name="noise_scale", default=0.05, meaning="noise scale", source=FIGURE_3),
        _time("tau_signal", 0.1, "correlation time of the signal"),
        Parameter(name="signal_sd", default=1.0, meaning="standard deviation of the signal"),
    ),
    initial=_initial,
    stimulus=_stimulus,
    update=_update,
)
