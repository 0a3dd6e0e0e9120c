from dataclasses import replace

import numpy as np
import pytest

from lava_align.compiler.express import express
from lava_align.errors import ConstraintViolationError
from lava_align.model.network import LIF, EscapeNeuron, Network, Population, Projection, Stimulus
from lava_align.model.stimuli import PoissonDrive
from lava_align.targets import load_target

ALL = ("tau_rise", "reset", "refractory")
STOCK, PROGRAMMABLE = load_target("loihi1"), load_target("loihi2")


def network(first, second=None):
    kinds = (first, second or LIF(tau_m=20e-3, tau_syn=5e-3))
    return Network(
        dt=1e-3,
        duration=1.0,
        populations=tuple(
            Population(name=n, size=2, neuron=k) for n, k in zip("ab", kinds, strict=True)
        ),
        projections=(
            Projection(name="ab", pre="a", post="b", weights=np.ones((2, 2))),
            Projection(name="ba", pre="b", post="a", weights=np.full((2, 2), 3.0)),
        ),
        stimuli=(Stimulus(name="s", population="a", weight=5.0, drive=PoissonDrive(rate=9.0)),),
    )


RICH = LIF(tau_m=20e-3, tau_syn=10e-3, tau_rise=3e-3, reset=-1.0, refractory=2e-3, threshold=1.0)
PLAIN = LIF(tau_m=20e-3, tau_syn=5e-3, bias=0.2)


def test_what_can_be_expressed_is_left_alone():
    net = network(PLAIN)
    assert express(net, (), STOCK) == (net, ())
    assert express(net, ALL, STOCK) == (net, ())


def test_programmable_neurons_express_all_that_is_not_to_be_simplified():
    net = network(RICH)
    assert express(net, (), PROGRAMMABLE) == (net, ())
    simple, _ = express(net, ("reset",), PROGRAMMABLE)
    neuron = simple.population("a").neuron
    assert neuron == replace(RICH, reset=0.0)


def test_stochastic_neurons_need_programmable_ones():
    net = network(EscapeNeuron(refractory=10e-3))
    assert express(net, ALL, PROGRAMMABLE) == (net, ())
    with pytest.raises(ConstraintViolationError, match=r"populations\.a\.kind.*loihi1"):
        express(net, ALL, STOCK)


def test_everything_inexpressible_is_named_at_once_with_a_way_out():
    with pytest.raises(ConstraintViolationError) as caught:
        express(network(RICH, replace(RICH, tau_rise=0.0)), (), STOCK)
    assert {p.where for p in caught.value.problems} == {
        "populations.a.tau_rise",
        "populations.a.reset",
        "populations.a.refractory",
        "populations.b.reset",
        "populations.b.refractory",
    }
    for problem in caught.value.problems:
        assert f'approximate = ["{problem.where.rsplit(".", 1)[1]}"]' in problem.allowed


def test_only_what_is_named_may_be_simplified():
    with pytest.raises(ConstraintViolationError) as caught:
        express(network(RICH), ("tau_rise", "refractory"), STOCK)
    assert [p.where for p in caught.value.problems] == ["populations.a.reset"]


def test_simplifications_are_reported_and_keep_areas_and_mean_delay():
    net = network(RICH)
    simple, quantities = express(net, ALL, STOCK)
    neuron = simple.population("a").neuron
    assert (neuron.tau_rise, neuron.reset, neuron.refractory) == (0.0, 0.0, 0.0)
    assert [(q.where, q.name, q.asked, q.realised) for q in quantities] == [
        ("a", "tau_rise", 3e-3, 0.0),
        ("a", "reset", -1.0, 0.0),
        ("a", "refractory", 2e-3, 0.0),
    ]
    assert all(q.note and q.error == -1.0 for q in quantities)
    # Integrate both kernels: area and centre of mass.
    t = np.arange(0, 0.5, 1e-5)
    double = (10 / 7) * (np.exp(-t / 10e-3) - np.exp(-t / 3e-3))
    single = np.exp(-t / neuron.tau_syn)
    gain = simple.projection("ba").weights[0, 0] / 3.0
    assert gain * single.sum() == pytest.approx(double.sum(), rel=2e-3)
    assert (t * single).sum() / single.sum() == pytest.approx(
        (t * double).sum() / double.sum(), rel=2e-3
    )
    assert simple.stimuli[0].weight == pytest.approx(5.0 * gain)
    # What goes into the other population is as it was.
    assert np.array_equal(simple.projection("ab").weights, net.projection("ab").weights)


def test_a_threshold_that_a_reset_to_zero_would_cross_is_refused():
    low = LIF(tau_m=20e-3, tau_syn=5e-3, reset=-2.0, threshold=-0.5)
    with pytest.raises(ConstraintViolationError, match=r"a\.threshold.*above 0"):
        express(network(low), ("reset",), STOCK)
