"""The compiled network: every integer the chip would hold.

Backends read a :class:`Program` and nothing else about the network; they quantise, scale and round
nothing on their own. Its folder on disk is the subject of :mod:`lava_align.compiler.folder`.

Neurons are Lava's own LIF, or what the microcode of a Loihi 2 core could compute: integers with
shifts, sums, products, comparisons and small tables. What each computes step by step stands in
``docs/engine_semantics.md``.

A *sender* is what ``pre``, ``gate`` and ``modulators`` of synapses may name: an input group, a
neuron group (its spikes), or a port of a neuron group, ``group.port``. A graded sender sends
integers, any other one 1 where there is a spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from lava_align.learning_rule import GradedMode, LearningRule
from lava_align.values import ADDED, ArrayValue, frozen_array

Array = np.ndarray[Any, Any]
SignMode = Literal["mixed", "excitatory", "inhibitory"]
Into = Literal["soma", "apical"]


@dataclass(frozen=True, kw_only=True)
class InputGroup:
    """External spikes, ``size`` channels.

    Parameters
    ----------
    graded : bool
        Whether a spike carries an integer (a payload, or the value of a modulator), by which the
        weight is multiplied. A group that is not graded carries 1.
    """

    name: str
    size: int
    graded: bool = False


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise of its own for every neuron, added to the membrane: ``n += b - 2^15 - (n >> leak)``.

    ``b`` are 16 random bits. The port ``noise`` reports ``64 + clip(n >> report, -64, 63)``.

    Parameters
    ----------
    leak : int
        0..15; 0 makes it white, more a low-pass filter of about ``2^leak`` steps.
    gain : int
        The membrane gets ``n * 2^gain`` each step, rounded down; -8..15.
    report : int
        0..15.
    """

    leak: int
    gain: int
    report: int


@dataclass(frozen=True, kw_only=True)
class Apical:
    """A second input compartment, which leaks, drives nothing and is reported.

    The port ``apical`` reports ``64 + clip(p >> report, -64, 63)``.

    Parameters
    ----------
    decay : int
        0..4095, in 1/4096 per step.
    report : int
        0..31.
    """

    decay: int
    report: int


@dataclass(frozen=True, kw_only=True)
class Window:
    """Watches how close the membrane came to the threshold, for regression discontinuity.

    A window opens where the drive without reset is within ``margin`` of the threshold, and lasts
    ``length`` steps. At its end it is reported if the drive's peak was within ``reach`` of the
    threshold: on the port ``plus`` if the neuron spiked meanwhile, else on ``minus``; on
    ``window`` either way; ``distance`` is that of the peak, ``min(127, |peak - threshold| >>
    scale)``. ``above`` and ``below`` weigh the two classes against each other: ``2^bits`` less the
    share of spiking windows at ``plus``, that share at ``minus``.

    Parameters
    ----------
    margin, reach : int
        In units of the threshold (``vth``); 0..2^25 - 1.
    length : int
        Steps, 1..255.
    average : int
        The share is a mean over about ``2^average`` windows; 1..15.
    bits : int
        Of the share as it is sent, 1..6.
    scale : int
        0..31.
    """

    margin: int
    reach: int
    length: int
    average: int
    bits: int
    scale: int


_WINDOW_PORTS = {
    "plus": False,
    "minus": False,
    "window": False,
    "above": True,
    "below": True,
    "distance": True,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronGroup(ArrayValue):
    """Leaky integrate-and-fire compartments, as Lava's fixed-point ``LIF`` means them, and more.

    With ``dr`` to ``window`` at their defaults it is Lava's own LIF, else our ``ExtendedLIF``.

    Parameters
    ----------
    du, dv : int
        Decay of current and voltage, 0..4095, in 1/4096 per step (du counts one more).
    vth : int
        Threshold mantissa; the membrane is compared with ``vth << 6``.
    bias_mant : ndarray of int32, shape (size,)
    bias_exp : int
        The bias added each step is ``bias_mant << bias_exp``.
    dr : int or None
        Decay of a second current, as ``du``, which is taken from the first: a synaptic kernel of
        two exponentials.
    reset : int
        The membrane starts at ``reset << 6`` and is set to it by a spike; -(2^17 - 1)..2^17 - 1,
        below ``vth`` unless it is 0 as Lava's.
    refractory : int
        Steps after the one of a spike without further spikes, 0..255.
    holds : bool
        Whether the membrane stays at the reset meanwhile. If not it goes on integrating, and
        where it crosses the threshold it neither spikes nor is reset.
    noise : Noise or None
    apical : Apical or None
    window : Window or None
    """

    name: str
    size: int
    du: int
    dv: int
    vth: int
    bias_mant: Array
    bias_exp: int = 0
    dr: int | None = field(default=None, metadata=ADDED)
    reset: int = field(default=0, metadata=ADDED)
    refractory: int = field(default=0, metadata=ADDED)
    holds: bool = field(default=True, metadata=ADDED)
    noise: Noise | None = field(default=None, metadata=ADDED)
    apical: Apical | None = field(default=None, metadata=ADDED)
    window: Window | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias_mant", frozen_array(self.bias_mant, np.int32))

    @property
    def custom(self) -> bool:
        """Whether it is more than Lava's LIF."""
        options = (self.dr, self.noise, self.apical, self.window)
        return bool(self.reset or self.refractory) or any(o is not None for o in options)

    @property
    def ports(self) -> dict[str, bool]:
        """What it sends beside its spikes: port to whether it is graded."""
        found = {"noise": True} if self.noise is not None else {}
        found |= {"apical": True} if self.apical is not None else {}
        return found | (_WINDOW_PORTS if self.window is not None else {})

    @property
    def registers(self) -> tuple[str, ...]:
        """States, one integer per neuron each, that may be read and recorded."""
        return (
            "u",
            "v",
            *(["r"] if self.dr is not None else []),
            *(["rest"] if self.refractory else []),
            *(["n"] if self.noise is not None else []),
            *(["p"] if self.apical is not None else []),
            *(["z", "count", "peak", "fired", "share"] if self.window is not None else []),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EscapeGroup(ArrayValue):
    """Neurons that spike by chance, the likelier the more input the last steps brought.

    ``u`` is the sum of what arrived in the last ``window`` steps; the neuron spikes with the
    probability ``table[clip((u + bias >> shift) + 128, 0, 255)] / 65536``. Our ``EscapeNeuron``.

    Parameters
    ----------
    bias : ndarray of int32, shape (size,)
    window : int
        Length of the rectangular pulse that a spike acts as, 1..255 steps.
    refractory : int
        Steps after the one of a spike without further spikes, 0..255.
    shift : int
        0..15.
    table : ndarray of int32, shape (256,)
        Firing probabilities in 1/65536, 0..65535.
    """

    name: str
    size: int
    bias: Array
    window: int
    refractory: int
    shift: int
    table: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", frozen_array(self.bias, np.int32))
        object.__setattr__(self, "table", frozen_array(self.table, np.int32))

    custom = True
    ports: ClassVar[Mapping[str, bool]] = {}

    @property
    def registers(self) -> tuple[str, ...]:
        """States, one integer per neuron each, that may be read and recorded."""
        return ("u", "rest") if self.refractory else ("u",)


@dataclass(frozen=True, kw_only=True)
class RelayGroup:
    """Linear neurons that pass on what arrives, positive and negative values apart.

    Ports ``up`` and ``down`` send ``clip(a >> shift, 0, 254)`` and ``clip(-a >> shift, 0, 254)``
    of the input ``a`` of the same step; the group spikes where either is not 0. Our
    ``GradedRelay``.

    Parameters
    ----------
    shift : int
        0..31.
    """

    name: str
    size: int
    shift: int

    custom = True
    ports: ClassVar[Mapping[str, bool]] = {"up": True, "down": True}
    registers: ClassVar[tuple[str, ...]] = ()


AnyNeurons = NeuronGroup | EscapeGroup | RelayGroup


@dataclass(frozen=True)
class Sender:
    """What synapses may listen to.

    Parameters
    ----------
    size : int
    graded : bool
        Whether it sends integers other than 0 and 1.
    """

    size: int
    graded: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses(ArrayValue):
    """Synapses between two groups, static or plastic.

    Parameters
    ----------
    pre, post : str
        A sender, and a group. Integers that ``pre`` sends multiply the weights.
    weights : ndarray of int16, shape (n_post, n_pre)
        Initial weight mantissas, already on the grid of ``weight_bits`` and ``sign_mode``; static
        ones are clipped to the sign mode, and all truncated to the grid, if they are not.
    weight_exp : int
        The current a spike adds is ``weights << (6 + weight_exp)``. A negative exponent rounds
        the sum over all spikes of a step down, with delays the sum of each delay.
    weight_bits : int
        Bits of the stored mantissa, 1..8.
    acts : bool
        False: the output is not connected to ``post``.
    learning : LearningRule or None
        None for static synapses. The gate and the post traces come from the spikes of ``post``.
    rng_seed : int
        Seed of the trace rounding of this projection.
    delays : ndarray of uint8, shape (n_post, n_pre), or None
        Steps, 0..63, added to the one that every synapse takes; static synapses only (Lava's
        DelayDense).
    graded : str
        How a payload of ``pre``, 0..255, enters the trace x1 (Lava's ``GradedSpikeCfg``);
        ``default`` ignores it, the others ignore the impulse of x1. Plastic synapses only.
    gate : str or None
        Sender whose spikes are y0 and feed the post traces; None is ``post``.
    modulators : mapping
        For third-factor rules: ``y1``, ``y2``, ``y3`` to the graded sender, of the size of
        ``post``, whose value it takes every step; a modulator that is not given is 0.
    into : str
        ``apical``: the synapses end at the second input compartment of ``post``.
    """

    name: str
    pre: str
    post: str
    weights: Array
    weight_exp: int = 0
    weight_bits: int = 8
    sign_mode: SignMode = "mixed"
    acts: bool = True
    learning: LearningRule | None = None
    rng_seed: int = 1
    delays: Array | None = None
    graded: GradedMode = "default"
    gate: str | None = None
    modulators: Mapping[str, str] = field(default_factory=dict)
    into: Into = field(default="soma", metadata=ADDED)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_array(self.weights, np.int16))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_array(self.delays, np.uint8))


@dataclass(frozen=True, kw_only=True, eq=False)
class Program(ArrayValue):
    """A compiled network.

    Parameters
    ----------
    target : str
        Id of the target it was compiled for.
    dt : float
        Physical time of one step, seconds. Nothing on the chip depends on it.
    n_steps : int
        Steps the calibration was made for.
    inputs, neurons, synapses
        The network.
    mirrors : mapping
        Plastic projection to the forward projection it mirrors.
    planes : mapping
        Projection whose weights are the sum of several synapses between the same groups, to their
        names; a projection that is not listed is one synapses of its own name.
    """

    target: str
    dt: float
    n_steps: int
    inputs: tuple[InputGroup, ...]
    neurons: tuple[AnyNeurons, ...]
    synapses: tuple[Synapses, ...]
    mirrors: Mapping[str, str] = field(default_factory=dict)
    planes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata=ADDED)

    def __post_init__(self) -> None:
        planes = {name: tuple(members) for name, members in self.planes.items()}
        object.__setattr__(self, "planes", planes)

    def senders(self) -> dict[str, Sender]:
        """Everything that synapses may listen to, by name."""
        found = {group.name: Sender(group.size, group.graded) for group in self.inputs}
        for group in self.neurons:
            found[group.name] = Sender(group.size, graded=False)
            for port, graded in group.ports.items():
                found[f"{group.name}.{port}"] = Sender(group.size, graded)
        return found

    def size(self, sender: str) -> int:
        """Number of neurons or channels of a group, or of a port."""
        return self.senders()[sender].size

    def spiking(self) -> tuple[str, ...]:
        """Names of what spikes can be recorded of: the neuron groups, then their binary ports."""
        names = {group.name for group in self.inputs}
        senders = [n for n, s in self.senders().items() if not s.graded and n not in names]
        groups = [group.name for group in self.neurons]
        return (*groups, *(name for name in senders if name not in groups))

    def states(self) -> dict[str, int]:
        """Vectors that can be recorded, by name, with their size: registers and graded ports."""
        return {
            f"{group.name}.{variable}": group.size
            for group in self.neurons
            for variable in (*group.registers, *(p for p, g in group.ports.items() if g))
        }

    def custom_neurons(self) -> tuple[str, ...]:
        """Names of the groups that are more than Lava's LIF, and need a neuron program."""
        return tuple(group.name for group in self.neurons if group.custom)

    def plastic(self) -> tuple[Synapses, ...]:
        """Synapses that learn."""
        return tuple(s for s in self.synapses if s.learning is not None)

    def projections(self) -> dict[str, tuple[str, ...]]:
        """Projections that learn, to the names of the synapses that they are the sum of."""
        members = {name for planes in self.planes.values() for name in planes}
        alone = {s.name: (s.name,) for s in self.plastic() if s.name not in members}
        return {**alone, **self.planes}
