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
from typing import Any, NamedTuple

import numpy as np

from lava_align.backends.brian2_checks import request_problems, snapshot_problems
from lava_align.backends.brian2_network import Monitored, build
from lava_align.backends.brian2_runtime import Codegen, ProgressCallback, choose_codegen, simulator
from lava_align.backends.brian2_snapshots import Snapshots
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
    inputs: Sequence[Mapping[str, Spikes]] | None = None,
    dt: float | None = None,
    weight_steps: Sequence[int] = (),
    codegen: Codegen | None = None,
    progress: ProgressCallback | None = None,
) -> list[Recording]:
    """Simulate the network once per seed, all seeds side by side in one Brian2 network.

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
    inputs : sequence of mappings, optional
        For each replicate the spikes of every stimulus on the network's grid, such as those that
        another simulator was driven with. None draws them with
        :func:`~lava_align.model.network.draw_stimuli`.
    dt : float, optional
        Step of the reference, seconds: the network's ``dt`` (the default) or a whole fraction of
        it. Stimuli stay on the network's grid.
    weight_steps : sequence of int
        Steps of the network after which plastic weights are kept, 0..n_steps; 0 is the start.
    codegen : {"numpy", "cython", "cpp_standalone"}, optional
        How Brian2 executes the equations. ``cpp_standalone`` compiles a program (tens of seconds)
        in a private temporary folder, and pays off for long runs: without a choice they get it
        where there is a compiler, and the others run in NumPy.
    progress : callable, optional
        Called about once a second with (steps done, steps in all), from another thread for
        ``cpp_standalone``.

    Returns
    -------
    list of Recording
        In the order of ``seeds``, on the network's grid: a spike at time t belongs to step
        ``floor(t / network.dt)``. Events that a rule has recorded are spikes of
        ``population.event``. If ``dt`` is finer and a neuron spikes twice in one step of the
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
    driven = [draw_stimuli(network, seed) for seed in seeds] if inputs is None else inputs
    divisions = round(network.dt / step)
    with simulator(codegen) as guest:
        if any(isinstance(p.neuron, EscapeNeuron) for p in network.populations):
            guest.seed(int(np.random.SeedSequence(list(seeds)).generate_state(1)[0]))
        model = build(guest.brian2, network, driven, divisions)
        snapshots = Snapshots(
            guest, model, network, weight_steps, n_replicates=len(seeds), divisions=divisions
        )
        objects = guest.brian2.Network(*model.objects, *snapshots.objects)
        guest.run(objects, network.n_steps * network.dt, network.n_steps, progress)
        weights = snapshots.collect()
        sizes = {population.name: population.size for population in network.populations}
        events = {
            name: _by_replicate(_events(found, step), sizes[found.population], len(seeds))
            for name, found in model.monitored.items()
        }
        sizes = {name: sizes[found.population] for name, found in model.monitored.items()}
        version = guest.brian2.__version__
    provenance = {
        "brian2": version,
        "codegen": codegen,
        "reference_dt": network.dt / divisions,
        "inputs": "drawn" if inputs is None else "given",
    }
    recordings = []
    for index, seed in enumerate(seeds):
        found = {n: _on_grid(parts[index], sizes[n], divisions) for n, parts in events.items()}
        recordings.append(
            Recording(
                backend=NAME,
                dt=network.dt,
                n_steps=network.n_steps,
                spikes={name: spikes for name, (spikes, _) in found.items()},
                weights=_weights_of(index, weights),
                stimuli=dict(driven[index]),
                not_probed=tuple(p.name for p in network.plastic() if p.name not in weights),
                provenance={
                    **provenance,
                    "seed": int(seed),
                    "merged_spikes": sum(merged for _, merged in found.values()),
                },
            )
        )
    return recordings


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
    """Events of each of ``n`` replicates."""
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
