import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lava_align.compiler import calibrate
from lava_align.compiler.compile import compile_network
from lava_align.compiler.folder import program_files
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.model.network import (
    LIF,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
    draw_stimuli,
)
from lava_align.model.stimuli import PoissonDrive
from lava_align.targets import load_target

TARGET = load_target("loihi2")


@pytest.fixture(autouse=True)
def _short_sample(monkeypatch):
    monkeypatch.setattr(calibrate, "SAMPLE_SECONDS", 1.0)


def feedback(name="B", **changes):
    fields = {
        "pre": "upper",
        "post": "lower",
        "weights": np.full((8, 3), 1e-4),
        "acts": False,
        "plasticity": Plasticity(rule="stdwi", mirrors="W"),
    }
    return Projection(name=name, **(fields | changes))


def network(*more, forward=1.0, drive=2.0, **changes):
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3)
    weights = forward * np.random.default_rng(1).normal(0.4, 0.8, (3, 8))
    fields = {
        "dt": 1e-3,
        "duration": 5.0,
        "populations": (
            Population(name="lower", size=8, neuron=neuron),
            Population(name="upper", size=3, neuron=neuron),
        ),
        "projections": (
            Projection(name="W", pre="lower", post="upper", weights=weights),
            *(more or (feedback(),)),
        ),
        "stimuli": (
            Stimulus(name="s", population="lower", weight=drive, drive=PoissonDrive(rate=150.0)),
        ),
    }
    return Network(**(fields | changes))


def row(compilation, where, name):
    return next(q for q in compilation.quantities if (q.where, q.name) == (where, name))


def test_same_network_gives_the_same_bytes_whatever_the_stimuli_draw():
    first = compile_network(network(), TARGET)
    draw_stimuli(network(), 1)
    np.random.seed(3)  # noqa: NPY002 - the global generator must not matter
    second = compile_network(network(), TARGET)
    assert program_files(first.program) == program_files(second.program)
    assert first.quantities == second.quantities


def test_everything_is_plain_and_finite_even_if_nobody_spikes():
    for net in (network(), network(drive=0.0), network(stimuli=()), network(duration=1e-3)):
        made = compile_network(net, TARGET)
        content = [
            [asdict(q) for q in made.quantities],
            [asdict(c) for c in made.checks],
            {k: dict(v) for k, v in made.predictions.items()},
            dict(made.expected_rates),
            dict(made.weight_scales),
        ]
        json.dumps(content, allow_nan=False)
        assert program_files(made.program)


def test_the_program_is_the_network():
    made = compile_network(network(), TARGET)
    program = made.program
    assert [g.name for g in program.neurons] == ["lower", "upper"]
    assert {(s.name, s.pre, s.post) for s in program.synapses} == {
        ("W", "lower", "upper"),
        ("s", "s", "lower"),
        ("B", "upper", "lower"),
    }
    assert program.mirrors == {"B": "W"}
    assert program.synapses[-1].weights.shape == (8, 3)
    (diagonal,) = (s.weights for s in program.synapses if s.name == "s")
    assert np.count_nonzero(diagonal - np.diag(np.diag(diagonal))) == 0
    assert made.expected_rates["lower"] > 10


def test_initial_weights_are_scaled_and_those_out_of_range_refused():
    made = compile_network(network(), TARGET)
    scale = made.weight_scales["B"]
    fits = feedback(weights=np.linspace(-200, 200, 24).reshape(8, 3) / scale)
    made = compile_network(network(fits), TARGET)
    found = made.program.synapses[-1].weights
    assert np.abs(found - fits.weights * scale).max() <= 1.0
    assert abs(row(made, "B", "initial weights (rms)").error) < 0.01
    with pytest.raises(ConstraintViolationError, match="start nearer to 0"):
        compile_network(network(feedback(weights=np.full((8, 3), 300 / scale))), TARGET)


def test_two_plastic_projections_have_rules_and_seeds_of_their_own():
    other = feedback("C", plasticity=Plasticity(rule="stdwi", mirrors="W", variant="one-stage"))
    made = compile_network(network(feedback(), other), TARGET)
    first, second = made.program.plastic()
    assert first.rng_seed != second.rng_seed
    assert first.learning.dt is not None
    assert second.learning.dt is None
    assert set(made.predictions) == set(made.weight_scales) == {"B", "C"}


def test_weights_that_act_do_so_at_the_strength_they_say():
    made = compile_network(network(feedback(acts=True)), TARGET)
    synapses = made.program.synapses[-1]
    assert synapses.acts
    # A unit of the paper's weight against the same current through the stimulus' fixed weight 2.
    (fixed,) = (s for s in made.program.synapses if s.name == "s")
    fixed_current = fixed.weights[0, 0] * 2.0**fixed.weight_exp / 2.0
    learned_current = made.weight_scales["B"] * 2.0**synapses.weight_exp
    strength = row(made, "B", "strength of the learned weights")
    assert learned_current / fixed_current == pytest.approx(strength.realised, rel=0.01)
    assert 0.7 < strength.realised < 1.42


def test_room_is_left_for_what_acting_weights_will_learn():
    # At a high learning rate the learned weights outgrow the fixed ones by far.
    strong = Plasticity(rule="stdwi", mirrors="W", parameters={"eta": 0.5})
    made = compile_network(network(feedback(acts=True, plasticity=strong)), TARGET)
    synapses = made.program.synapses[-1]
    spread = made.predictions["B"]["weight_sd"]
    jump = 3 * spread * 2.0**synapses.weight_exp
    assert jump < 2**15
    silent = compile_network(network(feedback(plasticity=strong)), TARGET)
    assert made.program.neurons[0].vth <= silent.program.neurons[0].vth


def test_all_violations_are_listed():
    tiny = Population(name="x", size=2, neuron=LIF(tau_m=10e-3, tau_syn=5e-3, threshold=1e20))
    net = network()
    net = replace(
        net,
        populations=(*net.populations, tiny, replace(tiny, name="y")),
        projections=(
            *net.projections,
            Projection(name="Wx", pre="lower", post="x", weights=np.full((2, 8), 1e-3)),
            Projection(name="Wy", pre="lower", post="y", weights=np.full((2, 8), 1e-3)),
        ),
    )
    with pytest.raises(ConstraintViolationError) as caught:
        compile_network(net, TARGET)
    text = str(caught.value)
    assert "synapses.Wx.weight_exp" in text
    assert "synapses.Wy.weight_exp" in text


def test_disparate_weights_are_a_violation_with_a_way_out():
    faint = Projection(name="F", pre="lower", post="upper", weights=np.full((3, 8), 1e-9))
    with pytest.raises(ConstraintViolationError, match=r"synapses\.F\.weight_exp.*allowed"):
        compile_network(network(feedback(), faint), TARGET)


def test_unknown_rules_variants_and_parameters_are_refused():
    for plasticity, says in (
        (Plasticity(rule="magic", mirrors="W"), "no rule 'magic'"),
        (Plasticity(rule="stdwi", mirrors="W", variant="three-stage"), "two-stage, one-stage"),
        (Plasticity(rule="stdwi", mirrors="W", parameters={"etta": 1.0}), "unknown parameter"),
        (Plasticity(rule="stdwi", mirrors="W", parameters={"eta": 0.0}), "> 0"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            compile_network(network(feedback(plasticity=plasticity)), TARGET)


@pytest.mark.parametrize("eta", [1e-300, 1e-30, 1e30, 1e300])
def test_absurd_learning_rates_end_in_an_error_that_says_what_does_not_fit(eta):
    absurd = Plasticity(rule="stdwi", mirrors="W", parameters={"eta": eta})
    with pytest.raises(ConstraintViolationError, match=r"\bB\b|currents up to"):
        compile_network(network(feedback(acts=True, plasticity=absurd)), TARGET)
