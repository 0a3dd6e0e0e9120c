"""What every backend that runs a Program offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lava_align.compiler.program import Program
from lava_align.recording import Recording, Spikes

ProgressCallback = Callable[[int, int], None]
"""Called now and then with (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """What to record.

    Parameters
    ----------
    spikes : tuple of str or None
        Neuron groups whose spikes are recorded; None is all of them.
    weight_steps : tuple of int
        Steps after which the weights of every plastic projection are kept; 0 is the initial state.
    states : tuple of str
        ``group.u`` or ``group.v``, recorded at every step.
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
        inputs: Mapping[str, Spikes],
        n_steps: int,
        probes: Probes = ...,
        progress: ProgressCallback | None = None,
    ) -> Recording:
        """Run ``n_steps`` steps with the given input spikes (one entry per input group)."""
        ...
