"""The compiled network: every integer the chip would hold, and its folder on disk.

Backends read a :class:`Program` and nothing else about the network; they quantise, scale and round
nothing on their own. The folder holds ``manifest.json`` and one ``.npy`` per array; the manifest
carries the SHA-256 of each array, and equal programs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lava_align.learning_rule import LearningRule
from lava_align.values import ArrayValue, frozen_array

Array = np.ndarray[Any, Any]
SignMode = Literal["mixed", "excitatory", "inhibitory"]
GradedMode = Literal["default", "overwrite", "add_with_saturation", "add_without_saturation"]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronGroup(ArrayValue):
    """Leaky integrate-and-fire compartments, as Lava's fixed-point ``LIF`` means them.

    Parameters
    ----------
    du, dv : int
        Decay of current and voltage, 0..4095, in 1/4096 per step (du counts one more).
    vth : int
        Threshold mantissa; the membrane is compared with ``vth << 6``.
    bias_mant : ndarray of int32, shape (size,)
    bias_exp : int
        The bias added each step is ``bias_mant << bias_exp``.
    """

    name: str
    size: int
    du: int
    dv: int
    vth: int
    bias_mant: Array
    bias_exp: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias_mant", frozen_array(self.bias_mant, np.int32))


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses(ArrayValue):
    """Synapses between two groups, static or plastic.

    Parameters
    ----------
    pre, post : str
        Names of groups. ``pre`` may be an input group.
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
        Group whose spikes are y0 and feed the post traces; None is ``post``.
    modulators : mapping
        For third-factor rules: ``y1``, ``y2``, ``y3`` to the graded input group, of the size of
        ``post``, whose value it takes every step; a modulator that is not given is 0.
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
    """

    target: str
    dt: float
    n_steps: int
    inputs: tuple[InputGroup, ...]
    neurons: tuple[NeuronGroup, ...]
    synapses: tuple[Synapses, ...]
    mirrors: Mapping[str, str] = field(default_factory=dict)

    def size(self, group: str) -> int:
        """Number of neurons or channels of a group."""
        groups: tuple[InputGroup | NeuronGroup, ...] = (*self.inputs, *self.neurons)
        return next(g.size for g in groups if g.name == group)

    def plastic(self) -> tuple[Synapses, ...]:
        """Synapses that learn."""
        return tuple(s for s in self.synapses if s.learning is not None)
