"""The reference: the network as the papers' equations say, in floats, with Brian2.

Nothing here is derived from a compiled program, so that a mistake in either shows as a
disagreement. Linear equations are integrated exactly. Within a step of the reference, in this
order: membrane, current and traces move on; thresholds; spikes are transmitted; resets and traces
take the spikes; rules learn. A spike of step ``n`` can therefore make its target spike in step
``n + 1`` at the earliest, and learning sees the spikes of its own step.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lava_align.backends.brian2_checks import request_problems, snapshot_problems
from lava_align.backends.brian2_network import Model, Monitored, build, source_spikes
from lava_align.backends.brian2_runtime import Codegen, Simulator, choose_codegen, simulator
from lava_align.backends.brian2_snapshots import Snapshots
from lava_align.backends.brian2_standalone import ProgressCallback, shares
from lava_align.errors import InvalidInputError
from lava_align.model.network import EscapeNeuron, Network, draw_stimuli
from lava_align.recording import Recording, Series, Spikes

Array = np.ndarray[Any, Any]

NAME = "brian2"


class Events(NamedTuple):
    """Step of the reference, neuron and value (if they have one) of events, in order of time."""

    step: Array
    neuron: Array
    value: Array | None

    def chosen(self, which: Array) -> Events:
        """Those at the given places."""
        value = None if self.value is None else self.value[which]
        return Events(self.step[which], self.neuron[which], value)


def run_reference(
    network: Network,
    seeds: Sequence[int],
    *,
    inputs: Sequence[Mapping[str, Spikes] | None] | None = None,
    dt: float | None = None,
    weight_steps: Sequence[int] = (),
    codegen: Codegen | None = None,
    progress: ProgressCallback | None = None,
) -> list[Recording]:
    """Simulate the network once per seed, many seeds side by side in one Brian2 network.

    Batching does not change results: a replicate comes out the same alone and among others, unless
    neurons are stochastic. Those of all replicates draw from one stream of random numbers: the
    same seeds in the same order with the same ``codegen`` give the same recordings again, but a
    replicate alone differs from the same among others.

    Parameters
    ----------
    network : Network
    seeds : sequence of int
        One replicate each, >= 0. A seed draws the stimuli; stochastic neurons take theirs from
        all seeds together. Nothing else is random.
    inputs : sequence of mappings or None, optional
        For each replicate the spikes of every stimulus on the network's grid, such as those that
        another simulator was driven with. None draws them with
        :func:`~lava_align.model.network.draw_stimuli`: all, or those of one replicate.
    dt : float, optional
        Step of the reference, seconds: the network's ``dt`` (the default) or a whole fraction of
        it. Stimuli stay on the network's grid.
    weight_steps : sequence of int
        Steps of the network after which plastic weights are kept, 0..n_steps; 0 is the start.
    codegen : {"numpy", "cython", "cpp_standalone"}, optional
        How Brian2 executes the equations. ``cpp_standalone`` compiles a program (several seconds)
        in a private temporary folder and runs it in as many processes as there are processors. It
        pays off for long runs: without a choice they get it where there is a compiler, and the
        others run in NumPy.
    progress : callable, optional
        Called about once a second with (steps done, steps in all).

    Returns
    -------
    list of Recording
        In the order of ``seeds``, on the network's grid: a spike at time t belongs to step
        ``floor(t / network.dt)``. If ``dt`` is finer and a neuron spikes twice in one step of the
        network, the first is kept and ``provenance["merged_spikes"]`` counts the other.

    Raises
    ------
    InvalidInputError
        For arguments out of range, with all of them at once.
    MissingDependencyError
        If Brian2 is not installed.
    BackendError
        If Brian2 fails; the cause is attached.

    Notes
    -----
    Brian2's device and preferences are changed for the time of the call and restored after it.
    They are global, so call this from one thread at a time; processes do not disturb each other.
    """
    step = network.dt if dt is None else dt
    codegen = codegen or _choose_codegen(network, len(seeds), weight_steps)
    problems = list(
        request_problems(
            network,
            seeds,
            inputs=inputs,
            dt=step,
            weight_steps=weight_steps,
            codegen=codegen,
        )
    )
    if problems:
        raise InvalidInputError(problems)
    if not seeds:
        return []
    if inputs is None:
        inputs = [None] * len(seeds)
    task = _Task(network, seeds, inputs, weight_steps, step)
    with simulator(codegen) as guest:
        if task.stochastic:
            guest.seed(int(np.random.SeedSequence(list(seeds)).generate_state(1)[0]))
        run = _run_here if guest.program is None else _run_program
        replicates = run(guest, task, progress)
        version = guest.brian2.__version__
    provenance = {
        "brian2": version,
        "codegen": codegen,
        "reference_dt": network.dt / task.divisions,
    }
    return [
        replicate.recording(task, {**provenance, **task.origin(index)})
        for index, replicate in enumerate(replicates)
    ]


@dataclass(frozen=True)
class _Task:
    """What is to be run, checked."""

    network: Network
    seeds: Sequence[int]
    inputs: Sequence[Mapping[str, Spikes] | None]
    weight_steps: Sequence[int]
    step: float

    @property
    def divisions(self) -> int:
        """Steps of the reference per step of the network."""
        return round(self.network.dt / self.step)

    @property
    def stochastic(self) -> bool:
        """Whether neurons draw random numbers."""
        return any(isinstance(p.neuron, EscapeNeuron) for p in self.network.populations)

    def stimuli(self) -> list[Mapping[str, Spikes]]:
        """Input spikes of every replicate, given or drawn."""
        return [
            draw_stimuli(self.network, seed) if given is None else dict(given)
            for seed, given in zip(self.seeds, self.inputs, strict=True)
        ]

    def silence(self) -> dict[str, Spikes]:
        """Return stimuli without a spike."""
        nothing = np.zeros(0, dtype=np.int64)
        return {
            s.name: Spikes(
                step=nothing, neuron=nothing, size=self.network.population(s.population).size
            )
            for s in self.network.stimuli
        }

    def origin(self, index: int) -> dict[str, Any]:
        """Say where a replicate's input comes from."""
        given = self.inputs[index] is not None
        return {"seed": int(self.seeds[index]), "inputs": "given" if given else "drawn"}


@dataclass(frozen=True)
class _Replicate:
    """What one replicate did: input, events by population and ``population.event``, weights."""

    stimuli: Mapping[str, Spikes]
    events: Mapping[str, Events]
    sizes: Mapping[str, int]
    weights: Mapping[str, Series]

    def recording(self, task: _Task, provenance: Mapping[str, Any]) -> Recording:
        """Put it on the network's grid."""
        network = task.network
        found = {
            name: _on_grid(events, self.sizes[name], task.divisions)
            for name, events in self.events.items()
        }
        return Recording(
            backend=NAME,
            dt=network.dt,
            n_steps=network.n_steps,
            spikes={name: spikes for name, (spikes, _) in found.items()},
            weights=dict(self.weights),
            stimuli=dict(self.stimuli),
            not_probed=tuple(p.name for p in network.plastic() if p.name not in self.weights),
            provenance={**provenance, "merged_spikes": sum(merged for _, merged in found.values())},
        )


class _Bench:
    """The Brian2 network of a task with some replicates side by side, and what it shows."""

    def __init__(
        self, guest: Simulator, task: _Task, inputs: Sequence[Mapping[str, Spikes]]
    ) -> None:
        self.task = task
        self.model: Model = build(guest.brian2, task.network, inputs, task.divisions)
        self.snapshots = Snapshots(
            guest,
            self.model,
            task.network,
            task.weight_steps,
            n_replicates=len(inputs),
            divisions=task.divisions,
        )
        self.objects = guest.brian2.Network(*self.model.objects, *self.snapshots.objects)
        self.duration = task.network.n_steps * task.network.dt

    def replicates(self, stimuli: Sequence[Mapping[str, Spikes]]) -> list[_Replicate]:
        """Collect the first replicates, one for each entry of ``stimuli``."""
        weights = self.snapshots.collect()
        monitored = self.model.monitored
        populations = {p.name: p.size for p in self.task.network.populations}
        sizes = {name: populations[found.population] for name, found in monitored.items()}
        events = {
            name: _by_replicate(_events(found, self.task.step), sizes[name], len(stimuli))
            for name, found in monitored.items()
        }
        return [
            _Replicate(
                stimuli=given,
                events={name: parts[index] for name, parts in events.items()},
                sizes=sizes,
                weights=_weights_of(index, weights),
            )
            for index, given in enumerate(stimuli)
        ]


def _run_here(guest: Simulator, task: _Task, progress: ProgressCallback | None) -> list[_Replicate]:
    """Run all replicates side by side in this process."""
    stimuli = task.stimuli()
    bench = _Bench(guest, task, stimuli)
    guest.run(bench.objects, bench.duration, task.network.n_steps, progress)
    return bench.replicates(stimuli)


def _run_program(
    guest: Simulator, task: _Task, progress: ProgressCallback | None
) -> list[_Replicate]:
    """Run shares of the replicates in processes of their own, all with the same program."""
    program, n_steps = guest.program, task.network.n_steps
    assert program is not None
    # Replicates with random numbers of their own draw from one stream, whatever the machine.
    parts = [range(len(task.seeds))] if task.stochastic else shares(len(task.seeds))
    n_blocks = len(parts[0])
    bench = _Bench(guest, task, [task.silence()] * n_blocks)
    if progress is not None:
        progress(0, n_steps)
    with program.compiled(bench.objects, bench.duration, bench.model.sources):
        stimuli = task.stimuli()
    spikes = (_sources(task, stimuli[part.start : part.stop], n_blocks) for part in parts)
    program.run(spikes, n_steps, progress)
    replicates = []
    for index, part in enumerate(parts):
        program.read(index)
        replicates += bench.replicates(stimuli[part.start : part.stop])
    return replicates


def _sources(
    task: _Task, stimuli: Sequence[Mapping[str, Spikes]], n_blocks: int
) -> dict[str, tuple[Array, Array]]:
    """Spikes of every generator: source neuron and step of the reference."""
    return {
        population.name: source_spikes(task.network, population, stimuli, n_blocks, task.divisions)
        for population in task.network.populations
        if any(s.population == population.name for s in task.network.stimuli)
    }


def _choose_codegen(network: Network, n_seeds: int, weight_steps: Sequence[int]) -> Codegen:
    chosen = choose_codegen(network.n_steps)
    if chosen == "cpp_standalone" and any(snapshot_problems(network, n_seeds, weight_steps)):
        return "numpy"
    return chosen


def _events(found: Monitored, dt: float) -> Events:
    """Events of a group of all replicates."""
    monitor = found.monitor
    step = np.rint(np.asarray(monitor.t_) / dt).astype(np.int64)
    value = np.array(getattr(monitor, found.value)) if found.value else None
    return Events(step, np.array(monitor.i), value)


def _by_replicate(events: Events, size: int, n: int) -> list[Events]:
    """Events of each of the first ``n`` replicates."""
    # Sixteen bits are sorted by counting.
    replicate = (events.neuron // size).astype(np.int16 if n < 2**15 else np.int64)
    order = np.argsort(replicate, kind="stable")
    ends = np.searchsorted(replicate[order], np.arange(n + 1))
    chosen = [events.chosen(order[first:last]) for first, last in itertools.pairwise(ends)]
    return [part._replace(neuron=part.neuron % size) for part in chosen]


def _on_grid(events: Events, size: int, divisions: int) -> tuple[Spikes, int]:
    """Spikes on the network's grid, and how many were merged with an earlier one."""
    step, merged = events.step // divisions, 0
    if divisions > 1:
        cells = step * size + events.neuron
        first = np.unique(cells, return_index=True)[1]
        events, step, merged = events.chosen(first), step[first], len(cells) - len(first)
    return Spikes(step=step, neuron=events.neuron, size=size, value=events.value), merged


def _weights_of(index: int, weights: Mapping[str, Mapping[int, Array]]) -> dict[str, Series]:
    return {
        name: Series(
            step=np.array(list(kept)), values=np.stack([values[index] for values in kept.values()])
        )
        for name, kept in weights.items()
    }
