"""The references of SAL, RDD and the weight mirror against plain loops over the recorded spikes.

The loops are written from the papers' equations and share nothing with the reference but spikes.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from lava_align.backends.brian2 import run_reference
from lava_align.model.network import (
    LIF,
    EscapeNeuron,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
)
from lava_align.model.stimuli import PoissonDrive, RecordedDrive
from lava_align.replay.reference import relay_network
from lava_align.rules.registry import get_rule
from lava_align.rules.sal_reference import REFERENCE as SAL_REFERENCE

DT = 1e-3
TAU_M = 1e-3 / math.log(1 / 0.3)
FAST_MEMBRANE = LIF(
    tau_m=TAU_M,
    tau_syn=10e-3,
    tau_rise=3e-3,
    reset=-1.0,
    refractory=2e-3,
    refractory_holds=False,
)
STIMULUS, PER_WEIGHT = 0.3402, 0.08505


def plasticity(rule: str, **parameters: float) -> Plasticity:
    return Plasticity(rule=rule, mirrors="W", parameters=parameters)


# Weight mirror and RDD: LIF neurons, feedback that does not act.


def layers(
    forward, feedback: dict[str, Plasticity], n_steps: int, *, start=None, active: float = 0.5
) -> Network:
    """RDD's neurons, with any number of learning projections on the same activity."""
    n_upper, n_lower = forward.shape
    start = np.zeros((n_lower, n_upper)) if start is None else start
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(
            Population(name="lower", size=n_lower, neuron=FAST_MEMBRANE),
            # A bias makes up for the few neurons they hear.
            Population(name="upper", size=n_upper, neuron=replace(FAST_MEMBRANE, bias=0.5)),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=PER_WEIGHT * forward),
            *(
                Projection(
                    name=name,
                    pre="upper",
                    post="lower",
                    weights=start,
                    acts=False,
                    plasticity=rule,
                )
                for name, rule in feedback.items()
            ),
        ),
        stimuli=(
            Stimulus(
                name="drive",
                population="lower",
                weight=STIMULUS,
                drive=PoissonDrive(rate=200.0, active_fraction=active),
            ),
        ),
    )


def scaled(n_upper: int, n_lower: int, seed: int = 0):
    """Forward weights as RDD's authors scale them."""
    weights = np.random.default_rng(seed).uniform(-1, 1, (n_upper, n_lower))
    return 0.2 * 50 * weights / weights.std()


def kernel(raster):
    """Spikes of earlier steps filtered with (exp(-t/10) - exp(-t/3)) / 7, t in steps."""
    lags = np.arange(1, len(raster))
    values = np.concatenate([[0.0], (np.exp(-lags / 10) - np.exp(-lags / 3)) / 7])
    return np.stack([np.convolve(train, values)[: len(train)] for train in raster.T], axis=1)


def windows(recording, margin=0.1, length=30):
    """Every window: neuron, opening, closing, largest drive, whether the neuron spiked in it."""
    neuron, n_steps = FAST_MEMBRANE, recording.n_steps
    spikes = recording.spikes["lower"].raster(n_steps)
    arriving = recording.stimuli["drive"].raster(n_steps) * STIMULUS
    gain = neuron.tau_syn / (neuron.tau_syn - neuron.tau_rise)
    rates = np.zeros((4, 4))  # of u, v and the two exponentials
    rates[0], rates[1] = [-1, 0, gain, -gain], [0, -1, gain, -gain]
    rates[:2] /= neuron.tau_m
    rates[2, 2], rates[3, 3] = -1 / neuron.tau_syn, -1 / neuron.tau_rise
    propagator, state = expm(rates * DT), np.zeros((4, spikes.shape[1]))
    opened, largest = np.full(spikes.shape[1], -1), np.zeros(spikes.shape[1])
    found = []
    for step in range(n_steps):
        state = propagator @ state
        state[1, spikes[step]] = neuron.reset
        state[2:] += arriving[step]
        for j in range(spikes.shape[1]):
            if opened[j] >= 0 and step == opened[j] + length:
                spiked = spikes[opened[j] : step, j].any()
                found.append((j, opened[j], step, largest[j], spiked))
                opened[j] = -1
            if opened[j] < 0:
                state[0, j] = state[1, j]
                if abs(state[0, j] - neuron.threshold) <= margin:
                    opened[j], largest[j] = step, state[0, j]
            else:
                largest[j] = max(largest[j], state[0, j])
    return found


def responses(recording, found):
    """Change of every upper neuron's response in each of the windows."""
    q = kernel(recording.spikes["upper"].raster(recording.n_steps))
    return [q[opened + 1 : closed + 1].mean(axis=0) - q[opened] for _, opened, closed, *_ in found]


def rdd(recording, *, eta=1e-3, centred=0.0, linear=1.0, reach=10.0):
    """Weights at the end, by the regression of the paper."""
    n_lower, n_upper = (recording.spikes[name].size for name in ("lower", "upper"))
    slope, level = np.zeros((2, 2, n_lower, n_upper))
    found = windows(recording)
    for (j, _, _, largest, spiked), change in zip(found, responses(recording, found), strict=True):
        if abs(largest - 1.0) > reach:
            continue
        side, z = int(spiked), largest - centred
        error = slope[side, j] * z + level[side, j] - change
        slope[side, j] -= linear * eta * error * z
        level[side, j] -= eta * error
    return (slope[1] - slope[0]) * (1.0 - centred) + level[1] - level[0]


RDD_VARIANTS = {
    "B": {},
    "constant": {"linear": 0.0, "eta": 0.01},
    "centred": {"centred": 1.0, "eta": 0.02},
    "near": {"reach": 0.3, "eta": 0.05},
}


@pytest.fixture(scope="module")
def rdd_run():
    rules = {name: plasticity("rdd", **given) for name, given in RDD_VARIANTS.items()}
    network = layers(scaled(4, 6), rules, 3000)
    return run_reference(network, [1], weight_steps=(3000,))[0]


@pytest.mark.parametrize("name", RDD_VARIANTS)
def test_rdd_learns_what_a_plain_loop_learns(rdd_run, name):
    found = rdd_run.weights[name].values[0]
    assert np.abs(found).max() > 1e-4
    np.testing.assert_allclose(
        found, rdd(rdd_run, **RDD_VARIANTS[name]), rtol=1e-9, atol=1e-9 * np.abs(found).max()
    )


def test_rdd_records_its_windows_with_the_distance_to_the_threshold(rdd_run):
    found = windows(rdd_run)
    for event, spiked in (("plus", True), ("minus", False)):
        expected = [(closed, j, u - 1.0) for j, _, closed, u, s in found if s == spiked]
        events = rdd_run.spikes[f"lower.{event}"]
        assert len(expected) > 10
        assert events.size == 6
        assert list(zip(events.step, events.neuron, strict=True)) == [e[:2] for e in expected]
        np.testing.assert_allclose(events.value, [e[2] for e in expected], rtol=1e-9, atol=1e-12)
    # Other learners on the same population record under a name of their own.
    near = rdd_run.spikes["lower.plus.near"]
    assert np.abs(near.value).max() <= 0.3 < rdd_run.spikes["lower.plus"].value.max()


def test_rdd_exact_regression_gives_the_same_weight_centred_or_not(rdd_run):
    found = windows(rdd_run)
    changes = np.array(responses(rdd_run, found))
    neuron, largest, spiked = (np.array([w[i] for w in found]) for i in (0, 3, 4))
    fitted = 0
    for j in range(6):
        betas = []
        for centre in (0.0, 1.0):
            at_threshold = []
            for side in (True, False):
                chosen = (neuron == j) & (spiked == side)
                z = largest[chosen] - centre
                design = np.stack([z, np.ones_like(z)], axis=1)
                line = np.linalg.lstsq(design, changes[chosen], rcond=None)[0]
                at_threshold.append(line[0] * (1.0 - centre) + line[1])
            betas.append(at_threshold[0] - at_threshold[1])
        np.testing.assert_allclose(*betas, rtol=1e-9, atol=1e-9)
        fitted += 1
    assert fitted == 6


def test_rdd_without_forward_weights_learns_no_signs():
    network = layers(np.zeros((10, 10)), {"B": plasticity("rdd")}, 3000)
    noise = Stimulus(
        name="noise", population="upper", weight=STIMULUS, drive=PoissonDrive(rate=100.0)
    )
    network = replace(network, stimuli=(*network.stimuli, noise))
    recordings = run_reference(network, [1, 2, 3, 4], weight_steps=(3000,))
    learned = np.array([recording.weights["B"].values[0] for recording in recordings])
    assert (learned != 0).mean() > 0.9
    signs = np.random.default_rng(0).random(learned.shape) < 0.5
    agreement = ((learned >= 0) == signs).mean()
    assert agreement == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(learned.size))


def mirror(recording, initial, *, stimulus=100, batch=10, eta=5e-4, decay=0.5):
    """Weights at the end of the last batch, by one step a stimulus."""
    counts = [
        recording.spikes[name].raster(recording.n_steps).reshape(-1, stimulus, size).sum(axis=1)
        for name, size in (("lower", initial.shape[0]), ("upper", initial.shape[1]))
    ]
    weights = initial.copy()
    for start in range(0, len(counts[0]) // batch * batch, batch):
        lower, upper = (c[start : start + batch] - c[start : start + batch].mean(0) for c in counts)
        for n_j, n_k in zip(lower, upper, strict=True):
            weights = weights + eta * (np.outer(n_j, n_k) - decay * weights)
    return weights


@pytest.mark.parametrize(
    "parameters", [{}, {"batch": 4, "eta": 0.05, "decay": 0.8}, {"batch": 1, "decay": 0.0}]
)
def test_weight_mirror_learns_what_a_plain_loop_learns(parameters):
    initial = np.random.default_rng(2).normal(0, 1, (6, 4))
    given = {"stimulus": 50e-3, **{key: float(value) for key, value in parameters.items()}}
    network = layers(scaled(4, 6), {"B": plasticity("weight_mirror", **given)}, 2500, start=initial)
    (recording,) = run_reference(network, [3], weight_steps=(2500,))
    assert len(recording.spikes["upper"]) > 50
    found = recording.weights["B"].values[0]
    np.testing.assert_allclose(
        found, mirror(recording, initial, stimulus=50, **parameters), rtol=1e-9
    )
    assert parameters.get("batch") == 1 or not np.array_equal(found, initial)


# SAL: stochastic neurons, feedback that acts.


def two_neurons(start: float, n_steps: int, eta: float) -> Network:
    cells = {"lower": -0.5, "upper": -0.2}
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=tuple(
            Population(name=name, size=1, neuron=EscapeNeuron(refractory=25e-3, bias=bias))
            for name, bias in cells.items()
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=[[1.5]]),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=[[start]],
                plasticity=plasticity("sal", tau=25e-3, eta=eta),
            ),
        ),
    )


def sal(recording, initial, tau, eta):
    """Weights at the end, from every pair of spikes."""
    weights = initial.copy()
    lower, upper = recording.spikes["lower"], recording.spikes["upper"]
    for step, j in zip(lower.step, lower.neuron, strict=True):
        lag = upper.step - step
        pairs = eta * np.sign(lag) * np.exp(-np.abs(lag) / tau)
        np.add.at(weights[j], upper.neuron, pairs)
    return weights


def test_sal_learns_what_all_pairs_of_spikes_sum_up_to():
    rng = np.random.default_rng(0)
    initial = rng.normal(0, 1, (6, 4))
    cell = EscapeNeuron(refractory=5e-3)
    network = Network(
        dt=DT,
        duration=3.0,
        populations=(
            Population(name="lower", size=6, neuron=cell),
            Population(name="upper", size=4, neuron=cell),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=rng.normal(0, 1, (4, 6))),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=initial,
                plasticity=plasticity("sal", tau=5e-3, eta=0.01),
            ),
        ),
    )
    (recording,) = run_reference(network, [1], weight_steps=(3000,))
    lower, upper = (recording.spikes[name] for name in ("lower", "upper"))
    assert np.intersect1d(lower.step, upper.step).size > 50  # pairs in one step, which cancel
    expected = sal(recording, initial, 5.0, 0.01)
    assert np.abs(expected - initial).max() > 0.05
    np.testing.assert_allclose(recording.weights["B"].values[0], expected, rtol=1e-9)


def test_sal_moves_the_weight_of_two_neurons_towards_the_forward_one_from_both_sides():
    ends = {}
    for start in (0.0, 3.0):
        network = two_neurons(start, 6_000, 6e-3)
        recordings = run_reference(network, list(range(20)), weight_steps=(6_000,))
        ends[start] = np.array([r.weights["B"].values[0, 0, 0] for r in recordings])
    for start, end in ends.items():
        error = end.std() / math.sqrt(len(end))
        assert (end.mean() - start) * math.copysign(1.0, 1.5 - start) > 3 * error
    assert 0.0 < ends[0.0].mean() < 1.5 < ends[3.0].mean() < 3.0


@pytest.mark.parametrize("late", [0, 1])
def test_sal_takes_no_side_between_identical_trains_and_notices_a_lag(late):
    tau, n_steps = 10e-3, 400
    rng = np.random.default_rng(4)
    steps = np.flatnonzero(rng.random(n_steps - 5) < 0.1)
    network = relay_network("sal", {"tau": tau, "eta": 0.01}, np.zeros((1, 1)), DT, n_steps)
    trains = {"to_pre": steps, "to_post": steps + late}
    stimuli = tuple(
        replace(
            stimulus,
            drive=RecordedDrive(
                times=trains[stimulus.name] * DT, neurons=np.zeros(len(steps), dtype=int)
            ),
        )
        for stimulus in network.stimuli
    )
    network = replace(network, stimuli=stimuli)
    (recording,) = run_reference(network, [0], weight_steps=(n_steps,))
    assert len(recording.spikes["pre"]) == len(steps) > 20
    weight = recording.weights["feedback"].values[0, 0, 0]
    if late:
        assert weight < -0.01  # pre before post depresses
    else:
        assert weight == 0.0


def test_the_new_rules_are_listed_and_their_references_name_every_parameter():
    assert get_rule("sal").reference is SAL_REFERENCE
    for name in ("sal", "rdd", "weight_mirror"):
        rule = get_rule(name)
        assert set(rule.reference.units) == {parameter.name for parameter in rule.parameters}
        for parameter in rule.parameters:
            unit = rule.reference.units[parameter.name]
            assert (unit == "second") == (parameter.dimension == "time")
            assert parameter.source
            assert parameter.meaning
