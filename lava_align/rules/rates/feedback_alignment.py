r"""Feedback alignment (Lillicrap et al. 2016) and direct feedback alignment (Nokland 2016).

Feedback weights are random and stay so; W learns, :math:`W \mathrel{+}= -\eta\,\delta x^T`. In
direct feedback alignment the output error reaches every hidden layer by a matrix of its own. With
one hidden layer both are the same, and the rule here is shown with one: the angle falls because W
turns towards :math:`B^T`, through a layer below that B teaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lava_align.rules.base import Parameter
from lava_align.rules.rates.base import (
    Array,
    Parameters,
    RateRule,
    Signals,
    Weights,
    gaussian_weights,
    needed,
)
from lava_align.rules.rates.kolen_pollack import gradient_step
from lava_align.rules.rates.stimuli import deep_teacher

PARAMETERS = (Parameter(name="eta", default=0.01, meaning="learning rate of W"),)


def draw_direct_feedback(sizes: Sequence[int], rng: np.random.Generator) -> tuple[Array, ...]:
    """Draw one matrix (n_hidden, n_out) per hidden layer, entries N(0, 1/(n_hidden + n_out)).

    Parameters
    ----------
    sizes : sequence of int
        Neurons per layer from input to output.
    """
    n_out = sizes[-1]
    return tuple(rng.normal(0, (n + n_out) ** -0.5, (n, n_out)) for n in sizes[1:-1])


def direct_targets(forwards: Sequence[Array]) -> tuple[Array, ...]:
    """What direct feedback would be in a linear network with backpropagation.

    Parameters
    ----------
    forwards : sequence of ndarray
        Forward weights (n_post, n_pre) of all layers from input to output.

    Returns
    -------
    tuple of ndarray, shapes (n_hidden, n_out)
        Transposed products of the weights above each hidden layer.
    """
    above, targets = forwards[-1], []
    for forward in [*forwards[-2:0:-1], None]:
        targets.append(above.T)
        if forward is not None:
            above = above @ forward
    return tuple(reversed(targets))


def learn_forward(weights: Weights, signals: Signals, parameters: Parameters) -> Weights:
    """Move W alone down the gradient of the error."""
    error = needed(signals.error, "error")
    forward = gradient_step(weights.forward, error, signals.lower, eta=parameters["eta"])
    return replace(weights, forward=forward)


def _update(
    weights: Weights, signals: Signals, parameters: Parameters, rng: np.random.Generator
) -> Weights:
    return learn_forward(weights, signals, parameters)


FEEDBACK_ALIGNMENT = RateRule(
    name="feedback_alignment",
    title="Feedback alignment",
    source="Lillicrap et al. 2016, doi 10.1038/ncomms13276",
    equation="dB[j,k] = 0",
    parameters=PARAMETERS,
    initial=gaussian_weights,
    stimulus=deep_teacher,
    update=_update,
)

DIRECT_FEEDBACK_ALIGNMENT = replace(
    FEEDBACK_ALIGNMENT,
    name="direct_feedback_alignment",
    title="Direct feedback alignment",
    source="Nokland 2016, arXiv 1609.01596",
)
