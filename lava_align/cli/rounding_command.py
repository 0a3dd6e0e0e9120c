"""``lava-align rounding``."""

from __future__ import annotations

from pathlib import Path

import click

from lava_align.cli.common import (
    emit_json,
    json_option,
    number,
    progress,
    quiet_option,
    read_experiment,
    table,
    target_option,
)

ERRORS = {
    "typical": "of one weight, rms",
    "common": "of the mean weight, rms over seeds",
    "correlation": "correlation of two synapses",
    "correlation_same_post": "the same at one lower neuron",
}


@click.command("rounding")
@click.argument("experiment_path", metavar="EXPERIMENT", type=click.Path(path_type=Path))
@click.option(
    "--seeds", type=click.IntRange(min=2), default=10, show_default=True,
    help="How many seeds, from 1 on; each decides weights and input spikes.",
)  # fmt: skip
@click.option("--duration", metavar="TIME", help='Overrides the duration, e.g. "100 s".')
@target_option
@click.option(
    "--jobs", type=click.IntRange(min=1),
    help="Seeds at a time; default: one per processor.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Figures as JSON, seed by seed."
)
@quiet_option
@json_option
def command(
    experiment_path: Path,
    seeds: int,
    duration: str | None,
    target_name: str,
    jobs: int | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what Lava's shared random number does to the weights EXPERIMENT learns.

    Lava rounds all synapses of a projection with one random number per step; a chip rounds each by
    itself. Every seed runs on the native engine with Lava's rounding and with independent rounding,
    with the same weights and input spikes. Lava's numbers for the traces differ from seed to seed;
    those for the weights are the same in every run of Lava.
    """
    from lava_align.compiler.folder import canonical_json
    from lava_align.files import atomic_path, require_place
    from lava_align.report.content import plain
    from lava_align.rounding_effect import in_words, measure_rounding
    from lava_align.targets import load_target

    if out is not None:
        require_place(out)
    checked = read_experiment(experiment_path, None, duration, comparable=False)
    with progress(quiet or as_json) as report:
        effect = measure_rounding(
            experiment_path,
            load_target(target_name),
            range(1, seeds + 1),
            duration=checked.network.duration,
            jobs=-1 if jobs is None else jobs,
            progress=report,
        )
    content = plain(effect)
    if out is not None:
        with atomic_path(out) as partial:
            partial.write_bytes(canonical_json(content))
    if as_json:
        emit_json(content)
        return
    for projection in effect.projections:
        table(
            f"{projection.projection}: {projection.n_synapses} synapses, {effect.duration:g} s, "
            f"{len(effect.seeds)} seeds (mean ± standard error)",
            ("measure", "shared (Lava)", "independent", "difference", "95 % interval"),
            [
                (
                    measure.replace("_", " "),
                    *(
                        f"{number(part.mean)} ± {number(part.se, 2)}"
                        for part in (found.shared, found.independent, found.difference)
                    ),
                    f"{number(found.interval[0], 2)} to {number(found.interval[1], 2)}",
                )
                for measure, found in projection.measures.items()
            ],
        )
        table(
            "Rounding errors of the weights, chip units",
            ("error", "shared (Lava)", "independent"),
            [
                (
                    label,
                    *(number(getattr(e, key)) for e in (projection.shared, projection.independent)),
                )
                for key, label in ERRORS.items()
            ],
        )
        for sentence in in_words(projection):
            click.echo(sentence)
    if out is not None:
        click.echo(f"Figures: {out}")
