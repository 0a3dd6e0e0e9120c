import math
from dataclasses import replace

import numpy as np
import pytest

from lava_align.compiler import calibrate
from lava_align.compiler.calibrate import Step, sample_activity
from lava_align.errors import ConstraintViolationError
from lava_align.model.network import (
    LIF,
    Network,
    Population,
    Projection,
    Stimulus,
    draw_stimuli,
)
from lava_align.model.stimuli import PoissonDrive

DT = 1e-3


def network(seconds=0.4, weight=2.0, scale=1.0, **neuron):
    rng = np.random.default_rng(0)
    kind = LIF(**({"tau_m": 10e-3, "tau_syn": 5e-3} | neuron))
    return Network(
        dt=DT,
        duration=seconds,
        populations=(
            Population(name="a", size=5, neuron=kind),
            Population(name="b", size=3, neuron=kind),
        ),
        projections=(
            Projection(name="ab", pre="a", post="b", weights=scale * rng.normal(1, 1, (3, 5))),
            Projection(name="ba", pre="b", post="a", weights=scale * rng.normal(0, 0.5, (5, 3))),
        ),
        stimuli=(
            Stimulus(name="s", population="a", weight=weight, drive=PoissonDrive(rate=150.0)),
        ),
    )


@pytest.mark.parametrize(
    ("tau_m", "tau_syn"),
    [(20e-3, 5e-3), (5e-3, 20e-3), (10e-3, 10e-3), (10e-3, 10.0001e-3), (1e-4, 5e-3), (5e-3, 1e-4)],
)
def test_step_is_the_exact_propagator(tau_m, tau_syn):
    linalg = pytest.importorskip("scipy.linalg")
    step = Step.of(LIF(tau_m=tau_m, tau_syn=tau_syn), DT)
    # d/dt (v, I) = A (v, I); one step is the matrix exponential.
    exact = linalg.expm(DT * np.array([[-1 / tau_m, 1 / tau_m], [0.0, -1 / tau_syn]]))
    assert step.membrane == pytest.approx(exact[0, 0], rel=1e-12)
    assert step.gain == pytest.approx(exact[0, 1], rel=1e-6)
    assert step.synapse == pytest.approx(exact[1, 1], rel=1e-12)


def test_step_loses_no_digits_for_long_time_constants():
    # To first order a unit current adds dt / tau_m.
    for tau in (1.0, 1e6, 1e13):
        step = Step.of(LIF(tau_m=tau, tau_syn=1.01 * tau), DT)
        assert step.gain == pytest.approx(DT / tau, rel=2e-3)


def by_hand(network, inputs):
    """Simulate neuron by neuron in plain Python, straight from the docstring's recursion."""
    neuron = network.populations[0].neuron
    current = {p.name: [0.0] * p.size for p in network.populations}
    potential = {p.name: [0.0] * p.size for p in network.populations}
    spikes = {p.name: [] for p in network.populations}
    pm, ps = math.exp(-DT / neuron.tau_m), math.exp(-DT / neuron.tau_syn)
    gain = neuron.tau_syn / (neuron.tau_syn - neuron.tau_m) * (ps - pm)
    for step in range(network.n_steps):
        fired = {}
        for p in network.populations:
            fired[p.name] = set()
            for i in range(p.size):
                v = pm * potential[p.name][i] + gain * current[p.name][i] + (1 - pm) * neuron.bias
                if v > neuron.threshold:
                    fired[p.name].add(i)
                    v = 0.0
                potential[p.name][i] = v
                current[p.name][i] *= ps
            spikes[p.name] += [(step, i) for i in sorted(fired[p.name])]
        for q in network.projections:
            for i in range(len(q.weights)):
                current[q.post][i] += sum(q.weights[i, j] for j in fired[q.pre])
        for i in range(network.population("a").size):
            current["a"][i] += network.stimuli[0].weight * inputs[step, i]
    return spikes


@pytest.mark.parametrize("bias", [0.0, 0.6])
def test_sample_is_what_a_plain_simulation_gives(bias):
    net = network(bias=bias)
    raster = draw_stimuli(net, calibrate.SAMPLE_SEED)["s"].raster(net.n_steps)
    expected = by_hand(net, raster)
    for name, activity in sample_activity(net).items():
        found = list(zip(*(axis.tolist() for axis in np.nonzero(activity.spikes)), strict=True))
        assert found == expected[name]
        assert len(found) > 10
        assert activity.rate(DT) == pytest.approx(activity.spikes.mean() / DT)


def test_peaks_bound_what_happened():
    net = network(scale=0.0)
    activity = sample_activity(net)["a"]
    assert activity.peak_jump == 2.0
    assert activity.peak_current >= activity.peak_jump
    assert activity.peak_potential > 1.0
    silent = sample_activity(replace(net, stimuli=()))["b"]
    assert (silent.peak_jump, silent.peak_current, silent.peak_potential) == (0.0, 0.0, 0.0)


def test_sample_is_deterministic_and_bounded(monkeypatch):
    first, second = sample_activity(network()), sample_activity(network())
    assert all(np.array_equal(first[n].spikes, second[n].spikes) for n in first)
    monkeypatch.setattr(calibrate, "SAMPLE_SECONDS", 0.1)
    assert len(sample_activity(network())["a"].spikes) == 100


def test_one_step_is_enough():
    assert sample_activity(network(seconds=DT))["a"].spikes.shape == (1, 5)


@pytest.mark.filterwarnings("error")
def test_currents_beyond_floating_point_are_refused():
    net = network(weight=1e308, seconds=1.0)
    with pytest.raises(ConstraintViolationError, match=r"populations\.a: currents beyond"):
        sample_activity(net)
