"""The tables of an experiment file: keys, types and defaults, checked one by one.

Whether the tables fit each other is the business of :class:`~lava_align.model.network.Network`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from lava_align.model import sources
from lava_align.model.network import LIF, MAX_SIZE, EscapeNeuron, Population
from lava_align.model.stimuli import Drive, ImageDrive, MixedDrive, PoissonDrive, RecordedDrive
from lava_align.model.substrate import Substrate
from lava_align.model.units import parse_quantity

Approximation = Literal["tau_rise", "reset", "refractory"]
"""What a target's neuron may simplify if the experiment names it."""

Time = Annotated[float, BeforeValidator(lambda value: parse_quantity(value, "time"))]
Rate = Annotated[float, BeforeValidator(lambda value: parse_quantity(value, "rate"))]


class Table(BaseModel):
    """What all tables share: no unknown keys, no conversion of types, no NaN, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LIFTable(Table):
    """``[populations.NAME]`` of leaky integrate-and-fire neurons."""

    kind: Literal["lif"] = "lif"
    size: int = Field(ge=1, le=MAX_SIZE)
    tau_m: Time
    tau_syn: Time
    tau_rise: Time = 0.0
    threshold: float = 1.0
    reset: float = 0.0
    bias: float = 0.0
    refractory: Time = 0.0
    refractory_holds: bool = True

    def build(self, name: str) -> Population:
        """Make the population called ``name``."""
        values = self.model_dump(exclude={"kind", "size"})
        return Population(name=name, size=self.size, neuron=LIF(**values))


class EscapeTable(Table):
    """``[populations.NAME]`` of stochastic neurons, ``kind = "escape"``."""

    kind: Literal["escape"]
    size: int = Field(ge=1, le=MAX_SIZE)
    refractory: Time
    tau_syn: Time | None = None
    bias: float = 0.0

    def build(self, name: str) -> Population:
        """Make the population called ``name``."""
        values = self.model_dump(exclude={"kind", "size"})
        return Population(name=name, size=self.size, neuron=EscapeNeuron(**values))


def _kind_of_neuron(value: Any) -> Any:
    """Kind a population's table names; LIF without one, and for what is no table at all."""
    if isinstance(value, Mapping):
        return value.get("kind", "lif")
    return getattr(value, "kind", "lif")


PopulationTable = Annotated[
    Annotated[LIFTable, Tag("lif")] | Annotated[EscapeTable, Tag("escape")],
    Discriminator(_kind_of_neuron),
]


class NormalWeights(Table):
    """Independent normal weights."""

    kind: Literal["normal"]
    mean: float = 0.0
    sd: float = Field(ge=0)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator, _: Path) -> Any:
        """Draw a matrix of the given shape."""
        return rng.normal(self.mean, self.sd, shape)


class UniformWeights(Table):
    """Independent uniform weights."""

    kind: Literal["uniform"]
    low: float
    high: float

    def draw(self, shape: tuple[int, int], rng: np.random.Generator, _: Path) -> Any:
        """Draw a matrix of the given shape."""
        return rng.uniform(min(self.low, self.high), max(self.low, self.high), shape)


class ConstantWeights(Table):
    """The same weight everywhere."""

    kind: Literal["constant"]
    value: float

    def draw(self, shape: tuple[int, int], _: np.random.Generator, __: Path) -> Any:
        """Make a matrix of the given shape."""
        return np.full(shape, self.value)


class WeightFile(Table):
    """Weights from a ``.npy`` file."""

    kind: Literal["file"]
    path: str

    def draw(self, _: tuple[int, int], __: np.random.Generator, folder: Path) -> Any:
        """Read the matrix; its shape is checked with the network."""
        return sources.load_weights(folder / self.path)


class RuleTable(Table):
    """``[projections.NAME.rule]``."""

    name: str
    mirrors: str
    variant: str | None = None
    parameters: dict[str, str | float] = Field(default_factory=dict)


class ProjectionTable(Table):
    """``[projections.NAME]``."""

    pre: str
    post: str
    weights: Annotated[
        NormalWeights | UniformWeights | ConstantWeights | WeightFile, Field(discriminator="kind")
    ]
    acts: bool = True
    rule: RuleTable | None = None


class _Poisson(Table):
    kind: Literal["poisson"]
    rate: Rate
    active_fraction: float = 1.0
    correlation: float = 0.0

    def drive(self, period: float) -> PoissonDrive:
        return PoissonDrive(
            rate=self.rate,
            active_fraction=self.active_fraction,
            correlation=self.correlation,
            period=period,
        )


class _Images(Table):
    kind: Literal["images"]
    dataset: Literal["digits"] | None = None
    path: str | None = None
    max_rate: Rate

    def images(self, folder: Path, period: float) -> ImageDrive:
        images = sources.load_images(
            self.dataset, None if self.path is None else folder / self.path
        )
        return ImageDrive(images=images, max_rate=self.max_rate, period=period)


class PoissonTable(_Poisson):
    """``drive = { kind = "poisson" }``."""

    period: Time = 0.1

    def build(self, _: Path) -> Drive:
        """Make the drive."""
        return self.drive(self.period)


class ImagesTable(_Images):
    """``drive = { kind = "images" }``."""

    period: Time = 0.1

    def build(self, folder: Path) -> Drive:
        """Read the images and make the drive."""
        return self.images(folder, self.period)


class PoissonPart(_Poisson):
    """A Poisson part of a mixed drive; the period is the mixture's."""

    share: float = Field(default=1.0, gt=0)

    def build(self, _: Path, period: float) -> PoissonDrive:
        """Make the part."""
        return self.drive(period)


class ImagesPart(_Images):
    """An image part of a mixed drive; the period is the mixture's."""

    share: float = Field(default=1.0, gt=0)

    def build(self, folder: Path, period: float) -> ImageDrive:
        """Read the images and make the part."""
        return self.images(folder, period)


class SpikesTable(Table):
    """``drive = { kind = "spikes" }``."""

    kind: Literal["spikes"]
    path: str

    def build(self, folder: Path) -> Drive:
        """Read the spikes and make the drive."""
        times, neurons = sources.load_spikes(folder / self.path)
        return RecordedDrive(times=times, neurons=neurons)


class MixedTable(Table):
    """``drive = { kind = "mixed" }``."""

    kind: Literal["mixed"]
    period: Time = 0.1
    parts: list[Annotated[PoissonPart | ImagesPart, Field(discriminator="kind")]] = Field(
        min_length=1
    )

    def build(self, folder: Path) -> Drive:
        """Make the parts and the drive."""
        return MixedDrive(
            parts=tuple(part.build(folder, self.period) for part in self.parts),
            shares=tuple(part.share for part in self.parts),
            period=self.period,
        )


class StimulusTable(Table):
    """``[stimuli.NAME]``."""

    population: str
    weight: float
    drive: Annotated[
        PoissonTable | ImagesTable | SpikesTable | MixedTable, Field(discriminator="kind")
    ]


class ValidationTable(Table):
    """``[validation]``."""

    reference_runs: int = Field(default=20, ge=2)
    warm_up: Time = 0.5
    reference_dt: Time | None = None
    same_input: bool = True


class SubstrateTable(Table):
    """``[substrate]``."""

    threshold: float = Field(default=0.0, ge=0)
    weight: float = Field(default=0.0, ge=0)
    dead: float = Field(default=0.0, ge=0, le=1)
    write: float = Field(default=0.0, ge=0)
    seed: int = Field(default=1, ge=0)

    def build(self) -> Substrate:
        """Make the substrate."""
        return Substrate(**self.model_dump())


class ExperimentTable(Table):
    """The whole file."""

    schema_: Literal["lava-align-experiment/1"] = Field(alias="schema")
    title: str = ""
    seed: int = Field(default=1, ge=0)
    dt: Time
    duration: Time
    approximate: list[Approximation] = Field(default_factory=list)
    populations: dict[str, PopulationTable] = Field(min_length=1)
    projections: dict[str, ProjectionTable] = Field(default_factory=dict)
    stimuli: dict[str, StimulusTable] = Field(default_factory=dict)
    substrate: SubstrateTable = Field(default_factory=SubstrateTable)
    validation: ValidationTable = Field(default_factory=ValidationTable)
