"""What is installed here, what works because of it, and how to get the rest."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lava_align._version import __version__
from lava_align.errors import LavaAlignError


@dataclass(frozen=True)
class Finding:
    """One subject, whether it is in order, and what is to be said of it."""

    subject: str
    ok: bool
    detail: str


def examine() -> tuple[Finding, ...]:
    """Look at the interpreter, the libraries and the backends."""
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    return (
        Finding("lava_align", True, __version__),
        Finding("python", supported, f"{platform.python_version()} (3.10 to 3.13 are supported)"),
        *(_library(name, why) for name, why in _LIBRARIES.items()),
        _works("backend native", _load_core),
        _works("backend lava", _import_lava),
        _works("backend brian2", _import_brian2),
        Finding(
            "C++ compiler",
            compiler is not None,
            compiler or "none; the native engine and long Brian2 references are slow without one",
        ),
    )


_LIBRARIES = {
    "numpy": "",
    "h5py": "",
    "brian2": "",
    "lava-nc": "the native engine is checked against it; see `backend lava` below",
    "scikit-learn": "the digits data set; pip install 'lava_align[data]'",
    "neo": "replay of what Neo reads; pip install 'lava_align[neo]'",
    "pynwb": "replay of NWB files; pip install 'lava_align[nwb]'",
}


def _library(name: str, why: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"not installed; {why}" if why else "not installed")


def _works(subject: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, attempt())
    except (LavaAlignError, ImportError) as error:
        return Finding(subject, False, str(error).replace("\n", " "))


def _load_core() -> str:
    from lava_align.compiler.program import Program
    from lava_align.engine.native import Core

    nothing = Program(target="", dt=1e-3, n_steps=1, inputs=(), neurons=(), synapses=())
    return f"compiled, {Core(nothing).instructions} instructions"


def _import_lava() -> str:
    from lava_align.backends.lava_shim import import_lava

    import_lava()
    return "imports" + (" through our shim" if sys.version_info >= (3, 11) else "")


def _import_brian2() -> str:
    import brian2

    return f"imports, {brian2.__version__}"
