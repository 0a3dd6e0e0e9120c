"""A whole learning rule: expressions for dw, dd and dt, the traces, the learning epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule.arithmetic import EffectiveCoefficient, effective_coefficient
from lava_align.learning_rule.expression import Expression, clock_problem
from lava_align.learning_rule.terms import CLOCKS, TRACES, WIDTHS, Product, integer_problem

TARGETS = ("dw", "dd", "dt")
POST_TRACES = ("y1", "y2", "y3")

GradedMode = Literal["default", "overwrite", "add_with_saturation", "add_without_saturation"]
"""How the payload of a spike enters x1 (Lava's ``GradedSpikeCfg``); ``default`` ignores it."""


@dataclass(frozen=True)
class Trace:
    """An exponentially decaying trace of spikes, 0..127.

    Parameters
    ----------
    impulse : int
        Added per spike, 0..127. Whole numbers only: Lava 0.10.0 applies a fractional part with
        twice its probability.
    tau : int
        Decay time constant in steps, >= 0. 0 is instantaneous, as in Lava: the trace is nonzero
        in the step of the spike only.

    Raises
    ------
    InvalidInputError
        With every violation of the above.
    """

    impulse: int = 0
    tau: int = 0

    def __post_init__(self) -> None:
        found = (
            integer_problem("trace impulse", self.impulse, 0, 127),
            integer_problem("trace tau (steps)", self.tau, 0, None),
        )
        problems = [problem for problem in found if problem is not None]
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, kw_only=True)
class LearningRule:
    """An on-chip learning rule.

    Parameters
    ----------
    dw, dd, dt : Expression or None
        Change of the weight, of tag 2 ("delay") and of tag 1 at the end of a learning epoch. At
        least one; all from the same old values.
    x1, x2, y1, y2, y3 : Trace
        Pre- and postsynaptic traces.
    t_epoch : int
        Length of a learning epoch in steps, 1..63.
    third_factor : bool
        y1, y2, y3 are written by the postsynaptic neuron each step, so they have no impulse and
        no tau here.

    Raises
    ------
    InvalidInputError
        With every inconsistency at once.
    """

    dw: Expression | None = None
    dd: Expression | None = None
    dt: Expression | None = None
    x1: Trace = Trace()
    x2: Trace = Trace()
    y1: Trace = Trace()
    y2: Trace = Trace()
    y3: Trace = Trace()
    t_epoch: int = 1
    third_factor: bool = False

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InvalidInputError(problems)

    @property
    def expressions(self) -> dict[str, Expression]:
        """The expressions there are, by target, in the order they are applied."""
        named = ((target, getattr(self, target)) for target in TARGETS)
        return {target: expression for target, expression in named if expression is not None}

    @property
    def decimation(self) -> int | None:
        """K of the clock ``uK``, None if the rule has no clock."""
        return next((p.decimation for p in self._products() if p.decimation is not None), None)

    @property
    def fixed_point_only(self) -> bool:
        """Whether some product needs a coincidence, which floating-point models cannot do."""
        return any(product.coincidence for product in self._products())

    def uses(self, variable: str) -> bool:
        """Whether a product has ``variable`` as dependency or factor; ``u`` is any clock.

        Raises
        ------
        InvalidInputError
            If there is no such variable.
        """
        if variable == "u":
            return self.decimation is not None
        if variable not in WIDTHS and variable not in CLOCKS:
            raise InvalidInputError(
                Problem("variable", repr(variable), f"one of {' '.join(WIDTHS)} u u0..u9")
            )
        return any(product.uses(variable) for product in self._products())

    def effective_coefficients(self) -> tuple[EffectiveCoefficient, ...]:
        """Work out what each product is worth in Lava's fixed-point model, in order."""
        return tuple(
            effective_coefficient(target, product, self.third_factor)
            for target, expression in self.expressions.items()
            for product in expression.products
        )

    def describe(self) -> list[dict[str, Any]]:
        """Rows of a table, one per product: plain strings, numbers and booleans."""
        return [
            {**asdict(row), "notes": "; ".join(row.notes)} for row in self.effective_coefficients()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; expressions are canonical text."""
        return {
            **{target: None for target in TARGETS},
            **{target: str(expression) for target, expression in self.expressions.items()},
            **{name: asdict(getattr(self, name)) for name in TRACES},
            "t_epoch": self.t_epoch,
            "third_factor": self.third_factor,
        }

    @classmethod
    def from_dict(cls, data: Any) -> LearningRule:
        """Read the mapping :meth:`to_dict` wrote; keys with a default may be missing.

        Raises
        ------
        InvalidInputError
            With every problem of every entry.
        """
        if not isinstance(data, Mapping):
            raise InvalidInputError(Problem("learning rule", repr(data), "a mapping"))
        known = [field.name for field in fields(cls)]
        problems = [
            Problem(f"learning rule, key '{key}'", "unknown", f"one of {' '.join(known)}")
            for key in data
            if key not in known
        ]
        values: dict[str, Any] = {}
        for key in known:
            try:
                if key in data:
                    values[key] = _entry(key, data[key])
            except InvalidInputError as error:
                problems.extend(error.problems)
        if problems:
            raise InvalidInputError(problems)
        return cls(**values)

    def _products(self) -> Iterator[Product]:
        for expression in self.expressions.values():
            yield from expression.products


def _entry(key: str, value: Any) -> Any:
    if key in TARGETS and value is not None:
        return Expression.parse(value, key)
    if key not in TRACES:
        return value
    if not isinstance(value, Mapping) or not set(value) <= {"impulse", "tau"}:
        raise InvalidInputError(Problem(key, repr(value), "a mapping with impulse and tau"))
    try:
        return Trace(**value)
    except InvalidInputError as error:
        raise InvalidInputError(
            Problem(f"{key}, {p.where}", p.value, p.allowed) for p in error.problems
        ) from error


def _problems(rule: LearningRule) -> Iterator[Problem]:
    typed = True
    for name, kind in (*((t, Expression) for t in TARGETS), *((t, Trace) for t in TRACES)):
        value = getattr(rule, name)
        if not isinstance(value, kind) and not (kind is Expression and value is None):
            typed = False
            yield Problem(name, repr(value), f"a lava_align.learning_rule.{kind.__name__}")
    if typed:
        if not rule.expressions:
            yield Problem("learning rule", "empty", "at least one of dw, dd, dt")
        clash = clock_problem("learning rule", rule._products())
        if clash is not None:
            yield clash
        yield from _third_factor_problems(rule)
    epoch = integer_problem("t_epoch (steps)", rule.t_epoch, 1, 63)
    if epoch is not None:
        yield epoch
    third_factor: object = rule.third_factor
    if not isinstance(third_factor, bool):
        yield Problem("third_factor", repr(third_factor), "True or False")


def _third_factor_problems(rule: LearningRule) -> Iterator[Problem]:
    for name in POST_TRACES if rule.third_factor else ():
        trace = getattr(rule, name)
        if trace != Trace():
            yield Problem(
                name,
                f"impulse {trace.impulse}, tau {trace.tau} in a three-factor rule",
                "no impulse and no tau: the postsynaptic neuron writes y1, y2, y3",
            )
