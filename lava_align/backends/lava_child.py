"""The process that runs Lava: reads a job folder, wires Lava's Processes, runs, reports failure.

Started by :mod:`lava_align.backends.lava` as ``python -m lava_align.backends.lava_child FOLDER
PARENT PREFIX`` in a session of its own. It never waits for Lava without looking: Lava hangs when
a ProcessModel raises while another waits for its message, and logs the traceback, if at all, below
the default level (``lava/magma/runtime/runtime.py:385-400``). So the processes Lava started are
polled, and the first failure ends the run with its traceback in ``failure.txt``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import sys
import threading
import time
import traceback
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from lava_align.backends.lava_group import end_group
from lava_align.backends.lava_job import ARRAYS_FILE, FAILURE_FILE, JOB_FILE, PROGRESS_FILE
from lava_align.backends.lava_shim import import_lava

Groups = dict[str, Any]


class LavaFailureError(Exception):
    """A Lava process raised or died; the text is for the user."""


def main(folder: Path, parent: int, prefix: str) -> int:
    """Run the job in ``folder``; return the exit code."""
    os.chdir(folder)
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]
    watch = threading.Thread(target=_die_with, args=(parent, folder, prefix), daemon=True)
    watch.start()
    failure = _failure_of_run()
    if os.getppid() != parent:
        # The watch is removing what is left; to exit or write now would spoil that.
        watch.join()
    if failure is not None:
        Path(FAILURE_FILE).write_text(failure)
    return 0 if failure is None else 1


def _failure_of_run() -> str | None:
    """Run the job in the working folder; say why it failed if it does."""
    try:
        _run(json.loads(Path(JOB_FILE).read_text()))
    except LavaFailureError as failure:
        return str(failure)
    except BaseException as error:
        # Runtime.initialize re-raises what a model's constructor raised, with its traceback.
        return str(getattr(error, "trace", traceback.format_exc()))
    return None


def _die_with(parent: int, folder: Path, prefix: str) -> None:
    """End this run and remove what it left when the parent is gone, killed included."""
    while os.getppid() == parent:
        time.sleep(0.2)
    # Twice: the main thread may be about to write a file or make shared memory for what is dead.
    for _ in range(2):
        end_group(os.getpgid(0), prefix, spare=os.getpid())
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)
    os._exit(1)


def _run(job: dict[str, Any]) -> None:
    import_lava()
    if job["direct_channels"]:
        from lava_align.backends.lava_channels import install

        install()
    from lava.magma.compiler.compiler_graphs import find_processes

    left = set(_build(job))
    config = _run_config(job)
    # Lava compiles what is connected; parts of a network that are not run one after the other.
    while left:
        process = next(iter(left))
        _run_connected(process, config, job["n_steps"])
        left -= {process, *find_processes(process)}


def _build(job: dict[str, Any]) -> list[Any]:
    """Make and connect all Processes."""
    groups: Groups = {}
    with np.load(ARRAYS_FILE) as arrays:
        for i, entry in enumerate(job["inputs"]):
            groups[entry["name"]] = _source(entry, arrays, i)
        for i, entry in enumerate(job["neurons"]):
            record = _recorded_files(entry, job)
            groups[entry["name"]] = neuron_process(
                entry, arrays, record=record, progress=(PROGRESS_FILE, i)
            )
        synapses = [
            _connect(entry, arrays, i, groups, job["numerics"])
            for i, entry in enumerate(job["synapses"])
        ]
    return [*groups.values(), *synapses]


def _source(entry: dict[str, Any], arrays: Any, i: int) -> Any:
    from lava_align.processes.graded_source.process import GradedSource
    from lava_align.processes.spike_source.process import SpikeSource

    common = {
        "shape": (entry["size"],),
        "step": arrays[f"step{i}"],
        "channel": arrays[f"channel{i}"],
        "name": entry["name"],
    }
    if entry["graded"]:
        return GradedSource(value=arrays[f"value{i}"], **common)
    return SpikeSource(**common)


def _recorded_files(entry: dict[str, Any], job: dict[str, Any]) -> dict[str, str]:
    """Make the files that a group is recorded to: attribute of its model to file."""
    state = np.int32 if job["numerics"] == "fixed_pt" else np.float64
    files = {}
    for kind, dtype in (("trains", bool), ("states", state)):
        for variable, (_, file) in entry[kind].items():
            _new_file(file, (job["n_steps"], entry["size"]), dtype)
            files[variable] = file
    return files


def neuron_process(entry: dict[str, Any], arrays: Any, **recording: Any) -> Any:
    """Make the Process of a neuron group.

    Parameters
    ----------
    entry : dict
        Of :func:`lava_align.backends.lava_job.describe_neurons`, its arrays named.
    arrays : mapping
        Name to array.
    """
    from lava.proc.lif.process import LIF

    from lava_align.processes.escape_neuron.process import EscapeNeuron
    from lava_align.processes.extended_lif.process import ExtendedLIF
    from lava_align.processes.graded_relay.process import GradedRelay

    made = {c.__name__: c for c in (LIF, ExtendedLIF, EscapeNeuron, GradedRelay)}
    parameters = {
        key: arrays[value] if key in ("bias_mant", "bias", "table") else value
        for key, value in entry["parameters"].items()
    }
    process = made[entry["process"]]
    return process(shape=(entry["size"],), name=entry["name"], **parameters, **recording)


def sending_port(groups: Groups, sender: str) -> Any:
    """Lava's port of a sender: a group's spikes, or ``group.port``."""
    if sender in groups:
        return groups[sender].s_out
    owner, _, port = sender.rpartition(".")
    return getattr(groups[owner], f"{port}_out")


def _connect(entry: dict[str, Any], arrays: Any, i: int, groups: Groups, numerics: str) -> Any:
    """Make one Dense, DelayDense or LearningDense and connect it."""
    from lava.magma.core.learning.constants import GradedSpikeCfg
    from lava.proc.dense.process import DelayDense, Dense, LearningDense
    from lava.utils.weightutils import SignMode

    weights = arrays[f"weights{i}"]
    common = {
        "weights": weights,
        "name": entry["name"],
        "sign_mode": SignMode[entry["sign_mode"]],
        "num_weight_bits": entry["num_weight_bits"],
        "weight_exp": entry["weight_exp"],
        "num_message_bits": 8 if entry["payload"] else 0,
    }
    post = groups[entry["post"]]
    if entry["learning"] is not None:
        if entry["snapshots"] is not None:
            file, steps = entry["snapshots"]
            dtype = np.int32 if numerics == "fixed_pt" else np.float64
            _new_file(file, (len(steps), *weights.shape), dtype)
            common["snapshots"] = (file, steps)
        mode = entry["graded"].upper() if entry["graded"] != "default" else "USE_REGULAR_IMPULSE"
        synapses = LearningDense(
            learning_rule=_rule(entry["learning"], numerics),
            graded_spike_cfg=GradedSpikeCfg[mode],
            **common,
        )
        sending_port(groups, entry["gate"]).connect(synapses.s_in_bap)
        for trace, sender in entry["modulators"].items():
            sending_port(groups, sender).connect(getattr(synapses, f"s_in_{trace}"))
    elif f"delays{i}" in arrays:
        synapses = DelayDense(delays=arrays[f"delays{i}"], **common)
    else:
        synapses = Dense(**common)
    sending_port(groups, entry["pre"]).connect(synapses.s_in)
    end = {"soma": "a_in", "apical": "a_apical"}[entry["into"]]
    if entry["acts"] and hasattr(post, end):
        synapses.a_out.connect(getattr(post, end))
    return synapses


def _rule(description: dict[str, Any], numerics: str) -> Any:
    """Make a rule object of its own for each projection, since Lava changes them."""
    from lava.magma.core.learning import constants
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule

    made = Loihi3FLearningRule if description["third_factor"] else Loihi2FLearningRule
    rule = made(**description["arguments"])
    if numerics == "floating_pt":
        # The fixed-point applier shifts products of several factors to the right and never back
        # (learning_rule_applier.py:310-313); the float applier does not. Without this the two
        # would be different rules.
        for series in rule.active_product_series.values():
            for product in series.products:
                widths = [constants.FACTOR_TO_WIDTH_DICT[f.state_var] for f in product.factors]
                shift = sum(widths) + constants.W_S_MANT - constants.W_ACCUMULATOR_U
                product._s_exp -= max(0, shift)
    return rule


def _new_file(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    # NumPy 2.3 has no types for it; later versions do.
    open_memmap(name, mode="w+", dtype=dtype, shape=shape)  # type: ignore[no-untyped-call,unused-ignore]


def _run_config(job: dict[str, Any]) -> Any:
    """Lava's CPU run configuration with our recording models in place of Lava's own."""
    import lava.proc.dense.process as dense
    import lava.proc.lif.process as lif
    from lava.magma.core.run_configs import Loihi2SimCfg

    from lava_align.processes.escape_neuron.process import EscapeNeuron
    from lava_align.processes.extended_lif.process import ExtendedLIF
    from lava_align.processes.graded_relay.process import GradedRelay
    from lava_align.processes.recorded import models
    from lava_align.processes.spike_source.process import SpikeSource

    suffix = {"fixed_pt": "Fixed", "floating_pt": "Float"}[job["numerics"]]
    chosen = {
        lif.LIF: getattr(models, f"RecordedLif{suffix}"),
        dense.LearningDense: getattr(models, f"RecordedLearningDense{suffix}"),
        ExtendedLIF: getattr(models, f"RecordedExtendedLif{suffix}"),
        EscapeNeuron: getattr(models, f"RecordedEscapeNeuron{suffix}"),
        GradedRelay: getattr(models, f"RecordedGradedRelay{suffix}"),
    }
    known = {c.__name__: c for c in (lif.LIF, dense.Dense, dense.LearningDense, SpikeSource)}
    for process, path in job["models"].items():
        module, _, name = path.partition(":")
        chosen[known[process]] = getattr(importlib.import_module(module), name)
    return Loihi2SimCfg(select_tag=job["numerics"], exception_proc_model_map=chosen)


def _run_connected(process: Any, config: Any, n_steps: int) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

    process.create_runtime(run_cfg=config)
    runtime = process.runtime
    actors = runtime._messaging_infrastructure.actors
    runtime.start(RunSteps(num_steps=n_steps, blocking=False))
    answers = runtime.service_to_runtime
    while not all(port.probe() for port in answers):
        _raise_failures(actors)
        time.sleep(0.01)
    if not all(enum_equal(port.peek(), MGMT_RESPONSE.DONE) for port in answers):
        # The exception follows the answer through a pipe of its own.
        end = time.monotonic() + 5
        while time.monotonic() < end:
            _raise_failures(actors)
            time.sleep(0.01)
        raise LavaFailureError("Lava reported an error without an exception")
    process.wait()
    process.stop()


def _raise_failures(actors: list[Any]) -> None:
    """Raise if a Lava process has raised or died."""
    failures = []
    for actor in actors:
        with contextlib.suppress(EOFError, TypeError, AttributeError, ImportError):
            if actor.exception is not None:
                failures.append(actor.exception[1])
                continue
        if actor.exitcode is not None:
            failures.append(f"a process of Lava ended with exit code {actor.exitcode}")
    if failures:
        raise LavaFailureError("\n".join(failures))


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    sys.stdout.flush()
    sys.stderr.flush()
    # Lava keeps the interpreter from ending by itself after a failure.
    os._exit(code)
