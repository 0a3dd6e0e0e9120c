"""What both implementations refuse, and inputs in the form in which both take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np

from lava_align.compiler.program import InputGroup, Into, NeuronGroup, Program, Synapses
from lava_align.compiler.ranges import neuron_problems
from lava_align.engine.base import Inputs, Semantics
from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule.rule import POST_TRACES
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]

LONGEST_DELAY = 63
"""Steps (Lava's ``PyDelayDenseModelBitAcc`` refuses more)."""


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise InvalidInputError(problems)


def check_engine(program: Program, semantics: str, seed: int) -> None:
    """Refuse a program that there are no ProcessModels for, Lava's or ours.

    Raises
    ------
    InvalidInputError
        With every problem.
    """
    problems = [p for group in program.neurons for p in neuron_problems(group)]
    problems += [p for synapses in program.synapses for p in _synapse_problems(program, synapses)]
    if semantics not in get_args(Semantics):
        allowed = " or ".join(get_args(Semantics))
        problems.append(Problem("engine semantics", repr(semantics), allowed))
    if not 0 <= seed < 2**64:
        problems.append(Problem("engine seed", str(seed), "0..2^64-1"))
    _raise(problems)


def _synapse_problems(program: Program, synapses: Synapses) -> Iterator[Problem]:
    where = f"synapses.{synapses.name}"
    senders = program.senders()
    sizes = {name: sender.size for name, sender in senders.items()}
    graded = [name for name, sender in senders.items() if sender.graded]
    receivers = [group.name for group in (*program.inputs, *program.neurons)]
    groups = {"pre": synapses.pre, "post": synapses.post, "gate": synapses.gate or synapses.post}
    known = {"pre": sorted(sizes), "post": sorted(receivers), "gate": sorted(sizes)}
    unknown = [key for key, name in groups.items() if name not in known[key]]
    for key in unknown:
        yield Problem(f"{where}.{key}", repr(groups[key]), f"one of {known[key]}")
    if unknown:
        return
    yield from _end_problems(program, synapses)
    shape = (sizes[synapses.post], sizes[synapses.pre])
    for key in ("weights", "delays"):
        matrix = getattr(synapses, key)
        if matrix is not None and matrix.shape != shape:
            yield Problem(f"{where}.{key}", f"shape {matrix.shape}", f"{shape}")
    if synapses.delays is not None:
        if synapses.learning is not None:
            yield Problem(f"{where}.delays", "given", "none: synapses that learn have no delays")
        if synapses.delays.max(initial=0) > LONGEST_DELAY:
            longest = int(synapses.delays.max())
            yield Problem(f"{where}.delays", str(longest), f"0..{LONGEST_DELAY} steps")
    if sizes[groups["gate"]] != shape[0]:
        found = f"{groups['gate']!r} of size {sizes[groups['gate']]}"
        yield Problem(f"{where}.gate", found, f"a group of size {shape[0]}")
    if synapses.graded != "default" and (synapses.learning is None or synapses.pre not in graded):
        yield Problem(f"{where}.graded", synapses.graded, "plastic, with a graded sender as pre")
    third = synapses.learning is not None and synapses.learning.third_factor
    for trace, name in synapses.modulators.items():
        place = f"{where}.modulators.{trace}"
        if not third or trace not in POST_TRACES:
            yield Problem(place, name, "y1, y2, y3 of a three-factor rule")
        if name not in graded or sizes[name] != shape[0]:
            yield Problem(place, repr(name), f"a graded sender of size {shape[0]}")


def _end_problems(program: Program, synapses: Synapses) -> Iterator[Problem]:
    if synapses.into not in get_args(Into):
        yield Problem(f"synapses.{synapses.name}.into", repr(synapses.into), "soma or apical")
    post = {group.name: group for group in program.neurons}.get(synapses.post)
    there = isinstance(post, NeuronGroup) and post.apical is not None
    if synapses.into == "apical" and not there:
        found = f"apical, of {synapses.post!r}"
        yield Problem(f"synapses.{synapses.name}.into", found, "a group with an apical input")


def check_names(program: Program, spikes: tuple[str, ...], states: tuple[str, ...]) -> None:
    """Refuse to record what the program does not have.

    Raises
    ------
    InvalidInputError
        With every problem.
    """
    groups = program.spiking()
    known = list(program.states())
    traces = ("x1", "x2", *POST_TRACES)
    known += [f"{s.name}.{trace}" for s in program.plastic() for trace in traces]
    problems = [
        Problem("spikes", repr(n), f"one of {list(groups)}") for n in spikes if n not in groups
    ]
    problems += [Problem("states", repr(n), f"one of {known}") for n in states if n not in known]
    _raise(problems)


def check_state(own: Mapping[str, Array], given: Mapping[str, Array]) -> None:
    """Refuse a state that is not of the program whose state is ``own``.

    Raises
    ------
    InvalidInputError
        With every name, type or shape that differs.
    """
    problems = []
    for name in sorted({*own, *given}):
        forms = [
            f"{array.dtype} of shape {array.shape}" if array is not None else "missing"
            for array in (given.get(name), own.get(name))
        ]
        if forms[0] != forms[1]:
            problems.append(Problem(f"state {name}", forms[0], forms[1].replace("missing", "none")))
    _raise(problems)


def dense_inputs(program: Program, inputs: Inputs, start: int, stop: int) -> dict[str, Array]:
    """Values of every input group in the steps ``start .. stop - 1``: int64, (n_steps, size).

    What is not given is 0. A group that is not graded sends 1 for everything but 0.

    Raises
    ------
    InvalidInputError
        With every input that does not fit its group.
    """
    problems = []
    if stop < start:
        problems.append(Problem("n_steps", str(stop - start), "at least 0"))
    sizes = {group.name: group.size for group in program.inputs}
    for name in sorted({*inputs, *sizes}):
        if name not in sizes or name not in inputs:
            found = "missing" if name in sizes else "unknown"
            problems.append(Problem(f"inputs.{name}", found, f"the inputs {sorted(sizes)}"))
        else:
            problems.extend(_input_problems(f"inputs.{name}", inputs[name], sizes[name]))
    _raise(problems)
    return {group.name: _rows(group, inputs[group.name], start, stop) for group in program.inputs}


def _input_problems(where: str, given: Spikes | Array, size: int) -> Iterator[Problem]:
    if isinstance(given, Spikes):
        if given.size != size:
            yield Problem(where, f"{given.size} channels", f"{size}")
        return
    if given.ndim != 2 or given.shape[1] != size or given.dtype.kind not in "biu":
        yield Problem(where, f"{given.dtype} of shape {given.shape}", f"integers (n_steps, {size})")
    elif given.size and not -(2**31) <= int(given.min()) <= int(given.max()) < 2**31:
        yield Problem(where, "values beyond 32 bits", "-2^31..2^31-1")


def _rows(group: InputGroup, given: Spikes | Array, start: int, stop: int) -> Array:
    rows = np.zeros((stop - start, group.size), np.int64)
    if isinstance(given, Spikes):
        inside = (given.step >= start) & (given.step < stop)
        value = given.value if group.graded else None
        sent = 1 if value is None else value[inside]
        rows[given.step[inside] - start, given.neuron[inside]] = sent
    else:
        part = given[start:stop]
        rows[: len(part)] = part if group.graded else part != 0
    return rows
