"""Neurons in plain NumPy: Lava's LIF and those of our own, the specification of all of them.

Computed in int64 and wrapped or clipped where registers are narrower, so a wrap is written out.
Registers are named as in :attr:`~lava_align.compiler.program.NeuronGroup.registers`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from lava_align.compiler.program import (
    AnyNeurons,
    Apical,
    EscapeGroup,
    NeuronGroup,
    Noise,
    RelayGroup,
    Window,
)
from lava_align.engine.hashing import neuron_base, neuron_bits

Array = np.ndarray[Any, Any]

HALF_RANGE = 2**23
"""Currents and voltages have 24 bits."""
MIDDLE = 2**15
"""Mean of 16 random bits, and what the share of spiking windows starts at."""
RELAYED = 254
"""Largest value of a relay: half of it fits a trace."""


def wrap(value: Array, bits: int = 32) -> Array:
    """Wrap to a signed integer of so many bits."""
    half = 2 ** (bits - 1)
    wrapped: Array = ((value + half) & (2 * half - 1)) - half
    return wrapped


def shift(value: Array, exponent: int) -> Array:
    """Multiply by ``2**exponent``, rounding down."""
    return value << exponent if exponent > 0 else value >> -exponent


def decay(value: Array, remaining: int) -> Array:
    """Multiply by ``remaining / 4096``, rounding towards zero."""
    decayed: Array = np.sign(value) * (np.abs(value) * remaining >> 12)
    return decayed


def current(value: Array, remaining: int, arriving: Array) -> Array:
    """A current after one more step."""
    value = wrap(decay(value, remaining) + (arriving << 6))
    # Once only: what is further out stays out of 24 bits.
    wrapped: Array = value + 2 * HALF_RANGE * (
        (value <= -HALF_RANGE).astype(np.int64) - (value > HALF_RANGE)
    )
    return wrapped


def membrane(value: Array, remaining: int, drive: Array) -> Array:
    """A voltage after one more step; ``drive`` is all that is added."""
    limited: Array = np.clip(wrap(decay(value, remaining) + drive), 1 - HALF_RANGE, HALF_RANGE - 1)
    return limited


def reported(value: Array, report: int) -> Array:
    """A signed register as seven bits, 64 being 0."""
    bits: Array = 64 + np.clip(value >> report, -64, 63)
    return bits


class Neurons(Protocol):
    """A neuron group that runs."""

    variables: dict[str, Array]
    """What changes; one integer per neuron each, or ``arrived`` (see :class:`EscapeNeurons`)."""

    def advance(self, step: int, soma: Array, apical: Array) -> dict[str, Array]:
        """One step.

        Parameters
        ----------
        step : int
            From 0.
        soma, apical : ndarray of int64, shape (size,)
            What arrives there.

        Returns
        -------
        dict
            Port to what it sends; the spikes (1 where there is one) under the empty name.
        """
        ...


def make_neurons(group: AnyNeurons, seed: int, index: int) -> Neurons:
    """Make neurons of whichever kind; ``index`` is the place of the group in the program."""
    if isinstance(group, EscapeGroup):
        return EscapeNeurons(group, seed, index)
    if isinstance(group, RelayGroup):
        return RelayNeurons(group)
    return ExtendedNeurons(group, seed, index) if group.custom else LifNeurons(group)


def stepwise_bias(group: NeuronGroup) -> Array:
    """What the bias adds each step, int64 (``proc/lif/models.py``, scale_bias)."""
    # Lava holds the mantissa in 16 bits and shifts it in 32.
    mantissa = wrap(np.broadcast_to(group.bias_mant, (group.size,)).astype(np.int64), 16)
    return wrap(shift(mantissa, group.bias_exp))


class LifNeurons:
    """Leaky integrate-and-fire neurons (``PyLifModelBitAcc``, ``proc/lif/models.py:138-216``)."""

    def __init__(self, group: NeuronGroup) -> None:
        self.group = group
        self.variables = {name: np.zeros(group.size, np.int64) for name in "uv"}
        self.bias = stepwise_bias(group)

    def advance(self, step: int, soma: Array, apical: Array) -> dict[str, Array]:
        """Integrate what arrives; send 1 for each neuron that spikes."""
        group = self.group
        u = current(self.variables["u"], 4096 - (group.du + 1), soma)
        v = membrane(self.variables["v"], 4096 - group.dv, u + self.bias)
        spikes = v > group.vth << 6
        v[spikes] = 0
        self.variables.update(u=u, v=v)
        return {"": spikes.astype(np.int64)}


class ExtendedNeurons:
    """Leaky integrate-and-fire neurons with what a :class:`NeuronGroup` may add."""

    def __init__(self, group: NeuronGroup, seed: int, index: int) -> None:
        self.group = group
        self.bias = stepwise_bias(group)
        self.variables = {name: np.zeros(group.size, np.int64) for name in group.registers}
        starts = {"v": group.reset << 6, "z": group.reset << 6, "share": MIDDLE}
        for name in starts.keys() & self.variables.keys():
            self.variables[name] += starts[name]
        self._base = neuron_base(seed, index)

    def advance(self, step: int, soma: Array, apical: Array) -> dict[str, Array]:
        """Integrate what arrives; send spikes and what the ports report."""
        group, state = self.group, self.variables
        state["u"] = current(state["u"], 4096 - (group.du + 1), soma)
        drive = state["u"] + self.bias
        if group.dr is not None:
            state["r"] = current(state["r"], 4096 - (group.dr + 1), soma)
            drive = drive - state["r"]
        sent = {}
        if group.noise is not None:
            sent["noise"] = self._noise(group.noise, step)
            drive = drive + shift(state["n"], group.noise.gain)
        if group.apical is not None:
            sent["apical"] = self._apical(group.apical, apical)
        reached, spikes = self._soma(drive)
        if group.window is not None:
            sent |= self._watch(group.window, drive, reached, spikes)
        return {"": spikes.astype(np.int64), **sent}

    def _noise(self, noise: Noise, step: int) -> Array:
        n, drawn = self.variables["n"], neuron_bits(self._base, step, self.group.size)
        self.variables["n"] = n = wrap(n - (n >> noise.leak) + drawn - MIDDLE)
        return reported(n, noise.report)

    def _apical(self, apical: Apical, arriving: Array) -> Array:
        p = current(self.variables["p"], 4096 - apical.decay, arriving)
        self.variables["p"] = p
        return reported(p, apical.report)

    def _soma(self, drive: Array) -> tuple[Array, Array]:
        """Membrane and spikes; return the membrane before the reset too."""
        group, state = self.group, self.variables
        rest = state.get("rest", np.zeros(group.size, np.int64))
        held = (rest > 0) & group.holds
        moved = membrane(state["v"], 4096 - group.dv, drive)
        reached = np.where(held, group.reset << 6, moved)
        spikes = (reached > group.vth << 6) & (rest == 0)
        state["v"] = np.where(spikes, group.reset << 6, reached)
        if group.refractory:
            state["rest"] = np.where(spikes, group.refractory, np.maximum(rest - 1, 0))
        return reached, spikes

    def _watch(
        self, window: Window, drive: Array, reached: Array, spikes: Array
    ) -> dict[str, Array]:
        """Follow the windows; return what those that end now report."""
        state, threshold = self.variables, self.group.vth << 6
        # An open window goes on without reset, from where it was.
        alone = membrane(state["z"], 4096 - self.group.dv, drive)
        z = np.where(state["count"] > 0, alone, reached)
        opens = (state["count"] == 0) & (np.abs(z - threshold) <= window.margin << 6)
        count = np.where(opens, window.length, state["count"])
        watched = count > 0
        highest = np.where(watched, np.maximum(state["peak"], z), state["peak"])
        peak = np.where(opens, z, highest)
        fired: Array = np.where(opens, 0, state["fired"]) | (watched & spikes)
        count = count - watched
        distance = np.abs(peak - threshold)
        ends = watched & (count == 0) & (distance <= window.reach << 6)
        plus, minus = ends & (fired > 0), ends & (fired == 0)
        state.update(z=z, count=count, peak=peak, fired=fired)
        above, below = self._weigh(window, plus, minus)
        return {
            "plus": plus.astype(np.int64),
            "minus": minus.astype(np.int64),
            "window": ends.astype(np.int64),
            "above": above,
            "below": below,
            "distance": np.where(ends, np.minimum(distance >> window.scale, 127), 0),
        }

    def _weigh(self, window: Window, plus: Array, minus: Array) -> tuple[Array, Array]:
        """Weights of windows with and without spike; the share of the former follows."""
        share = self.variables["share"]
        # Rounded to so many bits, and 1 is 2^bits.
        q = share + (1 << 15 - window.bits) >> 16 - window.bits
        risen = share + (65535 - share >> window.average)
        fallen = share - (share >> window.average)
        self.variables["share"] = np.where(plus, risen, np.where(minus, fallen, share))
        return np.where(plus, (1 << window.bits) - q, 0), np.where(minus, q, 0)


class EscapeNeurons:
    """Neurons that spike with a probability looked up in a table.

    ``arrived`` has shape (size, window): what arrived in the last steps, the oldest first.
    """

    def __init__(self, group: EscapeGroup, seed: int, index: int) -> None:
        self.group = group
        self.variables = {name: np.zeros(group.size, np.int64) for name in group.registers}
        self.variables["arrived"] = np.zeros((group.size, group.window), np.int64)
        self._base = neuron_base(seed, index)

    def advance(self, step: int, soma: Array, apical: Array) -> dict[str, Array]:
        """Add what arrives, drop what is too old, and draw."""
        group, state, arriving = self.group, self.variables, wrap(soma)
        arrived = state["arrived"]
        state["u"] = wrap(state["u"] + arriving - arrived[:, 0])
        state["arrived"] = np.concatenate((arrived[:, 1:], arriving[:, None]), axis=1)
        x = wrap(state["u"] + group.bias)
        chance = group.table[np.clip((x >> group.shift) + 128, 0, 255)]
        spikes = neuron_bits(self._base, step, group.size) < chance
        if group.refractory:
            spikes &= state["rest"] == 0
            resting = np.maximum(state["rest"] - 1, 0)
            state["rest"] = np.where(spikes, group.refractory, resting)
        return {"": spikes.astype(np.int64)}


class RelayNeurons:
    """Neurons without state that pass on what arrives."""

    def __init__(self, group: RelayGroup) -> None:
        self.group = group
        self.variables: dict[str, Array] = {}

    def advance(self, step: int, soma: Array, apical: Array) -> dict[str, Array]:
        """Send the two signs apart, and spikes where either is not 0."""
        arriving = wrap(soma)
        up = np.clip(arriving >> self.group.shift, 0, RELAYED)
        down = np.clip(-arriving >> self.group.shift, 0, RELAYED)
        return {"": (up + down > 0).astype(np.int64), "up": up, "down": down}
