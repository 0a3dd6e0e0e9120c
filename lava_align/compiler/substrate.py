r"""A substrate that is not what the program says: mismatch, dead synapses, noisy writes.

Analog chips differ from neuron to neuron and from synapse to synapse, always in the same way
(fixed-pattern noise). The papers' claim is that a rule which learns *on* the substrate learns
around that, where copied weights do not. So the chip's side of an experiment, and only that, can be
given such a substrate: it changes the integers of a compiled program, from a seed of its own, and
every backend runs what results.

* *Threshold*: a neuron whose threshold is off by a share :math:`\delta` of the population's. In the
  integers this is a constant drive of :math:`-\delta\theta` in every step: it shifts the distance
  from rest to threshold as a mismatched threshold does (and the reset with it). Stochastic neurons
  have no threshold; their excitability is shifted by :math:`-\delta` in units of the potential.
* *Weight*: every fixed synapse is off by a factor :math:`1 + \delta`, on the chip's grid.
* *Dead*: a share of the fixed synapses is 0.
* *Write*: fixed weights, and the initial ones of plastic synapses, are written with an error of so
  many units of the mantissa.

Plastic synapses are digital: what they have learned acts as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from lava_align.compiler.program import (
    AnyNeurons,
    EscapeGroup,
    NeuronGroup,
    Program,
    Synapses,
)
from lava_align.engine.model import LIMITS
from lava_align.model.substrate import Substrate

Array = np.ndarray[Any, Any]

BIAS_MAX = 2**12 - 1
BIAS_EXPONENT_MAX = 7


def on_substrate(program: Program, substrate: Substrate) -> Program:
    """What a chip with this substrate makes of a program.

    Stimuli are ideal: they come from outside the chip. Each group and each projection has a random
    stream of its own, told apart by its place.
    """
    if substrate.ideal:
        return program
    parts = [*program.neurons, *program.synapses]
    streams = np.random.SeedSequence(substrate.seed).spawn(len(parts))
    made = [
        _part(part, program, substrate, np.random.default_rng(stream))
        for part, stream in zip(parts, streams, strict=True)
    ]
    n = len(program.neurons)
    return replace(program, neurons=tuple(made[:n]), synapses=tuple(made[n:]))


def _part(
    part: AnyNeurons | Synapses, program: Program, substrate: Substrate, rng: np.random.Generator
) -> Any:
    if isinstance(part, Synapses):
        outside = {group.name for group in program.inputs}
        return part if part.pre in outside else _synapses(part, substrate, rng)
    return _neurons(part, substrate, rng) if substrate.threshold else part


def _neurons(group: AnyNeurons, substrate: Substrate, rng: np.random.Generator) -> AnyNeurons:
    off = rng.normal(0, substrate.threshold, group.size)
    if isinstance(group, EscapeGroup):
        return replace(group, bias=group.bias - np.rint(off * _unit(group)).astype(np.int32))
    if not isinstance(group, NeuronGroup):
        return group
    # Without a leak a constant drive would add up for ever; such a neuron keeps its threshold.
    drive = -off * (group.vth << 6) * group.dv / 4096 + (group.bias_mant * 2.0**group.bias_exp)
    largest = float(np.abs(drive).max(initial=0.0))
    exponent = max(0, math.ceil(math.log2(largest / BIAS_MAX))) if largest > BIAS_MAX else 0
    exponent = min(exponent, BIAS_EXPONENT_MAX)
    mantissa = np.clip(np.rint(drive / 2.0**exponent), -BIAS_MAX, BIAS_MAX)
    return replace(group, bias_mant=mantissa.astype(np.int32), bias_exp=exponent)


def _unit(group: EscapeGroup) -> float:
    """Steps per unit of the potential, from the slope of the table of firing probabilities."""
    table = np.clip(group.table / 65536, 1e-4, 1 - 1e-4)
    inside = (group.table > 64) & (group.table < 65536 - 64)
    potential = np.log(table / (1 - table))[inside]
    if len(potential) < 2:
        return 1.0
    per_index = float((potential[-1] - potential[0]) / (len(potential) - 1))
    return 2.0**group.shift / per_index


def _synapses(part: Synapses, substrate: Substrate, rng: np.random.Generator) -> Synapses:
    weights = part.weights.astype(float)
    factor = 1.0 + rng.normal(0, substrate.weight, weights.shape)
    alive = rng.random(weights.shape) >= substrate.dead
    written = rng.normal(0, substrate.write, weights.shape)
    if part.learning is None:
        weights = weights * factor * alive
    weights = weights + np.where(weights != 0, written, 0.0)
    step = 2 if part.sign_mode == "mixed" else 1
    low, high = LIMITS[part.sign_mode]
    top = high - high % step
    on_grid = np.clip(step * np.rint(weights / step), low, top)
    return replace(part, weights=on_grid.astype(np.int16))
