"""``lava-align rates``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lava_align.cli.common import emit_json, json_option, number, table, target_option

if TYPE_CHECKING:
    from lava_align.backends.base import Backend


@click.command("rates")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Overrides the file's seed.")
@click.option(
    "--backend", default="native", show_default=True, type=click.Choice(["native", "lava"]),
    help="What runs the chip's synapses; the NumPy reference always runs.",
)  # fmt: skip
@click.option(
    "--semantics", type=click.Choice(["lava-0.10.0", "independent-rounding"]),
    help="Of the native engine: Lava's one random number a step, or one per synapse.",
)  # fmt: skip
@target_option
@json_option
def command(
    path: Path,
    seed: int | None,
    backend: str,
    semantics: Any,
    target_name: str,
    as_json: bool,
) -> None:
    """Run a rule on rates: the reference, and the chip's synapses on the same signals.

    FILE is of the schema lava-align-rates/1; `lava-align example kolen_pollack` prints one. Lava
    takes a millisecond or more per sample.
    """
    from lava_align.cli.common import require_native
    from lava_align.model.rates import load_rates
    from lava_align.reproduce.rates import compared, require_rule_fits
    from lava_align.rules import get_rule
    from lava_align.targets import load_target

    require_native(backend, {"semantics": semantics})
    experiment = load_rates(path, seed=seed)
    rule = get_rule(experiment.rule)
    require_rule_fits(rule, load_target(target_name))
    found = compared(experiment, _backend(backend, semantics, experiment.seed))
    if as_json:
        emit_json({"experiment": asdict(experiment), "forms": found})
        return
    table(
        experiment.title or rule.title,
        ("form", "samples", "r", "sign agreement", "angle", "norm ratio"),
        [
            (
                form,
                f"{point['time']:,.0f}",
                number(point["r"]),
                number(point["sign_agreement"]),
                number(point["angle"]),
                number(point["norm_ratio"]),
            )
            for form, points in found.items()
            for point in points
        ],
    )


def _backend(name: str, semantics: Any, seed: int) -> Backend:
    if name == "lava":
        from lava_align.backends.lava import LavaBackend

        return LavaBackend()
    from lava_align.backends.native import NativeBackend

    return NativeBackend(semantics=semantics or "lava-0.10.0", seed=seed)
