"""The whole way through: compile, simulate, reference, compare, report, bundle.

A deployment is a folder with everything that was made on the way.
"""

from __future__ import annotations

import platform
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_align._version import __version__
from lava_align.backends import get_backend
from lava_align.backends.base import Backend
from lava_align.compiler.compile import Compilation
from lava_align.compiler.folder import canonical_json, save_program
from lava_align.errors import InvalidInputError, Problem
from lava_align.files import atomic_path
from lava_align.formats.bundle import write_bundle
from lava_align.golden import GoldenRun, golden_run
from lava_align.model.experiment import Experiment
from lava_align.model.network import draw_stimuli
from lava_align.pipeline import (
    StageCallback,
    Validation,
    compile_experiment,
    forward_weights,
    run_program,
    stage,
    validate,
)
from lava_align.recording import Recording
from lava_align.targets import HardwareTarget
from lava_align.validation import Outcome, Verdict

Array = np.ndarray[Any, Any]

FORWARD_WEIGHTS = "forward_weights.npz"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What :func:`deploy` did.

    Parameters
    ----------
    content : mapping
        The report, JSON-plain.
    verdict : Verdict
    report : Path
    bundle : Path or None
        None if the verdict forbade it.
    """

    content: Mapping[str, Any]
    verdict: Verdict
    report: Path
    bundle: Path | None


def deploy(
    experiment: Experiment,
    target: HardwareTarget,
    out: str | Path,
    *,
    backend: Backend | None = None,
    force: bool = False,
    progress: StageCallback | None = None,
) -> Deployment:
    """Compile, simulate, run the reference, compare, report and bundle.

    Parameters
    ----------
    out : path
        Folder for ``program/``, ``candidate.rec.h5``, ``reference.rec.h5``, ``report.html``,
        ``report.json`` and ``bundle.zip``.
    backend : Backend, optional
        Runs the program; default is the native engine. Whatever it is, the first steps also run
        on Lava, if that is installed, and must come out equal (:mod:`lava_align.golden`).
    force : bool
        Write the bundle even if the verdict is not EQUIVALENT; the bundle says so.
    """
    out = Path(out)
    backend = backend or get_backend("native")
    times: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        times[stage], clock = time.perf_counter() - clock, time.perf_counter()

    compilation = compile_experiment(experiment, target)
    save_program(compilation.program, out / "program")
    lap("compile")
    stimuli = draw_stimuli(experiment.network, experiment.seed)
    candidate = run_program(
        compilation.program,
        stimuli,
        backend=backend,
        progress=progress,
        provenance={"seed": experiment.seed},
    )
    candidate.save(out / "candidate.rec.h5")
    lap("simulate")
    golden = golden_run(compilation.program, stimuli, stage(progress, "check against Lava"))
    lap("check against Lava")
    validation = validate(experiment, candidate, progress=progress)
    validation.reference.save(out / "reference.rec.h5")
    lap("reference and comparison")
    provenance = {
        **describe_origin(experiment),
        "lava_check": golden.check,
        "wall_seconds": times,
    }
    report, content = write_report(
        out, experiment, compilation, target, candidate, validation, provenance
    )
    bundle = out / "bundle.zip"
    bundle.unlink(missing_ok=True)
    equivalent = validation.verdict.outcome is Outcome.EQUIVALENT
    if equivalent or force:
        bundle_documents(bundle, experiment, compilation, target, golden, validation)
    return Deployment(
        content=content,
        verdict=validation.verdict,
        report=report,
        bundle=bundle if equivalent or force else None,
    )


def describe_origin(experiment: Experiment) -> dict[str, Any]:
    """Versions and seed; with the hashes in the report, what someone else needs to repeat it."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = ("numpy", "brian2", "lava-nc", "h5py")
    return {
        "lava_align": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: installed(package) for package in packages},
        "seed": experiment.seed,
    }


def write_report(
    out: Path,
    experiment: Experiment,
    compilation: Compilation,
    target: HardwareTarget,
    candidate: Recording,
    validation: Validation,
    provenance: Mapping[str, Any],
) -> tuple[Path, dict[str, Any]]:
    """Write ``report.html`` and ``report.json`` into ``out``; return the path and the content."""
    from lava_align.report import report_content, report_html

    content = report_content(
        experiment,
        compilation,
        target,
        candidate,
        validation.reference,
        validation.verdict,
        validation.margins,
        provenance,
    )
    forwards = forward_weights(experiment.network)
    html = report_html(content, candidate, validation.reference, forwards)
    with atomic_path(out / FORWARD_WEIGHTS) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **forwards)  # type: ignore[arg-type]
    with atomic_path(out / "report.json") as partial:
        partial.write_bytes(canonical_json(content))
    with atomic_path(out / "report.html") as partial:
        partial.write_text(html, encoding="utf-8")
    return out / "report.html", content


def load_forward_weights(folder: Path) -> dict[str, Array]:
    """Read the forward weights beside a report: what the report's scatter plots need.

    Raises
    ------
    InvalidInputError
        If the file is missing or unreadable.
    """
    path = folder / FORWARD_WEIGHTS
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(
            Problem(str(path), f"missing or unreadable ({error})", "a folder made by deploy")
        ) from error


def bundle_documents(
    path: Path,
    experiment: Experiment,
    compilation: Compilation,
    target: HardwareTarget,
    golden: GoldenRun,
    validation: Validation,
) -> Path:
    """Write the bundle of a validated program."""
    outcome = validation.verdict.outcome
    return write_bundle(
        path,
        compilation.program,
        {
            "checks": [asdict(c) for c in compilation.checks],
            "quantities": [asdict(q) for q in compilation.quantities],
            "placement": asdict(compilation.placement),
            "verdict": validation.verdict.to_dict(),
            "margins": validation.margins.to_dict(),
            "experiment": {
                "title": experiment.title,
                "seed": experiment.seed,
                "network_sha256": experiment.network.digest(),
            },
        },
        golden.recording,
        target=target,
        verdict=outcome.value,
        forced=outcome is not Outcome.EQUIVALENT,
    )
