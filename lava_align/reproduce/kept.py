"""Results of single runs, kept in a folder, so that a study that was interrupted goes on.

A result is taken again only if the same code made it: numbers of two versions never end up in one
table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from lava_align.files import atomic_path


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """Return what an earlier run of the same code left in ``path``, or make it and leave it there.

    Parameters
    ----------
    path : Path
        A JSON file; its folder is made if need be.
    make : callable
        Returns data that JSON can hold.
    """
    code = code_digest()
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["code"] == code:
            return found["result"]
    result = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        partial.write_text(json.dumps({"code": code, "result": result}), encoding="utf-8")
    return result


@cache
def code_digest() -> str:
    """SHA-256 over all that a result here depends on: the package's sources and its targets."""
    digest = hashlib.sha256()
    for package in ("lava_align", "lava_align.hw_configs"):
        with as_file(files(package)) as folder:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix in {".py", ".cpp", ".hpp", ".toml"}:
                    digest.update(path.relative_to(folder).as_posix().encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()
