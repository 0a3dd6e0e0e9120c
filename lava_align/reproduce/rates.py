"""Rules on rates: the reference in NumPy and the on-chip form, fed the same signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_align.backends.base import Backend
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import lacks
from lava_align.engine.base import Semantics
from lava_align.errors import ConstraintViolationError, Problem
from lava_align.model.rates import RateExperiment
from lava_align.recording import Spikes
from lava_align.replay.planes import Learned, learn
from lava_align.reproduce.regime import Curve, Point
from lava_align.rules import AlignmentRule, LoweredRule, Sample, get_rule
from lava_align.rules.rates import Chunk, run
from lava_align.statistics.alignment import alignment
from lava_align.targets import HardwareTarget

Array = np.ndarray[Any, Any]

SAMPLE = 4000
"""The chip's constants are chosen from so many samples."""
STEP = 1e-3
"""A sample is a step of the chip; its length in seconds means nothing."""


@dataclass(frozen=True, kw_only=True)
class RateRun:
    """A run of a rule's reference, with the weights at chosen times.

    Parameters
    ----------
    rule : AlignmentRule
        On rates.
    parameters : mapping
    chunks : tuple of Chunk
        Between two of ``times`` each.
    times : tuple of int
        Samples after which weights are looked at.
    """

    rule: AlignmentRule
    parameters: dict[str, float]
    chunks: tuple[Chunk, ...]
    times: tuple[int, ...]

    @property
    def signals(self) -> dict[str, Spikes | Array]:
        """What the on-chip forms learn from."""
        assert self.rule.rate_signals is not None
        parts = [self.rule.rate_signals(c.signals, c.before) for c in self.chunks]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {
            name: Spikes.from_raster(values) if values.dtype == bool else values
            for name, values in joined.items()
        }


def rate_run(
    rule: AlignmentRule,
    *,
    n_lower: int,
    n_upper: int,
    times: Sequence[int],
    seed: int,
    parameters: dict[str, float] | None = None,
) -> RateRun:
    """Run the reference of a rule on rates.

    Parameters
    ----------
    times : sequence of int
        Evenly spaced numbers of samples, the last being the length of the run.
    """
    assert rule.rate is not None
    chunks = run(
        rule.rate,
        n_lower=n_lower,
        n_upper=n_upper,
        n_samples=times[-1],
        rng=np.random.default_rng(seed),
        parameters=parameters,
        chunk=times[0],
    )
    return RateRun(
        rule=rule,
        parameters=rule.rate.complete(parameters),
        chunks=tuple(chunks),
        times=tuple(times),
    )


def lower(found: RateRun, form: str | None = None) -> LoweredRule:
    """Choose the constants of an on-chip form from the beginning of a run."""
    signals = found.signals
    n = min(SAMPLE, found.times[-1])
    matrices = [m for w in _all_weights(found) for m in (w.feedback, *_held(found, w.forward))]
    shape = found.chunks[0].before.feedback.shape
    sample = Sample(
        pre=np.zeros((n, shape[1]), bool),
        post=np.zeros((n, shape[0]), bool),
        dt=STEP,
        n_steps=found.times[-1],
        signals={
            name: s[:n] if isinstance(s, np.ndarray) else s.raster(found.times[-1])[:n]
            for name, s in signals.items()
        },
        reach=float(max(np.abs(m).max() for m in matrices)),
    )
    return found.rule.form(form).lower(found.parameters, sample, "feedback")


def _all_weights(found: RateRun) -> list[Any]:
    return [found.chunks[0].before, *(c.after for c in found.chunks)]


def _held(found: RateRun, forward: Array) -> tuple[Array, ...]:
    """Forward weights where the chip learns them too."""
    return (forward,) if found.rule.name == "kolen_pollack" else ()


def on_chip(
    found: RateRun, form: str | None = None, backend: Backend | None = None
) -> tuple[LoweredRule, Learned]:
    """Learn from the signals of a run, from the same initial weights."""
    lowered = lower(found, form)
    start = found.chunks[0].before
    learned = learn(
        lowered,
        found.signals,
        shape=(start.feedback.shape[0], start.feedback.shape[1]),
        dt=STEP,
        n_steps=found.times[-1],
        weight_steps=found.times,
        weights=start.feedback,
        forward=start.forward,
        backend=backend,
    )
    return lowered, learned


def rate_curves(found: RateRun, seed: int, semantics: Sequence[Semantics]) -> list[Curve]:
    """Alignment of the reference and of every on-chip form at the times of a run."""
    made = [Curve(form="float", drive="self", semantics="", seed=seed, points=_float_points(found))]
    for form in found.rule.forms:
        for kind in semantics:
            backend = NativeBackend(semantics=kind, seed=seed)
            points = _points(found, *on_chip(found, form.name, backend))
            made.append(
                Curve(form=form.name, drive="replay", semantics=kind, seed=seed, points=points)
            )
    return made


def _float_points(found: RateRun) -> tuple[Point, ...]:
    return tuple(
        Point.of(time, alignment(chunk.after.forward, chunk.after.path))
        for time, chunk in zip(found.times, found.chunks, strict=True)
    )


def _points(found: RateRun, lowered: LoweredRule, learned: Learned) -> tuple[Point, ...]:
    """Alignment on chip: of both paths where it learns both, of the whole path with a relay."""
    points = []
    for index, (time, chunk) in enumerate(zip(found.times, found.chunks, strict=True)):
        feedback = learned.feedback.values[index] / lowered.weight_scale
        forward = chunk.after.forward
        if learned.forward is not None:
            forward = learned.forward.values[index] / lowered.weight_scale
        if chunk.after.relay is not None:
            feedback = feedback @ chunk.after.relay
        points.append(Point.of(time, alignment(forward, feedback)))
    return tuple(points)


def require_rule_fits(rule: AlignmentRule, target: HardwareTarget) -> None:
    """Refuse a rule that a target cannot hold.

    Raises
    ------
    ConstraintViolationError
        With everything that is lacking.
    """
    missing = lacks(rule, target)
    if missing:
        why = f" ({rule.no_form})" if rule.no_form else ""
        found = f"{rule.name} on {target.id} lacks {', '.join(missing)}{why}"
        raise ConstraintViolationError(Problem("rule", found, "another rule or target"))


def compared(experiment: RateExperiment, backend: Backend) -> dict[str, list[dict[str, float]]]:
    """Alignment over time of the reference (``float``) and of every on-chip form.

    Returns
    -------
    dict
        Form to a list of ``time`` (samples), ``r``, ``sign_agreement``, ``angle``, ``norm_ratio``.
    """
    rule = get_rule(experiment.rule)
    found = rate_run(
        rule,
        n_lower=experiment.lower,
        n_upper=experiment.upper,
        times=experiment.times,
        seed=experiment.seed,
        parameters=experiment.parameters,
    )
    made = {"float": _float_points(found)}
    for form in rule.forms:
        made[form.name] = _points(found, *on_chip(found, form.name, backend))
    return {form: [asdict(point) for point in points] for form, points in made.items()}
