"""Properties of every implementation of the engine that need no Lava."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lava_align.compiler.checks import check
from lava_align.compiler.folder import program_files, program_from_files
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.engine.base import Semantics
from lava_align.engine.deviations import DEVIATIONS
from lava_align.engine.hashing import mix, scramble
from lava_align.engine.rounding import IndependentRounding, SharedRounding
from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.targets import load_target
from lava_align.testing import ENGINES, Case, cases, state_names

DOC = Path(__file__).resolve().parents[2] / "docs" / "engine_semantics.md"
LAVA, INDEPENDENT = get_args(Semantics)

every_engine = pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)


@every_engine
@settings(max_examples=25, deadline=None)
@given(case=cases(n_steps=20), semantics=st.sampled_from([LAVA, INDEPENDENT]))
def test_a_run_in_pieces_is_the_run_in_one(make, case: Case, semantics: str) -> None:
    program, inputs = case.program, case.inputs
    groups = tuple(group.name for group in program.neurons)
    states = tuple(n for n in state_names(program) if n.rpartition(".")[2][0] in "uvxy")
    whole, first, second = (make(program, semantics, 7) for _ in range(3))
    expected = whole.run(case.n_steps, inputs, groups, states)
    begun = first.run(case.cut, inputs, groups, states)
    second.restore(first.state())
    assert second.step == first.step == case.cut
    ended = second.run(case.n_steps - case.cut, inputs, groups, states)
    assert (expected.start, begun.stop, ended.start, ended.stop) == (
        0,
        case.cut,
        case.cut,
        case.n_steps,
    )
    for name in groups:
        for k, dtype in enumerate((np.int64, np.int32)):
            pieces = [chunk.spikes[name][k] for chunk in (begun, ended)]
            np.testing.assert_array_equal(np.concatenate(pieces), expected.spikes[name][k])
            assert expected.spikes[name][k].dtype == dtype
    for name in states:
        pieces = [chunk.states[name] for chunk in (begun, ended)]
        np.testing.assert_array_equal(np.concatenate(pieces), expected.states[name])
        np.testing.assert_array_equal(expected.states[name][-1], whole.read(name))
        assert expected.states[name].dtype == np.int32
    for name, value in whole.state().items():
        np.testing.assert_array_equal(second.state()[name], value, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_a_program_survives_its_folder(case: Case) -> None:
    # A stored program is for a chip, where synapses live with the neurons they lead to.
    neurons = {group.name for group in case.program.neurons}
    assume(all(synapses.post in neurons for synapses in case.program.synapses))
    assert program_from_files(program_files(case.program), "folder") == case.program


def network(size: int = 1, n_pre: int = 1, text: str = "3*2^-7*u0", **changes: object) -> Program:
    """One plastic projection between two inputs, traces of tau 10."""
    rule = LearningRule(dw=Expression.parse(text), x1=Trace(100, 10), **changes)
    synapses = Synapses(name="s", pre="a", post="b", weights=np.zeros((size, n_pre)), learning=rule)
    inputs = (InputGroup(name="a", size=n_pre), InputGroup(name="b", size=size))
    return Program(
        target="test", dt=1e-3, n_steps=10, inputs=inputs, neurons=(), synapses=(synapses,)
    )


def once(program: Program, n_steps: int) -> dict[str, np.ndarray]:
    """All of ``a`` spike in the first step."""
    inputs = {g.name: np.zeros((n_steps, g.size), int) for g in program.inputs}
    inputs["a"][0] = 1
    return inputs


@every_engine
def test_independent_rounding_is_unbiased_and_its_own_for_each(make) -> None:
    program = network(50, 60)
    engine = make(program, INDEPENDENT, 3)
    engine.run(11, once(program, 11), ())
    trace, weights = engine.read("s.x1"), engine.read("s.weights")
    # Standard errors: below 0.7 / sqrt(60) and 0.5 * sqrt(11) / sqrt(3000).
    assert abs(trace.mean() - 100 * np.exp(-1)) < 0.4
    assert abs(weights.mean() - 11 * 3 / 128) < 0.05
    assert len(np.unique(trace)) > 2
    assert weights.std() > 0.3
    # No row and no column is another one.
    assert len(np.unique(weights, axis=0)) == 50
    assert len(np.unique(weights, axis=1).T) == 60
    lava = make(program, LAVA, 3)
    lava.run(11, once(program, 11), ())
    assert len(np.unique(lava.read("s.weights"))) == 1


@every_engine
def test_independent_rounding_depends_on_seed_projection_and_its_seed_alone(make) -> None:
    program = network(6, 7)
    (s,) = program.synapses
    twin = replace(program, synapses=(s, replace(s, name="twin")))
    other = replace(program, synapses=(replace(s, rng_seed=5),))
    found = []
    for net, seed in ((program, 1), (program, 1), (twin, 1), (program, 2), (other, 1)):
        engine = make(net, INDEPENDENT, seed)
        engine.run(30, once(net, 30), ())
        found.append(engine.read("s.weights").tolist())
        if net is twin:
            assert engine.read("twin.weights").tolist() != found[-1]
    assert found[0] == found[1] == found[2]
    assert found[3] != found[0] != found[4]


@every_engine
def test_the_seed_means_nothing_to_lavas_numbers(make) -> None:
    program = network(2, 2)
    engines = [make(program, LAVA, seed) for seed in (1, 2)]
    for engine in engines:
        engine.run(30, once(program, 30), ())
    np.testing.assert_array_equal(*(engine.read("s.weights") for engine in engines))


def test_the_hash_is_the_published_one() -> None:
    # The first outputs of SplitMix64 from seed 0.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4
    assert scramble(np.array([0, 1], np.uint64)).tolist() == [0, 1753845952]
    numbers = IndependentRounding(1, 2, 3).numbers("dw", 4, (2, 3))
    key = mix(mix(mix(mix(mix(1) + 2) + 3) + 5) + 4)
    inner = scramble(np.arange(6, dtype=np.uint64) ^ np.uint64(key % 2**32))
    expected = scramble((inner + np.uint64(key >> 32)) % np.uint64(2**32)) / 2**32
    np.testing.assert_array_equal(numbers.ravel(), expected)


def test_independent_numbers_are_uniform_and_uncorrelated() -> None:
    rounding = IndependentRounding(0, 0, 1)
    numbers = np.array([rounding.numbers("dt", step, (4000,)) for step in range(50)])
    counts = np.histogram(numbers, bins=128, range=(0, 1))[0]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 127 + 5 * np.sqrt(254)
    for a, b in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01


def test_shared_numbers_are_those_of_numpy_in_lavas_order() -> None:
    rounding, generators = SharedRounding(9), [np.random.default_rng(s) for s in (9, 11, 2)]
    x, y, w = ([generator.random() for _ in range(20)] for generator in generators)
    for step in range(6):
        rounding.advance(learning=step % 3 == 2)
        assert rounding.numbers("x2", step, (3,)) == x[2 * step + 2]
        assert rounding.numbers("y1", step, (3,)) == y[2 * step + 2]
    assert rounding.numbers("dd", 5, (2, 2)) == w[2]
    again = SharedRounding(1)
    again.restore(rounding.state())
    again.advance(learning=True)
    assert (again.numbers("x1", 6, ()), again.numbers("dw", 6, ())) == (x[14], w[3])


# What is refused ----------------------------------------------------------------------------


@every_engine
def test_programs_that_lava_has_no_model_for_are_refused_at_once(make) -> None:
    program = network(2, 3)
    (s,) = program.synapses
    wrong = replace(
        s,
        delays=np.full((2, 3), 64),
        weights=np.zeros((3, 3)),
        gate="a",
        graded="overwrite",
        modulators={"y1": "a"},
    )
    lost = replace(s, name="lost", pre="nowhere")
    with pytest.raises(InvalidInputError) as error:
        make(replace(program, synapses=(wrong, lost)), "other", -1)
    places = [problem.where for problem in error.value.problems]
    assert places == [
        "synapses.s.weights",
        "synapses.s.delays",
        "synapses.s.delays",
        "synapses.s.gate",
        "synapses.s.graded",
        "synapses.s.modulators.y1",
        "synapses.s.modulators.y1",
        "synapses.lost.pre",
        "engine semantics",
        "engine seed",
    ]


@every_engine
def test_inputs_and_names_that_do_not_fit_are_refused(make) -> None:
    program = network(2, 3)
    engine = make(program)
    good = once(program, 4)
    for inputs, where in (
        ({"a": good["a"]}, "inputs.b"),
        ({**good, "c": good["a"]}, "inputs.c"),
        ({**good, "b": good["a"]}, "inputs.b"),
        ({**good, "a": good["a"] + 0.5}, "inputs.a"),
        ({**good, "a": good["a"] + 2**31}, "inputs.a"),
    ):
        with pytest.raises(InvalidInputError, match=where):
            engine.run(1, inputs, ())
    with pytest.raises(InvalidInputError, match="spikes: 'a'"):
        engine.run(1, good, ("a",))
    with pytest.raises(InvalidInputError, match=r"states: 's\.w'"):
        engine.run(1, good, (), ("s.w",))
    with pytest.raises(InvalidInputError, match="n_steps"):
        engine.run(-1, good, ())
    with pytest.raises(InvalidInputError, match=r"s\.nothing"):
        engine.read("s.nothing")
    assert engine.step == 0


@every_engine
def test_a_state_of_another_program_is_refused(make) -> None:
    state = make(network(2, 3)).state()
    with pytest.raises(InvalidInputError, match=r"s\.weights: int32 of shape \(2, 3\)"):
        make(network(2, 4)).restore(state)
    with pytest.raises(InvalidInputError, match="state step: missing"):
        make(network(2, 3)).restore({k: v for k, v in state.items() if k != "step"})


@every_engine
def test_steps_beyond_an_array_are_silent(make) -> None:
    group = NeuronGroup(name="n", size=1, du=4095, dv=4095, vth=0, bias_mant=[0])
    synapses = Synapses(name="s", pre="i", post="n", weights=[[8]])
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=9,
        inputs=(InputGroup(name="i", size=1),),
        neurons=(group,),
        synapses=(synapses,),
    )
    chunk = make(program).run(9, {"i": np.ones((4, 1), int)}, ("n",))
    assert chunk.spikes["n"][0].tolist() == [1, 2, 3, 4]


# Around the engine --------------------------------------------------------------------------


def test_delays_and_payloads_are_checked_against_the_target() -> None:
    neurons = NeuronGroup(name="b", size=2, du=0, dv=0, vth=9, bias_mant=[0, 0])
    program = network(2, 3)
    program = replace(program, inputs=program.inputs[:1], neurons=(neurons,))
    (s,) = program.synapses
    static = replace(s, learning=None, delays=np.full((2, 3), 64))
    inputs = (replace(program.inputs[0], graded=True),)
    checks = check(replace(program, inputs=inputs, synapses=(static,)), load_target("loihi2"))
    verdicts = {c.id: c.verdict for c in checks}
    assert verdicts["number.delay"] == "fail"
    assert verdicts["number.graded_spike_bits"] == "pass"
    verdicts = {c.id: c.verdict for c in check(program, load_target("loihi1"))}
    assert "number.delay" not in verdicts
    assert "number.graded_spike_bits" not in verdicts
    checks = check(replace(program, inputs=inputs), load_target("loihi1"))
    assert {c.id: c.verdict for c in checks}["number.graded_spike_bits"] == "fail"


def test_the_documentation_names_every_deviation() -> None:
    text = DOC.read_text("utf-8")
    assert len({deviation.key for deviation in DEVIATIONS}) == len(DEVIATIONS)
    for deviation in DEVIATIONS:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{deviation.key}` |"))
        for words in (deviation.lava, deviation.chip, deviation.source):
            assert words in row
        assert (f"`{deviation.changed_by}`" in row) == (deviation.changed_by is not None)
