"""External spikes as a Lava Process."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess

Array = np.ndarray[Any, Any]


class SpikeSource(AbstractProcess):
    """Sends given spikes; nothing is repeated and nothing is drawn.

    A spike of step ``n`` (counted from 0) is sent at Lava time ``n + 1``, Lava's first time step
    being 1. Memory is proportional to the number of spikes, not to the length of the run.

    Parameters
    ----------
    shape : tuple of int
        ``(size,)``, the number of channels.
    step : ndarray of int64, shape (n_spikes,)
        Steps of the spikes, ascending.
    channel : ndarray of int32, shape (n_spikes,)
        Channels of the spikes, 0..size-1.
    name : str
    """

    def __init__(self, *, shape: tuple[int, ...], step: Array, channel: Array, name: str) -> None:
        # The spikes travel as parameters, not as a Var: a Var cannot be empty.
        super().__init__(shape=shape, step=step, channel=channel, name=name)
        self.s_out = OutPort(shape=shape)
