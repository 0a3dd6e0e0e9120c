import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from lava_align.compiler.calibrate import Activity
from lava_align.compiler.quantise import Afferent, quantise_population, sign_mode
from lava_align.errors import ConstraintViolationError
from lava_align.model.network import LIF, Population

DT = 1e-3


def quantise(matrices=(), *, size=2, jump=0.0, current=0.0, potential=0.0, **neuron):
    kind = LIF(**({"tau_m": 20e-3, "tau_syn": 5e-3} | neuron))
    activity = Activity(
        spikes=np.zeros((10, size), bool),
        peak_jump=jump,
        peak_current=current,
        peak_potential=potential,
    )
    afferents = [
        Afferent(name=f"m{i}", pre="x", weights=np.asarray(m, float))
        for i, m in enumerate(matrices)
    ]
    made = quantise_population(
        Population(name="p", size=size, neuron=kind), afferents, activity, DT
    )
    json.dumps([asdict(q) for q in made.quantities], allow_nan=False)
    return made


def row(made, name):
    return next(q for q in made.quantities if q.name == name)


def test_all_zero_matrices_stay_zero():
    (synapses,) = quantise([np.zeros((2, 3))]).synapses
    assert not synapses.weights.any()
    assert synapses.weight_exp == 0


def test_no_afferents_at_all():
    made = quantise(bias=1.5, size=1)
    assert made.synapses == ()
    assert made.neurons.bias_mant.shape == (1,)


@pytest.mark.parametrize(
    ("weights", "mode"),
    [([[1.0, 2.0]], "excitatory"), ([[-1.0, -2.0]], "inhibitory"), ([[1.0, -2.0]], "mixed")],
)
def test_one_neuron_of_each_sign(weights, mode):
    made = quantise([weights], size=1, jump=2.0, current=3.0, potential=1.0)
    assert sign_mode(np.array(weights)) == made.synapses[0].sign_mode == mode
    ratio = made.synapses[0].weights[0] / made.synapses[0].weights[0, 1]
    assert ratio == pytest.approx([weights[0][0] / weights[0][1], 1.0], abs=0.01)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_units_do_not_matter(factor):
    # Threshold, weights and currents in other units are the same neuron.
    base = quantise([[[1.0, -0.3]]], size=1, jump=1.0, current=2.0, potential=1.0)
    other = quantise(
        [[[factor, -0.3 * factor]]], size=1, jump=factor, current=2 * factor, potential=factor,
        threshold=factor,
    )  # fmt: skip
    assert np.array_equal(base.synapses[0].weights, other.synapses[0].weights)
    assert base.synapses[0].weight_exp == other.synapses[0].weight_exp
    assert abs(base.neurons.vth - other.neurons.vth) <= 1


def test_weights_far_too_small_get_an_exponent_the_checks_refuse():
    assert quantise([[[1e-30]]], size=1).synapses[0].weight_exp < -8


def test_weights_that_leave_no_room_for_the_threshold_are_refused():
    with pytest.raises(ConstraintViolationError, match=r"populations\.p: threshold .* weaken"):
        quantise([[[1e30]]], size=1)


@pytest.mark.parametrize(
    "case",
    [
        {"threshold": 1e-7, "jump": 1.0, "current": 1.0, "potential": 1.0},
        {"threshold": 5e-324},
        {"threshold": 1e308, "matrices": [[[1e300]]]},
        {"threshold": 1e-200, "matrices": [[[1e200]]]},
        {"bias": 1e9},
        {"threshold": 1.0, "potential": 1e12},
    ],
)
def test_what_fits_no_register_is_refused_with_a_way_out(case):
    with pytest.raises(ConstraintViolationError, match=r"populations\.p: threshold .* weaken"):
        quantise(size=1, **case)


def test_time_constants_at_the_ends_of_their_registers():
    short = quantise(tau_m=1e-4, tau_syn=1e-4).neurons
    assert (short.du, short.dv) == (4095, 4095)
    long = quantise([[[0.1]]], size=1, tau_m=1e4, tau_syn=1e4, jump=0.1, current=1.0, potential=1.0)
    assert (long.neurons.du, long.neurons.dv) == (0, 0)
    assert row(long, "leak per step").realised == 0.0
    assert "no leak" in row(long, "leak per step").note


def test_time_constants_that_leave_nothing_to_see_are_refused():
    with pytest.raises(ConstraintViolationError, match="within a time step"):
        quantise(tau_m=1e-6, tau_syn=1e-6)


def test_without_a_leak_a_spike_adds_what_it_should():
    # tau_m of 100 s at dt 1 ms: the chip cannot leak so little. A spike's whole charge is
    # weight * tau_syn / tau_m of the membrane.
    made = quantise([[[500.0]]], size=1, tau_m=100.0, tau_syn=5e-3, jump=500.0, current=600.0,
                    potential=1.0)  # fmt: skip
    assert made.neurons.dv == 0
    u = int(made.synapses[0].weights[0, 0]) * 2.0 ** (6 + made.synapses[0].weight_exp)
    charge = u / ((made.neurons.du + 1) / 4096)
    # The integer kernel counts its first step whole, the exact one arrives within it.
    assert charge / (made.neurons.vth * 64) == pytest.approx(500 * 5e-3 / 100.0, rel=0.02)


def test_mean_drive_is_kept_though_decays_are_rounded():
    # In the steady state of a constant rate the membrane's mean is rate * weight * tau_syn.
    for tau_m in (3e-3, 50e-3, 0.7):
        made = quantise([[[1.0]]], size=1, tau_m=tau_m, jump=1.0, current=2.0, potential=2.0)
        u = int(made.synapses[0].weights[0, 0]) * 2.0 ** (6 + made.synapses[0].weight_exp)
        area = u / ((made.neurons.du + 1) / 4096) / (made.neurons.dv / 4096)
        # One spike per step: a rate of 1000 Hz. Exponential sums over the grid, first step whole.
        exact = 1.0 / -math.expm1(-DT / 5e-3)
        gain = (5e-3 / (5e-3 - tau_m)) * (math.exp(-DT / 5e-3) - math.exp(-DT / tau_m))
        exact *= gain / (1.0 - math.exp(-DT / tau_m))
        assert area / (made.neurons.vth * 64) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("bias", [0.9, 1.2, 5.0, -3.0])
def test_large_biases_are_held(bias):
    made = quantise(bias=bias, tau_m=5e-3)
    assert row(made, "bias").asked == bias
    assert abs(row(made, "bias").error) < 0.002
    per_step = int(made.neurons.bias_mant[0]) << made.neurons.bias_exp
    steady = per_step / (made.neurons.dv / 4096) / (made.neurons.vth * 64)
    assert steady == pytest.approx(bias, rel=0.002)


def test_a_silent_population_keeps_its_weights_expressible():
    # Nothing that happened in the sample bounds the scale; the exponent of the weights does.
    population = Population(
        name="p", size=2, neuron=LIF(tau_m=10e-3, tau_syn=10e-3, threshold=1e-3)
    )
    afferents = [Afferent(name="W", pre="q", weights=np.array([[0.5, -0.3], [0.1, 0.4]]))]
    seen = Activity(spikes=np.zeros((10, 2), bool), peak_jump=0, peak_current=0, peak_potential=0)
    made = quantise_population(population, afferents, seen, 1e-3)
    assert made.synapses[0].weight_exp <= 7
