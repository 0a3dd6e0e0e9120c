"""Networks: every inconsistency is named, all at once."""

from dataclasses import replace

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.model import (
    LIF,
    Network,
    Plasticity,
    PoissonDrive,
    Population,
    Projection,
    Stimulus,
)

NEURON = LIF(tau_m=10e-3, tau_syn=5e-3)
LOWER = Population(name="lower", size=3, neuron=NEURON)
UPPER = Population(name="upper", size=2, neuron=NEURON)
W = Projection(name="W", pre="lower", post="upper", weights=np.ones((2, 3)))
RULE = Plasticity(rule="stdwi", mirrors="W")
B = Projection(name="B", pre="upper", post="lower", weights=np.zeros((3, 2)), plasticity=RULE)
S = Stimulus(name="s", population="lower", weight=1.0, drive=PoissonDrive(rate=10.0))

GOOD = {
    "dt": 1e-3,
    "duration": 1.0,
    "populations": (LOWER, UPPER),
    "projections": (W, B),
    "stimuli": (S,),
}


def refusal(**changes):
    with pytest.raises(InvalidInputError) as caught:
        Network(**{**GOOD, **changes})
    return [str(problem) for problem in caught.value.problems]


def neuron(**changes):
    return (replace(LOWER, neuron=replace(NEURON, **changes)), UPPER)


def test_a_network_finds_its_parts():
    network = Network(**GOOD)
    assert network.n_steps == 1000
    assert network.population("upper") is UPPER
    assert network.projection("B") is B
    assert network.plastic() == (B,)
    assert network.into("lower") == (B,)
    silent = replace(B, acts=False)
    assert Network(**{**GOOD, "projections": (W, silent)}).into("lower") == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dt": 0.0}, "dt: 0 s"),
        ({"dt": -1e-3}, "dt: -1 ms"),
        ({"dt": float("nan")}, "dt: nan s"),
        ({"duration": float("inf")}, "duration: inf s"),
        ({"duration": 1e-4}, "duration: 100 us is shorter than dt (1 ms); at least one step"),
        ({"duration": 1e9}, "at most 2147483647 steps"),
        ({"dt": 1e-300, "duration": 1e300}, "at most 2147483647 steps"),
        ({"populations": neuron(tau_m=0.0)}, "populations.lower.tau_m: 0 s"),
        ({"populations": neuron(tau_syn=-1e-3)}, "populations.lower.tau_syn: -1 ms"),
        ({"populations": neuron(tau_syn=float("nan"))}, "populations.lower.tau_syn: nan s"),
        ({"populations": neuron(tau_rise=-1.0)}, "populations.lower.tau_rise: -1 s"),
        ({"populations": neuron(tau_rise=5e-3)}, "tau_rise: 5 ms; below tau_syn (5 ms)"),
        ({"populations": neuron(refractory=1e-4)}, "refractory: 100 us; 0 or >= dt (1 ms)"),
        ({"populations": neuron(refractory=-1.0)}, "populations.lower.refractory: -1 s"),
        ({"populations": neuron(reset=1.0)}, "populations.lower.threshold: 1.0; above reset (1.0)"),
        ({"populations": neuron(bias=float("inf"))}, "populations.lower.bias: inf"),
        ({"populations": (replace(LOWER, size=0), UPPER)}, "populations.lower.size: 0"),
        ({"populations": (replace(LOWER, size=2**31), UPPER)}, "populations.lower.size"),
        ({"projections": (replace(W, pre="x"),)}, "W.pre: no population 'x'; one of: lower, upper"),
        ({"projections": (replace(W, weights=np.ones((3, 2))),)}, "shape (3, 2); (n_post, n_pre)"),
        ({"projections": (replace(W, weights=np.ones(6)),)}, "shape (6,)"),
        ({"projections": (replace(W, weights=np.full((2, 3), np.nan)),)}, "W.weights: NaN"),
        ({"projections": (replace(W, acts=False),)}, "W.acts: false without a rule"),
        ({"projections": (B,)}, "B.rule.mirrors: no projection 'W'; one of: none"),
        (
            {"projections": (W, replace(B, pre="lower", post="upper", weights=np.ones((2, 3))))},
            "'W' runs lower -> upper; a projection upper -> lower",
        ),
        ({"projections": (W, B, replace(W, name="B"))}, "projections.B: name used twice"),
        ({"stimuli": (replace(S, name="lower"),)}, "stimuli.lower: name used twice"),
        ({"stimuli": (replace(S, name="a b"),)}, "stimuli.a b: not a name"),
        ({"stimuli": (replace(S, name=""),)}, "not a name"),
        ({"stimuli": (replace(S, name="é"),)}, "not a name"),
        ({"stimuli": (replace(S, population="x"),)}, "s.population: no population 'x'"),
        ({"stimuli": (replace(S, weight=float("nan")),)}, "stimuli.s.weight: nan"),
        (
            {"stimuli": (replace(S, drive=PoissonDrive(rate=1001.0)),)},
            "stimuli.s.drive.rate: 1001.0 Hz; 0..1000 Hz (at most one spike per step)",
        ),
    ],
)
def test_each_inconsistency_is_the_only_problem(changes, words):
    found = refusal(**changes)
    assert len(found) == 1
    assert words in found[0]


def test_a_network_without_populations():
    assert refusal(populations=(), projections=(), stimuli=()) == [
        "populations: none; a network needs at least one population"
    ]


def test_all_inconsistencies_are_named_at_once():
    found = refusal(
        dt=-1.0,
        populations=(replace(LOWER, size=0), UPPER),
        projections=(replace(W, pre="x"), replace(B, post="y")),
        stimuli=(replace(S, weight=float("nan")),),
    )
    assert [line.split(":")[0] for line in found] == [
        "dt",
        "populations.lower.size",
        "projections.W.pre",
        "projections.B.post",
        "stimuli.s.weight",
    ]


def test_equality_and_digest_follow_the_content():
    network = Network(**GOOD)
    assert network == Network(**GOOD)
    assert network.digest() == Network(**{**GOOD, "duration": 1}).digest()
    weights = np.ones((2, 3))
    weights[1, 2] = np.nextafter(1.0, 2.0)
    for changes in (
        {"duration": 2.0},
        {"projections": (replace(W, weights=weights), B)},
        {"projections": (W, replace(B, plasticity=replace(RULE, parameters={"eta": 1.0})))},
        {"stimuli": (replace(S, drive=PoissonDrive(rate=11.0)),)},
        {"stimuli": ()},
    ):
        assert Network(**{**GOOD, **changes}) != network


def test_weights_cannot_be_changed_from_outside():
    weights = np.ones((2, 3))
    projection = replace(W, weights=weights)
    weights[:] = 9.0
    assert (projection.weights == 1.0).all()
    with pytest.raises(ValueError, match="read-only"):
        projection.weights[0, 0] = 2.0
