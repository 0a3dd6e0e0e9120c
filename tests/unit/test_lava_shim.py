"""Importing lava-nc on every supported Python."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from lava_align.backends import lava_shim
from lava_align.backends.lava_shim import lava_version, require_lava
from lava_align.errors import ExitCode, MissingDependencyError

needs_lava = pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed")


def python(code: str) -> str:
    """Run code in a fresh interpreter; the imports of this one prove nothing."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.lava
@needs_lava
def test_lava_becomes_importable_and_dataclasses_stay_as_they_were() -> None:
    out = python(
        "import dataclasses\n"
        "original = dataclasses.dataclass\n"
        "from lava_align.backends.lava_shim import import_lava\n"
        "import_lava(); import_lava()\n"
        "assert dataclasses.dataclass is original\n"
        "import lava.magma.compiler.var_model as var_model\n"
        "assert var_model.dataclass is original\n"
        "import lava.proc.dense.models, lava.proc.lif.models\n"
        "print(var_model.ByteEncoder(1, 2, 3) == var_model.ByteEncoder(1, 2, 3))\n"
    )
    assert out.strip() == "True"


@pytest.mark.lava
@needs_lava
def test_lava_is_importable_where_the_start_method_is_chosen_already() -> None:
    out = python(
        "import multiprocessing\n"
        "multiprocessing.set_start_method('fork')\n"
        "original = multiprocessing.set_start_method\n"
        "from lava_align.backends.lava_shim import import_lava\n"
        "import_lava()\n"
        "import lava.magma.core.run_configs, lava.proc.lif.models\n"
        "print(multiprocessing.set_start_method == original)\n"
    )
    assert out.strip() == "True"


@pytest.mark.lava
@needs_lava
def test_the_version_is_found_without_importing_lava() -> None:
    out = python(
        "import sys\n"
        "from lava_align.backends.lava_shim import lava_version, require_lava\n"
        "require_lava()\n"
        "import lava_align.backends.lava\n"
        "print(lava_version(), any(name.startswith('lava.') and name.count('.') > 1 "
        "for name in sys.modules))\n"
    )
    assert out.split() == ["0.10.0", "False"]


def test_without_lava_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        require_lava()
    assert "pip install --no-deps --ignore-requires-python lava-nc==0.10.0" in str(caught.value)
    assert "lava_align[lava]" in str(caught.value)
    assert caught.value.exit_code is ExitCode.MISSING


def test_a_package_called_lava_that_is_not_lava_nc_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find_spec(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(MissingDependencyError):
        require_lava()


def test_a_missing_requirement_of_lava_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> None:
        raise ModuleNotFoundError("No module named 'asteval'", name="asteval")

    monkeypatch.setattr(lava_shim, "_MODULE", "lava.never.imported")
    monkeypatch.setattr(lava_shim, "require_lava", lambda: None)
    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(MissingDependencyError, match="asteval"):
        lava_shim.import_lava()
