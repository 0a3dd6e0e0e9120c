"""What both implementations of the engine offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from lava_align.compiler.program import Program
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]

Semantics = Literal["lava-0.10.0", "independent-rounding"]
"""``lava-0.10.0`` reproduces Lava with its deviations from the chip, one shared random number per
step included; ``independent-rounding`` draws one per synapse and per trace."""

Inputs = Mapping[str, Spikes | Array]
"""Input group to its spikes (with values, if graded), or to integers of shape (n_steps, size).

Steps are counted from the start of the run, not of the chunk.
"""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What a stretch of steps recorded.

    Parameters
    ----------
    start, stop : int
        The steps ``start .. stop - 1`` were run.
    spikes : mapping
        Neuron group or binary port to (step, neuron): int64 and int32 arrays of equal length,
        sorted by step.
    states : mapping
        Registers of neurons and graded ports (``Program.states``), as ``group.u``,
        ``group.above``: int32, shape (stop - start, size); plastic synapses' ``name.x1``,
        ``name.x2`` (stop - start, n_pre), ``name.y1`` .. ``name.y3`` (stop - start, n_post), as
        they stand after the step.
    """

    start: int
    stop: int
    spikes: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)


class Engine(Protocol):
    """A running program."""

    @property
    def program(self) -> Program:
        """What it runs."""
        ...

    @property
    def step(self) -> int:
        """Number of steps done."""
        ...

    def run(
        self, n_steps: int, inputs: Inputs, spikes: tuple[str, ...], states: tuple[str, ...] = ()
    ) -> Chunk:
        """Run ``n_steps`` more steps, recording spikes of groups and binary ports, and states."""
        ...

    def read(self, name: str) -> Array:
        """Read a state as it stands.

        ``projection.weights`` (int16, (n_post, n_pre)), ``projection.t``, ``projection.d``,
        ``projection.x1`` .. ``.y3``; ``group.u``, ``group.v`` and the other registers; of graded
        ports what they sent in the last step that was run.
        """
        ...

    def state(self) -> dict[str, Array]:
        """Everything needed to go on later, random streams included, as plain arrays."""
        ...

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to a state of the same program; the run continues to the same integers."""
        ...
