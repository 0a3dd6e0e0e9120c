"""Quantities with units, written as strings in experiment files: ``"20 ms"``, ``"200 Hz"``."""

from __future__ import annotations

import math
import re
from typing import Literal

Dimension = Literal["time", "rate"]

_UNITS: dict[Dimension, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0},
    "rate": {"Hz": 1.0, "kHz": 1e3},
}
_EXAMPLES: dict[Dimension, str] = {"time": "'20 ms'", "rate": "'200 Hz'"}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]+)\s*", re.ASCII)


def parse_quantity(value: object, dimension: Dimension) -> float:
    """Read a quantity and return it in SI units (seconds, hertz).

    Parameters
    ----------
    value
        A string of a number and a unit. Bare numbers are refused: their unit would be a guess.
    dimension
        What is being measured.

    Raises
    ------
    ValueError
        With a sentence that says what is allowed.
    """
    units = _UNITS[dimension]
    allowed = (
        f"a {dimension} as a string with a unit ({', '.join(units)}), e.g. "
        + (_EXAMPLES[dimension])
    )
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(allowed)
    number, unit = match.groups()
    if unit not in units:
        raise ValueError(f"'{unit}' is no unit of a {dimension}; {allowed}")
    # Dividing by an exact power of ten keeps '0.1 ms' the float nearest to 1e-4.
    scale = units[unit]
    result = float(number) * scale if scale >= 1 else float(number) / round(1 / scale)
    if not math.isfinite(result):
        raise ValueError(f"too large; {allowed}")
    return result


def format_time(seconds: float) -> str:
    """Write a time with the largest unit below minutes that leaves a number of at least 1."""
    if seconds == 0 or not math.isfinite(seconds):
        return f"{seconds:g} s"
    unit = next((u for u in ("s", "ms") if abs(seconds) >= _UNITS["time"][u]), "us")
    return f"{seconds / _UNITS['time'][unit]:.12g} {unit}"
