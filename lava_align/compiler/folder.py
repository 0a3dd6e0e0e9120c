"""A Program as a folder: ``manifest.json`` and one ``.npy`` per array.

Equal programs give equal bytes: keys are sorted, nothing holds a time or a path, and arrays are
little-endian. Reading trusts nothing: every file is hashed against the manifest, extra and missing
files are refused, and what was read must write back to the very same bytes. So nothing in the
folder, down to the white space of the manifest, can be other than this package writes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.compiler.program import (
    AnyNeurons,
    Apical,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Noise,
    Program,
    RelayGroup,
    Synapses,
    Window,
)
from lava_align.compiler.wellformed import program_problems
from lava_align.errors import IntegrityError, InvalidInputError, Problem
from lava_align.files import atomic_folder
from lava_align.learning_rule import LearningRule
from lava_align.values import written_fields

Array = np.ndarray[Any, Any]

SCHEMA = "lava-align-program/1"
MANIFEST = "manifest.json"

KINDS: Mapping[str, type[AnyNeurons]] = {"escape": EscapeGroup, "relay": RelayGroup}
"""Entry ``kind`` of neurons; those without are :class:`NeuronGroup`."""
PARTS: Mapping[str, Any] = {"noise": Noise, "apical": Apical, "window": Window}


def npy_bytes(array: Array) -> bytes:
    """Serialise an array as little-endian ``.npy``."""
    buffer = io.BytesIO()
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    np.save(buffer, little, allow_pickle=False)
    return buffer.getvalue()


_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<i[248]|\|u1)', 'fortran_order': False,"
    rb" 'shape': \(([0-9, ]*)\), \} *\n",
    re.DOTALL,
)


def npy_array(data: bytes) -> Array:
    """Read an integer array as :func:`npy_bytes` writes it, and nothing else.

    ``numpy.load`` believes the header: it would allocate whatever shape that claims.

    Raises
    ------
    ValueError
        If the bytes are anything but a little-endian integer array of the claimed shape.
    """
    header = _NPY_HEADER.match(data)
    if header is None:
        raise ValueError("not a little-endian integer array")
    array: Array = np.frombuffer(data[header.end() :], dtype=header[1].decode())
    array = array.reshape([int(n) for n in header[2].decode().split(",") if n.strip()])
    if npy_bytes(array) != data:
        raise ValueError("not in the one form an array is written in")
    return array


def canonical_json(content: Any) -> bytes:
    """Write JSON with sorted keys and a final newline; NaN and infinity are refused."""
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def program_files(program: Program) -> dict[str, bytes]:
    """All files of a program's folder, name to bytes, manifest included."""
    arrays: dict[str, Array] = {}
    neurons = [
        _plain(group, arrays, f"neurons.{group.name}") | _kind(group) for group in program.neurons
    ]
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
        **({"planes": {n: list(m) for n, m in program.planes.items()}} if program.planes else {}),
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
    try:
        files = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*")
            if not p.is_dir()
        }
    except OSError as error:
        raise InvalidInputError(
            Problem(str(error.filename), f"unreadable ({error.strerror})", "readable files")
        ) from error
    return program_from_files(files, folder)


def program_from_files(files: Mapping[str, bytes], where: object) -> Program:
    """Rebuild a program from the bytes of its folder (see :func:`load_program`)."""
    if MANIFEST not in files:
        raise IntegrityError(Problem(f"{where}/{MANIFEST}", "missing", "the whole folder"))
    manifest = _manifest(files[MANIFEST], where)
    _require_hashes(files, manifest["files"], where)
    try:
        program = _program(manifest, files)
        problems = list(program_problems(program))
        if problems:
            raise InvalidInputError(problems)
        written = program_files(program)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _not_a_program(where, repr(error)) from error
    except InvalidInputError as error:
        raise _not_a_program(where, str(error)) from error
    if program.digest() != manifest["digest"]:
        raise IntegrityError(
            Problem(f"{where}/{MANIFEST}", "content and digest disagree", "an untouched manifest")
        )
    if written != dict(files):
        changed = [
            name for name in sorted({*written, *files}) if written.get(name) != files.get(name)
        ]
        raise IntegrityError(
            Problem(f"{where}/{name}", "not written by this package", "an untouched folder")
            for name in changed
        )
    return program


def _not_a_program(where: object, found: str) -> IntegrityError:
    return IntegrityError(
        Problem(f"{where}/{MANIFEST}", f"not a program ({found})", f"a {SCHEMA} folder")
    )


def _require_hashes(files: Mapping[str, bytes], listed: Mapping[str, Any], where: object) -> None:
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


def _plain(value: Any, arrays: dict[str, Array], prefix: str) -> dict[str, Any]:
    """Dataclass to JSON-plain values; arrays go to ``arrays`` and leave their file name."""
    plain: dict[str, Any] = {}
    for field, item in written_fields(value).items():
        if isinstance(item, np.ndarray):
            name = f"{prefix}.{field}.npy"
            arrays[name] = item
            plain[field] = name
        elif isinstance(item, LearningRule):
            plain[field] = item.to_dict()
        elif isinstance(item, Noise | Apical | Window):
            plain[field] = asdict(item)
        else:
            plain[field] = dict(item) if isinstance(item, Mapping) else item
    return plain


def _kind(group: AnyNeurons) -> dict[str, str]:
    kinds = [kind for kind, made in KINDS.items() if isinstance(group, made)]
    return {"kind": kinds[0]} if kinds else {}


def _manifest(data: bytes, where: object) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"schema {manifest['schema']!r}")
        listed = manifest["files"]
        if not all(isinstance(entry["sha256"], str) for entry in listed.values()):
            raise ValueError("a file without hash")
        if any(set("/\\") & set(name) or name.startswith(".") for name in listed):
            raise ValueError("a file outside the folder")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            Problem(f"{where}/{MANIFEST}", f"unreadable ({error!r})", f"a {SCHEMA} manifest")
        ) from error
    return dict(manifest)


def _program(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Program:
    def array(name: str) -> Array:
        return npy_array(files[name])

    return Program(
        target=manifest["target"],
        dt=manifest["dt"],
        n_steps=manifest["n_steps"],
        inputs=tuple(InputGroup(**entry) for entry in manifest["inputs"]),
        neurons=tuple(_neurons(entry, array) for entry in manifest["neurons"]),
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
        planes=manifest.get("planes", {}),
    )


def _neurons(entry: Mapping[str, Any], array: Callable[[str], Array]) -> AnyNeurons:
    kind, content = entry.get("kind"), {k: v for k, v in entry.items() if k != "kind"}
    if kind == "relay":
        return RelayGroup(**content)
    if kind == "escape":
        arrays = {key: array(content[key]) for key in ("bias", "table")}
        return EscapeGroup(**{**content, **arrays})
    if "kind" in entry:
        raise ValueError(f"neurons of kind {kind!r}")
    parts = {key: made(**content[key]) for key, made in PARTS.items() if key in content}
    return NeuronGroup(**{**content, "bias_mant": array(content["bias_mant"]), **parts})
