"""The golden run: the first steps of a program, made by Lava itself where Lava is installed.

It shows on the spot that the native engine computes what Lava computes for this very program, and
it rides in the bundle, so that whoever gets the program can see that theirs does the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lava_align.backends.base import Probes, ProgressCallback
from lava_align.backends.common import before
from lava_align.backends.lava import LavaBackend
from lava_align.backends.lava_shim import lava_version
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import Program
from lava_align.errors import BackendError, MissingDependencyError
from lava_align.recording import Recording, Series, Spikes


@dataclass(frozen=True, kw_only=True)
class GoldenRun:
    """A short run from the start.

    Parameters
    ----------
    recording : Recording
        All spikes, u and v at every step, and the weights after the last; Lava's own if it ran.
    check : str
        What comparing the native engine with Lava showed, or why it could not be made.
    """

    recording: Recording
    check: str


def golden_steps(program: Program) -> int:
    """Length of the golden run: enough for every clocked rule to have moved a weight."""
    clocks = [s.learning.decimation or 0 for s in program.plastic() if s.learning is not None]
    clock: int = 2 ** max(clocks, default=0)
    return min(program.n_steps, clock + 88)


def golden_run(
    program: Program, inputs: Mapping[str, Spikes], progress: ProgressCallback | None = None
) -> GoldenRun:
    """Run the first steps on the native engine and on Lava, and compare every value.

    Parameters
    ----------
    inputs : mapping
        Input group to spikes; what comes after the golden run's end is not used.

    Raises
    ------
    BackendError
        If the two differ: then one of them, or this package, is broken.
    """
    steps = golden_steps(program)
    given = {name: before(steps, spikes) for name, spikes in inputs.items()}
    # Without the spikes of binary ports, since a bundle holds those of the groups alone.
    probes = Probes(weight_steps=(steps,), states=tuple(program.states()))
    native = NativeBackend().run(program, given, steps, probes)
    try:
        lava = LavaBackend().run(program, given, steps, probes, progress)
    except MissingDependencyError as error:
        return GoldenRun(recording=native, check=f"not made: {error}")
    differences = list(_differences(native, lava))
    if differences:
        raise BackendError(
            "the native engine and Lava differ; please report this with the program: "
            + "; ".join(differences)
        )
    return GoldenRun(
        recording=lava,
        check=f"native equals lava-nc {lava_version()} fixed_pt at each of {steps} steps: "
        f"spikes, {_named(program)}, weights",
    )


def _named(program: Program) -> str:
    registers = [register for group in program.neurons for register in group.registers]
    return ", ".join(dict.fromkeys(["u", "v", *registers]))


def _differences(one: Recording, other: Recording) -> Iterator[str]:
    for name, spikes in one.spikes.items():
        if spikes != other.spikes[name]:
            yield f"spikes of {name} from step {_parting(spikes, other.spikes[name])} on"
    series: list[tuple[str, Series, Series]] = [
        *((f"weights of {name}", one.weights[name], other.weights[name]) for name in one.weights),
        *((name, one.states[name], other.states[name]) for name in one.states),
    ]
    for name, values, others in series:
        if values != others:
            apart = (values.values != others.values).reshape(len(values.step), -1).any(axis=1)
            yield f"{name} at step {values.step[int(np.argmax(apart))]}"


def _parting(one: Spikes, other: Spikes) -> int:
    """First step in which the spikes differ."""
    only = set(zip(one.step, one.neuron, strict=True)) ^ set(
        zip(other.step, other.neuron, strict=True)
    )
    return min(int(step) for step, _ in only)
