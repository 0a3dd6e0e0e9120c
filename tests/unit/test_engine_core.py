"""The compiled engine gives the integers of the NumPy one, whatever chunks, threads and machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.engine.base import Chunk, Engine, Semantics
from lava_align.engine.model import Model
from lava_align.engine.native import Core, load_engine
from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

_core = pytest.importorskip("lava_align.engine._core", reason="no compiled engine")

SEMANTICS = get_args(Semantics)
TRACES = ("x1", "x2", "y1", "y2", "y3")
PRE, POST, STEPS = 21, 19, 120

STDWI = {"dw": "2^-5*y0*x1 - 2^-5*y0*x2 - 2^-6*y0*w"}
RULES: dict[str, dict[str, Any]] = {
    "post-gated": STDWI,
    "pre-gated": {"dw": "2^-3*x0*y1 - 2^-4*x0*w"},
    "both": {"dw": "-2^-1*y0*x1 + 2^-1*x0*y1 - 2^-3*u4*w"},
    "saturating": {"dw": "7*2^6*y0*x1 - 7*2^6*y0*x2 + 7*2^7*x0*y1*(x2 - 60)"},
    "many factors": {"dw": "7*2^3*y0*x1*x2*w*(y1 + 3) - 2^2*x0*sgn(w - 4)*y2 + 2^-2*y0*x0*w*w"},
    "wrapping": {"dw": "7*2^8*u0*(w + 127)*(w + 120)*(w - 100)*(w + 90)*(x1 + 120)*(y1 + 127)"},
    "tags": {
        "dw": "2^-2*u1*t*(d + 1) - 2^-4*y0*w",
        "dd": "2^1*x0*y2 - 2^-1*u1*d",
        "dt": "-2^6*y0*x1 + 2^3*x0*y1 - 2^-3*u1*t",
    },
    "tag at its edge": {"dt": "-2^8*y0*x1 - 2^8*y0"},
    "epoch of three": {**STDWI, "t_epoch": 3},
    "epoch of eight": {"dw": "2^-1*x0*y1*x1 - 2^-1*y0*x1*y2 + 2^-3*u1*x2*y3", "t_epoch": 8},
    "three factors": {"dw": "2^-3*u0*x1*y1 - 2^-4*u0*w + x0*y2", "third_factor": True},
    "three factors, epoch": {"dw": "x0*y1 - 2^-2*y0*y2*x1", "third_factor": True, "t_epoch": 5},
}


def rule_of(name: str) -> LearningRule:
    entries = dict(RULES[name])
    targets = {k: Expression.parse(entries.pop(k)) for k in ("dw", "dd", "dt") if k in entries}
    traces = {"x1": Trace(60, 5), "x2": Trace(15, 20)}
    if not entries.get("third_factor"):
        traces.update(y1=Trace(50, 8), y2=Trace(127, 0), y3=Trace(9, 1000))
    return LearningRule(**targets, **traces, **entries)


def network(rule: LearningRule, **changes: Any) -> Program:
    """A recurrent loop with delays and a plastic projection that acts."""
    rng = np.random.default_rng(3)
    third = rule.third_factor
    post = NeuronGroup(
        name="post", size=POST, du=1500, dv=300, vth=60, bias_mant=rng.integers(0, 40, POST)
    )
    out = replace(post, name="out", du=4095, bias_exp=2)
    plastic = Synapses(
        name="B",
        pre="in",
        post="out",
        weights=rng.integers(-120, 120, (POST, PRE)),
        weight_exp=-1,
        learning=rule,
        gate="post",
        rng_seed=11,
        modulators={"y1": "reward", "y2": "graded"} if third else {},
    )
    graded = [InputGroup(name=n, size=POST, graded=True) for n in ("reward", "graded") if third]
    return Program(
        target="test",
        dt=1e-3,
        n_steps=STEPS,
        inputs=(InputGroup(name="in", size=PRE), *graded),
        neurons=(post, out),
        synapses=(
            Synapses(name="W", pre="in", post="post", weights=rng.integers(-60, 127, (POST, PRE))),
            Synapses(
                name="R",
                pre="post",
                post="post",
                weights=rng.integers(-255, 1, (POST, POST)),
                sign_mode="inhibitory",
                weight_exp=-3,
                delays=rng.integers(0, 6, (POST, POST)),
            ),
            replace(plastic, **changes),
        ),
    )


def drive(program: Program) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    given: dict[str, Any] = {}
    for group in program.inputs:
        raster = rng.random((STEPS, group.size)) < 0.15
        values = rng.integers(-300, 600, raster.shape) * raster
        given[group.name] = values if group.graded else Spikes.from_raster(raster)
    return given


def state_names(program: Program) -> tuple[str, ...]:
    groups = [f"{group.name}.{variable}" for group in program.neurons for variable in "uv"]
    return (*groups, *(f"{s.name}.{trace}" for s in program.plastic() for trace in TRACES))


def whole(engine: Engine, n_steps: int = STEPS) -> tuple[Chunk, dict[str, Any]]:
    program: Program = engine.program  # type: ignore[attr-defined]
    groups = tuple(group.name for group in program.neurons)
    return engine.run(n_steps, drive(program), groups, state_names(program)), engine.state()


def assert_same_state(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def assert_same_chunk(found: Chunk, expected: Chunk) -> None:
    assert (found.start, found.stop) == (expected.start, expected.stop)
    for name, spikes in expected.spikes.items():
        for mine, theirs in zip(found.spikes[name], spikes, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
    for name, rows in expected.states.items():
        np.testing.assert_array_equal(found.states[name], rows, err_msg=name)


def steps(engine: Engine, n_steps: int) -> Iterator[tuple[Chunk, dict[str, Any]]]:
    for _ in range(n_steps):
        yield whole(engine, 1)


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("name", RULES)
def test_every_state_equals_the_models_after_every_step(name: str, semantics: Semantics) -> None:
    program = network(rule_of(name))
    model, core = Model(program, semantics, 7), Core(program, semantics, 7)
    pairs = zip(steps(core, STEPS), steps(model, STEPS), strict=True)
    for (found, state), (expected, other) in pairs:
        assert_same_chunk(found, expected)
        assert_same_state(state, other)
    assert core.step == STEPS
    fresh = Core(program)
    assert any(np.any(core.read(f"B.{v}") != fresh.read(f"B.{v}")) for v in ("weights", "t"))


def test_a_tag_at_its_lower_edge_leaves_it_without_being_touched() -> None:
    """Lava rounds -257 up again, as the accumulator of it is out of the accumulator's range."""
    program = network(rule_of("tag at its edge"))
    core = Core(program, "independent-rounding")
    reached = left = False
    before = np.zeros((POST, PRE), np.int32)
    for chunk, state in steps(core, STEPS):
        quiet = np.setdiff1d(np.arange(POST), chunk.spikes["post"][1])
        left |= np.any((before == -257) & (state["B.t"] == -256), axis=1)[quiet].any()
        before = state["B.t"]
        reached |= np.any(before == -257)
    assert reached
    assert left


@pytest.mark.parametrize("instructions", _core.instruction_sets())
@pytest.mark.parametrize("name", RULES)
def test_one_chunk_equals_the_models_on_each_instruction_set(name: str, instructions: str) -> None:
    program = network(rule_of(name))
    core = Core(program, threads=2, instructions=instructions)
    assert core.instructions == instructions
    found, state = whole(core)
    expected, other = whole(Model(program))
    assert len(expected.spikes["post"][0]) > 100
    assert_same_chunk(found, expected)
    assert_same_state(state, other)


@pytest.mark.parametrize(
    "dw",
    [
        # Sums end one below 16 bits and come back, and it shows in some weights.
        "-2^1*y0*x1 + 2^-7*y0*x2",
        "-2^1*y0*x1 + 2^-7*y0*x2 + 2^-7*y0*w",
        "-2^1*y0*x1 + 2^0*y0*x2 - 2^-3*y0*w",
        "2^1*y0*x1 - 2^1*y0*x2 - 2^-2*y0*w + 2^-3*y0",
        # Too large for 16 bits: a vector, a product, a constant.
        "-2^5*y0*x1 + 2^5*y0*x2",
        "2^-1*y0*x1 - 2^6*y0*w + 2^6*y0",
        "2^-2*u1*x1 - 3*2^-2*y0*w",
    ],
)
@pytest.mark.parametrize("instructions", _core.instruction_sets())
@pytest.mark.parametrize("t_epoch", [1, 3])
@pytest.mark.parametrize("n_pre", [100, 139])
def test_saturated_rows_of_whole_registers_equal_the_models(
    dw: str, n_pre: int, t_epoch: int, instructions: str
) -> None:
    n_post, n_steps = 17, 40
    rng = np.random.default_rng(7)
    rule = LearningRule(dw=Expression.parse(dw), x1=Trace(60, 5), x2=Trace(61, 9), t_epoch=t_epoch)
    inputs = tuple(InputGroup(name=name, size=size) for name, size in (("a", n_pre), ("b", n_post)))
    quiet = NeuronGroup(
        name="out", size=n_post, du=400, dv=100, vth=131071, bias_mant=np.zeros(n_post)
    )
    weights = rng.choice([-256, -254, -252, -2, 0, 2, 252, 254], (n_post, n_pre))
    learning = Synapses(name="B", pre="a", post="out", weights=weights, learning=rule, gate="b")
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=n_steps,
        inputs=inputs,
        neurons=(quiet,),
        synapses=(learning,),
    )
    given = {
        group.name: Spikes.from_raster(rng.random((n_steps, group.size)) < 0.3) for group in inputs
    }
    core, model = Core(program, instructions=instructions), Model(program)
    for _ in range(n_steps):
        core.run(1, given, ())
        model.run(1, given, ())
        np.testing.assert_array_equal(core.read("B.weights"), model.read("B.weights"))
    assert (core.read("B.weights") != weights).mean() > 0.5


@pytest.mark.parametrize("sign_mode", ["mixed", "excitatory", "inhibitory"])
def test_weights_out_of_range_are_clipped_at_the_first_epoch(sign_mode: Any) -> None:
    weights = np.random.default_rng(1).integers(-700, 700, (POST, PRE))
    for name in ("post-gated", "many factors", "both", "epoch of three"):
        program = network(rule_of(name), weights=weights, sign_mode=sign_mode)
        core, model = Core(program), Model(program)
        for _ in range(9):
            found, state = whole(core, 1)
            expected, other = whole(model, 1)
            assert_same_chunk(found, expected)
            assert_same_state(state, other)
        assert np.abs(core.read("B.weights")).max() <= 256


@pytest.mark.parametrize(
    "mode", ["default", "overwrite", "add_with_saturation", "add_without_saturation"]
)
def test_graded_spikes_equal_the_models(mode: Any) -> None:
    for name in ("both", "epoch of eight"):
        plain = network(rule_of(name), graded=mode)
        graded = InputGroup(name="in", size=PRE, graded=True)
        program = replace(plain, inputs=(graded,))
        found, state = whole(Core(program))
        expected, other = whole(Model(program))
        assert_same_chunk(found, expected)
        assert_same_state(state, other)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_run_goes_on_from_the_state_of_either_engine(semantics: Semantics) -> None:
    for name in ("epoch of eight", "tag at its edge", "three factors"):
        program = network(rule_of(name))
        model = Model(program, semantics)
        whole(model, 53)
        left = model.state()
        expected, other = whole(model, STEPS - 53)
        core = Core(program, semantics)
        whole(core, 17)
        core.restore(left)
        assert_same_state(core.state(), left)
        found, state = whole(core, STEPS - 53)
        assert_same_chunk(found, expected)
        assert_same_state(state, other)


@pytest.mark.parametrize("instructions", _core.instruction_sets())
@pytest.mark.parametrize(("du", "dv"), [(0, 0), (400, 100), (4095, 4095), (1, 4096)])
def test_neurons_in_and_beyond_24_bits_equal_the_models(
    du: int, dv: int, instructions: str
) -> None:
    edges = [
        sign * (2**power + more)
        for sign in (-1, 1)
        for power in (23, 24, 25)
        for more in (-1, 0, 1)
    ]
    rng = np.random.default_rng(5)
    inside = rng.integers(-(2**23) + 1, 2**23, 160)
    # Registers with and without a neuron that is outside.
    values = np.concatenate((inside, rng.permutation(np.concatenate((edges, inside[:30])))))
    size = len(values)
    group = NeuronGroup(
        name="n", size=size, du=du, dv=dv, vth=131071, bias_mant=rng.integers(-4000, 4000, size)
    )
    program = Program(target="test", dt=1e-3, n_steps=4, inputs=(), neurons=(group,), synapses=())
    engines = Core(program, instructions=instructions), Model(program)
    for u, v in (
        (values, inside[:1].repeat(size)),
        (inside[:1].repeat(size), values),
        (values,) * 2,
    ):
        for engine in engines:
            state = engine.state()
            engine.restore({**state, "n.u": u.astype(np.int32), "n.v": v.astype(np.int32)})
        for _ in range(4):
            chunks = [engine.run(1, {}, ("n",), ("n.u", "n.v")) for engine in engines]
            assert_same_chunk(*chunks)


@pytest.mark.parametrize("instructions", _core.instruction_sets())
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_decays_of_very_many_traces_equal_the_models(
    semantics: Semantics, instructions: str
) -> None:
    """So many that some come as close to an integer as only exact arithmetic tells."""
    n_pre, n_steps = 2048, 300
    rule = replace(
        rule_of("post-gated"),
        x1=Trace(127, 50),
        x2=Trace(33, 65535),
        y1=Trace(),
        y2=Trace(),
        y3=Trace(),
    )
    silent = NeuronGroup(name="out", size=1, du=400, dv=100, vth=131071, bias_mant=np.zeros(1))
    learning = Synapses(name="B", pre="in", post="out", weights=np.zeros((1, n_pre)), learning=rule)
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=n_steps,
        inputs=(InputGroup(name="in", size=n_pre),),
        neurons=(silent,),
        synapses=(learning,),
    )
    given = {"in": Spikes.from_raster(np.random.default_rng(6).random((n_steps, n_pre)) < 0.02)}
    states = ("B.x1", "B.x2")
    core = Core(program, semantics, seed=4, instructions=instructions)
    found = core.run(n_steps, given, (), states)
    expected = Model(program, semantics, seed=4).run(n_steps, given, (), states)
    assert_same_chunk(found, expected)
    assert np.unique(found.states["B.x1"]).size > 100


def large(n_pre: int, n_post: int) -> Program:
    rng = np.random.default_rng(2)
    rule = LearningRule(
        dw=Expression.parse("2^-3*y0*x1 - 2^-3*x0*y1 - 2^-5*y0*w"),
        x1=Trace(60, 5),
        y1=Trace(50, 9),
    )
    return Program(
        target="test",
        dt=1e-3,
        n_steps=20,
        inputs=(InputGroup(name="in", size=n_pre), InputGroup(name="gate", size=n_post)),
        neurons=(
            NeuronGroup(
                name="out", size=n_post, du=900, dv=90, vth=900, bias_mant=np.zeros(n_post)
            ),
        ),
        synapses=(
            Synapses(
                name="B",
                pre="in",
                post="out",
                weights=rng.integers(-100, 120, (n_post, n_pre)),
                learning=rule,
                gate="gate",
            ),
        ),
    )


def test_threads_share_large_steps_and_change_nothing() -> None:
    program = large(1003, 997)
    rng = np.random.default_rng(4)
    given = {
        group.name: Spikes.from_raster(rng.random((20, group.size)) < 0.3)
        for group in program.inputs
    }
    runs = []
    for threads in (1, 2, 3):
        core = Core(program, threads=threads)
        chunk = core.run(20, given, ("out",), ("out.v",))
        runs.append((chunk, core.state()))
    assert len(runs[0][0].spikes["out"][0]) > 100
    for found, state in runs[1:]:
        assert_same_chunk(found, runs[0][0])
        assert_same_state(state, runs[0][1])


def test_many_spikes_at_once_do_not_overflow_sixteen_bits() -> None:
    n_pre = 1600
    for weight in (255, -256, 250):
        program = Program(
            target="test",
            dt=1e-3,
            n_steps=3,
            inputs=(InputGroup(name="in", size=n_pre),),
            neurons=(
                NeuronGroup(name="out", size=3, du=4095, dv=0, vth=131071, bias_mant=np.zeros(3)),
            ),
            synapses=tuple(
                Synapses(
                    name=name,
                    pre="in",
                    post="out",
                    weights=np.full((3, n_pre), weight),
                    weight_exp=-7,
                    learning=rule,
                )
                for name, rule in (("static", None), ("plastic", rule_of("post-gated")))
            ),
        )
        every = {"in": np.ones((3, n_pre), np.int64)}
        core, model = Core(program), Model(program)
        found = core.run(3, every, (), ("out.u",)).states["out.u"]
        np.testing.assert_array_equal(found, model.run(3, every, (), ("out.u",)).states["out.u"])
        assert_same_state(core.state(), model.state())


def test_a_spike_given_twice_counts_once() -> None:
    program = network(rule_of("both"))
    once = drive(program)["in"]
    twice = Spikes(step=np.repeat(once.step, 2), neuron=np.repeat(once.neuron, 2), size=once.size)
    found = Core(program).run(STEPS, {"in": twice}, ("post",))
    assert_same_chunk(found, Core(program).run(STEPS, {"in": once}, ("post",)))


def test_what_does_not_fit_is_refused_at_once() -> None:
    program = network(rule_of("both"))
    with pytest.raises(InvalidInputError, match=r"threads: 0.*\n.*instructions: 'mmx'"):
        Core(program, threads=0, instructions="mmx")
    core = Core(program)
    outside = Spikes(step=[0], neuron=[PRE], size=PRE)
    with pytest.raises(InvalidInputError, match=f"channels {PRE}..{PRE}"):
        core.run(1, {"in": outside}, ())
    with pytest.raises(InvalidInputError, match="missing"):
        core.run(1, {}, ())
    with pytest.raises(InvalidInputError, match="n_steps"):
        core.run(-1, drive(program), ())
    for name in ("W.x1", "W.t", "B.q", "nobody.u"):
        with pytest.raises(InvalidInputError, match=f"'{name}'"):
            core.read(name)
    state = core.state()
    state["B.tx"] = state["B.tx"] + 9
    with pytest.raises(InvalidInputError, match=r"B\.tx"):
        core.restore(state)
    assert core.step == 0


def test_other_threads_of_python_run_meanwhile_and_a_long_run_can_be_left() -> None:
    program = network(rule_of("post-gated"))
    core = Core(program)
    no_spikes = {"in": Spikes(step=[], neuron=np.zeros(0, int), size=PRE)}
    asked = 10**12

    def leave() -> None:
        import _thread

        _thread.interrupt_main()

    timer = threading.Timer(0.3, leave)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        core.run(asked, no_spikes, ())
    timer.join()
    assert 0 < core.step < asked
    assert core.run(5, no_spikes, ()).stop == core.step


def test_memory_of_synapses_is_two_bytes_and_one() -> None:
    program = large(800, 640)
    static = replace(program.synapses[0], name="W", learning=None, gate=None)
    core = Core(replace(program, synapses=(*program.synapses, static)))
    assert core.synapse_bytes("B") == 2 * 800 * 640
    assert core.synapse_bytes("W") == 800 * 640


def test_without_the_extension_the_model_runs_and_says_how_to_get_it() -> None:
    code = (
        "import sys, warnings\n"
        "sys.modules['lava_align.engine._core'] = None\n"
        "import numpy as np\n"
        "from lava_align.compiler.program import InputGroup, Program, Synapses\n"
        "from lava_align.engine.native import load_engine\n"
        "from lava_align.learning_rule import Expression, LearningRule, Trace\n"
        "rule = LearningRule(dw=Expression.parse('2^1*y0*x1 - 2^-6*y0*w'), x1=Trace(60, 5))\n"
        "group = InputGroup(name='a', size=3)\n"
        "s = Synapses(name='B', pre='a', post='a', weights=np.zeros((3, 3)), learning=rule)\n"
        "program = Program(target='t', dt=1e-3, n_steps=9, inputs=(group,), neurons=(),"
        " synapses=(s,))\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    engine = load_engine(program)\n"
        "engine.run(9, {'a': np.eye(9, 3, dtype=int)}, ())\n"
        "print(type(engine).__name__, 'g++' in str(caught[0].message),"
        " engine.read('B.weights').tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rule = LearningRule(dw=Expression.parse("2^1*y0*x1 - 2^-6*y0*w"), x1=Trace(60, 5))
    group = InputGroup(name="a", size=3)
    synapses = Synapses(name="B", pre="a", post="a", weights=np.zeros((3, 3)), learning=rule)
    program = Program(
        target="t", dt=1e-3, n_steps=9, inputs=(group,), neurons=(), synapses=(synapses,)
    )
    engine = load_engine(program)
    assert isinstance(engine, Core)
    engine.run(9, {"a": np.eye(9, 3, dtype=int)}, ())
    assert engine.read("B.weights").any()
    assert done.stdout.strip() == f"Model True {engine.read('B.weights').tolist()}"
