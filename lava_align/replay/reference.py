"""The paper's side of a replay: the rule's equations in Brian2, driven by recorded spikes.

The reference learns between populations of neurons. Here each is a relay that turns every spike
it is given into one of its own in the next step. Both ends are late by the same step, and nothing
else happens in a step, so the weights are those of the given spikes.

A standalone program keeps weights at the multiples of one interval only. There both ends are late
by that interval, so that what is wanted falls on its multiples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lava_align.backends.brian2 import run_reference
from lava_align.backends.brian2_runtime import Codegen
from lava_align.backends.brian2_standalone import ProgressCallback
from lava_align.compiler.calibrate import Step
from lava_align.model.network import (
    LIF,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
)
from lava_align.model.stimuli import RecordedDrive
from lava_align.recording import Array, Series, Spikes

NOTHING_DRAWN = RecordedDrive(times=np.zeros(0), neurons=np.zeros(0))


def relay_neuron(dt: float) -> LIF:
    """Neuron whose membrane forgets slowly and whose current is gone after a step."""
    return LIF(tau_m=1000 * dt, tau_syn=dt / 20)


def relay_network(
    rule: str, parameters: Mapping[str, float], weights: Array, dt: float, n_steps: int
) -> Network:
    """Network of the populations ``pre`` and ``post``, which the rule's ``feedback`` connects.

    Stimuli are called ``to_pre`` and ``to_post``.

    Parameters
    ----------
    weights : ndarray, shape (n_post, n_pre)
        Initial feedback weights.
    """
    neuron = relay_neuron(dt)
    n_post, n_pre = weights.shape
    # Twice the threshold; what is left of the current in the step after is e^-20 of that.
    weight = 2.0 * neuron.threshold / Step.of(neuron, dt).gain
    return Network(
        dt=dt,
        duration=n_steps * dt,
        populations=(
            Population(name="pre", size=n_pre, neuron=neuron),
            Population(name="post", size=n_post, neuron=neuron),
        ),
        projections=(
            # Every rule names what it mirrors. Without weights it does nothing.
            Projection(name="forward", pre="post", post="pre", weights=np.zeros((n_pre, n_post))),
            Projection(
                name="feedback",
                pre="pre",
                post="post",
                weights=weights,
                acts=False,
                plasticity=Plasticity(rule=rule, mirrors="forward", parameters=parameters),
            ),
        ),
        stimuli=tuple(
            Stimulus(name=f"to_{name}", population=name, weight=weight, drive=NOTHING_DRAWN)
            for name in ("pre", "post")
        ),
    )


def replay_reference(
    rule: str,
    parameters: Mapping[str, float],
    pre: Spikes,
    post: Spikes,
    weights: Array,
    *,
    dt: float,
    n_steps: int,
    weight_steps: Sequence[int],
    codegen: Codegen = "numpy",
    progress: ProgressCallback | None = None,
) -> Series:
    """Weights the paper's equations learn from given spikes.

    Parameters
    ----------
    rule : str
    parameters : mapping
        SI units.
    pre, post : Spikes
        Of the upper and the lower population, within ``n_steps`` steps of ``dt`` seconds.
    weights : ndarray, shape (n_post, n_pre)
        Initial weights.
    weight_steps : sequence of int
        Ascending steps after which weights are kept, 0..n_steps.

    Returns
    -------
    Series
        float64, shape (n, n_post, n_pre).

    Raises
    ------
    InvalidInputError, BackendError
        See :func:`lava_align.backends.brian2.run_reference`.
    """
    inner = [step for step in weight_steps if 0 < step < n_steps]
    lag = math.gcd(*inner) if inner and codegen == "cpp_standalone" else 1
    (recording,) = run_reference(
        relay_network(rule, parameters, weights, dt, n_steps + lag),
        [0],
        inputs=[{"to_pre": _later(pre, lag - 1), "to_post": _later(post, lag - 1)}],
        weight_steps=[step + lag for step in weight_steps],
        codegen=codegen,
        progress=progress,
    )
    learned = recording.weights["feedback"]
    return Series(step=learned.step - lag, values=learned.values)


def _later(spikes: Spikes, n_steps: int) -> Spikes:
    return replace(spikes, step=spikes.step + n_steps)
