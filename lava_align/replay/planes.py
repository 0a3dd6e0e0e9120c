"""The synapses of an on-chip form driven with given signals, and the weights they learn.

No neuron is simulated: every signal a plane learns from, spikes or integers, is an input group. It
is the shortest way from a rule and recorded activity to weights, and isolates the rule from
everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lava_align.backends.base import Backend, Probes
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import InputGroup, Program, Synapses
from lava_align.errors import InvalidInputError, Problem
from lava_align.recording import Series, Spikes
from lava_align.rules import LoweredRule, Plane

Array = np.ndarray[Any, Any]
Signals = Mapping[str, Spikes | Array]
"""Signal to spikes, or to numbers of shape (n_steps, n): integers as they are sent, or real ones
that the form has a code for."""

FEEDBACK, FORWARD = "feedback", "forward"


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Weights in chip units, int32.

    Parameters
    ----------
    feedback : Series
        (n, n_post, n_pre): the sum of the planes.
    forward : Series or None
        (n, n_pre, n_post), of a rule that changes both paths.
    """

    feedback: Series
    forward: Series | None = None


def learn(
    lowered: LoweredRule,
    signals: Signals,
    *,
    shape: tuple[int, int],
    dt: float,
    n_steps: int,
    weight_steps: Sequence[int],
    weights: Array | None = None,
    forward: Array | None = None,
    backend: Backend | None = None,
) -> Learned:
    """Weights that a form learns from given signals.

    Parameters
    ----------
    signals : mapping
        What the planes name (see :class:`~lava_align.rules.base.Plane`); what is missing of
        ``pre`` and ``post`` themselves is silent.
    shape : tuple of int
        (n_post, n_pre) of the feedback weights.
    weight_steps : sequence of int
        Ascending steps after which weights are kept.
    weights, forward : ndarray, optional
        Initial feedback (n_post, n_pre) and forward weights (n_pre, n_post), in units of the rule;
        zero if not given.
    backend : Backend, optional
        Default: the native engine with Lava's rounding.

    Raises
    ------
    InvalidInputError
        If a signal is missing or does not fit.
    """
    sent = _sent(lowered, signals, shape, n_steps)
    scale = lowered.weight_scale
    paths = [
        (FEEDBACK, lowered.planes, shape, weights),
        (FORWARD, lowered.forward, shape[::-1], forward),
    ]
    synapses: list[Synapses] = []
    planes = {}
    for path, members, of_path, start in paths:
        made = [
            _synapses(plane, path, of_path, len(synapses) + k) for k, plane in enumerate(members)
        ]
        if made and start is not None:
            # The first plane of a path starts with all of its weight.
            made[0] = replace(made[0], weights=on_grid(start * scale))
        if len(made) > 1:
            planes[path] = tuple(s.name for s in made)
        synapses += made
    program = Program(
        target="",
        dt=dt,
        n_steps=n_steps,
        inputs=tuple(
            InputGroup(name=name, size=_size(s), graded=not isinstance(s, Spikes))
            for name, s in sent.items()
        ),
        neurons=(),
        synapses=tuple(synapses),
        planes=planes,
    )
    probes = Probes(weight_steps=tuple(weight_steps))
    found = (backend or NativeBackend()).run(program, sent, n_steps, probes).weights
    return Learned(feedback=found[FEEDBACK], forward=found.get(FORWARD))


def _group(signal: str) -> str:
    return signal.replace(".", "_")


def _size(signal: Spikes | Array) -> int:
    return signal.size if isinstance(signal, Spikes) else int(signal.shape[1])


def _sent(
    lowered: LoweredRule, signals: Signals, shape: tuple[int, int], n_steps: int
) -> dict[str, Spikes | Array]:
    """Signals as input groups send them, by the group's name."""
    none = np.zeros(0, np.int64)
    sent: dict[str, Spikes | Array] = {}
    problems = []
    for name in dict.fromkeys(n for p in (*lowered.planes, *lowered.forward) for n in p.signals):
        code = lowered.codes.get(name)
        given = signals.get(name if code is None else code.of or name)
        if given is None and name in ("pre", "post"):
            given = Spikes(step=none, neuron=none, size=shape[name == "pre"])
        if given is None:
            problems.append(Problem(f"signals.{name}", "missing", "what the form learns from"))
            continue
        if isinstance(given, Spikes):
            sent[_group(name)] = given
            continue
        if len(given) != n_steps:
            problems.append(Problem(f"signals.{name}", f"{len(given)} steps", f"{n_steps}"))
        sent[_group(name)] = given if code is None else code.encode(given)
    if problems:
        raise InvalidInputError(problems)
    return sent


def _synapses(plane: Plane, path: str, shape: tuple[int, int], index: int) -> Synapses:
    return Synapses(
        name=plane.synapses(path),
        pre=_group(plane.pre),
        post=_group(plane.gate),
        weights=np.zeros(shape),
        acts=False,
        learning=plane.learning,
        graded=plane.graded,
        modulators={y: _group(signal) for y, signal in plane.modulators.items()},
        rng_seed=index + 1,
    )


def on_grid(weights: Array) -> Array:
    """Weights on the chip's grid of mixed signs, even numbers in -256..254."""
    return np.clip(2 * np.rint(weights / 2), -256, 254).astype(np.int16)
