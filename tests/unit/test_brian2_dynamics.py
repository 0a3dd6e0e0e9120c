"""The reference's neurons against an independent integration of the same equations."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.linalg import expm

from lava_align.backends.brian2 import run_reference
from lava_align.model.network import LIF, Network, Population, Projection, Stimulus
from lava_align.model.stimuli import PoissonDrive, RecordedDrive

DT = 1e-3


def driven(neuron: LIF, n_steps: int = 400, size: int = 20, weight: float = 3.0) -> Network:
    return Network(
        dt=DT,
        duration=n_steps * DT,
        populations=(Population(name="cells", size=size, neuron=neuron),),
        stimuli=(
            Stimulus(
                name="noise", population="cells", weight=weight, drive=PoissonDrive(rate=120.0)
            ),
        ),
    )


def integrate(neuron: LIF, raster: np.ndarray, weight: float, dt: float = DT) -> np.ndarray:
    """Spikes (n_steps, size) by the matrix exponential of (v, e_d, e_r, 1)."""
    amplitude = neuron.tau_syn / (neuron.tau_syn - neuron.tau_rise)
    rise = neuron.tau_rise or 1.0
    minus = amplitude if neuron.tau_rise else 0.0
    rates = np.array(
        [
            [-1 / neuron.tau_m, amplitude / neuron.tau_m, -minus / neuron.tau_m, 0.0],
            [0.0, -1 / neuron.tau_syn, 0.0, 0.0],
            [0.0, 0.0, -1 / rise, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ]
    )
    rates[0, 3] = neuron.bias / neuron.tau_m
    propagator = expm(rates * dt)
    n_steps, size = raster.shape
    state = np.zeros((4, size))
    state[3] = 1.0
    held = np.zeros(size, dtype=int)
    spikes = np.zeros(raster.shape, dtype=bool)
    for step in range(n_steps):
        state = propagator @ state
        state[0] = np.where(held > 0, neuron.reset, state[0])
        spikes[step] = (state[0] > neuron.threshold) & (held == 0)
        held = np.maximum(held - 1, 0)
        state[1:3] += weight * raster[step]
        state[0] = np.where(spikes[step], neuron.reset, state[0])
        held[spikes[step]] = round(neuron.refractory / dt)
    return spikes


@pytest.mark.parametrize(
    "neuron",
    [
        LIF(tau_m=20e-3, tau_syn=5e-3),
        LIF(tau_m=10e-3, tau_syn=10e-3),
        LIF(tau_m=10e-3, tau_syn=10e-3 * (1 + 1e-12)),
        LIF(tau_m=20e-3, tau_syn=10e-3, tau_rise=3e-3),
        LIF(tau_m=10e-3, tau_syn=10e-3, tau_rise=3e-3, reset=-1.0),
        LIF(tau_m=3e-3, tau_syn=10e-3, tau_rise=3e-3),
        LIF(tau_m=20e-3, tau_syn=5e-3, refractory=3e-3),
        LIF(tau_m=10e-3, tau_syn=10e-3, refractory=1e-3, reset=-0.5),
        LIF(tau_m=20e-3, tau_syn=5e-3, bias=1.2, reset=-0.5, refractory=2e-3),
        LIF(tau_m=20e-3, tau_syn=5e-3, bias=-0.4, threshold=0.5, reset=0.2),
    ],
    ids=[
        "single",
        "equal-time-constants",
        "nearly-equal-time-constants",
        "double",
        "double-decay-is-membrane",
        "double-rise-is-membrane",
        "refractory",
        "refractory-equal-time-constants",
        "bias",
        "reset-above-zero",
    ],
)
def test_spikes_equal_those_of_the_matrix_exponential(neuron):
    network = driven(neuron)
    (recording,) = run_reference(network, [3])
    expected = integrate(neuron, recording.stimuli["noise"].raster(network.n_steps), 3.0)
    assert expected.sum() > 50
    np.testing.assert_array_equal(recording.spikes["cells"].raster(network.n_steps), expected)


def test_a_constant_drive_spikes_at_the_closed_form_period():
    neuron = LIF(tau_m=20e-3, tau_syn=5e-3, bias=1.5, reset=-0.5, refractory=4e-3)
    network = Network(
        dt=DT, duration=0.3, populations=(Population(name="cell", size=1, neuron=neuron),)
    )
    (recording,) = run_reference(network, [0])
    # v(n) = b + (v0 - b) exp(-n dt / tau) passes 1 after n = ceil(tau / dt ln((b - v0)/(b - 1))).
    first = math.ceil(20 * math.log(1.5 / 0.5))
    between = math.ceil(20 * math.log(2.0 / 0.5)) + 4
    steps = recording.spikes["cell"].step
    np.testing.assert_array_equal(steps, np.arange(first - 1, 300, between))


def test_a_finer_step_integrates_the_same_equations():
    neuron = LIF(tau_m=20e-3, tau_syn=5e-3, refractory=2e-3)
    network = driven(neuron)
    (recording,) = run_reference(network, [3], dt=DT / 4)
    coarse = recording.stimuli["noise"].raster(network.n_steps)
    fine = np.zeros((4 * network.n_steps, coarse.shape[1]), dtype=bool)
    fine[::4] = coarse
    expected = integrate(neuron, fine, 3.0, DT / 4).reshape(network.n_steps, 4, -1).any(axis=1)
    np.testing.assert_array_equal(recording.spikes["cells"].raster(network.n_steps), expected)
    assert recording.dt == DT
    assert recording.provenance["reference_dt"] == DT / 4


def test_spikes_that_share_a_step_of_the_network_are_merged_and_counted():
    neuron = LIF(tau_m=2e-3, tau_syn=1e-3, bias=20.0)
    network = Network(
        dt=DT, duration=0.02, populations=(Population(name="cell", size=2, neuron=neuron),)
    )
    (recording,) = run_reference(network, [0], dt=DT / 5)
    all_spikes = integrate(neuron, np.zeros((100, 2), dtype=bool), 0.0, DT / 5)
    kept = recording.spikes["cell"]
    assert len(kept) == 40
    assert recording.provenance["merged_spikes"] == all_spikes.sum() - 40 > 0


def chain(weight: float = 50.0) -> Network:
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3)
    return Network(
        dt=DT,
        duration=0.02,
        populations=tuple(Population(name=name, size=1, neuron=neuron) for name in "ab"),
        projections=(Projection(name="ab", pre="a", post="b", weights=[[weight]]),),
        stimuli=(
            Stimulus(
                name="kick",
                population="a",
                weight=weight,
                drive=RecordedDrive(times=[3 * DT], neurons=[0]),
            ),
        ),
    )


def test_a_spike_takes_one_step_to_each_next_neuron():
    (recording,) = run_reference(chain(), [0])
    assert recording.stimuli["kick"].step.tolist() == [3]
    assert recording.spikes["a"].step[0] == 4
    assert recording.spikes["b"].step[0] == 5


def test_a_projection_of_zero_weights_drives_nobody():
    network = chain()
    projection = dataclasses.replace(network.projections[0], weights=[[0.0]])
    (recording,) = run_reference(dataclasses.replace(network, projections=(projection,)), [0])
    assert len(recording.spikes["a"]) > 0
    assert len(recording.spikes["b"]) == 0
    assert recording.spikes["b"].size == 1


def test_the_threshold_itself_is_not_a_spike():
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3, bias=0.0, threshold=0.0, reset=-1.0)
    network = Network(
        dt=DT, duration=0.01, populations=(Population(name="cell", size=1, neuron=neuron),)
    )
    (recording,) = run_reference(network, [0])
    assert len(recording.spikes["cell"]) == 0


def test_several_stimuli_of_one_population_add_up():
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3)
    kick = RecordedDrive(times=[2 * DT], neurons=[1])
    network = Network(
        dt=DT,
        duration=0.03,
        populations=(Population(name="cells", size=2, neuron=neuron),),
        stimuli=tuple(
            Stimulus(name=name, population="cells", weight=weight, drive=kick)
            for name, weight in (("first", 3.0), ("second", 2.0))
        ),
    )
    (recording,) = run_reference(network, [0])
    raster = np.zeros((30, 2), dtype=bool)
    raster[2, 1] = True
    expected = integrate(neuron, raster, 5.0)
    assert expected.any()
    assert not integrate(neuron, raster, 3.0).any()
    np.testing.assert_array_equal(recording.spikes["cells"].raster(30), expected)
