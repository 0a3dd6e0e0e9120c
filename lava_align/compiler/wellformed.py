"""Whether the parts of a Program fit together: types, names, sizes.

A program that the compiler made always does. One that was read from a file may say anything, and
its checksums prove nothing if whoever changed it computed them anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

from lava_align.compiler.program import (
    AnyNeurons,
    EscapeGroup,
    InputGroup,
    Into,
    NeuronGroup,
    Program,
    SignMode,
    Synapses,
)
from lava_align.errors import Problem
from lava_align.learning_rule import GradedMode

_SCALARS = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float,),
    "bool": (bool,),
}


def program_problems(program: Program) -> Iterator[Problem]:
    """Yield what is wrong with a program's types, names, sizes and references.

    Ranges of numbers are the subject of :mod:`lava_align.compiler.checks`.
    """
    parts: list[tuple[str, Any]] = [("program", program)]
    for kind in ("inputs", "neurons", "synapses"):
        parts += [(f"{kind}[{i}]", part) for i, part in enumerate(getattr(program, kind))]
    parts += [
        (f"neurons[{i}].{name}", getattr(group, name))
        for i, group in enumerate(program.neurons)
        for name in ("noise", "apical", "window")
        if isinstance(group, NeuronGroup) and getattr(group, name) is not None
    ]
    mistyped = [problem for where, part in parts for problem in _type_problems(where, part)]
    yield from mistyped
    # What has the wrong type cannot be compared.
    if not mistyped:
        yield from _content_problems(program)


def _type_problems(where: str, part: Any) -> Iterator[Problem]:
    for field in fields(part):
        kinds = _SCALARS.get(str(field.type))
        value = getattr(part, field.name)
        if kinds is not None and type(value) not in kinds:
            allowed = f"a {' or '.join(kind.__name__ for kind in kinds)}"
            yield Problem(f"{where}.{field.name}", f"{value!r:.60}", allowed)


def _content_problems(program: Program) -> Iterator[Problem]:
    if not (math.isfinite(program.dt) and program.dt > 0):
        yield Problem("dt", str(program.dt), "a positive, finite time")
    if program.n_steps < 1:
        yield Problem("n_steps", str(program.n_steps), "at least 1")
    groups: list[InputGroup | AnyNeurons] = [*program.inputs, *program.neurons]
    ports = [f"{group.name}.{port}" for group in program.neurons for port in group.ports]
    for kind, names in (
        ("groups", [*(group.name for group in groups), *ports]),
        ("synapses", [s.name for s in program.synapses]),
    ):
        if len(set(names)) < len(names):
            yield Problem(kind, f"names {', '.join(names)}", "each name once")
    for group in groups:
        if group.size < 1:
            yield Problem(f"{group.name}.size", str(group.size), "at least 1")
    for neurons in program.neurons:
        yield from _shape_problems(neurons)
    sizes = {name: sender.size for name, sender in program.senders().items()}
    receivers = {group.name: _ends(group) for group in program.neurons}
    for synapses in program.synapses:
        yield from _synapse_problems(synapses, sizes, receivers)
    yield from _mirror_problems(program)


def _shape_problems(group: AnyNeurons) -> Iterator[Problem]:
    shapes: dict[str, tuple[int, ...]] = {}
    if isinstance(group, NeuronGroup):
        shapes = {"bias_mant": (group.size,)}
    elif isinstance(group, EscapeGroup):
        shapes = {"bias": (group.size,), "table": (256,)}
    for name, expected in shapes.items():
        shape = getattr(group, name).shape
        if shape != expected:
            yield Problem(f"{group.name}.{name}", f"shape {shape}", f"{expected}")


def _ends(group: AnyNeurons) -> tuple[str, ...]:
    """Input compartments of a group."""
    apical = isinstance(group, NeuronGroup) and group.apical is not None
    return get_args(Into) if apical else ("soma",)


def _synapse_problems(
    synapses: Synapses, sizes: dict[str, int], receivers: dict[str, tuple[str, ...]]
) -> Iterator[Problem]:
    where = synapses.name
    if synapses.sign_mode not in get_args(SignMode):
        found = f"{synapses.sign_mode!r:.60}"
        yield Problem(f"{where}.sign_mode", found, f"one of {get_args(SignMode)}")
    if synapses.rng_seed < 0:
        yield Problem(f"{where}.rng_seed", str(synapses.rng_seed), "at least 0")
    if synapses.pre not in sizes or synapses.post not in receivers:
        found = f"{synapses.pre!r} to {synapses.post!r}"
        yield Problem(where, found, "from a group of the program to one of its neuron groups")
        return
    if synapses.into not in receivers[synapses.post]:
        found = f"{synapses.into!r:.60}"
        yield Problem(f"{where}.into", found, f"one of {receivers[synapses.post]}")
    expected = (sizes[synapses.post], sizes[synapses.pre])
    if synapses.weights.shape != expected:
        found = f"shape {synapses.weights.shape}"
        yield Problem(f"{where}.weights", found, f"(n_post, n_pre) = {expected}")
    if synapses.delays is not None and synapses.delays.shape != expected:
        found = f"shape {synapses.delays.shape}"
        yield Problem(f"{where}.delays", found, f"(n_post, n_pre) = {expected}")
    if synapses.graded not in get_args(GradedMode):
        found = f"{synapses.graded!r:.60}"
        yield Problem(f"{where}.graded", found, f"one of {get_args(GradedMode)}")
    senders = [] if synapses.gate is None else [("gate", synapses.gate)]
    for key, name in (*senders, *synapses.modulators.items()):
        if sizes.get(name) != sizes[synapses.post]:
            found = f"{name!r:.60}"
            yield Problem(f"{where}.{key}", found, f"a group of {sizes[synapses.post]}")


def _mirror_problems(program: Program) -> Iterator[Problem]:
    known = {s.name: s for s in program.synapses}
    for name, planes in program.planes.items():
        ends = {(s.pre, s.post) for s in (known[p] for p in planes if p in known)}
        if name in known or len(ends) != 1 or not set(planes) <= set(known):
            found = f"{list(planes)!r:.60}"
            yield Problem(f"planes.{name}", found, "synapses between the same two groups")
    plastic = {s.name for s in program.plastic()} | set(program.planes)
    for name, forward in program.mirrors.items():
        if name not in plastic or forward not in known:
            yield Problem(f"mirrors.{name}", repr(forward), "plastic synapses and their mirror")
