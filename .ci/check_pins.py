"""End with an error unless constraints.txt pins every distribution of this environment."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def main() -> str | None:
    """Compare and return the differences as one message, or None."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    wanted = {
        canonicalize_name(pin.name): pin.specifier
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }
    installed = {
        canonicalize_name(found.name): found.version
        for found in distributions()
        if found.name != "lava_align"
    }
    wrong = [
        f"{name} {version} is installed; constraints.txt has {wanted.get(name, 'no pin')}"
        for name, version in sorted(installed.items())
        if name not in wanted or not wanted[name].contains(version)
    ]
    if wrong:
        return "\n".join(wrong)
    print(f"{len(installed)} distributions, all pinned")
    return None


if __name__ == "__main__":
    sys.exit(main())
