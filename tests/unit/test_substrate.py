"""Mismatch, dead synapses and noisy writes: as large as asked, on the chip's side alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import EscapeGroup, InputGroup, NeuronGroup, Program, Synapses
from lava_align.compiler.stochastic import escape_table
from lava_align.compiler.substrate import on_substrate
from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, LearningRule
from lava_align.model.substrate import Substrate
from lava_align.recording import Spikes

RULE = LearningRule(dw=Expression.parse("x0*y1"))


def program(n=60):
    rng = np.random.default_rng(1)
    return Program(
        target="",
        dt=1e-3,
        n_steps=100,
        inputs=(InputGroup(name="in", size=n),),
        neurons=(
            NeuronGroup(name="a", size=n, du=400, dv=400, vth=5000, bias_mant=np.zeros(n)),
            EscapeGroup(
                name="b",
                size=n,
                bias=np.full(n, 100),
                window=10,
                refractory=10,
                shift=5,
                table=escape_table(10, 800.0, 5),
            ),
        ),
        synapses=(
            Synapses(name="drive", pre="in", post="a", weights=200 * np.eye(n)),
            Synapses(name="W", pre="a", post="b", weights=2 * rng.integers(-90, 91, (n, n))),
            Synapses(
                name="B", pre="b", post="a", weights=np.zeros((n, n)), learning=RULE, acts=False
            ),
        ),
        mirrors={"B": "W"},
    )


def test_an_ideal_substrate_changes_nothing():
    assert Substrate().ideal
    assert on_substrate(program(), Substrate(seed=5)) == program()


def test_the_same_seed_is_the_same_chip():
    wanted = Substrate(threshold=0.1, weight=0.1, dead=0.1, write=2.0)
    one, same, other = (on_substrate(program(), replace(wanted, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_weights_are_off_by_as_much_as_asked_and_stay_on_the_grid():
    before = program().synapses[1].weights.astype(float)
    after = on_substrate(program(), Substrate(weight=0.2)).synapses[1].weights
    assert (after % 2 == 0).all()
    large = np.abs(before) > 40
    assert np.std(after[large] / before[large]) == pytest.approx(0.2, rel=0.06)
    assert np.mean(after[large] / before[large]) == pytest.approx(1.0, abs=0.02)


def test_dead_synapses_are_as_many_as_asked_and_stimuli_are_ideal():
    made = on_substrate(program(), Substrate(dead=0.3))
    before, after = program().synapses[1].weights, made.synapses[1].weights
    dead = (after == 0) & (before != 0)
    assert dead.sum() / (before != 0).sum() == pytest.approx(0.3, abs=0.03)
    assert (after[~dead] == before[~dead]).all()
    assert made.synapses[0] == program().synapses[0]


def test_writes_are_noisy_also_for_plastic_weights_that_are_not_zero():
    wanted = program()
    start = replace(wanted.synapses[2], weights=np.full((60, 60), 20))
    wanted = replace(wanted, synapses=(*wanted.synapses[:2], start))
    made = on_substrate(wanted, Substrate(write=6.0))
    for index in (1, 2):
        before, after = wanted.synapses[index].weights, made.synapses[index].weights
        error = (after.astype(int) - before)[before != 0]
        assert np.std(error) == pytest.approx(6.0, rel=0.06)
    assert on_substrate(wanted, Substrate(weight=0.5)).synapses[2] == start


def test_a_mismatched_threshold_is_crossed_at_as_much_more_or_less_drive():
    # A constant current that settles the membrane at a share of the threshold: the neurons that
    # fire are those whose own threshold is below it.
    n = 60
    group = program().neurons[0]
    made = on_substrate(program(), Substrate(threshold=0.1)).neurons[0]
    drive = made.bias_mant.astype(float) * 2.0**made.bias_exp
    share = -drive / ((group.vth << 6) * group.dv / 4096)
    assert np.std(share) == pytest.approx(0.1, rel=0.25)
    settled = 0.97
    mantissa = np.rint((settled * (group.vth << 6) * group.dv / 4096 + drive) / 2**5)
    alone = Program(
        target="",
        dt=1e-3,
        n_steps=300,
        inputs=(InputGroup(name="in", size=n),),
        neurons=(replace(made, bias_mant=mantissa.astype(int), bias_exp=5),),
        synapses=(),
    )
    silent = Spikes(step=np.zeros(0, int), neuron=np.zeros(0, int), size=n)
    found = NativeBackend().run(alone, {"in": silent}, 300)
    fired = found.spikes["a"].counts() > 0
    clear = np.abs(share - (settled - 1)) > 0.01
    assert (fired == (share < settled - 1))[clear].all()
    assert 0 < fired.sum() < n


def test_stochastic_neurons_are_shifted_in_units_of_their_potential():
    made = on_substrate(program(), Substrate(threshold=0.5)).neurons[1]
    assert np.std(made.bias - 100) == pytest.approx(0.5 * 800, rel=0.25)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": -0.1}, "substrate.threshold"),
        ({"dead": 1.5}, "a share"),
        ({"write": float("nan")}, "substrate.write"),
    ],
)
def test_values_out_of_range_are_named(values, message):
    with pytest.raises(InvalidInputError, match=message):
        Substrate(**values)
