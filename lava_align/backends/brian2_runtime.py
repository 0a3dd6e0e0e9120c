"""Brian2 as a guest: whatever it changes in the interpreter is put back when a run has ended."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lava_align.backends.brian2_standalone import (
    Program,
    ProgressCallback,
    standalone_device,
)
from lava_align.errors import BackendError, LavaAlignError, MissingDependencyError

Codegen = Literal["numpy", "cython", "cpp_standalone"]

CODEGENS: tuple[Codegen, ...] = ("numpy", "cython", "cpp_standalone")

# From here on a standalone program has earned the time of its compilation (5 to 10 s): NumPy
# spends about 0.9 ms on a step of the packaged example with its 21 replicates, compiled code 0.1.
LONG_RUN = 25_000


def import_brian2() -> Any:
    """Import Brian2 without its side effects on the interpreter.

    A first import writes a log file and a copy of the running script to the temporary folder and
    takes over uncaught exceptions, Ctrl-C and warnings. All of that is undone. If the caller
    imported Brian2 before, its settings are the caller's and stay.

    Returns
    -------
    module

    Raises
    ------
    MissingDependencyError
        If Brian2 is not installed or does not import.
    """
    first = "brian2" not in sys.modules
    excepthook, interrupt = sys.excepthook, signal.getsignal(signal.SIGINT)
    showwarning = warnings.showwarning
    try:
        import brian2
    except ImportError as error:
        raise MissingDependencyError(
            f"the reference needs Brian2 ({error}); install it with: pip install brian2"
        ) from error
    if first:
        sys.excepthook = excepthook
        if interrupt is not None:
            signal.signal(signal.SIGINT, interrupt)
        if warnings.showwarning is not showwarning:
            logging.captureWarnings(False)
        _remove_log_files(brian2)
        # A run that is interrupted while it is being built leaves such objects on purpose.
        brian2.BrianLogger.suppress_name("unused_brian_object")
    return brian2


def _remove_log_files(brian2: Any) -> None:
    """Close and delete what Brian2's logging opened at import."""
    logger = brian2.BrianLogger
    if logger.file_handler is not None:
        logging.getLogger("brian2").removeHandler(logger.file_handler)
        logger.file_handler.close()
        logger.file_handler = None
    for name in ("tmp_log", "tmp_script"):
        if getattr(logger, name) is not None:
            Path(getattr(logger, name)).unlink(missing_ok=True)
            setattr(logger, name, None)


class Simulator:
    """One Brian2 device with its code generation; made by :func:`simulator`.

    Parameters
    ----------
    brian2 : module
    program : Program or None
        What runs the network if that is a program of its own; None if it runs in this process.
    """

    def __init__(self, brian2: Any, program: Program | None) -> None:
        self.brian2, self.program = brian2, program

    @property
    def standalone(self) -> bool:
        """Whether the network is compiled to a program of its own."""
        return self.program is not None

    def seed(self, value: int) -> None:
        """Decide the random numbers of the network to be run."""
        self.brian2.seed(value)

    def run(
        self, network: Any, duration: float, n_steps: int, progress: ProgressCallback | None
    ) -> None:
        """Run a Brian2 network in this process.

        Parameters
        ----------
        network : brian2.Network
        duration : float
            Seconds.
        n_steps : int
            Its length in steps, for the progress.
        """
        network.run(
            duration * self.brian2.second,
            report=None if progress is None else _reporter(progress, n_steps),
            report_period=1 * self.brian2.second,
            namespace={},
        )


def choose_codegen(n_steps: int) -> Codegen:
    """NumPy for short runs; a compiled program for long ones, where there is a compiler."""
    able = shutil.which("make") is not None and shutil.which("g++") is not None
    return "cpp_standalone" if n_steps >= LONG_RUN and able and sys.platform != "win32" else "numpy"


def _reporter(progress: ProgressCallback, n_steps: int) -> Callable[..., None]:
    def report(elapsed: Any, completed: float, start: Any, duration: Any) -> None:
        progress(round(completed * n_steps), n_steps)

    return report


@contextmanager
def simulator(codegen: Codegen) -> Iterator[Simulator]:
    """Set Brian2 up for one run; restore its device, preferences and log level afterwards.

    Raises
    ------
    BackendError
        For any failure inside the block that is not this package's own error; the cause is kept.
    """
    brian2 = import_brian2()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lava_align_brian2_") as folder,
            _preferences(brian2, codegen),
            _quiet(brian2),
            _random_state(),
            _device(brian2, codegen, folder) as guest,
        ):
            yield guest
    except LavaAlignError:
        raise
    except Exception as error:
        raise BackendError(f"Brian2 ({codegen}) failed: {_innermost(error)}") from error


@contextmanager
def _device(brian2: Any, codegen: Codegen, folder: str) -> Iterator[Simulator]:
    device = standalone_device() if codegen == "cpp_standalone" else None
    brian2.set_device("runtime" if device is None else device, build_on_run=False)
    try:
        yield Simulator(brian2, None if device is None else Program(brian2, device, Path(folder)))
    finally:
        brian2.devices.reset_device()


@contextmanager
def _preferences(brian2: Any, codegen: Codegen) -> Iterator[None]:
    flags = brian2.prefs["codegen.cpp.extra_compile_args_gcc"]
    wanted = {
        # A reference keeps to the rules of floating point; this also compiles in 3/4 of the time.
        "codegen.cpp.extra_compile_args_gcc": (
            ["-w", "-O2", "-std=c++11"] if "-ffast-math" in flags else flags
        ),
        "codegen.target": "numpy" if codegen == "numpy" else "cython",
        # Leave no files with compiler output behind.
        "logging.std_redirection_to_file": False,
        # Otherwise Ctrl-C ends a run quietly, as if it were complete.
        "core.stop_on_keyboard_interrupt": False,
    }
    # Brian2 2.8 lacks the last one, and does what it stands for.
    before = {name: brian2.prefs[name] for name in wanted if name in brian2.prefs}
    try:
        for name in before:
            brian2.prefs[name] = wanted[name]
        yield
    finally:
        for name, value in before.items():
            brian2.prefs[name] = value


@contextmanager
def _random_state() -> Iterator[None]:
    """Put NumPy's global random numbers back, which Brian2 draws from."""
    before = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


@contextmanager
def _quiet(brian2: Any) -> Iterator[None]:
    handler = brian2.BrianLogger.console_handler
    if handler is None:
        yield
        return
    level = handler.level
    handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        handler.setLevel(level)


def _innermost(error: BaseException) -> str:
    """Message of the first cause; Brian2 wraps errors in a report of where objects were made."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
