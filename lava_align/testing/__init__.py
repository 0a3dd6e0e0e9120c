"""Shared by the tests and ``scripts/fuzz``: random programs, and Lava's models stepped in place.

Needs hypothesis; what touches Lava needs lava-nc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lava_align.engine.base import Engine
from lava_align.engine.model import Model
from lava_align.engine.native import Core
from lava_align.testing.cases import Case, cases, expressions, rules
from lava_align.testing.process_models import (
    first_difference,
    run_on_lava,
    state_names,
)

__all__ = [
    "ENGINES",
    "Case",
    "cases",
    "expressions",
    "first_difference",
    "rules",
    "run_on_lava",
    "state_names",
]


def _engines() -> dict[str, Callable[..., Engine]]:
    from importlib.util import find_spec

    compiled = find_spec("lava_align.engine._core") is not None
    return {"model": Model, "core": Core} if compiled else {"model": Model}


ENGINES: Mapping[str, Callable[..., Engine]] = _engines()
"""Every implementation of the engine there is here, all held to the same tests."""
