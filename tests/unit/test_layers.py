"""Data moves one way: who may not import whom.

The reference and the chip form check each other only as long as neither is made from the other,
and a backend that reads anything but the Program can disagree with what was compiled.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lava_align

ROOT = Path(lava_align.__file__).parent
CHIP = ("compiler", "engine", "replay", "rules.accumulation", "rules.graded_chip")
REFERENCE = ("backends.brian2", "rules.rates")

LAYERS = {
    "the reference": (
        ["backends/brian2*.py", "rules/*_reference.py", "rules/rates/*.py"],
        (*CHIP, "_chip", "_transfer", "_traces", "_decay"),
    ),
    "the chip forms": (
        ["rules/*_chip.py", "rules/accumulation.py", "rules/rdd_window.py"],
        (*REFERENCE, "_reference"),
    ),
    "the compiler": (["compiler/*.py"], (*REFERENCE, "_reference", "backends")),
    "the engine": (["engine/*.py"], ("model.", "rules", "experiment", "targets", *REFERENCE)),
    "the chip's backends": (
        ["backends/native.py", "backends/lava*.py"],
        ("model.", "rules", "experiment", *REFERENCE),
    ),
}


def imported(path: Path) -> Iterator[str]:
    """Names of the package's modules that a file imports, without the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (n.removeprefix("lava_align.") for n in names if n.startswith("lava_align."))


def forbidden(name: str, others: tuple[str, ...]) -> bool:
    """Whether a module is one of others: named from the package, or by how its name ends."""
    module = f"{name}."
    return any(
        f"{other}." in module if other.startswith("_") else module.startswith(other)
        for other in others
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_does_not_look_back(layer: str) -> None:
    patterns, others = LAYERS[layer]
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert len(files) >= len(patterns)
    found = [(path.name, name) for path in files for name in imported(path)]
    assert found
    assert [pair for pair in found if forbidden(pair[1], others)] == []


def test_what_is_forbidden_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import numpy\nfrom lava_align.rules.sal_chip import FORMS\nimport lava_align.engine"
    )
    names = list(imported(path))
    assert [forbidden(name, LAYERS["the reference"][1]) for name in names] == [True] * 3
