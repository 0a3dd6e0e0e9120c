"""The experiment file: TOML, checked as a whole, turned into a :class:`Network`.

Every key has a default where a sensible one exists; ``lava-align example`` prints a file with all
of them written out. Errors name the key path, the value and what is allowed, all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from lava_align.errors import InvalidInputError, MissingDependencyError, Problem
from lava_align.files import read_toml
from lava_align.memory import available_memory, size_text
from lava_align.model.network import (
    MAX_STEPS,
    MAX_SYNAPSES,
    Network,
    Plasticity,
    Projection,
    Stimulus,
)
from lava_align.model.schema import (
    Approximation,
    ExperimentTable,
    ProjectionTable,
    RuleTable,
    StimulusTable,
)
from lava_align.model.schema_problems import is_consequence, key_path, repaired, table_problems
from lava_align.model.stimuli import PoissonDrive
from lava_align.model.substrate import Substrate
from lava_align.model.units import format_time, parse_quantity

if TYPE_CHECKING:
    from lava_align.rules import AlignmentRule

# From the float matrices to the compiled program: 2 x 3000 x 3000 take 0.75 GB.
BYTES_PER_SYNAPSE = 40


@dataclass(frozen=True, kw_only=True)
class ValidationPlan:
    """How the chip form is compared with the reference.

    Parameters
    ----------
    reference_runs : int
        Reference runs with other seeds, from which the margins come.
    warm_up : float
        Time at the start that is not compared, seconds.
    reference_dt : float or None
        Step of the reference, seconds; None is the network's own.
    same_input : bool
        Whether the compared reference run gets the chip form's own input spikes.
    """

    reference_runs: int = 20
    warm_up: float = 0.5
    reference_dt: float | None = None
    same_input: bool = True


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A network and what is to be done with it.

    Parameters
    ----------
    title : str
    seed : int
        Decides every random number: generated weights, stimuli, rounding.
    network : Network
    approximate : tuple of str
        What the target's neuron is allowed to simplify.
    substrate : Substrate
        How far the chip is from its program; the reference knows nothing of it.
    validation : ValidationPlan
    """

    title: str
    seed: int
    network: Network
    approximate: tuple[Approximation, ...] = ()
    substrate: Substrate = field(default_factory=Substrate)
    validation: ValidationPlan = field(default_factory=ValidationPlan)


def load_experiment(
    path: str | Path,
    *,
    seed: int | None = None,
    duration: float | None = None,
    comparable: bool = True,
) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        The TOML file; files it names are looked up beside it.
    seed, duration
        Override the file's ``seed`` and ``duration`` (seconds).
    comparable
        Whether the validation plan must fit the duration. A run too short to be compared can
        still be compiled and simulated.

    Raises
    ------
    InvalidInputError
        With every problem found.
    """
    path = Path(path)
    return build_experiment(
        read_toml(path), folder=path.parent, seed=seed, duration=duration, comparable=comparable
    )


def build_experiment(
    content: Mapping[str, Any],
    *,
    folder: Path = Path(),
    seed: int | None = None,
    duration: float | None = None,
    comparable: bool = True,
) -> Experiment:
    """Turn the parsed content of an experiment file into an :class:`Experiment`.

    As :func:`load_experiment`; ``folder`` is where files it names are looked up.
    """
    try:
        table = ExperimentTable.model_validate(dict(content))
    except ValidationError as error:
        found = [*table_problems(error), *_further_problems(content, error, folder)]
        raise InvalidInputError(found) from None
    if seed is not None:
        table.seed = seed
    if duration is not None:
        table.duration = duration
    return _experiment(table, folder, comparable)


def _further_problems(
    content: Mapping[str, Any], error: ValidationError, folder: Path
) -> list[Problem]:
    """What else is wrong with a file whose tables are faulty, as far as it can be known."""
    if any(key_path(e["loc"]) in (("dt",), ("duration",)) for e in error.errors()):
        return []
    try:
        _experiment(ExperimentTable.model_validate(repaired(content, error)), folder)
    except InvalidInputError as found:
        return [p for p in found.problems if not is_consequence(p, error)]
    except (ValidationError, MissingDependencyError):
        pass
    return []


def _experiment(table: ExperimentTable, folder: Path, comparable: bool = True) -> Experiment:
    """Build everything; whatever could not be built has a stand-in and a problem."""
    problems = list(_size_problems(table))
    if problems:
        raise InvalidInputError(problems)
    projections = _projections(table, folder, problems)
    stimuli = tuple(_stimulus(n, t, folder, problems) for n, t in table.stimuli.items())
    plan = ValidationPlan(**table.validation.model_dump())
    if comparable:
        problems += _plan_problems(plan, table.dt, table.duration)
    try:
        network = Network(
            dt=table.dt,
            duration=table.duration,
            populations=tuple(p.build(name) for name, p in table.populations.items()),
            projections=projections,
            stimuli=stimuli,
        )
    except InvalidInputError as error:
        raise InvalidInputError([*error.problems, *problems]) from None
    if problems:
        raise InvalidInputError(problems)
    return Experiment(
        title=table.title,
        seed=table.seed,
        network=network,
        approximate=tuple(table.approximate),
        substrate=table.substrate.build(),
        validation=plan,
    )


def _size_problems(table: ExperimentTable) -> Iterator[Problem]:
    """Matrices that are never to be allocated: no target, or not this machine, could hold them."""
    shapes = {name: _shape(projection, table) for name, projection in table.projections.items()}
    too_large = {n: s for n, s in shapes.items() if s[0] * s[1] > MAX_SYNAPSES}
    for name, (n_post, n_pre) in too_large.items():
        yield Problem(
            f"projections.{name}",
            f"{n_post} x {n_pre} synapses",
            f"at most {MAX_SYNAPSES} in a projection",
        )
    total = sum(n_post * n_pre for n_post, n_pre in shapes.values())
    available, needed = available_memory(), total * BYTES_PER_SYNAPSE
    if available is not None and needed > available and not too_large:
        yield Problem(
            "projections",
            f"{total} synapses need about {size_text(needed)} of memory",
            f"{size_text(available)} are available here",
        )


def _shape(projection: ProjectionTable, table: ExperimentTable) -> tuple[int, int]:
    """(n_post, n_pre); 1 for a population that does not exist."""
    n_post, n_pre = (
        table.populations[end].size if end in table.populations else 1
        for end in (projection.post, projection.pre)
    )
    return n_post, n_pre


def _plan_problems(plan: ValidationPlan, dt: float, duration: float) -> Iterator[Problem]:
    if not 0 <= plan.warm_up < duration and duration > 0:
        found, limit = format_time(plan.warm_up), format_time(duration)
        yield Problem("validation.warm_up", found, f"at least 0 and below duration ({limit})")
    if plan.reference_dt is not None and dt > 0:
        ratio = dt / plan.reference_dt if plan.reference_dt > 0 else 0.0
        if not 1 <= ratio < MAX_STEPS or abs(ratio - round(ratio)) > 1e-9 * ratio:
            found = format_time(plan.reference_dt)
            allowed = f"dt ({format_time(dt)}) divided by a whole number"
            yield Problem("validation.reference_dt", found, allowed)


def _under(where: str, error: InvalidInputError) -> list[Problem]:
    """Put the key path before the names of files."""
    return [Problem(f"{where} ({p.where})", p.value, p.allowed) for p in error.problems]


def _projections(
    table: ExperimentTable, folder: Path, problems: list[Problem]
) -> tuple[Projection, ...]:
    # One stream per projection, told apart from the streams of the stimuli by its key.
    streams = np.random.SeedSequence(table.seed, spawn_key=(1,)).spawn(len(table.projections))
    made = []
    for (name, projection), stream in zip(table.projections.items(), streams, strict=True):
        shape = _shape(projection, table)
        try:
            weights = projection.weights.draw(shape, np.random.default_rng(stream), folder)
        except InvalidInputError as error:
            problems += _under(f"projections.{name}.weights.path", error)
            weights = np.zeros(shape)
        where = f"projections.{name}.rule"
        rule = projection.rule
        made.append(
            Projection(
                name=name,
                pre=projection.pre,
                post=projection.post,
                weights=weights,
                acts=projection.acts,
                plasticity=None if rule is None else _plasticity(rule, where, problems),
            )
        )
    return tuple(made)


def _stimulus(name: str, table: StimulusTable, folder: Path, problems: list[Problem]) -> Stimulus:
    try:
        drive = table.drive.build(folder)
    except InvalidInputError as error:
        problems += _under(f"stimuli.{name}.drive", error)
        drive = PoissonDrive(rate=0.0, period=1e12)
    return Stimulus(name=name, population=table.population, weight=table.weight, drive=drive)


def _plasticity(table: RuleTable, where: str, problems: list[Problem]) -> Plasticity:
    # Imported here: the rules know the learning-rule language, which reading a file without
    # plasticity does not need.
    from lava_align.rules import get_rule

    parameters: dict[str, float] = {}
    try:
        rule = get_rule(table.name, f"{where}.name")
        parameters = rule_parameters(table.parameters, rule, f"{where}.parameters", problems)
        # A rule without on-chip form can still be run by the reference.
        if rule.forms or table.variant is not None:
            rule.form(table.variant)
    except InvalidInputError as error:
        problems += (
            Problem(
                p.where if p.where.startswith(where) else f"{where}.variant", p.value, p.allowed
            )
            for p in error.problems
        )
    return Plasticity(
        rule=table.name, mirrors=table.mirrors, variant=table.variant, parameters=parameters
    )


def rule_parameters(
    given: Mapping[str, str | float], rule: AlignmentRule, where: str, problems: list[Problem]
) -> dict[str, float]:
    """Parameters in SI units, as far as they could be read.

    Parameters
    ----------
    given : mapping
        Times and rates as strings with a unit, the others as numbers.
    where : str
        Key path that goes before the names in problems.
    problems : list of Problem
        Takes what is wrong.
    """
    dimensions = {parameter.name: parameter.dimension for parameter in rule.parameters}
    values: dict[str, float] = {}
    for key, value in given.items():
        dimension = dimensions.get(key)
        try:
            if key not in dimensions:
                values[key] = math.nan  # of no consequence: the rule refuses the name
            elif dimension is not None:
                values[key] = parse_quantity(value, dimension)
            elif isinstance(value, str):
                raise ValueError("a number without unit or quotes")
            else:
                values[key] = value
        except ValueError as error:
            problems.append(Problem(f"{where}.{key}", repr(value), str(error)))
    try:
        rule.complete(values, where)
    except InvalidInputError as error:
        problems += error.problems
    return values


__all__ = [
    "Approximation",
    "Experiment",
    "ValidationPlan",
    "build_experiment",
    "load_experiment",
    "rule_parameters",
]
