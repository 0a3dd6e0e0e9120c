"""Spikes of the units of an NWB file, through PyNWB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_align.errors import InvalidInputError, LavaAlignError, MissingDependencyError, Problem
from lava_align.files import require_file
from lava_align.formats.spike_files import SpikeFile, SpikeTimes

COLUMNS = ("population", "electrode_group")
"""Columns that name the population, if the caller names none; the first there is."""


def read_nwb(path: Path, by: str | None = None) -> SpikeFile:
    """Read the units table; units keep their order within a population.

    Times count from the session's reference time. Where the file has observation intervals, they
    say from when to when a population was recorded; gaps between them are not told apart from
    silence.

    Raises
    ------
    InvalidInputError
        If the file is missing or damaged, or has no units or no such column.
    MissingDependencyError
        If PyNWB is not installed.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise MissingDependencyError(
            f"NWB files are read with PyNWB ({error}): pip install 'lava_align[nwb]'"
        ) from error
    require_file(path, "an NWB file (*.nwb)")
    try:
        with NWBHDF5IO(str(path), "r") as io:
            return _spikes(io.read().units, path, by)
    except LavaAlignError:
        raise
    except Exception as error:  # a damaged file can make HDF5 and PyNWB raise anything
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInputError(
            Problem(str(path), f"unreadable or truncated ({detail})", "an NWB file (*.nwb)")
        ) from error


def _spikes(units: Any, path: Path, by: str | None) -> SpikeFile:
    columns = () if units is None else tuple(units.colnames)
    if "spike_times" not in columns:
        found = "no units" if units is None else f"units with {', '.join(columns)}"
        raise InvalidInputError(Problem(str(path), found, "a units table with spike_times"))
    column = by or next((name for name in COLUMNS if name in columns), None)
    if column is None or column not in columns:
        missing = f"no column '{by}'" if by else f"no column {' or '.join(COLUMNS)}"
        others = [name for name in columns if name not in ("spike_times", "obs_intervals")]
        allowed = f"name the column of the populations (--by), one of: {', '.join(others)}"
        raise InvalidInputError(Problem(f"{path}:units", missing, allowed))
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(units[column][:]):
        rows.setdefault(str(getattr(value, "name", value)), []).append(row)
    observed = "obs_intervals" in columns
    return SpikeFile(
        path=str(path),
        populations={name: _population(units, own, observed) for name, own in rows.items()},
    )


def _population(units: Any, rows: list[int], observed: bool) -> SpikeTimes:
    intervals = [units["obs_intervals"][row] for row in rows] if observed else []
    edges = [float(edge) for pairs in intervals for pair in pairs for edge in pair]
    return SpikeTimes.of_units(
        [units["spike_times"][row] for row in rows],
        start=min(edges, default=None),
        stop=max(edges, default=None),
    )
