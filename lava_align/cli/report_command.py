"""``lava-align report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lava_align.cli.common import emit_json, json_option


@click.command("report")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="HTML file; default is FOLDER/report.html.",
)  # fmt: skip
@json_option
def command(folder: Path, out: Path | None, as_json: bool) -> None:
    """Write the HTML report of a FOLDER made by `deploy` again, from its JSON and recordings."""
    from lava_align.deployment import load_forward_weights
    from lava_align.errors import InvalidInputError, Problem
    from lava_align.files import atomic_path
    from lava_align.recording import Recording
    from lava_align.report import report_html
    from lava_align.report.content import SCHEMA

    path = folder / "report.json"
    try:
        content = json.loads(path.read_bytes())
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            Problem(str(path), f"missing or unreadable ({error})", "a folder made by deploy")
        ) from error
    candidate = Recording.load(folder / "candidate.rec.h5")
    reference = Recording.load(folder / "reference.rec.h5")
    forwards = load_forward_weights(folder)
    out = out or folder / "report.html"
    try:
        html = report_html(content, candidate, reference, forwards)
    except Exception as error:  # a changed file can lack anything
        raise InvalidInputError(
            Problem(str(path), f"not a whole report ({error!r})", "an untouched folder of deploy")
        ) from error
    with atomic_path(out) as partial:
        partial.write_text(html, encoding="utf-8")
    if as_json:
        emit_json({"report": str(out), "verdict": content["verdict"]["outcome"]})
    else:
        click.echo(f"Report: {out}")
