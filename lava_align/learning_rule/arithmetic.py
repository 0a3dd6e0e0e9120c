"""What a product is worth in Lava's fixed-point model, which is not what is written.

For each product Lava 0.10.0 (``learning_rule_applier.py:243-328``) multiplies the dependency, the
clipped factors and the mantissa in 32 bits, shifts the result right by ``sum(widths) + 4 - 15``
where that is positive, and then left by ``exponent + 7`` onto an accumulator in 1/128. The right
shift is undone nowhere: a product of several factors counts for less by that power of two, a
small one vanishes, and a negative one is rounded towards minus infinity.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lava_align.learning_rule.terms import (
    SPIKE_DEPENDENCIES,
    TRACES,
    Factor,
    Product,
)

MANTISSA_BITS = 4
ACCUMULATOR_BITS = 15

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class EffectiveCoefficient:
    """What one product of a rule is worth.

    Parameters
    ----------
    target : str
        dw, dd or dt.
    product : str
        The product's canonical text.
    written : float
        ``mantissa * 2**exponent``, what the floating-point model multiplies by.
    shift : int
        Bits shifted out and not restored, >= 0.
    effective : float
        ``written * 2**-shift``, what the fixed-point model multiplies by, rounding aside.
    floors : bool
        The product can be negative and is rounded towards minus infinity by the shift: a bias of
        up to ``2**exponent`` units per evaluation.
    may_wrap : bool
        Factors within their ranges can exceed 32 bits; Lava then wraps without notice.
    notes : tuple of str
        All of the above that applies, and what else to know, in words.
    """

    target: str
    product: str
    written: float
    shift: int
    effective: float
    floors: bool
    may_wrap: bool
    notes: tuple[str, ...] = ()


def right_shift(product: Product) -> int:
    """Bits the fixed-point model shifts out of ``product`` before it adds it."""
    width = sum(factor.width for factor in product.factors)
    return max(0, width + MANTISSA_BITS - ACCUMULATOR_BITS)


def product_range(product: Product, third_factor: bool) -> Range:
    """Smallest and largest value of factors times mantissa, before any shift, if nothing wraps."""
    low, high = 1, 1
    # Equal factors go together: w*w cannot be negative.
    for factor, count in Counter(product.factors).items():
        low, high = _times((low, high), _power(_factor_range(factor, third_factor), count))
    return _times((low, high), (product.mantissa, product.mantissa))


def effective_coefficient(
    target: str, product: Product, third_factor: bool = False
) -> EffectiveCoefficient:
    """Work out what ``product`` is worth in ``target``; with a third factor y may be negative."""
    shift = right_shift(product)
    low, high = product_range(product, third_factor)
    floors = shift > 0 and low < 0
    may_wrap = low < -(2**31) or high > 2**31 - 1
    return EffectiveCoefficient(
        target=target,
        product=str(product),
        written=product.coefficient,
        shift=shift,
        effective=product.coefficient * 2.0**-shift,
        floors=floors,
        may_wrap=may_wrap,
        notes=tuple(_notes(product, shift, floors, may_wrap)),
    )


def _notes(product: Product, shift: int, floors: bool, may_wrap: bool) -> list[str]:
    notes = []
    if shift:
        least = -(-(2**shift) // abs(product.mantissa))
        notes.append(f"factors that multiply to less than {least} change nothing")
    if floors:
        notes.append(f"negative values are biased by up to -2^{product.exponent}")
    if may_wrap:
        notes.append("can exceed 32 bits and wrap")
    if product.coincidence:
        notes.append("coincidence of spikes: fixed-point models only")
    notes.extend(
        f"{factor} saturates at 127"
        for factor in product.factors
        if factor.variable in TRACES and factor.constant > 0
    )
    return notes


def _factor_range(factor: Factor, third_factor: bool) -> Range:
    if factor.sgn:
        return -1, 1
    least, most = -(2**factor.width), 2**factor.width - 1
    if third_factor and factor.variable.startswith("y") and factor.variable in TRACES:
        # The neuron may send any integer; only the clipping bounds it.
        return least, most
    # Tag 1 can reach -257 by Lava's own clipping; tag 2 is never negative.
    low, high = {"w": (-256, 255), "d": (0, 255), "t": (-257, 255)}.get(
        factor.variable, (0, 1 if factor.variable in SPIKE_DEPENDENCIES else 127)
    )
    return max(low + factor.constant, least), min(high + factor.constant, most)


def _times(a: Range, b: Range) -> Range:
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def _power(base: Range, count: int) -> Range:
    low, high = base[0] ** count, base[1] ** count
    if count % 2 == 0 and base[0] < 0 < base[1]:
        return 0, max(low, high)
    return min(low, high), max(low, high)
