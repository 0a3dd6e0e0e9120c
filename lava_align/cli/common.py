"""What the commands share: options, progress, tables."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lava_align.model.experiment import Experiment
    from lava_align.pipeline import StageCallback

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress.")
target_option = click.option(
    "--target", "target_name", default="loihi2", show_default=True, metavar="NAME|FILE",
    help="A packaged target or a TOML file.",
)  # fmt: skip


def experiment_options(command: F) -> F:
    """Add the experiment argument and the options that override its keys."""
    for option in (
        click.option("--seed", type=click.IntRange(min=0), help="Overrides the file's seed."),
        click.option("--duration", metavar="TIME", help='Overrides the duration, e.g. "2 s".'),
        click.argument("experiment_path", metavar="EXPERIMENT", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


def native_options(command: F) -> F:
    """Add the options of the native engine."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(min=1),
            help="Of the native engine; the integers do not depend on it.",
        ),
        click.option(
            "--semantics", type=click.Choice(["lava-0.10.0", "independent-rounding"]),
            help="Of the native engine: Lava's one random number a step, or one per synapse.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def require_native(backend: str, options: dict[str, Any]) -> None:
    """Refuse options of the native engine beside another backend.

    Raises
    ------
    click.UsageError
        Naming those that were given.
    """
    given = [name for name, value in options.items() if value]
    if given and backend != "native":
        raise click.UsageError(f"{', '.join(given)}: with --backend native only")


def duration_of(option: str, text: str) -> float:
    """Read a time, in seconds.

    Raises
    ------
    InvalidInputError
        If it is not one.
    """
    from lava_align.errors import InvalidInputError, Problem
    from lava_align.model.units import parse_quantity

    try:
        return parse_quantity(text, "time")
    except ValueError as error:
        raise InvalidInputError(Problem(option, repr(text), str(error))) from None


def read_experiment(
    path: Path, seed: int | None, duration: str | None, *, comparable: bool = True
) -> Experiment:
    """Load an experiment with the command line's overrides.

    ``comparable`` is False for commands that do not compare, which need no warm-up.
    """
    from lava_align.model.experiment import load_experiment

    seconds = None if duration is None else duration_of("--duration", duration)
    return load_experiment(path, seed=seed, duration=seconds, comparable=comparable)


@contextmanager
def progress(quiet: bool) -> Iterator[StageCallback | None]:
    """Show progress on stderr: bars on a terminal, a plain line per quarter elsewhere."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bars() as callback:
            yield callback
    else:
        yield _plain_lines()


@contextmanager
def _bars() -> Iterator[StageCallback]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def callback(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield callback


def _plain_lines() -> StageCallback:
    shown: dict[str, int] = {}
    began: dict[str, tuple[float, int]] = {}

    def callback(stage: str, done: int, total: int) -> None:
        quarter = 4 * done // total if total else 4
        start, before = began.setdefault(stage, (time.monotonic(), done))
        if shown.get(stage, -1) < quarter:
            shown[stage] = quarter
            elapsed = time.monotonic() - start
            left = elapsed * (total - done) / (done - before) if done > before else 0.0
            words = f", about {left:.0f} s left" if left >= 1.0 else ""
            click.echo(f"{stage}: {25 * quarter} %{words}", err=True)

    return callback


def emit_json(content: Any) -> None:
    """Print JSON with sorted keys."""
    click.echo(json.dumps(content, indent=2, sort_keys=True))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout: fitted to a terminal, one line per row elsewhere."""
    click.echo(title)
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        made = Table(*header, box=SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            made.add_row(*row)
        Console(highlight=False, markup=False).print(made)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(f"  {'  '.join(cells)}".rstrip())


def number(value: int | float | None, digits: int = 4) -> str:
    """Write a number briefly, whole ones in full; a dash for None."""
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else f"{value:.{digits}g}"


def percent(value: float) -> str:
    """Write a relative error."""
    return f"{100 * value:+.3g} %"
