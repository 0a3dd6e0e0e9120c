"""``lava-align validate``."""

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
)


@click.command("validate")
@experiment_options
@click.argument("recording_path", metavar="RECORDING", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for verdict.json, margins.json and reference.rec.h5.",
)  # fmt: skip
@quiet_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    experiment_path: Path,
    recording_path: Path,
    seed: int | None,
    duration: str | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare RECORDING with the Brian2 reference of EXPERIMENT.

    This sets one simulation against another, unless the recording comes from a chip. The margins
    come from reference runs with other seeds, before the recording's activity is looked at.
    """
    from lava_align.compiler.folder import canonical_json
    from lava_align.files import atomic_path, require_place
    from lava_align.pipeline import validate
    from lava_align.recording import Recording

    if out is not None:
        require_place(out / "verdict.json")
    experiment = read_experiment(experiment_path, seed, duration)
    candidate = Recording.load(recording_path)
    with progress(quiet or as_json) as report:
        found = validate(experiment, candidate, progress=report)
    if out is not None:
        documents = {"verdict": found.verdict.to_dict(), "margins": found.margins.to_dict()}
        for name, content in documents.items():
            with atomic_path(out / f"{name}.json") as partial:
                partial.write_bytes(canonical_json(content))
        found.reference.save(out / "reference.rec.h5")
    if as_json:
        emit_json({"verdict": found.verdict.to_dict(), "margins": found.margins.to_dict()})
    else:
        table(
            "Endpoints",
            ("endpoint", "candidate", "reference", "distance", "margin", "finding"),
            [
                (
                    row.endpoint,
                    number(row.candidate),
                    number(row.reference),
                    number(row.distance),
                    number(row.margin),
                    row.reason,
                )
                for row in found.verdict.rows
            ],
        )
        click.echo(f"{found.verdict.outcome.value}: {found.verdict.claim}")
    ctx.exit(int(found.verdict.exit_code))
