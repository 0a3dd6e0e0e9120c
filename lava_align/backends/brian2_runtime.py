"""Brian2 as a guest: whatever it changes in the interpreter is put back when a run has ended."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lava_align.errors import BackendError, LavaAlignError, MissingDependencyError

Codegen = Literal["numpy", "cython", "cpp_standalone"]

CODEGENS: tuple[Codegen, ...] = ("numpy", "cython", "cpp_standalone")

# From here on a standalone program has earned the time of its compilation (10 to 25 s): NumPy
# spends about 0.9 ms on a step of the packaged example with its 21 replicates, compiled code 0.1.
LONG_RUN = 25_000

# Characters of a compiler's output that an error repeats, from the end.
OUTPUT_SHOWN = 2000

ProgressCallback = Callable[[int, int], None]
"""Called now and then with (steps done, steps in all)."""


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
    device : object or None
        The standalone device, or None where code runs inside this process.
    folder : str
        Private folder for generated C++ code.
    """

    def __init__(self, brian2: Any, device: Any, folder: str) -> None:
        self.brian2 = brian2
        self.standalone = device is not None
        self._device = device
        self._folder = folder

    def seed(self, value: int) -> None:
        """Decide the random numbers of the network to be run."""
        self.brian2.seed(value)

    def run(
        self, network: Any, duration: float, n_steps: int, progress: ProgressCallback | None
    ) -> None:
        """Run a Brian2 network for ``duration`` seconds (``n_steps`` steps, for the progress)."""
        seconds = duration * self.brian2.second
        if not self.standalone:
            report = None if progress is None else _reporter(progress, n_steps)
            network.run(seconds, report=report, report_period=1 * self.brian2.second, namespace={})
            return
        # A program of its own cannot call back; it writes how far it is.
        folder = Path(self._folder)
        written = folder / "progress"
        network.run(
            seconds,
            report=f'std::ofstream("{written}") << completed;',
            report_period=0.5 * self.brian2.second,
            namespace={},
        )
        if progress is not None:
            progress(0, n_steps)
        with _compiler_output(folder / "build.log"):
            self._device.build(directory=self._folder, compile=True, run=False)
        # The program's own output goes to a file, and Brian2 prints that if the program fails.
        with _followed(written, progress, n_steps), redirect_stdout(io.StringIO()):
            self._device.run(with_output=False)


def choose_codegen(n_steps: int) -> Codegen:
    """NumPy for short runs; a compiled program for long ones, where there is a compiler."""
    able = shutil.which("make") is not None and shutil.which("g++") is not None
    return "cpp_standalone" if n_steps >= LONG_RUN and able and sys.platform != "win32" else "numpy"


@contextmanager
def _followed(written: Path, progress: ProgressCallback | None, n_steps: int) -> Iterator[None]:
    """Report the fraction that another process keeps writing into a file, then the end."""
    if progress is None:
        yield
        return
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(0.5):
            with suppress(OSError, ValueError):  # not there yet, or half written
                progress(round(float(written.read_text()) * n_steps), n_steps)

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    progress(n_steps, n_steps)


@contextmanager
def _compiler_output(log: Path) -> Iterator[None]:
    """Send what child processes print to a file; its end becomes part of the error, if any."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    except Exception as error:
        output = log.read_text(errors="replace").strip()
        raise BackendError(
            f"Brian2 (cpp_standalone) failed: {error}\n{output[-OUTPUT_SHOWN:]}"
        ) from error
    finally:
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)


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
    device = None
    if codegen == "cpp_standalone":
        from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

        # A device of its own, so that a project the caller is building is not touched.
        device = CPPStandaloneDevice()
    brian2.set_device("runtime" if device is None else device, build_on_run=False)
    try:
        yield Simulator(brian2, device, folder)
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
        # Leave no files with compiler output behind; see _compiler_output.
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
