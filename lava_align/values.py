"""Frozen dataclasses that hold arrays: read-only contents, equality by value, a content digest.

Plain ``dataclass`` equality fails on arrays (``==`` gives an array), and a frozen dataclass does
not freeze the arrays it holds. Both are mended here once for the network, the program and the
recording.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

import numpy as np


def frozen_array(value: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """Return a contiguous, read-only copy of ``value`` with the given dtype."""
    array = np.array(value, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


ADDED = {"added": True}
"""Metadata of a field that came later than its class.

Where it has its default it is in no digest and in no file, so that what was written before it came
stays valid to the byte.
"""


def written_fields(value: Any) -> dict[str, Any]:
    """Fields of a dataclass, but those that are :data:`ADDED` and have their default."""
    entries = {}
    for entry in fields(value):
        item = getattr(value, entry.name)
        made = entry.default_factory
        default = entry.default if made is MISSING else made()
        usual = not isinstance(item, np.ndarray) and item == default
        if not (usual and entry.metadata == ADDED):
            entries[entry.name] = item
    return entries


@dataclass(frozen=True)
class ArrayBlocks:
    """An array too large to hold, for :func:`content_digest`.

    Parameters
    ----------
    dtype : numpy dtype
    shape : tuple of int
    blocks : callable
        Gives the array's blocks along its first axis, in order.
    """

    dtype: Any
    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[np.ndarray[Any, Any]]]


@dataclass(frozen=True)
class Fields:
    """What :func:`content_digest` sees of a dataclass: its name, and its fields in order."""

    name: str
    values: Mapping[str, Any]


def _update(digest: Any, value: Any) -> None:
    """Feed ``value`` to ``digest`` so that different values give different byte streams."""
    if isinstance(value, np.ndarray):
        _update_array(digest, value.dtype, value.shape, (value,))
    elif isinstance(value, ArrayBlocks):
        _update_array(digest, value.dtype, value.shape, value.blocks())
    elif isinstance(value, Fields):
        digest.update(f"{value.name}(".encode())
        for name, entry in value.values.items():
            digest.update(f"{name}=".encode())
            _update(digest, entry)
        digest.update(b")")
    elif is_dataclass(value) and not isinstance(value, type):
        _update(digest, Fields(type(value).__name__, written_fields(value)))
    elif isinstance(value, Mapping):
        digest.update(f"map:{len(value)}:".encode())
        for key in sorted(value):
            digest.update(f"{key!r}:".encode())
            _update(digest, value[key])
    elif isinstance(value, tuple | list):
        digest.update(f"seq:{len(value)}:".encode())
        for item in value:
            _update(digest, item)
    else:
        digest.update(_scalar(value).encode())


def _update_array(
    digest: Any, dtype: Any, shape: tuple[int, ...], blocks: Iterable[np.ndarray[Any, Any]]
) -> None:
    if dtype.kind not in "biufU":
        raise TypeError(f"no digest for arrays of {dtype}")
    digest.update(f"array:{dtype.str}:{shape}:".encode())
    for block in blocks:
        # Adding 0.0 turns -0.0 into 0.0, which it equals.
        plain = block + 0.0 if dtype.kind == "f" else block
        digest.update(np.ascontiguousarray(plain, dtype=dtype).tobytes())


def _scalar(value: Any) -> str:
    """Text of a scalar; equal numbers, such as 1 and 1.0, give the same."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str | bytes | None):
        return f"{type(value).__name__}:{value!r};"
    if isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        return f"number:{int(value) if whole else value!r};"
    raise TypeError(f"no digest for a {type(value).__name__}")


def content_digest(value: Any) -> str:
    """SHA-256 (hex) of a value built from dataclasses, arrays, mappings, tuples and scalars.

    Raises
    ------
    TypeError
        For anything else: a digest of what only looks equal would be worthless.
    """
    digest = hashlib.sha256()
    _update(digest, value)
    return digest.hexdigest()


class ArrayValue:
    """Mixin for ``@dataclass(frozen=True, eq=False)`` classes with array fields."""

    def digest(self) -> str:
        """SHA-256 (hex) of the content; equal values have equal digests."""
        return content_digest(self)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())
