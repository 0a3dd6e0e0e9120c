"""Lava's ProcessModels of a program, stepped in place of an engine and compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lava_align.compiler.program import (
    AnyNeurons,
    EscapeGroup,
    Program,
    Synapses,
)
from lava_align.engine.base import Engine
from lava_align.learning_rule import LearningRule
from lava_align.learning_rule.terms import TRACES
from lava_align.testing.cases import Case

Array = np.ndarray[Any, Any]


LAVA_NAMES = {"t": "tag_1", "d": "tag_2"}


class _Port:
    """A port without a channel: ``received`` is what ``recv`` gives, ``sent`` what was sent."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.received: list[Array] = []
        self.shape, self.dtype, self.sent = shape, dtype, np.zeros(shape, dtype)

    def recv(self) -> Array:
        """Sum what arrived, as ``PyInPortVectorDense`` does."""
        total: Array = np.zeros(self.shape, self.dtype)
        for array in self.received:
            total = total + array
        return np.asarray(total)

    def send(self, data: Array) -> None:
        """Keep a copy of the channel's type, as a channel does."""
        self.sent = np.zeros(self.shape, self.dtype)
        self.sent[:] = data


def lava_neurons(group: AnyNeurons, index: int, seed: int = 0) -> Any:
    """Process of a neuron group, Lava's or ours, not connected."""
    from lava_align.backends.lava_child import neuron_process
    from lava_align.backends.lava_job import describe_neurons

    entry = describe_neurons(group, "fixed_pt", 0)
    arrays = entry.pop("arrays")
    entry["parameters"].update({key: key for key in arrays})
    if group.custom:
        entry["parameters"].update(seed=seed, index=index)
    return neuron_process(entry, arrays)


def lava_synapses(program: Program, part: Synapses) -> Any:
    """Lava's Process of a projection, not connected."""
    from lava.magma.core.learning.constants import GradedSpikeCfg
    from lava.proc.dense.process import DelayDense, Dense, LearningDense
    from lava.utils.weightutils import SignMode

    common = {
        "weights": part.weights.astype(np.int32),
        "weight_exp": part.weight_exp,
        "num_weight_bits": part.weight_bits,
        "sign_mode": SignMode[part.sign_mode.upper()],
        "num_message_bits": 8 if program.senders()[part.pre].graded else 0,
    }
    if part.delays is not None:
        return DelayDense(delays=part.delays.astype(int), **common)
    if part.learning is None:
        return Dense(**common)
    mode = "USE_REGULAR_IMPULSE" if part.graded == "default" else part.graded.upper()
    rule = lava_rule(part.learning, part.rng_seed)
    return LearningDense(learning_rule=rule, graded_spike_cfg=GradedSpikeCfg[mode], **common)


def lava_rule(rule: LearningRule, rng_seed: int) -> Any:
    """The rule as Lava's own object."""
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule

    arguments: dict[str, Any] = {"t_epoch": rule.t_epoch, "rng_seed": rng_seed}
    arguments.update({target: e.lava() for target, e in rule.expressions.items()})
    for name in TRACES[:2] if rule.third_factor else TRACES:
        trace = getattr(rule, name)
        arguments.update({f"{name}_impulse": trace.impulse, f"{name}_tau": trace.tau})
    return (Loihi3FLearningRule if rule.third_factor else Loihi2FLearningRule)(**arguments)


def _processes(program: Program, seed: int) -> dict[str, Any]:
    made = {g.name: lava_neurons(g, index, seed) for index, g in enumerate(program.neurons)}
    return {**made, **{s.name: lava_synapses(program, s) for s in program.synapses}}


def _lava_model(process: Any) -> Any:
    """The fixed_pt ProcessModel of a Process, initialised as ``PyProcessBuilder.build`` does."""
    from lava.proc.dense import models as dense
    from lava.proc.lif import models as lif

    from lava_align.processes.escape_neuron.models import PyEscapeNeuronModelFixed
    from lava_align.processes.extended_lif.models import PyExtendedLifModelFixed
    from lava_align.processes.graded_relay.models import PyGradedRelayModelFixed

    cls = {
        "LIF": lif.PyLifModelBitAcc,
        "Dense": dense.PyDenseModelBitAcc,
        "DelayDense": dense.PyDelayDenseModelBitAcc,
        "LearningDense": dense.PyLearningDenseModelBitApproximate,
        "ExtendedLIF": PyExtendedLifModelFixed,
        "EscapeNeuron": PyEscapeNeuronModelFixed,
        "GradedRelay": PyGradedRelayModelFixed,
    }[type(process).__name__]
    model = cls(process.proc_params)
    for port in (*process.in_ports.members, *process.out_ports.members):
        setattr(model, port.name, _Port(port.shape, getattr(cls, port.name).d_type))
    for var in process.vars.members:
        kind, value = getattr(cls, var.name), var.init
        if issubclass(kind.cls, np.ndarray):
            value = np.zeros(var.shape, kind.d_type)
            value[:] = var.init
        setattr(model, var.name, value)
    return model


class LavaModels:
    """The ``fixed_pt`` ProcessModels of a Program, stepped here without Lava's runtime.

    Between two models an array has the type it would have in Lava's channel.
    """

    def __init__(self, program: Program, seed: int = 0) -> None:
        self.program, self.n_steps = program, 0
        self.models = {n: _lava_model(p) for n, p in _processes(program, seed).items()}

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Take one step with what each input group sends; return what all senders send."""
        self.n_steps += 1
        program, models = self.program, self.models
        sent = {name: value.astype(np.int32) for name, value in values.items()}
        for model in models.values():
            model.time_step = self.n_steps
        for group in program.neurons:
            model = models[group.name]
            model.a_in.received = self._arriving(group.name, "soma")
            if hasattr(model, "a_apical"):
                model.a_apical.received = self._arriving(group.name, "apical")
            model.run_spk()
            sent[group.name] = model.s_out.sent
            for port in group.ports:
                sent[f"{group.name}.{port}"] = getattr(model, f"{port}_out").sent
        for s in program.synapses:
            model = models[s.name]
            model.s_in.received = [sent[s.pre]]
            if s.learning is not None:
                model.s_in_bap.received = [sent[s.gate or s.post]]
                for y, name in s.modulators.items():
                    getattr(model, f"s_in_{y}").received = [sent[name]]
            model.run_spk()
            if s.learning is not None and model.lrn_guard():
                model.run_lrn()
        return sent

    def _arriving(self, group: str, into: str) -> list[Array]:
        return [
            np.atleast_2d(self.models[s.name].a_buff.T)[0].astype(np.int32)
            for s in self.program.synapses
            if s.post == group and s.into == into and s.acts
        ]

    def read(self, name: str) -> Array:
        """Read a state by the name that :meth:`lava_align.engine.base.Engine.read` has for it."""
        owner, _, variable = name.rpartition(".")
        return np.array(getattr(self.models[owner], LAVA_NAMES.get(variable, variable)))


def run_on_lava(case: Case, seed: int = 0) -> dict[str, Array]:
    """Run a case on Lava's own multi-process runtime; return every state as it ends.

    Call it in a process that may be killed: Lava waits for ever when a model fails.
    """
    from lava.magma.compiler.compiler_graphs import find_processes
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer

    from lava_align.backends.lava_child import sending_port

    program = case.program
    processes = _processes(program, seed)
    inputs = {name: RingBuffer(data=rows.T.astype(np.int32)) for name, rows in case.inputs.items()}
    groups = {**inputs, **{group.name: processes[group.name] for group in program.neurons}}
    for s in program.synapses:
        sending_port(groups, s.pre).connect(processes[s.name].s_in)
        if s.learning is not None:
            sending_port(groups, s.gate or s.post).connect(processes[s.name].s_in_bap)
        for y, name in s.modulators.items():
            sending_port(groups, name).connect(getattr(processes[s.name], f"s_in_{y}"))
        if s.acts and s.post in processes:
            end = processes[s.post].a_apical if s.into == "apical" else processes[s.post].a_in
            processes[s.name].a_out.connect(end)
    found, left = {}, dict(processes)
    while left:
        first = next(iter(left.values()))
        together = find_processes(first)
        config = Loihi2SimCfg(select_tag="fixed_pt")
        first.run(condition=RunSteps(num_steps=case.n_steps), run_cfg=config)
        names = {name for name, process in left.items() if process in together}
        ports = [f"{group.name}.{port}" for group in program.neurons for port in group.ports]
        for name in state_names(program):
            owner, _, variable = name.rpartition(".")
            # What ports send is no Var.
            if owner in names and name not in ports:
                found[name] = getattr(left[owner], LAVA_NAMES.get(variable, variable)).get()
        first.stop()
        left = {name: process for name, process in left.items() if name not in names}
    return found


def state_names(program: Program) -> tuple[str, ...]:
    """Names of everything that :meth:`lava_align.engine.base.Engine.read` must know."""
    plastic = [f"{s.name}.{v}" for s in program.plastic() for v in ("weights", "t", "d", *TRACES)]
    arrived = [f"{g.name}.arrived" for g in program.neurons if isinstance(g, EscapeGroup)]
    return (*program.states(), *arrived, *plastic)


def first_difference(case: Case, *engines: Engine, seed: int = 0) -> str | None:
    """Run a case on the ProcessModels and on fresh engines; say where they part, None if nowhere.

    ``seed`` is that of the engines.
    """
    lava, names = LavaModels(case.program, seed), state_names(case.program)
    groups = case.program.spiking()
    for n in range(case.n_steps):
        fired = lava.step({name: rows[n] for name, rows in case.inputs.items()})
        expected = {f"spikes of {name}": np.flatnonzero(fired[name]) for name in groups}
        expected.update({name: lava.read(name) for name in names})
        for engine in engines:
            chunk = engine.run(1, case.inputs, groups)
            found = {f"spikes of {name}": chunk.spikes[name][1] for name in groups}
            found.update({name: engine.read(name) for name in names})
            for name, value in expected.items():
                if not np.array_equal(found[name], value):
                    kind = type(engine).__name__
                    return f"step {n}, {name}: {kind}\n{found[name]}\nProcessModel\n{value}"
    return None
