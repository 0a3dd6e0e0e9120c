"""A Brian2 network as a program of its own: compiled as a whole, run for several shares at once.

The program does not contain the spikes of the stimuli but reads them when it starts. So it can be
compiled while they are drawn, and one program serves all shares of the replicates.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import BackendError

Array = np.ndarray[Any, Any]

ProgressCallback = Callable[[int, int], None]
"""Called now and then with (steps done, steps in all)."""

# Characters of a compiler's or a program's output that an error repeats, from the end.
OUTPUT_SHOWN = 2000
# Nobody has measured more.
MOST_SHARES = 8
POLL_SECONDS = REPORT_SECONDS = 0.5

_LOG, _PROGRESS, _RESULTS = "log", "progress", "results"

# Brian2 up to 2.9 asks for the processor's time before every object of every step, and each answer
# is a system call: a third of the demo's simulation. Nothing but the progress report depends on it.
_CHEAP_CLOCK = """
extern "C" clock_t clock() noexcept(noexcept(clock()))
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * CLOCKS_PER_SEC + now.tv_nsec / (1000000000 / CLOCKS_PER_SEC);
}
"""

_READ = """
    auto read = [](const char *name, std::vector<int32_t> &values)
    {
        std::ifstream file(name, std::ios::binary | std::ios::ate);
        if (!file) { std::cerr << "cannot open " << name << std::endl; exit(1); }
        values.resize(file.tellg() / sizeof(int32_t));
        file.seekg(0);
        file.read(reinterpret_cast<char *>(values.data()), values.size() * sizeof(int32_t));
        if (!file) { std::cerr << "cannot read " << name << std::endl; exit(1); }
    };
"""


def standalone_device() -> Any:
    """Brian2's standalone device with all its generated files compiled as one.

    Brian2 makes a file of every small function, and most of the compiler's time goes into reading
    the same headers again for each: the demo's 29 files take seven times as long as one.
    """
    from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

    class WholeDevice(CPPStandaloneDevice):  # type: ignore[misc]
        def generate_makefile(self, writer: Any, *args: Any, **kwargs: Any) -> None:
            text = whole_program(
                Path(writer.project_dir), sorted(writer.source_files), sorted(writer.header_files)
            )
            writer.source_files.clear()
            writer.write("whole.cpp", text)
            super().generate_makefile(writer, *args, **kwargs)

    # A device of its own, so that a project the caller is building is not touched.
    return WholeDevice()


def whole_program(folder: Path, sources: Sequence[str], headers: Sequence[str]) -> str:
    """One C++ file that includes all others.

    Code objects repeat helper functions under the same names, so each gets a namespace. What they
    include must then have been included before, outside of it.
    """
    objects = [name for name in sources if name.startswith("code_objects/")]
    texts = [(folder / name).read_text() for name in objects]
    system = {
        name for text in texts for name in re.findall(r"^\s*#\s*include\s*(<.+>)", text, re.M)
    }
    own = [name for name in headers if not name.startswith("code_objects/")]
    lines = [f"#include {name}" for name in [*sorted(system), *(f'"{name}"' for name in own)]]
    for index, name in enumerate(objects):
        unit = f"unit{index}"
        lines += [f'namespace {unit} {{\n#include "{name}"\n}}', f"using namespace {unit};"]
    lines += [f'#include "{name}"' for name in sources if name not in objects]
    return "\n".join(lines) + "\n" + _CHEAP_CLOCK


def shares(n_replicates: int) -> list[range]:
    """Replicates that one process each simulates: as many shares as there are processors."""
    n_shares = min(len(os.sched_getaffinity(0)), n_replicates, MOST_SHARES)
    size = -(-n_replicates // n_shares)
    return [range(i, min(i + size, n_replicates)) for i in range(0, n_replicates, size)]


class Program:
    """A network made for one share of the replicates.

    Parameters
    ----------
    brian2 : module
    device : object
        What :func:`standalone_device` gave, active.
    folder : Path
        Private folder for generated code and results.
    """

    def __init__(self, brian2: Any, device: Any, folder: Path) -> None:
        self._brian2, self._device, self._folder = brian2, device, folder

    @contextmanager
    def compiled(self, network: Any, duration: float, sources: Mapping[str, Any]) -> Iterator[None]:
        """Compile a Brian2 network during the block, at the end of which the program exists.

        Parameters
        ----------
        network : brian2.Network
        duration : float
            Seconds to simulate.
        sources : mapping
            Spike generators, without spikes, by the name under which :meth:`run` gets theirs.

        Raises
        ------
        BackendError
            If the compiler fails.
        """
        device = self._device
        names = {
            name: [device.get_array_name(group.variables[v], access_data=False) for v in _READ_BY]
            for name, group in sources.items()
        }
        device.insert_code("before_network_run", _reading(names))
        # They would be written with the results.
        device.insert_code("after_network_run", "".join(f"{a}.clear();" for a in _flat(names)))
        network.run(
            duration * self._brian2.second,
            # A program of its own cannot call back; it writes how far it is.
            report=f'std::ofstream("{_PROGRESS}") << completed;',
            report_period=REPORT_SECONDS * self._brian2.second,
            namespace={},
        )
        device.build(directory=str(self._folder), compile=False, run=False)
        prefs = self._brian2.prefs
        make = prefs["devices.cpp_standalone.make_cmd_unix"]
        arguments = prefs["devices.cpp_standalone.extra_make_args_unix"]
        # Dependencies would be found by one more run of the compiler, and nothing is made twice.
        command = [make, *arguments, "DEPS="]
        with _process(command, self._folder, self._folder / _LOG) as compiler:
            yield
            _ended(compiler, self._folder / _LOG)

    def run(
        self,
        spikes: Iterable[Mapping[str, tuple[Array, Array]]],
        n_steps: int,
        progress: ProgressCallback | None,
    ) -> None:
        """Run the program once per share, each from when its spikes are there.

        Parameters
        ----------
        spikes : iterable of mappings
            For each share and every generator, source neuron and step of all spikes in order.
        n_steps : int
            Length of the run for the progress.

        Raises
        ------
        BackendError
            If a run fails; the others are ended.
        """
        with ExitStack() as stack:
            running = {}
            for index, given in enumerate(spikes):
                folder = self._share(index)
                (folder / _RESULTS).mkdir(parents=True)
                (folder / "static_arrays").symlink_to(self._folder / "static_arrays")
                _write_spikes(folder, given)
                command = [str(self._folder / "main"), "--results_dir", f"{_RESULTS}/"]
                running[folder] = stack.enter_context(_process(command, folder, folder / _LOG))
            _watch(running, n_steps, progress)

    def read(self, share: int) -> None:
        """Make the Brian2 objects show the results of one share."""
        self._device.results_dir = str(self._share(share) / _RESULTS) + os.sep
        self._device.has_been_run = True

    def _share(self, index: int) -> Path:
        return self._folder / f"share{index}"


# Variables of a spike generator that its code reads.
_READ_BY = ("neuron_index", "_timebins")


def _flat(names: Mapping[str, Sequence[str]]) -> list[str]:
    return [array for arrays in names.values() for array in arrays]


def _reading(names: Mapping[str, Sequence[str]]) -> str:
    """C++ statements that read every generator's spikes."""
    calls = [
        f'read("{name}.{variable}", {array});'
        for name, arrays in names.items()
        for variable, array in zip(_READ_BY, arrays, strict=True)
    ]
    return "{" + _READ + "\n".join(calls) + "}"


def _write_spikes(folder: Path, spikes: Mapping[str, tuple[Array, Array]]) -> None:
    for name, arrays in spikes.items():
        for variable, array in zip(_READ_BY, arrays, strict=True):
            array.astype(np.int32).tofile(folder / f"{name}.{variable}")


@contextmanager
def _process(command: Sequence[str], folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command with its output in a file; if the block is left early, end all of it."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _ended(child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a process.

    Raises
    ------
    BackendError
        If it failed, with the end of its output.
    """
    if child.wait() != 0:
        output = log.read_text(errors="replace").strip()[-OUTPUT_SHOWN:]
        command = Path(str(child.args[0])).name  # type: ignore[index]
        raise BackendError(
            f"Brian2 (cpp_standalone) failed: {command} ended with exit code "
            f"{child.returncode}\n{output}"
        )


def _watch(
    running: Mapping[Path, subprocess.Popen[bytes]],
    n_steps: int,
    progress: ProgressCallback | None,
) -> None:
    """Wait for the runs in their folders, and report the mean of how far they are."""
    waiting = dict(running)
    while waiting:
        with suppress(subprocess.TimeoutExpired):
            next(iter(waiting.values())).wait(timeout=POLL_SECONDS)
        for folder in [f for f, child in waiting.items() if child.poll() is not None]:
            _ended(waiting.pop(folder), folder / _LOG)
        if progress is not None:
            done = sum(_completed(folder) for folder in running) / len(running)
            progress(round(done * n_steps) if waiting else n_steps, n_steps)


def _completed(folder: Path) -> float:
    with suppress(OSError, ValueError):  # not there yet, or half written
        return float((folder / _PROGRESS).read_text())
    return 0.0
