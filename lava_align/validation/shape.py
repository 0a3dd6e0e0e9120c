"""The frame runs must share before their numbers may be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Recording, Spikes


@dataclass(frozen=True, kw_only=True)
class RunShape:
    """Time grid, populations and plastic projections of a set of runs.

    Parameters
    ----------
    dt : float
        Time step, seconds.
    n_steps : int
        Length in steps.
    populations : tuple of (name, size)
        Populations probed in at least one run.
    projections : tuple of (name, n_post, n_pre, last_step)
        Plastic projections with a snapshot in at least one run, and the step of the last one.
    not_probed : tuple of str
        Everything a run lists as not probed.
    """

    dt: float
    n_steps: int
    populations: tuple[tuple[str, int], ...]
    projections: tuple[tuple[str, int, int, int], ...]
    not_probed: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunShape:
        """Undo ``dataclasses.asdict`` after a way through JSON, which has no tuples."""
        return cls(
            dt=float(data["dt"]),
            n_steps=int(data["n_steps"]),
            populations=tuple((str(n), int(size)) for n, size in data["populations"]),
            projections=tuple(
                (str(n), int(post), int(pre), int(last))
                for n, post, pre, last in data["projections"]
            ),
            not_probed=tuple(str(n) for n in data["not_probed"]),
        )


def shape_of(recordings: Sequence[Recording]) -> RunShape:
    """Shape common to one or more runs.

    Raises
    ------
    InvalidInputError
        If the runs disagree with each other, with every disagreement.
    """
    populations: dict[str, int] = {}
    projections: dict[str, tuple[str, int, int, int]] = {}
    for recording in recordings:
        for name, spikes in _populations(recording):
            populations.setdefault(name, int(spikes.size))
        for entry in _snapshots(recording):
            projections.setdefault(entry[0], entry)
    shape = RunShape(
        dt=float(recordings[0].dt),
        n_steps=int(recordings[0].n_steps),
        populations=tuple(sorted(populations.items())),
        projections=tuple(sorted(projections.values())),
        not_probed=tuple(sorted({n for r in recordings for n in r.not_probed})),
    )
    problems = [
        problem
        for index, recording in enumerate(recordings)
        for problem in shape_problems(shape, recording, f"reference run {index}")
    ]
    if problems:
        raise InvalidInputError(problems)
    return shape


def _populations(recording: Recording) -> list[tuple[str, Spikes]]:
    """Populations with their spikes; events (``population.event``) are not compared."""
    return [(name, spikes) for name, spikes in recording.spikes.items() if "." not in name]


def shape_problems(shape: RunShape, recording: Recording, where: str) -> list[Problem]:
    """List what keeps ``recording`` from being compared with runs of ``shape``."""
    found = []
    if not math.isclose(recording.dt, shape.dt, rel_tol=1e-9):
        found.append(Problem(f"{where}: dt", f"{recording.dt} s", f"{shape.dt} s"))
    if recording.n_steps != shape.n_steps:
        found.append(Problem(f"{where}: n_steps", str(recording.n_steps), str(shape.n_steps)))
    expected = dict(shape.populations)
    for name, size in expected.items():
        if name not in recording.spikes and name not in recording.not_probed:
            allowed = f"'{name}' with {size} neurons, or listed as not probed"
            found.append(Problem(f"{where}: spikes", f"no population '{name}'", allowed))
    for name, spikes in _populations(recording):
        if name not in expected and name not in shape.not_probed:
            known = ", ".join(expected) or "none"
            found.append(Problem(f"{where}: spikes", f"population '{name}'", f"one of: {known}"))
        elif spikes.size != expected.get(name, spikes.size):
            allowed = f"{expected[name]} neurons"
            found.append(Problem(f"{where}: spikes.{name}", f"{spikes.size} neurons", allowed))
    known_projections = {entry[0]: entry for entry in shape.projections}
    for entry in _snapshots(recording):
        wanted = known_projections.get(entry[0], entry)
        if entry != wanted:
            found.append(
                Problem(f"{where}: weights.{entry[0]}", _describe(entry), _describe(wanted))
            )
    return found


def _snapshots(recording: Recording) -> list[tuple[str, int, int, int]]:
    return [
        (name, series.values.shape[1], series.values.shape[2], int(series.step[-1]))
        for name, series in recording.weights.items()
        # Weights that are no matrices are refused where they are compared with the forward ones.
        if len(series.step) and series.values.ndim == 3
    ]


def _describe(entry: tuple[str, int, int, int]) -> str:
    return f"{entry[1]} x {entry[2]} weights, last at step {entry[3]}"
