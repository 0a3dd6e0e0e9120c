"""Factors and products: the terms a learning rule is a sum of.

A product is ``mantissa * 2^exponent * dependency * factor * ...``. The dependency says when it is
evaluated: at presynaptic spikes (``x0``), at postsynaptic spikes (``y0``) or by the clock (``uK``,
every ``2^K`` learning epochs). Mantissa and exponent are kept apart because the integer engine
shifts bits out between multiplying by the one and by the other: ``4*2^-3`` and ``2^-1`` are not the
same product there.

Limits and widths are those of Lava 0.10.0, ``lava/magma/core/learning/constants.py`` and
``product_series.py:718-735``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lava_align.errors import InvalidInputError, Problem

SPIKE_DEPENDENCIES = ("x0", "y0")
CLOCKS = tuple(f"u{k}" for k in range(10))
DEPENDENCIES = (*SPIKE_DEPENDENCIES, *CLOCKS)
TRACES = ("x1", "x2", "y1", "y2", "y3")
SYNAPTIC_VARIABLES = ("w", "d", "t")
VARIABLES = (*TRACES, *SYNAPTIC_VARIABLES)

WIDTHS = {
    **dict.fromkeys(SPIKE_DEPENDENCIES, 1),
    **dict.fromkeys(TRACES, 7),
    **dict.fromkeys(SYNAPTIC_VARIABLES, 9),
}
"""Bits of a factor (constants.py:61-74, ``FACTOR_TO_WIDTH_DICT``)."""

MANTISSA_MIN, MANTISSA_MAX = -8, 7
EXPONENT_MIN, EXPONENT_MAX = -7, 8
CONSTANT_MIN, CONSTANT_MAX = -128, 127

COEFFICIENTS = "m*2^e with m in -8..7 and not 0 (larger even ones are halved), e in -7..8"


def integer_problem(where: str, value: object, low: int, high: int | None) -> Problem | None:
    """Say what is wrong with ``value`` if it is not an int in low..high (None: no upper end)."""
    allowed = f"a whole number {low}..{high}" if high is not None else f"a whole number >= {low}"
    if isinstance(value, bool) or not isinstance(value, int):
        return Problem(where, repr(value), allowed)
    if value < low or (high is not None and value > high):
        return Problem(where, str(value), allowed)
    return None


@dataclass(frozen=True)
class Factor:
    """One factor of a product: ``variable + constant``, or the sign of that.

    Parameters
    ----------
    variable : str
        A trace (x1 x2 y1 y2 y3), a synaptic variable (w, d = tag 2, t = tag 1), or x0 or y0 as a
        coincidence with the dependency (fixed-point models only).
    constant : int
        -128..127; with x0 and y0 -2..0, the only values their one bit can hold the sum of.
    sgn : bool
        Take the sign, -1, 0 or 1; of w, d and t only.

    Raises
    ------
    InvalidInputError
        With every violation of the above.
    """

    variable: str
    constant: int = 0
    sgn: bool = False

    def __post_init__(self) -> None:
        problems = list(_factor_problems(self))
        if problems:
            raise InvalidInputError(problems)

    @property
    def width(self) -> int:
        """Bits the integer engine reserves for this factor; a sign has those of its variable."""
        return WIDTHS[self.variable]

    def __str__(self) -> str:
        if self.constant == 0:
            return f"sgn({self.variable})" if self.sgn else self.variable
        sign = "+" if self.constant > 0 else "-"
        return f"{'sgn' * self.sgn}({self.variable} {sign} {abs(self.constant)})"


def _factor_problems(factor: Factor) -> Iterator[Problem]:
    name = factor.variable
    if name not in WIDTHS:
        yield Problem(
            f"factor '{name}'",
            "unknown symbol",
            f"variables are {' '.join(VARIABLES)}, dependencies x0 y0 u0..u9",
        )
        return
    if factor.sgn and name not in SYNAPTIC_VARIABLES:
        yield Problem(f"factor 'sgn({name})'", f"sign of {name}", "sgn(..) takes w, d or t")
    low, high = (-2, 0) if name in SPIKE_DEPENDENCIES else (CONSTANT_MIN, CONSTANT_MAX)
    problem = integer_problem(f"constant added to {name}", factor.constant, low, high)
    if problem is not None:
        yield problem


@dataclass(frozen=True)
class Product:
    """``mantissa * 2^exponent * dependency * factors``.

    Mantissas outside -7..7 are halved while they are even and the exponent is below 8, as Lava
    does, so that what is stored is what the engine computes with.

    Parameters
    ----------
    mantissa : int
        -8..7 after halving, not 0.
    exponent : int
        -7..8 after halving.
    dependency : str
        x0, y0 or u0..u9.
    factors : tuple of Factor

    Raises
    ------
    InvalidInputError
        With every violation of the above.
    """

    mantissa: int
    exponent: int
    dependency: str
    factors: tuple[Factor, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if all(isinstance(v, int) for v in (self.mantissa, self.exponent)):
            mantissa, exponent = _halved(self.mantissa, self.exponent)
            object.__setattr__(self, "mantissa", mantissa)
            object.__setattr__(self, "exponent", exponent)
        object.__setattr__(self, "factors", tuple(self.factors))
        if not _coefficient_fits(self.mantissa, self.exponent):
            problems.append(
                Problem("coefficient", f"{self.mantissa}*2^{self.exponent}", COEFFICIENTS)
            )
        if self.dependency not in DEPENDENCIES:
            problems.append(
                Problem("dependency", repr(self.dependency), "one of x0, y0, u0..u9 per product")
            )
        problems.extend(
            Problem("factors", repr(factor), "a lava_align.learning_rule.Factor")
            for factor in self.factors
            if not isinstance(factor, Factor)
        )
        if problems:
            raise InvalidInputError(problems)

    @property
    def coefficient(self) -> float:
        """``mantissa * 2**exponent`` as written; exact."""
        return float(self.mantissa * 2.0**self.exponent)

    @property
    def decimation(self) -> int | None:
        """K of the clock ``uK``, None if the product is gated by spikes."""
        return int(self.dependency[1:]) if self.dependency in CLOCKS else None

    @property
    def coincidence(self) -> bool:
        """Whether x0 or y0 is also a factor: Lava's floating-point model cannot evaluate that."""
        return any(factor.variable in SPIKE_DEPENDENCIES for factor in self.factors)

    def uses(self, variable: str) -> bool:
        """Whether ``variable`` is the dependency or the variable of a factor."""
        return variable == self.dependency or any(f.variable == variable for f in self.factors)

    def magnitude(self) -> str:
        """Text of the product without its sign."""
        mantissa, power = abs(self.mantissa), f"2^{self.exponent}"
        scale = [str(mantissa)] if mantissa != 1 else []
        if self.exponent:
            scale.append(power)
        # The dependency leads: Lava takes the first of x0, y0, uK it meets for it.
        return "*".join([*scale, self.dependency, *map(str, self.factors)])

    def __str__(self) -> str:
        return ("-" if self.mantissa < 0 else "") + self.magnitude()


def _halved(mantissa: int, exponent: int) -> tuple[int, int]:
    while abs(mantissa) > MANTISSA_MAX and mantissa % 2 == 0 and exponent < EXPONENT_MAX:
        mantissa, exponent = mantissa // 2, exponent + 1
    return mantissa, exponent


def _coefficient_fits(mantissa: object, exponent: object) -> bool:
    return (
        integer_problem("", mantissa, MANTISSA_MIN, MANTISSA_MAX) is None
        and integer_problem("", exponent, EXPONENT_MIN, EXPONENT_MAX) is None
        and mantissa != 0
    )
