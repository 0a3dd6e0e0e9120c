"""Extended LIF as a Lava Process."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

Array = np.ndarray[Any, Any]


class ExtendedLIF(AbstractProcess):
    """Leaky integrate-and-fire with what :class:`~lava_align.compiler.program.NeuronGroup` adds.

    A neuron program of this project's own; with every option left out it computes what Lava's
    ``LIF`` does. Ports that an option lacks send 0. For ``floating_pt`` decays are fractions,
    ``bias_mant`` is the whole bias, and voltages and distances are in units of ``unit``.

    Parameters
    ----------
    shape : tuple of int
        ``(size,)``.
    du, dv : int or float
        0..4095 (``du`` counts one more).
    vth : int or float
        In 64ths of the membrane's integers.
    bias_mant : ndarray, shape (size,)
    bias_exp : int
    dr : int or float, optional
        Decay of the second current, as ``du``.
    reset : int or float
        As ``vth``.
    refractory : int
    holds : bool
    noise : dict, optional
        ``leak``, ``gain``, ``report``.
    apical : dict, optional
        ``decay``, ``report``.
    window : dict, optional
        ``margin``, ``reach``, ``length``, ``average``, ``bits``, ``scale``.
    seed, index : int
        Of the random numbers: the seed of the run, and the place of the group in its program (see
        :func:`lava_align.engine.hashing.neuron_bits`).
    unit : float
        For ``floating_pt``: what a voltage of 1 is in the integers of the membrane.
    **recording
        See :mod:`lava_align.processes.recorded.models`.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        du: float,
        dv: float,
        vth: float,
        bias_mant: Array,
        bias_exp: int = 0,
        dr: float | None = None,
        reset: float = 0,
        refractory: int = 0,
        holds: bool = True,
        noise: dict[str, int] | None = None,
        apical: dict[str, float] | None = None,
        window: dict[str, float] | None = None,
        seed: int = 0,
        index: int = 0,
        unit: float = 64.0,
        name: str | None = None,
        **recording: Any,
    ) -> None:
        super().__init__(
            shape=shape,
            du=du,
            dv=dv,
            vth=vth,
            bias_exp=bias_exp,
            dr=dr,
            reset=reset,
            refractory=refractory,
            holds=holds,
            noise=noise,
            apical=apical,
            window=window,
            seed=seed,
            index=index,
            unit=unit,
            name=name,
            **recording,
        )
        self.a_in = InPort(shape=shape)
        self.a_apical = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.noise_out = OutPort(shape=shape)
        self.apical_out = OutPort(shape=shape)
        self.plus_out = OutPort(shape=shape)
        self.minus_out = OutPort(shape=shape)
        self.window_out = OutPort(shape=shape)
        self.above_out = OutPort(shape=shape)
        self.below_out = OutPort(shape=shape)
        self.distance_out = OutPort(shape=shape)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.u = Var(shape=shape, init=0)
        self.r = Var(shape=shape, init=0)
        # Where they begin is known to the model, which knows the units.
        self.v = Var(shape=shape, init=0)
        self.z = Var(shape=shape, init=0)
        self.rest = Var(shape=shape, init=0)
        self.n = Var(shape=shape, init=0)
        self.p = Var(shape=shape, init=0)
        self.count = Var(shape=shape, init=0)
        self.peak = Var(shape=shape, init=0)
        self.fired = Var(shape=shape, init=0)
        self.share = Var(shape=shape, init=2**15)
