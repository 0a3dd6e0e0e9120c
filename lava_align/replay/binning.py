"""Recorded spikes on a time grid.

A spike at time t goes to step ``floor((t - origin) / dt)``. A neuron has at most one spike in a
step, as on the chip: of several in one step one is kept, and the others are counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.formats.spike_files import SpikeFile, SpikeTimes
from lava_align.model.network import MAX_STEPS
from lava_align.model.units import format_time
from lava_align.recording import Spikes
from lava_align.values import ArrayValue

Array = np.ndarray[Any, Any]

EDGE = 1e-6
"""Share of a step by which a time may fall short of an edge and still count as on it.

Times on a grid are sums of rounded numbers: 0.003 / 0.001 is a hair below 3.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class BinnedSpikes(ArrayValue):
    """Spikes of some populations on one grid.

    Parameters
    ----------
    dt : float
        Seconds.
    n_steps : int
    spikes : mapping
        Population to spikes, at most one per neuron and step.
    shared : mapping
        Population to the number of spikes that were left out because their neuron had another
        one in the same step.
    notes : tuple of str
        What a user should know of how the spikes came onto the grid.
    """

    dt: float
    n_steps: int
    spikes: Mapping[str, Spikes]
    shared: Mapping[str, int]
    notes: tuple[str, ...] = ()


def grid_steps(times: Array, origin: float, dt: float) -> Array:
    """Step of each time; int64, negative before the origin (seconds)."""
    steps = np.floor((np.asarray(times, np.float64) - origin) / dt + EDGE)
    # Far beyond any run, and still an int64.
    return np.clip(steps, -(2.0**62), 2.0**62).astype(np.int64)


def bin_spikes(
    file: SpikeFile,
    names: Sequence[str],
    *,
    dt: float | None = None,
    start: float | None = None,
    n_steps: int | None = None,
) -> BinnedSpikes:
    """Put populations of a file on one grid.

    Parameters
    ----------
    names : sequence of str
        Populations.
    dt : float, optional
        Step, seconds. Needed unless the file has a grid of its own, and must be equal to that.
    start : float, optional
        Time in the file that becomes step 0, seconds. Default: when the file says observation
        began, else 0. Spikes before it are left out and counted.
    n_steps : int, optional
        Length. Default: to the end the file states, else to the last spike. Spikes after it are
        left out and counted.

    Raises
    ------
    InvalidInputError
        For unknown populations, a missing or contradicting ``dt``, and times that are NaN,
        infinite or, without ``start``, before the beginning; with every problem.
    """
    chosen = _chosen(file, names)
    step = _resolve_dt(file, dt)
    origin = _origin(chosen) if start is None else start
    problems = [
        p
        for name, found in chosen.items()
        for p in _time_problems(file, name, found, origin, start)
    ]
    if not (math.isfinite(step) and step > 0):
        problems.append(Problem("dt", f"{step} s", "a positive, finite time"))
    if n_steps is not None and not 1 <= n_steps <= MAX_STEPS:
        problems.append(Problem("steps", str(n_steps), f"1..{MAX_STEPS}"))
    if problems:
        raise InvalidInputError(problems)
    steps = {name: _steps(found, origin, step) for name, found in chosen.items()}
    length = n_steps or _length(file, chosen, steps, origin, step)
    spikes, shared, notes = {}, {}, [*file.notes, *_span_notes(chosen)]
    for name, found in chosen.items():
        inside = (steps[name] >= 0) & (steps[name] < length)
        cells = np.unique(steps[name][inside] * found.size + found.neuron[inside])
        spikes[name] = Spikes(step=cells // found.size, neuron=cells % found.size, size=found.size)
        shared[name] = int(inside.sum()) - len(cells)
        notes += _notes(name, steps[name], length, shared[name], spikes[name])
    return BinnedSpikes(dt=step, n_steps=length, spikes=spikes, shared=shared, notes=tuple(notes))


def _chosen(file: SpikeFile, names: Sequence[str]) -> dict[str, SpikeTimes | Spikes]:
    found = ", ".join(file.populations) or "none"
    problems = [
        Problem(file.path, f"no population '{name}'", f"one of: {found} (--pre, --post)")
        for name in names
        if name not in file.populations
    ]
    if problems:
        raise InvalidInputError(problems)
    return {name: file.populations[name] for name in names}


def _resolve_dt(file: SpikeFile, dt: float | None) -> float:
    if file.dt is None:
        if dt is None:
            raise InvalidInputError(
                Problem(file.path, "does not say the time step", 'give one, e.g. --dt "1 ms"')
            )
        return dt
    if dt is not None and not math.isclose(dt, file.dt, rel_tol=1e-9):
        allowed = f"{format_time(file.dt)}, the grid of {file.path}"
        raise InvalidInputError(Problem("dt", format_time(dt), allowed))
    return file.dt


def _origin(chosen: Mapping[str, SpikeTimes | Spikes]) -> float:
    """When observation began: 0 where one of the populations does not say."""
    starts = [getattr(found, "start", None) for found in chosen.values()]
    return min((0.0 if start is None else start for start in starts), default=0.0)


def _time_problems(
    file: SpikeFile, name: str, found: SpikeTimes | Spikes, origin: float, start: float | None
) -> Iterator[Problem]:
    if isinstance(found, Spikes):
        return
    where = f"{file.path}:{name}"
    broken = ~np.isfinite(found.times)
    if broken.any():
        unit = found.neuron[broken][0]
        value = f"{broken.sum()} times are NaN or infinite, such as one of unit {unit}"
        yield Problem(where, value, "finite seconds")
    early = found.times < (origin if found.start is None else min(found.start, origin))
    if start is None and early.any():
        value = (
            f"{early.sum()} spikes before {origin:g} s, the first at {found.times[early].min():g} s"
        )
        yield Problem(where, value, "times from there on, or an earlier --start")
    if found.stop is not None and (late := found.times > found.stop).any():
        value = f"{late.sum()} spikes after {found.stop:g} s, where the file says it ends"
        yield Problem(where, value, "times up to there")


def _steps(found: SpikeTimes | Spikes, origin: float, dt: float) -> Array:
    if isinstance(found, Spikes):
        return found.step - round(origin / dt)
    return grid_steps(found.times, origin, dt)


def _length(
    file: SpikeFile,
    chosen: Mapping[str, SpikeTimes | Spikes],
    steps: Mapping[str, Array],
    origin: float,
    dt: float,
) -> int:
    """Steps to the end that the file states, or to the last spike."""
    if file.n_steps is not None:
        ends = [file.n_steps - round(origin / dt)]
    else:
        stops = [stop for f in chosen.values() if (stop := getattr(f, "stop", None)) is not None]
        ends = [math.ceil((stop - origin) / dt - EDGE) for stop in stops]
        # A spike at the very end has a step of its own.
        ends += [int(found.max(initial=-1)) + 1 for found in steps.values()]
    longest = max(ends)
    if not 1 <= longest <= MAX_STEPS:
        found = f"{longest} steps of {format_time(dt)} from {origin:g} s on"
        raise InvalidInputError(Problem(file.path, found, f"1..{MAX_STEPS} steps"))
    return longest


def _span_notes(chosen: Mapping[str, SpikeTimes | Spikes]) -> Iterator[str]:
    spans = {
        name: (found.start, found.stop)
        for name, found in chosen.items()
        if isinstance(found, SpikeTimes) and found.start is not None and found.stop is not None
    }
    if len(set(spans.values())) > 1:
        parts = [f"{name} {start:g} to {stop:g} s" for name, (start, stop) in spans.items()]
        yield f"observed over different times: {', '.join(parts)}; silence is assumed elsewhere"


def _notes(name: str, steps: Array, n_steps: int, shared: int, spikes: Spikes) -> Iterator[str]:
    for count, where in (
        ((steps < 0).sum(), "before the start"),
        ((steps >= n_steps).sum(), "after the end"),
    ):
        if count:
            yield f"{name}: {count} spikes {where} are left out"
    if shared:
        yield (
            f"{name}: {shared} of {shared + len(spikes)} spikes share a step with another one of "
            "their neuron and are left out; a smaller dt keeps more"
        )
    silent = int((spikes.counts() == 0).sum())
    if silent:
        yield f"{name}: {silent} of {spikes.size} neurons have no spikes"
