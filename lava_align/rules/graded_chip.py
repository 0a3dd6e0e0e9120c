r"""On-chip forms of the rules on rates: products of two signed numbers in 7 bits each.

The upper side sends a graded spike a sample, the lower neuron hands its synapses a third factor;
both carry a signed number as 64 plus a step count (:class:`~lava_align.rules.base.Code`). Then

    dt = 2^c*x0*(x1 - 64)*(y1 - 64) + ... - uK*t,    dw = 2^e*uK*t - m*2^f*uK*w.

The tag adds up the products of 2^K samples, and the weight takes them and decays on the clock: both
are rounded once per 2^K samples. Rounding is what Kolen-Pollack suffers from, for it differs on the
two paths: of a decay by the share d per tick with rounding of variance v, v/(2d) remains in the
weight. A slow clock is good for that, but the tag must hold what comes between its ticks, and
products that are made small for it are rounded themselves. The clock is chosen by the sum of both.

Lava shifts a product of two 7-bit factors right by 3 and rounds down, which takes 7/16 off every
product in the mean; a multiple of x0 gives it back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.rules.accumulation import (
    LARGEST_CLOCK,
    SMALLEST_EXPONENT,
    TAG_MAX,
    WEIGHT_MAX,
    Term,
    thinned,
    window_sums,
)
from lava_align.rules.base import (
    CODE_MAX,
    CODE_ZERO,
    Code,
    LoweredRule,
    OnChipForm,
    Plane,
    Quantity,
    Sample,
)

Array = np.ndarray[Any, Any]

LARGEST_LEAK = 0.25
LEAK_ERROR = 0.15
PRODUCT_SHIFT = 3
# Weights fill this share of their range if they reach what they are expected to.
FILLED = 0.8
# Signals beyond this quantile of their magnitude are clipped.
QUANTILE = 0.999
# A payload overwrites the trace, which must then hold it.
HELD = Trace(impulse=0, tau=2**16 - 1)
# Mean variance of rounding to whole numbers, over all fractions.
ROUNDING = 1 / 6
# Root mean square of the tag before its transfer, as a share of its range.
TAG_FILLED = 0.25


@dataclass(frozen=True)
class Leak:
    """A decay on the clock, ``m*2^f*uK*w``.

    Parameters
    ----------
    clock, mantissa, exponent : int
        Mantissa 0 leaves it out.
    """

    clock: int
    mantissa: int = 0
    exponent: int = 0

    @property
    def per_sample(self) -> float:
        """Share of the weight that a sample takes, in the mean."""
        return self.mantissa * 2.0 ** (self.exponent - self.clock)

    @property
    def term(self) -> str:
        """What it adds to a rule's ``dw``."""
        if not self.mantissa:
            return ""
        return f" - {self.mantissa}*2^{self.exponent}*u{self.clock}*w"


def leaks(asked: float) -> list[Leak]:
    """Decays on all clocks that come near to the share ``asked`` per sample; at least one."""
    slowest = math.floor(math.log2(LARGEST_LEAK / asked)) if asked else LARGEST_CLOCK
    found = [leak(asked, clock) for clock in range(max(0, min(LARGEST_CLOCK, slowest)) + 1)]
    errors = [abs(f.per_sample - asked) for f in found]
    worst = max(LEAK_ERROR * asked, min(errors))
    return [f for f, error in zip(found, errors, strict=True) if error <= worst]


def leak(asked: float, clock: int) -> Leak:
    """Decay on this clock nearest to the share ``asked`` per sample."""
    wanted = asked * 2.0**clock
    candidates = [
        Leak(clock, mantissa, exponent)
        for mantissa in range(1, 8)
        for exponent in range(SMALLEST_EXPONENT, 1)
    ]
    nearest = min(candidates, key=lambda c: abs(c.mantissa * 2.0**c.exponent - wanted))
    none_is_nearer = wanted < 2.0**SMALLEST_EXPONENT / 2
    return Leak(clock) if none_is_nearer else nearest


@dataclass(frozen=True)
class Way:
    """From a product to the weight.

    Parameters
    ----------
    tag, weight : int
        Exponents of the step into the tag and of the transfer to the weight.
    leak : Leak
    rounding : float
        Variance that rounding leaves in a weight.
    """

    tag: int
    weight: int
    leak: Leak
    rounding: float


def _way(sample: Sample, upper: str, lower: str, units: float, wanted: float, decay: float) -> Way:
    """Least rounding; ``wanted`` is what a product is to be multiplied by on its way."""
    ways = []
    for found in leaks(decay):
        clock = found.clock
        tag = _tag_exponent(sample, upper, lower, units, clock)
        weight = max(SMALLEST_EXPONENT, min(0, round(math.log2(wanted)) - tag))
        # Samples that a weight remembers, in units of which variances add up.
        memory = min(sample.n_steps, 0.5 / found.per_sample if found.mantissa else math.inf)
        of_products = ROUNDING * 4.0**weight if tag < 0 else 0.0
        ways.append(Way(tag, weight, found, memory * (ROUNDING * 2.0**-clock + of_products)))
    return min(ways, key=lambda way: way.rounding)


@dataclass(frozen=True)
class Factor:
    """A product of the rule: the upper signal times a lower one, with a coefficient.

    Parameters
    ----------
    signal : str
        Lower signal, the third factor.
    coefficient : float
        Change of the weight per unit of both signals, in the paper's units.
    """

    signal: str
    coefficient: float


def outer_product(
    sample: Sample,
    where: str,
    *,
    upper: str,
    factors: Sequence[Factor],
    decay: float,
    both_paths: bool = False,
) -> LoweredRule:
    """Lower a rule that adds products of an upper and of lower signals, and decays.

    Parameters
    ----------
    upper : str
        Signal of the upper side, sent as payload.
    factors : sequence of Factor
        At most three, one third factor each; the first sets the scale.
    decay : float
        Share of the weight lost per sample.
    both_paths : bool
        Whether the forward weights learn by the same products; of one factor only.
    """
    sample = thinned(sample)
    upper_unit = _unit(_signal(sample, upper, where))
    lower_units = [_unit(_signal(sample, f.signal, where)) for f in factors]
    first = factors[0]
    reach = sample.reach or 1.0
    scale = FILLED * WEIGHT_MAX / reach
    # What the first product must be multiplied by on its way to the weight.
    wanted = abs(first.coefficient) * scale / (upper_unit * lower_units[0]) * 2.0**PRODUCT_SHIFT
    way = _way(sample, upper, first.signal, upper_unit * lower_units[0], wanted, decay)
    tag, found = way.tag, way.leak
    # The rest of the way is made up by the first lower signal's unit.
    lower_units[0] *= wanted / 2.0 ** (tag + way.weight)
    codes = {upper: Code(upper_unit, payload=True)}
    products = []
    for index, factor in enumerate(factors):
        exponent, unit = tag, lower_units[index]
        if index:
            ratio = abs(factor.coefficient / first.coefficient) * lower_units[0]
            # The largest exponent at which the signal is not clipped.
            exponent = tag + max(0, math.ceil(math.log2(ratio / unit))) if ratio > 0 else tag
            unit = ratio * 2.0 ** (tag - exponent)
        codes[factor.signal] = Code(unit)
        sign = "-" if factor.coefficient < 0 else "+"
        products.append(_product(sign, exponent, index + 1))
    rule = LearningRule(
        dt=Expression.parse("".join(products).removeprefix(" + ") + f" - u{found.clock}*t"),
        dw=Expression.parse(f"2^{way.weight}*u{found.clock}*t{found.term}"),
        x1=HELD,
        third_factor=True,
    )
    modulators = {f"y{index + 1}": factor.signal for index, factor in enumerate(factors)}
    plane = Plane(learning=rule, pre=upper, gate="post", modulators=modulators, graded="overwrite")
    forward: tuple[Plane, ...] = ()
    if both_paths:
        lower_payload, upper_third = f"{first.signal}.payload", f"{upper}.third"
        codes |= {
            lower_payload: Code(lower_units[0], payload=True, of=first.signal),
            upper_third: Code(upper_unit, of=upper),
        }
        forward = (
            Plane(
                learning=rule,
                pre=lower_payload,
                gate="pre",
                modulators={"y1": upper_third},
                graded="overwrite",
            ),
        )
    return LoweredRule(
        planes=(plane,),
        weight_scale=scale,
        forward=forward,
        codes=codes,
        predictions={
            "weight_mean": 0.0,
            "weight_sd": FILLED * WEIGHT_MAX / 3.0,
            "rounding_sd": math.sqrt(way.rounding),
        },
        quantities=(
            Quantity.compare(
                where, "decay per sample", decay, found.per_sample, note=f"on clock {found.clock}"
            ),
            *(
                Quantity.compare(where, f"steps of {name}", code.unit, code.unit, note="per unit")
                for name, code in codes.items()
            ),
        ),
    )


def _product(sign: str, exponent: int, y: int) -> str:
    # What rounding down takes is 7/16 of a step, whatever the sign of the product.
    taken = round(7 * 2.0 ** (exponent - 4 - SMALLEST_EXPONENT))
    back = f" + {taken}*2^{SMALLEST_EXPONENT}*x0" if taken else ""
    return f" {sign} 2^{exponent}*x0*(x1 - {CODE_ZERO})*(y{y} - {CODE_ZERO}){back}"


def _signal(sample: Sample, name: str, where: str) -> Array:
    if name not in sample.signals:
        raise InvalidInputError(Problem(f"{where}.signals", f"no '{name}'", "its values"))
    return np.asarray(sample.signals[name], dtype=float)


def _unit(values: Array) -> float:
    """Steps per unit at which few values are clipped."""
    largest = float(np.quantile(np.abs(values), QUANTILE)) if values.size else 0.0
    return CODE_MAX / largest if largest > 0 else 1.0


def _tag_exponent(sample: Sample, upper: str, lower: str, units: float, clock: int) -> int:
    """Largest step into the tag at which it stays well inside its range between two ticks."""
    terms = [Term(sample.signals[lower] * units * 2.0**-PRODUCT_SHIFT, sample.signals[upper])]
    square = np.mean([float(np.mean(np.square(s))) for s in window_sums(terms, 2**clock)])
    if not square > 0:
        return 0
    fits = math.floor(math.log2(TAG_FILLED * TAG_MAX / math.sqrt(square)))
    return max(SMALLEST_EXPONENT, min(0, fits))


def lower_kolen_pollack(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower Kolen-Pollack: both paths take the same integers (eqs 16-17 of 1904.05391)."""
    return outer_product(
        sample,
        where,
        upper="pre.error",
        factors=[Factor("post.activity", -parameters["eta"])],
        decay=parameters["decay"],
        both_paths=True,
    )


def lower_product_feedback(
    parameters: Mapping[str, float], sample: Sample, where: str
) -> LoweredRule:
    """Lower product feedback's plastic matrix: Kolen-Pollack with the relays' errors."""
    return outer_product(
        sample,
        where,
        upper="pre.error",
        factors=[Factor("post.activity", -parameters["eta"])],
        decay=parameters["decay"],
    )


def lower_weight_mirror(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower the mirror on rates: activity that is noise, times response, less decay."""
    return outer_product(
        sample,
        where,
        upper="pre.activity",
        factors=[Factor("post.activity", parameters["eta"])],
        decay=parameters["decay"],
    )


def lower_information(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower information alignment: activity less reconstruction, times response, less decay."""
    eta = parameters["eta"]
    return outer_product(
        sample,
        where,
        upper="pre.activity",
        factors=[
            Factor("post.activity", eta * parameters["alpha"]),
            Factor("post.reconstruction", -2 * eta * parameters["beta"]),
        ],
        decay=2 * eta * parameters["gamma"],
    )


def lower_phaseless(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower PAL: the lower neuron's own noise times the high-passed response, less decay."""
    rate = parameters["eta"] * parameters["dt"]
    return outer_product(
        sample,
        where,
        upper="pre.activity",
        factors=[Factor("post.noise", rate)],
        decay=rate * parameters["alpha"],
    )


def lower_probe(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower symmetric alignment: a probe of neuron j alone sets its weights to the responses."""
    responses = _signal(sample, "pre.response", where)
    unit = _unit(responses)
    return _copied(Code(unit, payload=True), 2.0 * unit, where)


def lower_sign_probe(parameters: Mapping[str, float], sample: Sample, where: str) -> LoweredRule:
    """Lower sign symmetry: as :func:`lower_probe`, of responses with one bit."""
    # Any response, however small, is clipped to the largest code of its sign.
    return _copied(Code(math.inf, payload=True), 2.0 * CODE_MAX, where)


def _copied(code: Code, scale: float, where: str) -> LoweredRule:
    rule = LearningRule(dw=Expression.parse(f"2*y0*(x1 - {CODE_ZERO}) - y0*w"), x1=HELD)
    plane = Plane(learning=rule, pre="pre.response", gate="post.probe", graded="overwrite")
    return LoweredRule(
        planes=(plane,),
        weight_scale=scale,
        codes={"pre.response": code},
        predictions={"weight_mean": 0.0, "weight_sd": CODE_MAX / 1.5},
    )


def _form(name: str, summary: str, template: str, lower: Any) -> tuple[OnChipForm, ...]:
    return (OnChipForm(name=name, summary=summary, template=template, lower=lower),)


_ONE = "dt = 2^c*x0*(x1 - 64)*(y1 - 64) - uK*t;  dw = 2^e*uK*t - m*2^f*uK*w"

KOLEN_POLLACK_FORMS = _form(
    "two-stage",
    "signed error as payload, activity as third factor, the same on both paths",
    _ONE.replace("2^c", "-2^c", 1),
    lower_kolen_pollack,
)
PRODUCT_FEEDBACK_FORMS = _form(
    "two-stage",
    "signed relay error as payload, activity as third factor",
    _ONE.replace("2^c", "-2^c", 1),
    lower_product_feedback,
)
WEIGHT_MIRROR_RATE_FORMS = _form(
    "two-stage", "noise as third factor, response as payload", _ONE, lower_weight_mirror
)
INFORMATION_FORMS = _form(
    "two-stage",
    "activity and reconstruction as third factors, response as payload",
    "dt = 2^c*x0*(x1 - 64)*(y1 - 64) - 2^d*x0*(x1 - 64)*(y2 - 64) - uK*t;"
    "  dw = 2^e*uK*t - m*2^f*uK*w",
    lower_information,
)
PHASELESS_FORMS = _form(
    "two-stage", "injected noise as third factor, response as payload", _ONE, lower_phaseless
)
PROBE_FORMS = _form(
    "probe",
    "one lower neuron at a time; its weights are set to the responses",
    "dw = 2*y0*(x1 - 64) - y0*w",
    lower_probe,
)
SIGN_PROBE_FORMS = _form(
    "sign-probe",
    "one lower neuron at a time; its weights are set to the signs of the responses",
    "dw = 2*y0*(x1 - 64) - y0*w",
    lower_sign_probe,
)
