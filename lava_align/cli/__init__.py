"""The command line: ``lava-align``. One thin file per command, loaded only when it is called."""

from __future__ import annotations

from lava_align.cli.main import main

__all__ = ["main"]
