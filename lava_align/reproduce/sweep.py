"""The chip form alone over stimulation regimes and substrates: how well each rule aligns.

Everything here runs the compiled network on the native engine, driving itself; the reference is not
run, so that a sweep of dozens of conditions takes minutes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.native import NativeBackend
from lava_align.compiler.program import Program
from lava_align.model.experiment import Experiment
from lava_align.model.network import EscapeNeuron, Network, Stimulus, draw_stimuli
from lava_align.model.stimuli import PoissonDrive
from lava_align.model.substrate import Substrate
from lava_align.pipeline import compile_experiment
from lava_align.reproduce.kept import kept
from lava_align.reproduce.regime import load
from lava_align.statistics.alignment import alignment
from lava_align.targets import load_target

Array = np.ndarray[Any, Any]
TARGET = "loihi2"

RULES: dict[str, tuple[str, float]] = {
    "STDWI": ("paper", 100.0),
    "WM": ("weight_mirror", 100.0),
    "RDD": ("rdd", 60.0),
    "SAL": ("sal", 1000.0),
}
"""Rule to the packaged experiment of its own regime and a length that shows it, seconds."""

MISMATCH = (0.0, 0.05, 0.1, 0.2, 0.4)
REGIMES: dict[str, tuple[float, ...]] = {
    "active fraction": (0.1, 0.2, 0.5, 1.0),
    "correlation": (0.0, 0.2, 0.5, 0.8),
    "rate (Hz)": (50.0, 100.0, 200.0, 400.0),
}
STANDARD = {"active fraction": 0.2, "correlation": 0.0, "rate (Hz)": 200.0}
SAL_STIMULUS = 3.0
"""Stimuli of stochastic neurons, in units of the potential: SAL's own regime has none."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A run to be made.

    Parameters
    ----------
    axis, value
        What is varied, and where it stands.
    rule : str
        Of :data:`RULES`.
    seed : int
    """

    axis: str
    value: float
    rule: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Alignment of learned, and of copied, feedback with what the chip's forward weights are.

    Parameters
    ----------
    condition : Condition
    r, sign_agreement, angle, copied_angle : float
        Angles in degrees.
    upper_rate : float
        Mean rate of the upper neurons in Hz, without which no rule on spikes can learn.
    """

    condition: Condition
    r: float
    sign_agreement: float
    angle: float
    copied_angle: float
    upper_rate: float


def outcome(condition: Condition) -> Outcome:
    """Compile, run and compare.

    The learned feedback is compared with the forward weights as the chip has them. *Copied* is the
    transpose of the weights the experiment asks for: what a host would write.
    """
    example, seconds = RULES[condition.rule]
    experiment = _changed(load(example, condition.seed, seconds), condition)
    network = experiment.network
    program = compile_experiment(experiment, load_target(TARGET)).program
    end = network.n_steps
    (projection,) = network.plastic()
    recording = NativeBackend(semantics="independent-rounding", seed=condition.seed).run(
        program,
        draw_stimuli(network, condition.seed),
        end,
        Probes(spikes=(projection.pre,), weight_steps=(end,)),
    )
    upper = recording.spikes[projection.pre]
    forward = forward_on_chip(program, projection.name)
    asked = network.projection(program.mirrors[projection.name]).weights
    found = alignment(forward, recording.weights[projection.name].values[-1])
    return Outcome(
        condition=condition,
        r=found.r,
        sign_agreement=found.sign_agreement,
        angle=found.angle,
        copied_angle=alignment(forward, asked.T).angle,
        upper_rate=len(upper.step) / upper.size / (end * network.dt),
    )


def forward_on_chip(program: Program, projection: str) -> Array:
    """Mantissas of the forward weights that a plastic projection mirrors, (n_pre, n_post)."""
    name = program.mirrors[projection]
    return next(s.weights for s in program.synapses if s.name == name).astype(float)


def _changed(experiment: Experiment, condition: Condition) -> Experiment:
    if condition.axis == "mismatch":
        substrate = Substrate(
            threshold=condition.value, weight=condition.value, seed=condition.seed
        )
        return replace(experiment, substrate=substrate)
    levels = {**STANDARD, condition.axis: condition.value}
    drive = PoissonDrive(
        rate=levels["rate (Hz)"],
        active_fraction=levels["active fraction"],
        correlation=levels["correlation"],
        period=0.1,
    )
    return replace(experiment, network=_driven(experiment.network, drive))


def _driven(network: Network, drive: PoissonDrive) -> Network:
    """The network with another drive of its lower population."""
    (projection,) = network.plastic()
    lower = network.population(projection.post)
    if not isinstance(lower.neuron, EscapeNeuron):
        stimuli = tuple(replace(s, drive=drive) for s in network.stimuli)
    else:
        stimuli = (Stimulus(name="drive", population=lower.name, weight=SAL_STIMULUS, drive=drive),)
    return replace(network, stimuli=stimuli)


def conditions(axis: str, seeds: Sequence[int]) -> list[Condition]:
    """All runs along an axis: ``mismatch``, or one of :data:`REGIMES`."""
    values = MISMATCH if axis == "mismatch" else REGIMES[axis]
    return [
        Condition(axis=axis, value=value, rule=rule, seed=seed)
        for rule in RULES
        for value in values
        for seed in seeds
    ]


def sweep(
    axes: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Run along axes; one row per axis, rule and value, with mean and standard error over seeds.

    Single runs are kept in ``folder``.
    """
    from joblib import Parallel, delayed

    tasks = [c for axis in axes for c in conditions(axis, seeds)]
    found: list[Outcome] = []
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_outcome)(c, folder) for c in tasks
    )
    for made in results:
        found.append(made)
        if progress is not None:
            progress(len(found), len(tasks))
    keys = dict.fromkeys((o.condition.axis, o.condition.rule, o.condition.value) for o in found)
    return [_row(key, found) for key in keys]


def _outcome(condition: Condition, folder: Path) -> Outcome:
    name = "-".join(re.sub(r"\W+", "_", str(part)) for part in astuple(condition))
    found = kept(folder / f"{name}.json", lambda: asdict(outcome(condition)))
    return Outcome(**{**found, "condition": condition})


def _row(key: tuple[str, str, float], found: Sequence[Outcome]) -> dict[str, Any]:
    axis, rule, value = key
    same = [
        asdict(o) for o in found if (o.condition.axis, o.condition.rule, o.condition.value) == key
    ]
    row: dict[str, Any] = {"axis": axis, "rule": rule, "value": value, "seeds": len(same)}
    for measure in ("r", "sign_agreement", "angle", "copied_angle", "upper_rate"):
        values = np.array([o[measure] for o in same])
        row[measure] = {
            "mean": float(values.mean()),
            "se": float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None,
        }
    return row
