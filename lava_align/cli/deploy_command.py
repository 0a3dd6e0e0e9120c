"""``lava-align deploy``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lava_align.cli.common import (
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
    from lava_align.backends.base import Backend
    from lava_align.deployment import Deployment
    from lava_align.engine.base import Semantics


@click.command("deploy")
@experiment_options
@target_option
@click.option(
    "--backend", default="native", show_default=True,
    type=click.Choice(["native", "lava", "lava-float"]),
    help="What runs the program: native gives Lava's integers, fast.",
)  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder for program, recordings, report and bundle.",
)  # fmt: skip
@click.option(
    "--force", is_flag=True,
    help="Write the bundle even if the verdict is not EQUIVALENT; it will say so.",
)  # fmt: skip
@native_options
@quiet_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    experiment_path: Path,
    seed: int | None,
    duration: str | None,
    target_name: str,
    backend: str,
    out: Path,
    force: bool,
    threads: int | None,
    semantics: Semantics | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Take EXPERIMENT all the way: compile, simulate, compare, report, bundle.

    The bundle is written only if the chip form is EQUIVALENT to the reference.
    """
    from lava_align.backends import get_backend
    from lava_align.backends.native import NativeBackend
    from lava_align.deployment import deploy
    from lava_align.files import require_place
    from lava_align.targets import load_target

    require_native(backend, {"--threads": threads, "--semantics": semantics})
    require_place(out / "report.html")
    experiment = read_experiment(experiment_path, seed, duration)
    target = load_target(target_name)
    chosen: Backend = get_backend(backend)
    if backend == "native":
        chosen = NativeBackend(
            semantics=semantics or "lava-0.10.0", seed=experiment.seed, threads=threads or 1
        )
    with progress(quiet or as_json) as report:
        done = deploy(
            experiment,
            target,
            out,
            backend=chosen,
            force=force,
            progress=report,
        )
    if as_json:
        bundle = None if done.bundle is None else str(done.bundle)
        emit_json({**done.content, "bundle": bundle, "report": str(done.report)})
    else:
        _show(done)
    ctx.exit(int(done.verdict.exit_code))


def _show(done: Deployment) -> None:
    content: Any = done.content
    table(
        "Alignment of feedback with forward weights at the end",
        ("projection", "form", "r", "sign agreement", "angle"),
        [
            (
                f"{projection['name']} ~ {projection['mirrors']}ᵀ",
                word,
                *(
                    number(_last(projection["alignment"][run][figure]))
                    for figure in ("r", "sign_agreement", "angle")
                ),
            )
            for projection in content["projections"]
            for run, word in (("candidate", "chip form"), ("reference", "reference"))
        ],
    )
    rows = {row["resource"]: row for row in content["utilisation"]}
    table(
        f"Utilisation of {content['target']['id']}: {content['cores']} of "
        f"{number(rows['cores']['available'])} cores",
        ("resource", "busiest core", "available", "evidence"),
        [
            (name, number(row["busiest"]), number(row["available"]), row["evidence"])
            for name, row in rows.items()
            if name != "cores"
        ],
    )
    click.echo(f"Limits:  {content['overall']}")
    click.echo(f"Lava:    {content['provenance']['lava_check']}")
    click.echo(f"Verdict: {done.verdict.outcome.value}. {done.verdict.claim}")
    for row in done.verdict.rows:
        if row.primary and row.outcome.value != "EQUIVALENT":
            click.echo(f"  {row.endpoint}: {row.outcome.value}, {row.reason} {row.remedy}".rstrip())
    click.echo(f"Report:  {done.report}")
    click.echo(f"Bundle:  {done.bundle or 'not written: the verdict is not EQUIVALENT'}")


def _last(values: list[float | None]) -> float | None:
    return values[-1] if values else None
