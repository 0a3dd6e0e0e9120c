"""The deployable bundle: a program with the proof attached, in one file.

Members: ``program/`` (the Program's folder), ``checks.json``, ``quantities.json``,
``placement.json``, ``verdict.json``, ``margins.json``, ``golden/`` (input spikes, and the spikes
and weights that must come out) and ``manifest.json`` with the SHA-256 of every other member. Bytes
are reproducible: no member holds a time, a path or a host.

:func:`verify_bundle` believes nothing of this: it recomputes every hash, rebuilds the program,
re-runs every check from the integers and replays the golden run. What it cannot do is tell who
wrote the bundle: it holds no signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_align._version import __version__
from lava_align.backends.base import Backend, Probes
from lava_align.compiler.checks import check, overall, raise_violations
from lava_align.compiler.folder import (
    MANIFEST,
    canonical_json,
    npy_array,
    npy_bytes,
    program_files,
    program_from_files,
)
from lava_align.compiler.place import place
from lava_align.compiler.program import Program
from lava_align.errors import (
    IntegrityError,
    InvalidInputError,
    MissingDependencyError,
    Problem,
)
from lava_align.files import atomic_path
from lava_align.formats.archive import read_zip, zip_bytes
from lava_align.recording import Recording, Spikes
from lava_align.targets import HardwareTarget, available_targets, load_target
from lava_align.validation import Verdict

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-bundle/1"
# A self-test, not an experiment: whoever verifies a bundle must not be kept busy by it.
MAX_GOLDEN_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What :func:`verify_bundle` found.

    Parameters
    ----------
    target, verdict, program_digest : str
    forced : bool
        Whether the bundle was written although the verdict was not EQUIVALENT.
    limits : str
        The overall line of the re-run checks.
    golden : str
        What the replay showed, or why it could not be run.
    golden_steps : int
    """

    target: str
    verdict: str
    program_digest: str
    forced: bool
    limits: str
    golden: str
    golden_steps: int


def write_bundle(
    path: str | Path,
    program: Program,
    documents: Mapping[str, Any],
    golden: Recording,
    *,
    target: HardwareTarget,
    verdict: str,
    forced: bool,
) -> Path:
    """Write a bundle.

    Parameters
    ----------
    documents : mapping
        Name (without ``.json``) to JSON-plain content, stored beside the program.
    golden : Recording
        A run of the program from the start, with weights after its last step.
    verdict : str
        EQUIVALENT, DIFFERENT or INCONCLUSIVE.
    forced : bool
        Recorded in the manifest.

    Raises
    ------
    InvalidInputError
        If the golden run is too long or leaves out what a replay must show.
    """
    _require_golden(golden, program)
    files = {f"program/{name}": data for name, data in program_files(program).items()}
    files |= {f"{name}.json": canonical_json(content) for name, content in documents.items()}
    files |= _golden_files(golden)
    manifest = {
        "schema": SCHEMA,
        "tool": f"lava_align {__version__}",
        "target": target.id,
        "target_sha256": target.sha256,
        "program_digest": program.digest(),
        "golden_steps": golden.n_steps,
        "golden_backend": golden.backend,
        "verdict": verdict,
        "forced": forced,
        "files": {name: _fingerprint(data) for name, data in files.items()},
    }
    path = Path(path)
    with atomic_path(path) as partial:
        partial.write_bytes(zip_bytes({**files, MANIFEST: canonical_json(manifest)}))
    return path


def verify_bundle(
    path: str | Path, target: HardwareTarget | None = None, backend: Backend | None = None
) -> Verification:
    """Check a bundle from its bytes alone.

    Parameters
    ----------
    target : HardwareTarget, optional
        Check for this target; default is the one the bundle names, as this installation knows it.
    backend : Backend, optional
        Replays the golden run; None leaves it out and says so.

    Raises
    ------
    IntegrityError
        If a byte was changed, a member is missing or the golden run gives other spikes or weights.
    ConstraintViolationError
        If the program breaks a limit of the target.
    """
    path = Path(path)
    files = read_zip(path)
    manifest = _manifest(files, path)
    _check_hashes(files, manifest, path)
    _check_verdict(files, manifest, path)
    program = program_from_files(
        {
            name.removeprefix("program/"): data
            for name, data in files.items()
            if name.startswith("program/")
        },
        f"{path}:program",
    )
    target = _target(manifest, program, target, path)
    checks = check(program, target)
    raise_violations(checks)
    place(program, target)
    golden = _read_golden(files, program, manifest["golden_steps"], path)
    return Verification(
        target=target.id,
        verdict=manifest["verdict"],
        program_digest=program.digest(),
        forced=manifest["forced"],
        limits=overall(checks),
        golden=_replay(golden, program, backend, path),
        golden_steps=golden.steps,
    )


def _require_golden(golden: Recording, program: Program) -> None:
    problems = []
    if not 1 <= golden.n_steps <= min(MAX_GOLDEN_STEPS, program.n_steps):
        allowed = f"1..{min(MAX_GOLDEN_STEPS, program.n_steps)}"
        problems.append(Problem("golden run", f"{golden.n_steps} steps", allowed))
    for kind, names, found in (
        ("input spikes", {g.name for g in program.inputs}, set(golden.stimuli)),
        ("spikes", {g.name for g in program.neurons}, set(golden.spikes)),
        ("weights", set(program.projections()), set(golden.weights)),
    ):
        if names != found:
            listed = ", ".join(sorted(found)) or "none"
            needed = ", ".join(sorted(names)) or "none"
            problems.append(Problem(f"golden run, {kind}", listed, needed))
    if problems:
        raise InvalidInputError(problems)


def _golden_files(golden: Recording) -> dict[str, bytes]:
    files = {}
    for kind, group in (("input", golden.stimuli), ("spikes", golden.spikes)):
        for name, spikes in group.items():
            rows = [spikes.step, spikes.neuron, *([] if spikes.value is None else [spikes.value])]
            events = np.stack([row.astype(np.int64) for row in rows])
            files[f"golden/{kind}/{name}.npy"] = npy_bytes(events)
    for name, series in golden.weights.items():
        files[f"golden/weights/{name}.npy"] = npy_bytes(series.values[-1].astype(np.int16))
    return files


_MANIFEST_KINDS = {
    "schema": str,
    "tool": str,
    "target": str,
    "target_sha256": str,
    "program_digest": str,
    "golden_steps": int,
    "golden_backend": str,
    "verdict": str,
    "forced": bool,
    "files": dict,
}


def _manifest(files: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(files[MANIFEST])
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"schema {manifest['schema']!r}")
        for key, kind in _MANIFEST_KINDS.items():
            if type(manifest[key]) is not kind:
                raise ValueError(f"{key} is not a {kind.__name__}")
        if canonical_json(manifest) != files[MANIFEST] or len(manifest) > len(_MANIFEST_KINDS):
            raise ValueError("not as this package writes it")
        return dict(manifest)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(
            Problem(f"{path}:{MANIFEST}", f"missing or unreadable ({error!r})", f"a {SCHEMA} file")
        ) from error


def _check_hashes(files: Mapping[str, bytes], manifest: Mapping[str, Any], path: Path) -> None:
    listed = manifest["files"]
    problems = [
        Problem(f"{path}:{name}", "not in the manifest", "an untouched bundle")
        for name in files
        if name != MANIFEST and name not in listed
    ]
    for name, entry in listed.items():
        if name not in files:
            problems.append(Problem(f"{path}:{name}", "missing", "an untouched bundle"))
        elif entry != _fingerprint(files[name]):
            problems.append(Problem(f"{path}:{name}", "changed", "an untouched bundle"))
    if problems:
        raise IntegrityError(problems)


def _fingerprint(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _check_verdict(files: Mapping[str, bytes], manifest: Mapping[str, Any], path: Path) -> None:
    """Hold the verdict in the manifest against the one the statistics beside it give."""
    where = f"{path}:verdict.json"
    if "verdict.json" not in files:
        raise IntegrityError(Problem(where, "missing", "an untouched bundle"))
    try:
        outcome = Verdict.from_dict(json.loads(files["verdict.json"])).outcome.value
    except (ValueError, RecursionError, InvalidInputError) as error:
        raise IntegrityError(Problem(where, f"no verdict ({error})", "a verdict")) from error
    if outcome != manifest["verdict"]:
        found = f"{outcome}, the manifest says {manifest['verdict']}"
        raise IntegrityError(Problem(where, found, "one verdict"))


def _target(
    manifest: Mapping[str, Any], program: Program, target: HardwareTarget | None, path: Path
) -> HardwareTarget:
    if program.digest() != manifest["program_digest"] or program.target != manifest["target"]:
        raise IntegrityError(
            Problem(f"{path}:{MANIFEST}", "names another program or target", "an untouched bundle")
        )
    if target is None and program.target not in available_targets():
        # The name comes from the bundle; as a path it could bring its own limits along.
        raise InvalidInputError(
            Problem(str(path), f"target {program.target!r:.60} is not known here", "give its file")
        )
    if target is None:
        return load_target(program.target)
    if target.id != program.target:
        raise InvalidInputError(
            Problem(str(path), f"compiled for {program.target}", f"a bundle for {target.id}")
        )
    return target


@dataclass(frozen=True, kw_only=True)
class _Golden:
    """A golden run: what goes in and what must come out."""

    steps: int
    inputs: Mapping[str, Spikes]
    spikes: Mapping[str, Spikes]
    weights: Mapping[str, Array]


def _read_golden(files: Mapping[str, bytes], program: Program, steps: int, path: Path) -> _Golden:
    limit = min(MAX_GOLDEN_STEPS, program.n_steps)
    if not 1 <= steps <= limit:
        raise IntegrityError(Problem(f"{path}:{MANIFEST}", f"golden_steps {steps}", f"1..{limit}"))
    reader = _GoldenReader(files, steps, path)
    shapes = {s.name: s.weights.shape for s in program.plastic()}
    golden = _Golden(
        steps=steps,
        inputs={
            g.name: reader.spikes(f"input/{g.name}", g.size, graded=g.graded)
            for g in program.inputs
        },
        spikes={g.name: reader.spikes(f"spikes/{g.name}", g.size) for g in program.neurons},
        weights={
            name: reader.weights(f"weights/{name}", shapes[planes[0]])
            for name, planes in program.projections().items()
        },
    )
    extra = {name for name in files if name.startswith("golden/")} - reader.seen
    if extra:
        raise IntegrityError(
            Problem(f"{path}:{name}", "belongs to no group of the program", "an untouched bundle")
            for name in sorted(extra)
        )
    return golden


class _GoldenReader:
    """Reads golden members, remembers which."""

    def __init__(self, files: Mapping[str, bytes], steps: int, path: Path) -> None:
        self.files, self.steps, self.path = files, steps, path
        self.seen: set[str] = set()

    def spikes(self, name: str, size: int, graded: bool = False) -> Spikes:
        events = self._array(name)
        rows = (2, 3) if graded else (2,)
        if events.ndim != 2 or len(events) not in rows or events.dtype != np.int64:
            raise self._error(name, "not spikes")
        step, neuron, *value = events
        inside = (step >= 0) & (step < self.steps) & (neuron >= 0) & (neuron < size)
        if not (inside.all() and (np.diff(step * size + neuron) > 0).all()):
            raise self._error(name, "spikes out of range or order")
        if value and not ((value[0] != 0) & (np.abs(value[0]) < 2**31)).all():
            raise self._error(name, "values out of range")
        return Spikes(step=step, neuron=neuron, size=size, value=value[0] if value else None)

    def weights(self, name: str, shape: tuple[int, ...]) -> Array:
        weights = self._array(name)
        if weights.shape != shape or weights.dtype != np.int16:
            raise self._error(name, f"{weights.dtype} of shape {weights.shape}")
        return weights

    def _array(self, name: str) -> Array:
        member = f"golden/{name}.npy"
        self.seen.add(member)
        try:
            return npy_array(self.files[member])
        except (KeyError, ValueError) as error:
            raise self._error(name, f"missing or unreadable ({error})") from error

    def _error(self, name: str, found: str) -> IntegrityError:
        return IntegrityError(Problem(f"{self.path}:golden/{name}.npy", found, "a golden run"))


def _replay(golden: _Golden, program: Program, backend: Backend | None, path: Path) -> str:
    if backend is None:
        return "not replayed: no backend that runs programs"
    probes = Probes(weight_steps=(golden.steps,))
    try:
        run = backend.run(program, golden.inputs, golden.steps, probes)
    except MissingDependencyError as error:
        return f"not replayed: {error}"
    problems = [
        Problem(f"{path}:golden", f"spikes of {name} differ", "the same spikes")
        for name, spikes in golden.spikes.items()
        if run.spikes.get(name) != spikes
    ]
    problems += [
        Problem(f"{path}:golden", f"weights of {name} differ", "the same weights")
        for name, weights in golden.weights.items()
        if name not in run.weights or not np.array_equal(run.weights[name].values[-1], weights)
    ]
    if problems:
        raise IntegrityError(problems)
    return f"replayed on {run.backend}: spikes and weights equal"
