"""A rule in its paper's regime: the reference and its on-chip forms on the same spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from typing import Any, Literal

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.brian2 import run_reference
from lava_align.backends.brian2_runtime import Codegen
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import compile_network
from lava_align.compiler.program import Program
from lava_align.engine.base import Semantics
from lava_align.model.experiment import Experiment, load_experiment
from lava_align.model.network import Network, Plasticity, Projection
from lava_align.recording import Recording, Series, Spikes
from lava_align.replay.planes import Signals, learn
from lava_align.rules import AlignmentRule, LoweredRule, OnChipForm, Sample, get_rule
from lava_align.statistics.alignment import Alignment, alignment
from lava_align.targets import HardwareTarget

Array = np.ndarray[Any, Any]

SAMPLE_SECONDS = 20.0
"""The chip's constants are chosen from the beginning of the recorded activity."""

SEMANTICS: tuple[Semantics, ...] = ("lava-0.10.0", "independent-rounding")


Drive = Literal["replay", "self"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """Alignment of one kind of weights at one time."""

    time: float
    r: float
    sign_agreement: float
    angle: float
    norm_ratio: float

    @classmethod
    def of(cls, time: float, found: Alignment) -> Point:
        """Alignment at a time."""
        return cls(time=time, **asdict(found))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One form of a rule, one seed.

    Parameters
    ----------
    form : str
        ``float`` or the name of an on-chip form.
    drive : {"replay", "self"}
        Whether the synapses saw the reference's signals or those of their own network.
    semantics : str
        Of the rounding; empty for ``float``.
    seed : int
    points : tuple of Point
        Ascending in time.
    """

    form: str
    drive: Drive
    semantics: str
    seed: int
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A plastic projection of a reference run and what its rule needs on chip.

    Parameters
    ----------
    rule : AlignmentRule
    parameters : mapping
        All of the rule's.
    forward : ndarray, shape (n_pre, n_post)
        What is mirrored.
    initial : ndarray, shape (n_post, n_pre)
    recorded : mapping
        ``pre``, ``post`` and the recorded events of both populations, as ``post.plus``.
    dt : float
    n_steps : int
    """

    rule: AlignmentRule
    parameters: Mapping[str, float]
    forward: Array
    initial: Array
    recorded: Mapping[str, Spikes]
    dt: float
    n_steps: int

    def signals(self, form: OnChipForm) -> dict[str, Spikes | Array]:
        """Everything a form may learn from."""
        derived = form.derive(self.recorded, self.n_steps) if form.derive else {}
        return {**self.recorded, **derived}

    def lower(self, form: OnChipForm, where: str = "feedback") -> LoweredRule:
        """Choose the constants of a form from the beginning of the recording."""
        n = min(self.n_steps, round(SAMPLE_SECONDS / self.dt))
        signals = self.signals(form)
        sample = Sample(
            pre=_raster(self.recorded["pre"], n),
            post=_raster(self.recorded["post"], n),
            dt=self.dt,
            n_steps=self.n_steps,
            signals={
                name: _raster(s, n) if isinstance(s, Spikes) else s[:n]
                for name, s in signals.items()
            },
            reach=float(max(np.abs(self.forward).max(), np.abs(self.initial).max())),
        )
        return form.lower(self.parameters, sample, where)

    def learn(
        self, form: OnChipForm, steps: Sequence[int], semantics: Semantics, seed: int
    ) -> Series:
        """Weights a form learns, in the rule's units."""
        lowered = self.lower(form)
        signals: Signals = self.signals(form)
        found = learn(
            lowered,
            signals,
            shape=(self.forward.shape[1], self.forward.shape[0]),
            dt=self.dt,
            n_steps=self.n_steps,
            weight_steps=steps,
            weights=self.initial,
            backend=NativeBackend(semantics=semantics, seed=seed),
        ).feedback
        return Series(step=found.step, values=found.values / lowered.weight_scale)


def _raster(spikes: Spikes, n_steps: int) -> Array:
    kept = spikes.step < n_steps
    part = Spikes(step=spikes.step[kept], neuron=spikes.neuron[kept], size=spikes.size)
    return part.raster(n_steps)


def replayed(network: Network, recording: Recording, projection: Projection) -> Replayed:
    """Take a plastic projection out of a recorded run."""
    plasticity = projection.plasticity
    assert isinstance(plasticity, Plasticity)
    rule = get_rule(plasticity.rule)
    ends = {"pre": projection.pre, "post": projection.post}
    recorded = {}
    for side, population in ends.items():
        for name, spikes in recording.spikes.items():
            owner, _, event = name.partition(".")
            if owner == population:
                recorded[f"{side}.{event}" if event else side] = spikes
    return Replayed(
        rule=rule,
        parameters=rule.complete(plasticity.parameters, f"projections.{projection.name}.rule"),
        forward=network.projection(plasticity.mirrors).weights,
        initial=projection.weights,
        recorded=recorded,
        dt=network.dt,
        n_steps=network.n_steps,
    )


def curves(
    experiment: Experiment,
    times: Sequence[float],
    *,
    target: HardwareTarget,
    forms: Sequence[str] | None = None,
    semantics: Sequence[Semantics] = SEMANTICS,
    codegen: Codegen | None = None,
) -> list[Curve]:
    """Alignment over time of the reference and of the on-chip forms, driven in two ways.

    *Replay* drives the plastic synapses with the reference's own spikes, which isolates the rule;
    *self* runs the compiled network with the target's neurons on the same stimuli.

    Parameters
    ----------
    experiment : Experiment
        Its seed decides everything random.
    times : sequence of float
        Seconds, ascending.
    target : HardwareTarget
        What the self-driven network is compiled for.
    forms : sequence of str, optional
        On-chip forms; default: all of the rule.
    codegen : optional
        Of the reference (see :func:`~lava_align.backends.brian2.run_reference`).
    """
    network = experiment.network
    (projection,) = network.plastic()
    steps = [round(time / network.dt) for time in times]
    (recording,) = run_reference(
        network,
        [experiment.seed],
        dt=experiment.validation.reference_dt,
        weight_steps=steps,
        codegen=codegen,
    )
    found = replayed(network, recording, projection)
    learned = recording.weights[projection.name].values

    def curve(form: str, drive: Drive, kind: str, weights: Array) -> Curve:
        points = (
            Point.of(time, alignment(found.forward, values))
            for time, values in zip(times, weights, strict=True)
        )
        return Curve(
            form=form, drive=drive, semantics=kind, seed=experiment.seed, points=tuple(points)
        )

    made = [curve("float", "self", "", learned)]
    for form in found.rule.forms:
        if forms is not None and form.name not in forms:
            continue
        program = _compiled(experiment, form, target)
        for kind in semantics:
            weights = found.learn(form, steps, kind, experiment.seed).values
            made.append(curve(form.name, "replay", kind, weights))
            own = NativeBackend(semantics=kind, seed=experiment.seed).run(
                program, dict(recording.stimuli), network.n_steps, Probes(weight_steps=tuple(steps))
            )
            made.append(curve(form.name, "self", kind, own.weights[projection.name].values))
    return made


def _compiled(experiment: Experiment, form: OnChipForm, target: HardwareTarget) -> Program:
    network = experiment.network
    (projection,) = network.plastic()
    assert projection.plasticity is not None
    chosen = replace(projection, plasticity=replace(projection.plasticity, variant=form.name))
    others = tuple(chosen if p is projection else p for p in network.projections)
    changed = replace(network, projections=others)
    return compile_network(changed, target, experiment.approximate).program


def load(example: str, seed: int, duration: float | None = None) -> Experiment:
    """Packaged experiment with another seed and, if given, duration (seconds)."""
    with as_file(files("lava_align") / "examples" / f"{example}.toml") as path:
        return load_experiment(path, seed=seed, duration=duration, comparable=False)
