"""What a weight-alignment rule is to this project.

A rule has two descriptions that know nothing of each other: the paper's equation, which the
reference simulates (:class:`~lava_align.backends.brian2_rules.ReferenceForm`), and one or more
on-chip forms, sums of products with integer constants (:class:`OnChipForm`). The compiler picks
the constants of an on-chip form from a :class:`Sample` of the activity it will see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lava_align.backends.brian2_rules import ReferenceForm
from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule import GradedMode, LearningRule
from lava_align.model.units import Dimension
from lava_align.recording import Spikes

if TYPE_CHECKING:
    from lava_align.rules.rates.base import RateRule, Signals, Weights

Array = np.ndarray[Any, Any]

CODE_ZERO, CODE_MAX = 64, 63
"""A signed signal is sent as 7 bits: 64 stands for 0."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A constant of a rule, in SI units; >= 0, and > 0 if it is a time or ``positive``."""

    name: str
    default: float
    meaning: str
    positive: bool = False
    dimension: Dimension | None = None
    source: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value is in range."""
        lowest = value > 0 if self._above_zero else value >= 0
        return bool(np.isfinite(value)) and lowest

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"a finite number {'>' if self._above_zero else '>='} 0"

    @property
    def _above_zero(self) -> bool:
        return self.positive or self.dimension == "time"


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

    def missing_on(
        self, *, third_factor: bool, graded_spikes: bool, custom_neurons: bool
    ) -> tuple[str, ...]:
        """Name what a target with the given abilities lacks."""
        lacks = []
        if self.factors == 3 and not third_factor:
            lacks.append("third factor")
        if self.graded_spikes and not graded_spikes:
            lacks.append("graded spikes")
        if self.custom_neuron and not custom_neurons:
            lacks.append("programmable neurons")
        return tuple(lacks)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Activity that a feedback projection is expected to see, from a short float run.

    Parameters
    ----------
    pre, post : ndarray of bool, shape (n_steps, n)
        Spikes of the presynaptic (upper) and the postsynaptic (lower) population.
    dt : float
        Step, seconds.
    n_steps : int
        Length of the run that is being compiled for; the sample may be shorter.
    signals : mapping
        What else the form looks at, by the names its planes have for it (``post.plus``):
        (n_steps, n), bool, integers, or real numbers of signals that have a code.
    reach : float or None
        Largest magnitude that the weights must be able to hold, in units of the rule, where that
        is known: a rule that matches forward weights absolutely ends at theirs.
    """

    pre: Array
    post: Array
    dt: float
    n_steps: int
    signals: Mapping[str, Array] = field(default_factory=dict)
    reach: float | None = None


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
class Plane:
    """Synapses that learn: most forms need one set, some the sum of two.

    Signals are named from the feedback synapse: ``pre`` and ``post`` are the spikes of the upper
    and the lower population, ``post.plus`` is the output ``plus`` of the lower one.

    Parameters
    ----------
    learning : LearningRule
        What the chip runs.
    name : str
        Told apart by it from the other planes of a form; empty for the only one.
    pre, gate : str
        Signals whose events are x0 and y0.
    modulators : mapping
        Of a three-factor rule: ``y1`` .. ``y3`` to the signal it takes.
    graded : str
        How a payload of ``pre`` enters x1 (see :class:`~lava_align.compiler.program.Synapses`).
    """

    learning: LearningRule
    name: str = ""
    pre: str = "pre"
    gate: str = "post"
    modulators: Mapping[str, str] = field(default_factory=dict)
    graded: GradedMode = "default"

    def synapses(self, projection: str) -> str:
        """Name of its synapses in a program."""
        return f"{projection}_{self.name}" if self.name else projection

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals it learns from."""
        return tuple(dict.fromkeys((self.pre, self.gate, *self.modulators.values())))


@dataclass(frozen=True)
class Code:
    """How a real-valued signal becomes the integers that neurons send.

    Parameters
    ----------
    unit : float
        Steps per unit of the signal; infinite sends the sign alone.
    payload : bool
        Whether it is sent as the payload of graded spikes, of which a trace takes half.
    of : str
        The signal it sends, if that has another name than the code.
    """

    unit: float
    payload: bool = False
    of: str = ""

    def encode(self, values: Array) -> Array:
        """Signed values as 64 plus a step count: int32, 1..127, twice that as a payload.

        Traces and third factors have 7 bits and no sign; a rule subtracts the 64 again.
        """
        steps = (
            np.rint(values * self.unit) if np.isfinite(self.unit) else CODE_MAX * np.sign(values)
        )
        steps = np.clip(steps, -CODE_MAX, CODE_MAX)
        coded: Array = ((steps + CODE_ZERO) * (2 if self.payload else 1)).astype(np.int32)
        return coded


@dataclass(frozen=True, kw_only=True)
class LoweredRule:
    """An on-chip form with its constants.

    Parameters
    ----------
    planes : tuple of Plane
        The feedback weight is the sum of theirs.
    weight_scale : float
        Chip weight units per unit of the reference's weight.
    forward : tuple of Plane
        Of a rule that changes both paths: what the forward weights learn by. Signals keep the
        names they have at the feedback synapse: ``pre`` is ``post`` there.
    codes : mapping
        Signal to the code in which it is sent, of signals that are real numbers.
    predictions : mapping
        What the calibration expects: weight spread at the end, largest tag, and the like.
    quantities : tuple of Quantity
        Constants asked and realised.
    """

    planes: tuple[Plane, ...]
    weight_scale: float
    forward: tuple[Plane, ...] = ()
    codes: Mapping[str, Code] = field(default_factory=dict)
    predictions: Mapping[str, float] = field(default_factory=dict)
    quantities: tuple[Quantity, ...] = ()

    @property
    def learning(self) -> LearningRule:
        """What the chip runs, of a form with one plane."""
        (plane,) = self.planes
        return plane.learning


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """What the lower neurons of a regression discontinuity watch, in the network's units.

    Parameters
    ----------
    margin, reach : float
        Distance from the threshold within which a window opens, and within which the drive's peak
        must stay for the window to count; in units of the membrane potential.
    length : int
        Steps.
    average, bits : int
        Of the share of spiking windows (see :class:`~lava_align.compiler.program.Window`).
    distance_step : float
        In which distances are sent, in units of the membrane potential.
    """

    margin: float
    reach: float
    length: int
    average: int
    bits: int
    distance_step: float


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
    derive : callable or None
        ``derive(recorded, n_steps)`` gives the signals beyond spikes that the planes learn from,
        out of what was recorded of the neurons, by the same names (``post.plus``).
    window : callable or None
        ``window(parameters, dt)``: what the lower neurons must watch, for a form that needs it.
    """

    name: str
    summary: str
    template: str
    lower: Callable[[Mapping[str, float], Sample, str], LoweredRule]
    derive: Callable[[Mapping[str, Spikes], int], Mapping[str, Array]] | None = None
    window: Callable[[Mapping[str, float], float], WindowPlan] | None = None


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
    reference : ReferenceForm or None
        Of a rule on spikes.
    rate : RateRule or None
        Of a rule on rates.
    rate_signals : callable or None
        ``rate_signals(signals, weights)``: what the on-chip forms learn from, by the names they
        have for it, out of what the rule's rates see.
    fixed : bool
        Feedback that does not learn: a baseline, which any chip holds.
    no_form : str
        Why there is no on-chip form, where there is none.
    check : callable or None
        ``check(parameters, where)`` yields a problem for parameters that do not go together.
    """

    name: str
    title: str
    source: str
    equation: str
    parameters: tuple[Parameter, ...]
    needs: Needs
    forms: tuple[OnChipForm, ...] = ()
    reference: ReferenceForm | None = None
    rate: RateRule | None = None
    rate_signals: Callable[[Signals, Weights], Mapping[str, Array]] | None = None
    fixed: bool = False
    no_form: str = ""
    check: Callable[[Mapping[str, float], str], Iterable[Problem]] | None = None

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
            For a parameter this rule does not have, one that is out of range, or parameters that
            do not go together.
        """
        complete = completed(self.parameters, given, where)
        problems = list(self.check(complete, where)) if self.check is not None else []
        if problems:
            raise InvalidInputError(problems)
        return complete


def completed(
    parameters: Sequence[Parameter], given: Mapping[str, float], where: str
) -> dict[str, float]:
    """All parameters, ``given`` over the defaults.

    Raises
    ------
    InvalidInputError
        For a parameter there is not, or one that is out of range; with every problem.
    """
    known = {parameter.name: parameter for parameter in parameters}
    problems = []
    for name, value in given.items():
        if name not in known:
            names = ", ".join(known) or "none"
            problems.append(Problem(f"{where}.{name}", "unknown parameter", f"one of: {names}"))
        elif not known[name].holds(value):
            problems.append(Problem(f"{where}.{name}", str(value), known[name].allowed))
    if problems:
        raise InvalidInputError(problems)
    return {**{name: parameter.default for name, parameter in known.items()}, **given}
