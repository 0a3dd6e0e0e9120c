"""What surprises in Lava's integer models, one case each: ours does it too, and so does Lava."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from lava_align.backends.lava_shim import import_lava, lava_version
from lava_align.compiler import ranges
from lava_align.compiler.program import (
    Apical,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Noise,
    Program,
    RelayGroup,
    Synapses,
    Window,
)
from lava_align.engine.base import Engine
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.testing import ENGINES, Case, first_difference

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]


@pytest.fixture(scope="module", params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    import_lava()
    return ENGINES[request.param]


def spikes(n_steps: int, *trains: list[int]) -> np.ndarray:
    """Steps, counted from 1 as Lava does, at which each channel spikes."""
    raster = np.zeros((n_steps, len(trains)), np.int64)
    for channel, steps in enumerate(trains):
        raster[np.array(steps, int) - 1, channel] = 1
    return raster


def rule(dw: str | None = None, **entries: object) -> LearningRule:
    texts = {"dw": dw, "dd": entries.pop("dd", None), "dt": entries.pop("dt", None)}
    parsed = {name: Expression.parse(text) for name, text in texts.items() if text}
    return LearningRule(**parsed, **entries)


def case(
    learning: LearningRule | None,
    weights: object,
    pre: np.ndarray,
    post: np.ndarray | None = None,
    neuron: dict[str, object] | None = None,
    **synapses: object,
) -> Case:
    """Projection ``s`` from ``pre`` to the spikes ``post``, or to LIF neurons of that name."""
    matrix = np.atleast_2d(weights)
    given = {"pre": pre, "post": post, **synapses.pop("values", {})}
    inputs = {name: value for name, value in given.items() if value is not None}
    size, steps = matrix.shape[0], len(pre)
    groups = (
        NeuronGroup(
            name="post",
            size=size,
            **{"du": 4095, "dv": 4095, "vth": 10**5, "bias_mant": [0] * size, **(neuron or {})},
        ),
    )
    made = Synapses(name="s", pre="pre", post="post", weights=matrix, learning=learning, **synapses)
    graded = {name for name, value in inputs.items() if name not in ("pre", "post")}
    graded |= {"pre"} if made.graded != "default" else set()
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=steps,
        inputs=tuple(
            InputGroup(name=name, size=value.shape[1], graded=name in graded)
            for name, value in inputs.items()
        ),
        neurons=groups if post is None else (),
        synapses=(made,),
    )
    return Case(program=program, n_steps=steps, inputs=inputs, cut=0)


def follow(make: Callable[..., Engine], run: Case, name: str) -> list[int]:
    """Value of a state of one element after every step, once Lava has been found to agree."""
    assert first_difference(run, make(run.program)) is None
    engine, values = make(run.program), []
    for _ in range(run.n_steps):
        engine.run(1, run.inputs, ())
        values.append(int(engine.read(name).flat[0]))
    return values


NEVER: list[int] = []


# Traces -------------------------------------------------------------------------------------


def test_traces_saturate_at_127(make) -> None:
    run = case(rule("x0*w", x1=Trace(100, 10**6)), 0, spikes(3, [1, 2, 3]), spikes(3, NEVER))
    assert follow(make, run, "s.x1") == [100, 127, 127]


def test_tau_0_is_instantaneous(make) -> None:
    run = case(rule("x0*w", x1=Trace(40, 0)), 0, spikes(4, [2]), spikes(4, NEVER))
    assert follow(make, run, "s.x1") == [0, 40, 0, 0]


def test_a_pair_in_one_step_counts_both_ways(make) -> None:
    learning = rule("y0*x1 + 2*x0*y1", x1=Trace(3, 0), y1=Trace(5, 0))
    run = case(learning, 0, spikes(2, [2]), spikes(2, [2]))
    assert follow(make, run, "s.weights") == [0, 13]


def test_a_further_spike_of_an_epoch_counts_from_its_start(make) -> None:
    # In 7 steps of tau 10: 16 e^-5/10 + 16 would be 25.7 at step 7 if the first one decayed alone.
    learning = rule("x0*w", x1=Trace(16, 10), t_epoch=7)
    run = case(learning, 0, spikes(7, [2, 7]), spikes(7, NEVER))
    values = follow(make, run, "s.x1")
    assert values[1:6] == [0] * 5
    assert abs(values[6] - (16 + 16 * math.exp(-7 / 10))) < 7


def test_only_the_last_spike_of_an_epoch_has_a_time(make) -> None:
    learning = rule("y0*x1", x1=Trace(100, 10**6), y1=Trace(1, 1), t_epoch=8)
    run = case(learning, 0, spikes(8, [3]), spikes(8, [4, 5, 6]))
    assert follow(make, run, "s.weights")[-1] == 100
    # The last postsynaptic spike precedes the presynaptic one.
    run = case(learning, 0, spikes(8, [7]), spikes(8, [4, 5, 6]))
    assert follow(make, run, "s.weights")[-1] == 0


def test_a_further_spike_counts_before_the_epoch_ends(make) -> None:
    learning = rule("x0*w", x1=Trace(16, 10), t_epoch=4)
    run = case(learning, 0, spikes(3, [1, 2, 3]), spikes(3, NEVER))
    assert follow(make, run, "s.x1") == [0, 16, 32]


def test_a_gate_of_its_own_is_the_postsynaptic_spike(make) -> None:
    learning = rule("3*y0", y1=Trace(9, 10**6))
    gate = {"values": {"gate": spikes(4, [2, 4])}, "gate": "gate"}
    run = case(learning, 0, spikes(4, NEVER), spikes(4, [1, 3]), **gate)
    assert follow(make, run, "s.weights") == [0, 3, 3, 6]
    assert follow(make, run, "s.y1") == [0, 9, 9, 18]


@pytest.mark.parametrize(
    ("clock", "t_epoch", "fires"), [("u2", 1, [4, 8, 12, 16]), ("u2", 4, [16]), ("u0", 8, [8, 16])]
)
def test_clocks_fire_when_epochs_divide(make, clock, t_epoch, fires) -> None:
    run = case(rule(f"3*{clock}", t_epoch=t_epoch), 0, spikes(16, NEVER), spikes(16, NEVER))
    changes = np.diff([0, *follow(make, run, "s.weights")])
    assert (np.flatnonzero(changes) + 1).tolist() == fires


# Random numbers -----------------------------------------------------------------------------


def test_one_number_rounds_all_traces_and_all_synapses(make) -> None:
    learning = rule("3*2^-7*u0*x1", x1=Trace(77, 13), x2=Trace(77, 13))
    run = case(learning, np.zeros((4, 5)), spikes(40, *[[1, 9]] * 5), spikes(40, *[NEVER] * 4))
    assert len(set(follow(make, run, "s.x1"))) > 10
    engine = make(run.program)
    engine.run(40, run.inputs, ())
    assert len(np.unique(engine.read("s.weights"))) == 1
    assert np.array_equal(engine.read("s.x1"), engine.read("s.x2"))


def test_weights_are_rounded_alike_whatever_the_seed(make) -> None:
    runs = [
        case(rule("7*2^-6*u0"), 0, spikes(30, NEVER), spikes(30, NEVER), rng_seed=seed)
        for seed in (1, 99)
    ]
    assert follow(make, runs[0], "s.weights") == follow(make, runs[1], "s.weights")


# Arithmetic ---------------------------------------------------------------------------------

EIGHT = {f"{side}{k}": Trace(8, 0) for side in "xy" for k in (1, 2)}


@pytest.mark.parametrize(
    ("dw", "weight", "change"),
    [
        ("y0*x1", 4, 8),
        ("y0*w", 4, 4),
        ("y0*x1*x2", 4, 8),
        ("y0*x1*w", 4, 1),
        ("y0*sgn(w)*x1", 4, 0),
        ("y0*x1*x2*y1", 4, 0),
        # -8 >> 5 is -1, not 0: what is shifted out is rounded towards minus infinity.
        ("-y0*sgn(w)*x1", 4, -1),
    ],
)
def test_the_shift_of_several_factors_is_not_undone(make, dw, weight, change) -> None:
    run = case(rule(dw, **EIGHT), weight, spikes(1, [1]), spikes(1, [1]))
    assert follow(make, run, "s.weights") == [weight + change]


@pytest.mark.parametrize(("mantissa", "weight"), [(4, 255), (5, -2), (7, -2)])
def test_a_product_wraps_at_32_bits(make, mantissa, weight) -> None:
    full = {name: Trace(127, 0) for name in ("x1", "x2", "y1")}
    run = case(rule(f"{mantissa}*y0*x1*x2*y1*w", **full), 254, spikes(1, [1]), spikes(1, [1]))
    assert follow(make, run, "s.weights") == [weight]


@pytest.mark.parametrize(("sign", "change"), [("", 0), ("-", -1)])
def test_five_synaptic_factors_are_shifted_by_more_than_32_bits(make, sign, change) -> None:
    run = case(rule(f"{sign}x0*w*w*w*w*w"), 6, spikes(1, [1]), spikes(1, NEVER))
    assert follow(make, run, "s.weights") == [6 + change]


@pytest.mark.parametrize(("weight", "sign"), [(-4, -1), (-2, 0), (0, 1)])
def test_the_constant_is_inside_the_sign(make, weight, sign) -> None:
    run = case(rule("5*x0*sgn(w + 2)"), weight, spikes(1, [1]), spikes(1, NEVER))
    assert follow(make, run, "s.weights") == [weight + 5 * sign]


def test_weights_begin_even_and_may_become_odd(make) -> None:
    run = case(rule("3*x0"), 21, spikes(2, [2]), spikes(2, NEVER))
    assert follow(make, run, "s.weights") == [20, 23]


def test_an_initial_weight_is_clipped_by_learning_only(make) -> None:
    run = case(rule("x0", t_epoch=3), 700, spikes(3, [1]))
    assert follow(make, run, "s.weights") == [700, 700, 255]
    assert follow(make, run, "post.u") == [0, 700 * 64, 0]


@pytest.mark.parametrize(("target", "lowest"), [("dt", -257), ("dd", 0)])
def test_a_tag_reaches_one_below_nine_bits(make, target, lowest) -> None:
    learning = rule(**{target: "-7*2^8*u0"})
    run = case(learning, 0, spikes(400, NEVER), spikes(400, NEVER))
    assert min(follow(make, run, f"s.{target[1]}")) == lowest


def test_accumulators_stop_one_below_16_bits(make) -> None:
    """After the clip 256 is added: -32769 + 32768 - 1 is visible where -32768 + 32768 is not."""
    learning = rule("-7*2^8*u0 + 4*2^6*u0 - 2^-7*u0*(w + 0)")
    run = case(learning, 0, spikes(300, NEVER), spikes(300, NEVER))
    assert {-1, 0} <= set(follow(make, run, "s.weights"))


def test_sign_modes_clip(make) -> None:
    for mode, change, last in (("excitatory", -7, 0), ("inhibitory", 7, 0), ("mixed", -7, -256)):
        run = case(rule(f"{change}*2^4*u0"), 0, spikes(4, NEVER), spikes(4, NEVER), sign_mode=mode)
        assert follow(make, run, "s.weights")[-1] == last


# Order --------------------------------------------------------------------------------------


def test_a_spike_meets_the_weight_from_before_its_own_learning(make) -> None:
    run = case(rule("8*x0"), 2, spikes(4, [1, 2]))
    assert follow(make, run, "s.weights") == [10, 18, 18, 18]
    assert follow(make, run, "post.u") == [0, 2 * 64, 10 * 64, 0]


# Third factor -------------------------------------------------------------------------------


def modulated(dw: str, value: int, n_steps: int, post: list[int]) -> Case:
    return case(
        rule(dw, third_factor=True),
        0,
        spikes(n_steps, [n_steps]),
        spikes(n_steps, post),
        values={"m": np.full((n_steps, 1), value)},
        modulators={"y1": "m"},
    )


@pytest.mark.parametrize(("value", "change"), [(40, 40), (-50, -50), (200, 127), (-300, -128)])
def test_a_third_factor_is_signed_and_clipped_as_a_factor(make, value, change) -> None:
    run = modulated("x0*y1", value, 2, NEVER)
    assert follow(make, run, "s.y1") == [value, value]
    assert abs(follow(make, run, "s.weights")[-1] - change) <= 1


@pytest.mark.parametrize(("value", "change"), [(-50, 0), (200, 127)])
def test_a_postsynaptic_spike_clips_the_third_factor(make, value, change) -> None:
    run = modulated("x0*y1", value, 1, [1])
    assert follow(make, run, "s.weights") == [change]
    assert follow(make, run, "s.y1") == [value]


def test_a_third_factor_decays_a_little_within_the_step(make) -> None:
    # 100 e^(-1/65535) is 100 with probability 0.9985, else 99; the weight becomes the difference.
    run = modulated("u0*(y1 - 99) - u0*w", 100, 300, NEVER)
    assert set(follow(make, run, "s.weights")) == {0, 1}


# Payloads -----------------------------------------------------------------------------------


def paid(mode: str, payloads: list[int], **entries: object) -> Case:
    values = np.array(payloads)[:, None]
    learning = rule("x0*w", x1=Trace(99, 10**6), x2=Trace(7, 10**6), **entries)
    return case(learning, 0, values, spikes(len(values), NEVER), graded=mode)


def test_overwrite_halves_the_payload_and_decays_it_before_use(make) -> None:
    assert follow(make, paid("overwrite", [100, 0, 254]), "s.x1") == [50, 50, 127]
    learning = rule("x0*x1", x1=Trace(99, 1))
    run = case(learning, 0, np.array([[100]]), spikes(1, NEVER), graded="overwrite")
    assert follow(make, run, "s.weights")[0] in (18, 19)


def test_halves_of_payloads_round_to_even_and_wrap_at_8_bits(make) -> None:
    for payload, value in ((253, 126), (255, 128), (512, 0), (518, 3), (-2, 255)):
        run = paid("overwrite", [payload], t_epoch=5)
        assert follow(make, run, "s.x1") == [value]


def test_adding_payloads_saturates_or_overflows_into_x2(make) -> None:
    payloads = [200, 200, 0]
    assert follow(make, paid("add_with_saturation", payloads), "s.x1") == [100, 127, 127]
    run = paid("add_without_saturation", payloads)
    assert follow(make, run, "s.x1") == [100, 200 - 127, 200 - 127]
    assert follow(make, run, "s.x2") == [0, 7, 7]


def test_a_silent_trace_of_128_overflows_again(make) -> None:
    run = paid("add_without_saturation", [254, 255, 0], t_epoch=5)
    assert follow(make, run, "s.x1") == [127, 128, 1]


def test_only_a_payload_that_overflows_is_a_spike(make) -> None:
    learning = rule("x0", x1=Trace(0, 10**6))
    values = np.array([[200], [200], [20]])
    run = case(learning, 0, values, spikes(3, NEVER), graded="add_without_saturation")
    assert follow(make, run, "s.weights") == [0, 1, 1]


def test_a_payload_is_a_factor_of_the_current(make) -> None:
    run = case(rule("x0"), 2, np.array([[9], [0]]), graded="overwrite")
    assert follow(make, run, "post.u") == [0, 2 * 9 * 64]


# Delays -------------------------------------------------------------------------------------


def test_a_delay_of_k_arrives_k_steps_later_than_none(make) -> None:
    run = case(None, [[2, 4]], spikes(6, [1], [1]), delays=np.array([[0, 3]]))
    assert follow(make, run, "post.u") == [0, 2 * 64, 0, 0, 4 * 64, 0]


def test_a_learned_delay_delays_nothing(make) -> None:
    run = case(rule(dd="7*x0"), 2, spikes(3, [1, 2]))
    assert follow(make, run, "s.d") == [7, 14, 14]
    assert follow(make, run, "post.u") == [0, 2 * 64, 2 * 64]


def test_a_negative_exponent_rounds_sums_and_with_delays_each_delay(make) -> None:
    pre = spikes(3, [1], [1])
    weights = [[-2, -4]]
    run = case(None, weights, pre, weight_exp=-2, sign_mode="mixed")
    assert follow(make, run, "post.u")[1] == -2 * 64
    run = case(None, weights, pre, weight_exp=-2, delays=np.array([[1, 0]]))
    assert follow(make, run, "post.u")[1:] == [-64, -64]


# Neurons ------------------------------------------------------------------------------------


def test_u_leaks_with_du_0_and_not_v_with_dv_0(make) -> None:
    run = case(None, 64, spikes(5, [1]), neuron={"du": 0, "dv": 0})
    assert follow(make, run, "post.u") == [0, 4096, 4095, 4094, 4093]
    assert follow(make, run, "post.v") == [0, 4096, 8191, 12285, 16378]


def test_u_wraps_once_and_v_saturates(make) -> None:
    top, unit = 2**23, 2 * 64
    wrapped = {top: top, top + unit: unit - top, -top: top, 3 * top + unit: top + unit}
    for current, u in wrapped.items():
        payloads = np.array([[current // unit], [0]])
        neuron = {"vth": 2**17}
        run = case(rule("x0"), 2, payloads, graded="overwrite", neuron=neuron)
        assert follow(make, run, "post.u")[1] == u
        assert follow(make, run, "post.v")[1] == min(max(u, 1 - top), top - 1)


def test_v_saturates_below_too(make) -> None:
    payloads = np.array([[-(2**15)], [-(2**15)], [0]])
    run = case(rule("x0"), 2, payloads, graded="overwrite", neuron={"dv": 0})
    assert follow(make, run, "post.v") == [0, -(2**22), 1 - 2**23]


# With delays Lava sums what arrives together in 64 bits, without in 32.
@pytest.mark.parametrize("delays", [None, [[0, 1]], [[1, 1]]])
@pytest.mark.parametrize("exponent", [-9, 0, 5])
def test_currents_and_voltages_wrap_at_32_bits(make, delays, exponent) -> None:
    payloads = np.random.default_rng(4).integers(-(2**31), 2**31, (30, 2))
    for weights in ([[254, 252]], [[254, -256]]):
        run = case(
            None,
            weights,
            payloads,
            weight_exp=exponent,
            delays=None if delays is None else np.array(delays),
            neuron={"du": 0, "dv": 0, "vth": 2**17, "bias_mant": [30000], "bias_exp": 16},
        )
        inputs = (InputGroup(name="pre", size=2, graded=True),)
        program = Program(**{**vars(run.program), "inputs": inputs})
        run = Case(program=program, n_steps=30, inputs=run.inputs, cut=0)
        currents = follow(make, run, "post.u")
        # What is wrapped at 32 bits and then moved once may well be outside 24.
        assert max(map(abs, currents)) > 2**24


def test_the_bias_mantissa_has_16_bits(make) -> None:
    neuron = {"dv": 0, "bias_mant": [2**16 + 3], "bias_exp": 1}
    run = case(None, 0, spikes(2, NEVER), neuron=neuron)
    assert follow(make, run, "post.v") == [6, 12]


@pytest.mark.parametrize(
    ("mode", "bits", "given", "stored"),
    [
        ("mixed", 8, [21, -21, 300, -300], [20, -22, 254, -256]),
        ("excitatory", 6, [21, -21, 300, 255], [20, 0, 252, 252]),
        ("inhibitory", 6, [-21, 21, -300, -255], [-20, 0, -252, -252]),
        ("mixed", 1, [200, -200, 128, -1], [0, -256, 0, -256]),
    ],
)
def test_static_weights_are_clipped_and_truncated(make, mode, bits, given, stored) -> None:
    run = case(None, [[w] for w in given], spikes(2, [1]), sign_mode=mode, weight_bits=bits)
    assert first_difference(run, make(run.program)) is None
    engine = make(run.program)
    engine.run(2, run.inputs, ())
    assert engine.read("s.weights").ravel().tolist() == stored
    assert (engine.read("post.u") // 64).tolist() == stored


# Neurons of our own -------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("bias", [0, -(2**15), 2**15 - 1])
def test_every_parameter_at_the_end_of_its_range(make, largest: bool, bias: int) -> None:
    def ends(table: dict[str, tuple[int, int]]) -> dict[str, int]:
        return {name: limits[largest] for name, limits in table.items()}

    extended = {**ends(ranges.EXTENDED), "bias_exp": 8, "reset": -(2**17) + 1, "vth": 2**17 - 1}
    groups = (
        NeuronGroup(
            name="extended",
            size=1,
            bias_mant=[bias],
            noise=Noise(**ends(ranges.NOISE)),
            apical=Apical(**ends(ranges.APICAL)),
            window=Window(**ends(ranges.WINDOW)),
            **extended,
        ),
        EscapeGroup(
            name="escape",
            size=1,
            bias=[2**31 - 1 if largest else -(2**31)],
            table=np.full(256, 65535 * largest),
            **ends(ranges.ESCAPE),
        ),
        RelayGroup(name="relay", size=1, **ends(ranges.RELAY)),
    )
    inputs = {"in": np.random.default_rng(2).integers(-(2**31), 2**31, (300, 1))}
    targets = [("extended", "soma"), ("extended", "apical"), ("escape", "soma"), ("relay", "soma")]
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=300,
        inputs=(InputGroup(name="in", size=1, graded=True),),
        neurons=groups,
        synapses=tuple(
            Synapses(name=f"{post}.{into}", pre="in", post=post, weights=[[254]], into=into)
            for post, into in targets
        ),
    )
    run = Case(program=program, n_steps=300, inputs=inputs, cut=0)
    assert first_difference(run, make(program, seed=2**64 - 1), seed=2**64 - 1) is None
