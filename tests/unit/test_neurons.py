"""Neurons of our own against formulas and sequences written down here, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lava_align.compiler.program import (
    AnyNeurons,
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
from lava_align.errors import InvalidInputError
from lava_align.recording import Spikes
from lava_align.testing import ENGINES


@pytest.fixture(scope="module", params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    return ENGINES[request.param]


def lif(**parameters: object) -> NeuronGroup:
    values = {"size": 1, "du": 4095, "dv": 0, "vth": 100, "bias_mant": [0], **parameters}
    return NeuronGroup(name="n", **values)


WINDOW = Window(margin=10, reach=30, length=3, average=1, bits=2, scale=6)


def driven(group: AnyNeurons, *more: Synapses, weight: int = 2, **options: object) -> Program:
    """A graded input, of which neuron i gets ``weight`` times channel i, a step later."""
    eye = weight * np.eye(group.size, dtype=int)
    synapses = (Synapses(name="s", pre="in", post="n", weights=eye, **options), *more)
    return Program(
        target="test",
        dt=1e-3,
        n_steps=10,
        inputs=(InputGroup(name="in", size=group.size, graded=True),),
        neurons=(group,),
        synapses=synapses,
    )


def follow(
    make: Callable[..., Engine], program: Program, values: object, *names: str, **options: object
) -> dict[str, list]:
    """What states and binary ports are, step by step; values arrive in the step they stand at."""
    rows = np.asarray(values).reshape(len(values), -1)
    sent = np.concatenate((rows[1:], rows[:1] * 0))
    assert not rows[0].any()
    engine = make(program, **options)
    states = tuple(name for name in names if name in program.states())
    spikes = tuple(name for name in names if name not in states)
    chunk = engine.run(len(sent), {"in": sent}, spikes, states)
    found = {name: chunk.states[name].squeeze(-1).tolist() for name in states}
    for name in spikes:
        train = Spikes(step=chunk.spikes[name][0], neuron=chunk.spikes[name][1], size=1)
        found[name] = train.raster(len(sent))[:, 0].astype(int).tolist()
    return found


# Extended LIF -------------------------------------------------------------------------------


def towards_zero(value: int, factor: int) -> int:
    return (abs(value) * factor >> 12) * (1 if value >= 0 else -1)


def reference(group: NeuronGroup, arriving: list[int]) -> tuple[list[int], list[int]]:
    """Membrane and spikes by plain arithmetic, far from every limit."""
    u = r = left = 0
    v = group.reset * 64
    voltages, spikes = [], []
    for a in arriving:
        u = towards_zero(u, 4095 - group.du) + 64 * a
        r = towards_zero(r, 4095 - group.dr) + 64 * a if group.dr is not None else 0
        new = towards_zero(v, 4096 - group.dv) + u - r + (int(group.bias_mant[0]) << group.bias_exp)
        held = left > 0 and group.holds
        v = group.reset * 64 if held else new
        spike = left == 0 and v > group.vth * 64
        left = max(left - 1, 0)
        if spike:
            v, left = group.reset * 64, group.refractory
        voltages.append(v)
        spikes.append(int(spike))
    return voltages, spikes


@pytest.mark.parametrize("dr", [None, 301, 900, 4095])
@pytest.mark.parametrize("reset", [0, -60, 40])
@pytest.mark.parametrize(("refractory", "holds"), [(0, True), (1, True), (4, True), (4, False)])
def test_reset_refractory_and_second_current(make, dr, reset, refractory, holds) -> None:
    group = lif(du=300, dv=200, bias_mant=[40], bias_exp=2)
    group = replace(group, dr=dr, reset=reset, refractory=refractory, holds=holds)
    arriving = np.random.default_rng(3).integers(-30, 60, 300) * 2
    arriving[0] = 0
    found = follow(make, driven(group), arriving // 2, "n", "n.v")
    voltages, spikes = reference(group, arriving.tolist())
    assert found["n.v"] == voltages
    assert found["n"] == spikes
    # A kernel of hardly any area leaves only the bias, which is not enough.
    assert sum(spikes) > (-1 if dr == 301 else 5)


def test_with_everything_at_its_default_it_is_lavas_own_lif() -> None:
    assert not lif().custom
    assert not lif(holds=False).custom
    assert driven(lif()).custom_neurons() == ()
    for option in ({"dr": 0}, {"reset": -1}, {"refractory": 1}, {"window": WINDOW}):
        assert lif(**option).custom


def test_the_refractory_period_ends_after_so_many_steps(make) -> None:
    group = lif(vth=9, refractory=2)
    found = follow(make, driven(group), [0] + [10] * 9, "n", "n.rest", "n.v")
    assert found["n"] == [0, 1, 0, 0, 1, 0, 0, 1, 0, 0]
    assert found["n.rest"] == [0, 2, 1, 0, 2, 1, 0, 2, 1, 0]
    assert found["n.v"] == [0] * 10
    free = follow(make, driven(replace(group, holds=False)), [0] + [10] * 9, "n", "n.v")
    assert free["n"] == found["n"]
    assert free["n.v"] == [v * 64 for v in (0, 0, 20, 40, 0, 20, 40, 0, 20, 40)]


def test_currents_wrap_once_and_voltages_stop(make) -> None:
    group = lif(du=0, dr=4095, vth=2**17 - 1)
    most = 2**23 // 64
    found = follow(make, driven(group, weight=254, weight_exp=7), [0, 5, -5], "n.u", "n.r", "n.v")
    worth = 5 * 254 * 2**7
    assert worth > most
    assert found["n.r"][1] == worth * 64 - 2**24
    assert found["n.u"][1] == found["n.r"][1]
    assert found["n.v"] == [0, 0, pytest.approx(found["n.u"][2] - found["n.r"][2])]


# Windows ------------------------------------------------------------------------------------


def watched(make, group: NeuronGroup, arriving: list[int]) -> dict[str, list]:
    names = [f"n.{name}" for name in (*group.registers, *group.ports)]
    return follow(make, driven(group), [a // 2 for a in arriving], "n", *names)


def test_a_window_follows_the_drive_without_reset(make) -> None:
    # Near the threshold of 100 at 92; the spike at 104 resets v and not z.
    group = lif(window=WINDOW)
    found = watched(make, group, [0, 50, 42, 12, 6, -50])
    assert found["n"] == [0, 0, 0, 1, 0, 0]
    assert found["n.v"] == [64 * v for v in (0, 50, 92, 0, 6, -44)]
    assert found["n.z"] == [64 * z for z in (0, 50, 92, 104, 110, -44)]
    assert found["n.count"] == [0, 0, 2, 1, 0, 0]
    assert found["n.peak"][4] == 110 * 64
    assert found["n.fired"][2:5] == [0, 1, 1]
    assert found["n.plus"] == found["n.window"] == [0, 0, 0, 0, 1, 0]
    assert found["n.minus"] == [0] * 6
    # 10 thresholds away, in units of one.
    assert found["n.distance"] == [0, 0, 0, 0, 10, 0]
    # Half of the windows are taken to spike at first: 4 - 2 of 4.
    assert found["n.above"] == [0, 0, 0, 0, 2, 0]


def test_a_window_without_a_spike_is_reported_on_the_other_ports(make) -> None:
    found = watched(make, lif(window=WINDOW), [0, 94, 4, -60, 0])
    assert found["n.minus"] == found["n.window"] == [0, 0, 0, 1, 0]
    assert found["n.below"] == [0, 0, 0, 2, 0]
    assert found["n.distance"] == [0, 0, 0, 2, 0]
    assert found["n.plus"] == [0] * 5


def test_a_peak_beyond_the_reach_is_not_reported(make) -> None:
    found = watched(make, lif(window=WINDOW), [0, 94, 40, 0, 0])
    assert found["n.count"] == [0, 2, 1, 0, 0]
    assert found["n.peak"][3] == 134 * 64
    assert found["n.window"] == [0] * 5
    assert found["n.share"] == [2**15] * 5


def test_a_window_of_one_step_ends_as_it_opens(make) -> None:
    group = lif(window=replace(WINDOW, length=1, margin=2**25 - 1, reach=2**25 - 1))
    found = watched(make, group, [0, 50, 60, 0])
    assert found["n.window"] == [1, 1, 1, 1]
    assert found["n.plus"] == [0, 0, 1, 0]
    assert found["n.distance"] == [100, 50, 10, 100]


def test_the_neuron_that_is_held_opens_windows_from_its_reset(make) -> None:
    group = lif(vth=9, reset=-4, refractory=3, window=replace(WINDOW, margin=15, length=2))
    found = watched(make, group, [0, 14, 20, 20, 20, 0, 0, 0])
    # z from the reset at -4: 10 opens nothing new, the first window opened at -4 already.
    assert found["n"] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert found["n.z"][:2] == [64 * -4, 64 * 10]
    # Held: at the reset, which is within the margin; then on its own.
    assert found["n.z"][2:4] == [64 * -4, 64 * 16]


def test_the_share_of_spiking_windows_weighs_the_classes(make) -> None:
    group = lif(window=replace(WINDOW, length=1, average=1, bits=2, margin=50, reach=50))
    up, down = [104], [96, -96]
    found = watched(make, group, [0, *(up * 3), *(down * 3)])
    shares, share = [], 2**15
    for plus, minus in zip(found["n.plus"], found["n.minus"], strict=True):
        share += (65535 - share) // 2 if plus else -(share // 2) if minus else 0
        shares.append(share)
    assert found["n.share"] == shares
    assert found["n.above"][1:4] == [2, 1, 1]
    assert [b for b in found["n.below"] if b] == [4, 2, 1]


def test_the_two_weights_make_the_classes_equal_in_the_mean(make) -> None:
    """With a share s of spiking windows, s * above and (1 - s) * below have the same mean."""
    window = Window(margin=2**25 - 1, reach=2**25 - 1, length=1, average=7, bits=6, scale=0)
    rng = np.random.default_rng(1)
    spiking = rng.random(20000) < 0.2
    arriving = np.where(spiking, 104, 0)
    arriving[0] = 0
    found = watched(make, lif(dv=4095, window=window), arriving.tolist())
    above, below = np.array(found["n.above"][2000:]), np.array(found["n.below"][2000:])
    assert above.mean() == pytest.approx(64 * 0.2 * 0.8, rel=0.05)
    assert below.mean() == pytest.approx(above.mean(), rel=0.05)


# Noise and the second input -----------------------------------------------------------------


def alone(group: AnyNeurons) -> Program:
    return Program(target="test", dt=1e-3, n_steps=1, inputs=(), neurons=(group,), synapses=())


def test_white_noise_is_uniform_and_independent(make) -> None:
    group = lif(size=40, bias_mant=[0] * 40, vth=2**17 - 1, noise=Noise(leak=0, gain=0, report=9))
    chunk = make(alone(group), seed=3).run(2000, {}, (), ("n.n", "n.noise", "n.v"))
    n = chunk.states["n.n"].astype(float)
    assert -(2**15) <= n.min() < n.max() < 2**15
    deviation = 2**16 / np.sqrt(12)
    assert abs(n.mean()) < 4 * deviation / np.sqrt(n.size)
    assert n.std() == pytest.approx(deviation, rel=0.01)
    for one, other in ((n[1:], n[:-1]), (n[:, 1:], n[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)
    reports = 64 + np.clip(chunk.states["n.n"] >> 9, -64, 63)
    np.testing.assert_array_equal(chunk.states["n.noise"], reports)
    # It reaches the membrane, which adds it up.
    np.testing.assert_array_equal(chunk.states["n.v"][5], chunk.states["n.n"][:6].sum(axis=0))
    assert (n[0] != make(alone(group), seed=4).run(1, {}, (), ("n.n",)).states["n.n"][0]).all()


def test_leaking_noise_is_a_low_pass(make) -> None:
    group = lif(size=50, bias_mant=[0] * 50, noise=Noise(leak=3, gain=-8, report=0))
    n = make(alone(group)).run(4000, {}, (), ("n.n",)).states["n.n"][200:].astype(float)
    keep = 1 - 2**-3
    expected = 2**16 / np.sqrt(12) / np.sqrt(1 - keep**2)
    assert n.std() == pytest.approx(expected, rel=0.03)
    lag = (n[1:] * n[:-1]).mean() / n.var()
    assert lag == pytest.approx(keep, abs=0.02)


@pytest.mark.parametrize("gain", [-8, -1, 0, 3])
def test_the_gain_shifts_what_the_membrane_gets(make, gain: int) -> None:
    group = lif(dv=4095, vth=2**17 - 1, noise=Noise(leak=2, gain=gain, report=0))
    states = make(alone(group)).run(50, {}, (), ("n.n", "n.v")).states
    n = states["n.n"].astype(np.int64)
    v = n << gain if gain > 0 else n >> -gain
    # A decay of 4095 / 4096 leaves of the last step what is 4096 or more.
    left = [0, *(int(np.sign(x)) * (abs(int(x)) >> 12) for x in states["n.v"][:-1, 0])]
    np.testing.assert_array_equal(states["n.v"][:, 0], v[:, 0] + left)


def test_the_apical_input_leaks_and_drives_nothing(make) -> None:
    group = lif(apical=Apical(decay=2048, report=5))
    program = driven(group, into="apical")
    found = follow(make, program, [0, 3, 0, -10, 0, 100], "n.p", "n.apical", "n.v", "n")
    p = [0, 6 * 64, 3 * 64, -20 * 64 + 96, -592, 200 * 64 - 296]
    assert found["n.p"] == p
    assert found["n.apical"] == [64 + max(-64, min(63, x >> 5)) for x in p]
    assert found["n.v"] == [0] * 6
    assert found["n"] == [0] * 6


# Escape neurons and relays ------------------------------------------------------------------


def escape(**parameters: object) -> EscapeGroup:
    values = {"size": 1, "window": 3, "refractory": 0, "shift": 0, "table": np.zeros(256)}
    values.update(parameters)
    return EscapeGroup(name="n", bias=np.zeros(values["size"]), **values)


def test_a_spike_is_a_pulse_of_so_many_steps(make) -> None:
    found = follow(make, driven(escape()), [0, 5, 0, 0, 0, 1, 2, 0, 0, 0], "n.u")
    assert found["n.u"] == [0, 10, 10, 10, 0, 2, 6, 6, 4, 0]
    short = follow(make, driven(escape(window=1)), [0, 5, 0, 1], "n.u")
    assert short["n.u"] == [0, 10, 0, 2]


def test_spikes_are_as_likely_as_the_table_says(make) -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 65536, 256)
    table[:2] = 0, 65535
    size, steps = 256, 4000
    # The bias alone, four to an entry.
    group = replace(escape(size=size, shift=2, table=table), bias=4 * (np.arange(size) - 128) + 3)
    program = alone(group)
    step, neuron = make(program, seed=11).run(steps, {}, ("n",)).spikes["n"]
    rates = np.bincount(neuron, minlength=size) / steps
    expected = table / 65536
    error = np.sqrt(expected * (1 - expected) / steps)
    assert (np.abs(rates - expected) <= 4 * error + 1e-12).all()
    raster = Spikes(step=step, neuron=neuron, size=size).raster(steps)[:, 2:]
    one, other = (raster - raster.mean(axis=0))[1:], (raster - raster.mean(axis=0))[:-1]
    assert abs((one * other).mean()) < 4 * 0.25 / np.sqrt(one.size)


def test_beyond_the_table_its_ends_count(make) -> None:
    table = np.zeros(256)
    table[255] = 65535
    group = replace(escape(size=2, table=table), bias=[2**31 - 1, -(2**31)])
    _, neuron = make(alone(group)).run(200, {}, ("n",)).spikes["n"]
    assert set(neuron.tolist()) == {0}
    assert len(neuron) >= 199


@pytest.mark.parametrize("refractory", [0, 1, 4])
def test_between_two_spikes_is_the_refractory_period(make, refractory: int) -> None:
    table = np.full(256, 32768)
    group = escape(refractory=refractory, table=table)
    step, _ = make(alone(group)).run(3000, {}, ("n",)).spikes["n"]
    gaps = [b - a for a, b in pairwise(step.tolist())]
    assert min(gaps) == refractory + 1
    assert np.mean(gaps) == pytest.approx(refractory + 2, rel=0.1)


def test_a_relay_parts_the_signs(make) -> None:
    group = RelayGroup(name="n", size=1, shift=2)
    found = follow(make, driven(group), [0, 10, -10, 1, -1, 2000, -2000], "n.up", "n.down", "n")
    assert found["n.up"] == [0, 5, 0, 0, 0, 254, 0]
    assert found["n.down"] == [0, 0, 5, 0, 0, 0, 254]
    assert found["n"] == [0, 1, 1, 0, 0, 1, 1]


def test_a_relay_copes_with_the_most_negative_input(make) -> None:
    group = RelayGroup(name="n", size=1, shift=31)
    program = driven(group, weight=-256, weight_exp=8)
    found = follow(make, program, [0, 2**15, -1], "n.up", "n.down")
    assert found == {"n.up": [0, 0, 0], "n.down": [0, 1, 0]}


def test_a_port_carries_its_value_to_weights_traces_and_third_factors(make) -> None:
    """One relay's value multiplies a weight, enters x1 as half, and is y1 of a rule."""
    from lava_align.learning_rule import Expression, LearningRule, Trace

    rule = LearningRule(dw=Expression.parse("2^0*u0*y1"), x1=Trace(0, 0), third_factor=True)
    learning = Synapses(
        name="l",
        pre="n.up",
        post="n",
        weights=[[0]],
        acts=False,
        learning=rule,
        graded="overwrite",
        gate="n",
        modulators={"y1": "n.up", "y2": "n.down"},
    )
    passed = Synapses(name="p", pre="n.up", post="m", weights=[[4]])
    program = driven(RelayGroup(name="n", size=1, shift=0), learning, passed)
    program = replace(program, neurons=(*program.neurons, replace(lif(), name="m")))
    engine = make(program)
    engine.run(2, {"in": np.array([[10], [0]])}, ())
    assert engine.read("n.up").tolist() == [20]
    assert engine.read("l.weights").tolist() == [[20]]
    assert engine.read("l.x1").tolist() == [0]
    engine.run(1, {"in": np.zeros((3, 1), int)}, ())
    assert engine.read("m.u").tolist() == [80 * 64]


# What is refused ----------------------------------------------------------------------------


def problems(program: Program) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        ENGINES["model"](program)
    return [problem.where for problem in caught.value.problems]


def test_every_parameter_out_of_range_is_named() -> None:
    extended = lif(
        du=4096,
        dv=-1,
        dr=5000,
        vth=2**17,
        reset=2**18,
        refractory=256,
        bias_exp=40,
        noise=Noise(leak=16, gain=16, report=-1),
        apical=Apical(decay=4096, report=32),
        window=Window(margin=-1, reach=2**25, length=0, average=0, bits=7, scale=32),
    )
    names = ["du", "dv", "dr", "vth", "bias_exp", "reset", "refractory", "reset"]
    names += [f"noise.{key}" for key in ("leak", "gain", "report")]
    names += [f"apical.{key}" for key in ("decay", "report")]
    keys = ("margin", "reach", "length", "average", "bits", "scale")
    names += [f"window.{key}" for key in keys]
    assert problems(alone(extended)) == [f"neurons.n.{name}" for name in names]
    table = np.full(256, 65536)
    group = EscapeGroup(name="e", size=2, bias=[0], window=0, refractory=-1, shift=16, table=table)
    names = ["window", "refractory", "shift", "bias", "table"]
    assert problems(alone(group)) == [f"neurons.e.{name}" for name in names]
    assert problems(alone(RelayGroup(name="r", size=1, shift=32))) == ["neurons.r.shift"]


def test_unknown_ports_and_inputs_are_named() -> None:
    base = driven(lif(window=WINDOW))
    (synapses,) = base.synapses
    for changed, where in (
        ({"pre": "n.noise"}, "pre"),
        ({"pre": "in.plus"}, "pre"),
        ({"gate": "n.up"}, "gate"),
        ({"post": "n.plus"}, "post"),
        ({"into": "apical"}, "into"),
        ({"into": "basal"}, "into"),
    ):
        program = replace(base, synapses=(replace(synapses, **changed),))
        assert problems(program) == [f"synapses.s.{where}"], changed
    engine = ENGINES["model"](base)
    with pytest.raises(InvalidInputError) as caught:
        engine.run(1, {"in": np.zeros((1, 1), int)}, ("n.above", "in"), ("n.plus", "n.n"))
    assert [p.where for p in caught.value.problems] == ["spikes"] * 2 + ["states"] * 2


def test_a_state_that_no_run_leads_to_is_refused() -> None:
    program = driven(lif(window=WINDOW, refractory=3))
    engine = list(ENGINES.values())[-1](program)
    for name, value in (("rest", 4), ("count", 4), ("share", 65536), ("fired", 2), ("peak", 2**23)):
        state = engine.state()
        state[f"n.{name}"] = np.array([value], np.int32)
        if len(ENGINES) > 1:
            with pytest.raises(InvalidInputError, match=f"n.{name}"):
                engine.restore(state)


# Programs -----------------------------------------------------------------------------------


def test_sizes_states_and_what_can_be_recorded() -> None:
    program = driven(lif(window=WINDOW, refractory=2, apical=Apical(decay=1, report=1)))
    assert program.size("n.plus") == 1
    assert program.spiking() == ("n", "n.plus", "n.minus", "n.window")
    assert program.custom_neurons() == ("n",)
    graded = {name for name, sender in program.senders().items() if sender.graded}
    assert graded == {"in", "n.apical", "n.above", "n.below", "n.distance"}
    registers = ("u", "v", "rest", "p", "z", "count", "peak", "fired", "share")
    ports = ("apical", "above", "below", "distance")
    assert list(program.states()) == [f"n.{name}" for name in (*registers, *ports)]
