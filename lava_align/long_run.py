"""Runs that are too long to hold in memory, or too dear to lose.

While ``x.rec.h5`` is being made, the folder ``x.rec.h5.run`` holds it in whole files: ``run.json``
says which run it is, ``segment-*.rec.h5`` are consecutive stretches of the recording, and
``checkpoint.npz`` is the engine's state after the last of them, random streams included. Every
file is written beside and then renamed, so that the folder is sound whenever the run ends; a
resumed run continues to the same integers as one that was never interrupted. At the end the
segments become one file, and the folder goes.
"""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.backends.base import Probes, ProgressCallback
from lava_align.backends.common import check_run
from lava_align.backends.native import NativeBackend, partial, run_bytes
from lava_align.compiler.program import Program
from lava_align.engine.base import Engine
from lava_align.errors import InterruptedRunError, InvalidInputError, Problem
from lava_align.files import atomic_path, require_place
from lava_align.interrupt import deferred_interrupt
from lava_align.memory import require_memory
from lava_align.recording import Recording
from lava_align.recording_file import RecordingWriter
from lava_align.spike_stream import SpikeStream

SCHEMA = "lava-align-run/1"
SEGMENT_BYTES = 2**25
"""A stretch of the recording of about this size goes to disk."""


@dataclass(frozen=True, kw_only=True)
class LongRun:
    """What is run, and how.

    Parameters
    ----------
    program : Program
    n_steps : int
    probes : Probes
    backend : NativeBackend
    origin : mapping
        Strings and numbers that say where inputs and program come from (seed, hashes); they go
        into the recording's provenance, and a run is only resumed with the same.
    """

    program: Program
    n_steps: int
    probes: Probes = field(default_factory=Probes)
    backend: NativeBackend = field(default_factory=NativeBackend)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Everything that decides the recording; JSON-plain. The number of threads does not."""
        backend, probes = self.backend, self.probes
        return {
            "schema": SCHEMA,
            "program": self.program.digest(),
            "n_steps": self.n_steps,
            "semantics": backend.semantics,
            "rounding_seed": backend.seed,
            "spikes": None if probes.spikes is None else list(probes.spikes),
            "weight_steps": [int(step) for step in probes.weight_steps],
            "states": list(probes.states),
            "origin": dict(self.origin),
        }


def run_to_file(
    run: LongRun,
    inputs: Mapping[str, SpikeStream],
    path: str | Path,
    *,
    checkpoint_every: float | None = None,
    resume: bool = False,
    restart: bool = False,
    progress: ProgressCallback | None = None,
) -> Path:
    """Run a program and write its recording, in memory that does not grow with the run.

    Parameters
    ----------
    inputs : mapping
        Input group to spikes from step 0 on, the same for a resumed run.
    path : path
        Of the recording, ``*.rec.h5``.
    checkpoint_every : float, optional
        Seconds of wall time between checkpoints. Without, they are only taken when a stretch of
        the recording goes to disk and on Ctrl-C.
    resume : bool
        Go on from the checkpoint of a run that did not come to its end.
    restart : bool
        Begin anew although there is such a checkpoint.

    Raises
    ------
    InvalidInputError
        If inputs, probes or steps do not fit the program, the run not the memory, or the
        checkpoint not the run.
    InterruptedRunError
        On Ctrl-C; ``path`` then holds what was recorded, marked ``partial``.
    """
    path = Path(path)
    require_place(path)
    check_run(run.program, inputs, run.n_steps, run.probes)
    require_memory("run", run_bytes(run.program, Probes(), 0), "a smaller network")
    folder = RunFolder(path.with_name(f"{path.name}.run"))
    engine = run.backend.engine(run.program)
    if resume:
        folder.resume(run, engine)
    else:
        folder.begin(run, restart)
    try:
        with deferred_interrupt() as interrupt:
            last = time.monotonic()
            for stretch in run.backend.stretches(engine, inputs, run.n_steps, run.probes):
                folder.pending.append(replace(stretch, provenance=_provenance(run, stretch)))
                due = checkpoint_every is not None and time.monotonic() - last >= checkpoint_every
                if due or folder.pending_bytes() > SEGMENT_BYTES:
                    folder.checkpoint(run, engine)
                    last = time.monotonic()
                if progress is not None:
                    progress(stretch.n_steps, run.n_steps)
                interrupt.check()
    except KeyboardInterrupt:
        if not engine.step:
            raise
        folder.checkpoint(run, engine)
        folder.write(path, finished=False)
        raise InterruptedRunError(
            f"interrupted after {engine.step} of {run.n_steps} steps; {path} holds what was"
            f" recorded; run again with --resume to go on"
        ) from None
    folder.write(path, finished=True)
    folder.remove()
    return path


def _provenance(run: LongRun, stretch: Recording) -> dict[str, Any]:
    return {**stretch.provenance, **run.origin}


class RunFolder:
    """A run on its way, and its files.

    Parameters
    ----------
    path : Path
        Of the folder, which need not exist: short runs never make it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pending: list[Recording] = []
        """Stretches that are in memory only."""
        self._segments = 0

    def begin(self, run: LongRun, restart: bool) -> None:
        """Begin at step 0.

        Raises
        ------
        InvalidInputError
            If there is an unfinished run and nobody said that it may go.
        """
        if self.path.exists() and not restart:
            raise InvalidInputError(
                Problem(str(self.path), f"holds {self._progress()}", "--resume or --restart")
            )
        self.remove()

    def _progress(self) -> str:
        try:
            done, whole = int(self._load()["step"]), self._identity()["n_steps"]
        except (InvalidInputError, KeyError):
            return "an unfinished run"
        return f"a run at step {done} of {whole}"

    def resume(self, run: LongRun, engine: Engine) -> None:
        """Load the checkpoint into the engine.

        Raises
        ------
        InvalidInputError
            If there is none, or one of another run.
        """
        if not self.path.is_dir():
            raise InvalidInputError(
                Problem(str(self.path), "there is no unfinished run", "leave --resume out")
            )
        found, asked = self._identity(), json.loads(json.dumps(run.identity()))
        problems = [
            Problem(f"{self.path}: {key}", _short(found.get(key)), f"{_short(asked[key])}, as now")
            for key in asked
            if found.get(key) != asked[key]
        ]
        if problems:
            raise InvalidInputError(problems)
        state = self._load()
        self._segments = int(state.pop("segments"))
        engine.restore(state)

    def pending_bytes(self) -> int:
        """Size of what is in memory only."""
        return sum(
            array.nbytes
            for stretch in self.pending
            for kind in ("spikes", "stimuli", "weights", "states")
            for data in getattr(stretch, kind).values()
            for array in vars(data).values()
            if isinstance(array, np.ndarray)
        )

    def checkpoint(self, run: LongRun, engine: Engine) -> None:
        """Put what is pending on disk, and the engine's state with it."""
        if not self.pending:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._segments:
            with atomic_path(self.path / "run.json") as temporary:
                temporary.write_text(json.dumps(run.identity(), indent=1))
        Recording.joined(self.pending).save(self._segment(self._segments))
        state = {**engine.state(), "segments": np.array(self._segments + 1)}
        with atomic_path(self.path / "checkpoint.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]
        self._segments += 1
        self.pending.clear()

    def write(self, path: Path, *, finished: bool) -> None:
        """Put everything together in one file."""
        import h5py

        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            writer = RecordingWriter(file)
            last: Recording | None = None
            for stretch in self._stretches():
                writer.append(stretch)
                last = stretch
            if last is None:
                raise ValueError("nothing was run")
            writer.finish(last if finished else partial(last))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _stretches(self) -> Iterator[Recording]:
        for index in range(self._segments):
            yield Recording.load(self._segment(index))
        if self.pending:
            yield Recording.joined(self.pending)

    def _segment(self, index: int) -> Path:
        return self.path / f"segment-{index:06}.rec.h5"

    def _identity(self) -> dict[str, Any]:
        return dict(self._read("run.json", lambda file: json.loads(file.read_text())))

    def _load(self) -> dict[str, Any]:
        def arrays(file: Path) -> dict[str, Any]:
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}

        return self._read("checkpoint.npz", arrays)

    def _read(self, name: str, read: Any) -> dict[str, Any]:
        try:
            return dict(read(self.path / name))
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise InvalidInputError(
                Problem(str(self.path / name), f"missing or unreadable ({error})", "--restart")
            ) from error


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
