"""How much memory there is, and a refusal of what would not fit."""

from __future__ import annotations

import re
from pathlib import Path

from lava_align.errors import InvalidInputError, Problem

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, within the limits of a container; None: unknown."""
    found = []
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if match:
            found.append(1024 * int(match[1]))
        limit, used = (
            (_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current")
        )
        if limit != "max":
            found.append(max(0, int(limit) - int(used)))
    except (OSError, ValueError):  # no such file, or another system's
        pass
    return min(found, default=None)


def require_memory(what: str, needed: int, way_out: str) -> None:
    """Refuse what would not fit into memory.

    Raises
    ------
    InvalidInputError
        With both figures, and ``way_out``.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise InvalidInputError(
            Problem(
                f"memory for the {what}",
                f"needs {size_text(needed)}",
                f"{size_text(available)} available here; {way_out}",
            )
        )


def size_text(count: float) -> str:
    """Write a number of bytes with its unit."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"
