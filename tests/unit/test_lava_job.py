"""What the Lava backend makes of a Program before Lava is involved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.common import as_spikes, check_run
from lava_align.backends.lava import LavaBackend, estimated_deadline
from lava_align.backends.lava_job import describe_neurons, make_job
from lava_align.compiler.program import (
    Apical,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Program,
    Synapses,
    Window,
)
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
    probes = Probes(weight_steps=(10, 0, 10), states=("out.v",))
    job = make_job(program(), INPUTS, 10, probes, "fixed_pt")
    (neuron,) = job.description["neurons"]
    expected = {"du": 1023, "dv": 2048, "vth": 100, "bias_exp": 4, "bias_mant": "bias_mant0"}
    assert (neuron["process"], neuron["parameters"]) == ("LIF", expected)
    np.testing.assert_array_equal(job.arrays["bias_mant0"], [3, -3])
    static, plastic = job.description["synapses"]
    assert static["learning"] is None
    assert static["snapshots"] is None
    assert plastic["weight_exp"] == 2
    assert plastic["snapshots"][1] == [0, 10]
    assert not plastic["learning"]["third_factor"]
    rule = plastic["learning"]["arguments"]
    assert rule["dw"] == "2^-1*y0*x1"
    assert rule["x1_tau"] == 0
    assert (rule["y1_impulse"], rule["y1_tau"]) == (20, 6)
    assert rule["rng_seed"] == 5
    np.testing.assert_array_equal(job.arrays["weights1"], program().synapses[1].weights)
    assert job.units == {"out.v": 1.0}


def test_spikes_after_the_end_are_not_sent() -> None:
    job = make_job(program(), INPUTS, 10, Probes(), "fixed_pt")
    assert job.arrays["step0"].tolist() == [0, 4]
    assert job.arrays["channel0"].tolist() == [0, 2]


def test_floats_are_the_same_network_in_the_unit_of_the_weights_that_learn() -> None:
    job = make_job(program(), INPUTS, 10, Probes(states=("out.v",)), "floating_pt")
    (neuron,) = job.description["neurons"]
    assert job.units == {"out.v": 256.0}
    expected = {"du": 0.25, "dv": 0.5, "vth": 100 * 64 / 256, "bias_mant": "bias_mant0"}
    assert neuron["parameters"] == expected
    np.testing.assert_allclose(job.arrays["bias_mant0"] * 256, [48, -48])
    np.testing.assert_allclose(job.arrays["weights0"] * 256, program().synapses[0].weights * 64)
    np.testing.assert_allclose(job.arrays["weights1"], program().synapses[1].weights)
    # Lava's float model makes NaN of tau 0.
    assert 0 < job.description["synapses"][1]["learning"]["arguments"]["x1_tau"] < 0.01


def test_weights_that_learn_and_do_not_act_leave_the_unit_alone() -> None:
    job = make_job(program(acts=False), INPUTS, 10, Probes(states=("out.v",)), "floating_pt")
    assert job.units == {"out.v": 64.0}


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


def test_a_third_factor_has_no_post_traces() -> None:
    rule = LearningRule(dw=Expression.parse("2^-1*x1*y0"), third_factor=True)
    for numerics in ("fixed_pt", "floating_pt"):
        job = make_job(program(learning=rule), INPUTS, 10, Probes(), numerics)
        described = job.description["synapses"][1]["learning"]
        assert described["third_factor"]
        assert not any(key.startswith("y") for key in described["arguments"])


def test_payloads_delays_gates_and_ends_are_described() -> None:
    net = program()
    static, plastic = net.synapses
    graded = replace(
        net,
        inputs=(replace(net.inputs[0], graded=True),),
        neurons=(replace(net.neurons[0], apical=Apical(decay=1024, report=3)),),
        synapses=(
            replace(static, delays=np.ones_like(static.weights), into="apical"),
            replace(plastic, graded="overwrite", gate="out.apical"),
        ),
    )
    values = np.zeros((12, 3), int)
    values[3], values[11] = (0, -5, 7), 1
    inputs = as_spikes(graded, {"input": values})
    job = make_job(graded, inputs, 10, Probes(), "fixed_pt", seed=4)
    assert job.arrays["value0"].tolist() == [-5, 7]
    assert (job.arrays["delays0"] == 1).all()
    assert "delays1" not in job.arrays
    first, second = job.description["synapses"]
    assert (first["into"], second["gate"], second["graded"]) == (
        "apical",
        "out.apical",
        "overwrite",
    )
    (neuron,) = job.description["neurons"]
    assert neuron["process"] == "ExtendedLIF"
    assert neuron["parameters"]["apical"] == {"decay": 1024, "report": 3}
    assert (neuron["parameters"]["seed"], neuron["parameters"]["index"]) == (4, 0)


def test_floats_of_our_neurons_are_fractions_in_the_groups_unit() -> None:
    group = NeuronGroup(
        name="out",
        size=2,
        du=1023,
        dv=2048,
        dr=2047,
        vth=100,
        bias_mant=[3, -3],
        reset=-20,
        refractory=2,
        apical=Apical(decay=1024, report=3),
        window=Window(margin=10, reach=40, length=5, average=3, bits=4, scale=2),
    )
    parameters = describe_neurons(group, "floating_pt", 1)["parameters"]
    assert (parameters["dr"], parameters["reset"], parameters["vth"]) == (0.5, -10, 50)
    assert parameters["apical"]["decay"] == 0.25
    assert (parameters["window"]["margin"], parameters["window"]["reach"]) == (5, 20)
    assert parameters["window"]["length"] == 5
    assert parameters["unit"] == 128
    escape = EscapeGroup(
        name="e", size=1, bias=[6], window=2, refractory=1, shift=3, table=np.zeros(256)
    )
    described = describe_neurons(escape, "floating_pt", 2)
    assert described["arrays"]["bias"].tolist() == [1.5]
    assert described["parameters"]["unit"] == 4


def test_floats_refuse_the_mode_that_lavas_float_model_takes_for_another() -> None:
    net = program(graded="add_without_saturation")
    net = replace(net, inputs=(replace(net.inputs[0], graded=True),))
    make_job(net, INPUTS, 10, Probes(), "fixed_pt")
    with pytest.raises(ConstraintViolationError, match="overflow"):
        make_job(net, INPUTS, 10, Probes(), "floating_pt")


def test_inputs_may_be_arrays_and_graded_ones_must_fit() -> None:
    net = program()
    raster = np.zeros((4, 3), int)
    raster[2, 1] = 5
    (spikes,) = as_spikes(net, {"input": raster}).values()
    assert spikes == Spikes(step=[2], neuron=[1], size=3)
    for wrong in (raster[0], raster.astype(float), raster + 2**31):
        with pytest.raises(InvalidInputError, match="int32"):
            as_spikes(net, {"input": wrong})
    graded = Spikes(step=[2], neuron=[1], size=3, value=[5])
    with pytest.raises(InvalidInputError, match="without values"):
        check_run(net, {"input": graded}, 5, Probes())


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
