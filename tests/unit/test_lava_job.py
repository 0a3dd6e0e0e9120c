"""What the Lava backend makes of a Program before Lava is involved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.common import check_run
from lava_align.backends.lava import LavaBackend, estimated_deadline
from lava_align.backends.lava_job import make_job
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

RULE = LearningRule(dw=Expression.parse("2^-1*x1*y0"), x1=Trace(40, 0), y1=Trace(20, 6))


def program(**changes: object) -> Program:
    learned = Synapses(
        name="B",
        pre="input",
        post="out",
        weights=[[10, -20, 4], [0, 2, 6]],
        weight_exp=2,
        learning=RULE,
        rng_seed=5,
    )
    return Program(
        target="test",
        dt=1e-3,
        n_steps=10,
        inputs=(InputGroup(name="input", size=3),),
        neurons=(
            NeuronGroup(
                name="out", size=2, du=1023, dv=2048, vth=100, bias_mant=[3, -3], bias_exp=4
            ),
        ),
        synapses=(
            Synapses(name="W", pre="input", post="out", weights=[[2, 4, 6], [8, 0, -2]]),
            replace(learned, **changes),
        ),
    )


INPUTS = {"input": Spikes(step=[0, 4, 12], neuron=[0, 2, 1], size=3)}


def test_integers_are_handed_on_unchanged() -> None:
    job = make_job(program(), INPUTS, 10, Probes(weight_steps=(10, 0, 10)), "fixed_pt")
    (neuron,) = job.description["neurons"]
    assert neuron["parameters"] == {"du": 1023, "dv": 2048, "vth": 100, "bias_exp": 4}
    np.testing.assert_array_equal(job.arrays["bias0"], [3, -3])
    static, plastic = job.description["synapses"]
    assert static["learning"] is None
    assert static["snapshots"] is None
    assert plastic["weight_exp"] == 2
    assert plastic["snapshots"][1] == [0, 10]
    assert plastic["learning"]["dw"] == "2^-1*y0*x1"
    assert plastic["learning"]["x1_tau"] == 0
    assert (plastic["learning"]["y1_impulse"], plastic["learning"]["y1_tau"]) == (20, 6)
    assert plastic["learning"]["rng_seed"] == 5
    np.testing.assert_array_equal(job.arrays["weights1"], program().synapses[1].weights)
    assert job.units == {"out": 1.0}


def test_spikes_after_the_end_are_not_sent() -> None:
    job = make_job(program(), INPUTS, 10, Probes(), "fixed_pt")
    assert job.arrays["step0"].tolist() == [0, 4]
    assert job.arrays["channel0"].tolist() == [0, 2]


def test_floats_are_the_same_network_in_the_unit_of_the_weights_that_learn() -> None:
    job = make_job(program(), INPUTS, 10, Probes(), "floating_pt")
    (neuron,) = job.description["neurons"]
    assert job.units == {"out": 256.0}
    assert neuron["parameters"] == {"du": 0.25, "dv": 0.5, "vth": 100 * 64 / 256}
    np.testing.assert_allclose(job.arrays["bias0"] * 256, [48, -48])
    np.testing.assert_allclose(job.arrays["weights0"] * 256, program().synapses[0].weights * 64)
    np.testing.assert_allclose(job.arrays["weights1"], program().synapses[1].weights)
    # Lava's float model makes NaN of tau 0.
    assert 0 < job.description["synapses"][1]["learning"]["x1_tau"] < 0.01


def test_weights_that_learn_and_do_not_act_leave_the_unit_alone() -> None:
    job = make_job(program(acts=False), INPUTS, 10, Probes(), "floating_pt")
    assert job.units == {"out": 64.0}


def test_everything_wrong_with_a_run_is_reported_at_once() -> None:
    inputs = {"other": INPUTS["input"]}
    probes = Probes(spikes=("input",), weight_steps=(-1, 3), states=("out.w",))
    with pytest.raises(InvalidInputError) as caught:
        check_run(program(), inputs, 0, probes)
    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "n_steps",
        "inputs.input",
        "inputs.other",
        "probes.spikes",
        "probes.states",
        "probes.weight_steps",
        "probes.weight_steps",
    ]


def test_an_input_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="4 channels"):
        check_run(program(), {"input": Spikes(step=[], neuron=[], size=4)}, 5, Probes())


def test_a_third_factor_is_refused() -> None:
    rule = LearningRule(dw=Expression.parse("2^-1*x1*y0"), third_factor=True)
    for numerics in ("fixed_pt", "floating_pt"):
        with pytest.raises(ConstraintViolationError, match="three-factor"):
            make_job(program(learning=rule), INPUTS, 10, Probes(), numerics)


def test_what_the_backend_does_not_wire_is_refused_all_at_once() -> None:
    net = program()
    static, plastic = net.synapses
    odd = replace(
        net,
        inputs=(replace(net.inputs[0], graded=True),),
        synapses=(
            replace(static, delays=np.ones_like(static.weights)),
            replace(plastic, graded="overwrite", gate=plastic.pre),
        ),
    )
    with pytest.raises(ConstraintViolationError) as caught:
        make_job(odd, INPUTS, 10, Probes(), "fixed_pt")
    found = [problem.value for problem in caught.value.problems]
    assert found == ["graded spikes", "delays", "graded mode overwrite", f"gate {plastic.pre}"]


def test_floats_refuse_what_lavas_float_models_lack() -> None:
    coincidence = LearningRule(dw=Expression.parse("2^-1*x0*y0"))
    make_job(program(learning=coincidence), INPUTS, 10, Probes(), "fixed_pt")
    with pytest.raises(ConstraintViolationError, match="coincidence"):
        make_job(program(learning=coincidence), INPUTS, 10, Probes(), "floating_pt")


def test_floats_refuse_two_exponents_of_weights_that_learn_and_act_on_one_group() -> None:
    net = program()
    second = replace(net.synapses[1], name="C", weight_exp=0)
    both = replace(net, synapses=(*net.synapses, second))
    make_job(both, INPUTS, 10, Probes(), "fixed_pt")
    with pytest.raises(ConstraintViolationError, match="weight_exp 0, but 2 in B"):
        make_job(both, INPUTS, 10, Probes(), "floating_pt")


def test_the_estimated_deadline_grows_with_steps_and_plastic_synapses() -> None:
    net = program()
    static = replace(net, synapses=net.synapses[:1])
    assert estimated_deadline(net, 10) < estimated_deadline(net, 10_000)
    assert estimated_deadline(static, 10_000) < estimated_deadline(net, 10_000)


def test_unknown_numerics_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="fixed_pt or floating_pt"):
        LavaBackend("float")
