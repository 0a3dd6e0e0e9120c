"""External graded spikes as a Lava Process."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess

Array = np.ndarray[Any, Any]


class GradedSource(AbstractProcess):
    """Sends given integers; where there is none it sends 0.

    A value of step ``n`` (counted from 0) is sent at Lava time ``n + 1``. Memory is proportional
    to the number of values that are not 0.

    Parameters
    ----------
    shape : tuple of int
        ``(size,)``, the number of channels.
    step : ndarray of int64, shape (n,)
        Steps, ascending.
    channel : ndarray of int32, shape (n,)
        Channels, 0..size-1.
    value : ndarray of int32, shape (n,)
    name : str
    """

    def __init__(
        self, *, shape: tuple[int, ...], step: Array, channel: Array, value: Array, name: str
    ) -> None:
        # As parameters, not as Vars: a Var cannot be empty.
        super().__init__(shape=shape, step=step, channel=channel, value=value, name=name)
        self.s_out = OutPort(shape=shape)
