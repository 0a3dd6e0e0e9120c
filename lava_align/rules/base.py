"""What a weight-alignment rule is to this project.

A rule has two descriptions that know nothing of each other: the paper's equation, which the
reference simulates (:class:`~lava_align.backends.brian2_rules.ReferenceForm`), and one or more
on-chip forms, sums of products with integer constants (:class:`OnChipForm`). The compiler picks
the constants of an on-chip form from a :class:`Sample` of the activity it will see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lava_align.backends.brian2_rules import ReferenceForm
from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule import LearningRule
from lava_align.model.units import Dimension

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A constant of a rule, in SI units; >= 0, and > 0 if it is a time or ``positive``."""

    name: str
    default: float
    meaning: str
    positive: bool = False
    dimension: Dimension | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a rule asks of the substrate; decides which targets can hold it, before anything runs.

    Parameters
    ----------
    factors : {2, 3}
        3 if the postsynaptic neuron sends a modulator of its own.
    graded_spikes, custom_neuron, probe_phase, host : bool
        Whether the rule needs spikes with payload, a neuron model beyond LIF, a phase in which
        neurons are stimulated one at a time, or a computer beside the chip.
    """

    factors: Literal[2, 3] = 2
    graded_spikes: bool = False
    custom_neuron: bool = False
    probe_phase: bool = False
    host: bool = False

    def missing_on(self, third_factor: bool, graded_spikes: bool) -> tuple[str, ...]:
        """Name what a target with the given abilities lacks."""
        lacks = []
        if self.factors == 3 and not third_factor:
            lacks.append("third factor")
        if self.graded_spikes and not graded_spikes:
            lacks.append("graded spikes")
        return tuple(lacks)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Spikes that a feedback projection is expected to see, from a short float run.

    Parameters
    ----------
    pre, post : ndarray of bool, shape (n_steps, n)
        Spikes of the presynaptic (upper) and the postsynaptic (lower) population.
    dt : float
        Step, seconds.
    n_steps : int
        Length of the run that is being compiled for; the sample may be shorter.
    """

    pre: Array
    post: Array
    dt: float
    n_steps: int


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number that the chip holds otherwise than it was asked for.

    Parameters
    ----------
    where, name
        Object and quantity, e.g. ``lower`` and ``tau_m``.
    asked, realised : float
        In the same unit.
    unit : str
    error : float
        Relative error; absolute where ``asked`` is 0.
    note : str
        What it means, or how it came about.
    """

    where: str
    name: str
    asked: float
    realised: float
    unit: str = ""
    error: float = 0.0
    note: str = ""

    @classmethod
    def compare(
        cls, where: str, name: str, asked: float, realised: float, unit: str = "", note: str = ""
    ) -> Quantity:
        """Make a quantity and compute its error."""
        error = (realised - asked) / asked if asked else realised - asked
        return cls(
            where=where,
            name=name,
            asked=float(asked),
            realised=float(realised),
            unit=unit,
            error=float(error),
            note=note,
        )


@dataclass(frozen=True, kw_only=True)
class LoweredRule:
    """An on-chip form with its constants.

    Parameters
    ----------
    learning : LearningRule
        What the chip runs.
    weight_scale : float
        Chip weight units per unit of the reference's weight.
    predictions : mapping
        What the calibration expects: weight spread at the end, largest tag, and the like.
    quantities : tuple of Quantity
        Constants asked and realised.
    """

    learning: LearningRule
    weight_scale: float
    predictions: Mapping[str, float] = field(default_factory=dict)
    quantities: tuple[Quantity, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OnChipForm:
    """One way to write a rule as sums of products.

    Parameters
    ----------
    name, summary : str
    template : str
        The rule with its constants left open, for people.
    lower : callable
        ``lower(parameters, sample, where) -> LoweredRule`` chooses the constants.
    """

    name: str
    summary: str
    template: str
    lower: Callable[[Mapping[str, float], Sample, str], LoweredRule]


@dataclass(frozen=True, kw_only=True)
class AlignmentRule:
    """A published rule.

    Parameters
    ----------
    name, title : str
    source : str
        The paper.
    equation : str
        The paper's equation in feedback orientation (pre = upper k, post = lower j).
    parameters : tuple of Parameter
    needs : Needs
    forms : tuple of OnChipForm
        The first is the default; empty if no on-chip form exists.
    reference : ReferenceForm
    """

    name: str
    title: str
    source: str
    equation: str
    parameters: tuple[Parameter, ...]
    needs: Needs
    forms: tuple[OnChipForm, ...]
    reference: ReferenceForm

    def form(self, name: str | None) -> OnChipForm:
        """Return the on-chip form of that name, or the default one for None."""
        if name is None and self.forms:
            return self.forms[0]
        if name is None:
            raise InvalidInputError(
                Problem(
                    f"rule {self.name}",
                    "no on-chip form",
                    "the reference (lava-align run --backend brian2), or another rule",
                )
            )
        for form in self.forms:
            if form.name == name:
                return form
        known = ", ".join(form.name for form in self.forms) or "none"
        raise InvalidInputError(
            Problem(f"rule {self.name}", f"no on-chip form '{name}'", f"one of: {known}")
        )

    def complete(self, given: Mapping[str, float], where: str) -> dict[str, float]:
        """Return all parameters, ``given`` over the defaults.

        Raises
        ------
        InvalidInputError
            For a parameter this rule does not have, or one that is out of range.
        """
        defaults = {parameter.name: parameter.default for parameter in self.parameters}
        problems = [
            Problem(f"{where}.{name}", "unknown parameter", f"one of: {', '.join(defaults)}")
            for name in given
            if name not in defaults
        ]
        problems += [
            Problem(f"{where}.{name}", str(value), self._allowed(name))
            for name, value in given.items()
            if name in defaults and not self._in_range(name, value)
        ]
        if problems:
            raise InvalidInputError(problems)
        return {**defaults, **given}

    def _in_range(self, name: str, value: float) -> bool:
        lowest = value > 0 if self._positive(name) else value >= 0
        return bool(np.isfinite(value)) and lowest

    def _allowed(self, name: str) -> str:
        return f"a finite number {'>' if self._positive(name) else '>='} 0"

    def _positive(self, name: str) -> bool:
        parameter = next(p for p in self.parameters if p.name == name)
        return parameter.positive or parameter.dimension == "time"
