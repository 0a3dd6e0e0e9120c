"""Simulators, one file each, behind one small protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_align.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from lava_align.backends.base import Backend

BACKENDS = ("lava", "lava-float", "native")
"""Names of the backends that run a Program."""


def get_backend(name: str) -> Backend:
    """Return the backend called ``name``.

    Raises
    ------
    InvalidInputError
        If there is none; the message lists those there are.
    """
    if name not in BACKENDS:
        raise InvalidInputError(
            Problem("backend", f"no backend '{name}'", f"one of: {', '.join(BACKENDS)}")
        )
    if name == "native":
        from lava_align.backends.native import NativeBackend

        return NativeBackend()
    from lava_align.backends.lava import LavaBackend

    return LavaBackend(numerics="floating_pt" if name == "lava-float" else "fixed_pt")
