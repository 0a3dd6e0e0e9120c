"""How graded relays run on a CPU."""

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
from lava_align.processes.graded_relay.process import GradedRelay

Array = np.ndarray[Any, Any]

MOST = 254


class _Relay(PyLoihiProcessModel):
    """Sends both signs of what arrives, as ``_scaled`` makes it."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._shift = proc_params["shift"]
        self._unit = proc_params["unit"]

    def run_spk(self) -> None:
        """Pass on what arrives."""
        arriving = self.a_in.recv()
        self.up = np.clip(self._scaled(arriving), 0, MOST)
        self.down = np.clip(self._scaled(-arriving.astype(float)), 0, MOST)
        self.s_out_buff = (self.up != 0) | (self.down != 0)
        self.s_out.send(self.s_out_buff)
        self.up_out.send(self.up)
        self.down_out.send(self.down)

    def _scaled(self, arriving: Array) -> Array:
        raise NotImplementedError


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedRelayModelFixed(_Relay):
    """In integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    up_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=8)
    down_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=8)

    def _scaled(self, arriving: Array) -> Array:
        # 32 bits are exact in a float, and so is a power of two; the negative of -2^31 fits.
        scaled: Array = np.floor(arriving * 2.0**-self._shift).astype(np.int64)
        return scaled


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyGradedRelayModelFloat(_Relay):
    """The same without rounding."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    up_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    down_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def _scaled(self, arriving: Array) -> Array:
        return np.asarray(arriving * self._unit * 2.0**-self._shift)
