"""From a Program to what the process that runs Lava needs: plain data in a folder.

For ``fixed_pt`` the integers of the Program are handed on. For ``floating_pt`` the same network is
written in float models without rounding: ``du' = (du + 1) / 4096``, ``dv' = dv / 4096``, and
currents and voltages in a unit of ``64 * 2**e`` per group, so that weights that learn keep the
scale their rule is written for. ``e`` is the weight exponent of the plastic synapses that act on
the group, 0 without any. What ports report is not rounded either; random bits of neurons are the
same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.common import before, recorded_groups
from lava_align.compiler.program import (
    AnyNeurons,
    EscapeGroup,
    NeuronGroup,
    Program,
    RelayGroup,
    Synapses,
)
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
        Recorded state to the factor that turns it into the integers of the chip.
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
    seed: int = 0,
) -> Job:
    """Describe a checked run.

    Raises
    ------
    ConstraintViolationError
        If there are no models of these numerics for the program.
    """
    exponents = _group_exponents(program, numerics)
    snapshots = sorted(set(probes.weight_steps))
    arrays: dict[str, Array] = {}
    for i, group in enumerate(program.inputs):
        given = before(n_steps, inputs[group.name])
        arrays[f"step{i}"], arrays[f"channel{i}"] = given.step, given.neuron
        if group.graded:
            ones = np.ones(len(given), np.int32)
            arrays[f"value{i}"] = ones if given.value is None else given.value
    neurons = []
    for i, neuron in enumerate(program.neurons):
        entry = describe_neurons(neuron, numerics, exponents[neuron.name])
        entry["parameters"].update({"seed": seed, "index": i} if neuron.custom else {})
        for key, array in entry.pop("arrays").items():
            arrays[f"{key}{i}"] = array
            entry["parameters"][key] = f"{key}{i}"
        neurons.append({**entry, **_recorded(program, neuron, probes, i)})
    synapses = []
    graded = {name for name, sender in program.senders().items() if sender.graded}
    for i, projection in enumerate(program.synapses):
        weights: Array = projection.weights.astype(np.int32)
        if numerics == "floating_pt" and projection.learning is None:
            exponent = projection.weight_exp - exponents.get(projection.post, 0)
            weights = weights * 2.0**exponent
        arrays[f"weights{i}"] = weights
        if projection.delays is not None:
            arrays[f"delays{i}"] = projection.delays.astype(np.int64)
        entry = _synapses(projection, snapshots, f"weights{i}.npy", numerics)
        synapses.append({**entry, "payload": projection.pre in graded})
    description = {
        "numerics": numerics,
        "n_steps": n_steps,
        "inputs": [{"name": g.name, "size": g.size, "graded": g.graded} for g in program.inputs],
        "neurons": neurons,
        "synapses": synapses,
    }
    return Job(
        description=description, arrays=arrays, units=_units(program, probes, numerics, exponents)
    )


def _recorded(program: Program, group: AnyNeurons, probes: Probes, i: int) -> dict[str, Any]:
    """Attributes of the model that are recorded: as trains, and as states."""
    spiking = recorded_groups(program, probes)
    trains = {"s_out_buff": group.name, **{port: f"{group.name}.{port}" for port in group.ports}}
    states = [name for name in program.states() if name.rpartition(".")[0] == group.name]
    return {
        "trains": {
            variable: (name, f"train_{variable}{i}.npy")
            for variable, name in trains.items()
            if name in spiking
        },
        "states": {
            name.rpartition(".")[2]: (name, f"state_{name.rpartition('.')[2]}{i}.npy")
            for name in states
            if name in probes.states
        },
    }


def _units(
    program: Program, probes: Probes, numerics: Numerics, exponents: Mapping[str, int]
) -> dict[str, float]:
    """Factors of recorded states; those of floats that are no currents and voltages are 1."""
    groups = {group.name: group for group in program.neurons}
    units = {}
    for name in probes.states:
        owner, _, variable = name.rpartition(".")
        electrical = variable in ("u", "v", "r", "p", "z", "peak")
        # What arrives at an escape neuron is not shifted.
        register = 64.0 if isinstance(groups[owner], NeuronGroup) else 1.0
        scaled = electrical and numerics == "floating_pt"
        units[name] = register * 2.0 ** exponents[owner] if scaled else 1.0
    return units


def _not_possible(program: Program, numerics: Numerics) -> Iterator[Problem]:
    """Name what the models of these numerics lack."""
    if numerics == "fixed_pt":
        return
    for synapses in program.synapses:
        where = f"synapses.{synapses.name}"
        if synapses.graded == "add_without_saturation":
            # LearningConnectionModelFloat treats both modes of adding alike.
            allowed = "fixed_pt: Lava's float model never counts an overflow as a spike"
            yield Problem(where, f"graded mode {synapses.graded}", allowed)
        if synapses.learning is not None and synapses.learning.fixed_point_only:
            yield Problem(where, "a coincidence of spikes", "fixed_pt: float models lack it")


def _group_exponents(program: Program, numerics: Numerics) -> dict[str, int]:
    """Return the power of two in the unit of each neuron group, 0 throughout for ``fixed_pt``."""
    problems = list(_not_possible(program, numerics))
    exponents = {group.name: 0 for group in program.neurons}
    acting: dict[str, Synapses] = {}
    for projection in program.plastic() if numerics == "floating_pt" else ():
        where = f"synapses.{projection.name}"
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


def describe_neurons(group: AnyNeurons, numerics: Numerics, exponent: int) -> dict[str, Any]:
    """Process, parameters and arrays of a neuron group.

    Parameters
    ----------
    exponent : int
        For ``floating_pt``: an input of 1 stands for ``2**exponent``.
    """
    scale = 2.0**exponent if numerics == "floating_pt" else 1.0
    if isinstance(group, RelayGroup):
        process, parameters = "GradedRelay", {"shift": group.shift, "unit": scale}
        arrays: dict[str, Array] = {}
    elif isinstance(group, EscapeGroup):
        process, arrays = "EscapeNeuron", {"bias": group.bias / scale, "table": group.table}
        if numerics == "fixed_pt":
            arrays["bias"] = group.bias
        keys = ("window", "refractory", "shift")
        parameters = {"unit": scale, **{key: getattr(group, key) for key in keys}}
    else:
        process = "ExtendedLIF" if group.custom else "LIF"
        integers = numerics == "fixed_pt"
        parameters, bias = _integers(group) if integers else _floats(group, scale)
        arrays = {"bias_mant": bias}
    return {
        "name": group.name,
        "size": group.size,
        "process": process,
        "parameters": parameters,
        "arrays": arrays,
    }


def _integers(group: NeuronGroup) -> tuple[dict[str, Any], Array]:
    """Parameters of LIF in integers, and its bias."""
    keys = ["du", "dv", "vth", "bias_exp"]
    if not group.custom:
        return {key: getattr(group, key) for key in keys}, _bias(group)
    keys += ["dr", "reset", "refractory", "holds"]
    return {**{key: getattr(group, key) for key in keys}, **_options(group)}, _bias(group)


def _floats(group: NeuronGroup, scale: float) -> tuple[dict[str, Any], Array]:
    """Parameters of LIF in fractions and in units of ``64 * scale``, and its bias."""
    parameters: dict[str, Any] = {
        "du": (group.du + 1) / 4096,
        "dv": group.dv / 4096,
        "vth": group.vth / scale,
    }
    bias = _bias(group) * 2.0**group.bias_exp / scale / 64
    if not group.custom:
        return parameters, bias
    options = _options(group)
    if options["apical"] is not None:
        options["apical"]["decay"] /= 4096
    for key in ("margin", "reach") if options["window"] is not None else ():
        options["window"][key] /= scale
    parameters |= {
        "dr": None if group.dr is None else (group.dr + 1) / 4096,
        "reset": group.reset / scale,
        "refractory": group.refractory,
        "holds": group.holds,
        "unit": 64 * scale,
    }
    return parameters | options, bias


def _bias(group: NeuronGroup) -> Array:
    bias: Array = np.broadcast_to(group.bias_mant, (group.size,))
    return bias


def _options(group: NeuronGroup) -> dict[str, Any]:
    parts = {"noise": group.noise, "apical": group.apical, "window": group.window}
    return {key: None if part is None else asdict(part) for key, part in parts.items()}


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
        "into": projection.into,
        "gate": projection.gate or projection.post,
        "modulators": dict(projection.modulators),
        "graded": projection.graded,
        "sign_mode": projection.sign_mode.upper(),
        "weight_exp": projection.weight_exp,
        "num_weight_bits": projection.weight_bits,
        "learning": _learning(projection.learning, projection.rng_seed, numerics),
        "snapshots": [file, snapshots] if plastic and snapshots else None,
    }


def _learning(
    rule: LearningRule | None, rng_seed: int, numerics: Numerics
) -> dict[str, Any] | None:
    """Arguments of ``Loihi2FLearningRule`` or ``Loihi3FLearningRule``."""
    if rule is None:
        return None
    arguments: dict[str, Any] = {"t_epoch": rule.t_epoch, "rng_seed": rng_seed}
    for target, expression in rule.expressions.items():
        arguments[target] = expression.lava()
    for trace in ("x1", "x2") if rule.third_factor else ("x1", "x2", "y1", "y2", "y3"):
        arguments[f"{trace}_impulse"] = getattr(rule, trace).impulse
        tau = getattr(rule, trace).tau
        arguments[f"{trace}_tau"] = NO_TIME if tau == 0 and numerics == "floating_pt" else tau
    return {"third_factor": rule.third_factor, "arguments": arguments}
