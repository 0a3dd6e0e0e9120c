"""How the spike source runs on a CPU, the same for integer and float networks."""

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
from lava_align.processes.spike_source.process import SpikeSource


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PySpikeSourceModel(PyLoihiProcessModel):
    """Sends one boolean vector of shape (size,) a step."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._step = proc_params["step"]
        self._channel = proc_params["channel"]
        self._shape = proc_params["shape"]
        self._sent = 0

    def run_spk(self) -> None:
        """Send the spikes of step ``time_step - 1``."""
        end = int(np.searchsorted(self._step, self.time_step - 1, side="right"))
        spikes = np.zeros(self._shape, dtype=bool)
        spikes[self._channel[self._sent : end]] = True
        self._sent = end
        self.s_out.send(spikes)
