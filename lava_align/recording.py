"""What a run leaves behind: one type for every backend, and its file.

Time is counted in steps from 0; a spike in step ``n`` happened at ``n * dt``. A weight snapshot
at step ``n`` holds the weights after ``n`` whole steps, so step 0 is the initial state. Spikes are
``int64`` steps and ``int32`` neurons; weights and states are ``int32`` from an integer backend and
``float64`` from the others.

What was not probed is said so: a population that is absent from ``spikes`` was not recorded,
which is not the same as one that did not spike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.files import atomic_path
from lava_align.values import ArrayValue, frozen_array

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-recording/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Spikes(ArrayValue):
    """Spikes of one population, sorted by step and then neuron.

    Parameters
    ----------
    step : ndarray of int64, shape (n_spikes,)
    neuron : ndarray of int32, shape (n_spikes,)
    size : int
        Number of neurons, silent ones included.
    """

    step: Array
    neuron: Array
    size: int

    def __post_init__(self) -> None:
        step = np.asarray(self.step, dtype=np.int64)
        neuron = np.asarray(self.neuron, dtype=np.int32)
        order = np.lexsort((neuron, step))
        object.__setattr__(self, "step", frozen_array(step[order], np.int64))
        object.__setattr__(self, "neuron", frozen_array(neuron[order], np.int32))

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def from_raster(cls, raster: Array) -> Spikes:
        """Make spikes from a boolean raster of shape (n_steps, size)."""
        step, neuron = np.nonzero(raster)
        return cls(step=step, neuron=neuron, size=raster.shape[1])

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
    """

    step: Array
    values: Array

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        dtype = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float64
        object.__setattr__(self, "step", frozen_array(self.step, np.int64))
        object.__setattr__(self, "values", frozen_array(values, dtype))


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
        Stimulus name to the :class:`Spikes` that were fed in.
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

    def save(self, path: str | Path) -> Path:
        """Write an HDF5 file; an interrupted write leaves nothing under ``path``."""
        import h5py

        with atomic_path(Path(path)) as partial, h5py.File(partial, "w") as file:
            header = {
                "schema": SCHEMA,
                "backend": self.backend,
                "dt": self.dt,
                "n_steps": self.n_steps,
                "not_probed": list(self.not_probed),
                "provenance": dict(self.provenance),
            }
            file.attrs["header"] = json.dumps(header, sort_keys=True)
            for group in ("spikes", "stimuli"):
                file.create_group(group)
                for name, spikes in getattr(self, group).items():
                    node = file.create_group(f"{group}/{name}")
                    node.attrs["size"] = spikes.size
                    _write(node, "step", spikes.step)
                    _write(node, "neuron", spikes.neuron)
            for group in ("weights", "states"):
                file.create_group(group)
                for name, series in getattr(self, group).items():
                    node = file.create_group(f"{group}/{name}")
                    _write(node, "step", series.step)
                    _write(node, "values", series.values)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InvalidInputError
            If the file is missing, truncated, not HDF5, not a recording, or inconsistent.
        """
        import h5py

        path = Path(path)
        if not path.is_file():
            raise InvalidInputError(Problem(str(path), "no such file", "a recording (*.rec.h5)"))
        try:
            with h5py.File(path, "r") as file:
                recording = _read(file)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidInputError(
                Problem(str(path), f"unreadable or truncated ({detail})", f"a {SCHEMA} file")
            ) from error
        problems = list(_problems(recording, str(path)))
        if problems:
            raise InvalidInputError(problems)
        return recording


def _write(node: Any, name: str, values: Array) -> None:
    # Chunked storage cannot hold a zero-sized dimension; nor is there anything to compress then.
    compression = "gzip" if values.size else None
    node.create_dataset(name, data=values, compression=compression, shuffle=bool(values.size))


def _read(file: Any) -> Recording:
    header = json.loads(file.attrs["header"])
    if header["schema"] != SCHEMA:
        raise ValueError(f"schema {header['schema']!r}")
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
        name: Spikes(step=node["step"][()], neuron=node["neuron"][()], size=int(node.attrs["size"]))
        for name, node in group.items()
    }


def _read_series(group: Any) -> dict[str, Series]:
    return {
        name: Series(step=node["step"][()], values=node["values"][()])
        for name, node in group.items()
    }


def _problems(recording: Recording, where: str) -> list[Problem]:
    problems = []
    if not (recording.dt > 0 and recording.n_steps >= 1):
        problems.append(Problem(where, f"dt {recording.dt}, n_steps {recording.n_steps}", "> 0"))
    for group in ("spikes", "stimuli"):
        for name, spikes in getattr(recording, group).items():
            place = f"{where}:{group}/{name}"
            if len(spikes) and not (spikes.neuron.min() >= 0 and spikes.neuron.max() < spikes.size):
                problems.append(Problem(place, "neuron out of range", f"0..{spikes.size - 1}"))
            if len(spikes) and not (
                spikes.step.min() >= 0 and spikes.step.max() < recording.n_steps
            ):
                problems.append(Problem(place, "step out of range", f"0..{recording.n_steps - 1}"))
    for group in ("weights", "states"):
        for name, series in getattr(recording, group).items():
            place = f"{where}:{group}/{name}"
            if len(series.step) != len(series.values):
                lengths = f"{len(series.step)} steps, {len(series.values)} values"
                problems.append(Problem(place, lengths, "as many values as steps"))
            if not np.isfinite(series.values).all():
                problems.append(Problem(place, "NaN or infinite values", "finite numbers"))
    return problems
