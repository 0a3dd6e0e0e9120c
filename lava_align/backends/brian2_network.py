"""Builds the Brian2 network of the reference: equations with units, nothing quantised.

Replicates are blocks of one larger network: neuron ``i`` of replicate ``r`` is neuron
``r * size + i`` of its group, and synapses stay within a replicate. One step then costs about
the same for one replicate and for twenty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_align.backends.brian2_rules import ReferenceForm, Traces, rename
from lava_align.model.network import LIF, Network, Population, Projection
from lava_align.recording import Spikes
from lava_align.rules.registry import get_rule

Array = np.ndarray[Any, Any]

# Two time constants closer than this are one: the exact solution divides by their difference, and
# here the rounding error of that has grown to the error of taking them as equal.
SAME_TIME_CONSTANT = 1e-8

SINGLE_EXPONENTIAL = """
dv/dt = (-v + I + bias) / tau_m : 1
dI/dt = -I / tau_syn : 1
"""

DOUBLE_EXPONENTIAL = """
dv/dt = (-v + A * (e_d - e_r) + bias) / tau_m : 1
de_d/dt = -e_d / tau_syn : 1
de_r/dt = -e_r / tau_rise : 1
"""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A plastic projection's rule with the names its traces and parameters have in the groups.

    Two rules may put traces of the same name on one population, so each gets a prefix.
    """

    form: ReferenceForm
    parameters: Mapping[str, Any]
    prefix: str

    def traces(self, side: str) -> Traces:
        """Traces on the ``pre`` or ``post`` population under their own names there."""
        traces: Traces = getattr(self.form, side)
        names = {name: self.prefix + name for name in self.parameters}
        for name in traces.names:
            names |= {name: self._trace(name, side), f"d{name}": f"d{self._trace(name, side)}"}
        return Traces(
            equations=rename(traces.equations, names), on_spike=rename(traces.on_spike, names)
        )

    def group_namespace(self) -> dict[str, Any]:
        """Parameters under the names that :meth:`traces` uses."""
        return {self.prefix + name: value for name, value in self.parameters.items()}

    def statement(self, code: str) -> str:
        """Synaptic statement with the groups' names for the traces."""
        names = {
            f"{name}_{side}": f"{self._trace(name, side)}_{side}"
            for side in ("pre", "post")
            for name in getattr(self.form, side).names
        }
        return rename(code, names)

    def _trace(self, name: str, side: str) -> str:
        return f"{self.prefix}{side}_{name}"


@dataclass(frozen=True, kw_only=True)
class Model:
    """The Brian2 objects of a run.

    Parameters
    ----------
    clock : brian2.Clock
    monitors : dict
        Spike monitor by population.
    plastic : dict
        Synapses by plastic projection, in the order (replicate, pre, post).
    sources : dict
        Generator of the stimuli's spikes by population; see :func:`source_spikes`.
    objects : list
        Everything that belongs into the Brian2 network.
    """

    clock: Any
    monitors: dict[str, Any]
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
            projection.name: _learner(brian2, projection, f"plastic{index}_")
            for index, projection in enumerate(network.plastic())
        }
        self.groups: dict[str, Any] = {}

    def build(self) -> Model:
        network = self.network
        model = Model(clock=self.clock, monitors={}, plastic={}, sources={}, objects=[])
        for index, population in enumerate(network.populations):
            group = self.groups[population.name] = self._group(population, index)
            monitor = self.brian2.SpikeMonitor(group, name=f"spikes{index}")
            model.monitors[population.name] = monitor
            stimulation = self._stimulation(population, index)
            if stimulation:
                model.sources[population.name] = stimulation[0]
            model.objects.extend([group, monitor, *stimulation])
        for index, projection in enumerate(network.projections):
            synapses = self._synapses(projection, index)
            if synapses is not None:
                model.objects.append(synapses)
            if projection.plasticity is not None:
                model.plastic[projection.name] = synapses
        return model

    def _group(self, population: Population, index: int) -> Any:
        neuron = population.neuron
        equations, reset = lif_equations(neuron), "v = v_reset"
        namespace = _neuron_namespace(self.brian2, neuron)
        for learner, traces in self._traces(population):
            equations += traces.equations
            reset += f"\n{traces.on_spike}"
            namespace |= learner.group_namespace()
        held_steps = round(neuron.refractory / self.dt)
        # Brian2 counts from the start of the spike's own step, the network from its end.
        refractory = (held_steps + 1) * self.dt * self.brian2.second
        group = self.brian2.NeuronGroup(
            self.n_replicates * population.size,
            equations,
            method="exact",
            threshold="v > v_threshold",
            reset=_dedent(reset),
            refractory=refractory if held_steps else False,
            namespace=namespace,
            clock=self.clock,
            name=f"population{index}",
        )
        if held_steps:
            # Instead of "(unless refractory)", whose exact solution fails if tau_m is tau_syn.
            hold = "v = v * int(not_refractory) + v_reset * int(not not_refractory)"
            group.run_regularly(hold, clock=self.clock, when="after_groups", name=f"hold{index}")
        return group

    def _traces(self, population: Population) -> Iterator[tuple[Learner, Traces]]:
        for projection in self.network.plastic():
            learner = self.learners[projection.name]
            for side in ("pre", "post"):
                if getattr(projection, side) == population.name:
                    yield learner, learner.traces(side)

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
            on_pre=_drive(population),
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
        on_pre, on_post = _pathways(self.network.population(projection.post), projection, learner)
        synapses = self.brian2.Synapses(
            self.groups[projection.pre],
            self.groups[projection.post],
            "w : 1",
            on_pre=on_pre or None,
            on_post=on_post or None,
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
            _schedule(synapses, learner.form)
        return synapses


def _learner(brian2: Any, projection: Projection, prefix: str) -> Learner:
    plasticity = projection.plasticity
    assert plasticity is not None  # only called for plastic projections
    rule = get_rule(plasticity.rule, f"projections.{projection.name}.rule")
    values = rule.complete(plasticity.parameters, f"projections.{projection.name}")
    units = rule.reference.units
    return Learner(
        form=rule.reference,
        parameters={
            name: values[name] * (1 if unit == "1" else getattr(brian2, unit))
            for name, unit in units.items()
        },
        prefix=prefix,
    )


def _dedent(code: str) -> str:
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


def lif_equations(neuron: LIF) -> str:
    """Differential equations of the neuron in Brian2's notation."""
    equations = DOUBLE_EXPONENTIAL if neuron.tau_rise else SINGLE_EXPONENTIAL
    same = {
        name: "tau_m"
        for name in ("tau_syn", "tau_rise")
        if math.isclose(getattr(neuron, name), neuron.tau_m, rel_tol=SAME_TIME_CONSTANT)
    }
    return rename(equations, same)


def _neuron_namespace(brian2: Any, neuron: LIF) -> dict[str, Any]:
    return {
        "tau_m": neuron.tau_m * brian2.second,
        "tau_syn": neuron.tau_syn * brian2.second,
        "tau_rise": neuron.tau_rise * brian2.second,
        "A": neuron.tau_syn / (neuron.tau_syn - neuron.tau_rise),
        "bias": neuron.bias,
        "v_threshold": neuron.threshold,
        "v_reset": neuron.reset,
    }


def _drive(population: Population) -> str:
    """Statement by which a spike of weight ``w`` reaches the population."""
    if population.neuron.tau_rise:
        return "e_d_post += w\ne_r_post += w"
    return "I_post += w"


def _pathways(
    target: Population, projection: Projection, learner: Learner | None
) -> tuple[dict[str, str], dict[str, str]]:
    on_pre = {"transmit": _drive(target)} if projection.acts else {}
    on_post = {}
    if learner is not None:
        if learner.form.on_pre:
            on_pre["learn_pre"] = _dedent(learner.statement(learner.form.on_pre))
        if learner.form.on_post:
            on_post["learn_post"] = _dedent(learner.statement(learner.form.on_post))
    return on_pre, on_post


def _schedule(synapses: Any, form: ReferenceForm) -> None:
    """Place learning after transmission, and before or after the traces take the step's spikes.

    Traces take spikes in the slot ``resets``. Transmission always uses the weight the step began
    with.
    """
    when = "after_resets" if form.own_step_counts else "after_synapses"
    for side in ("pre", "post"):
        pathway = getattr(synapses, f"learn_{side}", None)
        if pathway is not None:
            pathway.when = when
            pathway.order = 0 if side == form.first else 1
