"""The synapses of an on-chip form driven with given signals, and the weights they learn.

No neuron is simulated: every signal a plane learns from, spikes or integers, is an input group. It
is the shortest way from a rule and recorded activity to weights, and isolates the rule from
everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lava_align.compiler.program import InputGroup, Program, Synapses
from lava_align.engine.base import Inputs, Semantics
from lava_align.engine.native import load_engine
from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Series, Spikes
from lava_align.rules import LoweredRule

Array = np.ndarray[Any, Any]
Signals = Mapping[str, Spikes | Array]
"""Signal to spikes, or to integers of shape (n_steps, n)."""


def group_name(signal: str) -> str:
    """Name of the input group that stands for a signal."""
    return signal.replace(".", "_")


def plane_program(
    lowered: LoweredRule, sizes: Mapping[str, int], graded: frozenset[str], n_steps: int, dt: float
) -> Program:
    """Build the program of a form's planes between input groups, all weights 0.

    Parameters
    ----------
    sizes : mapping
        Signal to its number of channels; ``pre`` and ``post`` at least.
    graded : frozenset of str
        Signals that carry integers.
    """
    needed = dict.fromkeys(name for plane in lowered.planes for name in plane.signals)
    missing = [name for name in needed if name not in sizes]
    if missing:
        raise InvalidInputError(
            [Problem(f"signals.{name}", "missing", "what the form learns from") for name in missing]
        )
    return Program(
        target="",
        dt=dt,
        n_steps=n_steps,
        inputs=tuple(
            InputGroup(name=group_name(name), size=sizes[name], graded=name in graded)
            for name in needed
        ),
        neurons=(),
        synapses=tuple(
            Synapses(
                name=plane.synapses("feedback"),
                pre=group_name(plane.pre),
                post=group_name(plane.gate),
                weights=np.zeros((sizes["post"], sizes["pre"])),
                acts=False,
                learning=plane.learning,
                graded=plane.graded,
                modulators={y: group_name(name) for y, name in plane.modulators.items()},
                rng_seed=index + 1,
            )
            for index, plane in enumerate(lowered.planes)
        ),
    )


def learn(
    lowered: LoweredRule,
    signals: Signals,
    *,
    dt: float,
    n_steps: int,
    weight_steps: Sequence[int],
    semantics: Semantics = "lava-0.10.0",
    seed: int = 0,
) -> Series:
    """Weights that a form learns from given signals, in chip units.

    Parameters
    ----------
    signals : mapping
        ``pre``, ``post`` and what else the planes name; see :class:`~lava_align.rules.base.Plane`.
    weight_steps : sequence of int
        Ascending steps after which weights are kept.

    Returns
    -------
    Series
        int32, (n, n_post, n_pre): the sum of the planes, each with its sign.

    Raises
    ------
    InvalidInputError
        If a signal is missing or does not fit.
    """
    graded = frozenset(name for name, s in signals.items() if not isinstance(s, Spikes))
    sizes = {name: s.size if isinstance(s, Spikes) else s.shape[1] for name, s in signals.items()}
    program = plane_program(lowered, sizes, graded, n_steps, dt)
    engine = load_engine(program, semantics, seed)
    given: Inputs = {group_name(name): s for name, s in signals.items()}
    used = {group.name for group in program.inputs}
    given = {name: s for name, s in given.items() if name in used}
    kept = []
    for step in weight_steps:
        engine.run(step - engine.step, given, ())
        kept.append(
            sum(
                plane.sign * engine.read(f"{synapses.name}.weights").astype(np.int32)
                for plane, synapses in zip(lowered.planes, program.synapses, strict=True)
            )
        )
    return Series(step=np.array(weight_steps), values=np.array(kept))
