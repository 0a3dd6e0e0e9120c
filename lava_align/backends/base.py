"""What every backend that runs a Program offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lava_align.compiler.program import Program
from lava_align.recording import Recording, Spikes

Array = np.ndarray[Any, Any]

ProgressCallback = Callable[[int, int], None]
"""Called now and then with (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """What to record.

    Parameters
    ----------
    spikes : tuple of str or None
        Neuron groups, and binary ports (``group.port``), whose spikes are recorded; None is all
        neuron groups.
    weight_steps : tuple of int
        Steps after which the weights of every plastic projection are kept; 0 is the initial state.
    states : tuple of str
        ``group.u``, ``group.v`` and other registers, and what graded ports send (names as in
        ``Program.states``), recorded at every step.
    """

    spikes: tuple[str, ...] | None = None
    weight_steps: tuple[int, ...] = ()
    states: tuple[str, ...] = ()


class Backend(Protocol):
    """Runs a compiled program."""

    name: str

    def run(
        self,
        program: Program,
        inputs: Mapping[str, Spikes | Array],
        n_steps: int,
        probes: Probes = ...,
        progress: ProgressCallback | None = None,
    ) -> Recording:
        """Run ``n_steps`` steps with the given inputs, one entry per input group.

        Spikes, which have values where the group is graded, or integers (n_steps, size).
        """
        ...
