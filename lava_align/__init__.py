"""Weight-alignment rules for spiking networks on Loihi-class hardware.

Write a rule once, prove on a CPU that its on-chip form does what the paper's rule does, and ship
it with the proof attached. Importing this package loads nothing heavy; the names below are
imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lava_align._version import __version__

if TYPE_CHECKING:
    from lava_align.compiler.compile import compile_network
    from lava_align.compiler.folder import load_program, save_program
    from lava_align.deployment import deploy, write_report
    from lava_align.doctor import examine
    from lava_align.formats.bundle import verify_bundle
    from lava_align.model.experiment import load_experiment
    from lava_align.pipeline import run_program, validate
    from lava_align.recording import Recording
    from lava_align.rules import get_rule
    from lava_align.targets import available_targets, load_target

_WHERE = {
    "Recording": "recording",
    "available_targets": "targets",
    "compile_network": "compiler.compile",
    "deploy": "deployment",
    "examine": "doctor",
    "get_rule": "rules",
    "load_experiment": "model.experiment",
    "load_program": "compiler.folder",
    "load_target": "targets",
    "run_program": "pipeline",
    "save_program": "compiler.folder",
    "validate": "pipeline",
    "verify_bundle": "formats.bundle",
    "write_report": "deployment",
}

__all__ = [
    "Recording",
    "__version__",
    "available_targets",
    "compile_network",
    "deploy",
    "examine",
    "get_rule",
    "load_experiment",
    "load_program",
    "load_target",
    "run_program",
    "save_program",
    "validate",
    "verify_bundle",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
