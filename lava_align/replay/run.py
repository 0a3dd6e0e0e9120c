"""Replay recorded spikes through a rule's plastic synapses, on chip and as the paper has it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.brian2_runtime import Codegen
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import Program
from lava_align.engine.base import Semantics
from lava_align.errors import InvalidInputError, Problem
from lava_align.model.units import format_time
from lava_align.pipeline import StageCallback
from lava_align.recording import Array, Recording, Series, Spikes
from lava_align.replay.binning import BinnedSpikes
from lava_align.replay.chip import OnChip, calibrated, without_neurons
from lava_align.replay.reference import replay_reference
from lava_align.rules import get_rule
from lava_align.statistics.alignment import Alignment, alignment
from lava_align.targets import HardwareTarget
from lava_align.values import ArrayValue

SNAPSHOTS = 20

FIRST_WEIGHTS = 0.0005
"""Initial weights are uniform within this of 0, as in the packaged experiments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay(ArrayValue):
    """What a rule learns from recorded spikes.

    Parameters
    ----------
    recording : Recording
        Weights ``chip`` (int32, chip units) and ``float`` (the rule's units), (n, n_post, n_pre),
        and the spikes they were learned from.
    on_chip : OnChip
        The synapses behind ``chip``.
    notes : tuple of str
    """

    recording: Recording
    on_chip: OnChip
    notes: tuple[str, ...] = ()

    def learned(self, form: str) -> Array:
        """Weights of a form (``chip`` or ``float``) at the end, (n_post, n_pre)."""
        final: Array = self.recording.weights[form].values[-1]
        return final

    def aligned(self, forward: Array) -> dict[str, tuple[Alignment, ...]]:
        """How well each form mirrors forward weights, one entry per snapshot.

        Parameters
        ----------
        forward : ndarray, shape (n_pre, n_post)
            From the lower neurons (post of the feedback) to the upper ones.

        Raises
        ------
        InvalidInputError
            If the shape is another.
        """
        expected = self.learned("chip").T.shape
        if forward.shape != expected:
            raise InvalidInputError(
                Problem("forward", f"shape {forward.shape}", f"(n_upper, n_lower) = {expected}")
            )
        return {
            form: tuple(alignment(forward, weights) for weights in series.values)
            for form, series in self.recording.weights.items()
        }

    def agreement(self) -> Alignment:
        """How well both forms agree at the end.

        The norm ratio is float over chip in the rule's units, ``nan`` where their scale is unknown.
        """
        scale = self.on_chip.weight_scale
        found = alignment(self.learned("chip").T / (scale or 1.0), self.learned("float"))
        return found if scale else replace(found, norm_ratio=math.nan)


def replay(
    spikes: BinnedSpikes,
    pre: str,
    post: str,
    *,
    target: HardwareTarget | None = None,
    program: Program | None = None,
    projection: str | None = None,
    rule: str = "stdwi",
    parameters: Mapping[str, float] | None = None,
    variant: str | None = None,
    weights: Array | None = None,
    semantics: Semantics = "lava-0.10.0",
    seed: int = 1,
    snapshots: int = SNAPSHOTS,
    codegen: Codegen = "numpy",
    progress: StageCallback | None = None,
) -> Replay:
    """Learn feedback weights from recorded spikes; no neuron is simulated.

    Parameters
    ----------
    spikes : BinnedSpikes
    pre, post : str
        Presynaptic (upper) and postsynaptic (lower) population of the feedback.
    target : HardwareTarget, optional
        What the rule is calibrated and checked for.
    program : Program, optional
        Instead of a target: a compiled program, whose synapses learn as they are.
    projection : str, optional
        Which one of the program; needed if several learn.
    rule : str
        For both forms; with a program, for the float form alone.
    parameters : mapping, optional
        Of the rule, SI units; the others keep their defaults.
    variant : str, optional
        On-chip form; not with a program.
    weights : ndarray, shape (n_post, n_pre), optional
        Initial weights in the rule's units; default: uniform within 0.0005 of 0, drawn by
        ``seed``. A program has initial chip weights of its own.
    semantics, seed
        Rounding of the chip form (see :class:`~lava_align.backends.native.NativeBackend`).
    snapshots : int
        At most so many weight snapshots beside the initial one, evenly spaced; the last is the
        end.
    codegen : {"numpy", "cython", "cpp_standalone"}
        How Brian2 runs the float form; the last pays off for recordings of many steps.
    progress : callable, optional
        Called with (stage, done, total).

    Raises
    ------
    InvalidInputError
        If populations, sizes, steps or parameters do not fit; with every problem.
    ConstraintViolationError
        If the target cannot hold the rule.
    """
    _require_fit(spikes, pre, post, target, program, variant, weights, snapshots)
    known = get_rule(rule)
    complete = known.complete(parameters or {}, "parameters")
    shape = (spikes.spikes[post].size, spikes.spikes[pre].size)
    if weights is None:
        weights = np.random.default_rng(seed).uniform(-FIRST_WEIGHTS, FIRST_WEIGHTS, shape)
    if program is not None:
        on_chip = without_neurons(program, projection)
        _require_same(on_chip, spikes, shape)
    else:
        assert target is not None  # see _require_fit
        on_chip = calibrated(
            known, complete, spikes, pre=pre, post=post, weights=weights, target=target,
            variant=variant,
        )  # fmt: skip
    interval = math.ceil(spikes.n_steps / snapshots)
    steps = [*range(0, spikes.n_steps, interval), spikes.n_steps]
    learned = {
        "chip": _on_chip(on_chip, spikes, pre, post, steps, semantics, seed, progress),
        "float": replay_reference(
            rule,
            complete,
            spikes.spikes[pre],
            spikes.spikes[post],
            weights,
            dt=spikes.dt,
            n_steps=spikes.n_steps,
            weight_steps=steps,
            codegen=codegen,
            progress=progress and (lambda done, n: progress("float (Brian2)", done, n)),
        ),
    }
    recording = Recording(
        backend="replay",
        dt=spikes.dt,
        n_steps=spikes.n_steps,
        spikes={name: spikes.spikes[name] for name in (pre, post)},
        weights=learned,
        provenance={
            "pre": pre,
            "post": post,
            "rule": rule,
            "parameters": complete,
            "semantics": semantics,
            "seed": seed,
            "weight_scale": on_chip.weight_scale,
            "program": (program or on_chip.program).digest(),
            "merged_spikes": dict(spikes.shared),
        },
    )
    notes = (*spikes.notes, *on_chip.notes, *_unfinished(on_chip, spikes.n_steps))
    return Replay(recording=recording, on_chip=on_chip, notes=notes)


def _unfinished(on_chip: OnChip, n_steps: int) -> Iterator[str]:
    """Say what a clocked rule has not yet moved from its tags to its weights."""
    rule = on_chip.synapses.learning
    if rule is None or rule.dt is None or rule.decimation is None:
        return
    period = rule.t_epoch * 2**rule.decimation
    if left := n_steps % period:
        yield (
            f"the last {left} of {n_steps} steps are not in the chip's weights yet: "
            f"tags move to them every {period} steps"
        )


def _require_fit(
    spikes: BinnedSpikes,
    pre: str,
    post: str,
    target: HardwareTarget | None,
    program: Program | None,
    variant: str | None,
    weights: Array | None,
    snapshots: int,
) -> None:
    known = ", ".join(spikes.spikes)
    problems = [
        Problem(key, f"no population '{name}'", f"one of: {known}")
        for key, name in (("pre", pre), ("post", post))
        if name not in spikes.spikes
    ]
    if (target is None) == (program is None):
        found = "neither" if program is None else "both"
        problems.append(Problem("target, program", f"{found} given", "one of the two"))
    if program is not None and variant is not None:
        found = "given with a program, which has its on-chip form already"
        problems.append(Problem("variant", found, "leave it out"))
    if snapshots < 1:
        problems.append(Problem("snapshots", str(snapshots), "at least 1"))
    if not problems and weights is not None:
        expected = (spikes.spikes[post].size, spikes.spikes[pre].size)
        if weights.shape != expected:
            found, allowed = f"shape {weights.shape}", f"(n_post, n_pre) = {expected}"
            problems.append(Problem("weights", found, allowed))
    if problems:
        raise InvalidInputError(problems)


def _require_same(on_chip: OnChip, spikes: BinnedSpikes, shape: tuple[int, int]) -> None:
    """Refuse spikes on another grid, or of other populations, than the program's."""
    problems = []
    if not math.isclose(on_chip.program.dt, spikes.dt, rel_tol=1e-9):
        found = f"the program steps by {format_time(on_chip.program.dt)}"
        problems.append(Problem("dt", found, f"that step, not {format_time(spikes.dt)}"))
    if on_chip.synapses.weights.shape != shape:
        found = f"{on_chip.projection} is {on_chip.synapses.weights.shape} (n_post, n_pre)"
        problems.append(Problem("program", found, f"{shape}, the size of the populations"))
    if problems:
        raise InvalidInputError(problems)


def _on_chip(
    on_chip: OnChip,
    spikes: BinnedSpikes,
    pre: str,
    post: str,
    steps: Sequence[int],
    semantics: Semantics,
    seed: int,
    progress: StageCallback | None,
) -> Series:
    none = np.zeros(0, np.int64)
    inputs = {
        group.name: Spikes(step=none, neuron=none, size=group.size)
        for group in on_chip.program.inputs
    }
    inputs |= {on_chip.pre: spikes.spikes[pre], on_chip.post: spikes.spikes[post]}
    recording = NativeBackend(semantics=semantics, seed=seed).run(
        on_chip.program,
        inputs,
        spikes.n_steps,
        Probes(weight_steps=tuple(steps)),
        progress and (lambda done, n: progress("on chip (native)", done, n)),
    )
    return recording.weights[on_chip.projection]
