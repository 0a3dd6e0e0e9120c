"""How the graded source runs on a CPU, the same for integer and float networks."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava_align.processes.graded_source.process import GradedSource


@implements(proc=GradedSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyGradedSourceModel(PyLoihiProcessModel):
    """Sends one vector of integers of shape (size,) a step."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._step = proc_params["step"]
        self._channel = proc_params["channel"]
        self._value = proc_params["value"]
        self._shape = proc_params["shape"]
        self._sent = 0

    def run_spk(self) -> None:
        """Send the values of step ``time_step - 1``."""
        end = int(np.searchsorted(self._step, self.time_step - 1, side="right"))
        values = np.zeros(self._shape, dtype=np.int32)
        now = slice(self._sent, end)
        values[self._channel[now]] = self._value[now]
        self._sent = end
        self.s_out.send(values)
