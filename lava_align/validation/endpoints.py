"""The quantities two systems are compared by, and the distance that belongs to each.

An endpoint is one number or one vector per run, because the run is the unit of replication: the
neurons of a run depend on each other. An endpoint that does not exist in a run is still there and
says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Recording, Series, Spikes
from lava_align.statistics.alignment import alignment, pearson
from lava_align.statistics.spikes import MIN_SPIKES, firing_rates, isi_cv, pairwise_correlation
from lava_align.values import ArrayValue, frozen_array

Array = np.ndarray[Any, Any]
Forwards = Mapping[str, ArrayLike]
"""Plastic projection name to the forward weights it mirrors, shape (n_pre, n_post) of it."""

UNITS = {
    "rate": "Hz",
    "cv": "1",
    "correlation": "1",
    "rate_profile": "Hz",
    "weight_r": "1",
    "sign_agreement": "1",
    "angle": "degree",
    "weight_pattern": "weight",
}
"""Unit of the values of each kind of endpoint."""

KINDS = tuple(UNITS)
"""Every kind of endpoint: four per population, then four per plastic projection."""

_POPULATION, _PROJECTION = KINDS[:4], KINDS[4:]
_VECTORS = {"rate_profile", "weight_pattern"}


class Absence(str, Enum):
    """Why an endpoint does not exist in a run."""

    SILENT = "silent"
    CONSTANT = "constant weights"
    TOO_FEW_SPIKES = "too few spikes"
    NOT_PROBED = "not probed"
    NO_SNAPSHOT = "no weight snapshot"
    NOT_FINITE = "NaN or infinite weights"

    @property
    def is_behaviour(self) -> bool:
        """True if the system was measured and shows this, rather than not having been measured."""
        return self in (Absence.SILENT, Absence.CONSTANT)


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint(ArrayValue):
    """One quantity of one run.

    Parameters
    ----------
    name : str
        ``<population or projection>.<kind>``.
    kind : str
        One of :data:`KINDS`.
    unit : str
        Unit of ``values``.
    values : ndarray of float64, shape (n,)
        One entry for a scalar, one per neuron or synapse for a vector; empty if absent.
    absence : Absence or None
        None if the endpoint exists.
    left_out : int
        Neurons that could not enter the mean (silent, or too few spikes).
    """

    name: str
    kind: str
    unit: str
    values: Array
    absence: Absence | None = None
    left_out: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values, np.float64))

    @property
    def scalar(self) -> float | None:
        """The value of a scalar endpoint; None for a vector or an absent one."""
        if self.absence is not None or self.kind in _VECTORS:
            return None
        return float(self.values[0])


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """How endpoints are measured; the same for reference and candidate.

    Parameters
    ----------
    warmup : float
        Time at the start that spike statistics leave out, seconds, >= 0.
    bin_width : float
        Bin of the pairwise correlation, seconds.
    max_neurons : int
        Neurons in the pairwise correlation at most.
    min_spikes : int
        Spikes a neuron needs for a coefficient of variation.
    """

    warmup: float = 0.0
    bin_width: float = 5e-3
    max_neurons: int = 100
    min_spikes: int = MIN_SPIKES


def measure(
    recording: Recording, forwards: Forwards, settings: MeasureSettings | None = None
) -> tuple[Endpoint, ...]:
    """Measure every endpoint of a run.

    Per population: ``rate`` (Hz, mean over neurons), ``cv`` (mean over neurons with enough
    spikes), ``correlation`` (mean over pairs; not for a population of one) and ``rate_profile``
    (Hz, one per neuron). Per plastic projection, at its last snapshot: ``weight_r``,
    ``sign_agreement`` and ``angle`` (degrees) to the transposed forward weights, and
    ``weight_pattern`` (the feedback weights).

    Parameters
    ----------
    recording : Recording
    forwards : mapping
        Plastic projection name to forward weights, shape (n_pre, n_post) of the projection.
    settings : MeasureSettings, optional

    Returns
    -------
    tuple of Endpoint
        In a fixed order. Populations and projections that were not probed are included.

    Raises
    ------
    InvalidInputError
        If a recorded projection has no forward weights or they do not fit, or the settings do
        not fit the run.
    """
    settings = settings or MeasureSettings()
    problems = list(_problems(recording, forwards, settings))
    if problems:
        raise InvalidInputError(problems)
    found: list[Endpoint] = []
    for name in population_names(recording, forwards):
        if name in recording.spikes:
            found += _of_population(name, recording.spikes[name], recording, settings)
        else:
            found += _absent(name, _POPULATION, Absence.NOT_PROBED)
    for name in sorted(forwards):
        if name in recording.weights:
            found += _of_projection(name, recording.weights[name], forwards[name])
        else:
            found += _absent(name, _PROJECTION, Absence.NOT_PROBED)
    return tuple(found)


def population_names(recording: Recording, forwards: Forwards) -> list[str]:
    """Names of the populations of a run, those it lists as not probed included."""
    # Events and states are listed as ``population.variable``, plastic projections by a name in
    # forwards. Events are what a rule's neurons report, and not judged.
    named = {*recording.spikes, *recording.not_probed}
    return sorted(n for n in named if "." not in n and n not in forwards)


def distance(a: Endpoint, reference: Endpoint) -> float:
    """Distance of two endpoints that exist, >= 0.

    Scalars: the absolute difference, in the endpoint's unit.

    ``rate_profile``: the root mean square difference over the root mean square rate of the
    reference. That scale is a relative error of a typical neuron, and positive for every active
    population; the spread over neurons would not do, as it vanishes when all fire alike.

    ``weight_pattern``: ``1 - r``, 0..2, because a chip holds weights in another unit.

    Raises
    ------
    InvalidInputError
        If the two are of different kind or length.
    """
    if a.kind != reference.kind or a.values.shape != reference.values.shape:
        found = f"{a.kind} {a.values.shape} and {reference.kind} {reference.values.shape}"
        raise InvalidInputError(Problem(a.name, found, "endpoints of one kind and length"))
    if a.kind == "weight_pattern":
        return 1 - pearson(a.values, reference.values)
    if a.kind == "rate_profile":
        return _rms(a.values - reference.values) / _rms(reference.values)
    return float(abs(a.values[0] - reference.values[0]))


def average(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Mean of the same existing endpoint over runs; its absence if the mean has none.

    Patterns that cancel leave constant weights, which have no correlation with anything.
    """
    first = endpoints[0]
    values = np.mean([e.values for e in endpoints], axis=0)
    absence = _pattern_absence(values) if first.kind == "weight_pattern" else None
    return Endpoint(
        name=first.name,
        kind=first.kind,
        unit=first.unit,
        values=values,
        absence=absence,
        left_out=max(e.left_out for e in endpoints),
    )


def _of_population(
    name: str, spikes: Spikes, recording: Recording, settings: MeasureSettings
) -> list[Endpoint]:
    start = _start_step(recording, settings)
    rates = firing_rates(spikes, dt=recording.dt, n_steps=recording.n_steps, start_step=start)
    silent = Absence.SILENT if not rates.any() else None
    cv = isi_cv(spikes, start_step=start, min_spikes=settings.min_spikes)
    defined = cv[~np.isnan(cv)]
    found = [
        _endpoint(name, "rate", rates.mean()),
        _endpoint(
            name,
            "cv",
            defined.mean() if defined.size else None,
            silent or (None if defined.size else Absence.TOO_FEW_SPIKES),
            left_out=spikes.size - defined.size,
        ),
        _endpoint(name, "rate_profile", rates, silent),
    ]
    if spikes.size > 1:
        pairs = pairwise_correlation(
            spikes,
            dt=recording.dt,
            n_steps=recording.n_steps,
            start_step=start,
            bin_width=settings.bin_width,
            max_neurons=settings.max_neurons,
        )
        absence = silent or (Absence.TOO_FEW_SPIKES if math.isnan(pairs.mean) else None)
        left_out = pairs.n_silent + pairs.n_constant
        found.insert(2, _endpoint(name, "correlation", pairs.mean, absence, left_out=left_out))
    return found


def _of_projection(name: str, series: Series, forward: ArrayLike) -> list[Endpoint]:
    if not len(series.values):
        return _absent(name, _PROJECTION, Absence.NO_SNAPSHOT)
    weights = np.asarray(series.values[-1], dtype=np.float64)
    if not np.isfinite(weights).all():
        return _absent(name, _PROJECTION, Absence.NOT_FINITE)
    found = alignment(forward, weights)
    return [
        _endpoint(name, "weight_r", found.r, _constant_if_nan(found.r)),
        _endpoint(name, "sign_agreement", found.sign_agreement),
        _endpoint(name, "angle", found.angle, _constant_if_nan(found.angle)),
        _endpoint(name, "weight_pattern", weights.ravel(), _pattern_absence(weights)),
    ]


def _endpoint(
    name: str, kind: str, values: Any, absence: Absence | None = None, *, left_out: int = 0
) -> Endpoint:
    return Endpoint(
        name=f"{name}.{kind}",
        kind=kind,
        unit=UNITS[kind],
        values=np.empty(0) if absence else np.atleast_1d(values),
        absence=absence,
        left_out=left_out,
    )


def _absent(name: str, kinds: Sequence[str], absence: Absence) -> list[Endpoint]:
    return [_endpoint(name, kind, None, absence) for kind in kinds]


def _constant_if_nan(value: float) -> Absence | None:
    return Absence.CONSTANT if math.isnan(value) else None


def _pattern_absence(weights: Array) -> Absence | None:
    return Absence.CONSTANT if weights.min() == weights.max() else None


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _start_step(recording: Recording, settings: MeasureSettings) -> int:
    return round(settings.warmup / recording.dt)


def _problems(recording: Recording, forwards: Forwards, settings: MeasureSettings) -> list[Problem]:
    found = []
    start, per_bin = _start_step(recording, settings), round(settings.bin_width / recording.dt)
    if per_bin < 1:
        allowed = f"at least a time step ({recording.dt} s)"
        found.append(Problem("bin_width", f"{settings.bin_width} s", allowed))
    elif start < 0 or recording.n_steps - start < 2 * per_bin:
        length = f"{settings.warmup} s of {recording.n_steps * recording.dt:g} s"
        allowed = f"a warm-up >= 0 that leaves two bins of {settings.bin_width} s"
        found.append(Problem("warmup", length, allowed))
    for name, series in recording.weights.items():
        if name not in forwards:
            allowed = "the forward weights of every recorded projection"
            found.append(Problem(f"forwards.{name}", "missing", allowed))
            continue
        expected, shape = series.values.shape[:0:-1], np.shape(forwards[name])
        if len(series.values) and shape != expected:
            allowed = f"{expected}, the transpose of the feedback weights"
            found.append(Problem(f"forwards.{name}", f"shape {shape}", allowed))
    return found
