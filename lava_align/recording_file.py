"""The recording's HDF5 file: written in one piece or as a run goes on, and read back.

``spikes`` and ``stimuli`` hold a group per population (``step``, ``neuron``, attribute ``size``,
and ``value`` if its spikes carry one), ``weights`` and ``states`` one per series (``step``,
``values``); the attribute ``header`` is JSON, and ``digest`` that of the
:class:`~lava_align.recording.Recording` in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.values import ArrayBlocks, Fields, content_digest

if TYPE_CHECKING:
    from lava_align.recording import Recording

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-recording/1"

EVENT_GROUPS = ("spikes", "stimuli")
SERIES_GROUPS = ("weights", "states")
COLUMNS = {
    **dict.fromkeys(EVENT_GROUPS, ("step", "neuron")),
    **dict.fromkeys(SERIES_GROUPS, ("step", "values")),
}
OPTIONAL_COLUMN = "value"
"""Of events; absent where they carry nothing, and from files older than it."""
CHUNK_BYTES = 2**19
# Level 1 packs spikes nearly as well as 4 in a third of the time.
GZIP_LEVEL = 1


class RecordingWriter:
    """Writes consecutive stretches of one run.

    Parameters
    ----------
    file : h5py.File
        Open for writing, empty.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        for group in COLUMNS:
            file.create_group(group)

    def append(self, stretch: Recording) -> None:
        """Add what was recorded after the last stretch."""
        for group, columns in COLUMNS.items():
            for name, data in getattr(stretch, group).items():
                node = self._file.require_group(f"{group}/{name}")
                if group in EVENT_GROUPS:
                    node.attrs["size"] = data.size
                for column in columns:
                    _append(node, column, getattr(data, column))
                if group in EVENT_GROUPS and data.value is not None:
                    _append(node, OPTIONAL_COLUMN, data.value)

    def finish(self, whole: Recording) -> None:
        """Write the header from ``whole``, whose arrays are not looked at, and the digest."""
        header = {
            "schema": SCHEMA,
            "backend": whole.backend,
            "dt": whole.dt,
            "n_steps": whole.n_steps,
            "not_probed": list(whole.not_probed),
            "provenance": dict(whole.provenance),
        }
        self._file.attrs["header"] = json.dumps(header, sort_keys=True, default=_plain)
        self._file.attrs["digest"] = file_digest(self._file)


def _append(node: Any, name: str, values: Array) -> None:
    if name not in node:
        row = max(values.dtype.itemsize * int(np.prod(values.shape[1:])), 1)
        # Chunked storage cannot hold a zero-sized dimension; nor is there anything to compress.
        chunked = {
            "chunks": (max(1, CHUNK_BYTES // row), *values.shape[1:]),
            "maxshape": (None, *values.shape[1:]),
            "compression": "gzip",
            "compression_opts": GZIP_LEVEL,
            "shuffle": True,
        }
        node.create_dataset(name, data=values, **(chunked if 0 not in values.shape[1:] else {}))
    elif len(values):
        dataset = node[name]
        before = len(dataset)
        dataset.resize(before + len(values), axis=0)
        dataset[before:] = values


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"provenance holds a {type(value).__name__}; use strings and numbers")


def read_header(file: Any) -> dict[str, Any]:
    """Read the header.

    Raises
    ------
    ValueError
        If it is of another format.
    """
    header: dict[str, Any] = json.loads(file.attrs["header"])
    if header["schema"] != SCHEMA:
        raise ValueError(f"schema {header['schema']!r}")
    return header


def file_digest(file: Any) -> str:
    """Digest of the recording in an open file, which need not fit into memory."""
    header = read_header(file)
    groups: dict[str, dict[str, Fields]] = {}
    for group, columns in COLUMNS.items():
        kind = "Spikes" if group in EVENT_GROUPS else "Series"
        groups[group] = {}
        for name, node in file[group].items():
            values: dict[str, Any] = {column: _blocks(node[column]) for column in columns}
            if group in EVENT_GROUPS:
                values["size"] = int(node.attrs["size"])
                if OPTIONAL_COLUMN in node:
                    values[OPTIONAL_COLUMN] = _blocks(node[OPTIONAL_COLUMN])
            groups[group][name] = Fields(kind, values)
    return content_digest(
        Fields(
            "Recording",
            {
                "backend": str(header["backend"]),
                "dt": float(header["dt"]),
                "n_steps": int(header["n_steps"]),
                **{group: groups[group] for group in ("spikes", "weights", "states", "stimuli")},
                "not_probed": tuple(header["not_probed"]),
                "provenance": header["provenance"],
            },
        )
    )


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What there is to say of a recording without reading all of it.

    Parameters
    ----------
    backend : str
    dt : float
        Seconds.
    n_steps : int
    spikes : mapping
        Population to (number of neurons, number of spikes).
    weights : mapping
        Plastic projection to its weights at the last snapshot, shape (n_post, n_pre).
    """

    backend: str
    dt: float
    n_steps: int
    spikes: Mapping[str, tuple[int, int]]
    weights: Mapping[str, Array]


def read_overview(path: Path) -> Overview:
    """Look into a recording's file, which need not fit into memory."""
    import h5py

    with h5py.File(path, "r") as file:
        header = read_header(file)
        return Overview(
            backend=str(header["backend"]),
            dt=float(header["dt"]),
            n_steps=int(header["n_steps"]),
            spikes={
                name: (int(node.attrs["size"]), len(node["step"]))
                for name, node in file["spikes"].items()
            },
            weights={
                name: node["values"][-1]
                for name, node in file["weights"].items()
                if len(node["step"])
            },
        )


def _blocks(dataset: Any) -> ArrayBlocks:
    rows = dataset.chunks[0] if dataset.chunks else max(len(dataset), 1)

    def blocks() -> Iterator[Array]:
        for start in range(0, len(dataset), rows):
            yield dataset[start : start + rows]

    return ArrayBlocks(dataset.dtype, dataset.shape, blocks)
