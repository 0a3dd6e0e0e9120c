"""The compiled engine: the integers of :mod:`lava_align.engine.model`, much faster.

It is event-driven: a step touches the synapses of neurons that spiked. A rule gated by spikes
changes no others, for their accumulators are whole multiples of 128 and are not rounded.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lava_align.compiler.program import (
    AnyNeurons,
    EscapeGroup,
    InputGroup,
    NeuronGroup,
    Program,
    RelayGroup,
    Synapses,
)
from lava_align.engine.base import Chunk, Engine, Inputs, Semantics
from lava_align.engine.checks import check_engine, check_names, check_state, dense_inputs
from lava_align.engine.hashing import mix, neuron_base
from lava_align.engine.model import Connection, Model
from lava_align.engine.neurons import HALF_RANGE, stepwise_bias
from lava_align.engine.plan import TRACES, changing_sides, extended_data, rule_data
from lava_align.engine.rounding import SharedRounding
from lava_align.errors import InvalidInputError, MissingDependencyError, Problem
from lava_align.learning_rule import LearningRule
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]
Events = tuple[Array | None, Array | None, Array | None]

SECONDS_UNINTERRUPTED = 0.2
"""Longest time without a look at Ctrl-C, give or take a few steps."""
MOST_STEPS_AT_ONCE = 1 << 15

SYNAPTIC = {"weights": 0, "d": 1, "t": 2}

HOW_TO_GET_IT = (
    "the compiled engine is missing, so the slow one in NumPy runs instead (same results); "
    "to get it, install a C++17 compiler (Debian, Ubuntu: apt install g++) and then reinstall: "
    "pip install --force-reinstall --no-deps --no-binary lava_align lava_align, "
    "or in a checkout: pip install --no-deps -e ."
)


def load_engine(
    program: Program,
    semantics: Semantics = "lava-0.10.0",
    seed: int = 0,
    threads: int = 1,
) -> Engine:
    """Start a program on the compiled engine, or with a warning on the one in NumPy.

    Parameters
    ----------
    program : Program
    semantics : {"lava-0.10.0", "independent-rounding"}
    seed : int
        0..2^64-1, of the independent rounding and of neurons that draw.
    threads : int
        At least 1; the integers do not depend on it.

    Raises
    ------
    InvalidInputError
        If the program asks for what Lava does not have.
    """
    try:
        return Core(program, semantics, seed, threads)
    except MissingDependencyError:
        warnings.warn(HOW_TO_GET_IT, RuntimeWarning, stacklevel=2)
        return Model(program, semantics, seed)


class Core:
    """A running program on the compiled engine; an :class:`~lava_align.engine.base.Engine`.

    Parameters
    ----------
    program : Program
    semantics : {"lava-0.10.0", "independent-rounding"}
    seed : int
        0..2^64-1, of the independent rounding and of neurons that draw; Lava's own numbers have
        the seeds of the projections.
    threads : int
        At least 1. More than one are used where a step is long enough to share.
    instructions : str
        ``baseline``, ``avx2`` or ``avx512``; empty takes the best of this machine.

    Raises
    ------
    InvalidInputError
        If the program asks for what Lava does not have; with every problem.
    MissingDependencyError
        If the extension was not compiled.
    """

    def __init__(
        self,
        program: Program,
        semantics: Semantics = "lava-0.10.0",
        seed: int = 0,
        threads: int = 1,
        instructions: str = "",
    ) -> None:
        try:
            from lava_align.engine import _core
        except ImportError as error:
            raise MissingDependencyError(HOW_TO_GET_IT) from error
        check_engine(program, semantics, seed)
        problems = []
        if threads < 1:
            problems.append(Problem("threads", str(threads), "at least 1"))
        known = ("", *_core.instruction_sets())
        if instructions not in known:
            problems.append(Problem("instructions", repr(instructions), f"one of {known}"))
        if problems:
            raise InvalidInputError(problems)
        self.program = program
        self._network = _core.Network(threads, instructions)
        self._neurons = {group.name: group for group in program.neurons}
        self._sizes = program.states()
        self._projections = {s.name: index for index, s in enumerate(program.synapses)}
        self._weights: dict[str, Array] = {}
        self._draws: dict[str, _BulkRounding | None] = {}
        self._build(semantics, seed)

    def _build(self, semantics: Semantics, seed: int) -> None:
        """Hand the program to the extension; groups and projections are numbered there."""
        self._groups = {group.name: self._network.add_input() for group in self.program.inputs}
        for index, group in enumerate(self.program.neurons):
            self._groups[group.name] = self._add_neurons(group, neuron_base(seed, index))
        for group in self.program.neurons:
            for port in group.ports:
                number = self._network.add_port(self._groups[group.name], port)
                self._groups[f"{group.name}.{port}"] = number
        for index, synapses in enumerate(self.program.synapses):
            if synapses.learning is None:
                self._add_static(synapses)
                continue
            base = None
            if semantics == "independent-rounding":
                # As IndependentRounding begins its key.
                base = mix(mix(mix(seed) + index) + synapses.rng_seed)
            self._add_plastic(synapses, synapses.learning, base)

    def _add_neurons(self, group: AnyNeurons, base: int) -> int:
        network = self._network
        if isinstance(group, RelayGroup):
            return network.add_relay(group.size, group.shift)
        if isinstance(group, EscapeGroup):
            return network.add_escape(
                group.size,
                group.bias,
                group.window,
                group.refractory,
                group.shift,
                group.table,
                base,
            )
        bias = stepwise_bias(group).astype(np.int32)
        if group.custom:
            return network.add_extended(group.size, extended_data(group, base), bias)
        return network.add_neurons(
            group.size, 4095 - group.du, 4096 - group.dv, group.vth << 6, bias
        )

    def _add_static(self, synapses: Synapses) -> None:
        weights = stored_weights(synapses)
        slots = 1 if synapses.delays is None else 1 + int(synapses.delays.max(initial=0))
        self._weights[synapses.name] = weights
        self._network.add_static(
            self._groups[synapses.pre],
            self._groups[synapses.post],
            synapses.into == "apical",
            synapses.acts,
            synapses.weight_exp,
            slots,
            weights,
            synapses.delays,
        )

    def _add_plastic(self, synapses: Synapses, rule: LearningRule, base: int | None) -> None:
        modulators = [self._groups.get(synapses.modulators.get(y, ""), -1) for y in TRACES[2:]]
        self._draws[synapses.name] = _BulkRounding(synapses, rule) if base is None else None
        self._network.add_plastic(
            self._groups[synapses.pre],
            self._groups[synapses.post],
            synapses.into == "apical",
            self._groups[synapses.gate or synapses.post],
            synapses.acts,
            synapses.weight_exp,
            stored_weights(synapses),
            rule_data(synapses, rule, base),
            modulators,
        )

    @property
    def step(self) -> int:
        """Number of steps done."""
        return int(self._network.step)

    @property
    def instructions(self) -> str:
        """Instruction set in use."""
        return str(self._network.instructions)

    def synapse_bytes(self, name: str) -> int:
        """Bytes in which the synapses of a projection are held."""
        return int(self._network.synapse_bytes(self._projections[name]))

    def run(
        self, n_steps: int, inputs: Inputs, spikes: tuple[str, ...], states: tuple[str, ...] = ()
    ) -> Chunk:
        """Run ``n_steps`` more steps (see :meth:`lava_align.engine.base.Engine.run`).

        Raises
        ------
        InvalidInputError
            If inputs or names do not fit the program.
        """
        start, stop = self.step, self.step + n_steps
        dense_inputs(self.program, inputs, start, min(start, stop))
        check_names(self.program, spikes, states)
        recorded = {name: np.zeros((n_steps, self._size(name)), np.int32) for name in states}
        fired: dict[str, list[tuple[Array, Array]]] = {name: [] for name in spikes}
        most = 64
        while self.step < stop:
            began, first = time.monotonic(), self.step
            steps = min(most, stop - first)
            probes = [
                (*self._place(name), rows[first - start : first - start + steps])
                for name, rows in recorded.items()
            ]
            for name, found in zip(spikes, self._run(steps, inputs, spikes, probes), strict=True):
                fired[name].append(found)
            speed = (self.step - first) / max(time.monotonic() - began, 1e-6)
            most = int(min(2 * speed * SECONDS_UNINTERRUPTED + 64, MOST_STEPS_AT_ONCE))
        return Chunk(
            start=start,
            stop=stop,
            spikes={name: _joined(parts) for name, parts in fired.items()},
            states=recorded,
        )

    def _run(
        self, n_steps: int, inputs: Inputs, spikes: tuple[str, ...], probes: list[Any]
    ) -> list[tuple[Array, Array]]:
        """Run some of the next ``n_steps``; return the recorded spikes."""
        start = self.step
        events: list[Events] = [
            _events(group, inputs[group.name], start, start + n_steps)
            for group in self.program.inputs
        ]
        draws = [self._draws.get(s.name) for s in self.program.synapses]
        numbers = [d.draw(start, n_steps) if d is not None else (None,) * 3 for d in draws]
        groups = [self._groups[name] for name in spikes]
        done, found = self._network.run(
            n_steps, SECONDS_UNINTERRUPTED, events, numbers, groups, probes
        )
        for d in draws:
            if d is not None:
                d.settle(start, done)
        recorded: list[tuple[Array, Array]] = found
        return recorded

    def _place(self, name: str) -> tuple[str, int, int]:
        """Where a vector is: what it is, of which group or projection, which trace."""
        owner, _, variable = name.rpartition(".")
        if name in self._sizes:
            return variable, self._groups[owner], 0
        if owner in self._projections and variable in TRACES and owner not in self._weights:
            return "trace", self._projections[owner], TRACES.index(variable)
        raise KeyError(name)

    def _size(self, name: str) -> int:
        owner, _, variable = name.rpartition(".")
        if name in self._sizes:
            return self._sizes[name]
        n_post, n_pre = self.program.synapses[self._projections[owner]].weights.shape
        return int(n_pre if variable[0] == "x" else n_post)

    def read(self, name: str) -> Array:
        """Read a state by its name (see :meth:`lava_align.engine.base.Engine.read`).

        Raises
        ------
        InvalidInputError
            If there is no such state.
        """
        try:
            return self._read(name)
        except KeyError:
            raise InvalidInputError(
                Problem("state", repr(name), "group.u, group.v, projection.weights, .t, .d or .x1")
            ) from None

    def _read(self, name: str) -> Array:
        owner, _, variable = name.rpartition(".")
        if owner in self._weights and variable == "weights":
            return self._weights[owner].copy()
        if variable == "arrived" and isinstance(self._neurons.get(owner), EscapeGroup):
            arrived: Array = self._network.read_arrived(self._groups[owner])
            return arrived
        if name in self._sizes or owner not in self._projections or variable in TRACES:
            vector: Array = self._network.read_vector(*self._place(name), self._size(name))
            return vector
        index = self._projections[owner]
        read: Array
        if variable == "buffer":
            read = self._network.read_buffer(index)
        elif owner in self._weights or variable not in (*SYNAPTIC, "tx", "ty"):
            raise KeyError(name)
        elif variable in SYNAPTIC:
            read = self._network.read_synapses(index, SYNAPTIC[variable])
        else:
            read = self._network.read_times(index, variable == "tx")
        return read

    def state(self) -> dict[str, Array]:
        """Everything needed to go on later, as :meth:`lava_align.engine.model.Model.state`."""
        state: dict[str, Array] = {"step": np.array(self.step, np.int64)}
        names = self._registers()
        names += [f"{group.name}.arrived" for group in self._escaping()]
        for name in self._projections:
            names.append(f"{name}.buffer")
            if name not in self._weights:
                names += [f"{name}.{v}" for v in (*SYNAPTIC, "tx", "ty", *TRACES)]
        state.update({name: self.read(name).astype(np.int32) for name in names})
        for name, draws in self._draws.items():
            empty = np.zeros((0, 4), np.uint64)
            state[f"{name}.random"] = empty if draws is None else draws.state()
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state of the same program, of whichever implementation.

        Raises
        ------
        InvalidInputError
            If it is not one of this program.
        """
        check_state(self.state(), state)
        self._check_values(state)
        network = self._network
        network.step = int(state["step"])
        for name in self._registers():
            network.write_vector(*self._place(name), state[name])
        for group in self._escaping():
            network.write_arrived(self._groups[group.name], state[f"{group.name}.arrived"])
        for name, index in self._projections.items():
            network.write_buffer(index, state[f"{name}.buffer"])
        for name, draws in self._draws.items():
            index = self._projections[name]
            for variable, target in SYNAPTIC.items():
                values = state[f"{name}.{variable}"].astype(np.int16)
                network.write_synapses(index, target, values)
            for variable in ("tx", "ty"):
                network.write_times(index, variable == "tx", state[f"{name}.{variable}"])
            for variable in TRACES:
                network.write_vector(
                    *self._place(f"{name}.{variable}"), state[f"{name}.{variable}"]
                )
            network.resume(index)
            if draws is not None:
                draws.restore(state[f"{name}.random"])

    def _registers(self) -> list[str]:
        return [f"{g.name}.{register}" for g in self.program.neurons for register in g.registers]

    def _escaping(self) -> list[EscapeGroup]:
        return [group for group in self.program.neurons if isinstance(group, EscapeGroup)]

    def _check_values(self, state: Mapping[str, Array]) -> None:
        """Refuse values that no run leads to and that the compiled engine cannot hold."""
        problems = []
        for name, (low, high) in self._bounds():
            values = state[name]
            if values.size and not low <= values.min() <= values.max() <= high:
                found = f"{values.min()}..{values.max()}"
                problems.append(Problem(f"state {name}", found, f"{low}..{high}"))
        if problems:
            raise InvalidInputError(problems)

    def _bounds(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for synapses in self.program.plastic():
            assert synapses.learning is not None
            epoch = (0, synapses.learning.t_epoch)
            bounds = {**dict.fromkeys(SYNAPTIC, (-(2**15), 2**15 - 1)), "tx": epoch, "ty": epoch}
            yield from ((f"{synapses.name}.{name}", limits) for name, limits in bounds.items())
        for group in self.program.neurons:
            if isinstance(group, NeuronGroup) and group.window is not None:
                yield f"{group.name}.count", (0, group.window.length)
                yield f"{group.name}.share", (0, 65535)
                yield f"{group.name}.fired", (0, 1)
                yield f"{group.name}.peak", (1 - HALF_RANGE, HALF_RANGE - 1)
            if "rest" in group.registers and not isinstance(group, RelayGroup):
                yield f"{group.name}.rest", (0, group.refractory)


class _BulkRounding(SharedRounding):
    """Lava's numbers of one projection for many steps at once.

    What the steps that were run would have drawn one at a time is settled afterwards, since fewer
    may have been run than asked for.
    """

    def __init__(self, synapses: Synapses, rule: LearningRule) -> None:
        super().__init__(synapses.rng_seed)
        self._t_epoch = rule.t_epoch
        self._sides = changing_sides(synapses, rule)

    def draw(self, step: int, n_steps: int) -> tuple[Array | None, Array | None, Array]:
        """Numbers of the learning epochs that end in the next steps: pre, post, synapses."""
        self._before = [generator.bit_generator.state for generator in self._generators]
        first = self._t_epoch - 1 - step % self._t_epoch
        sides = [
            generator.random((n_steps, 2))[first :: self._t_epoch, 1].copy() if used else None
            for generator, used in zip(self._generators[:2], self._sides, strict=True)
        ]
        return sides[0], sides[1], self._generators[2].random(self._epochs(step, n_steps))

    def settle(self, step: int, n_steps: int) -> None:
        """Leave the generators as ``n_steps`` steps leave them."""
        counts = (2 * n_steps, 2 * n_steps, self._epochs(step, n_steps))
        for generator, before, count in zip(self._generators, self._before, counts, strict=True):
            bits: Any = generator.bit_generator
            bits.state = before
            bits.advance(count)

    def _epochs(self, step: int, n_steps: int) -> int:
        return (step + n_steps) // self._t_epoch - step // self._t_epoch


def stored_weights(synapses: Synapses) -> Array:
    """Initial weights as the connection holds them: int16, (n_post, n_pre)."""
    return Connection(synapses).variables["weights"].astype(np.int16)


def _joined(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    steps, neurons = zip(*parts, strict=True)
    return np.concatenate(steps), np.concatenate(neurons)


def _events(group: InputGroup, given: Spikes | Array, start: int, stop: int) -> Events:
    """Events of the steps ``start .. stop - 1``: first event of each, neurons, what they carry."""
    value = None
    if isinstance(given, Spikes):
        first, last = np.searchsorted(given.step, (start, stop))
        step, neuron = given.step[first:last] - start, given.neuron[first:last]
        if group.graded and given.value is not None:
            value = given.value[first:last]
        again = (step[1:] == step[:-1]) & (neuron[1:] == neuron[:-1])
        if again.any():
            keep = np.concatenate(([True], ~again))
            step, neuron = step[keep], neuron[keep]
        if neuron.size and not 0 <= neuron.min() <= neuron.max() < group.size:
            found = f"channels {neuron.min()}..{neuron.max()}"
            raise InvalidInputError(Problem(f"inputs.{group.name}", found, f"0..{group.size - 1}"))
    else:
        rows = given[start:stop]
        step, neuron = np.nonzero(rows)
        if group.graded:
            value = rows[step, neuron].astype(np.int32)
    counts = np.bincount(step, minlength=stop - start)
    offset = np.concatenate(([0], np.cumsum(counts)))
    return offset.astype(np.int64), np.ascontiguousarray(neuron, np.int32), value
