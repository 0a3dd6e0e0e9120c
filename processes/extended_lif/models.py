"""How extended LIF neurons run on a CPU, in integers and without rounding."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava_align.processes.extended_lif.process import ExtendedLIF

from lava_align.engine.hashing import neuron_base, neuron_bits

Array = np.ndarray[Any, Any]

LIMIT = 2**23 - 1
MEAN_BITS = 2**15
PORTS = ("noise", "apical", "plus", "minus", "window", "above", "below", "distance")


class _ExtendedLif(PyLoihiProcessModel):
    """The order of a step; the arithmetic is that of the two models below."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._set = {key: proc_params[key] for key in ("du", "dv", "dr", "bias_exp")}
        self._refractory, self._holds = proc_params["refractory"], proc_params["holds"]
        self._noise, self._window = proc_params["noise"], proc_params["window"]
        self._apical, self._unit = proc_params["apical"], proc_params["unit"]
        self._base = neuron_base(proc_params["seed"], proc_params["index"])
        lengths = {key: self._length(proc_params[key]) for key in ("vth", "reset")}
        self._threshold, self._reset = lengths["vth"], lengths["reset"]
        for key in PORTS:
            setattr(self, key, np.zeros(proc_params["shape"], np.int64))

    def run_spk(self) -> None:
        """Integrate, spike, report."""
        soma, apical = self.a_in.recv(), self.a_apical.recv()
        if self.time_step == 1:
            self.v[:] = self._reset
            self.z[:] = self._reset
        drive = self._drive(soma)
        if self._noise is not None:
            drive = drive + self._draw()
        if self._apical is not None:
            self._listen(apical)
        moved = self._moved(self.v, drive)
        resting = self.rest > 0
        before = np.where(resting, self._reset, moved) if self._holds else moved
        spikes = (before > self._threshold) & ~resting
        self.v[:] = before
        self.v[spikes] = self._reset
        self.rest[resting] -= 1
        self.rest[spikes] = self._refractory
        if self._window is not None:
            self._watch(before, drive, spikes)
        self.s_out_buff = spikes
        self.s_out.send(spikes)
        for key in PORTS:
            getattr(self, f"{key}_out").send(getattr(self, key))

    def _watch(self, before: Array, drive: Array, spikes: Array) -> None:
        """Windows around crossings of the threshold."""
        window = self._window
        closed = self.count == 0
        self.z[:] = np.where(closed, before, self._moved(self.z, drive))
        margin, reach = self._length(window["margin"]), self._length(window["reach"])
        opening = closed & (np.abs(self.z - self._threshold) <= margin)
        self.count[opening] = window["length"]
        self.peak[opening] = self.z[opening]
        self.fired[opening] = 0
        watched = self.count > 0
        self.peak[watched] = np.maximum(self.peak, self.z)[watched]
        self.fired[watched & spikes] = 1
        self.count[watched] -= 1
        distance = np.abs(self.peak - self._threshold)
        ended = watched & (self.count == 0) & (distance <= reach)
        self.window = ended
        self.plus, self.minus = ended & (self.fired == 1), ended & (self.fired == 0)
        self.distance = np.where(ended, self._scaled_distance(distance), 0)
        part = self._rounded_share()
        self.above = np.where(self.plus, 2 ** window["bits"] - part, 0)
        self.below = np.where(self.minus, part, 0)
        self._follow(self.plus, 65535)
        self._follow(self.minus, 0)

    def _length(self, mantissa: float) -> Any:
        """A difference of voltages as the membrane counts them."""
        raise NotImplementedError

    def _drive(self, soma: Array) -> Array:
        """Update the currents; return what they and the bias give the membrane."""
        raise NotImplementedError

    def _moved(self, voltage: Array, drive: Array) -> Array:
        """A voltage a step later."""
        raise NotImplementedError

    def _draw(self) -> Array:
        """Update the noise and its report; return what the membrane gets."""
        raise NotImplementedError

    def _listen(self, arriving: Array) -> None:
        """Update the apical compartment and its report."""
        raise NotImplementedError

    def _scaled_distance(self, distance: Array) -> Array:
        raise NotImplementedError

    def _rounded_share(self) -> Array:
        """Share of spiking windows in ``2^-bits``."""
        raise NotImplementedError

    def _follow(self, where: Array, goal: int) -> None:
        """Move the share towards 65535, or towards 0."""
        raise NotImplementedError


@implements(proc=ExtendedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyExtendedLifModelFixed(_ExtendedLif):
    """In integers, as a neurocore would hold them."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=32)
    a_apical: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    noise_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    apical_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    plus_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    minus_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    window_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    above_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    below_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    distance_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int16, precision=16)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    r: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    z: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    rest: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    n: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=32)
    p: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    count: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    peak: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    fired: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=1)
    share: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=16)

    def _length(self, mantissa: float) -> Any:
        return int(mantissa) * 64

    def _drive(self, soma: Array) -> Array:
        self.u[:] = _current(self.u, 4095 - self._set["du"], soma)
        exponent = self._set["bias_exp"]
        mantissa = self.bias_mant.astype(np.int32)
        bias = mantissa << exponent if exponent >= 0 else mantissa >> -exponent
        drive: Array = self.u.astype(np.int64) + bias
        if self._set["dr"] is not None:
            self.r[:] = _current(self.r, 4095 - self._set["dr"], soma)
            drive -= self.r
        return drive

    def _moved(self, voltage: Array, drive: Array) -> Array:
        summed = _wrapped(_decayed(voltage, 4096 - self._set["dv"]) + drive)
        clipped: Array = np.minimum(np.maximum(summed, -LIMIT), LIMIT).astype(np.int64)
        return clipped

    def _draw(self) -> Array:
        n = self.n.astype(np.int64)
        drawn = neuron_bits(self._base, self.time_step - 1, len(n)) - MEAN_BITS
        self.n[:] = _wrapped(n - (n >> self._noise["leak"]) + drawn)
        self.noise = _report(self.n, self._noise["report"])
        gain = self._noise["gain"]
        wide = self.n.astype(np.int64)
        scaled: Array = wide * 2**gain if gain >= 0 else wide // 2**-gain
        return scaled

    def _listen(self, arriving: Array) -> None:
        self.p[:] = _current(self.p, 4096 - self._apical["decay"], arriving)
        self.apical = _report(self.p, self._apical["report"])

    def _scaled_distance(self, distance: Array) -> Array:
        scaled: Array = np.minimum(distance.astype(np.int64) >> self._window["scale"], 127)
        return scaled

    def _rounded_share(self) -> Array:
        dropped = 16 - self._window["bits"]
        rounded: Array = (self.share + 2 ** (dropped - 1)) // 2**dropped
        return rounded

    def _follow(self, where: Array, goal: int) -> None:
        step = np.abs(goal - self.share[where]) >> self._window["average"]
        self.share[where] += step if goal else -step


def _wrapped(value: Array) -> Array:
    """Wrap to 32 bits with sign."""
    return value.astype(np.uint32).view(np.int32)


def _decayed(value: Array, remaining: int) -> Array:
    """Multiply by ``remaining / 4096``, rounding towards zero."""
    wide = value.astype(np.int64) * remaining
    return np.where(wide < 0, -(-wide // 4096), wide // 4096)


def _current(value: Array, remaining: int, arriving: Array) -> Array:
    """A current a step later; beyond 24 bits it is moved by 2^24 once, as in Lava's LIF."""
    summed = _wrapped(_decayed(value, remaining) + (arriving.astype(np.int64) << 6))
    wide = summed.astype(np.int64)
    wide[summed > LIMIT + 1] -= 2**24
    wide[summed < -LIMIT] += 2**24
    return wide


def _report(value: Array, dropped: int) -> Array:
    """A signed register in seven bits, 64 being 0."""
    return np.clip((value.astype(np.int64) >> dropped) + 64, 0, 127)


@implements(proc=ExtendedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyExtendedLifModelFloat(_ExtendedLif):
    """The same without rounding, limits and wrapping; ``n`` stays in the integers' units."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_apical: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    noise_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    apical_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    plus_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    minus_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    window_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    above_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    below_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    distance_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)
    u: np.ndarray = LavaPyType(np.ndarray, float)
    r: np.ndarray = LavaPyType(np.ndarray, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    z: np.ndarray = LavaPyType(np.ndarray, float)
    rest: np.ndarray = LavaPyType(np.ndarray, np.int32)
    n: np.ndarray = LavaPyType(np.ndarray, float)
    p: np.ndarray = LavaPyType(np.ndarray, float)
    count: np.ndarray = LavaPyType(np.ndarray, np.int32)
    peak: np.ndarray = LavaPyType(np.ndarray, float)
    fired: np.ndarray = LavaPyType(np.ndarray, np.int32)
    share: np.ndarray = LavaPyType(np.ndarray, float)

    def _length(self, mantissa: float) -> Any:
        return mantissa

    def _drive(self, soma: Array) -> Array:
        self.u[:] = self.u * (1 - self._set["du"]) + soma
        drive = self.u + self.bias_mant
        if self._set["dr"] is not None:
            self.r[:] = self.r * (1 - self._set["dr"]) + soma
            drive = drive - self.r
        return np.asarray(drive)

    def _moved(self, voltage: Array, drive: Array) -> Array:
        return np.asarray(voltage * (1 - self._set["dv"]) + drive)

    def _draw(self) -> Array:
        drawn = neuron_bits(self._base, self.time_step - 1, len(self.n)) - MEAN_BITS
        self.n[:] = self.n * (1 - 2.0 ** -self._noise["leak"]) + drawn
        self.noise = np.clip(64 + self.n * 2.0 ** -self._noise["report"], 0, 127)
        return np.asarray(self.n * 2.0 ** self._noise["gain"] / self._unit)

    def _listen(self, arriving: Array) -> None:
        self.p[:] = self.p * (1 - self._apical["decay"]) + arriving
        registers = self.p * self._unit * 2.0 ** -self._apical["report"]
        self.apical = np.clip(64 + registers, 0, 127)

    def _scaled_distance(self, distance: Array) -> Array:
        scaled: Array = np.minimum(distance * self._unit / 2 ** self._window["scale"], 127)
        return scaled

    def _rounded_share(self) -> Array:
        return np.asarray(self.share * 2.0 ** (self._window["bits"] - 16))

    def _follow(self, where: Array, goal: int) -> None:
        self.share[where] += (goal - self.share[where]) * 2.0 ** -self._window["average"]
