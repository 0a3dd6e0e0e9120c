"""The rules Lava's search for ProcessModels imposes on everything in processes/."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import lava_align.processes
import pytest

from lava_align.backends.lava_shim import import_lava, lava_version

ROOT = Path(lava_align.processes.__path__[0])
FILES = sorted(path for path in ROOT.rglob("*.py"))
PACKAGES = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())
ALLOWED = ("__future__", "typing", "numpy", "lava", "lava_align")
needs_lava = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]


def modules() -> list[object]:
    names = [
        f"lava_align.processes.{package}.{module.name}"
        for package in PACKAGES
        for module in pkgutil.iter_modules([str(ROOT / package)])
    ]
    return [importlib.import_module(name) for name in names]


def test_there_is_something_to_check() -> None:
    assert {"recorded", "spike_source", "extended_lif"} <= set(PACKAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_absolute_and_not_optional(path: Path) -> None:
    """Lava runs each file again under its bare name, where a relative import fails silently."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        assert all(name.split(".")[0] in ALLOWED for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_happens_at_import(path: Path) -> None:
    """Lava runs each file several times while it compiles."""
    inert = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)
    for node in ast.parse(path.read_text()).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert docstring or isinstance(node, inert)


class TestModels:
    pytestmark = needs_lava

    @pytest.fixture(autouse=True)
    def importable(self) -> None:
        import_lava()

    def test_every_process_has_its_own_models_for_both_numerics(self) -> None:
        """Lava compares types, so a model of a base class does not count."""
        from lava.magma.core.model.model import AbstractProcessModel
        from lava.magma.core.process.process import AbstractProcess

        found = [c for m in modules() for _, c in inspect.getmembers(m, inspect.isclass)]
        ours = {c for c in found if c.__module__.startswith("lava_align.")}
        processes = {c for c in ours if issubclass(c, AbstractProcess)}
        models = {c for c in ours if issubclass(c, AbstractProcessModel)}
        assert processes
        for process in processes:
            tags = {t for m in models if m.implements_process is process for t in m.tags}
            assert {"fixed_pt", "floating_pt"} <= tags

    def test_recording_models_inherit_all_arithmetic(self) -> None:
        """They may add to a phase and must not replace anything Lava computes with."""
        from lava.proc.dense.process import LearningDense
        from lava.proc.lif.process import LIF
        from lava_align.processes.recorded import models

        recorded = [
            c for n, c in inspect.getmembers(models, inspect.isclass) if n.startswith("Recorded")
        ]
        ours = {"ExtendedLIF", "EscapeNeuron", "GradedRelay"}
        lavas = {c.implements_process for c in recorded} & {LIF, LearningDense}
        assert {c.implements_process.__name__ for c in recorded} - ours == {"LIF", "LearningDense"}
        assert len(lavas) == 2
        assert len(recorded) == 10
        for model in recorded:
            _, recorder, lavas_own = model.__mro__[:3]
            assert lavas_own.__module__.startswith(("lava.proc.", "lava_align.processes."))
            added = {n for n in vars(recorder) if inspect.isfunction(vars(recorder)[n])}
            assert added <= {"__init__", "run_spk", "run_lrn", "_keep"}
            assert not hasattr(lavas_own, "_keep")
            assert not any(inspect.isfunction(value) for value in vars(model).values())
