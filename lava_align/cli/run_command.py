"""``lava-align run``."""

from __future__ import annotations

from pathlib import Path

import click

from lava_align.cli.common import (
    emit_json,
    experiment_options,
    json_option,
    number,
    progress,
    quiet_option,
    read_experiment,
    table,
    target_option,
)


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
@quiet_option
@json_option
def command(
    experiment_path: Path,
    seed: int | None,
    duration: str | None,
    target_name: str,
    backend: str,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Simulate EXPERIMENT on one backend and write the recording."""
    from lava_align import pipeline
    from lava_align.backends import get_backend
    from lava_align.errors import InterruptedRunError
    from lava_align.files import require_place
    from lava_align.model.network import draw_stimuli
    from lava_align.targets import load_target

    require_place(out)
    experiment = read_experiment(experiment_path, seed, duration, comparable=False)
    with progress(quiet or as_json) as report:
        if backend == "brian2":
            recording = pipeline.reference_only(experiment, [experiment.seed], progress=report)[0]
        else:
            program = pipeline.compile_experiment(experiment, load_target(target_name)).program
            try:
                recording = pipeline.run_program(
                    program,
                    draw_stimuli(experiment.network, experiment.seed),
                    backend=get_backend(backend),
                    progress=report,
                    provenance={"seed": experiment.seed},
                )
            except InterruptedRunError as stopped:
                stopped.recording.save(out)
                raise InterruptedRunError(f"{stopped}; kept in {out}", stopped.recording) from None
    recording.save(out)
    account = pipeline.summarise(recording, pipeline.forward_weights(experiment.network))
    if as_json:
        emit_json({"recording": str(out), "backend": recording.backend, **account})
        return
    table(
        f"Recording of {recording.backend}: {recording.n_steps} steps",
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
    click.echo(f"Recording: {out}")
