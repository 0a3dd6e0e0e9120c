"""Finding and reading target files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lava_align.errors import InvalidInputError, Problem
from lava_align.files import read_toml

if TYPE_CHECKING:
    from lava_align.targets.schema import HardwareTarget


def _folder() -> Path:
    return Path(str(resources.files("lava_align.hw_configs")))


def available_targets() -> tuple[str, ...]:
    """Names of the targets that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load_target(name_or_path: str | Path) -> HardwareTarget:
    """Read and check a target.

    Parameters
    ----------
    name_or_path
        A name of :func:`available_targets`, or a path to a TOML file. A file may name another
        target in ``extends`` (a path there is relative to the file) and then states only what
        differs; a fact it states replaces the other's whole.

    Raises
    ------
    InvalidInputError
        If there is no such target, or with everything that is wrong with its file, each by its
        key path.
    """
    path = _find(str(name_or_path), Path())
    data, files = _read(path, ())
    target = _validate(data, path)
    digests = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    target._sha256 = digests
    return target


def _find(name: str, folder: Path) -> Path:
    if name in available_targets():
        return _folder() / f"{name}.toml"
    path = folder / name
    if path.suffix == ".toml":
        return path
    known = ", ".join(available_targets())
    raise InvalidInputError(Problem("target", f"no target '{name}'", f"{known}, or a .toml file"))


def _read(path: Path, below: tuple[Path, ...]) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Contents of a file laid over those it extends, and all these files, nearest first."""
    if path.resolve() in below:
        chain = " -> ".join(file.name for file in (*below, path))
        raise InvalidInputError(Problem(f"{path}:extends", chain, "files that do not form a loop"))
    data = read_toml(path)
    base = data.get("extends")
    if not isinstance(base, str):
        return data, (path,)
    inherited, files = _read(_find(base, path.parent), (*below, path.resolve()))
    return _overlay(inherited, data), (path, *files)


def _overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = base.get(key)
        # A fact is replaced whole: a new value must not keep the old one's source.
        if _is_section(value) and _is_section(below):
            value = _overlay(below, value)  # type: ignore[arg-type]  # noqa: PLW2901
        merged[key] = value
    return merged


def _is_section(value: object) -> bool:
    facts = ("value", "evidence", "source", "severity")
    return isinstance(value, Mapping) and not any(key in value for key in facts)


def _validate(data: Mapping[str, Any], path: Path) -> HardwareTarget:
    from pydantic import ValidationError

    from lava_align.targets.schema import HardwareTarget

    try:
        return HardwareTarget.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise InvalidInputError(_problem(detail, path) for detail in details)


def _problem(detail: Mapping[str, Any], path: Path) -> Problem:
    where = f"{path.name}:{'.'.join(str(part) for part in detail['loc'])}"
    if detail["type"] == "missing":
        return Problem(where, "missing", "state it, with evidence = 'unknown' if nobody knows")
    if detail["type"] == "extra_forbidden":
        return Problem(where, "unknown key", "remove it or correct its spelling")
    found = repr(detail["input"])
    return Problem(where, found if len(found) <= 80 else f"{found[:77]}...", detail["msg"])
