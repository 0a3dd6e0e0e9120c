"""Ranges of the parameters of neurons that are more than Lava's LIF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lava_align.compiler.program import AnyNeurons, EscapeGroup, NeuronGroup, RelayGroup
from lava_align.errors import Problem

Array = np.ndarray[Any, Any]
Range = tuple[int, int]

DECAY = (0, 4095)
VOLTAGE = (-(2**17) + 1, 2**17 - 1)
STEPS = (0, 255)
DISTANCE = (0, 2**25 - 1)
"""In units of the threshold: what fits 32 bits in those of the membrane."""

EXTENDED: Mapping[str, Range] = {
    "du": DECAY,
    "dv": DECAY,
    "dr": DECAY,
    "vth": VOLTAGE,
    "bias_exp": (-31, 31),
    "reset": VOLTAGE,
    "refractory": STEPS,
}
NOISE: Mapping[str, Range] = {"leak": (0, 15), "gain": (-8, 15), "report": (0, 15)}
APICAL: Mapping[str, Range] = {"decay": DECAY, "report": (0, 31)}
WINDOW: Mapping[str, Range] = {
    "margin": DISTANCE,
    "reach": DISTANCE,
    "length": (1, 255),
    "average": (1, 15),
    "bits": (1, 6),
    "scale": (0, 31),
}
ESCAPE: Mapping[str, Range] = {"window": (1, 255), "refractory": STEPS, "shift": (0, 15)}
RELAY: Mapping[str, Range] = {"shift": (0, 31)}


def neuron_problems(group: AnyNeurons) -> Iterator[Problem]:
    """Yield every parameter that is out of range; Lava's LIF takes what it is given."""
    where = f"neurons.{group.name}"
    if isinstance(group, RelayGroup):
        yield from _range_problems(where, group, RELAY)
    elif isinstance(group, EscapeGroup):
        yield from _range_problems(where, group, ESCAPE)
        yield from _array_problems(f"{where}.bias", group.bias, (group.size,), None)
        yield from _array_problems(f"{where}.table", group.table, (256,), (0, 65535))
    elif group.custom:
        yield from _extended_problems(where, group)


def _extended_problems(where: str, group: NeuronGroup) -> Iterator[Problem]:
    yield from _range_problems(where, group, EXTENDED)
    yield from _array_problems(f"{where}.bias_mant", group.bias_mant, (group.size,), None)
    if group.reset and group.reset >= group.vth:
        yield Problem(f"{where}.reset", str(group.reset), f"below vth, {group.vth}")
    for name, ranges in (("noise", NOISE), ("apical", APICAL), ("window", WINDOW)):
        part = getattr(group, name)
        if part is not None:
            yield from _range_problems(f"{where}.{name}", part, ranges)


def _range_problems(where: str, part: Any, ranges: Mapping[str, Range]) -> Iterator[Problem]:
    for name, (low, high) in ranges.items():
        value = getattr(part, name)
        if value is not None and not low <= value <= high:
            yield Problem(f"{where}.{name}", str(value), f"{low}..{high}")


def _array_problems(
    where: str, array: Array, shape: tuple[int, ...], allowed: Range | None
) -> Iterator[Problem]:
    if array.shape != shape:
        yield Problem(where, f"shape {array.shape}", str(shape))
    elif allowed is not None and array.size:
        low, high = int(array.min()), int(array.max())
        if not allowed[0] <= low <= high <= allowed[1]:
            yield Problem(where, f"{low}..{high}", f"{allowed[0]}..{allowed[1]}")
