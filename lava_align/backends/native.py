"""The native engine as a backend: Lava's integers, thousands of times faster.

What it computes and how that is tested stands in ``docs/engine_semantics.md``; runs that are too
long to be held in memory go through :mod:`lava_align.long_run`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from lava_align._version import __version__
from lava_align.backends.base import Probes, ProgressCallback
from lava_align.backends.common import (
    RunInputs,
    as_spikes,
    check_run,
    drawing_seed,
    not_probed,
    recorded_groups,
    sum_of_planes,
)
from lava_align.compiler.program import Program
from lava_align.engine.base import Engine, Semantics
from lava_align.engine.native import load_engine
from lava_align.errors import InterruptedRunError
from lava_align.interrupt import deferred_interrupt
from lava_align.memory import require_memory
from lava_align.recording import Recording, Series, Spikes
from lava_align.spike_stream import SpikeStream

FEWEST_STEPS, MOST_STEPS = 8, 2**15
SECONDS_AT_ONCE = 0.25
"""Progress and Ctrl-C get a turn about this often."""


class NativeBackend:
    """Runs programs on the native engine.

    Parameters
    ----------
    semantics : {"lava-0.10.0", "independent-rounding"}
        Lava's rounding with one shared random number, or one of its own for every synapse.
    seed : int
        Of the independent rounding, and of neurons that draw.
    threads : int
        At least 1; the integers do not depend on it.
    """

    name = "native"

    def __init__(
        self, *, semantics: Semantics = "lava-0.10.0", seed: int = 0, threads: int = 1
    ) -> None:
        self.semantics = semantics
        self.seed = seed
        self.threads = threads

    def run(
        self,
        program: Program,
        inputs: RunInputs,
        n_steps: int,
        probes: Probes | None = None,
        progress: ProgressCallback | None = None,
    ) -> Recording:
        """Run a program (see :class:`lava_align.backends.base.Backend`).

        Raises
        ------
        InvalidInputError
            If inputs, probes or n_steps do not fit the program, or the recording the memory.
        InterruptedRunError
            On Ctrl-C; it holds what was recorded until then.
        """
        probes = probes or Probes()
        given = as_spikes(program, inputs)
        check_run(program, given, n_steps, probes)
        held = run_bytes(program, probes, n_steps)
        require_memory("run", held, "fewer probes, or run_to_file, which streams to disk")
        streams = {name: SpikeStream.of(spikes) for name, spikes in given.items()}
        made: list[Recording] = []
        try:
            with deferred_interrupt() as interrupt:
                for stretch in self.stretches(self.engine(program), streams, n_steps, probes):
                    made.append(stretch)
                    if progress is not None:
                        progress(stretch.n_steps, n_steps)
                    interrupt.check()
        except KeyboardInterrupt:
            if not made:
                raise
            done = partial(Recording.joined(made))
            raise InterruptedRunError(
                f"interrupted after {done.n_steps} of {n_steps} steps", done
            ) from None
        return Recording.joined(made)

    def engine(self, program: Program) -> Engine:
        """Load a program into a new engine."""
        return load_engine(program, self.semantics, self.seed, self.threads)

    def stretches(
        self,
        engine: Engine,
        inputs: Mapping[str, SpikeStream],
        n_steps: int,
        probes: Probes,
    ) -> Iterator[Recording]:
        """Run up to step ``n_steps``, giving what was recorded every quarter of a second or so.

        Parameters
        ----------
        engine : Engine
            From where it stands.
        inputs : mapping
            Input group to its spikes; those before the engine's step are passed over.

        Yields
        ------
        Recording
            Of the steps since the last one; its ``n_steps`` is where it ends.
        """
        for stream in inputs.values():
            stream.until(engine.step)
        program = engine.program
        header = Recording(
            backend=self.name,
            dt=program.dt,
            n_steps=n_steps,
            spikes={},
            not_probed=not_probed(program, probes),
            provenance={
                "engine": f"{type(engine).__name__.lower()} {__version__}",
                "semantics": self.semantics,
                "program": program.digest(),
                **drawing_seed(program, self.seed),
            },
        )
        snapshots = sorted(set(probes.weight_steps))
        most = FEWEST_STEPS
        while engine.step < n_steps:
            start = engine.step
            stop = min(next((s for s in snapshots if s > start), n_steps), start + most, n_steps)
            began = time.monotonic()
            yield _stretch(header, engine, inputs, stop, probes, snapshots)
            speed = (stop - start) / max(time.monotonic() - began, 1e-6)
            most = max(FEWEST_STEPS, min(2 * most, int(speed * SECONDS_AT_ONCE), MOST_STEPS))


def _stretch(
    header: Recording,
    engine: Engine,
    inputs: Mapping[str, SpikeStream],
    stop: int,
    probes: Probes,
    snapshots: list[int],
) -> Recording:
    """Run up to step ``stop`` and record."""
    start, program = engine.step, engine.program
    groups = recorded_groups(program, probes)
    senders = program.senders()
    weights: dict[str, list[Series]] = {}
    if start == 0 and 0 in snapshots:
        _snapshot(engine, weights)
    given = {name: stream.until(stop) for name, stream in inputs.items()}
    chunk = engine.run(stop - start, given, groups, tuple(probes.states))
    if stop in snapshots:
        _snapshot(engine, weights)
    return replace(
        header,
        n_steps=stop,
        spikes={
            name: Spikes(step=step, neuron=neuron, size=senders[name].size)
            for name, (step, neuron) in chunk.spikes.items()
        },
        weights={name: Series.joined(series) for name, series in weights.items()},
        states={
            name: Series(step=np.arange(start, stop), values=values)
            for name, values in chunk.states.items()
        },
        stimuli=given,
    )


def _snapshot(engine: Engine, weights: dict[str, list[Series]]) -> None:
    for name, planes in engine.program.projections().items():
        values = sum_of_planes(engine.read(f"{plane}.weights") for plane in planes)
        found = Series(step=np.array([engine.step]), values=values[None])
        weights.setdefault(name, []).append(found)


def partial(recording: Recording) -> Recording:
    """Mark a recording as that of a run which did not come to its end."""
    return replace(recording, provenance={**recording.provenance, "partial": True})


def run_bytes(program: Program, probes: Probes, n_steps: int) -> int:
    """Memory that a run of ``n_steps`` needs at least: synapses, snapshots and states.

    Spikes are left out: how many there will be nobody knows.
    """
    sizes = program.states()
    engine = sum(3 * synapses.weights.size for synapses in program.synapses)
    snapshots = len(set(probes.weight_steps)) * sum(s.weights.size for s in program.plastic())
    states: int = n_steps * sum(sizes[name] for name in probes.states)
    # Both are joined from their parts, which exist once more meanwhile; int32.
    return engine + 2 * 4 * (snapshots + states)
