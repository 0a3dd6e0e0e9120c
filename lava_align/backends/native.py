"""The native engine as a backend: Lava's integers, thousands of times faster.

What it computes and how that is tested stands in ``docs/engine_semantics.md``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from lava_align._version import __version__
from lava_align.backends.base import Probes, ProgressCallback
from lava_align.backends.common import before, check_run, not_probed, recorded_groups
from lava_align.compiler.program import Program
from lava_align.engine.base import Engine, Semantics
from lava_align.engine.native import load_engine
from lava_align.errors import InterruptedRunError
from lava_align.recording import Array, Recording, Series, Spikes

STEPS_AT_ONCE = 64
SECONDS_AT_ONCE = 0.25
"""Progress and Ctrl-C get a turn about this often."""


class NativeBackend:
    """Runs programs on the native engine.

    Parameters
    ----------
    semantics : {"lava-0.10.0", "independent-rounding"}
        Lava's rounding with one shared random number, or one of its own for every synapse.
    seed : int
        Of the independent rounding.
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
        inputs: Mapping[str, Spikes],
        n_steps: int,
        probes: Probes | None = None,
        progress: ProgressCallback | None = None,
    ) -> Recording:
        """Run a program (see :class:`lava_align.backends.base.Backend`).

        Raises
        ------
        InvalidInputError
            If inputs, probes or n_steps do not fit the program.
        InterruptedRunError
            On Ctrl-C; it holds what was recorded until then.
        """
        probes = probes or Probes()
        check_run(program, inputs, n_steps, probes)
        engine = load_engine(program, self.semantics, self.seed, self.threads)
        run = _Run(self, engine, program, inputs, probes)
        try:
            run.go(n_steps, progress)
        except KeyboardInterrupt:
            done = run.recording(partial=True)
            raise InterruptedRunError(
                f"interrupted after {done.n_steps} of {n_steps} steps", done
            ) from None
        return run.recording(partial=False)


class _Run:
    """One run and what it has recorded so far."""

    def __init__(
        self,
        backend: NativeBackend,
        engine: Engine,
        program: Program,
        inputs: Mapping[str, Spikes],
        probes: Probes,
    ) -> None:
        self.backend, self.engine, self.program = backend, engine, program
        self.inputs, self.probes = inputs, probes
        self.groups = recorded_groups(program, probes)
        self.spikes: dict[str, list[tuple[Array, Array]]] = {name: [] for name in self.groups}
        self.states: dict[str, list[Array]] = {name: [] for name in probes.states}
        self.weights: dict[str, list[Array]] = {s.name: [] for s in program.plastic()}
        self.taken: list[int] = []
        self.steps = 0

    def go(self, n_steps: int, progress: ProgressCallback | None) -> None:
        """Run to the end, stopping for snapshots."""
        snapshots = sorted(set(self.probes.weight_steps))
        most = STEPS_AT_ONCE
        self._snapshot_at(snapshots)
        while self.steps < n_steps:
            stop = next((s for s in snapshots if s > self.steps), n_steps)
            stop = min(stop, n_steps, self.steps + most)
            began, first = time.monotonic(), self.steps
            self._advance(stop)
            self._snapshot_at(snapshots)
            speed = (stop - first) / max(time.monotonic() - began, 1e-6)
            most = max(STEPS_AT_ONCE, min(2 * most, int(speed * SECONDS_AT_ONCE)))
            if progress is not None:
                progress(self.steps, n_steps)

    def _advance(self, stop: int) -> None:
        chunk = self.engine.run(
            stop - self.steps, self.inputs, self.groups, tuple(self.probes.states)
        )
        # Taken over together: an interruption must not leave one ahead of the other.
        for name, events in chunk.spikes.items():
            self.spikes[name].append(events)
        for name, values in chunk.states.items():
            self.states[name].append(values)
        self.steps = stop

    def _snapshot_at(self, snapshots: list[int]) -> None:
        if self.steps in snapshots:
            for name, values in self.weights.items():
                values.append(self.engine.read(f"{name}.weights"))
            self.taken.append(self.steps)

    def recording(self, *, partial: bool) -> Recording:
        """Everything recorded so far."""
        sizes = {group.name: group.size for group in self.program.neurons}
        return Recording(
            backend=self.backend.name,
            dt=self.program.dt,
            n_steps=self.steps,
            spikes={n: _spikes(parts, sizes[n]) for n, parts in self.spikes.items()},
            weights={
                name: Series(step=np.array(self.taken), values=np.array(values))
                for name, values in self.weights.items()
                if values
            },
            states={
                name: Series(step=np.arange(self.steps), values=np.concatenate(parts))
                for name, parts in self.states.items()
                if parts
            },
            stimuli={name: before(self.steps, given) for name, given in self.inputs.items()},
            not_probed=not_probed(self.program, self.probes),
            provenance={
                "engine": f"{type(self.engine).__name__.lower()} {__version__}",
                "semantics": self.backend.semantics,
                "program": self.program.digest(),
                **({"partial": True} if partial else {}),
            },
        )


def _spikes(parts: list[tuple[Array, Array]], size: int) -> Spikes:
    steps = [step for step, _ in parts] or [np.zeros(0, np.int64)]
    neurons = [neuron for _, neuron in parts] or [np.zeros(0, np.int32)]
    return Spikes(step=np.concatenate(steps), neuron=np.concatenate(neurons), size=size)
