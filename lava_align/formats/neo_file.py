"""Spike trains of whatever Neo reads: NIX, Matlab, and the formats of recording systems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lava_align.errors import InvalidInputError, LavaAlignError, MissingDependencyError, Problem
from lava_align.formats.spike_files import SpikeFile, SpikeTimes

ANNOTATION = "population"
"""Annotation that names the population, if the caller names none."""

PICKLES = (".pkl", ".pickle")


def read_neo(path: Path, by: str | None = None, segment: int | None = None) -> SpikeFile:
    """Read the spike trains of one segment; trains keep their order within a population.

    A train belongs to the population that its annotation ``by`` names. Without ``by`` it is the
    annotation ``population``, else the group the train is in, else, where the file has several
    blocks, the block.

    Parameters
    ----------
    segment : int, optional
        Index of the segment among those with spike trains, in each block; needed if there are
        several.

    Raises
    ------
    InvalidInputError
        If Neo cannot read the file, or nothing says which train is of which population. Pickled
        files are refused, since reading one runs the code in it.
    MissingDependencyError
        If Neo is not installed.
    """
    try:
        import neo
    except ImportError as error:
        raise MissingDependencyError(
            f"files like {path.name} are read with Neo ({error}): pip install 'lava_align[neo]'"
        ) from error
    if path.suffix in PICKLES:
        found, allowed = "a pickled file can run any code when it is read", "save it as NIX (.nix)"
        raise InvalidInputError(Problem(str(path), found, allowed))
    if not path.exists():
        raise InvalidInputError(Problem(str(path), "no such file", "a file that Neo reads"))
    try:
        blocks = _blocks(neo.io, path)
        return _spikes(blocks, path, by, segment)
    except LavaAlignError:
        raise
    except Exception as error:  # readers of damaged files can raise anything
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        allowed = "*.rec.h5, *.npz, *.nwb, or a file that Neo reads, such as *.nix"
        raise InvalidInputError(Problem(str(path), f"unreadable ({detail})", allowed)) from error


def _blocks(io: Any, path: Path) -> list[Any]:
    """All blocks, from the first of Neo's readers that can read the file."""
    readers = [reader for reader in io.list_candidate_ios(path) if reader is not io.PickleIO]
    failure: Exception = ValueError("no reader for it")
    for reader in readers:
        try:
            # By default Neo opens NIX files for writing.
            opened = reader(str(path), **({"mode": "ro"} if reader is io.NixIO else {}))
            try:
                return list(opened.read())
            finally:
                getattr(opened, "close", lambda: None)()
        except Exception as error:  # the next reader may fare better
            failure = error
    raise failure


def _spikes(blocks: list[Any], path: Path, by: str | None, segment: int | None) -> SpikeFile:
    units: dict[str, list[Any]] = {}
    unnamed = []
    for block in blocks:
        for train, groups in _trains(block, path, segment):
            name = _population(train, groups, block.name if len(blocks) > 1 else None, by)
            if name is None:
                unnamed.append(train)
            else:
                units.setdefault(name, []).append(train)
    if not units:
        known = sorted({key for train in unnamed for key in train.annotations})
        found = f"{len(unnamed)} spike trains without a population"
        allowed = f"name their annotation (--by), one of: {', '.join(known) or 'none there'}"
        raise InvalidInputError(Problem(str(path), found, allowed))
    notes = [f"{len(unnamed)} spike trains without a population are left out"] if unnamed else []
    return SpikeFile(
        path=str(path),
        populations={name: _joined(trains) for name, trains in units.items()},
        notes=tuple(notes),
    )


def _trains(block: Any, path: Path, segment: int | None) -> Iterator[tuple[Any, list[str]]]:
    """Spike trains of one segment of a block, each with the names of the groups it is in."""
    filled = [part for part in block.segments if len(part.spiketrains)]
    if not filled:
        return
    if (segment is None and len(filled) > 1) or not 0 <= (segment or 0) < len(filled):
        found = f"{len(filled)} segments with spikes in block '{block.name or ''}'"
        allowed = f"choose one of them (--segment), 0..{len(filled) - 1}"
        raise InvalidInputError(Problem(str(path), found, allowed))
    for train in filled[segment or 0].spiketrains:
        yield train, [g.name for g in block.groups if any(t is train for t in g.spiketrains)]


def _population(train: Any, groups: list[str], block: str | None, by: str | None) -> str | None:
    annotated = train.annotations.get(by or ANNOTATION)
    if annotated is not None:
        return str(annotated)
    return None if by else next((name for name in (*groups, block) if name), None)


def _joined(trains: list[Any]) -> SpikeTimes:
    return SpikeTimes.of_units(
        [train.rescale("s").magnitude for train in trains],
        start=min(float(train.t_start.rescale("s")) for train in trains),
        stop=max(float(train.t_stop.rescale("s")) for train in trains),
    )
