"""``lava-align compile``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lava_align.cli.common import (
    emit_json,
    experiment_options,
    json_option,
    number,
    percent,
    read_experiment,
    table,
    target_option,
)

if TYPE_CHECKING:
    from lava_align.compiler.compile import Compilation
    from lava_align.targets import HardwareTarget


@click.command("compile")
@experiment_options
@target_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the program.",
)  # fmt: skip
@json_option
def command(
    experiment_path: Path,
    seed: int | None,
    duration: str | None,
    target_name: str,
    out: Path,
    as_json: bool,
) -> None:
    """Compile EXPERIMENT and write the program: integers only, content-hashed."""
    from lava_align.compiler.folder import save_program
    from lava_align.files import require_place
    from lava_align.pipeline import compile_experiment
    from lava_align.targets import load_target

    require_place(out)
    experiment = read_experiment(experiment_path, seed, duration, comparable=False)
    target = load_target(target_name)
    compilation = compile_experiment(experiment, target)
    save_program(compilation.program, out)
    if as_json:
        emit_json(summary(compilation, target, out))
    else:
        show(compilation, target)
        click.echo(f"Program: {out} (sha256 {compilation.program.digest()[:16]}…)")


def summary(compilation: Compilation, target: HardwareTarget, out: Path) -> dict[str, object]:
    """JSON-plain account of a compilation."""
    from lava_align.compiler.checks import overall
    from lava_align.compiler.place import utilisation

    return {
        "program": str(out),
        "digest": compilation.program.digest(),
        "limits": overall(compilation.checks),
        "quantities": [asdict(q) for q in compilation.quantities],
        "checks": [asdict(c) for c in compilation.checks],
        "utilisation": [asdict(row) for row in utilisation(compilation.placement, target)],
        "cores": len(compilation.placement.cores),
        "expected_rates": dict(compilation.expected_rates),
        "predictions": {k: dict(v) for k, v in compilation.predictions.items()},
        "rules": {
            s.name: s.learning.to_dict() for s in compilation.program.plastic() if s.learning
        },
    }


def show(compilation: Compilation, target: HardwareTarget) -> None:
    """Print what was rounded, the learning rules and what fits."""
    from lava_align.compiler.checks import overall
    from lava_align.compiler.place import utilisation

    table(
        "Quantisation",
        ("object", "quantity", "asked", "realised", "error", "note"),
        [
            (
                q.where,
                q.name,
                number(q.asked) + (f" {q.unit}" if q.unit else ""),
                number(q.realised) + (f" {q.unit}" if q.unit else ""),
                percent(q.error),
                q.note,
            )
            for q in compilation.quantities
        ],
    )
    for synapses in compilation.program.plastic():
        if synapses.learning is not None:
            rule = synapses.learning
            for key in ("dw", "dd", "dt"):
                if getattr(rule, key) is not None:
                    click.echo(f"{synapses.name}: {key} = {getattr(rule, key)}")
    table(
        f"Utilisation of {target.id}: {len(compilation.placement.cores)} cores",
        ("resource", "busiest core", "mean", "available", "evidence"),
        [
            (r.resource, number(r.busiest), number(r.mean), number(r.available), r.evidence)
            for r in utilisation(compilation.placement, target)
        ],
    )
    click.echo(f"Limits: {overall(compilation.checks)}")
