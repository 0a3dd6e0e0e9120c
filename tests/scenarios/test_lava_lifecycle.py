"""Whatever happens to a run of Lava, nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lava_align.backends import lava
from lava_align.backends.base import Probes
from lava_align.backends.lava import LavaBackend
from lava_align.backends.lava_group import new_prefix
from lava_align.backends.lava_shim import lava_version
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import BackendError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]

# ProcessModels that go wrong in one way each. The neuron after them waits for a message then.
PLANTED = """
import os, time
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyDenseModelBitAcc
from lava.proc.dense.process import Dense

class Base(PyDenseModelBitAcc):
    def run_spk(self):
        if self.time_step == 5:
            self.go_wrong()
        super().run_spk()

@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class Raises(Base):
    def go_wrong(self):
        raise ArithmeticError("planted failure at step five")

@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class Hangs(Base):
    def go_wrong(self):
        print("planted hang", flush=True)
        time.sleep(600)

@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class Dies(Base):
    def go_wrong(self):
        os._exit(7)

@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FailsToStart(Base):
    def __init__(self, proc_params):
        raise ArithmeticError("planted failure at construction")

@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class Slow(PyDenseModelBitAcc):
    def run_spk(self):
        time.sleep(0.05)
        super().run_spk()
"""


def program() -> Program:
    return Program(
        target="test",
        dt=1e-3,
        n_steps=20,
        inputs=(InputGroup(name="input", size=2),),
        neurons=(NeuronGroup(name="out", size=2, du=4095, dv=0, vth=9, bias_mant=[0, 0]),),
        synapses=(Synapses(name="in", pre="input", post="out", weights=[[10, 0], [0, 8]]),),
    )


SPIKES = Spikes(step=[3, 5, 6, 6], neuron=[0, 1, 0, 1], size=2)


def planted(kind: str, deadline: float | None = None) -> LavaBackend:
    return LavaBackend(deadline=deadline, _models={"Dense": f"planted_models:{kind}"})


@pytest.fixture(autouse=True)
def planted_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "planted_models.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def running_in(text: str) -> list[str]:
    """Command lines of running processes that name ``text``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def shared_memory(prefixes: list[str]) -> list[str]:
    """Blocks of these runs; other runs on this machine have other prefixes."""
    return [name for name in os.listdir("/dev/shm") if name.startswith(tuple(prefixes))]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Fail a test that leaves a process, thread, descriptor, shared memory or file behind."""
    # Short, because Lava's sockets live below it.
    with tempfile.TemporaryDirectory(prefix="t") as scratch:
        monkeypatch.setattr(tempfile, "tempdir", scratch)
        prefixes: list[str] = []
        monkeypatch.setattr(
            lava, "new_prefix", lambda: prefixes.append(new_prefix()) or prefixes[-1]
        )
        before = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
        yield Path(scratch)
        assert wait_until(lambda: running_in(scratch) == [])
        assert wait_until(lambda: os.listdir(scratch) == [])
        assert shared_memory(prefixes) == []
        # Either listing holds the descriptor it was read through.
        assert len(os.listdir("/proc/self/fd")) <= len(before[0])
        assert set(threading.enumerate()) <= before[1]


def wait_until(condition: object, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_run_reports_progress_to_the_end() -> None:
    calls: list[tuple[int, int]] = []
    run = planted("Slow").run(
        program(), {"input": SPIKES}, 20, progress=lambda *call: calls.append(call)
    )
    assert len(run.spikes["out"]) == 3
    assert calls[-1] == (20, 20)
    assert len(calls) > 3
    assert calls == sorted(set(calls))


def test_a_failing_model_gives_its_traceback_although_its_neighbour_waits() -> None:
    with pytest.raises(BackendError) as caught:
        planted("Raises").run(program(), {"input": SPIKES}, 20)
    text = str(caught.value)
    assert "ArithmeticError: planted failure at step five" in text
    assert "in go_wrong" in text


def test_a_model_that_cannot_be_built_gives_its_traceback() -> None:
    with pytest.raises(BackendError) as caught:
        planted("FailsToStart").run(program(), {"input": SPIKES}, 20)
    assert "ArithmeticError: planted failure at construction" in str(caught.value)
    assert "in __init__" in str(caught.value)


def test_a_lava_process_that_dies_is_reported() -> None:
    with pytest.raises(BackendError, match="exit code 7"):
        planted("Dies").run(program(), {"input": SPIKES}, 20)


def test_a_hanging_run_ends_at_the_deadline() -> None:
    with pytest.raises(BackendError) as caught:
        planted("Hangs", deadline=4).run(program(), {"input": SPIKES}, 20)
    text = str(caught.value)
    assert "in 4 s" in text
    assert "deadline" in text
    assert "planted hang" in text


def test_a_model_that_does_not_exist_is_an_error_not_a_hang() -> None:
    with pytest.raises(BackendError, match="NoSuchModel"):
        planted("NoSuchModel").run(program(), {"input": SPIKES}, 20)


SCRIPT = """
    import sys
    sys.path[:0] = {paths!r}
    from test_lava_lifecycle import SPIKES, planted, program
    def progress(done, total):
        if done >= 4:
            print("running", flush=True)
    planted("Hangs").run(program(), {{"input": SPIKES}}, 20, progress=progress)
"""


def hanging_interpreter(
    scratch: Path, planted_models: Path
) -> tuple[subprocess.Popen[str], list[str]]:
    """An interpreter of its own in the middle of a run that hangs, and the run's prefix."""
    paths = [str(Path(__file__).parent), str(planted_models)]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(paths=paths)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    commands = running_in(str(scratch))
    assert len(commands) > 3
    prefixes = [commands[0].split()[-1]]
    assert shared_memory(prefixes)
    return process, prefixes


def test_ctrl_c_stops_everything_and_is_passed_on(nothing_left: Path, planted_models: Path) -> None:
    process, prefixes = hanging_interpreter(nothing_left, planted_models)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT
    assert shared_memory(prefixes) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_takes_the_run_with_it(
    nothing_left: Path, planted_models: Path, number: signal.Signals
) -> None:
    process, prefixes = hanging_interpreter(nothing_left, planted_models)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == -number
    assert wait_until(lambda: shared_memory(prefixes) == [])


def test_an_exception_of_the_progress_callback_stops_the_run() -> None:
    class Stopped(Exception):
        pass

    def progress(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        planted("Slow").run(program(), {"input": SPIKES}, 20, progress=progress)


def test_parts_that_are_not_connected_run_too() -> None:
    """Lava compiles connected Processes only; a lone group is no less real."""
    net = program()
    lone = NeuronGroup(name="lone", size=1, du=0, dv=0, vth=1, bias_mant=[20])
    rule = LearningRule(dw=Expression.parse("2^-1*x1*y0"), x1=Trace(16, 10))
    both = Program(
        target="test",
        dt=1e-3,
        n_steps=20,
        inputs=(*net.inputs, InputGroup(name="a", size=1), InputGroup(name="b", size=1)),
        neurons=(*net.neurons, lone),
        synapses=(
            *net.synapses,
            Synapses(name="B", pre="a", post="b", weights=[[4]], learning=rule),
        ),
    )
    one = Spikes(step=[2], neuron=[0], size=1)
    calls: list[tuple[int, int]] = []
    run = LavaBackend().run(
        both,
        {"input": SPIKES, "a": one, "b": one},
        20,
        Probes(weight_steps=(2, 3)),
        progress=lambda *call: calls.append(call),
    )
    assert run.spikes["out"].step.tolist() == [4, 7, 7]
    # 20 a step, and the threshold is 64.
    assert run.spikes["lone"].step.tolist() == [3, 7, 11, 15, 19]
    assert np.ravel(run.weights["B"].values).tolist() == [4, 12]
    assert calls[-1] == (20, 20)
