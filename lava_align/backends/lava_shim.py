"""Import lava-nc on every Python this package supports.

lava-nc 0.10.0 is archived and its wheel admits Python 3.10 alone. It runs on 3.11 to 3.13, but
one module cannot be imported there: ``lava/magma/compiler/var_model.py:221-237`` uses instances of
dataclasses as field defaults, and since 3.11 :func:`dataclasses.dataclass` refuses unhashable
defaults. Giving those dataclasses a hash while that one module is imported is all that is needed.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lava_align.errors import MissingDependencyError

INSTALL_HINT = (
    "install it with: pip install 'lava_align[lava]' && "
    "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
)
_MODULE = "lava.magma.compiler.var_model"
# What var_model imports, so that it alone is imported while ``dataclass`` is replaced.
_REQUIRED = (
    "lava.magma.compiler.mappable_interface",
    "lava.magma.compiler.subcompilers.address",
    "lava.magma.core.process.ports.connection_config",
    "lava.magma.core.process.variable",
)
_CHOOSES_START_METHOD = "lava.magma.runtime.message_infrastructure.multiprocessing"
_LOCK = threading.Lock()


def lava_version() -> str | None:
    """Version of the installed lava-nc, found without importing it; None if it is absent."""
    try:
        return importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return None


def require_lava() -> None:
    """Check that lava-nc is installed, without importing it.

    Raises
    ------
    MissingDependencyError
        If it is not; the message says how to install it.
    """
    if not _present():
        raise MissingDependencyError(f"the Lava backend needs lava-nc; {INSTALL_HINT}")


def import_lava() -> None:
    """Make ``import lava.proc.dense`` and every other module of lava-nc work.

    Idempotent. What is replaced for the import, ``dataclasses`` among it, is again as it was when
    the call returns. Importing lava-nc sets the start method of
    :mod:`multiprocessing` to ``fork`` for the whole interpreter
    (``lava/magma/runtime/message_infrastructure/multiprocessing.py``), which is one reason why the
    Lava backend does it in a process of its own.

    Raises
    ------
    MissingDependencyError
        If lava-nc, or a library it needs, is not installed.
    """
    with _LOCK:
        if _MODULE in sys.modules:
            return
        require_lava()
        try:
            with _start_method_may_be_set():
                for name in _REQUIRED:
                    importlib.import_module(name)
                with _hashable_encoders():
                    importlib.import_module(_MODULE)
                importlib.import_module(_CHOOSES_START_METHOD)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"lava-nc is installed without the library {error.name!r}; {INSTALL_HINT}"
            ) from error


def _present() -> bool:
    # "lava" alone may be anybody's package, or an empty folder.
    try:
        return importlib.util.find_spec("lava.magma") is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def _start_method_may_be_set() -> Iterator[None]:
    """Let Lava choose the start method that is in use already, as it is once joblib has run."""
    original = multiprocessing.set_start_method

    def set_start_method(method: str | None, force: bool = False) -> None:
        if method != multiprocessing.get_start_method(allow_none=True):
            original(method, force)

    multiprocessing.set_start_method = set_start_method
    try:
        yield
    finally:
        multiprocessing.set_start_method = original


@contextmanager
def _hashable_encoders() -> Iterator[None]:
    """Give the ``*Encoder`` dataclasses of var_model a hash, and no others."""
    if sys.version_info < (3, 11):
        yield
        return
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if cls.__module__ == _MODULE and cls.__name__.endswith("Encoder"):
            options["unsafe_hash"] = True
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original
        module = sys.modules.get(_MODULE)
        if module is not None:
            vars(module)["dataclass"] = original
