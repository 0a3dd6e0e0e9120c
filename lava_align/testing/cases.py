"""Random learning rules and programs, as strategies of hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lava_align.compiler.program import (
    AnyNeurons,
    Apical,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Noise,
    Program,
    RelayGroup,
    Sender,
    Synapses,
    Window,
)
from lava_align.learning_rule import Expression, Factor, LearningRule, Product, Trace
from lava_align.learning_rule.rule import POST_TRACES, TARGETS
from lava_align.learning_rule.terms import SYNAPTIC_VARIABLES, TRACES

Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


# Learning rules ---------------------------------------------------------------------------------


@st.composite
def factors(draw: Draw) -> Factor:
    """Any factor."""
    kind = draw(st.sampled_from(["trace", "synaptic", "sgn", "spike"]))
    if kind == "spike":
        return Factor(draw(st.sampled_from(["x0", "y0"])), draw(st.sampled_from([0, -1, -2])))
    constant = draw(st.just(0) | st.integers(-128, 127) | st.sampled_from([-128, 127]))
    names = TRACES if kind == "trace" else SYNAPTIC_VARIABLES
    return Factor(draw(st.sampled_from(names)), constant, sgn=kind == "sgn")


@st.composite
def products(draw: Draw, clock: int = 3) -> Product:
    """Any product; the only clock is ``u<clock>``."""
    return Product(
        draw(st.integers(-7, 7).filter(bool)),
        draw(st.integers(-7, 8)),
        draw(st.sampled_from(["x0", "y0", f"u{clock}"])),
        tuple(draw(st.lists(factors(), max_size=4) | st.lists(factors(), min_size=4, max_size=6))),
    )


@st.composite
def expressions(draw: Draw, clock: int = 3) -> Expression:
    """Any sum of up to four products."""
    return Expression(tuple(draw(st.lists(products(clock), min_size=1, max_size=4))))


@st.composite
def rules(draw: Draw, brief: bool = False, two_factors: bool = False) -> LearningRule:
    """Any learning rule; a brief one has a clock and an epoch that come round in a few steps."""
    clock = draw(st.sampled_from([0, 0, 1, 2, 3, 9]) if brief else st.integers(0, 9))
    epochs = st.integers(1, 8) | st.sampled_from([1, 2, 13, 60]) if brief else st.integers(1, 63)
    third = not two_factors and draw(st.booleans())
    some = draw(st.lists(st.sampled_from(TARGETS), min_size=1, unique=True))
    traces = st.builds(Trace, st.integers(0, 127), st.integers(0, 1000))
    return LearningRule(
        **{target: draw(expressions(clock)) for target in some},
        **{name: draw(traces) for name in (TRACES[:2] if third else TRACES)},
        t_epoch=draw(epochs),
        third_factor=third,
    )


# Programs and what is fed to them ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program, the values its inputs send, and a step at which to stop and go on.

    Parameters
    ----------
    inputs : mapping
        Input group to int64 of shape (n_steps, size).
    """

    program: Program
    n_steps: int
    inputs: Mapping[str, Array]
    cut: int


@st.composite
def cases(draw: Draw, n_steps: int = 60) -> Case:
    """Any small network and its input, most of them far into saturation.

    Parameters
    ----------
    n_steps : int
        At most so many steps.
    """
    sizes = st.integers(1, 4)
    inputs = [InputGroup(name="i0", size=draw(sizes))]
    second = st.builds(InputGroup, name=st.just("i1"), size=sizes, graded=st.booleans())
    inputs += draw(st.lists(second, max_size=1))
    neurons = [draw(_neurons(f"n{k}", draw(sizes))) for k in range(draw(st.integers(0, 3)))]
    synapses = []
    for k in range(draw(st.integers(1, 5))):
        made, more = draw(_synapses(f"s{k}", tuple(inputs), tuple(neurons)))
        synapses.append(made)
        inputs += more
    steps = draw(st.integers(1, n_steps))
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=steps,
        inputs=tuple(inputs),
        neurons=tuple(neurons),
        synapses=tuple(synapses),
    )
    sent = {group.name: draw(_values(group, steps)) for group in inputs}
    return Case(program=program, n_steps=steps, inputs=sent, cut=draw(st.integers(0, steps)))


def _seeded() -> st.SearchStrategy[Any]:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def _decays() -> st.SearchStrategy[int]:
    return st.sampled_from([0, 1, 400, 2048, 4094, 4095]) | st.integers(0, 4095)


@st.composite
def _neurons(draw: Draw, name: str, size: int) -> AnyNeurons:
    kind = draw(st.sampled_from(["relay", "lif", "extended", "extended", "escape", "relay"]))
    if kind == "relay":
        return RelayGroup(name=name, size=size, shift=draw(st.integers(0, 3) | st.integers(0, 31)))
    if kind == "escape":
        escape: EscapeGroup = draw(_escape(name, size))
        return escape
    lif: NeuronGroup = draw(_lif(name, size))
    extended: NeuronGroup = draw(_extended(lif)) if kind == "extended" else lif
    return extended


@st.composite
def _lif(draw: Draw, name: str, size: int) -> NeuronGroup:
    most = draw(st.sampled_from([0, 5, 4095, 32767]))
    return NeuronGroup(
        name=name,
        size=size,
        du=draw(_decays()),
        dv=draw(_decays()),
        vth=draw(st.sampled_from([0, 1, 20, 300, 131071]) | st.integers(0, 2000)),
        bias_mant=draw(_seeded()).integers(-most, most + 1, size),
        bias_exp=draw(st.integers(-3, 8)),
    )


@st.composite
def _extended(draw: Draw, lif: NeuronGroup) -> NeuronGroup:
    """Any of what a group may add to Lava's LIF; several at once as a rule."""
    near = st.sampled_from([0, 500, 2**17, 2**25 - 1, 2**25 - 1]) | st.integers(0, 4000)
    # Of the two branches of an option the one that does something comes twice.
    noise = st.builds(
        Noise, leak=st.integers(0, 15), gain=st.integers(-8, 15), report=st.integers(0, 15)
    )
    apical = st.builds(Apical, decay=_decays(), report=st.integers(0, 31))
    window = st.builds(
        Window,
        margin=near,
        reach=near,
        length=st.integers(1, 3) | st.integers(1, 5) | st.integers(1, 255),
        average=st.integers(1, 15),
        bits=st.integers(1, 6),
        scale=st.integers(0, 16) | st.integers(0, 31),
    )
    below = st.integers(-50, -1) | st.integers(1 - 2**17, 2**17 - 1)
    reset = draw(st.just(0) | below)
    return replace(
        lif,
        dr=draw(st.none() | _decays()),
        reset=reset if reset < lif.vth else 0,
        refractory=draw(st.sampled_from([0, 1, 2, 5, 255])),
        holds=draw(st.booleans()),
        noise=draw(st.none() | noise | noise),
        apical=draw(st.none() | apical | apical),
        window=draw(st.none() | window | window),
    )


@st.composite
def _escape(draw: Draw, name: str, size: int) -> EscapeGroup:
    rng = draw(_seeded())
    most = draw(st.sampled_from([0, 100, 2**31 - 1]))
    tables = {
        "any": rng.integers(0, 65536, 256),
        "never": np.zeros(256),
        "always": np.full(256, 65535),
        "rising": np.arange(256) * 257,
    }
    return EscapeGroup(
        name=name,
        size=size,
        bias=rng.integers(-most, most + 1, size),
        window=draw(st.integers(1, 6) | st.integers(1, 255)),
        refractory=draw(st.sampled_from([0, 1, 3, 255])),
        shift=draw(st.integers(0, 15)),
        table=tables[draw(st.sampled_from(["any", "any", "rising", "always", "never"]))],
    )


@st.composite
def _synapses(
    draw: Draw,
    name: str,
    inputs: tuple[InputGroup, ...],
    neurons: tuple[AnyNeurons, ...],
) -> tuple[Synapses, list[InputGroup]]:
    """One projection, and the inputs that it needs for itself."""
    groups: list[InputGroup | AnyNeurons] = [*inputs, *neurons]
    senders = _senders(inputs, neurons)
    pre = draw(st.sampled_from([*(g.name for g in groups), *senders]))
    post = draw(st.sampled_from(neurons or groups) | st.sampled_from(groups))
    shape = (post.size, senders[pre].size)
    made = Synapses(
        name=name,
        pre=pre,
        post=post.name,
        weights=draw(_weights(shape)),
        weight_exp=draw(st.sampled_from([0, 0, 1, 4]) | st.integers(-9, 8)),
        weight_bits=draw(st.just(8) | st.integers(1, 8)),
        sign_mode=draw(st.just("mixed") | st.sampled_from(["mixed", "excitatory", "inhibitory"])),
        acts=draw(st.sampled_from([True, True, False])),
    )
    if isinstance(post, NeuronGroup) and post.apical is not None:
        made = replace(made, into=draw(st.sampled_from(["apical", "apical", "soma"])))
    if not draw(st.sampled_from([True, True, False])):
        longest = draw(st.sampled_from([0, 0, 1, 5, 63]))
        delays = draw(_seeded()).integers(0, longest + 1, shape)
        return replace(made, delays=delays if longest else None), []
    rule = draw(rules(brief=True))
    made = replace(made, learning=rule, rng_seed=draw(st.integers(0, 1000)))
    if senders[pre].graded:
        modes = ["default", "overwrite", "add_with_saturation", "add_without_saturation"]
        made = replace(made, graded=draw(st.sampled_from(modes)))
    gates = [sender for sender, what in senders.items() if what.size == post.size]
    made = replace(made, gate=draw(st.none() | st.sampled_from(gates)))
    if not rule.third_factor:
        return made, []
    modulated: tuple[Synapses, list[InputGroup]] = draw(_modulated(made, senders))
    return modulated


def _senders(inputs: tuple[InputGroup, ...], neurons: tuple[AnyNeurons, ...]) -> dict[str, Sender]:
    return Program(
        target="", dt=1, n_steps=1, inputs=inputs, neurons=neurons, synapses=()
    ).senders()


@st.composite
def _modulated(
    draw: Draw, synapses: Synapses, senders: Mapping[str, Sender]
) -> tuple[Synapses, list[InputGroup]]:
    """Third factors from ports where there are some, else from inputs of their own."""
    size = len(synapses.weights)
    ports = [name for name, what in senders.items() if what.graded and what.size == size]
    modulators, more = {}, []
    for y in draw(st.lists(st.sampled_from(POST_TRACES), unique=True)):
        modulators[y] = f"{synapses.name}{y}"
        if ports and draw(st.sampled_from([True, True, False])):
            modulators[y] = draw(st.sampled_from(ports))
        else:
            more.append(InputGroup(name=modulators[y], size=size, graded=True))
    return replace(synapses, modulators=modulators), more


@st.composite
def _weights(draw: Draw, shape: tuple[int, int]) -> Array:
    style, rng = draw(st.sampled_from(["any", "small", "extreme", "beyond"])), draw(_seeded())
    if style == "extreme":
        return np.array(rng.choice([-256, -255, -1, 0, 1, 254, 255], shape))
    most = {"any": 256, "small": 20, "beyond": 700}[style]
    return np.array(rng.integers(-most, most, shape))


@st.composite
def _values(draw: Draw, group: InputGroup, n_steps: int) -> Array:
    rng = draw(_seeded())
    shape = (n_steps, group.size)
    rate = draw(st.sampled_from([0.05, 0.3, 0.8, 1.0]))
    spikes = rng.random(shape) < rate
    if not group.graded:
        return np.array(spikes, np.int64)
    low, high = draw(st.sampled_from([(0, 128), (0, 256), (-300, 600), (-(2**31), 2**31)]))
    return np.array(spikes * rng.integers(low, high, shape))
