"""The stages on the way: compile, run the chip form, run the reference, compare.

Each takes plain values and gives plain values, so it can be used alone;
:mod:`lava_align.deployment` is all of them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lava_align.backends.base import Backend, Probes, ProgressCallback
from lava_align.backends.brian2 import run_reference
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import Compilation, compile_network
from lava_align.compiler.program import Program
from lava_align.compiler.substrate import on_substrate
from lava_align.errors import InvalidInputError, Problem
from lava_align.long_run import LongRun
from lava_align.model.experiment import Experiment
from lava_align.model.network import Network
from lava_align.recording import Recording, Spikes
from lava_align.recording_file import Overview
from lava_align.targets import HardwareTarget
from lava_align.validation import (
    Margins,
    MarginSettings,
    MeasureSettings,
    Verdict,
    derive_margins,
    judge,
)

Array = np.ndarray[Any, Any]

StageCallback = Callable[[str, int, int], None]
"""Called with (stage, done, total) as the work goes on."""

SNAPSHOTS = 20
"""Weight snapshots of a run, beside the initial one, evenly spaced; the last is the end."""


def compile_experiment(experiment: Experiment, target: HardwareTarget) -> Compilation:
    """Compile the network of an experiment with the approximations it allows.

    The program is the one that its substrate makes of it.
    """
    compilation = compile_network(experiment.network, target, experiment.approximate)
    changed = on_substrate(compilation.program, experiment.substrate)
    return replace(compilation, program=changed)


def snapshot_steps(n_steps: int) -> tuple[int, ...]:
    """Steps at which runs keep their weights: start, end, and evenly in between."""
    return tuple(int(s) for s in np.unique(np.linspace(0, n_steps, SNAPSHOTS + 1).round()))


def forward_weights(network: Network) -> dict[str, Array]:
    """Plastic projection to the forward weights it mirrors."""
    return {
        p.name: network.projection(p.plasticity.mirrors).weights
        for p in network.plastic()
        if p.plasticity is not None
    }


def run_program(
    program: Program,
    inputs: Mapping[str, Spikes],
    *,
    backend: Backend,
    probes: Probes | None = None,
    progress: StageCallback | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Recording:
    """Run a program for the length it was compiled for.

    Parameters
    ----------
    inputs : mapping
        Input group to spikes, e.g. from :func:`~lava_align.model.network.draw_stimuli`.
    probes : Probes, optional
        Default: all spikes, and weights at :func:`snapshot_steps`.
    provenance : mapping, optional
        Added to what the backend says of itself.
    """
    probes = probes or Probes(weight_steps=snapshot_steps(program.n_steps))
    report = stage(progress, f"simulate ({backend.name})")
    recording = backend.run(program, inputs, program.n_steps, probes, report)
    return replace(recording, provenance={**recording.provenance, **(provenance or {})})


def long_run(experiment: Experiment, target: HardwareTarget, backend: NativeBackend) -> LongRun:
    """Compile an experiment for :func:`lava_align.long_run.run_to_file`.

    Its inputs are :func:`~lava_align.model.network.open_stimuli` of the network with the
    experiment's seed.
    """
    program = compile_experiment(experiment, target).program
    return LongRun(
        program=program,
        n_steps=program.n_steps,
        probes=Probes(weight_steps=snapshot_steps(program.n_steps)),
        backend=backend,
        origin={"seed": experiment.seed, "network": experiment.network.digest()},
    )


def stage(progress: StageCallback | None, name: str) -> ProgressCallback | None:
    """Report the progress of one stage under its name."""
    return None if progress is None else lambda done, total: progress(name, done, total)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A verdict with everything behind it.

    Parameters
    ----------
    verdict : Verdict
    margins : Margins
    reference : Recording
        The reference run the candidate was compared with.
    """

    verdict: Verdict
    margins: Margins
    reference: Recording


def margin_settings(experiment: Experiment) -> MarginSettings:
    """Margins as the experiment's validation plan asks for them."""
    return MarginSettings(measure=MeasureSettings(warmup=experiment.validation.warm_up))


def reference_seeds(experiment: Experiment) -> list[int]:
    """Seeds of the reference runs behind the margins: all different from the experiment's own."""
    sequence = np.random.SeedSequence(experiment.seed, spawn_key=(2,))
    return [int(s) for s in sequence.generate_state(experiment.validation.reference_runs)]


@dataclass(frozen=True, kw_only=True)
class ReferenceRuns:
    """The reference of an experiment, made without a look at any candidate's activity.

    Parameters
    ----------
    same_input : Recording or None
        The run that had the candidate's input spikes; None with independent input.
    others : tuple of Recording
        Runs with other seeds.
    margins : Margins
        Derived from ``others`` alone.
    """

    same_input: Recording | None
    others: tuple[Recording, ...]
    margins: Margins


def run_references(
    experiment: Experiment,
    stimuli: Mapping[str, Spikes],
    weight_steps: Sequence[int],
    *,
    progress: StageCallback | None = None,
) -> ReferenceRuns:
    """Run the reference with other seeds, and once with the given input spikes.

    Parameters
    ----------
    stimuli : mapping
        The candidate's input spikes; used only if the experiment's plan says ``same_input``.
    weight_steps : sequence of int
        When to keep the weights: as the candidate did.
    """
    plan = experiment.validation
    paired = [dict(stimuli)] if plan.same_input else []
    seeds = reference_seeds(experiment)
    runs = run_reference(
        experiment.network,
        [experiment.seed][: len(paired)] + seeds,
        inputs=[*paired, *[None] * len(seeds)],
        dt=plan.reference_dt,
        weight_steps=weight_steps,
        progress=stage(progress, "reference (Brian2)"),
    )
    others = tuple(runs[len(paired) :])
    forwards = forward_weights(experiment.network)
    return ReferenceRuns(
        same_input=runs[0] if paired else None,
        others=others,
        margins=derive_margins(others, forwards, margin_settings(experiment)),
    )


def compare(experiment: Experiment, candidate: Recording, reference: ReferenceRuns) -> Validation:
    """Judge a recording by margins that exist already."""
    paired = reference.same_input
    verdict = judge(
        candidate,
        reference.others if paired is None else paired,
        reference.margins,
        forward_weights(experiment.network),
        paired=paired is not None,
    )
    shown = reference.others[0] if paired is None else paired
    return Validation(verdict=verdict, margins=reference.margins, reference=shown)


def validate(
    experiment: Experiment, candidate: Recording, *, progress: StageCallback | None = None
) -> Validation:
    """Compare a recording with the reference of an experiment.

    Reference runs with other seeds give the margins; only then is the candidate's activity looked
    at. With ``same_input`` the compared reference run is fed the candidate's own input spikes,
    which the recording must hold.

    Raises
    ------
    InvalidInputError
        If the recording does not fit the experiment.
    """
    _require_fit(experiment, candidate)
    steps = sorted({int(s) for w in candidate.weights.values() for s in w.step})
    reference = run_references(experiment, candidate.stimuli, steps, progress=progress)
    return compare(experiment, candidate, reference)


def _require_fit(experiment: Experiment, candidate: Recording) -> None:
    network = experiment.network
    problems = []
    if abs(candidate.dt - network.dt) > 1e-12 or candidate.n_steps != network.n_steps:
        problems.append(
            Problem(
                "recording",
                f"{candidate.n_steps} steps of {candidate.dt:g} s",
                f"{network.n_steps} steps of {network.dt:g} s, as the experiment says",
            )
        )
    for population in network.populations:
        spikes = candidate.spikes.get(population.name)
        if spikes is None and population.name not in candidate.not_probed:
            problems.append(Problem(f"recording.spikes.{population.name}", "missing", "its spikes"))
        elif spikes is not None and spikes.size != population.size:
            problems.append(
                Problem(
                    f"recording.spikes.{population.name}",
                    f"{spikes.size} neurons",
                    f"{population.size} neurons",
                )
            )
    wanted = {s.name for s in network.stimuli} if experiment.validation.same_input else set()
    for name in sorted(wanted - set(candidate.stimuli)):
        problems.append(
            Problem(
                f"recording.stimuli.{name}",
                "missing",
                "the input spikes, or validation.same_input = false",
            )
        )
    if problems:
        raise InvalidInputError(problems)


def reference_only(
    experiment: Experiment, seeds: Sequence[int], *, progress: StageCallback | None = None
) -> list[Recording]:
    """Run the reference alone, one recording per seed."""
    return run_reference(
        experiment.network,
        seeds,
        dt=experiment.validation.reference_dt,
        weight_steps=snapshot_steps(experiment.network.n_steps),
        progress=stage(progress, "reference (Brian2)"),
    )


def summarise(found: Overview, forwards: Mapping[str, Array]) -> dict[str, Any]:
    """Rates and final alignment of a recording, JSON-plain; undefined figures are None."""
    from lava_align.statistics.alignment import alignment

    duration = found.n_steps * found.dt
    populations = {
        name: {"neurons": size, "spikes": count, "rate": count / size / duration}
        for name, (size, count) in found.spikes.items()
    }
    figures = {
        name: asdict(alignment(forwards[name], weights))
        for name, weights in found.weights.items()
        if name in forwards
    }
    aligned = {
        name: {key: None if np.isnan(value) else float(value) for key, value in of_one.items()}
        for name, of_one in figures.items()
    }
    return {"populations": populations, "alignment": aligned}
