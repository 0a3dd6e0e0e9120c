"""Runs a Program on Lava's own CPU models, in a process of its own.

Lava hangs, leaks and segfaults when something goes wrong, and importing it changes how the whole
interpreter starts processes. So each run gets a fresh interpreter in a session of its own, a
private folder and a deadline, and whatever happens the session is killed, its shared memory is
unlinked and the folder is removed.

How data get out was measured (lava-nc 0.10.0, Python 3.11, two shared cores; input 64 -> Dense ->
LIF 64 -> Dense -> LIF 48 -> LearningDense 64 x 48 with three products, t_epoch 1; 600 steps, two
interleaved rounds, Lava's own channels):

=====================================================  ============  ================
spikes of both populations                             wall ms/step  CPU ms/step
=====================================================  ============  ================
not recorded                                           3.1, 3.6      4.0, 4.1
a probe Process per population                         4.8, 5.4      5.7, 6.1
written by recording models to mapped files            3.4, 3.7      4.9, 4.9
the same with :mod:`~lava_align.backends.lava_channels`  2.1, 2.1    2.1, 2.2
=====================================================  ============  ================

``Var.get`` sends a message per element and is not used at all. The recording models
(:mod:`lava_align.processes.recorded.models`) inherit the arithmetic and are chosen by the run
configuration, so the graph is made of Lava's own LIF, Dense, DelayDense and LearningDense, and of
this package's ExtendedLIF, EscapeNeuron and GradedRelay where a program has such neurons.

Time: an input spike of step ``n`` leaves the source at Lava time ``n + 1``, passes a Dense at the
next, and makes its LIF spike in step ``n + 1`` at the earliest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.backends.base import Probes, ProgressCallback
from lava_align.backends.common import (
    RunInputs,
    as_spikes,
    before,
    check_run,
    drawing_seed,
    not_probed,
    of_projections,
)
from lava_align.backends.lava_group import end_group, new_prefix, private_folder
from lava_align.backends.lava_job import (
    FAILURE_FILE,
    PROGRESS_FILE,
    Job,
    Numerics,
    make_job,
)
from lava_align.backends.lava_shim import lava_version, require_lava
from lava_align.compiler.program import Program
from lava_align.engine.checks import check_engine
from lava_align.errors import BackendError, InvalidInputError, Problem
from lava_align.recording import Recording, Series, Spikes

LOG_FILE = "log.txt"
POLL_SECONDS = 0.1


class LavaBackend:
    """Lava on a CPU.

    Parameters
    ----------
    numerics : {"fixed_pt", "floating_pt"}
        Lava's integer models, or its float models run on the same Program without rounding: no
        trace rounding or saturation, no weight limits. Products that the integer models shift to
        the right are scaled by the same power of two.
    deadline : float or None
        Seconds a run may take. None allows about ten times what a loaded machine needs.
    seed : int
        0..2^64-1, of neurons that draw: noise and escape neurons. Lava's own numbers have the
        seeds of the projections.
    _models : mapping
        For tests: name of a Process class (``LIF``, ``Dense``, ``LearningDense``,
        ``SpikeSource``) to ``module:ProcessModel`` that runs instead of ours.
    _direct_channels : bool
        For tests: False keeps Lava's own channels, which are slower and give equal results.

    Raises
    ------
    InvalidInputError
        If ``numerics`` is neither, or the seed out of range.
    """

    def __init__(
        self,
        numerics: Numerics = "fixed_pt",
        deadline: float | None = None,
        *,
        seed: int = 0,
        _models: Mapping[str, str] | None = None,
        _direct_channels: bool = True,
    ) -> None:
        if numerics not in ("fixed_pt", "floating_pt"):
            raise InvalidInputError(
                Problem("LavaBackend.numerics", repr(numerics), "fixed_pt or floating_pt")
            )
        if not 0 <= seed < 2**64:
            raise InvalidInputError(Problem("LavaBackend.seed", str(seed), "0..2^64-1"))
        self.numerics: Numerics = numerics
        self.seed = seed
        self.name = f"lava-{numerics}"
        self.deadline = deadline
        self._options = {"models": dict(_models or {}), "direct_channels": _direct_channels}

    def run(
        self,
        program: Program,
        inputs: RunInputs,
        n_steps: int,
        probes: Probes | None = None,
        progress: ProgressCallback | None = None,
    ) -> Recording:
        """Run a program.

        Parameters
        ----------
        program : Program
        inputs : mapping
            Input group to its spikes, or to integers (n_steps, size); those from step ``n_steps``
            on are not sent.
        n_steps : int
            At least 1.
        probes : Probes
            What to record; by default the spikes of all neuron groups. States are those at the
            end of a step, after the reset, in the units of the chip.
        progress : callable
            Called a few times a second with (steps done, n_steps).

        Raises
        ------
        MissingDependencyError
            If lava-nc is not installed.
        InvalidInputError
            If inputs, probes or n_steps do not fit the program.
        ConstraintViolationError
            If Lava cannot express the program in these numerics.
        BackendError
            If Lava fails, dies or misses the deadline; with the traceback of the ProcessModel.
        """
        probes = probes or Probes()
        require_lava()
        given = as_spikes(program, inputs)
        check_run(program, given, n_steps, probes)
        check_engine(program, "lava-0.10.0", self.seed)
        job = make_job(program, given, n_steps, probes, self.numerics, self.seed)
        deadline = self.deadline
        if deadline is None:
            deadline = estimated_deadline(program, n_steps)
        with private_folder() as folder:
            job.write(folder, self._options)
            _run_child(folder, n_steps, deadline, progress)
            recorded = _collect(folder, job)
            recorded["weights"] = of_projections(program, recorded["weights"])
        return Recording(
            backend=self.name,
            dt=program.dt,
            n_steps=n_steps,
            **recorded,
            stimuli={name: before(n_steps, spikes) for name, spikes in given.items()},
            not_probed=not_probed(program, probes),
            provenance={
                "lava_nc": lava_version(),
                "program": program.digest(),
                **drawing_seed(program, self.seed),
            },
        )


def estimated_deadline(program: Program, n_steps: int) -> float:
    """Seconds a run may take before it counts as hung.

    About ten times the time of a loaded machine: 2 to 5 ms a step, and 0.1 us a step for each
    plastic synapse.
    """
    synapses = sum(projection.weights.size for projection in program.plastic())
    return 60 + n_steps * (0.05 + 1e-6 * synapses)


def _collect(folder: Path, job: Job) -> dict[str, dict[str, Any]]:
    """Read what the run recorded: spikes, weights and states by name."""
    spikes, weights, states = {}, {}, {}
    steps = np.arange(job.description["n_steps"])
    for entry in job.description["neurons"]:
        for name, file in entry["trains"].values():
            spikes[name] = Spikes.from_raster(np.load(folder / file, mmap_mode="r"))
        for name, file in entry["states"].values():
            values = np.load(folder / file, mmap_mode="r")
            if job.description["numerics"] == "floating_pt":
                values = values * job.units[name]
            states[name] = Series(step=steps, values=values)
    for entry in job.description["synapses"]:
        if entry["snapshots"] is not None:
            file, kept = entry["snapshots"]
            weights[entry["name"]] = Series(step=kept, values=np.load(folder / file))
    return {"spikes": spikes, "weights": weights, "states": states}


def _run_child(
    folder: Path, n_steps: int, deadline: float, progress: ProgressCallback | None
) -> None:
    """Run the job in ``folder``; on return or raise nothing of it is left but the folder."""
    prefix = new_prefix()
    command = [sys.executable, "-m", "lava_align.backends.lava_child"]
    with (folder / LOG_FILE).open("wb") as log:
        child = subprocess.Popen(
            [*command, str(folder), str(os.getpid()), prefix],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(folder),
            start_new_session=True,
        )
    try:
        _watch(child, folder, n_steps, deadline, progress)
    finally:
        end_group(child.pid, prefix)
        child.wait()
    if child.returncode != 0:
        raise BackendError(_failure(folder, child.returncode))
    if progress is not None:
        progress(n_steps, n_steps)


def _watch(
    child: subprocess.Popen[bytes],
    folder: Path,
    n_steps: int,
    deadline: float,
    progress: ProgressCallback | None,
) -> None:
    """Wait for the child's end, at most until the deadline, and report progress."""
    end = time.monotonic() + deadline
    reported = -1
    while True:
        try:
            child.wait(timeout=POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            done = np.load(folder / PROGRESS_FILE)
            # Parts of a network that are not connected run one after the other.
            steps = int(done.sum()) // len(done)
        if progress is not None and reported < steps < n_steps:
            progress(steps, n_steps)
            reported = steps
        if time.monotonic() > end:
            raise BackendError(
                f"Lava did {steps} of {n_steps} steps in {deadline:.0f} s and was stopped; "
                "it hangs, or needs a longer deadline: LavaBackend(deadline=...)"
                f"{_log_tail(folder)}"
            )


def _environment(folder: Path) -> dict[str, str]:
    """Environment of the child: our import path, one thread each, scratch files in our folder."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        **os.environ,
        **single,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONFAULTHANDLER": "1",
        "TMPDIR": str(folder),
    }


def _failure(folder: Path, code: int) -> str:
    """Say why the child failed, from what it wrote."""
    file = folder / FAILURE_FILE
    if file.exists():
        return f"Lava failed:\n{file.read_text().strip()}"
    return f"the process that ran Lava ended with exit code {code}{_log_tail(folder)}"


def _log_tail(folder: Path) -> str:
    text = (folder / LOG_FILE).read_text(errors="replace").strip()
    return f"; its last output:\n{text[-2000:]}" if text else ""
