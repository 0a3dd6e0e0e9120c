"""A Program as a folder: ``manifest.json`` and one ``.npy`` per array.

Equal programs give equal bytes: keys are sorted, nothing holds a time or a path, and arrays are
little-endian. Reading trusts nothing: every file is hashed against the manifest, extra and missing
files are refused, and the content must add up to the program's own digest.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import IntegrityError, InvalidInputError, Problem
from lava_align.files import atomic_folder
from lava_align.learning_rule import LearningRule

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-program/1"
MANIFEST = "manifest.json"


def npy_bytes(array: Array) -> bytes:
    """Serialise an array as little-endian ``.npy``."""
    buffer = io.BytesIO()
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    np.save(buffer, little, allow_pickle=False)
    return buffer.getvalue()


def canonical_json(content: Any) -> bytes:
    """Write JSON with sorted keys and a final newline; NaN and infinity are refused."""
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def program_files(program: Program) -> dict[str, bytes]:
    """All files of a program's folder, name to bytes, manifest included."""
    arrays: dict[str, Array] = {}
    neurons = [_plain(group, arrays, f"neurons.{group.name}") for group in program.neurons]
    synapses = [_plain(s, arrays, f"synapses.{s.name}") for s in program.synapses]
    files = {name: npy_bytes(array) for name, array in arrays.items()}
    manifest = {
        "schema": SCHEMA,
        "digest": program.digest(),
        "target": program.target,
        "dt": program.dt,
        "n_steps": program.n_steps,
        "inputs": [_plain(group, arrays, "") for group in program.inputs],
        "neurons": neurons,
        "synapses": synapses,
        "mirrors": dict(program.mirrors),
        "files": {
            name: {
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "dtype": arrays[name].dtype.name,
                "shape": list(arrays[name].shape),
            }
            for name, data in files.items()
        },
    }
    return {MANIFEST: canonical_json(manifest), **files}


def save_program(program: Program, folder: str | Path) -> Path:
    """Write a program's folder, replacing one that is there; nothing is left half-written."""
    folder = Path(folder)
    with atomic_folder(folder, _is_program) as partial:
        for name, data in program_files(program).items():
            (partial / name).write_bytes(data)
    return folder


def _is_program(folder: Path) -> bool:
    """Whether a folder holds a program and nothing else, so that it may be replaced."""
    try:
        listed = _manifest((folder / MANIFEST).read_bytes(), folder)["files"]
    except (OSError, IntegrityError):
        return False
    return all(entry.name in (MANIFEST, *listed) for entry in folder.iterdir())


def load_program(folder: str | Path) -> Program:
    """Read a program's folder and check every byte of it.

    Raises
    ------
    InvalidInputError
        If there is no program under ``folder``.
    IntegrityError
        If a file is missing, added or changed, or the content contradicts its digest.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise InvalidInputError(
            Problem(str(folder), f"no {MANIFEST}", "a folder written by `lava-align compile`")
        )
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return program_from_files({name: path.read_bytes() for name, path in files.items()}, folder)


def program_from_files(files: Mapping[str, bytes], where: object) -> Program:
    """Rebuild a program from the bytes of its folder (see :func:`load_program`)."""
    manifest = _manifest(files[MANIFEST], where)
    listed = manifest["files"]
    problems = [
        Problem(f"{where}/{name}", "not in the manifest", "remove it")
        for name in files
        if name != MANIFEST and name not in listed
    ]
    for name, entry in listed.items():
        data = files.get(name)
        if data is None:
            problems.append(Problem(f"{where}/{name}", "missing", "the whole folder"))
        elif hashlib.sha256(data).hexdigest() != entry["sha256"]:
            problems.append(
                Problem(f"{where}/{name}", "changed since it was written", "an untouched folder")
            )
    if problems:
        raise IntegrityError(problems)
    try:
        program = _program(manifest, files)
    except (KeyError, TypeError, ValueError, InvalidInputError) as error:
        raise IntegrityError(
            Problem(f"{where}/{MANIFEST}", f"not a program ({error})", f"a {SCHEMA} folder")
        ) from error
    if program.digest() != manifest["digest"]:
        raise IntegrityError(
            Problem(f"{where}/{MANIFEST}", "content and digest disagree", "an untouched manifest")
        )
    return program


def _plain(value: Any, arrays: dict[str, Array], prefix: str) -> dict[str, Any]:
    """Dataclass to JSON-plain values; arrays go to ``arrays`` and leave their file name."""
    plain: dict[str, Any] = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if isinstance(item, np.ndarray):
            name = f"{prefix}.{field.name}.npy"
            arrays[name] = item
            plain[field.name] = name
        elif isinstance(item, LearningRule):
            plain[field.name] = item.to_dict()
        else:
            plain[field.name] = dict(item) if isinstance(item, Mapping) else item
    return plain


def _manifest(data: bytes, where: object) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"schema {manifest['schema']!r}")
        listed = manifest["files"]
        if not all(isinstance(entry["sha256"], str) for entry in listed.values()):
            raise ValueError("a file without hash")
        if any("/" in name or name.startswith(".") for name in listed):
            raise ValueError("a file outside the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            Problem(f"{where}/{MANIFEST}", f"unreadable ({error})", f"a {SCHEMA} manifest")
        ) from error
    return dict(manifest)


def _program(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Program:
    def array(name: str) -> Array:
        loaded = np.load(io.BytesIO(files[name]), allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            raise ValueError(f"{name} is not an array")
        return loaded

    return Program(
        target=manifest["target"],
        dt=manifest["dt"],
        n_steps=manifest["n_steps"],
        inputs=tuple(InputGroup(**entry) for entry in manifest["inputs"]),
        neurons=tuple(
            NeuronGroup(**{**entry, "bias_mant": array(entry["bias_mant"])})
            for entry in manifest["neurons"]
        ),
        synapses=tuple(
            Synapses(
                **{
                    **entry,
                    "weights": array(entry["weights"]),
                    "delays": None if entry["delays"] is None else array(entry["delays"]),
                    "learning": None
                    if entry["learning"] is None
                    else LearningRule.from_dict(entry["learning"]),
                }
            )
            for entry in manifest["synapses"]
        ),
        mirrors=manifest["mirrors"],
    )
