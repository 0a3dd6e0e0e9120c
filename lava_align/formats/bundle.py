"""The deployable bundle: a program with the proof attached, in one file.

Members: ``program/`` (the Program's folder), ``checks.json``, ``quantities.json``,
``placement.json``, ``verdict.json``, ``margins.json``, ``golden/`` (input spikes, and the spikes
and weights that must come out) and ``manifest.json`` with the SHA-256 of every other member. Bytes
are reproducible: no member holds a time, a path or a host.

:func:`verify_bundle` believes nothing of this: it recomputes every hash, rebuilds the program,
re-runs every check from the integers and replays the golden run.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_align._version import __version__
from lava_align.backends.base import Backend, Probes
from lava_align.compiler.checks import check, overall
from lava_align.compiler.folder import (
    MANIFEST,
    canonical_json,
    npy_bytes,
    program_files,
    program_from_files,
)
from lava_align.compiler.place import place
from lava_align.compiler.program import Program
from lava_align.errors import (
    ConstraintViolationError,
    IntegrityError,
    InvalidInputError,
    MissingDependencyError,
    Problem,
)
from lava_align.files import atomic_path
from lava_align.formats.archive import read_zip, zip_bytes
from lava_align.recording import Recording, Spikes
from lava_align.targets import HardwareTarget, load_target

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-bundle/1"


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
    """
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
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in files.items()
        },
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
    broken = [c for c in checks if c.verdict == "fail"]
    if broken:
        raise ConstraintViolationError(
            Problem(str(path), f"{c.id} of {c.object}: {c.value}", f"{c.limit}; {c.hint}")
            for c in broken
        )
    place(program, target)
    return Verification(
        target=target.id,
        verdict=str(manifest["verdict"]),
        program_digest=program.digest(),
        forced=bool(manifest["forced"]),
        limits=overall(checks),
        golden=_replay(files, program, int(manifest["golden_steps"]), backend, path),
        golden_steps=int(manifest["golden_steps"]),
    )


def _golden_files(golden: Recording) -> dict[str, bytes]:
    files = {}
    for kind, group in (("input", golden.stimuli), ("spikes", golden.spikes)):
        for name, spikes in group.items():
            events = np.stack([spikes.step, spikes.neuron.astype(np.int64)])
            files[f"golden/{kind}/{name}.npy"] = npy_bytes(events)
    for name, series in golden.weights.items():
        files[f"golden/weights/{name}.npy"] = npy_bytes(series.values[-1].astype(np.int16))
    return files


def _manifest(files: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(files[MANIFEST])
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"schema {manifest['schema']!r}")
        kinds = {
            "target": str,
            "program_digest": str,
            "golden_steps": int,
            "verdict": str,
            "forced": bool,
            "files": dict,
        }
        for key, kind in kinds.items():
            if not isinstance(manifest[key], kind):
                raise ValueError(f"{key} is not a {kind.__name__}")
        return dict(manifest)
    except (KeyError, ValueError, TypeError) as error:
        raise IntegrityError(
            Problem(f"{path}:{MANIFEST}", f"missing or unreadable ({error})", f"a {SCHEMA} file")
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
        elif hashlib.sha256(files[name]).hexdigest() != entry.get("sha256"):
            problems.append(Problem(f"{path}:{name}", "changed", "an untouched bundle"))
    if problems:
        raise IntegrityError(problems)


def _target(
    manifest: Mapping[str, Any], program: Program, target: HardwareTarget | None, path: Path
) -> HardwareTarget:
    if program.digest() != manifest["program_digest"] or program.target != manifest["target"]:
        raise IntegrityError(
            Problem(f"{path}:{MANIFEST}", "names another program or target", "an untouched bundle")
        )
    if target is None:
        return load_target(program.target)
    if target.id != program.target:
        raise InvalidInputError(
            Problem(str(path), f"compiled for {program.target}", f"a bundle for {target.id}")
        )
    return target


def _replay(
    files: Mapping[str, bytes], program: Program, steps: int, backend: Backend | None, path: Path
) -> str:
    if backend is None:
        return "not replayed: no backend that runs programs"
    inputs = {
        group.name: _events(files, f"golden/input/{group.name}.npy", group.size, path)
        for group in program.inputs
    }
    try:
        run = backend.run(program, inputs, steps, Probes(weight_steps=(steps,)))
    except MissingDependencyError as error:
        return f"not replayed: {error}"
    problems = []
    for neurons in program.neurons:
        expected = _events(files, f"golden/spikes/{neurons.name}.npy", neurons.size, path)
        if run.spikes[neurons.name] != expected:
            problems.append(
                Problem(f"{path}:golden", f"spikes of {neurons.name} differ", "the same spikes")
            )
    for synapses in program.plastic():
        expected_weights = _array(files, f"golden/weights/{synapses.name}.npy", path)
        if not np.array_equal(run.weights[synapses.name].values[-1], expected_weights):
            problems.append(
                Problem(f"{path}:golden", f"weights of {synapses.name} differ", "the same weights")
            )
    if problems:
        raise IntegrityError(problems)
    return f"replayed on {run.backend}: spikes and weights equal"


def _array(files: Mapping[str, bytes], name: str, path: Path) -> Array:
    try:
        array = np.load(io.BytesIO(files[name]), allow_pickle=False)
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise IntegrityError(
            Problem(f"{path}:{name}", f"missing or unreadable ({error})", "a golden run")
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "i":
        raise IntegrityError(Problem(f"{path}:{name}", "not integers", "a golden run"))
    return array


def _events(files: Mapping[str, bytes], name: str, size: int, path: Path) -> Spikes:
    array = _array(files, name, path)
    if array.ndim != 2 or len(array) != 2 or (array < 0).any() or (array[1] >= size).any():
        raise IntegrityError(Problem(f"{path}:{name}", "not spikes", "steps and neurons"))
    return Spikes(step=array[0], neuron=array[1], size=size)
