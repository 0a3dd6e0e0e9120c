"""``lava-align doctor``."""

from __future__ import annotations

import click

from lava_align.cli.common import emit_json, json_option


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what is installed, which backends work here, and how to get what is missing."""
    from lava_align.doctor import examine

    findings = examine()
    if as_json:
        emit_json([{"subject": f.subject, "ok": f.ok, "detail": f.detail} for f in findings])
        return
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'MISS'}  {finding.subject:22} {finding.detail}")
