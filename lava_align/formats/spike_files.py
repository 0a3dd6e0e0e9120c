"""Recorded spikes of several populations from a file, whichever tool wrote it.

=============  =====================================================================================
file           populations
=============  =====================================================================================
``*.h5``       those of a :class:`~lava_align.recording.Recording`, and its stimuli
``*.npz``      ``NAME.neuron`` with ``NAME.times`` (s) or ``NAME.step``, and ``NAME.size``; see
               :func:`read_npz`
``*.nwb``      units by a column of the units table; see :mod:`lava_align.formats.nwb_file`
other          spike trains of whatever Neo reads; see :mod:`lava_align.formats.neo_file`
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, Problem
from lava_align.model.sources import load_numpy, numeric
from lava_align.recording import Recording, Spikes
from lava_align.values import ArrayValue, frozen_array

Array = np.ndarray[Any, Any]

NPZ = "arrays NAME.neuron and NAME.times (s) or NAME.step for each population NAME"


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikeTimes(ArrayValue):
    """Spikes of one population in continuous time, in any order.

    Parameters
    ----------
    times : ndarray of float64, shape (n_spikes,)
        Seconds.
    neuron : ndarray of int64, shape (n_spikes,)
        0..size - 1.
    size : int
        Number of neurons, silent ones included.
    start, stop : float or None
        The time, seconds, in which spikes were looked for; None where the file does not say.
    """

    times: Array
    neuron: Array
    size: int
    start: float | None = None
    stop: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", frozen_array(self.times, np.float64))
        object.__setattr__(self, "neuron", frozen_array(self.neuron, np.int64))

    @classmethod
    def of_units(
        cls, trains: Sequence[Any], start: float | None = None, stop: float | None = None
    ) -> SpikeTimes:
        """Join one array of times per unit."""
        counts = [len(train) for train in trains]
        return cls(
            times=np.concatenate([np.zeros(0), *(np.asarray(train, float) for train in trains)]),
            neuron=np.repeat(np.arange(len(trains)), counts),
            size=len(trains),
            start=start,
            stop=stop,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikeFile(ArrayValue):
    """What a file holds.

    Parameters
    ----------
    path : str
    populations : mapping
        Name to spikes, in continuous time or on the grid of the file.
    dt : float or None
        Step of the file's grid, seconds; None if it does not say.
    n_steps : int or None
        Length of the grid; None if it does not say.
    notes : tuple of str
        What a user should know of how the file was read.
    """

    path: str
    populations: Mapping[str, SpikeTimes | Spikes]
    dt: float | None = None
    n_steps: int | None = None
    notes: tuple[str, ...] = ()


def read_spikes(
    path: str | Path, *, by: str | None = None, segment: int | None = None
) -> SpikeFile:
    """Read a file of spikes; its ending says what it is.

    Parameters
    ----------
    by : str, optional
        Column of an NWB file's units, or annotation of a Neo file's spike trains, that names the
        population. Default: the first there is of those the reader knows.
    segment : int, optional
        Which segment (trial) of a Neo file; needed if several hold spikes.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged, or not what its ending says.
    MissingDependencyError
        If the library that reads it is not installed.
    """
    path = Path(path)
    if path.suffix == ".h5":
        return read_recording(path)
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".nwb":
        from lava_align.formats.nwb_file import read_nwb

        return read_nwb(path, by)
    from lava_align.formats.neo_file import read_neo

    return read_neo(path, by, segment)


def read_recording(path: Path) -> SpikeFile:
    """Read the populations and stimuli of a recording."""
    recording = Recording.load(path)
    return SpikeFile(
        path=str(path),
        populations={**recording.stimuli, **recording.spikes},
        dt=recording.dt,
        n_steps=recording.n_steps,
    )


def read_npz(path: Path) -> SpikeFile:
    """Read an ``.npz`` file.

    For every population NAME it holds ``NAME.neuron`` (whole numbers from 0), either
    ``NAME.times`` (seconds) or ``NAME.step`` (whole numbers from 0), and ``NAME.size``, the number
    of neurons; without it, the largest index counts. Optional scalars: ``dt`` (seconds), the step
    of the grid, and ``n_steps``, its length.

    Raises
    ------
    InvalidInputError
        With everything that is wrong with the file.
    """
    arrays = load_numpy(path, NPZ)
    if not isinstance(arrays, dict):
        raise InvalidInputError(Problem(str(path), "a single array", NPZ))
    problems: list[Problem] = []
    populations, notes = {}, []
    scalars = {name: _scalar(arrays, name, path, problems) for name in ("dt", "n_steps")}
    names = dict.fromkeys(key.rpartition(".")[0] for key in arrays if "." in key)
    for name in names:
        parts = {
            key.rpartition(".")[2]: numeric(array, path, NPZ)
            for key, array in arrays.items()
            if key.rpartition(".")[0] == name
        }
        if "size" not in parts:
            notes.append(f"{name}: no {name}.size in the file; the largest index counts")
        made = _npz_population(f"{path}:{name}", parts, problems)
        if made is not None:
            populations[name] = made
    if not names:
        problems.append(Problem(str(path), f"its arrays are: {', '.join(arrays) or 'none'}", NPZ))
    if problems:
        raise InvalidInputError(problems)
    n_steps = scalars["n_steps"]
    return SpikeFile(
        path=str(path),
        populations=populations,
        dt=scalars["dt"],
        n_steps=None if n_steps is None else int(n_steps),
        notes=tuple(notes),
    )


def _scalar(
    arrays: Mapping[str, Array], name: str, path: Path, problems: list[Problem]
) -> float | None:
    if name not in arrays:
        return None
    value = numeric(arrays[name], path, NPZ)
    if value.size != 1 or not (np.isfinite(value).all() and (value > 0).all()):
        problems.append(Problem(f"{path}:{name}", str(value), "one positive number"))
        return None
    return float(value.item())


def _npz_population(
    where: str, parts: Mapping[str, Array], problems: list[Problem]
) -> SpikeTimes | Spikes | None:
    kinds = [kind for kind in ("times", "step") if kind in parts]
    if len(kinds) != 1 or "neuron" not in parts:
        problems.append(Problem(where, f"has {', '.join(sorted(parts))}", NPZ))
        return None
    when, neuron = parts[kinds[0]], parts["neuron"]
    if when.ndim != 1 or when.shape != neuron.shape:
        shapes = f"{kinds[0]} {when.shape}, neuron {neuron.shape}"
        problems.append(Problem(where, shapes, "two one-dimensional arrays of equal length"))
        return None
    if not _whole(neuron) or (kinds[0] == "step" and not _whole(when)):
        problems.append(Problem(where, "fractions", "neuron and step are whole numbers"))
        return None
    size = parts.get("size", np.array(neuron.max(initial=0) + 1))
    if size.size != 1 or not _whole(size) or not 1 <= size.item() < 2**31:
        problems.append(Problem(f"{where}.size", str(size), "one whole number, at least 1"))
        return None
    count = int(size.item())
    outside = (neuron < 0) | (neuron >= count)
    if outside.any():
        found = f"{outside.sum()} indices outside, such as {neuron[outside][0]}"
        problems.append(Problem(f"{where}.neuron", found, f"0..{count - 1}"))
        return None
    if kinds[0] == "times":
        return SpikeTimes(times=when, neuron=neuron, size=count)
    if (when < 0).any() or (when >= 2**62).any():
        problems.append(Problem(f"{where}.step", f"{when.min()}..{when.max()}", "steps from 0 on"))
        return None
    return Spikes(step=when.astype(np.int64), neuron=neuron.astype(np.int64), size=count)


def _whole(values: Array) -> bool:
    return bool((np.isfinite(values) & (values == np.round(values))).all())
