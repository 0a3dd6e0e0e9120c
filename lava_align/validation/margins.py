"""How different is still the same: margins from reference runs alone.

Each reference run is set against the mean of the others. What the reference does to itself from
one seed to the next is the yardstick; no candidate is needed, and none may be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Recording
from lava_align.validation.endpoints import (
    KINDS,
    Absence,
    Endpoint,
    Forwards,
    MeasureSettings,
    average,
    distance,
    measure,
)
from lava_align.validation.shape import RunShape, shape_of
from lava_align.values import content_digest

SCHEMA = "lava-align-margins/1"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Smallest and largest margin of one kind of endpoint.

    Parameters
    ----------
    floor, cap : float
        0 <= floor <= cap, in the unit of the endpoint's distance.
    relative : bool
        True: both are fractions of the reference mean.
    """

    floor: float
    cap: float
    relative: bool = False


@dataclass(frozen=True, kw_only=True)
class MarginSettings:
    """How margins follow from the reference runs.

    A floor keeps a reference that hardly varies from failing a candidate over a difference that
    matters to nobody; a cap keeps one that varies wildly from passing everything.

    Parameters
    ----------
    kappa : float
        Margin over the quantile of the reference's own distances, > 0.
    quantile : float
        Quantile of those distances, 0 < q < 1.
    min_runs : int
        Reference runs needed for a verdict other than INCONCLUSIVE, at least 2.
    primary : tuple of str
        Kinds of endpoint that decide; the others are reported.
    measure : MeasureSettings
    rate, cv, correlation, rate_profile, weight_r, sign_agreement, angle, weight_pattern : Bounds
        Floor and cap of each kind.
    """

    # Half as much again as the reference strays from itself in 19 runs of 20. By simulation, an
    # equal run on its own input has a Gaussian endpoint outside in 3.1 % of comparisons with 10
    # reference runs, 1.8 % with 20, 0.9 % with 40.
    kappa: float = 1.5
    quantile: float = 0.95
    # With fewer, the 95th percentile is little more than the largest distance seen.
    min_runs: int = 10
    primary: tuple[str, ...] = KINDS
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    # 1 %: the step of a decay constant in 1/4096 at a time constant of 40 steps. 8 %: a gain error
    # of a tenth, the smallest planted fault, must stay outside however noisy the reference.
    rate: Bounds = Bounds(floor=0.01, cap=0.08, relative=True)
    # A dead time of 2 % of the mean interval takes 0.02 from a Poisson train; 0.2 is a fifth of
    # the way from a Poisson train (1) to a clock (0).
    cv: Bounds = Bounds(floor=0.02, cap=0.2)
    # Asynchronous networks lie near 0.01, so half of that is no change of regime; 0.05 is one.
    correlation: Bounds = Bounds(floor=0.005, cap=0.05)
    # 2 % of a neuron's rate, twice the floor of the mean since errors of neurons do not average
    # out. Beyond 30 % neurons are as good as exchanged when rates spread by a quarter.
    rate_profile: Bounds = Bounds(floor=0.02, cap=0.3)
    # 0.01 is what a good 8-bit form of STDWI loses against its float form; 0.02 to 0.04 lie between
    # the end values of STDWI and of spiking weight mirrors, so 0.05 is about another rule.
    weight_r: Bounds = Bounds(floor=0.01, cap=0.05)
    # One synapse of a hundred; the same two rules end 0.075 apart.
    sign_agreement: Bounds = Bounds(floor=0.01, cap=0.05)
    # The floor and cap of r expressed as angles, near r = 0.95: d(angle) = d(r) / sin(angle).
    angle: Bounds = Bounds(floor=2.0, cap=8.0)
    # 1 - r = 0.02 is noise of a fifth of the pattern's spread; at 0.2, r = 0.8, a third of the
    # variance is something else.
    weight_pattern: Bounds = Bounds(floor=0.02, cap=0.2)

    def __post_init__(self) -> None:
        problems = list(_settings_problems(self))
        if problems:
            raise InvalidInputError(problems)

    def bounds(self, kind: str) -> Bounds:
        """Floor and cap of a kind of endpoint."""
        bounds: Bounds = getattr(self, kind)
        return bounds

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MarginSettings:
        """Undo ``dataclasses.asdict``."""
        return cls(
            kappa=data["kappa"],
            quantile=data["quantile"],
            min_runs=data["min_runs"],
            primary=tuple(data["primary"]),
            measure=MeasureSettings(**data["measure"]),
            **{kind: Bounds(**data[kind]) for kind in KINDS},
        )


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The margin of one endpoint and what it rests on.

    Parameters
    ----------
    name, kind, unit : str
        The endpoint. Distances of vectors are dimensionless whatever the unit.
    margin : float or None
        Largest distance that is inside; None if fewer than two runs have the endpoint.
    distances : tuple of float
        Each run's distance from the mean of the others, in the order of the runs that have the
        endpoint.
    decided_by : str
        ``spread`` (kappa times the quantile), ``floor``, ``cap``, or why there is no margin.
    """

    name: str
    kind: str
    unit: str
    margin: float | None
    distances: tuple[float, ...]
    decided_by: str


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Margins of every endpoint, fixed before a candidate is read.

    Parameters
    ----------
    settings : MarginSettings
    shape : RunShape
        What a run must look like to be judged with these margins.
    n_runs : int
        Reference runs behind them.
    margins : tuple of Margin
        One per endpoint.
    """

    settings: MarginSettings
    shape: RunShape
    n_runs: int
    margins: tuple[Margin, ...]

    def digest(self) -> str:
        """SHA-256 (hex) of the content."""
        return content_digest(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and finite numbers, fit for JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Margins:
        """Undo :meth:`to_dict`, also after a way through JSON.

        Raises
        ------
        InvalidInputError
            If ``data`` is not such a dictionary.
        """
        try:
            if data["schema"] != SCHEMA:
                raise ValueError(f"schema {data['schema']!r}")
            return cls(
                settings=MarginSettings.from_dict(data["settings"]),
                shape=RunShape.from_dict(data["shape"]),
                n_runs=int(data["n_runs"]),
                margins=tuple(
                    Margin(**{**entry, "distances": tuple(entry["distances"])})
                    for entry in data["margins"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(Problem("margins", repr(error), f"a {SCHEMA} value")) from error


def derive_margins(
    reference_runs: Sequence[Recording],
    forwards: Forwards,
    settings: MarginSettings | None = None,
) -> Margins:
    """Derive the margin of every endpoint from reference runs that differ by their seed.

    ``margin = clip(kappa * q95(d), floor, cap)``, where ``d`` are the distances of each run from
    the mean of the others.

    Parameters
    ----------
    reference_runs : sequence of Recording
        At least one; a verdict needs ``settings.min_runs``.
    forwards : mapping
        Plastic projection name to forward weights, shape (n_pre, n_post) of the projection.
    settings : MarginSettings, optional

    Returns
    -------
    Margins
        With an entry for every endpoint, also for those no run has.

    Raises
    ------
    InvalidInputError
        If there is no run, or the runs do not fit each other or ``forwards``.
    """
    settings = settings or MarginSettings()
    if not reference_runs:
        raise InvalidInputError(Problem("reference runs", "none", f">= {settings.min_runs} runs"))
    shape = shape_of(reference_runs)
    by_name: dict[str, list[Endpoint]] = {}
    for recording in reference_runs:
        for endpoint in measure(recording, forwards, settings.measure):
            by_name.setdefault(endpoint.name, []).append(endpoint)
    margins = tuple(_margin(runs, settings) for runs in by_name.values())
    return Margins(settings=settings, shape=shape, n_runs=len(reference_runs), margins=margins)


def _margin(runs: Sequence[Endpoint], settings: MarginSettings) -> Margin:
    first = runs[0]
    existing = [e for e in runs if e.absence is None]
    distances, margin = _leave_one_out(existing), None
    if distances:
        bounds = settings.bounds(first.kind)
        scale = abs(float(average(existing).values[0])) if bounds.relative else 1.0
        spread = settings.kappa * float(np.quantile(distances, settings.quantile))
        margin = float(np.clip(spread, bounds.floor * scale, bounds.cap * scale))
        decided_by = "spread" if margin == spread else "floor" if margin > spread else "cap"
    else:
        absences = sorted({e.absence.value for e in runs if e.absence is not None})
        detail = f" ({', '.join(absences)})" if absences else ""
        decided_by = f"exists in {len(existing)} of {len(runs)} reference runs{detail}"
    return Margin(
        name=first.name,
        kind=first.kind,
        unit=first.unit,
        margin=margin,
        distances=distances,
        decided_by=decided_by,
    )


def _leave_one_out(runs: Sequence[Endpoint]) -> tuple[float, ...]:
    """Distance of each run from the mean of the others; empty with fewer than two runs."""
    if len(runs) < 2:
        return ()
    means = [average([*runs[:i], *runs[i + 1 :]]) for i in range(len(runs))]
    # A mean without a pattern is as far away as an unrelated one.
    return tuple(
        1.0 if mean.absence is Absence.CONSTANT else distance(run, mean)
        for run, mean in zip(runs, means, strict=True)
    )


def _settings_problems(settings: MarginSettings) -> list[Problem]:
    found = []
    if not settings.kappa > 0:
        found.append(Problem("kappa", str(settings.kappa), "> 0"))
    if not 0 < settings.quantile < 1:
        found.append(Problem("quantile", str(settings.quantile), "0 < q < 1"))
    if settings.min_runs < 2:
        found.append(Problem("min_runs", str(settings.min_runs), "at least 2"))
    unknown = [kind for kind in settings.primary if kind not in KINDS]
    if unknown or not settings.primary:
        known = f"one or more of: {', '.join(KINDS)}"
        found.append(Problem("primary", ", ".join(unknown) or "none", known))
    for kind in KINDS:
        bounds = settings.bounds(kind)
        if not 0 <= bounds.floor <= bounds.cap:
            found.append(
                Problem(kind, f"floor {bounds.floor}, cap {bounds.cap}", "0 <= floor <= cap")
            )
    return found
