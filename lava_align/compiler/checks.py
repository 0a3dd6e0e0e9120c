"""Whether a target can hold and express a program: every limit it touches, one verdict each.

A check compares one number of a program with one fact of a target. Facts that nobody has published
give ``unverified``, and with one such check the whole is never a plain PASS. Nothing is rounded or
repaired here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.compiler.place import fill, loads
from lava_align.compiler.program import AnyNeurons, NeuronGroup, Program, Synapses
from lava_align.compiler.ranges import neuron_problems
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.learning_rule import LearningRule

if TYPE_CHECKING:
    from lava_align.targets import HardwareTarget
    from lava_align.targets.schema import Evidence, Fact, Severity, Verdict

TAG = np.array([-256, 255])
"""Range of a tag as Lava 0.10.0 computes with it (``constants.py``, ``W_TAG_1_S``)."""

PAYLOAD_BITS = 8
"""Of an input that sends payloads; more do not fit a trace."""

OTHER_RULE = "choose another variant of the rule, or other parameters"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One number of a program held against one fact of a target.

    Parameters
    ----------
    id : str
        Key path of the fact in the target's file; ``neuron_program`` for the ranges of our own
        neuron programs, which are the same on every target.
    object : str
        What was checked: key path in the program, or a core with its neurons.
    value : int, str or bool
        What the program asks for.
    limit : str
        What is allowed; ``unknown`` if nobody has published it.
    severity : {"error", "advisory"}
    evidence : {"published", "code", "derived", "estimate", "unknown"}
    source : str
        Where the limit comes from, with the sources that disagree.
    verdict : {"pass", "fail", "advisory", "unverified"}
    hint : str
        The way out if the check fails.
    """

    id: str
    object: str
    value: int | str | bool
    limit: str
    severity: Severity
    evidence: Evidence
    source: str
    verdict: Verdict
    hint: str


def check(program: Program, target: HardwareTarget) -> tuple[Check, ...]:
    """Check a program against everything the target says about it.

    Never raises for a violation; see :func:`raise_violations`.

    Returns
    -------
    tuple of Check
        Number formats of neurons, synapses and learning rules in the order of the program, then
        the capacities of cores and chips under the placement of
        :func:`lava_align.compiler.place.fill`.
    """
    checks: list[Check] = []
    payloads = {name for name, sender in program.senders().items() if sender.graded}
    for group in program.neurons:
        checks.extend(_neuron_checks(group, target))
    for synapses in program.synapses:
        checks.extend(_synapse_checks(synapses, target))
        if synapses.pre in payloads:
            checks.append(_payload_check(synapses, target))
        if synapses.learning is not None:
            where = f"synapses.{synapses.name}.learning"
            checks.extend(_rule_checks(synapses.learning, where, target))
    checks.extend(_capacity_checks(program, target))
    return tuple(checks)


def violations(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Pick the checks that failed."""
    return tuple(check for check in checks if check.verdict == "fail")


def raise_violations(checks: Iterable[Check]) -> None:
    """Raise if a check failed.

    Raises
    ------
    ConstraintViolationError
        With every failed check.
    """
    problems = [
        Problem(f"{c.object} ({c.id})", str(c.value), f"allowed: {c.limit} [{c.source}]; {c.hint}")
        for c in violations(checks)
    ]
    if problems:
        raise ConstraintViolationError(problems)


def overall(checks: Iterable[Check]) -> str:
    """Sum up: ``PASS``, ``PASS (n limits unverified)`` or ``FAIL (n violations)``.

    A limit that several checks touch counts once; a violation counts for every check that fails.
    """
    checks = tuple(checks)
    failed = len(violations(checks))
    if failed:
        return f"FAIL ({failed} violation{'s' if failed > 1 else ''})"
    unverified = len({check.id for check in checks if check.verdict == "unverified"})
    if unverified:
        return f"PASS ({unverified} limit{'s' if unverified > 1 else ''} unverified)"
    return "PASS"


_RANK = ("pass", "unverified", "advisory", "fail")


class _Table:
    """One table of a target; makes the checks against its facts."""

    def __init__(self, target: HardwareTarget, name: str) -> None:
        self.name = name
        self.facts = getattr(target, name)

    def __call__(self, key: str, where: str, value: Any, hint: str) -> Check:
        """Check a value, or the extremes of an array, against fact ``key``."""
        fact = getattr(self.facts, key)
        if isinstance(value, np.ndarray):
            ends = (int(value.min()), int(value.max())) if value.size else (0,)
            value = max(ends, key=lambda end: _RANK.index(fact.judge(end)))
        return _make(f"{self.name}.{key}", where, value, fact, hint)


def _make(key: str, where: str, value: int | str | bool, fact: Fact[Any], hint: str) -> Check:
    return Check(
        id=key,
        object=where,
        value=value,
        limit=fact.describe(),
        severity=fact.severity,
        evidence=fact.evidence,
        source="; ".join((fact.source, *(other.source for other in fact.alternatives))),
        verdict=fact.judge(value),
        hint=hint,
    )


def _neuron_checks(group: AnyNeurons, target: HardwareTarget) -> Iterator[Check]:
    number = _Table(target, "number")
    where = f"neurons.{group.name}"
    if group.custom:
        yield number(
            "custom_neurons", f"{where} custom neuron", True, "use plain LIF, or the target loihi2"
        )
    for problem in neuron_problems(group):
        yield Check(
            id="neuron_program",
            object=problem.where,
            value=problem.value,
            limit=problem.allowed,
            severity="error",
            evidence="code",
            source="this package's neuron programs (docs/engine_semantics.md)",
            verdict="fail",
            hint="use a value in the range",
        )
    if not isinstance(group, NeuronGroup):
        return
    yield number("du", f"{where}.du", group.du, "lengthen tau_syn, or use another time step")
    yield number("dv", f"{where}.dv", group.dv, "lengthen tau_m, or use another time step")
    yield number(
        "threshold", f"{where}.vth", group.vth, "scale threshold, weights and biases together"
    )
    yield number(
        "bias_mantissa", f"{where}.bias_mant", group.bias_mant, "raise bias_exp, or lower the bias"
    )
    yield number(
        "bias_exponent", f"{where}.bias_exp", group.bias_exp, "use another scale of the weights"
    )


def _synapse_checks(synapses: Synapses, target: HardwareTarget) -> Iterator[Check]:
    number = _Table(target, "number")
    where = f"synapses.{synapses.name}"
    yield number(
        "weight_bits", f"{where}.weight_bits", synapses.weight_bits, "use a width of the list"
    )
    yield number(
        "weight_exponent",
        f"{where}.weight_exp",
        synapses.weight_exp,
        "change the threshold, and with it the scale of the weights",
    )
    yield number(
        "sign_modes", f"{where}.sign_mode", synapses.sign_mode, "use a sign mode of the list"
    )
    yield number(
        f"weight_{synapses.sign_mode}",
        f"{where}.weights",
        synapses.weights,
        "raise the weight exponent, or use sign mode mixed",
    )
    yield _grid_check(synapses, target)
    if synapses.delays is not None:
        yield number("delay", f"{where}.delays", synapses.delays, "use shorter delays")


def _payload_check(synapses: Synapses, target: HardwareTarget) -> Check:
    return _Table(target, "number")(
        "graded_spike_bits",
        f"synapses.{synapses.name}.pre payload",
        PAYLOAD_BITS,
        "send plain spikes, or use the target loihi2",
    )


def _grid_check(synapses: Synapses, target: HardwareTarget) -> Check:
    """Check that the low bits a stored weight lacks are zero (nengo-loihi ``shift_bits``)."""
    fact = target.packing.weight_grid_bits
    shift = max(0, fact.value - synapses.weight_bits + (synapses.sign_mode == "mixed"))
    off = synapses.weights[synapses.weights % 2**shift != 0]
    return Check(
        id="packing.weight_grid_bits",
        object=f"synapses.{synapses.name}.weights",
        value=int(off.flat[0]) if off.size else f"multiples of {2**shift}",
        limit=f"multiples of {2**shift}",
        severity=fact.severity,
        evidence=fact.evidence,
        source=fact.source,
        verdict="fail" if off.size else "pass",
        hint="round the weights to the grid, or use more weight_bits",
    )


def _rule_checks(rule: LearningRule, where: str, target: HardwareTarget) -> Iterator[Check]:
    learning = _Table(target, "learning")
    products = [p for expression in rule.expressions.values() for p in expression.products]
    constants = [factor.constant for product in products for factor in product.factors]
    scale = "scale the trace impulses or the weights instead of the coefficient"
    mantissas, exponents = (
        np.array(column)
        for column in zip(*((p.mantissa, p.exponent) for p in products), strict=True)
    )
    yield learning("mantissa", f"{where} mantissas", mantissas, scale)
    yield learning("exponent", f"{where} exponents", exponents, scale)
    if any(constants):
        yield learning("constant", f"{where} constants", np.array(constants), OTHER_RULE)
    if rule.decimation is not None:
        yield learning(
            "decimation", f"{where} clock u{rule.decimation}", rule.decimation, "use u0 to u9"
        )
    yield learning("epoch", f"{where}.t_epoch", rule.t_epoch, "use a shorter learning epoch")
    yield learning(
        "third_factor",
        f"{where}.third_factor",
        rule.third_factor,
        "use a two-factor variant of the rule, or the target loihi2",
    )
    yield from _trace_checks(rule, where, learning)
    if rule.dt is not None or rule.uses("t"):
        yield learning("tag", f"{where} tag", TAG, "choose a variant of the rule without a tag")
    limits = _Table(target, "limits")
    yield limits("products_per_rule", f"{where} products", len(products), OTHER_RULE)


def _trace_checks(rule: LearningRule, where: str, learning: _Table) -> Iterator[Check]:
    for side, names in (("pre_traces", ("x1", "x2")), ("post_traces", ("y1", "y2", "y3"))):
        used = [name for name in names if rule.uses(name)]
        if used:
            yield learning(side, f"{where} traces {' '.join(used)}", len(used), OTHER_RULE)
        if rule.third_factor and side == "post_traces":
            continue
        for name in used:
            trace = getattr(rule, name)
            yield learning(
                "impulse",
                f"{where}.{name}.impulse",
                trace.impulse,
                "lower the impulse and raise the coefficient",
            )
            yield learning("trace_tau", f"{where}.{name}.tau", trace.tau, OTHER_RULE)


def _capacity_checks(program: Program, target: HardwareTarget) -> Iterator[Check]:
    for load in loads(program, fill(program, target), target):
        yield Check(
            id=load.id,
            object=load.object,
            value=load.used,
            limit=load.fact.describe(),
            severity=load.fact.severity,
            evidence=load.evidence,
            source=load.fact.source,
            verdict=load.fact.judge(load.used),
            hint=load.way_out,
        )
