"""The experiment file: TOML, checked as a whole, turned into a :class:`Network`.

Every key has a default where a sensible one exists; ``lava-align example`` prints a file with all
of them written out. Errors name the key path, the value and what is allowed, all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lava_align.errors import InvalidInputError, Problem
from lava_align.files import read_toml
from lava_align.model import sources
from lava_align.model.network import LIF, Network, Plasticity, Population, Projection, Stimulus
from lava_align.model.stimuli import (
    Drive,
    ImageDrive,
    MixedDrive,
    PoissonDrive,
    RecordedDrive,
    SegmentedDrive,
)
from lava_align.model.units import parse_quantity

SCHEMA = "lava-align-experiment/1"

Approximation = Literal["tau_rise", "reset", "refractory"]
"""What a target's neuron may simplify if the experiment names it."""

Time = Annotated[float, BeforeValidator(lambda value: parse_quantity(value, "time"))]
Rate = Annotated[float, BeforeValidator(lambda value: parse_quantity(value, "rate"))]


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
    validation : ValidationPlan
    """

    title: str
    seed: int
    network: Network
    approximate: tuple[Approximation, ...] = ()
    validation: ValidationPlan = field(default_factory=ValidationPlan)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Number = Annotated[float, Field(strict=False)]


class _Population(_Table):
    size: int = Field(ge=1)
    tau_m: Time
    tau_syn: Time
    tau_rise: Time = 0.0
    threshold: Number = 1.0
    reset: Number = 0.0
    bias: Number = 0.0
    refractory: Time = 0.0

    def build(self, name: str) -> Population:
        values = self.model_dump(exclude={"size"})
        return Population(name=name, size=self.size, neuron=LIF(**values))


class _Normal(_Table):
    kind: Literal["normal"]
    mean: Number = 0.0
    sd: Number = Field(ge=0)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator, _: Path) -> Any:
        return rng.normal(self.mean, self.sd, shape)


class _Uniform(_Table):
    kind: Literal["uniform"]
    low: Number
    high: Number

    def draw(self, shape: tuple[int, int], rng: np.random.Generator, _: Path) -> Any:
        return rng.uniform(min(self.low, self.high), max(self.low, self.high), shape)


class _Constant(_Table):
    kind: Literal["constant"]
    value: Number

    def draw(self, shape: tuple[int, int], _: np.random.Generator, __: Path) -> Any:
        return np.full(shape, self.value)


class _WeightFile(_Table):
    kind: Literal["file"]
    path: str

    def draw(self, _: tuple[int, int], __: np.random.Generator, folder: Path) -> Any:
        return sources.load_weights(folder / self.path)


_Weights = Annotated[_Normal | _Uniform | _Constant | _WeightFile, Field(discriminator="kind")]


class _Rule(_Table):
    name: str
    mirrors: str
    variant: str | None = None
    parameters: dict[str, str | Number] = Field(default_factory=dict)


class _Projection(_Table):
    pre: str
    post: str
    weights: _Weights
    acts: bool = True
    rule: _Rule | None = None


class _Poisson(_Table):
    kind: Literal["poisson"]
    share: Number = Field(default=1.0, gt=0)
    rate: Rate
    active_fraction: Number = 1.0
    period: Time = 0.1
    correlation: Number = 0.0

    def build(self, _: Path) -> Drive:
        return PoissonDrive(**self.model_dump(exclude={"kind", "share"}))


class _Images(_Table):
    kind: Literal["images"]
    share: Number = Field(default=1.0, gt=0)
    dataset: Literal["digits"] | None = None
    path: str | None = None
    max_rate: Rate
    period: Time = 0.1

    def build(self, folder: Path) -> Drive:
        path = None if self.path is None else folder / self.path
        images = sources.load_images(self.dataset, path)
        return ImageDrive(images=images, max_rate=self.max_rate, period=self.period)


class _Spikes(_Table):
    kind: Literal["spikes"]
    path: str

    def build(self, folder: Path) -> Drive:
        times, neurons = sources.load_spikes(folder / self.path)
        return RecordedDrive(times=times, neurons=neurons)


_Segmented = Annotated[_Poisson | _Images, Field(discriminator="kind")]


class _Mixed(_Table):
    kind: Literal["mixed"]
    period: Time = 0.1
    parts: list[_Segmented] = Field(min_length=1)

    def build(self, folder: Path) -> Drive:
        return MixedDrive(
            parts=tuple(cast(SegmentedDrive, part.build(folder)) for part in self.parts),
            shares=tuple(part.share for part in self.parts),
            period=self.period,
        )


class _Stimulus(_Table):
    population: str
    weight: Number
    drive: Annotated[_Poisson | _Images | _Spikes | _Mixed, Field(discriminator="kind")]


class _Validation(_Table):
    reference_runs: int = Field(default=20, ge=2)
    warm_up: Time = 0.5
    reference_dt: Time | None = None
    same_input: bool = True


class _File(_Table):
    schema_: Literal["lava-align-experiment/1"] = Field(alias="schema")
    title: str = ""
    seed: int = Field(default=1, ge=0)
    dt: Time
    duration: Time
    approximate: list[Approximation] = Field(default_factory=list)
    populations: dict[str, _Population] = Field(min_length=1)
    projections: dict[str, _Projection] = Field(default_factory=dict)
    stimuli: dict[str, _Stimulus] = Field(default_factory=dict)
    validation: _Validation = Field(default_factory=_Validation)


def load_experiment(
    path: str | Path, *, seed: int | None = None, duration: float | None = None
) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        The TOML file; files it names are looked up beside it.
    seed, duration
        Override the file's ``seed`` and ``duration`` (seconds).

    Raises
    ------
    InvalidInputError
        With every problem found.
    """
    path = Path(path)
    return build_experiment(read_toml(path), folder=path.parent, seed=seed, duration=duration)


def build_experiment(
    content: Mapping[str, Any],
    *,
    folder: Path = Path(),
    seed: int | None = None,
    duration: float | None = None,
) -> Experiment:
    """Turn the parsed content of an experiment file into an :class:`Experiment`."""
    try:
        file = _File.model_validate(dict(content))
    except ValidationError as error:
        raise InvalidInputError(list(_problems(error))) from None
    seed = file.seed if seed is None else seed
    network = _network(file, folder, seed, file.duration if duration is None else duration)
    return Experiment(
        title=file.title,
        seed=seed,
        network=network,
        approximate=tuple(file.approximate),
        validation=_plan(file.validation, network),
    )


def _plan(table: _Validation, network: Network) -> ValidationPlan:
    plan = ValidationPlan(**table.model_dump())
    problems = []
    if not 0 <= plan.warm_up < network.duration:
        problems.append(
            Problem(
                "validation.warm_up", f"{plan.warm_up} s", f"0..{network.duration} s (duration)"
            )
        )
    if plan.reference_dt is not None:
        ratio = network.dt / plan.reference_dt if plan.reference_dt > 0 else 0
        if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
            problems.append(
                Problem(
                    "validation.reference_dt",
                    f"{plan.reference_dt} s",
                    f"dt ({network.dt} s) divided by a whole number",
                )
            )
    if problems:
        raise InvalidInputError(problems)
    return plan


def _network(file: _File, folder: Path, seed: int, duration: float) -> Network:
    problems: list[Problem] = []
    projections, stimuli = [], []
    # One stream per projection, told apart from the streams of the stimuli by its key.
    streams = np.random.SeedSequence(seed, spawn_key=(1,)).spawn(len(file.projections))
    for (name, projection), stream in zip(file.projections.items(), streams, strict=True):
        try:
            projections.append(_projection(name, projection, file, folder, stream))
        except InvalidInputError as error:
            problems += error.problems
    for name, stimulus in file.stimuli.items():
        try:
            stimuli.append(
                Stimulus(
                    name=name,
                    population=stimulus.population,
                    weight=stimulus.weight,
                    drive=stimulus.drive.build(folder),
                )
            )
        except InvalidInputError as error:
            problems += error.problems
    try:
        network = Network(
            dt=file.dt,
            duration=duration,
            populations=tuple(p.build(name) for name, p in file.populations.items()),
            projections=tuple(projections),
            stimuli=tuple(stimuli),
        )
    except InvalidInputError as error:
        raise InvalidInputError([*problems, *error.problems]) from None
    if problems:
        raise InvalidInputError(problems)
    return network


def _projection(
    name: str,
    table: _Projection,
    file: _File,
    folder: Path,
    stream: np.random.SeedSequence,
) -> Projection:
    shape = tuple(
        file.populations[end].size if end in file.populations else 1
        for end in (table.post, table.pre)
    )
    weights = table.weights.draw(
        cast(tuple[int, int], shape), np.random.default_rng(stream), folder
    )
    return Projection(
        name=name,
        pre=table.pre,
        post=table.post,
        weights=weights,
        acts=table.acts,
        plasticity=None if table.rule is None else _plasticity(table.rule, name),
    )


def _plasticity(table: _Rule, projection: str) -> Plasticity:
    # Imported here: the rules know the learning-rule language, which reading a file without
    # plasticity does not need.
    from lava_align.rules import get_rule

    where = f"projections.{projection}.rule"
    rule = get_rule(table.name, f"{where}.name")
    dimensions = {parameter.name: parameter.dimension for parameter in rule.parameters}
    parameters: dict[str, float] = {}
    problems = []
    for key, value in table.parameters.items():
        dimension = dimensions.get(key)
        try:
            parameters[key] = (
                float(value) if dimension is None else parse_quantity(value, dimension)
            )
        except ValueError as error:
            problems.append(Problem(f"{where}.parameters.{key}", repr(value), str(error)))
    if problems:
        raise InvalidInputError(problems)
    rule.complete(parameters, f"{where}.parameters")
    rule.form(table.variant)
    return Plasticity(
        rule=table.name, mirrors=table.mirrors, variant=table.variant, parameters=parameters
    )


def _problems(error: ValidationError) -> Iterator[Problem]:
    """Say pydantic's findings in our words: key path, value, what is allowed."""
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in _key_path(item["loc"]))
        value = item.get("input")
        shown = "a table" if isinstance(value, Mapping) else repr(value)
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            yield Problem(path, "unknown key", "remove it, or see `lava-align example`")
        elif item["type"] == "missing":
            yield Problem(path, "missing", "this key is required")
        else:
            yield Problem(path, shown, message[:1].lower() + message[1:])


def _key_path(loc: tuple[int | str, ...]) -> Iterator[int | str]:
    """Key path without the discriminator values that pydantic puts in between."""
    kinds = {"normal", "uniform", "constant", "file", "poisson", "images", "spikes", "mixed"}
    previous: int | str = ""
    for part in loc:
        inserted = part in kinds and (previous in ("weights", "drive") or isinstance(previous, int))
        if not inserted:
            yield part
        previous = part


__all__ = [
    "Approximation",
    "Experiment",
    "ValidationPlan",
    "build_experiment",
    "load_experiment",
]
