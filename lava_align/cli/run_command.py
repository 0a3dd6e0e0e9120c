"""``lava-align run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lava_align.cli.common import (
    duration_of,
    emit_json,
    experiment_options,
    json_option,
    native_options,
    number,
    progress,
    quiet_option,
    read_experiment,
    require_native,
    table,
    target_option,
)

if TYPE_CHECKING:
    from lava_align.engine.base import Semantics
    from lava_align.model.experiment import Experiment
    from lava_align.pipeline import StageCallback


@click.command("run")
@experiment_options
@target_option
@click.option(
    "--backend", default="native", show_default=True,
    type=click.Choice(["native", "lava", "lava-float", "brian2"]),
    help="native: Lava's integers, fast; lava: Lava's fixed-point models; lava-float: the same"
    " program unrounded; brian2: the reference.",
)  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="Recording, *.rec.h5.",
)  # fmt: skip
@native_options
@click.option(
    "--checkpoint-every", metavar="TIME",
    help='Wall time between checkpoints, e.g. "60 s"; native only. Ctrl-C always leaves one.',
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with an unfinished native run of --out.")
@click.option("--restart", is_flag=True, help="Begin anew although --out has an unfinished run.")
@quiet_option
@json_option
def command(
    experiment_path: Path,
    seed: int | None,
    duration: str | None,
    target_name: str,
    backend: str,
    out: Path,
    threads: int | None,
    semantics: Semantics | None,
    checkpoint_every: str | None,
    resume: bool,
    restart: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Simulate EXPERIMENT on one backend and write the recording.

    The native backend writes long recordings to disk as they are made. Ctrl-C keeps what there is
    so far; --resume goes on from there to the same integers as if nothing had happened.
    """
    from lava_align import pipeline
    from lava_align.files import require_place
    from lava_align.recording_file import read_overview

    require_native(
        backend,
        {
            "--threads": threads,
            "--semantics": semantics,
            "--checkpoint-every": checkpoint_every,
            "--resume": resume,
            "--restart": restart,
        },
    )
    if resume and restart:
        raise click.UsageError("--resume and --restart contradict each other")
    every = (
        None if checkpoint_every is None else duration_of("--checkpoint-every", checkpoint_every)
    )
    require_place(out)
    experiment = read_experiment(experiment_path, seed, duration, comparable=False)
    with progress(quiet or as_json) as report:
        if backend != "native":
            _simulate(experiment, backend, target_name, out, report)
        else:
            from lava_align.backends.native import NativeBackend
            from lava_align.long_run import run_to_file
            from lava_align.model.network import open_stimuli
            from lava_align.targets import load_target

            engine = NativeBackend(
                semantics=semantics or "lava-0.10.0", seed=experiment.seed, threads=threads or 1
            )
            run_to_file(
                pipeline.long_run(experiment, load_target(target_name), engine),
                open_stimuli(experiment.network, experiment.seed),
                out,
                checkpoint_every=every,
                resume=resume,
                restart=restart,
                progress=pipeline.stage(report, "simulate (native)"),
            )
    overview = read_overview(out)
    account = pipeline.summarise(overview, pipeline.forward_weights(experiment.network))
    if as_json:
        emit_json({"recording": str(out), "backend": overview.backend, **account})
        return
    _show(overview.backend, overview.n_steps, account)
    click.echo(f"Recording: {out}")


def _simulate(
    experiment: Experiment, backend: str, target: str, out: Path, report: StageCallback | None
) -> None:
    """Run on a backend that holds its recording in memory."""
    from lava_align import pipeline
    from lava_align.backends import get_backend
    from lava_align.model.network import draw_stimuli
    from lava_align.targets import load_target

    if backend == "brian2":
        recording = pipeline.reference_only(experiment, [experiment.seed], progress=report)[0]
    else:
        recording = pipeline.run_program(
            pipeline.compile_experiment(experiment, load_target(target)).program,
            draw_stimuli(experiment.network, experiment.seed),
            backend=get_backend(backend),
            progress=report,
            provenance={"seed": experiment.seed},
        )
    recording.save(out)


def _show(backend: str, n_steps: int, account: dict[str, Any]) -> None:
    table(
        f"Recording of {backend}: {n_steps} steps",
        ("population", "neurons", "spikes", "rate (Hz)"),
        [
            (name, str(p["neurons"]), str(p["spikes"]), number(p["rate"]))
            for name, p in account["populations"].items()
        ],
    )
    for name, found in account["alignment"].items():
        click.echo(
            f"{name}: r {number(found['r'])}, sign agreement {number(found['sign_agreement'])}, "
            f"angle {number(found['angle'])}°"
        )
