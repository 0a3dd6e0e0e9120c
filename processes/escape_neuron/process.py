"""Escape neurons as a Lava Process."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

Array = np.ndarray[Any, Any]


class EscapeNeuron(AbstractProcess):
    """Spikes with the probability ``table[clip((u + bias >> shift) + 128, 0, 255)] / 65536``.

    ``u`` is the sum of what arrived in the last ``window`` steps, the one at hand included. A
    neuron program of this project's own.

    Parameters
    ----------
    shape : tuple of int
        ``(size,)``.
    bias : ndarray, shape (size,)
    window : int
        1..255.
    refractory : int
        Steps without spike after the one of a spike, 0..255.
    shift : int
        0..15.
    table : ndarray of int32, shape (256,)
        0..65535.
    seed, index : int
        Of the random numbers: the seed of the run, and the place of the group in its program (see
        :func:`lava_align.engine.hashing.neuron_bits`).
    unit : float
        For ``floating_pt``: what an input of 1 stands for.
    **recording
        See :mod:`lava_align.processes.recorded.models`.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        bias: Array,
        window: int,
        refractory: int,
        shift: int,
        table: Array,
        seed: int = 0,
        index: int = 0,
        unit: float = 1.0,
        name: str | None = None,
        **recording: Any,
    ) -> None:
        super().__init__(
            shape=shape,
            refractory=refractory,
            shift=shift,
            table=np.array(table),
            seed=seed,
            index=index,
            unit=unit,
            name=name,
            **recording,
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.bias = Var(shape=shape, init=bias)
        self.u = Var(shape=shape, init=0)
        self.rest = Var(shape=shape, init=0)
        self.arrived = Var(shape=(*shape, window), init=0)
