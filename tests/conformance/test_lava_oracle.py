"""Lava through our backend against formulas written down here, and against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.lava import LavaBackend
from lava_align.backends.lava_shim import lava_version
from lava_align.backends.native import NativeBackend
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
from lava_align.engine.hashing import neuron_base, neuron_bits
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]

N_STEPS = 150
NAMES = ("x1", "x2", "y1", "y2")
WIDTHS = {"x": 7, "y": 7, "w": 9}


def neurons(name: str, size: int, **parameters: int) -> NeuronGroup:
    values = {"du": 700, "dv": 300, "vth": 150, "bias_exp": 0, **parameters}
    return NeuronGroup(name=name, size=size, bias_mant=np.arange(size) % 5, **values)


def weights(seed: int, n_post: int, n_pre: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-40, 60, (n_post, n_pre)) & ~1


RULE = LearningRule(
    dw=Expression.parse("2^-1*x1*y0 - 2^-2*x2*y0 + 3*2^-3*x0*y1*y2 - 2^-4*u0*w*x1"),
    x1=Trace(60, 8),
    x2=Trace(40, 30),
    y1=Trace(25, 5),
    y2=Trace(127, 0),
)


def program(rule: LearningRule = RULE, acts: bool = True) -> Program:
    """Input 6 -> lower 5 -> upper 4, and a plastic feedback upper -> lower."""
    return Program(
        target="test",
        dt=1e-3,
        n_steps=N_STEPS,
        inputs=(InputGroup(name="input", size=6),),
        neurons=(neurons("lower", 5, bias_exp=2), neurons("upper", 4, vth=60)),
        synapses=(
            Synapses(name="in", pre="input", post="lower", weights=weights(1, 5, 6), weight_exp=1),
            Synapses(name="W", pre="lower", post="upper", weights=weights(2, 4, 5)),
            Synapses(
                name="B",
                pre="upper",
                post="lower",
                weights=weights(3, 5, 4),
                acts=acts,
                learning=rule,
                rng_seed=11,
            ),
        ),
    )


def drive(n_steps: int = N_STEPS, size: int = 6, rate: float = 0.3) -> Spikes:
    return Spikes.from_raster(np.random.default_rng(7).random((n_steps, size)) < rate)


def towards_zero(value: np.ndarray, factor: int) -> np.ndarray:
    product = value.astype(np.int64) * factor
    return np.sign(product) * (np.abs(product) >> 12)


class Lif:
    """The integrate-and-fire formula of Lava's fixed-point LIF."""

    def __init__(self, group: NeuronGroup) -> None:
        self.group = group
        self.u = np.zeros(group.size, np.int64)
        self.v = np.zeros(group.size, np.int64)

    def step(self, activation: np.ndarray) -> np.ndarray:
        g = self.group
        self.u = towards_zero(self.u, 4096 - (g.du + 1)) + (activation << 6)
        self.v = towards_zero(self.v, 4096 - g.dv) + self.u + (g.bias_mant << g.bias_exp)
        spikes = self.v > g.vth << 6
        self.v[spikes] = 0
        return spikes


class Learning:
    """A two-factor rule with t_epoch 1 on one weight matrix, one rounding number for all."""

    def __init__(self, synapses: Synapses) -> None:
        self.rule, self.weights = synapses.learning, synapses.weights.astype(np.int64)
        n_post, n_pre = self.weights.shape
        self.traces = {k: np.zeros(n_pre if k[0] == "x" else n_post) for k in NAMES}
        seed = synapses.rng_seed
        self.decay = {"x": np.random.default_rng(seed), "y": np.random.default_rng(seed + 2)}
        self.rounding = np.random.default_rng(2)
        for generator in (*self.decay.values(), self.rounding):
            generator.random()

    def step(self, pre: np.ndarray, post: np.ndarray) -> None:
        # Two draws a step, of which the second rounds the decay.
        drawn = {k: generator.random(2)[1] for k, generator in self.decay.items()}
        for name in NAMES:
            trace = getattr(self.rule, name)
            value = self.traces[name] * (np.exp(-1 / trace.tau) if trace.tau else 0.0)
            value = np.floor(value) + (drawn[name[0]] < value % 1)
            value[pre if name[0] == "x" else post] += trace.impulse
            self.traces[name] = np.clip(value, 0, 127)
        known = {k: v.astype(np.int64) for k, v in self.traces.items()}
        known.update(x0=pre.astype(np.int64), y0=post.astype(np.int64), w=self.weights)
        known = {k: v[:, None] if k[0] == "y" else v for k, v in known.items()}
        accumulator = self.weights << 7
        for product in self.rule.dw.products:
            gate = 1 if product.dependency == "u0" else known[product.dependency]
            value = np.ones_like(self.weights) * gate * product.mantissa
            for factor in product.factors:
                value = value * known[factor.variable]
            bits = 4 + sum(WIDTHS[factor.variable[0]] for factor in product.factors)
            value = (value >> max(0, bits - 15)) << (product.exponent + 7)
            accumulator = np.clip(accumulator + np.clip(value, -32769, 32767), -32769, 32767)
        exact = accumulator / 128
        rounded = np.floor(exact) + (self.rounding.random() < exact % 1)
        self.weights = np.clip(rounded.astype(np.int64), -256, 255)


def simulate(net: Program, spikes: Spikes, n_steps: int) -> dict[str, list[np.ndarray]]:
    groups = {g.name: Lif(g) for g in net.neurons}
    learning = {s.name: Learning(s) for s in net.plastic()}
    sent = {s.name: np.zeros(len(s.weights), np.int64) for s in net.synapses}
    record: dict[str, list[np.ndarray]] = {"lower": [], "upper": [], "B": [], "v": [], "u": []}
    for row in spikes.raster(n_steps):
        fired = {"input": row}
        for name, lif in groups.items():
            arriving = [sent[s.name] for s in net.synapses if s.post == name and s.acts]
            fired[name] = lif.step(np.sum(arriving, axis=0))
            record[name].append(fired[name])
        for s in net.synapses:
            matrix = learning[s.name].weights if s.name in learning else s.weights.astype(np.int64)
            sent[s.name] = matrix[:, fired[s.pre]].sum(axis=1) << s.weight_exp
            if s.name in learning:
                learning[s.name].step(fired[s.pre], fired[s.post])
        record["B"].append(learning["B"].weights)
        record["v"].append(groups["lower"].v.copy())
        record["u"].append(groups["lower"].u.copy())
    return record


def test_every_spike_state_and_weight_equals_the_formula() -> None:
    net, spikes = program(), drive()
    probes = Probes(weight_steps=tuple(range(N_STEPS + 1)), states=("lower.v", "lower.u"))
    run = LavaBackend("fixed_pt").run(net, {"input": spikes}, N_STEPS, probes)
    expected = simulate(net, spikes, N_STEPS)
    for name in ("lower", "upper"):
        np.testing.assert_array_equal(run.spikes[name].raster(N_STEPS), expected[name])
        assert len(run.spikes[name]) > 20
    initial = net.synapses[2].weights
    np.testing.assert_array_equal(run.weights["B"].values, [initial, *expected["B"]])
    assert (run.weights["B"].values[-1] != initial).any()
    assert run.weights["B"].values.dtype == np.int32
    np.testing.assert_array_equal(run.states["lower.v"].values, expected["v"])
    np.testing.assert_array_equal(run.states["lower.u"].values, expected["u"])
    assert run.not_probed == ("upper.u", "upper.v")


def test_our_channels_and_lavas_own_give_equal_recordings() -> None:
    net, inputs = program(), {"input": drive(60)}
    probes = Probes(weight_steps=(0, 30, 60), states=("upper.v",))
    runs = [
        LavaBackend(_direct_channels=direct).run(net, inputs, 60, probes)
        for direct in (True, False)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].spikes["upper"]) > 0


@pytest.mark.parametrize("t_epoch", [1, 4])
def test_a_snapshot_equals_a_run_stopped_there(t_epoch: int) -> None:
    net, inputs = program(replace(RULE, t_epoch=t_epoch)), {"input": drive()}
    steps = (0, 1, 3, 4, 50)
    whole = LavaBackend().run(net, inputs, 60, Probes(weight_steps=steps)).weights["B"]
    assert whole.step.tolist() == list(steps)
    for step in (1, 4, 50):
        stopped = LavaBackend().run(net, inputs, step, Probes(weight_steps=(step,)))
        row = whole.step.tolist().index(step)
        np.testing.assert_array_equal(stopped.weights["B"].values[0], whole.values[row])
    assert (whole.values[0] != whole.values[4]).any()


@pytest.mark.parametrize("numerics", ["fixed_pt", "floating_pt"])
def test_a_spike_of_step_n_reaches_the_next_neurons_in_step_n_plus_1(numerics: str) -> None:
    net = Program(
        target="test",
        dt=1e-3,
        n_steps=10,
        inputs=(InputGroup(name="input", size=2),),
        neurons=(NeuronGroup(name="out", size=2, du=4095, dv=0, vth=9, bias_mant=[0, 0]),),
        synapses=(Synapses(name="in", pre="input", post="out", weights=[[10, 0], [0, 8]]),),
    )
    spikes = Spikes(step=[3, 5, 6, 6], neuron=[0, 1, 0, 1], size=2)
    probes = Probes(states=("out.v",))
    run = LavaBackend(numerics).run(net, {"input": spikes}, 10, probes)
    # 10 > 9 at once; 8 is not enough, 8 + 8 is.
    assert run.spikes["out"].step.tolist() == [4, 7, 7]
    assert run.spikes["out"].neuron.tolist() == [0, 0, 1]
    assert run.states["out.v"].values[:, 1].tolist() == [0] * 6 + [8 * 64] + [0] * 3


def test_initial_weights_are_those_the_model_uses() -> None:
    odd = replace(program().synapses[2], weights=np.full((5, 4), 21), weight_bits=6)
    net = replace(program(), synapses=(*program().synapses[:2], odd))
    run = LavaBackend().run(net, {"input": drive(3)}, 3, Probes(weight_steps=(0,)))
    # Six bits and a sign leave steps of eight.
    assert (run.weights["B"].values == 16).all()


def test_float_run_is_the_unrounded_network_of_the_same_program() -> None:
    """Compared with the same recursions in float64, learned weights with an exponent included."""
    plastic = replace(program().synapses[2], weight_exp=-2)
    net = replace(program(), synapses=(*program().synapses[:2], plastic))
    n_steps = 60
    spikes = drive(n_steps)
    probes = Probes(weight_steps=tuple(range(1, n_steps + 1)), states=("lower.v", "upper.u"))
    run = LavaBackend("floating_pt").run(net, {"input": spikes}, n_steps, probes)
    expected = unrounded(net, run, spikes, n_steps)
    for name, values in expected.items():
        np.testing.assert_allclose(run.states[name].values, values, rtol=1e-9, atol=1e-6)
    assert run.weights["B"].values.dtype == np.float64
    assert len(run.spikes["upper"]) > 5


def unrounded(net: Program, run: object, spikes: Spikes, n_steps: int) -> dict[str, list]:
    """Recompute currents and voltages from the spikes and weights Lava recorded."""
    raster = {"input": spikes.raster(n_steps)}
    raster.update({g.name: run.spikes[g.name].raster(n_steps) for g in net.neurons})
    state = {g.name: (np.zeros(g.size), np.zeros(g.size)) for g in net.neurons}
    record: dict[str, list] = {"lower.v": [], "upper.u": []}
    for n in range(n_steps):
        for g in net.neurons:
            u, v = state[g.name]
            u = u * (1 - (g.du + 1) / 4096)
            for s in net.synapses:
                if s.post == g.name and n > 0:
                    # A spike of step n - 1 met the weights after n - 1 whole steps.
                    learned = run.weights["B"].values[n - 2] if n > 1 else s.weights
                    matrix = learned if s.learning is not None else s.weights
                    u = u + matrix.astype(float) @ raster[s.pre][n - 1] * 64 * 2.0**s.weight_exp
            v = v * (1 - g.dv / 4096) + u + g.bias_mant * 2.0**g.bias_exp
            np.testing.assert_array_equal(v > g.vth * 64, raster[g.name][n])
            v[raster[g.name][n]] = 0
            state[g.name] = u, v
        record["lower.v"].append(state["lower"][1])
        record["upper.u"].append(state["upper"][0])
    return record


def test_float_products_of_several_factors_are_worth_what_the_chip_makes_of_them() -> None:
    """Three pre traces: the integer model shifts 3 * 7 + 4 - 15 = 10 bits away."""
    rule = LearningRule(dw=Expression.parse("2^1*x1*x2*x1*y0"), x1=Trace(64, 0), x2=Trace(16, 0))
    initial = np.zeros((1, 1))
    net = Program(
        target="test",
        dt=1e-3,
        n_steps=4,
        inputs=(InputGroup(name="a", size=1), InputGroup(name="b", size=1)),
        neurons=(),
        synapses=(Synapses(name="B", pre="a", post="b", weights=initial, learning=rule),),
    )
    once = Spikes(step=[1], neuron=[0], size=1)
    gained = 2 * 64 * 16 * 64 // 2**10
    probes = Probes(weight_steps=(1, 2, 4))
    for numerics in ("fixed_pt", "floating_pt"):
        run = LavaBackend(numerics).run(net, {"a": once, "b": once}, 4, probes)
        assert run.weights["B"].values.ravel().tolist() == [0, gained, gained]


# Neurons of our own -------------------------------------------------------------------------

OWN = NeuronGroup(
    name="lower",
    size=2,
    du=500,
    dv=300,
    dr=1500,
    vth=900,
    bias_mant=[900, 1300],
    bias_exp=2,
    reset=-50,
    refractory=2,
    noise=Noise(leak=3, gain=-6, report=11),
    apical=Apical(decay=600, report=8),
    window=Window(margin=300, reach=2**20, length=3, average=2, bits=5, scale=8),
)


def own_program() -> Program:
    """A graded input -> extended LIF <- its apical input; relay, escape neurons, third factors."""
    error = LearningRule(dw=Expression.parse("2^-3*u0*y1 - 2^-3*u0*y2"), third_factor=True)
    gated = LearningRule(dw=Expression.parse("2^-2*y0*y1*x1"), x1=Trace(40, 9), third_factor=True)
    return Program(
        target="test",
        dt=1e-3,
        n_steps=80,
        inputs=(InputGroup(name="in", size=2, graded=True), InputGroup(name="s", size=3)),
        neurons=(
            OWN,
            RelayGroup(name="relay", size=2, shift=1),
            EscapeGroup(
                name="escape",
                size=2,
                bias=[-20, 10],
                window=4,
                refractory=1,
                shift=1,
                table=np.arange(256) * 255,
            ),
        ),
        synapses=(
            Synapses(name="in", pre="in", post="relay", weights=[[2, 0], [0, -2]]),
            Synapses(name="soma", pre="s", post="lower", weights=weights(4, 2, 3), weight_exp=3),
            Synapses(
                name="apical",
                pre="relay.up",
                post="lower",
                weights=[[8, 4], [-6, 2]],
                into="apical",
            ),
            Synapses(
                name="e", pre="s", post="escape", weights=weights(5, 2, 3), delays=[[0, 1, 2]] * 2
            ),
            Synapses(
                name="F",
                pre="s",
                post="relay",
                weights=np.zeros((2, 3)),
                acts=False,
                learning=error,
                modulators={"y1": "relay.up", "y2": "relay.down"},
            ),
            Synapses(
                name="G",
                pre="escape",
                post="lower",
                weights=np.zeros((2, 2)),
                acts=False,
                learning=gated,
                gate="lower.window",
                modulators={"y1": "lower.above"},
            ),
        ),
    )


def own_inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {"in": rng.integers(-60, 60, (80, 2)), "s": rng.random((80, 3)) < 0.3}


def own_probes(net: Program) -> Probes:
    return Probes(spikes=net.spiking(), states=tuple(net.states()), weight_steps=(0, 40, 80))


def test_our_neurons_equal_the_engine_in_lavas_runtime() -> None:
    net = own_program()
    lava = LavaBackend(seed=3).run(net, own_inputs(), 80, own_probes(net))
    native = NativeBackend(seed=3).run(net, own_inputs(), 80, own_probes(net))
    for kind in ("spikes", "states", "weights", "stimuli"):
        assert getattr(lava, kind) == getattr(native, kind)
    assert min(len(lava.spikes[name]) for name in ("lower", "relay", "escape", "lower.plus")) > 2
    assert (lava.weights["F"].values[-1] != 0).any()
    assert (lava.weights["G"].values[-1] != 0).any()
    other = LavaBackend(seed=4).run(net, own_inputs(), 80, own_probes(net))
    assert other.spikes["escape"] != lava.spikes["escape"]
    assert other.states["lower.n"] != lava.states["lower.n"]


def test_floats_of_our_neurons_are_the_same_network_without_rounding() -> None:
    net, inputs, n_steps = own_program(), own_inputs(), 80
    run = LavaBackend("floating_pt", seed=3).run(net, inputs, n_steps, own_probes(net))
    states = {name: series.values for name, series in run.states.items()}
    raster = {name: spikes.raster(n_steps) for name, spikes in run.spikes.items()}
    base, bias = neuron_base(3, 0), OWN.bias_mant * 2.0**OWN.bias_exp
    u = r = n = p = np.zeros(2)
    v, rest = np.full(2, -50.0 * 64), np.zeros(2, int)
    soma = net.synapses[1].weights * 64.0 * 2**3
    apical = net.synapses[2].weights * 64.0
    relayed = net.synapses[0].weights.astype(float)
    for step in range(n_steps):
        before = inputs["s"][step - 1] if step else np.zeros(3)
        u = u * (1 - 501 / 4096) + soma @ before
        r = r * (1 - 1501 / 4096) + soma @ before
        n = n * (1 - 2**-3) + neuron_bits(base, step, 2) - 2**15
        p = p * (1 - 600 / 4096) + apical @ (states["relay.up"][step - 1] if step else np.zeros(2))
        v = np.where(rest > 0, -50 * 64, v * (1 - 300 / 4096) + u - r + bias + n * 2**-6)
        spikes = (v > 900 * 64) & (rest == 0)
        np.testing.assert_array_equal(raster["lower"][step], spikes)
        v[spikes] = -50 * 64
        rest = np.where(spikes, 2, np.maximum(rest - 1, 0))
        arriving = relayed @ (inputs["in"][step - 1] if step else np.zeros(2))
        expected = {
            "lower.u": u,
            "lower.r": r,
            "lower.n": n,
            "lower.p": p,
            "lower.v": v,
            "lower.noise": np.clip(64 + n / 2**11, 0, 127),
            "lower.apical": np.clip(64 + p / 2**8, 0, 127),
            "relay.up": np.clip(arriving / 2, 0, 254),
            "relay.down": np.clip(-arriving / 2, 0, 254),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(
                states[name][step], value, rtol=1e-9, atol=1e-6, err_msg=name
            )
    assert raster["lower"].sum() > 5
    assert raster["lower.window"].sum() > 2
    # Without a shift in the product the third factors add up, decayed by exp(-1 / 65535).
    error = (states["relay.up"] - states["relay.down"]).sum(axis=0) / 8
    final = run.weights["F"].values[-1]
    np.testing.assert_allclose(final, np.repeat(error[:, None], 3, axis=1), rtol=1e-3, atol=1e-3)


def test_escape_neurons_in_floats_spike_as_often_as_the_table_says() -> None:
    table = np.arange(256) * 255
    group = EscapeGroup(
        name="e", size=200, bias=np.arange(200) - 100, window=1, refractory=0, shift=0, table=table
    )
    net = Program(target="test", dt=1e-3, n_steps=400, inputs=(), neurons=(group,), synapses=())
    run = LavaBackend("floating_pt", seed=1).run(net, {}, 400)
    chance = np.interp(group.bias, np.arange(-128, 128) + 0.5, table) / 65536
    rates = run.spikes["e"].raster(400).mean(axis=0)
    error = np.sqrt(chance * (1 - chance) / 400)
    assert (np.abs(rates - chance) < 4.5 * error).all()
