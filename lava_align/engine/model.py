"""The integer engine in plain NumPy: the specification the fast one is held against.

Synapses and the loop over time are here, neurons in :mod:`lava_align.engine.neurons`.

Everything is computed in int64 and wrapped or clipped where Lava's int32 and uint8 would be, so a
wrap is always written out. Sources are those of lava-nc 0.10.0 below ``lava/``: connections are
``proc/dense/models.py``, learning is ``magma/core/model/py/connection.py`` and
``magma/core/learning/learning_rule_applier.py``.

One step: every connection delivers what it buffered in the step before; neurons integrate and
spike; connections buffer what these spikes are worth with the weights as they stand; traces note
the spikes; at the end of a learning epoch traces decay and synapses change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from lava_align.compiler.program import Into, Program, Synapses
from lava_align.engine.base import Chunk, Inputs, Semantics
from lava_align.engine.checks import check_engine, check_names, check_state, dense_inputs
from lava_align.engine.neurons import Neurons, make_neurons, shift, wrap
from lava_align.engine.rounding import IndependentRounding, Rounding, SharedRounding
from lava_align.errors import InvalidInputError, Problem
from lava_align.learning_rule import LearningRule, Product, Trace
from lava_align.learning_rule.arithmetic import right_shift

Array = np.ndarray[Any, Any]

TRACES = ("x1", "x2", "y1", "y2", "y3")
TARGETS = {"dw": "weights", "dd": "d", "dt": "t"}

TRACE_MAX = 127
ACCUMULATOR = (-(2**15) - 1, 2**15 - 1)
"""Limits of an accumulator in 1/128; the lower one is Lava's, one below 16 bits."""
LIMITS = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}
TAG_LIMITS = {"dd": (0, 255), "dt": (-257, 255)}
THIRD_FACTOR = Trace(0, 65535)
"""What Lava decays y1, y2, y3 of a three-factor rule with (``learning_rule.py:743-748``)."""


class Model:
    """A running program; an :class:`~lava_align.engine.base.Engine`.

    Parameters
    ----------
    program : Program
    semantics : {"lava-0.10.0", "independent-rounding"}
    seed : int
        0..2^64-1, of the independent rounding and of neurons that draw; Lava's own numbers have
        the seeds of the projections.

    Raises
    ------
    InvalidInputError
        If the program asks for what Lava does not have; with every problem.
    """

    def __init__(
        self, program: Program, semantics: Semantics = "lava-0.10.0", seed: int = 0
    ) -> None:
        check_engine(program, semantics, seed)
        self.program = program
        self._step = 0
        self._neurons: dict[str, Neurons] = {
            group.name: make_neurons(group, seed, index)
            for index, group in enumerate(program.neurons)
        }
        # What the graded ports sent last.
        self._sent = {
            f"{group.name}.{port}": np.zeros(group.size, np.int64)
            for group in program.neurons
            for port, graded in group.ports.items()
            if graded
        }
        self._connections: dict[str, Connection] = {}
        for index, synapses in enumerate(program.synapses):
            rounding: Rounding = SharedRounding(synapses.rng_seed)
            if semantics == "independent-rounding":
                rounding = IndependentRounding(seed, index, synapses.rng_seed)
            rule = synapses.learning
            self._connections[synapses.name] = (
                Connection(synapses)
                if rule is None
                else PlasticConnection(synapses, rule, rounding)
            )

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._step

    def run(
        self, n_steps: int, inputs: Inputs, spikes: tuple[str, ...], states: tuple[str, ...] = ()
    ) -> Chunk:
        """Run ``n_steps`` more steps (see :meth:`lava_align.engine.base.Engine.run`).

        Raises
        ------
        InvalidInputError
            If inputs or names do not fit the program.
        """
        start, stop = self._step, self._step + n_steps
        sent = dense_inputs(self.program, inputs, start, stop)
        check_names(self.program, spikes, states)
        fired: dict[str, list[Array]] = {name: [] for name in spikes}
        kept: dict[str, list[Array]] = {name: [] for name in states}
        for n in range(n_steps):
            values = self._advance({name: rows[n] for name, rows in sent.items()})
            for name in spikes:
                fired[name].append(values[name])
            for name in states:
                kept[name].append(self.read(name))
        found = {
            name: np.nonzero(np.array(rows).reshape(n_steps, self.program.size(name)))
            for name, rows in fired.items()
        }
        return Chunk(
            start=start,
            stop=stop,
            spikes={n: (s + start, neuron.astype(np.int32)) for n, (s, neuron) in found.items()},
            states={
                name: np.array(rows, np.int32).reshape(n_steps, *self.read(name).shape)
                for name, rows in kept.items()
            },
        )

    def _advance(self, values: dict[str, Array]) -> dict[str, Array]:
        """One step; ``values`` is what each group sends, of the inputs at first."""
        arriving = {
            (group.name, into): np.zeros(group.size, np.int64)
            for group in self.program.neurons
            for into in get_args(Into)
        }
        for connection in self._connections.values():
            current = connection.deliver()
            end = (connection.synapses.post, connection.synapses.into)
            if connection.synapses.acts and end in arriving:
                arriving[end] += current
        for name, neurons in self._neurons.items():
            sent = neurons.advance(self._step, arriving[name, "soma"], arriving[name, "apical"])
            values.update({f"{name}.{port}" if port else name: sent[port] for port in sent})
        self._sent = {name: values[name] for name in self._sent}
        for connection in self._connections.values():
            connection.advance(self._step, values)
        self._step += 1
        return values

    def read(self, name: str) -> Array:
        """Read a state by its name (see :meth:`lava_align.engine.base.Engine.read`).

        Raises
        ------
        InvalidInputError
            If there is no such state.
        """
        if name in self._sent:
            return np.array(self._sent[name], np.int32)
        owner, _, variable = name.rpartition(".")
        for part in (self._neurons.get(owner), self._connections.get(owner)):
            if part is not None and variable in part.variables:
                dtype = np.int16 if variable in ("weights", "t", "d") else np.int32
                return np.array(part.variables[variable], dtype)
        known = [f"{n}.{v}" for n, p in self._parts() for v in p.variables]
        raise InvalidInputError(Problem("state", repr(name), f"one of {[*known, *self._sent]}"))

    def state(self) -> dict[str, Array]:
        """Everything needed to go on later; names and types are those of every implementation.

        ``step`` (int64); the registers of each group, and ``group.arrived`` of escape neurons;
        ``projection.buffer`` (n_post, 1 + longest delay), what it delivers in the next steps; of
        plastic projections ``weights``, ``t``,
        ``d``, ``x1`` .. ``y3``, ``tx``, ``ty`` (step of the last spike within the epoch, 0 for
        none), all int32, and ``random`` (uint64).
        """
        state = {"step": np.array(self._step, np.int64)}
        for name, part in self._parts():
            changing = {k: part.variables[k] for k in self._changing(part)}
            state.update({f"{name}.{k}": np.array(v, np.int32) for k, v in changing.items()})
        for name, plastic in self._plastic():
            state[f"{name}.random"] = plastic.rounding.state()
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state of the same program, of whichever implementation.

        Raises
        ------
        InvalidInputError
            If it is not one of this program.
        """
        check_state(self.state(), state)
        self._step = int(state["step"])
        for name, part in self._parts():
            for variable in self._changing(part):
                part.variables[variable] = state[f"{name}.{variable}"].astype(np.int64)
        for name, plastic in self._plastic():
            plastic.rounding.restore(state[f"{name}.random"])

    def _changing(self, part: Any) -> list[str]:
        constant = part.constant if isinstance(part, Connection) else ()
        return [name for name in part.variables if name not in constant]

    def _parts(self) -> list[tuple[str, Any]]:
        return [*self._neurons.items(), *self._connections.items()]

    def _plastic(self) -> list[tuple[str, PlasticConnection]]:
        return [(n, c) for n, c in self._connections.items() if isinstance(c, PlasticConnection)]


class Connection:
    """Static synapses (``PyDenseModelBitAcc``, ``PyDelayDenseModelBitAcc``)."""

    constant: frozenset[str] = frozenset({"weights"})

    def __init__(self, synapses: Synapses) -> None:
        self.synapses = synapses
        weights = synapses.weights.astype(np.int64)
        if synapses.learning is None:
            weights = np.clip(weights, *LIMITS[synapses.sign_mode])
        n_post, _ = weights.shape
        slots = 1 if synapses.delays is None else 1 + int(synapses.delays.max(initial=0))
        self.variables = {
            "weights": self._truncated(weights),
            "buffer": np.zeros((n_post, slots), np.int64),
        }

    def _truncated(self, weights: Array) -> Array:
        """Drop the bits a stored weight lacks (``utils/weightutils.py``, truncate_weights)."""
        mode = self.synapses.sign_mode
        bits = 8 - self.synapses.weight_bits + (mode == "mixed")
        sign = -1 if mode == "inhibitory" else 1
        return sign * (sign * weights >> bits << bits)

    def deliver(self) -> Array:
        """Current that arrives in this step."""
        buffer = self.variables["buffer"]
        current = buffer[:, 0].copy()
        buffer[:, :-1] = buffer[:, 1:]
        buffer[:, -1] = 0
        return current

    def advance(self, step: int, values: Mapping[str, Array]) -> None:
        """Buffer what the presynaptic spikes of this step are worth."""
        weights, pre = self.variables["weights"], values[self.synapses.pre]
        delays = self.synapses.delays
        if delays is None:
            sums = wrap(weights @ pre)[:, None]
        else:
            worth = wrap(weights * pre)
            slots = range(self.variables["buffer"].shape[1])
            sums = np.stack([np.where(delays == k, worth, 0).sum(axis=1) for k in slots], axis=1)
        buffer = self.variables["buffer"] + shift(sums, self.synapses.weight_exp)
        self.variables["buffer"] = wrap(buffer)


class PlasticConnection(Connection):
    """Synapses that learn (``LearningConnectionModelBitApproximate``)."""

    constant: frozenset[str] = frozenset()

    def __init__(self, synapses: Synapses, rule: LearningRule, rounding: Rounding) -> None:
        super().__init__(synapses)
        self.rule, self.rounding = rule, rounding
        n_post, n_pre = synapses.weights.shape
        sizes = {name: n_pre if name[0] == "x" else n_post for name in TRACES}
        shapes = {"t": (n_post, n_pre), "d": (n_post, n_pre), "tx": n_pre, "ty": n_post, **sizes}
        self.variables.update({name: np.zeros(n, np.int64) for name, n in shapes.items()})
        self._traces = {name: getattr(rule, name) for name in TRACES}
        if rule.third_factor:
            self._traces.update(dict.fromkeys(("y1", "y2", "y3"), THIRD_FACTOR))
        if synapses.graded != "default":
            # Lava drops the impulse when a payload takes its place (proc/dense/process.py:165).
            self._traces["x1"] = Trace(0, rule.x1.tau)

    def advance(self, step: int, values: Mapping[str, Array]) -> None:
        """Buffer, let the traces note the spikes, and learn at the end of an epoch."""
        super().advance(step, values)
        synapses, now = self.synapses, step % self.rule.t_epoch + 1
        self._note_pre(values[synapses.pre], now)
        self._note_post(values[synapses.gate or synapses.post] != 0, now)
        if self.rule.third_factor:
            silent = np.zeros(len(synapses.weights), np.int64)
            for y in ("y1", "y2", "y3"):
                self.variables[y] = (
                    values[synapses.modulators[y]] if y in synapses.modulators else silent
                )
        self.rounding.advance(learning=now == self.rule.t_epoch)
        if now == self.rule.t_epoch:
            self._learn(step)

    def _note_pre(self, values: Array, now: int) -> None:
        """Presynaptic spikes: a further one in the epoch acts at once (``_process_pre_spikes``)."""
        state, mode = self.variables, self.synapses.graded
        noted = values != 0
        payload = np.round(values / 2).astype(np.int64) & 255
        if mode == "default":
            self._add_impulse("x1", noted & (state["tx"] > 0))
        elif mode == "overwrite":
            state["x1"] = np.where(noted, payload, state["x1"])
        else:
            # Of all neurons, spiking or not.
            total = (state["x1"] + payload) & 255
            over = total > TRACE_MAX
            if mode == "add_with_saturation":
                state["x1"] = np.minimum(total, TRACE_MAX)
            else:
                state["x1"] = np.where(over, total - TRACE_MAX, total)
                noted = noted & over
        self._add_impulse("x2", noted & (state["tx"] > 0))
        state["tx"] = np.where(noted, now, state["tx"])

    def _note_post(self, spikes: Array, now: int) -> None:
        """Postsynaptic spikes, likewise (``_process_post_spikes``)."""
        for name in ("y1", "y2", "y3"):
            self._add_impulse(name, spikes & (self.variables["ty"] > 0))
        self.variables["ty"] = np.where(spikes, now, self.variables["ty"])

    def _add_impulse(self, name: str, where: Array) -> None:
        self.variables[name] = self._risen(name, self.variables[name], where)

    def _risen(self, name: str, trace: Array, where: Array) -> Array:
        """Trace with an impulse where neurons spiked; only those are clipped."""
        return np.where(where, np.clip(trace + self._traces[name].impulse, 0, TRACE_MAX), trace)

    def _learn(self, step: int) -> None:
        """End a learning epoch (``run_lrn``)."""
        history = {name: self._history(name, step) for name in TRACES}
        old = dict(self.variables)
        for name in TRACES[:2] if self.rule.third_factor else TRACES:
            self.variables[name] = history[name][-1]
        for target, expression in self.rule.expressions.items():
            variable = TARGETS[target]
            accumulator = old[variable] << 7
            for product in expression.products:
                change = self._change(product, old, history, step)
                accumulator = np.clip(accumulator + change, *ACCUMULATOR)
            self.variables[variable] = self._rounded(target, accumulator, step)
        self.variables.update(tx=np.zeros_like(old["tx"]), ty=np.zeros_like(old["ty"]))

    def _history(self, name: str, step: int) -> Array:
        """Values of a trace at the start and after each step of the epoch: (t_epoch + 1, size).

        Of several spikes in the epoch only the last is in its place (``_compute_trace_histories``).
        """
        trace, spiked = self._traces[name], self.variables["tx" if name[0] == "x" else "ty"]
        remaining = np.exp(-1 / np.array([trace.tau])) if trace.tau else np.zeros(1)
        history = [self.variables[name]]
        for now in range(1, self.rule.t_epoch + 1):
            exact = remaining * history[-1]
            number = self.rounding.numbers(name, step - self.rule.t_epoch + now, exact.shape)
            value = (np.floor(exact) + (number < exact % 1)).astype(np.int64)
            history.append(self._risen(name, value, spiked == now))
        return np.array(history)

    def _change(
        self, product: Product, old: Mapping[str, Array], history: Mapping[str, Array], step: int
    ) -> Array:
        """What a product adds to the accumulators, in 1/128 (``LearningRuleApplierBitApprox``)."""
        post, pre = np.indices(old["weights"].shape)
        spiked = {"x0": old["tx"][pre], "y0": old["ty"][post]}
        # Traces count as they were at the last spike of the dependency, or at the end.
        when = spiked.get(product.dependency, np.full_like(post, self.rule.t_epoch))
        if product.decimation is not None:
            epoch = (step + 1) // self.rule.t_epoch
            accumulator = np.full_like(post, epoch % 2**product.decimation == 0)
        else:
            accumulator = (when > 0).astype(np.int64)
        for factor in product.factors:
            if factor.variable in TRACES:
                value = history[factor.variable][when, pre if factor.variable[0] == "x" else post]
            elif factor.variable in spiked:
                value = (spiked[factor.variable] > 0).astype(np.int64)
            else:
                value = old[TARGETS["d" + factor.variable]]
            value = value + factor.constant
            value = np.sign(value) if factor.sgn else value
            value = np.clip(value, -(2**factor.width), 2**factor.width - 1)
            accumulator = wrap(accumulator * value)
        accumulator = wrap(accumulator * product.mantissa) >> min(right_shift(product), 31)
        return np.clip(accumulator << product.exponent + 7, *ACCUMULATOR)

    def _rounded(self, target: str, accumulator: Array, step: int) -> Array:
        """Synaptic variable from its accumulator, rounded stochastically and clipped."""
        # Lava also clips the accumulator to the sign; after rounding that makes no difference.
        limits = {"dw": LIMITS[self.synapses.sign_mode], **TAG_LIMITS}[target]
        number = self.rounding.numbers(target, step, accumulator.shape)
        value = (accumulator >> 7) + (number < (accumulator & 127) / 128)
        return np.clip(value, *limits)
