"""Graded relays as a Lava Process."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess


class GradedRelay(AbstractProcess):
    """Passes on what arrives in the same step, positive and negative values apart.

    ``up = clip(a >> shift, 0, 254)`` and ``down = clip(-a >> shift, 0, 254)``. ``s_out`` spikes
    where either is not 0. A neuron program of this project's own, without state.

    Parameters
    ----------
    shape : tuple of int
        ``(size,)``.
    shift : int
        0..31.
    unit : float
        For ``floating_pt``: what an input of 1 stands for.
    **recording
        See :mod:`lava_align.processes.recorded.models`.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        shift: int,
        unit: float = 1.0,
        name: str | None = None,
        **recording: Any,
    ) -> None:
        super().__init__(shape=shape, shift=shift, unit=unit, name=name, **recording)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.up_out = OutPort(shape=shape)
        self.down_out = OutPort(shape=shape)
