"""Builds the Brian2 network of the reference: equations with units, nothing quantised.

Replicates are blocks of one larger network: neuron ``i`` of replicate ``r`` is neuron
``r * size + i`` of its group, and synapses stay within a replicate. One step then costs about
the same for one replicate and for twenty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.backends.brian2_learning import (
    EVENT_SLOT,
    Learner,
    PlacedEvent,
    dedent,
    learning_pathways,
    schedule,
)
from lava_align.backends.brian2_neurons import arrival, cell
from lava_align.backends.brian2_rules import Traces
from lava_align.model.network import EscapeNeuron, Network, Population, Projection
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """Events of a population that are recorded.

    Parameters
    ----------
    population : str
    monitor : brian2.EventMonitor
    value : str
        Variable kept with every event; empty for none.
    """

    population: str
    monitor: Any
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The Brian2 objects of a run.

    Parameters
    ----------
    clock : brian2.Clock
    monitored : dict
        By population, and by ``population.event`` for events beside spikes.
    plastic : dict
        Synapses by plastic projection, in the order (replicate, pre, post).
    sources : dict
        Generator of the stimuli's spikes by population; see :func:`source_spikes`.
    objects : list
        Everything that belongs into the Brian2 network.
    """

    clock: Any
    monitored: dict[str, Monitored]
    plastic: dict[str, Any]
    sources: dict[str, Any]
    objects: list[Any]


def build(
    brian2: Any, network: Network, inputs: Sequence[Mapping[str, Spikes]], divisions: int
) -> Model:
    """Make the objects for one block per entry of ``inputs``.

    Parameters
    ----------
    brian2 : module
    network : Network
    inputs : sequence of mappings
        For each replicate the spikes of every stimulus, on the network's grid.
    divisions : int
        Steps of the reference per step of the network, >= 1.
    """
    return _Builder(brian2, network, inputs, divisions).build()


def source_spikes(
    network: Network,
    population: Population,
    inputs: Sequence[Mapping[str, Spikes]],
    n_blocks: int,
    divisions: int,
) -> tuple[Array, Array]:
    """Source neuron and step of the reference of every spike into a population, sorted by step.

    Parameters
    ----------
    inputs : sequence of mappings
        Spikes of every stimulus, for the first of the ``n_blocks`` blocks or for all of them.
    n_blocks, divisions : int
        Blocks of the model; steps of the reference per step of the network.
    """
    stimuli = [s for s in network.stimuli if s.population == population.name]
    sources, steps = [], []
    for place, stimulus in enumerate(stimuli):
        for block, given in enumerate(inputs):
            spikes = given[stimulus.name]
            sources.append((place * n_blocks + block) * population.size + spikes.neuron)
            steps.append(spikes.step * divisions)
    source, step = np.concatenate(sources), np.concatenate(steps)
    # Sources come in ascending order, each with ascending steps: merged, not sorted.
    order = np.argsort(step, kind="stable")
    return source[order], step[order]


class _Builder:
    """Makes the objects of a network one after the other."""

    def __init__(
        self, brian2: Any, network: Network, inputs: Sequence[Mapping[str, Spikes]], divisions: int
    ) -> None:
        self.brian2, self.network, self.inputs = brian2, network, inputs
        self.divisions, self.n_replicates = divisions, len(inputs)
        self.dt = network.dt / divisions
        self.clock = brian2.Clock(dt=self.dt * brian2.second, name="reference_clock")
        self.learners = {
            projection.name: Learner.of(brian2, projection, f"plastic{index}_")
            for index, projection in enumerate(network.plastic())
        }
        self.groups: dict[str, Any] = {}

    def build(self) -> Model:
        network = self.network
        model = Model(clock=self.clock, monitored={}, plastic={}, sources={}, objects=[])
        for index, population in enumerate(network.populations):
            group = self.groups[population.name] = self._group(population, index)
            monitor = self.brian2.SpikeMonitor(group, name=f"spikes{index}")
            name = population.name
            model.monitored[name] = Monitored(population=name, monitor=monitor)
            stimulation = self._stimulation(population, index)
            if stimulation:
                model.sources[name] = stimulation[0]
            model.objects.extend([group, monitor, *stimulation])
        for index, projection in enumerate(network.projections):
            synapses = self._synapses(projection, index)
            if synapses is not None:
                model.objects.append(synapses)
            if projection.plasticity is not None:
                model.plastic[projection.name] = synapses
                model.objects.extend(self._relays(projection, index))
        for name, monitored in self._monitored_events():
            model.monitored[name] = monitored
            model.objects.append(monitored.monitor)
        return model

    def _group(self, population: Population, index: int) -> Any:
        neuron = population.neuron
        described = cell(self.brian2, neuron, [f"felt{i}" for i in self._felt_by(population)])
        equations, reset = described.equations, described.reset
        namespace = dict(described.namespace)
        for learner, traces in self._traces(population):
            equations += f"\n{traces.equations}\n"
            reset += f"\n{traces.on_spike}"
            namespace |= learner.group_namespace()
        equations += "".join(f"sent{i} : 1\n" for i in self._felt_from(population))
        events = [
            placed
            for learner, side in self._learning(population)
            for placed in learner.events(side)
        ]
        held_steps = round(neuron.refractory / self.dt)
        # Brian2 counts from the start of the spike's own step, the network from its end.
        refractory = (held_steps + 1) * self.dt * self.brian2.second
        group = self.brian2.NeuronGroup(
            self.n_replicates * population.size,
            equations,
            method="exact",
            threshold=described.threshold,
            reset=dedent(reset),
            refractory=refractory if held_steps else False,
            events={placed.event.name: placed.event.condition for placed in events},
            namespace=namespace,
            clock=self.clock,
            name=f"population{index}",
        )
        if held_steps and described.held:
            self._every_step(group, described.held, "after_groups", 1, f"hold{index}")
        for learner, traces in self._traces(population):
            if traces.every_step.strip():
                name = f"{learner.prefix}every_step{index}"
                self._every_step(group, traces.every_step, "after_groups", 0, name)
        for placed in events:
            self._place(group, placed)
        return group

    def _every_step(self, group: Any, code: str, when: str, order: int, name: str) -> None:
        group.run_regularly(dedent(code), clock=self.clock, when=when, order=order, name=name)

    def _place(self, group: Any, placed: PlacedEvent) -> None:
        """Schedule the parts of an event that concern neurons."""
        event = placed.event
        if event.every_step:
            name = f"{event.name}_every_step"
            self._every_step(group, event.every_step, EVENT_SLOT, placed.order, name)
        group.set_event_schedule(event.name, when=EVENT_SLOT, order=placed.condition_order)
        if event.neuron:
            code = dedent(event.neuron)
            group.run_on_event(event.name, code, when=EVENT_SLOT, order=placed.neuron_order)

    def _learning(self, population: Population) -> Iterator[tuple[Learner, str]]:
        """Rules that concern a population, and its side in each."""
        for projection in self.network.plastic():
            for side in ("pre", "post"):
                if getattr(projection, side) == population.name:
                    yield self.learners[projection.name], side

    def _traces(self, population: Population) -> Iterator[tuple[Learner, Traces]]:
        for learner, side in self._learning(population):
            yield learner, learner.traces(side)

    def _monitored_events(self) -> Iterator[tuple[str, Monitored]]:
        """Recorded events beside spikes; a name that is taken gets the projection's behind it."""
        taken = set()
        for projection in self.network.plastic():
            for side in ("pre", "post"):
                population = getattr(projection, side)
                for placed in self.learners[projection.name].events(side):
                    event = placed.event
                    if not event.recorded:
                        continue
                    name = f"{population}.{placed.label}"
                    name = f"{name}.{projection.name}" if name in taken else name
                    taken.add(name)
                    monitor = self.brian2.EventMonitor(
                        self.groups[population],
                        event.name,
                        variables=[event.value] if event.value else None,
                        name=f"events_{event.name}",
                    )
                    yield name, Monitored(population=population, monitor=monitor, value=event.value)

    def _is_felt(self, projection: Projection) -> bool:
        """Whether the weight of a spike under way changes with what is learned meanwhile.

        A rectangular potential lasts; as long as it does, it has the height of the present weight.
        """
        target = self.network.population(projection.post).neuron
        return (
            projection.acts
            and projection.plasticity is not None
            and isinstance(target, EscapeNeuron)
        )

    def _felt_by(self, population: Population) -> list[int]:
        """Projections, by index, that set a variable of the population in every step."""
        projections = enumerate(self.network.projections)
        return [i for i, p in projections if p.post == population.name and self._is_felt(p)]

    def _felt_from(self, population: Population) -> list[int]:
        """Projections, by index, for which the population counts its recent spikes."""
        projections = enumerate(self.network.projections)
        return [i for i, p in projections if p.pre == population.name and self._is_felt(p)]

    def _relays(self, projection: Projection, index: int) -> list[Any]:
        """Count the recent spikes of the presynaptic neurons, each on itself."""
        if not self._is_felt(projection):
            return []
        group = self.groups[projection.pre]
        counted = self.brian2.Synapses(
            group,
            group,
            on_pre={"begin": f"sent{index}_post += 1", "end": f"sent{index}_post -= 1"},
            delay={"end": self._pulse(projection.post)},
            clock=self.clock,
            namespace={},
            name=f"sent{index}",
        )
        counted.connect(j="i")
        return [counted]

    def _pulse(self, population: str) -> Any:
        """Length of the rectangular potential that a spike leaves in an escape neuron."""
        neuron = self.network.population(population).neuron
        assert isinstance(neuron, EscapeNeuron)  # only called for those
        return round(neuron.pulse / self.dt) * self.dt * self.brian2.second

    def _delays(self, population: str) -> dict[str, Any]:
        stochastic = isinstance(self.network.population(population).neuron, EscapeNeuron)
        return {"cease": self._pulse(population)} if stochastic else {}

    def _stimulation(self, population: Population, index: int) -> list[Any]:
        """All stimuli of a population as one spike source, one weight per source neuron."""
        stimuli = [s for s in self.network.stimuli if s.population == population.name]
        if not stimuli:
            return []
        n_all = self.n_replicates * population.size
        n_sources = len(stimuli) * n_all
        indices, steps = source_spikes(
            self.network, population, self.inputs, self.n_replicates, self.divisions
        )
        generator = self.brian2.SpikeGeneratorGroup(
            n_sources,
            indices,
            steps * self.dt * self.brian2.second,
            clock=self.clock,
            sorted=True,
            name=f"stimuli{index}",
        )
        synapses = self.brian2.Synapses(
            generator,
            self.groups[population.name],
            "w : 1",
            on_pre=arrival(population.neuron),
            delay=self._delays(population.name),
            clock=self.clock,
            namespace={},
            name=f"stimulation{index}",
        )
        synapses.connect(i=np.arange(n_sources), j=np.arange(n_sources) % n_all)
        synapses.w = np.repeat([stimulus.weight for stimulus in stimuli], n_all)
        return [generator, synapses]

    def _synapses(self, projection: Projection, index: int) -> Any:
        """Synapses of a projection; None if it can have no effect."""
        learner = self.learners.get(projection.name)
        pre, post = np.indices(projection.weights.T.shape).reshape(2, -1)
        weights = projection.weights.T.ravel()
        if learner is None:
            there = np.flatnonzero(weights) if projection.acts else np.arange(0)
            if not len(there):
                return None
            pre, post, weights = pre[there], post[there], weights[there]
        model = "w : 1\n" + ("" if learner is None else dedent(learner.form.synapse))
        on_pre, on_post, on_event = ({}, {}, {}) if learner is None else learning_pathways(learner)
        delays = {}
        if self._is_felt(projection):
            model += f"\nfelt{index}_post = w * sent{index}_pre : 1 (summed)"
        elif projection.acts:
            on_pre = {**arrival(self.network.population(projection.post).neuron), **on_pre}
            delays = self._delays(projection.post)
        synapses = self.brian2.Synapses(
            self.groups[projection.pre],
            self.groups[projection.post],
            model,
            on_pre=on_pre or None,
            on_post=on_post or None,
            on_event=on_event,
            delay=delays,
            clock=self.clock,
            namespace={} if learner is None else dict(learner.parameters),
            name=f"projection{index}",
        )
        n_post, n_pre = projection.weights.shape
        block = np.repeat(np.arange(self.n_replicates), len(weights))
        synapses.connect(
            i=np.tile(pre, self.n_replicates) + block * n_pre,
            j=np.tile(post, self.n_replicates) + block * n_post,
        )
        synapses.w = np.tile(weights, self.n_replicates)
        if learner is not None:
            schedule(synapses, learner)
        return synapses
