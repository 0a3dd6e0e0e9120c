"""The file of an experiment with a rule on rates: two layers, a rule, a number of samples.

Rules on rates need no neurons: their reference draws its own activity, and the chip's synapses are
fed the same signals. So the file is short, and has a schema of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lava_align.errors import InvalidInputError, Problem
from lava_align.files import read_toml
from lava_align.model.schema import Table
from lava_align.model.schema_problems import table_problems

SCHEMA = "lava-align-rates/1"


class RatesTable(Table):
    """The whole file."""

    schema_: Literal["lava-align-rates/1"] = Field(alias="schema")
    title: str = ""
    seed: int = Field(default=1, ge=0)
    rule: str
    lower: int = Field(ge=1, le=4096)
    upper: int = Field(ge=1, le=4096)
    samples: int = Field(ge=1, le=10**8)
    snapshots: int = Field(default=4, ge=1, le=1000)
    parameters: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RateExperiment:
    """A rule on rates between two layers.

    Parameters
    ----------
    title : str
    seed : int
        Decides weights and signals.
    rule : str
    lower, upper : int
        Neurons.
    samples, snapshots : int
        Length of the run, and how often the weights are looked at.
    parameters : dict
        Overrides of the rule's defaults.
    """

    title: str
    seed: int
    rule: str
    lower: int
    upper: int
    samples: int
    snapshots: int = 4
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def times(self) -> tuple[int, ...]:
        """Samples after which weights are looked at, evenly spaced; the last is the end."""
        n = min(self.snapshots, self.samples)
        return tuple(self.samples * (k + 1) // n for k in range(n))


def load_rates(path: str | Path, *, seed: int | None = None) -> RateExperiment:
    """Read the file of an experiment with a rule on rates.

    Raises
    ------
    InvalidInputError
        With every problem found, an unknown rule, one on spikes or a wrong parameter among them.
    """
    from lava_align.rules import get_rule

    data = read_toml(Path(path))
    try:
        table = RatesTable.model_validate(data)
    except ValidationError as error:
        raise InvalidInputError(list(table_problems(error))) from error
    rule = get_rule(table.rule, "rule")
    if rule.rate is None:
        raise InvalidInputError(
            Problem("rule", f"{rule.name} is defined on spikes", "a rule on rates, or `run`")
        )
    rule.rate.complete(table.parameters)
    return RateExperiment(
        title=table.title,
        seed=table.seed if seed is None else seed,
        rule=table.rule,
        lower=table.lower,
        upper=table.upper,
        samples=table.samples,
        snapshots=table.snapshots,
        parameters=table.parameters,
    )
