"""A learning rule, and neurons, as the numbers the compiled engine works from.

Products keep their order, since accumulators saturate in between. Which side of a synapse a factor
belongs to follows from its variable; see ``core/rule.hpp``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from lava_align.compiler.program import NeuronGroup, Synapses
from lava_align.engine.model import ACCUMULATOR, LIMITS, TAG_LIMITS, THIRD_FACTOR
from lava_align.learning_rule import Factor, LearningRule, Product, Trace
from lava_align.learning_rule.arithmetic import right_shift
from lava_align.learning_rule.rule import TARGETS

TRACES = ("x1", "x2", "y1", "y2", "y3")
VARIABLES = (*TRACES, "w", "d", "t", "x0", "y0")
DEPENDENCIES = ("x0", "y0")
CLOCK = 2
GRADED_MODES = ("default", "overwrite", "add_with_saturation", "add_without_saturation")

FactorData = tuple[int, int, int, int, bool]
ProductData = tuple[int, int, int, int, int, bool, list[FactorData]]


def rule_data(synapses: Synapses, rule: LearningRule, hash_base: int | None) -> dict[str, Any]:
    """Describe the rule of a projection.

    Parameters
    ----------
    hash_base : int or None
        Of the independent numbers; None takes Lava's.
    """
    traces = traces_of(synapses, rule)
    limits = {"dw": LIMITS[synapses.sign_mode], **TAG_LIMITS}
    learns = [target in rule.expressions for target in TARGETS]
    return {
        "products": [
            _product(target, product)
            for target, expression in rule.expressions.items()
            for product in expression.products
        ],
        "traces": [(trace.impulse, _remaining(trace)) for trace in traces.values()],
        "t_epoch": rule.t_epoch,
        "decimation": -1 if rule.decimation is None else rule.decimation,
        "third_factor": rule.third_factor,
        "graded": GRADED_MODES.index(synapses.graded),
        "learns": learns,
        # Tags that no rule changes are 0 for ever.
        "stored": [True, *learns[1:]],
        "low": [limits[target][0] for target in TARGETS],
        "high": [limits[target][1] for target in TARGETS],
        "shared_numbers": hash_base is None,
        "hash_base": hash_base or 0,
    }


def traces_of(synapses: Synapses, rule: LearningRule) -> dict[str, Trace]:
    """Traces as they act: a payload takes the place of x1's impulse, the neuron that of y's."""
    traces = {name: getattr(rule, name) for name in TRACES}
    if rule.third_factor:
        traces.update(dict.fromkeys(("y1", "y2", "y3"), THIRD_FACTOR))
    if synapses.graded != "default":
        traces["x1"] = Trace(0, rule.x1.tau)
    return traces


def changing_sides(synapses: Synapses, rule: LearningRule) -> tuple[bool, bool]:
    """Whether any trace of the pre, and of the post neurons, can differ from 0."""
    traces = traces_of(synapses, rule)
    pre = synapses.graded != "default" or any(traces[name].impulse for name in TRACES[:2])
    return pre, bool(synapses.modulators) or any(traces[name].impulse for name in TRACES[2:])


def _remaining(trace: Trace) -> float:
    # As an array, since NumPy's exp need not give the same bits elsewhere.
    return float(np.exp(-1 / np.array([trace.tau]))[0]) if trace.tau else 0.0


def _product(target: str, product: Product) -> ProductData:
    right = min(right_shift(product), 31)
    left = product.exponent + 7
    largest = min(_largest(product), 2**31)
    may_clip = ((largest >> right) + 1) << left > ACCUMULATOR[1]
    known = {name: index for index, name in enumerate(DEPENDENCIES)}
    return (
        TARGETS.index(target),
        known.get(product.dependency, CLOCK),
        product.mantissa,
        right,
        left,
        may_clip,
        [_factor(factor) for factor in product.factors],
    )


def _largest(product: Product) -> int:
    size = abs(product.mantissa)
    for factor in product.factors:
        size *= 1 if factor.sgn else 2**factor.width
    return size


def _factor(factor: Factor) -> FactorData:
    low, high = -(2**factor.width) - factor.constant, 2**factor.width - 1 - factor.constant
    return VARIABLES.index(factor.variable), factor.constant, low, high, factor.sgn


def extended_data(group: NeuronGroup, hash_base: int) -> dict[str, Any]:
    """Describe neurons that are more than Lava's LIF; what they lack is left out."""
    data: dict[str, Any] = {
        "du": group.du,
        "dv": group.dv,
        "dr": -1 if group.dr is None else group.dr,
        "threshold": group.vth << 6,
        "reset": group.reset << 6,
        "refractory": group.refractory,
        "holds": group.holds,
    }
    if group.noise is not None:
        data["noise"] = {**asdict(group.noise), "hash_base": hash_base}
    if group.apical is not None:
        data["apical"] = asdict(group.apical)
    if group.window is not None:
        window = group.window
        in_units = {"margin": window.margin << 6, "reach": window.reach << 6}
        data["window"] = {**asdict(window), **in_units}
    return data
