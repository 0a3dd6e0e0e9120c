"""What every run of a Program needs, whichever backend makes it.

Input groups are given as :class:`~lava_align.recording.Spikes`, which carry values if the group is
graded, or as arrays of shape (n_steps, size), which :func:`as_spikes` turns into those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from lava_align.backends.base import Probes
from lava_align.compiler.program import EscapeGroup, NeuronGroup, Program
from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Series, Spikes
from lava_align.spike_stream import SpikeStream

Array = np.ndarray[Any, Any]
RunInputs = Mapping[str, Spikes | Array]
"""Input group to its spikes, or to integers of shape (n_steps, size), 0 being no spike."""


def as_spikes(program: Program, inputs: RunInputs) -> dict[str, Spikes]:
    """Inputs in the form in which they are run and recorded.

    Raises
    ------
    InvalidInputError
        If arrays are no integers of 32 bits, or not of two dimensions; with every problem.
    """
    graded = {group.name for group in program.inputs if group.graded}
    arrays = {name: given for name, given in inputs.items() if not isinstance(given, Spikes)}
    problems = [
        Problem(f"inputs.{name}", f"{array.dtype} of shape {array.shape}", "int32 (n_steps, size)")
        for name, array in arrays.items()
        if array.ndim != 2
        or array.dtype.kind not in "biu"
        or (array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31)
    ]
    if problems:
        raise InvalidInputError(problems)
    made = {
        name: Spikes.from_values(array.astype(np.int32))
        if name in graded
        else Spikes.from_raster(array != 0)
        for name, array in arrays.items()
    }
    return {
        name: made[name] if not isinstance(given, Spikes) else given
        for name, given in inputs.items()
    }


def recorded_groups(program: Program, probes: Probes) -> tuple[str, ...]:
    """Groups and binary ports whose spikes are recorded, in the order of the program."""
    if probes.spikes is None:
        return tuple(group.name for group in program.neurons)
    return tuple(name for name in program.spiking() if name in probes.spikes)


def check_run(
    program: Program, inputs: Mapping[str, Spikes | SpikeStream], n_steps: int, probes: Probes
) -> None:
    """Refuse inputs, lengths and probes that do not fit the program.

    Raises
    ------
    InvalidInputError
        With every problem.
    """
    problems = [] if n_steps >= 1 else [Problem("n_steps", str(n_steps), "at least 1")]
    problems += _input_problems(program, inputs)
    known = {"spikes": list(program.spiking()), "states": list(program.states())}
    for key, given in (("spikes", probes.spikes), ("states", probes.states)):
        for name in given or ():
            if name not in known[key]:
                problems.append(Problem(f"probes.{key}", repr(name), f"one of {known[key]}"))
    for step in probes.weight_steps:
        if not 0 <= step <= n_steps:
            problems.append(Problem("probes.weight_steps", str(step), f"0..{n_steps}"))
    if problems:
        raise InvalidInputError(problems)


def _input_problems(
    program: Program, inputs: Mapping[str, Spikes | SpikeStream]
) -> Iterator[Problem]:
    groups = {group.name: group for group in program.inputs}
    for name in sorted({*inputs, *groups}):
        where = f"inputs.{name}"
        if name not in groups:
            yield Problem(where, "unknown", f"one of {sorted(groups)}")
        elif name not in inputs:
            yield Problem(where, "missing", "spikes for every input group")
        elif inputs[name].size != groups[name].size:
            yield Problem(where, f"{inputs[name].size} channels", f"{groups[name].size}")
        elif inputs[name].graded and not groups[name].graded:
            yield Problem(where, "graded spikes", "spikes without values")


def before(n_steps: int, spikes: Spikes) -> Spikes:
    """Drop spikes from step ``n_steps`` on."""
    return spikes.part(0, int(np.searchsorted(spikes.step, n_steps)))


def not_probed(program: Program, probes: Probes) -> tuple[str, ...]:
    """Name what exists and was not recorded."""
    recorded: set[Any] = {*recorded_groups(program, probes), *probes.states}
    if probes.weight_steps:
        recorded.update(program.projections())
    names = (*program.spiking(), *program.projections(), *program.states())
    return tuple(name for name in names if name not in recorded)


def sum_of_planes(weights: Iterable[Array]) -> Array:
    """Weights of a projection from those of its planes: int32."""
    return np.asarray(np.sum([w.astype(np.int32) for w in weights], axis=0, dtype=np.int32))


def of_projections(program: Program, weights: Mapping[str, Series]) -> dict[str, Series]:
    """Snapshots of projections from those of synapses; what was not kept is left out."""
    found = {}
    for name, planes in program.projections().items():
        kept = [weights[plane] for plane in planes if plane in weights]
        if len(kept) == 1:
            found[name] = kept[0]
        elif kept:
            total = np.sum([series.values for series in kept], axis=0)
            found[name] = Series(step=kept[0].step, values=total)
    return found


def drawing_seed(program: Program, seed: int) -> dict[str, int]:
    """Entry of the provenance on which neurons that draw depend, if there are any."""
    drawing = [
        group
        for group in program.neurons
        if isinstance(group, EscapeGroup)
        or (isinstance(group, NeuronGroup) and group.noise is not None)
    ]
    return {"neuron_seed": seed} if drawing else {}
