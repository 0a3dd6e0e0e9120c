"""``lava-align replay``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lava_align.cli.common import (
    emit_json,
    json_option,
    number,
    percent,
    progress,
    quiet_option,
    table,
    target_option,
)

if TYPE_CHECKING:
    import numpy as np

    from lava_align.compiler.program import Program
    from lava_align.replay import BinnedSpikes, Replay
    from lava_align.statistics.alignment import Alignment

matrix_type = click.Path(path_type=Path, dir_okay=False)


@click.command("replay")
@click.argument("spikes_path", metavar="SPIKES", type=click.Path(path_type=Path))
@click.option(
    "--pre", metavar="NAME",
    help="Upper population, pre of the feedback; default: upper, or as the program says.",
)  # fmt: skip
@click.option(
    "--post", metavar="NAME",
    help="Lower population, post of the feedback; default: lower, or as the program says.",
)  # fmt: skip
@click.option("--by", metavar="NAME", help="Column (NWB) or annotation (Neo) with the population.")
@click.option("--segment", type=click.IntRange(min=0), help="Which segment (trial) of a Neo file.")
@click.option("--dt", metavar="TIME", help='Time step, e.g. "1 ms", if the file does not say.')
@click.option("--start", metavar="TIME", help="Time in the file at which to begin.")
@click.option("--steps", type=click.IntRange(min=1), help="Replay so many steps only.")
@click.option("--rule", default="stdwi", show_default=True, help="See `lava-align rules`.")
@click.option("--variant", help="On-chip form of the rule.")
@click.option(
    "--set", "settings", metavar="NAME=VALUE", multiple=True,
    help='Parameter of the rule, e.g. --set "tau_fast=20 ms"; may be repeated.',
)  # fmt: skip
@click.option(
    "--weights", "weights_path", type=matrix_type,
    help="Initial weights, .npy (n_post, n_pre) in the rule's units; default: random, near 0.",
)  # fmt: skip
@click.option(
    "--forward", "forward_path", type=matrix_type,
    help="Forward weights, .npy (n_upper, n_lower), with which to compare.",
)  # fmt: skip
@target_option
@click.option(
    "--program", "program_path", type=click.Path(path_type=Path, file_okay=False),
    help="Replay through a compiled program's synapses; nothing is calibrated.",
)  # fmt: skip
@click.option("--projection", metavar="NAME", help="Which one, if several of the program learn.")
@click.option(
    "--semantics", default="lava-0.10.0", show_default=True,
    type=click.Choice(["lava-0.10.0", "independent-rounding"]), help="Rounding of the chip form.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True,
    help="Of random initial weights and of independent rounding.",
)  # fmt: skip
@click.option(
    "--snapshots", type=click.IntRange(min=1), default=20, show_default=True,
    help="At most so many weight snapshots.",
)  # fmt: skip
@click.option(
    "--codegen", default="numpy", show_default=True,
    type=click.Choice(["numpy", "cython", "cpp_standalone"]),
    help="How Brian2 runs the float form; cpp_standalone, for long recordings, compiles first.",
)  # fmt: skip
@click.option("--out", type=matrix_type, help="Recording of both forms' weights, *.rec.h5.")
@quiet_option
@json_option
def command(spikes_path: Path, **options: Any) -> None:
    """Learn feedback weights from recorded spikes; no neuron is simulated.

    SPIKES is a recording (*.rec.h5), an NWB file (*.nwb), an .npz file, or any file that Neo
    reads. An .npz file holds, for each population NAME, the arrays NAME.neuron, NAME.times (s) or
    NAME.step, and NAME.size.

    The on-chip form, in integers, stands beside the paper's equation in floating point; both learn
    from the same spikes on a grid of --dt, at most one per neuron and step.
    """
    from lava_align.compiler.folder import load_program
    from lava_align.files import require_place
    from lava_align.formats.spike_files import read_spikes
    from lava_align.model.sources import load_weights
    from lava_align.replay import bin_spikes, replay
    from lava_align.targets import load_target

    program_path, out, as_json = options["program_path"], options["out"], options["as_json"]
    source = click.get_current_context().get_parameter_source("target_name")
    if program_path is not None and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--target and --program exclude each other")
    if program_path is None and options["projection"] is not None:
        raise click.UsageError("--projection names a projection of --program")
    if out is not None:
        require_place(out)
    dt, start = (_time(options, name) for name in ("dt", "start"))
    parameters = _parameters(options["rule"], options["settings"])
    weights, forward = (
        None if path is None else load_weights(path)
        for path in (options["weights_path"], options["forward_path"])
    )
    program = None if program_path is None else load_program(program_path)
    file = read_spikes(spikes_path, by=options["by"], segment=options["segment"])
    if dt is None and file.dt is None and program is not None:
        dt = program.dt
    pre, post = _ends(options, program)
    spikes = bin_spikes(file, (pre, post), dt=dt, start=start, n_steps=options["steps"])
    _require_forward(forward, spikes, pre, post)
    with progress(options["quiet"] or as_json) as report:
        done = replay(
            spikes,
            pre,
            post,
            target=None if program is not None else load_target(options["target_name"]),
            program=program,
            projection=options["projection"],
            rule=options["rule"],
            parameters=parameters,
            variant=options["variant"],
            weights=weights,
            semantics=options["semantics"],
            seed=options["seed"],
            snapshots=options["snapshots"],
            codegen=options["codegen"],
            progress=report,
        )
    if out is not None:
        done.recording.save(out)
    aligned = None if forward is None else done.aligned(forward)
    if as_json:
        emit_json(summary(done, spikes, aligned, out))
    else:
        show(done, spikes, aligned)
        if out is not None:
            click.echo(f"Recording: {out}")


def _ends(options: dict[str, Any], program: Program | None) -> tuple[str, str]:
    """Populations at the ends of the feedback: as asked for, else by their usual names."""
    from lava_align.replay.chip import choose_projection

    pre, post = "upper", "lower"
    if program is not None:
        synapses = choose_projection(program, options["projection"])
        pre, post = synapses.pre, synapses.gate or synapses.post
    return options["pre"] or pre, options["post"] or post


def _time(options: dict[str, Any], name: str) -> float | None:
    from lava_align.errors import InvalidInputError, Problem
    from lava_align.model.units import parse_quantity

    if options[name] is None:
        return None
    try:
        return parse_quantity(options[name], "time")
    except ValueError as error:
        raise InvalidInputError(Problem(f"--{name}", repr(options[name]), str(error))) from None


def _parameters(rule: str, settings: Sequence[str]) -> dict[str, float]:
    """Parameters in SI units from ``NAME=VALUE``."""
    from lava_align.errors import InvalidInputError, Problem
    from lava_align.model.experiment import rule_parameters
    from lava_align.rules import get_rule

    known = get_rule(rule, "--rule")
    problems = [Problem("--set", repr(text), "NAME=VALUE") for text in settings if "=" not in text]
    given = dict(text.split("=", 1) for text in settings if "=" in text)
    plain = {name.strip(): _number_or_text(value) for name, value in given.items()}
    parameters = rule_parameters(plain, known, "--set", problems)
    if problems:
        raise InvalidInputError(problems)
    return parameters


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _require_forward(
    forward: np.ndarray[Any, Any] | None, spikes: BinnedSpikes, pre: str, post: str
) -> None:
    """Refuse forward weights of another shape before anything runs."""
    from lava_align.errors import InvalidInputError, Problem

    expected = (spikes.spikes[pre].size, spikes.spikes[post].size)
    if forward is not None and forward.shape != expected:
        found, allowed = f"shape {forward.shape}", f"(n_upper, n_lower) = {expected}"
        raise InvalidInputError(Problem("--forward", found, allowed))


def summary(
    done: Replay,
    spikes: BinnedSpikes,
    aligned: dict[str, tuple[Alignment, ...]] | None,
    out: Path | None,
) -> dict[str, Any]:
    """JSON-plain account of a replay; figures that do not exist are null."""
    from lava_align.compiler.checks import overall
    from lava_align.report.content import plain

    scale = done.on_chip.weight_scale
    rule = done.on_chip.synapses.learning
    content = {
        "recording": None if out is None else str(out),
        "dt": spikes.dt,
        "n_steps": spikes.n_steps,
        "populations": {
            name: {"neurons": own.size, "spikes": len(own), "shared_step": spikes.shared[name]}
            for name, own in spikes.spikes.items()
        },
        "notes": list(done.notes),
        "rule": None if rule is None else rule.to_dict(),
        "weight_scale": scale,
        "limits": overall(done.on_chip.checks) if done.on_chip.checks else None,
        "quantities": done.on_chip.quantities,
        "steps": done.recording.weights["chip"].step.tolist(),
        "alignment": aligned,
        "agreement": done.agreement(),
    }
    described: dict[str, Any] = plain(content)
    return described


def show(
    done: Replay, spikes: BinnedSpikes, aligned: dict[str, tuple[Alignment, ...]] | None
) -> None:
    """Print the spikes, the rule on chip, and the weights of both forms."""
    from lava_align.compiler.checks import overall
    from lava_align.model.units import format_time

    duration = spikes.n_steps * spikes.dt
    table(
        f"Spikes: {spikes.n_steps} steps of {format_time(spikes.dt)}",
        ("population", "neurons", "spikes", "rate (Hz)", "shared a step"),
        [
            (
                name,
                str(own.size),
                str(len(own)),
                number(len(own) / own.size / duration),
                str(spikes.shared[name]),
            )
            for name, own in spikes.spikes.items()
        ],
    )
    for note in done.notes:
        click.echo(f"Note: {note}")
    on_chip = done.on_chip
    if on_chip.quantities:
        table(
            "Quantisation",
            ("quantity", "asked", "realised", "error", "note"),
            [
                (
                    q.name,
                    f"{number(q.asked)} {q.unit}".rstrip(),
                    f"{number(q.realised)} {q.unit}".rstrip(),
                    percent(q.error),
                    q.note,
                )
                for q in on_chip.quantities
            ],
        )
    if on_chip.synapses.learning is not None:
        for key, expression in on_chip.synapses.learning.expressions.items():
            click.echo(f"{on_chip.projection}: {key} = {expression}")
    if on_chip.checks:
        click.echo(f"Limits: {overall(on_chip.checks)}")
    forms = {"chip": "on chip (integers)", "float": "float (paper)"}
    table(
        "Learned weights",
        ("form", "mean", "sd", "least", "largest"),
        [
            (
                forms[form],
                *(number(float(x)) for x in (w.mean(), w.std(), w.min(), w.max())),
            )
            for form in forms
            for w in (done.learned(form),)
        ],
    )
    for form, series in (aligned or {}).items():
        click.echo(f"{forms[form]} mirrors the forward weights: {_in_words(series[-1])}")
    click.echo(f"Both forms agree: {_in_words(done.agreement())}")


def _in_words(found: Alignment) -> str:
    return (
        f"r {number(found.r)}, sign agreement {number(found.sign_agreement)}, "
        f"angle {number(found.angle)}°"
    )
