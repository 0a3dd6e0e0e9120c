"""From a Program to what the process that runs Lava needs: plain data in a folder.

For ``fixed_pt`` the integers of the Program are handed on. For ``floating_pt`` the same network is
written in Lava's float models without rounding: ``du' = (du + 1) / 4096``, ``dv' = dv / 4096``, and
currents and voltages in a unit of ``64 * 2**e`` per group, so that weights that learn keep the
scale their rule is written for. ``e`` is the weight exponent of the plastic synapses that act on
the group, 0 without any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.common import recorded_groups
from lava_align.compiler.program import NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.learning_rule import LearningRule
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]
Numerics = Literal["fixed_pt", "floating_pt"]

# A trace of Lava's float model with tau 0 is NaN (connection.py:1397-1418); exp(-1 / 0.001) is 0.
NO_TIME = 1e-3

JOB_FILE = "job.json"
ARRAYS_FILE = "arrays.npz"
PROGRESS_FILE = "progress.npy"
FAILURE_FILE = "failure.txt"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run as plain data.

    Parameters
    ----------
    description : mapping
        What goes to JSON.
    arrays : mapping
        What goes to npz.
    units : mapping
        Group to the factor that turns its recorded currents and voltages into those of the chip.
    """

    description: Mapping[str, Any]
    arrays: Mapping[str, Array]
    units: Mapping[str, float]

    def write(self, folder: Path, options: Mapping[str, Any]) -> None:
        """Write the files the run starts from into ``folder``; ``options`` join the description."""
        (folder / JOB_FILE).write_text(json.dumps({**self.description, **options}))
        arrays: dict[str, Any] = dict(self.arrays)
        np.savez(folder / ARRAYS_FILE, **arrays)
        # Not empty even without neurons, since an empty file cannot be mapped.
        np.save(folder / PROGRESS_FILE, np.zeros(max(1, len(self.description["neurons"])), int))


def make_job(
    program: Program,
    inputs: Mapping[str, Spikes],
    n_steps: int,
    probes: Probes,
    numerics: Numerics,
) -> Job:
    """Describe a checked run.

    Raises
    ------
    ConstraintViolationError
        If Lava's models of these numerics cannot express the program.
    """
    exponents = _group_exponents(program, numerics)
    snapshots = sorted(set(probes.weight_steps))
    arrays: dict[str, Array] = {}
    for i, group in enumerate(program.inputs):
        given = inputs[group.name]
        sent = given.step < n_steps
        arrays[f"step{i}"], arrays[f"channel{i}"] = given.step[sent], given.neuron[sent]
    neurons = []
    for i, neuron in enumerate(program.neurons):
        assert isinstance(neuron, NeuronGroup)
        parameters, arrays[f"bias{i}"] = _neuron(neuron, numerics, exponents[neuron.name])
        recorded = {v: f"{v}{i}.npy" for v in "uv" if f"{neuron.name}.{v}" in probes.states}
        if neuron.name in recorded_groups(program, probes):
            recorded["s_out_buff"] = f"spikes{i}.npy"
        neurons.append({"name": neuron.name, "record": recorded, "parameters": parameters})
    synapses = []
    for i, projection in enumerate(program.synapses):
        weights: Array = projection.weights.astype(np.int32)
        if numerics == "floating_pt" and projection.learning is None:
            exponent = projection.weight_exp - exponents.get(projection.post, 0)
            weights = weights * 2.0**exponent
        arrays[f"weights{i}"] = weights
        synapses.append(_synapses(projection, snapshots, f"weights{i}.npy", numerics))
    description = {
        "numerics": numerics,
        "n_steps": n_steps,
        "inputs": [{"name": group.name, "size": group.size} for group in program.inputs],
        "neurons": neurons,
        "synapses": synapses,
    }
    unit = {"fixed_pt": 1.0, "floating_pt": 64.0}[numerics]
    units = {name: unit * 2.0**exponent for name, exponent in exponents.items()}
    return Job(description=description, arrays=arrays, units=units)


def _not_wired(program: Program) -> Iterator[Problem]:
    """Name what Lava could do and this backend does not build."""
    for name in program.custom_neurons():
        yield Problem(f"neurons.{name}", "custom neurons", "Lava's LIF")
    for group in program.inputs:
        if group.graded:
            yield Problem(f"inputs.{group.name}", "graded spikes", "spikes without payload")
    for synapses in program.synapses:
        where = f"synapses.{synapses.name}"
        if synapses.delays is not None:
            yield Problem(where, "delays", "no delays; the native engine has them")
        if synapses.graded != "default":
            yield Problem(where, f"graded mode {synapses.graded}", "default")
        if synapses.gate is not None:
            yield Problem(where, f"gate {synapses.gate}", "the postsynaptic group")


def _group_exponents(program: Program, numerics: Numerics) -> dict[str, int]:
    """Return the power of two in the unit of each neuron group, 0 throughout for ``fixed_pt``."""
    problems = list(_not_wired(program))
    exponents = {group.name: 0 for group in program.neurons}
    acting: dict[str, Synapses] = {}
    for projection in program.plastic():
        where = f"synapses.{projection.name}"
        assert projection.learning is not None
        if projection.learning.third_factor:
            problems.append(
                Problem(where, "a three-factor rule", "two factors: LIF sends no third factor")
            )
        if numerics == "fixed_pt":
            continue
        if projection.learning.fixed_point_only:
            problems.append(
                Problem(where, "a coincidence of spikes", "fixed_pt: float models lack it")
            )
        if not projection.acts or projection.post not in exponents:
            continue
        other = acting.setdefault(projection.post, projection)
        exponents[projection.post] = other.weight_exp
        if other.weight_exp != projection.weight_exp:
            found = f"weight_exp {projection.weight_exp}, but {other.weight_exp} in {other.name}"
            problems.append(
                Problem(where, found, f"one exponent for all that learn and act on {other.post}")
            )
    if problems:
        raise ConstraintViolationError(problems)
    return exponents


def _neuron(group: NeuronGroup, numerics: Numerics, exponent: int) -> tuple[dict[str, Any], Array]:
    """Parameters of Lava's LIF, and its bias."""
    bias = np.broadcast_to(group.bias_mant, (group.size,))
    if numerics == "fixed_pt":
        scalars = {"du": group.du, "dv": group.dv, "vth": group.vth, "bias_exp": group.bias_exp}
        return scalars, bias
    scale = 2.0**-exponent
    return {
        "du": (group.du + 1) / 4096,
        "dv": group.dv / 4096,
        "vth": group.vth * scale,
    }, bias * 2.0**group.bias_exp * scale / 64


def _synapses(
    projection: Synapses, snapshots: list[int], file: str, numerics: Numerics
) -> dict[str, Any]:
    """Everything about a projection but its weights."""
    plastic = projection.learning is not None
    return {
        "name": projection.name,
        "pre": projection.pre,
        "post": projection.post,
        "acts": projection.acts,
        "sign_mode": projection.sign_mode.upper(),
        "weight_exp": projection.weight_exp,
        "num_weight_bits": projection.weight_bits,
        "learning": _learning(projection.learning, projection.rng_seed, numerics),
        "snapshots": [file, snapshots] if plastic and snapshots else None,
    }


def _learning(
    rule: LearningRule | None, rng_seed: int, numerics: Numerics
) -> dict[str, Any] | None:
    """Arguments of ``Loihi2FLearningRule``."""
    if rule is None:
        return None
    arguments: dict[str, Any] = {"t_epoch": rule.t_epoch, "rng_seed": rng_seed}
    for target, expression in rule.expressions.items():
        arguments[target] = expression.lava()
    for trace in ("x1", "x2", "y1", "y2", "y3"):
        arguments[f"{trace}_impulse"] = getattr(rule, trace).impulse
        tau = getattr(rule, trace).tau
        arguments[f"{trace}_tau"] = NO_TIME if tau == 0 and numerics == "floating_pt" else tau
    return arguments
