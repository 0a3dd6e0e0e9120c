"""Plastic weights of all replicates at chosen steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lava_align.backends.brian2_network import Model
from lava_align.backends.brian2_runtime import Simulator
from lava_align.model.network import Network, Projection

Array = np.ndarray[Any, Any]


class Snapshots:
    """Takes the weights after given steps of the network.

    Inside this process a function copies them at these very steps. A standalone program cannot
    call one: there a monitor keeps them at every multiple of the steps' common divisor.

    Parameters
    ----------
    guest : Simulator
    model : Model
    network : Network
    weight_steps : sequence of int
        Steps 0..n_steps, in any order.
    n_replicates, divisions : int
        Blocks of the model; steps of the reference per step of the network.
    """

    def __init__(
        self,
        guest: Simulator,
        model: Model,
        network: Network,
        weight_steps: Sequence[int],
        *,
        n_replicates: int,
        divisions: int,
    ) -> None:
        self._network, self._model, self._n_replicates = network, model, n_replicates
        self._steps = sorted({int(step) for step in weight_steps})
        self._copies: dict[int, dict[str, Array]] = {}
        self._monitors: dict[str, Any] = {}
        self.objects: list[Any] = []
        inner = [step for step in self._steps if 0 < step < network.n_steps]
        self._interval = math.gcd(*inner)
        if not (inner and model.plastic):
            return
        if guest.standalone:
            self._monitors = self._weight_monitors(guest.brian2)
            self.objects = list(self._monitors.values())
        else:
            self.objects = [self._copier(guest.brian2, inner, divisions)]

    def collect(self) -> dict[str, dict[int, Array]]:
        """Weights by projection and step, each of shape (n_replicates, n_post, n_pre)."""
        if not self._steps:
            return {}
        return {
            projection.name: {step: self._weights(projection, step) for step in self._steps}
            for projection in self._network.plastic()
        }

    def _weights(self, projection: Projection, step: int) -> Array:
        if step == 0:
            return np.tile(projection.weights, (self._n_replicates, 1, 1))
        if step == self._network.n_steps:
            values = np.array(self._model.plastic[projection.name].w)
        elif self._monitors:
            values = np.array(self._monitors[projection.name].w[:, step // self._interval])
        else:
            values = self._copies[step][projection.name]
        n_post, n_pre = projection.weights.shape
        return values.reshape(self._n_replicates, n_pre, n_post).transpose(0, 2, 1)

    def _weight_monitors(self, brian2: Any) -> dict[str, Any]:
        interval = self._interval * self._network.dt * brian2.second
        clock = brian2.Clock(dt=interval, name="snapshot_clock")
        return {
            name: brian2.StateMonitor(
                synapses, "w", record=True, clock=clock, when="start", name=f"weights{index}"
            )
            for index, (name, synapses) in enumerate(self._model.plastic.items())
        }

    def _copier(self, brian2: Any, inner: Sequence[int], divisions: int) -> Any:
        plastic, copies = self._model.plastic, self._copies
        steps = itertools.count()
        wanted = {step * divisions: step for step in inner}

        def copy() -> None:
            step = wanted.get(next(steps))
            if step is not None:
                copies[step] = {name: np.array(synapses.w) for name, synapses in plastic.items()}

        return brian2.NetworkOperation(
            copy, clock=self._model.clock, when="start", name="snapshots"
        )
