"""How escape neurons run on a CPU."""

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
from lava_align.processes.escape_neuron.process import EscapeNeuron

from lava_align.engine.hashing import neuron_base, neuron_bits

Array = np.ndarray[Any, Any]


class _Escape(PyLoihiProcessModel):
    """Draws spikes; how likely they are is said by ``_chances``."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._refractory = proc_params["refractory"]
        self._shift = proc_params["shift"]
        self._table = proc_params["table"]
        self._unit = proc_params["unit"]
        self._base = neuron_base(proc_params["seed"], proc_params["index"])

    def run_spk(self) -> None:
        """Add what arrives to the window and draw."""
        arriving = self.a_in.recv()
        self.arrived[:, :-1] = self.arrived[:, 1:].copy()
        self.arrived[:, -1] = arriving
        drawn = neuron_bits(self._base, self.time_step - 1, len(self.u))
        spikes = (drawn < self._chances()) & (self.rest == 0)
        self.rest[self.rest > 0] -= 1
        self.rest[spikes] = self._refractory
        self.s_out_buff = spikes
        self.s_out.send(spikes)

    def _chances(self) -> Array:
        """Set ``u`` and return the firing probabilities in 1/65536."""
        raise NotImplementedError


@implements(proc=EscapeNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyEscapeNeuronModelFixed(_Escape):
    """In integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=32)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=32)
    rest: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    arrived: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=32)

    def _chances(self) -> Array:
        # A sum of the window is what adding the newest and taking the oldest away comes to.
        self.u[:] = _wrapped(self.arrived.sum(axis=1, dtype=np.int64))
        x = _wrapped(self.u.astype(np.int64) + self.bias)
        return np.asarray(self._table[128 + np.clip(x >> self._shift, -128, 127)])


@implements(proc=EscapeNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyEscapeNeuronModelFloat(_Escape):
    """The same without rounding: between the entries of the table lies a straight line."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    bias: np.ndarray = LavaPyType(np.ndarray, float)
    u: np.ndarray = LavaPyType(np.ndarray, float)
    rest: np.ndarray = LavaPyType(np.ndarray, np.int32)
    arrived: np.ndarray = LavaPyType(np.ndarray, float)

    def _chances(self) -> Array:
        self.u[:] = self.arrived.sum(axis=1)
        x = (self.u + self.bias) * self._unit / 2**self._shift
        # An entry stands for the middle of the interval that the shift makes one of.
        chances: Array = np.interp(x, np.arange(-128, 128) + 0.5, self._table)
        return chances


def _wrapped(value: Array) -> Array:
    """Wrap to 32 bits with sign."""
    return value.astype(np.uint32).view(np.int32)
