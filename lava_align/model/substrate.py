"""How far a chip may be from its program: the table ``[substrate]`` of an experiment."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from lava_align.errors import InvalidInputError, Problem


@dataclass(frozen=True, kw_only=True)
class Substrate:
    """How far the chip is from its program.

    Parameters
    ----------
    threshold : float
        Standard deviation of the neurons' thresholds as a share of the threshold, >= 0.
    weight : float
        Standard deviation of fixed weights as a share of each, >= 0.
    dead : float
        Share of fixed synapses that do not transmit, 0..1.
    write : float
        Standard deviation of what is written, in units of the weight's mantissa, >= 0.
    seed : int
        Of the chip: the same seed is the same chip.

    Raises
    ------
    InvalidInputError
        With every value that is out of range.
    """

    threshold: float = 0.0
    weight: float = 0.0
    dead: float = 0.0
    write: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        problems = [
            Problem(f"substrate.{name}", str(value), "a finite number >= 0")
            for name in ("threshold", "weight", "dead", "write")
            if not (math.isfinite(value := getattr(self, name)) and value >= 0)
        ]
        if self.dead > 1:
            problems.append(Problem("substrate.dead", str(self.dead), "a share, 0..1"))
        if self.seed < 0:
            problems.append(Problem("substrate.seed", str(self.seed), "a whole number >= 0"))
        if problems:
            raise InvalidInputError(problems)

    @property
    def ideal(self) -> bool:
        """Whether nothing is off."""
        return not any(getattr(self, f.name) for f in fields(self) if f.name != "seed")
