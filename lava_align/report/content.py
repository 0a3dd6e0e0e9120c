"""Everything a report says, as plain data fit for JSON.

Nothing is decided here: the verdict comes from :mod:`lava_align.validation`, the integers from
:mod:`lava_align.compiler`. What is computed is what a reader wants to see beside them, alignment
over time and rates per neuron.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.model.experiment import Experiment
from lava_align.model.network import Projection
from lava_align.recording import Recording, Series
from lava_align.rules import get_rule
from lava_align.statistics.alignment import Alignment, alignment
from lava_align.statistics.spikes import firing_rates
from lava_align.values import content_digest

if TYPE_CHECKING:
    from lava_align.compiler.compile import Compilation
    from lava_align.targets import HardwareTarget
    from lava_align.validation import Margins, Verdict

SCHEMA = "lava-align-report/1"

Array = np.ndarray[Any, Any]


def report_content(
    experiment: Experiment,
    compilation: Compilation,
    target: HardwareTarget,
    candidate: Recording,
    reference: Recording,
    verdict: Verdict,
    margins: Margins,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather a report.

    Parameters
    ----------
    experiment : Experiment
    compilation : Compilation
        What the experiment's network became.
    target : HardwareTarget
    candidate, reference : Recording
        The run that was judged and the run it is shown beside.
    verdict : Verdict
    margins : Margins
        Those the verdict was reached with.
    provenance : mapping
        Versions, seeds, wall times and whatever else says how the runs came about; names to
        strings, numbers or further mappings.

    Returns
    -------
    dict
        Of dicts, lists, strings, booleans, finite numbers and None: ``json.dumps`` with
        ``allow_nan=False`` accepts it. A number that does not exist (a rate of nobody, the angle
        of a zero matrix) is None.
    """
    runs = {"candidate": candidate, "reference": reference}
    warmup = margins.settings.measure.warmup
    network = experiment.network
    content = {
        "schema": SCHEMA,
        "title": experiment.title,
        "seed": experiment.seed,
        "dt": network.dt,
        "duration": network.duration,
        "warmup": warmup,
        "target": {"id": target.id, "title": target.title, "sha256": target.sha256},
        "systems": {name: _system(run) for name, run in runs.items()},
        "verdict": verdict.to_dict(),
        "margins": {**margins.to_dict(), "sha256": margins.digest()},
        "projections": [_projection(p, experiment, compilation, runs) for p in network.plastic()],
        "populations": [
            {
                "name": p.name,
                "size": p.size,
                "expected_rate": compilation.expected_rates.get(p.name),
                "rates": {name: _rates(run, p.name, warmup) for name, run in runs.items()},
            }
            for p in network.populations
        ],
        "quantities": compilation.quantities,
        **_hardware(compilation, target),
        "simplifications": experiment.approximate,
        "hashes": {
            "network": content_digest(network),
            "program": compilation.program.digest(),
            "candidate recording": candidate.digest(),
            "reference recording": reference.digest(),
        },
        "provenance": provenance,
    }
    described: dict[str, Any] = plain(content)
    return described


def _system(run: Recording) -> dict[str, Any]:
    return {
        "backend": run.backend,
        "dt": run.dt,
        "n_steps": run.n_steps,
        "not_probed": run.not_probed,
        "provenance": run.provenance,
    }


def _projection(
    projection: Projection,
    experiment: Experiment,
    compilation: Compilation,
    runs: Mapping[str, Recording],
) -> dict[str, Any]:
    plasticity, name = projection.plasticity, projection.name
    if plasticity is None:
        raise ValueError(f"projection {name} is not plastic")
    rule = get_rule(plasticity.rule)
    planes = compilation.program.projections().get(name, ())
    rules = {s.name: s.learning for s in compilation.program.plastic() if s.name in planes}
    if not rules:
        raise ValueError(f"the program has no learning rule for {name}")
    forward = experiment.network.projection(plasticity.mirrors).weights
    return {
        "name": name,
        "pre": projection.pre,
        "post": projection.post,
        "shape": projection.weights.shape,
        "acts": projection.acts,
        "mirrors": plasticity.mirrors,
        "rule": rule.name,
        "rule_title": rule.title,
        "variant": rule.form(plasticity.variant).name,
        "paper": rule.source,
        "equation": rule.equation,
        "parameters": rule.complete(plasticity.parameters, name),
        "planes": [
            {"name": plane, "learning": found.to_dict(), "coefficients": found.describe()}
            for plane, found in rules.items()
            if found is not None
        ],
        "weight_scale": compilation.weight_scales[name],
        "predictions": compilation.predictions[name],
        "alignment": {
            system: _course(run.weights.get(name), forward, run.dt) for system, run in runs.items()
        },
    }


def _course(series: Series | None, forward: Array, dt: float) -> dict[str, Any]:
    """Alignment at every snapshot; empty lists if the weights were not recorded."""
    if series is None:
        series = Series(step=np.empty(0), values=np.empty((0, *forward.shape[::-1])))
    found = [_alignment(forward, weights) for weights in series.values]
    return {
        "step": series.step,
        "time": series.step * dt,
        "angle": [a.angle for a in found],
        "r": [a.r for a in found],
        "sign_agreement": [a.sign_agreement for a in found],
        "norm_ratio": [a.norm_ratio for a in found],
    }


def _alignment(forward: Array, feedback: Array) -> Alignment:
    # A reference that diverged is a finding to show, not a reason to have no report.
    if not np.isfinite(feedback).all():
        return Alignment(angle=math.nan, r=math.nan, sign_agreement=math.nan, norm_ratio=math.nan)
    return alignment(forward, feedback)


def _hardware(compilation: Compilation, target: HardwareTarget) -> dict[str, Any]:
    from lava_align.compiler.checks import overall
    from lava_align.compiler.place import utilisation

    return {
        "checks": compilation.checks,
        "overall": overall(compilation.checks),
        "utilisation": utilisation(compilation.placement, target),
        "cores": len(compilation.placement.cores),
    }


def _rates(run: Recording, population: str, warmup: float) -> Array | None:
    """Rate of each neuron after the warm-up, Hz; None if the population was not recorded."""
    if population not in run.spikes:
        return None
    return firing_rates(
        run.spikes[population],
        dt=run.dt,
        n_steps=run.n_steps,
        start_step=round(warmup / run.dt),
    )


def plain(value: Any) -> Any:
    """Turn dataclasses, arrays, enums and tuples into what JSON knows; NaN and infinity to None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
