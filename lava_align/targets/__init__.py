"""Hardware targets: what a chip can hold and express, each figure with its evidence and source.

``load_target("loihi1")`` reads a file of ``hw_configs``; a path reads a file of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lava_align.targets.load import available_targets, load_target

if TYPE_CHECKING:
    from lava_align.targets.schema import HardwareTarget

__all__ = ["HardwareTarget", "available_targets", "load_target"]


def __getattr__(name: str) -> Any:
    # The schema needs pydantic, which is slow to import and of no use to `lava-align --help`.
    if name == "HardwareTarget":
        from lava_align.targets.schema import HardwareTarget

        return HardwareTarget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
