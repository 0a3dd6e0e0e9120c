"""The reference's stochastic neurons, and LIF neurons that integrate while refractory."""

import dataclasses

import numpy as np
import pytest

from lava_align.backends.brian2 import run_reference
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.model.experiment import build_experiment
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
from lava_align.pipeline import compile_experiment
from lava_align.targets import load_target

DT = 1e-3
# So far from the sigmoid's middle that chance is left out: exp(-40) is 4e-18.
NEVER, SURELY = -40.0, 80.0


def kicked(neuron: EscapeNeuron, weights: dict[float, float], n_steps: int = 30) -> Network:
    """One neuron, and a stimulus spike of the given weight at each of the times (steps)."""
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(Population(name="cell", size=1, neuron=neuron),),
        stimuli=tuple(
            Stimulus(
                name=f"kick{step}",
                population="cell",
                weight=weight,
                drive=RecordedDrive(times=[step * DT], neurons=[0]),
            )
            for step, weight in weights.items()
        ),
    )


def pair(n_steps: int = 2000, **plastic: float) -> Network:
    """Two populations with feedback that learns by SAL, or with fixed feedback."""
    rng = np.random.default_rng(0)
    rule = Plasticity(rule="sal", mirrors="W", parameters=plastic) if plastic else None
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(
            Population(name="lower", size=5, neuron=EscapeNeuron(refractory=4e-3, tau_syn=6e-3)),
            Population(name="upper", size=3, neuron=EscapeNeuron(refractory=5e-3, bias=0.5)),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=rng.normal(0, 1, (3, 5))),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=rng.normal(0, 1, (5, 3)),
                plasticity=rule,
            ),
        ),
        stimuli=(
            Stimulus(name="drive", population="lower", weight=1.0, drive=PoissonDrive(rate=50.0)),
        ),
    )


def test_intervals_are_the_refractory_period_and_a_geometric_wait():
    bias, refractory, size, n_steps = 0.7, 5, 40, 4000
    network = Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(
            Population(
                name="cells", size=size, neuron=EscapeNeuron(refractory=refractory * DT, bias=bias)
            ),
        ),
    )
    (recording,) = run_reference(network, [1])
    raster = recording.spikes["cells"].raster(n_steps)
    intervals = np.concatenate([np.diff(np.flatnonzero(train)) for train in raster.T])
    chance = 1 / (1 + np.exp(np.log(refractory) - bias))
    waits = intervals - refractory
    assert waits.min() == 1
    error = np.sqrt((1 - chance) / chance**2 / len(waits))
    assert waits.mean() == pytest.approx(1 / chance, abs=4 * error)
    assert (waits == 1).mean() == pytest.approx(chance, abs=4 * chance / np.sqrt(len(waits)))


def test_with_a_finer_step_the_rate_is_that_of_the_same_time_constant():
    neuron = EscapeNeuron(refractory=20e-3, bias=-1.0)
    network = Network(
        dt=DT, duration=10.0, populations=(Population(name="cells", size=40, neuron=neuron),)
    )
    rates = [len(run_reference(network, [1], dt=DT / n)[0].spikes["cells"]) for n in (1, 4)]
    assert rates[1] == pytest.approx(rates[0], rel=0.05)


def test_a_spike_is_felt_for_the_steps_of_tau_syn():
    neuron = EscapeNeuron(refractory=2e-3, tau_syn=5e-3, bias=NEVER)
    (recording,) = run_reference(kicked(neuron, {3: SURELY}), [1])
    # On in the steps 4 to 8; three steps from spike to spike.
    assert recording.spikes["cell"].step.tolist() == [4, 7]


def test_without_tau_syn_it_is_felt_for_the_refractory_period():
    neuron = EscapeNeuron(refractory=4e-3, bias=NEVER)
    assert neuron.pulse == 4e-3
    (recording,) = run_reference(kicked(neuron, {3: SURELY, 8: SURELY}), [1])
    assert recording.spikes["cell"].step.tolist() == [4, 9]


def test_potentials_that_overlap_add_up():
    neuron = EscapeNeuron(refractory=1e-3, tau_syn=5e-3, bias=3 * NEVER)
    (recording,) = run_reference(kicked(neuron, {3: SURELY, 6: SURELY}), [1])
    # Neither alone would do; both are on in the steps 7 and 8.
    assert recording.spikes["cell"].step.tolist() == [7]


def test_learning_feedback_that_does_not_move_acts_like_fixed_feedback():
    (fixed,) = run_reference(pair(), [1])
    (plastic,) = run_reference(pair(eta=1e-30), [1])
    assert len(fixed.spikes["lower"]) > 100
    assert dict(fixed.spikes) == dict(plastic.spikes)


def test_runs_repeat_for_the_same_seeds_and_leave_numpy_as_it_was():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = (run_reference(pair(300), [1, 2]) for _ in range(2))
    assert first == again
    assert first[0].spikes["upper"] != first[1].spikes["upper"]
    assert run_reference(pair(300), [1, 3])[0].spikes != first[0].spikes
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_while_refractory_the_membrane_integrates_on_if_told_so():
    neuron = LIF(
        tau_m=5e-3, tau_syn=5e-3, bias=4.0, reset=-1.0, refractory=6e-3, refractory_holds=False
    )
    network = Network(
        dt=DT, duration=0.1, populations=(Population(name="cell", size=1, neuron=neuron),)
    )
    (recording,) = run_reference(network, [0])
    # From -1 the membrane is above 1 after ceil(5 ln(5/3)) = 3 steps, and must wait for the 7th.
    assert np.diff(recording.spikes["cell"].step).tolist() == [7] * (
        len(recording.spikes["cell"]) - 1
    )
    held = dataclasses.replace(neuron, refractory_holds=True)
    waiting = dataclasses.replace(
        network, populations=(Population(name="cell", size=1, neuron=held),)
    )
    (recording,) = run_reference(waiting, [0])
    assert set(np.diff(recording.spikes["cell"].step)) == {9}


def table(**lower):
    return {
        "schema": "lava-align-experiment/1",
        "dt": "1 ms",
        "duration": "1 s",
        "populations": {"lower": {"size": 2, **lower}},
    }


def test_an_experiment_file_names_the_kind_of_neuron():
    experiment = build_experiment(
        table(kind="escape", refractory="10 ms", bias=-0.5), comparable=False
    )
    assert experiment.network.population("lower").neuron == EscapeNeuron(
        refractory=10e-3, bias=-0.5
    )
    lif = {"tau_m": "10 ms", "tau_syn": "5 ms"}
    for given in ({}, {"kind": "lif"}):
        experiment = build_experiment(table(**given, **lif))
        assert experiment.network.population("lower").neuron == LIF(tau_m=10e-3, tau_syn=5e-3)


@pytest.mark.parametrize(
    ("lower", "problems"),
    [
        ({"kind": "escape"}, ["populations.lower.refractory: missing"]),
        (
            {"kind": "escape", "refractory": "10 ms", "tau_m": "1 ms"},
            ["populations.lower.tau_m: unknown key"],
        ),
        ({"kind": "spiky"}, ["populations.lower.kind: 'spiky'; one of: 'lif', 'escape'"]),
        (
            {"tau_m": 3, "tau_syn": "5 ms"},
            ["populations.lower.tau_m: 3"],
        ),
        ({"kind": "escape", "refractory": "0.5 ms"}, ["populations.lower.refractory: 500 us"]),
        (
            {"kind": "escape", "refractory": "5 ms", "tau_syn": "0 ms"},
            ["populations.lower.tau_syn: 0 s"],
        ),
        (
            {"tau_m": "5 ms", "tau_syn": "5 ms", "refractory_holds": False},
            ["populations.lower.refractory_holds: false without refractory"],
        ),
    ],
)
def test_what_is_wrong_with_a_population_is_said_under_its_key(lower, problems):
    with pytest.raises(InvalidInputError) as caught:
        build_experiment(table(**lower))
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == len(problems), found
    for text, start in zip(found, problems, strict=True):
        assert text.startswith(start), text


def test_a_target_without_programs_for_neurons_refuses_them():
    experiment = build_experiment(table(kind="escape", refractory="10 ms"))
    with pytest.raises(ConstraintViolationError, match=r"populations\.lower\.kind"):
        compile_experiment(experiment, load_target("loihi1"))
    assert compile_experiment(experiment, load_target("loihi2")).program.custom_neurons()


def test_a_rule_that_reads_the_membrane_refuses_neurons_without_one():
    network = pair(eta=1e-3)
    (forward, feedback) = network.projections
    rule = Plasticity(rule="rdd", mirrors="W")
    changed = dataclasses.replace(
        network, projections=(forward, dataclasses.replace(feedback, plasticity=rule))
    )
    with pytest.raises(InvalidInputError, match="reads a membrane"):
        run_reference(changed, [1])
