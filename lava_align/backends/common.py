"""What every run of a Program needs, whichever backend makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_align.backends.base import Probes
from lava_align.compiler.program import Program
from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Spikes
from lava_align.spike_stream import SpikeStream


def recorded_groups(program: Program, probes: Probes) -> tuple[str, ...]:
    """Neuron groups whose spikes are recorded, in the order of the program."""
    names = tuple(group.name for group in program.neurons)
    return names if probes.spikes is None else tuple(n for n in names if n in probes.spikes)


def check_run(
    program: Program, inputs: Mapping[str, Spikes | SpikeStream], n_steps: int, probes: Probes
) -> None:
    """Refuse inputs, lengths and probes that do not fit the program.

    Raises
    ------
    InvalidInputError
        With every problem.
    """
    problems = []
    if n_steps < 1:
        problems.append(Problem("n_steps", str(n_steps), "at least 1"))
    sizes = {group.name: group.size for group in program.inputs}
    for name in sorted(set(inputs) | set(sizes)):
        if name not in sizes:
            problems.append(Problem(f"inputs.{name}", "unknown", f"one of {sorted(sizes)}"))
        elif name not in inputs:
            problems.append(Problem(f"inputs.{name}", "missing", "spikes for every input group"))
        elif inputs[name].size != sizes[name]:
            size = f"{inputs[name].size} channels"
            problems.append(Problem(f"inputs.{name}", size, f"{sizes[name]}"))
    names = [group.name for group in program.neurons]
    states = [f"{name}.{variable}" for name in names for variable in "uv"]
    for key, given, known in (("spikes", probes.spikes, names), ("states", probes.states, states)):
        for name in given or ():
            if name not in known:
                problems.append(Problem(f"probes.{key}", repr(name), f"one of {known}"))
    for step in probes.weight_steps:
        if not 0 <= step <= n_steps:
            problems.append(Problem("probes.weight_steps", str(step), f"0..{n_steps}"))
    if problems:
        raise InvalidInputError(problems)


def before(n_steps: int, spikes: Spikes) -> Spikes:
    """Drop spikes from step ``n_steps`` on."""
    sent = spikes.step < n_steps
    return Spikes(step=spikes.step[sent], neuron=spikes.neuron[sent], size=spikes.size)


def not_probed(program: Program, probes: Probes) -> tuple[str, ...]:
    """Name what exists and was not recorded."""
    recorded: set[Any] = {*recorded_groups(program, probes), *probes.states}
    if probes.weight_steps:
        recorded.update(projection.name for projection in program.plastic())
    groups = [group.name for group in program.neurons]
    states = [f"{name}.{variable}" for name in groups for variable in "uv"]
    plastic = [projection.name for projection in program.plastic()]
    return tuple(name for name in (*groups, *plastic, *states) if name not in recorded)
