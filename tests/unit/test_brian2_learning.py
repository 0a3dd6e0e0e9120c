"""Plasticity in the reference: weights against a direct evaluation of the rule on the spikes."""

import dataclasses
import math

import numpy as np
import pytest

from lava_align.backends import brian2_learning
from lava_align.backends.brian2 import run_reference
from lava_align.backends.brian2_rules import ReferenceForm, Traces, rename
from lava_align.model.network import LIF, Network, Plasticity, Population, Projection, Stimulus
from lava_align.model.stimuli import PoissonDrive
from lava_align.rules.registry import get_rule
from lava_align.rules.stdwi import STDWI

DT = 1e-3
N_LOWER, N_UPPER = 6, 4


def pair(n_steps: int = 500, acts: bool = False, **parameters: float) -> Network:
    rng = np.random.default_rng(0)
    neuron = LIF(tau_m=20e-3, tau_syn=5e-3)
    plasticity = Plasticity(rule="stdwi", mirrors="forward", parameters=parameters)
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(
            Population(name="lower", size=N_LOWER, neuron=neuron),
            Population(name="upper", size=N_UPPER, neuron=neuron),
        ),
        projections=(
            Projection(
                name="forward",
                pre="lower",
                post="upper",
                weights=rng.normal(2.0, 3.0, (N_UPPER, N_LOWER)),
            ),
            Projection(
                name="feedback",
                pre="upper",
                post="lower",
                weights=rng.normal(0.0, 0.5, (N_LOWER, N_UPPER)),
                plasticity=plasticity,
                acts=acts,
            ),
        ),
        stimuli=(
            Stimulus(name="drive", population="lower", weight=4.0, drive=PoissonDrive(rate=100.0)),
        ),
    )


def trace(raster, tau, impulse=1.0, own_step=True):
    """Exponential trace of a raster, with or without the spikes of the step itself."""
    state, out = np.zeros(raster.shape[1]), []
    for row in raster:
        state = state * math.exp(-DT / tau)
        before = state
        state = state + impulse * row
        out.append(state if own_step else before)
    return np.array(out)


def stdwi(recording, initial, *, tau_fast=10e-3, tau_slow=200e-3, eta=5e-4, kappa=0.1):
    """Weights after every step, by the equation of the paper."""
    lower = recording.spikes["lower"].raster(recording.n_steps)
    upper = recording.spikes["upper"].raster(recording.n_steps)
    lags = np.arange(40 * round(tau_slow / DT)) * DT
    equal_area = np.exp(-lags / tau_fast).sum() / np.exp(-lags / tau_slow).sum()
    difference = trace(lower, tau_fast) - trace(lower, tau_slow, equal_area)
    weights, out = initial.copy(), [initial.copy()]
    for step in range(recording.n_steps):
        for k in np.flatnonzero(upper[step]):
            weights[:, k] += eta * (difference[step] - kappa * weights[:, k])
        out.append(weights.copy())
    return np.array(out)


@pytest.mark.parametrize(
    "parameters", [{}, {"eta": 0.05, "kappa": 0.3, "tau_fast": 20e-3, "tau_slow": 80e-3}]
)
def test_stdwi_weights_are_those_of_the_equation(parameters):
    network = pair(**parameters)
    steps = (0, 1, 250, 333, 500)
    (recording,) = run_reference(network, [1], weight_steps=steps)
    expected = stdwi(recording, network.projection("feedback").weights, **parameters)
    found = recording.weights["feedback"]
    assert len(recording.spikes["upper"]) > 50
    assert found.step.tolist() == list(steps)
    np.testing.assert_allclose(found.values, expected[list(steps)], rtol=1e-9)
    assert np.abs(found.values[-1] - found.values[0]).max() > 1e-3


def test_the_test_would_notice_a_missed_coincidence():
    # Some upper spike coincides with a lower one, so the order within a step is really tested.
    (recording,) = run_reference(pair(), [1])
    lower, upper = (recording.spikes[name].raster(500).any(axis=1) for name in ("lower", "upper"))
    assert (lower & upper).any()


def test_a_feedback_projection_that_acts_transmits_the_weight_it_has_learned():
    network = pair(acts=True, eta=0.5)
    (recording,) = run_reference(network, [1], weight_steps=(500,))
    (silent,) = run_reference(pair(acts=False, eta=0.5), [1])
    assert recording.spikes["lower"] != silent.spikes["lower"]
    expected = stdwi(recording, network.projection("feedback").weights, eta=0.5)
    np.testing.assert_allclose(recording.weights["feedback"].values[0], expected[-1], rtol=1e-9)


def test_a_feedback_projection_that_does_not_act_drives_nobody():
    network = pair(acts=False)
    feedback = network.projection("feedback")
    strong = dataclasses.replace(feedback, weights=feedback.weights + 100)
    changed = dataclasses.replace(network, projections=(network.projection("forward"), strong))
    (with_weak,), (with_strong,) = run_reference(network, [1]), run_reference(changed, [1])
    assert dict(with_weak.spikes) == dict(with_strong.spikes)


def test_weights_with_a_finer_step_stay_on_the_networks_grid():
    network = pair()
    (whole,) = run_reference(network, [1], dt=DT / 2, weight_steps=(0, 200, 500))
    (short,) = run_reference(
        dataclasses.replace(network, duration=0.2),
        [1],
        dt=DT / 2,
        weight_steps=(200,),
        inputs=[{"drive": _before(whole.stimuli["drive"], 200)}],
    )
    weights = whole.weights["feedback"].values
    np.testing.assert_array_equal(weights[1], short.weights["feedback"].values[0])
    assert not np.array_equal(weights[1], weights[2])


def _before(spikes, n_steps):
    early = spikes.step < n_steps
    return dataclasses.replace(spikes, step=spikes.step[early], neuron=spikes.neuron[early])


def test_without_weight_steps_the_weights_are_not_probed():
    (recording,) = run_reference(pair(20), [1])
    assert recording.weights == {}
    assert recording.not_probed == ("feedback",)


PAIR_RULE = ReferenceForm(
    units={"tau": "second", "eta": "1"},
    pre=Traces(equations="dx/dt = -x / tau : 1", on_spike="x += 1"),
    post=Traces(equations="dx/dt = -x / tau : 1", on_spike="x += 1"),
    on_pre="w += eta * x_post",
    on_post="w -= eta * x_pre",
)


def use_rule(monkeypatch, form):
    stdwi_rule = get_rule("stdwi")
    parameters = tuple(
        dataclasses.replace(stdwi_rule.parameters[0], name=name, default=default)
        for name, default in (("tau", 20e-3), ("eta", 0.01))
    )
    rule = dataclasses.replace(stdwi_rule, parameters=parameters, reference=form)
    monkeypatch.setattr(brian2_learning, "get_rule", lambda name, where: rule)


@pytest.mark.parametrize("own_step", [True, False])
def test_a_rule_with_traces_and_events_on_both_sides(monkeypatch, own_step):
    use_rule(monkeypatch, dataclasses.replace(PAIR_RULE, own_step_counts=own_step))
    network = pair()
    (recording,) = run_reference(network, [1], weight_steps=(500,))
    lower, upper = (recording.spikes[name].raster(500) for name in ("lower", "upper"))
    y, x = trace(lower, 20e-3, own_step=own_step), trace(upper, 20e-3, own_step=own_step)
    change = 0.01 * (y.T @ upper - lower.T @ x)
    expected = network.projection("feedback").weights + change
    np.testing.assert_allclose(recording.weights["feedback"].values[0], expected, rtol=1e-9)


@pytest.mark.parametrize("first", ["pre", "post"])
def test_the_order_of_the_two_events_within_a_step(monkeypatch, first):
    form = ReferenceForm(
        units={"tau": "second", "eta": "1"}, on_pre="w = 2 * w", on_post="w += 1", first=first
    )
    use_rule(monkeypatch, form)
    network = pair(200)
    (recording,) = run_reference(network, [1], weight_steps=(200,))
    lower, upper = (recording.spikes[name].raster(200) for name in ("lower", "upper"))
    expected = network.projection("feedback").weights.copy()
    for step in range(200):
        moves = [lambda w, s=step: w * (1 + upper[s]), lambda w, s=step: w + lower[s][:, None]]
        for move in moves if first == "pre" else reversed(moves):
            expected = move(expected)
    np.testing.assert_allclose(recording.weights["feedback"].values[0], expected, rtol=1e-9)


def test_two_plastic_projections_with_parameters_of_their_own_do_not_mix():
    network = pair()
    feedback = network.projection("feedback")
    second = dataclasses.replace(
        feedback,
        name="second",
        plasticity=dataclasses.replace(feedback.plasticity, parameters={"eta": 0.05}),
    )
    both = dataclasses.replace(network, projections=(*network.projections, second))
    (recording,) = run_reference(both, [1], weight_steps=(500,))
    for name, eta in (("feedback", 5e-4), ("second", 0.05)):
        expected = stdwi(recording, feedback.weights, eta=eta)[-1]
        np.testing.assert_allclose(recording.weights[name].values[0], expected, rtol=1e-9)


def test_names_of_traces_are_read_from_the_equations():
    assert STDWI.reference.post.names == ("f", "s")
    assert STDWI.reference.pre.names == ()


def test_rename_replaces_whole_words_only():
    assert rename("f_post - ff + f", {"f": "a", "f_post": "a_post"}) == "a_post - ff + a"
    assert rename("f", {}) == "f"
