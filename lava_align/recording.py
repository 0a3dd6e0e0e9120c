"""What a run leaves behind: one type for every backend, and its file.

Time is counted in steps from 0; a spike in step ``n`` happened at ``n * dt``. A weight snapshot
at step ``n`` holds the weights after ``n`` whole steps, so step 0 is the initial state. Spikes are
``int64`` steps and ``int32`` neurons; weights, states and the values of spikes are ``int32`` from
an integer backend and ``float64`` from the others.

Events of neurons other than spikes are kept as spikes of ``population.event``.

What was not probed is said so: a population that is absent from ``spikes`` was not recorded,
which is not the same as one that did not spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import IntegrityError, InvalidInputError, Problem
from lava_align.files import atomic_path, require_file
from lava_align.recording_file import SCHEMA, RecordingWriter, read_header
from lava_align.values import ADDED, ArrayValue, frozen_array

Array = np.ndarray[Any, Any]


def _integers(values: Any, dtype: Any) -> Array:
    """Convert without the silent truncation and wrap-around of NumPy's own conversion."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"values of {array.dtype} where whole numbers are wanted")
    limits = np.iinfo(dtype)
    if array.size and not limits.min <= int(array.min()) <= int(array.max()) <= limits.max:
        raise ValueError(f"values do not fit {limits.dtype}")
    return array.astype(dtype)


def _numbers(values: Any) -> Array:
    """Integers as int32, other numbers as float64."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return _integers(array, np.int32)
    if array.dtype.kind != "f":
        raise ValueError(f"values of {array.dtype} are not numbers")
    return array.astype(np.float64)


def _in_order(step: Array, neuron: Array) -> bool:
    later = step[1:] > step[:-1]
    return bool((later | ((step[1:] == step[:-1]) & (neuron[1:] >= neuron[:-1]))).all())


def _require_graded(step: Array, neuron: Array, value: Array) -> None:
    if (value == 0).any():
        raise ValueError("a graded spike carries 0")
    if ((step[1:] == step[:-1]) & (neuron[1:] == neuron[:-1])).any():
        raise ValueError("two graded spikes of a neuron in one step")


@dataclass(frozen=True, kw_only=True, eq=False)
class Spikes(ArrayValue):
    """Spikes of one population, sorted by step and then neuron.

    Parameters
    ----------
    step : ndarray of int64, shape (n_spikes,)
    neuron : ndarray of int32, shape (n_spikes,)
    size : int
        Number of neurons, silent ones included.
    value : ndarray of int32 or float64, shape (n_spikes,), or None
        What each carries: the payload of a graded spike, never 0, or a real number that was noted
        with an event.

    Raises
    ------
    ValueError
        If the arrays are not numbers, do not fit their types or differ in length, or if a graded
        spike carries 0 or comes twice.
    """

    step: Array
    neuron: Array
    size: int
    value: Array | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        step = _integers(self.step, np.int64)
        neuron = _integers(self.neuron, np.int32)
        value = None if self.value is None else _numbers(self.value)
        if step.ndim != 1 or step.shape != neuron.shape:
            raise ValueError(f"steps {step.shape} and neurons {neuron.shape} do not pair up")
        if value is not None and value.shape != step.shape:
            raise ValueError(f"steps {step.shape} and values {value.shape} do not pair up")
        if not _in_order(step, neuron):
            order = np.lexsort((neuron, step))
            step, neuron = step[order], neuron[order]
            value = None if value is None else value[order]
        if value is not None:
            if value.dtype.kind == "i":
                _require_graded(step, neuron, value)
            object.__setattr__(self, "value", frozen_array(value, value.dtype))
        object.__setattr__(self, "size", int(self.size))
        object.__setattr__(self, "step", frozen_array(step, np.int64))
        object.__setattr__(self, "neuron", frozen_array(neuron, np.int32))

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def from_raster(cls, raster: Array) -> Spikes:
        """Make spikes from a boolean raster of shape (n_steps, size)."""
        step, neuron = np.nonzero(raster)
        return cls(step=step, neuron=neuron, size=raster.shape[1])

    @classmethod
    def joined(cls, parts: Sequence[Spikes]) -> Spikes:
        """Put parts of one train together; at least one.

        Raises
        ------
        ValueError
            If only some of them carry values.
        """
        if len(parts) == 1:
            return parts[0]
        values = [part.value for part in parts if part.value is not None]
        if values and len(values) < len(parts):
            raise ValueError("some parts carry values and others do not")
        return cls(
            value=np.concatenate(values) if values else None,
            step=np.concatenate([part.step for part in parts]),
            neuron=np.concatenate([part.neuron for part in parts]),
            size=parts[0].size,
        )

    @classmethod
    def from_values(cls, values: Array) -> Spikes:
        """Make graded spikes from integers of shape (n_steps, size); 0 is no spike."""
        step, neuron = np.nonzero(values)
        return cls(step=step, neuron=neuron, size=values.shape[1], value=values[step, neuron])

    @property
    def graded(self) -> bool:
        """Whether spikes carry values."""
        return self.value is not None

    def part(self, first: int, last: int) -> Spikes:
        """Spikes number ``first`` to ``last - 1``."""
        return Spikes(
            step=self.step[first:last],
            neuron=self.neuron[first:last],
            size=self.size,
            value=None if self.value is None else self.value[first:last],
        )

    def raster(self, n_steps: int) -> Array:
        """Boolean raster of shape (n_steps, size)."""
        out = np.zeros((n_steps, self.size), dtype=bool)
        out[self.step, self.neuron] = True
        return out

    def counts(self) -> Array:
        """Number of spikes of each neuron, shape (size,)."""
        return np.bincount(self.neuron, minlength=self.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Series(ArrayValue):
    """An array observed at chosen steps.

    Parameters
    ----------
    step : ndarray of int64, shape (n,)
    values : ndarray of int32 or float64, shape (n, ...)

    Raises
    ------
    ValueError
        If the arrays are not numbers, do not fit their types or differ in length.
    """

    step: Array
    values: Array

    def __post_init__(self) -> None:
        values = _numbers(self.values)
        step = _integers(self.step, np.int64)
        if step.ndim != 1 or values.shape[:1] != step.shape:
            raise ValueError(f"{step.shape} steps, {values.shape} values: one array per step")
        object.__setattr__(self, "step", frozen_array(step, np.int64))
        object.__setattr__(self, "values", frozen_array(values, values.dtype))

    @classmethod
    def joined(cls, parts: Sequence[Series]) -> Series:
        """Put consecutive parts together; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            step=np.concatenate([part.step for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording(ArrayValue):
    """Everything a run recorded.

    Parameters
    ----------
    backend : str
        Name of the backend, e.g. ``lava-fixed_pt`` or ``brian2``.
    dt : float
        Time step, seconds.
    n_steps : int
        Length of the run.
    spikes : mapping
        Population name to :class:`Spikes`.
    weights : mapping
        Plastic projection name to :class:`Series` of shape (n, n_post, n_pre).
    states : mapping
        ``population.variable`` to :class:`Series` of shape (n, size).
    stimuli : mapping
        Stimulus name to the :class:`Spikes` that were fed in, with values if graded.
    not_probed : tuple of str
        Populations, projections and states that exist but were not recorded.
    provenance : mapping
        Strings and numbers that say where the run came from (seed, versions, hashes).
    """

    backend: str
    dt: float
    n_steps: int
    spikes: Mapping[str, Spikes]
    weights: Mapping[str, Series] = field(default_factory=dict)
    states: Mapping[str, Series] = field(default_factory=dict)
    stimuli: Mapping[str, Spikes] = field(default_factory=dict)
    not_probed: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dt", float(self.dt))
        object.__setattr__(self, "n_steps", int(self.n_steps))
        object.__setattr__(self, "not_probed", tuple(self.not_probed))

    @classmethod
    def joined(cls, stretches: Sequence[Recording]) -> Recording:
        """Put consecutive stretches of one run together; at least one. Its header is the last's."""
        last = stretches[-1]

        def together(kind: str, join: Callable[[list[Any]], Any]) -> dict[str, Any]:
            names = dict.fromkeys(name for s in stretches for name in getattr(s, kind))
            return {
                name: join([getattr(s, kind)[name] for s in stretches if name in getattr(s, kind)])
                for name in names
            }

        return replace(
            last,
            spikes=together("spikes", Spikes.joined),
            stimuli=together("stimuli", Spikes.joined),
            weights=together("weights", Series.joined),
            states=together("states", Series.joined),
        )

    def save(self, path: str | Path) -> Path:
        """Write an HDF5 file; an interrupted write leaves nothing under ``path``."""
        import h5py

        with atomic_path(Path(path)) as partial, h5py.File(partial, "w") as file:
            writer = RecordingWriter(file)
            writer.append(self)
            writer.finish(self)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file written by :meth:`save`, or by another tool in the same format.

        Raises
        ------
        InvalidInputError
            If the file is missing, truncated, not HDF5, not a recording, or inconsistent.
        IntegrityError
            If the content is not what the digest in the file says; a file may come without one.
        """
        import h5py

        path = Path(path)
        allowed = f"a {SCHEMA} file (*.rec.h5)"
        require_file(path, allowed)
        try:
            with h5py.File(path, "r") as file:
                recording = _read(file)
                digest = file.attrs.get("digest")
        except Exception as error:  # a damaged file can make HDF5 raise anything
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidInputError(
                Problem(str(path), f"unreadable or truncated ({detail})", allowed)
            ) from error
        problems = list(_problems(recording, str(path)))
        if problems:
            raise InvalidInputError(problems)
        if digest is not None and digest != recording.digest():
            raise IntegrityError(
                Problem(str(path), "content and digest disagree", "an untouched recording")
            )
        return recording


def _read(file: Any) -> Recording:
    header = read_header(file)
    spikes, stimuli = (_read_spikes(file[group]) for group in ("spikes", "stimuli"))
    weights, states = (_read_series(file[group]) for group in ("weights", "states"))
    return Recording(
        backend=str(header["backend"]),
        dt=float(header["dt"]),
        n_steps=int(header["n_steps"]),
        spikes=spikes,
        weights=weights,
        states=states,
        stimuli=stimuli,
        not_probed=tuple(header["not_probed"]),
        provenance=header["provenance"],
    )


def _read_spikes(group: Any) -> dict[str, Spikes]:
    return {
        name: Spikes(
            step=node["step"][()],
            neuron=node["neuron"][()],
            size=int(node.attrs["size"]),
            value=node["value"][()] if "value" in node else None,
        )
        for name, node in group.items()
    }


def _read_series(group: Any) -> dict[str, Series]:
    return {
        name: Series(step=node["step"][()], values=node["values"][()])
        for name, node in group.items()
    }


def _problems(recording: Recording, where: str) -> Iterator[Problem]:
    """Yield what contradicts itself; types and lengths were checked by the types."""
    if not (0 < recording.dt < math.inf):
        yield Problem(f"{where}:dt", f"{recording.dt} s", "a positive, finite time")
    if recording.n_steps < 1:
        yield Problem(f"{where}:n_steps", str(recording.n_steps), "at least 1")
        return
    for group in ("spikes", "stimuli"):
        for name, spikes in getattr(recording, group).items():
            yield from _spike_problems(spikes, recording.n_steps, f"{where}:{group}/{name}")
    for group, n_dimensions in (("weights", 3), ("states", 2)):
        for name, series in getattr(recording, group).items():
            place = f"{where}:{group}/{name}"
            if series.values.ndim != n_dimensions:
                shape = "(n, n_post, n_pre)" if group == "weights" else "(n, size)"
                yield Problem(place, f"shape {series.values.shape}", shape)
            if not np.isfinite(series.values).all():
                yield Problem(place, "NaN or infinite values", "finite numbers")
            inside = (series.step >= 0) & (series.step <= recording.n_steps)
            if not inside.all() or (np.diff(series.step) <= 0).any():
                yield Problem(place, "steps", f"ascending, within 0..{recording.n_steps}")


def _spike_problems(spikes: Spikes, n_steps: int, where: str) -> Iterator[Problem]:
    if spikes.size < 1:
        yield Problem(where, f"size {spikes.size}", "at least 1 neuron")
    if not len(spikes):
        return
    for key, limit in (("neuron", spikes.size), ("step", n_steps)):
        values = getattr(spikes, key)
        bad = values[(values < 0) | (values >= limit)]
        if bad.size:
            yield Problem(where, f"{key} {bad[0]} is out of range", f"0..{limit - 1}")
    if spikes.value is not None and not np.isfinite(spikes.value).all():
        yield Problem(where, "NaN or infinite values", "finite numbers")
    twice = (np.diff(spikes.step) == 0) & (np.diff(spikes.neuron) == 0)
    if twice.any():
        at = int(np.argmax(twice))
        value = f"neuron {spikes.neuron[at]} spikes twice in step {spikes.step[at]}"
        yield Problem(where, value, "at most one spike per neuron and step")
