"""``lava-align verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from lava_align.cli.common import emit_json, json_option


@click.command("verify")
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--target", "target_name", help="Check for this target; default: the bundle's own.")
@click.option(
    "--backend", default="native", show_default=True, type=click.Choice(["native", "lava"]),
    help="What repeats the golden run.",
)  # fmt: skip
@click.option("--no-replay", is_flag=True, help="Leave out the golden run.")
@json_option
def command(
    bundle: Path, target_name: str | None, backend: str, no_replay: bool, as_json: bool
) -> None:
    """Check BUNDLE from its bytes: hashes, limits, golden run. Nothing in it is believed."""
    from lava_align.backends import get_backend
    from lava_align.formats.bundle import verify_bundle
    from lava_align.targets import load_target

    target = None if target_name is None else load_target(target_name)
    found = verify_bundle(bundle, target, None if no_replay else get_backend(backend))
    if as_json:
        emit_json(asdict(found))
        return
    click.echo(f"Hashes:  all members untouched; program {found.program_digest[:16]}…")
    click.echo(f"Limits:  {found.limits} on {found.target}")
    golden = "left out (--no-replay)" if no_replay else found.golden
    click.echo(f"Golden:  {golden} ({found.golden_steps} steps)")
    forced = "; the bundle was forced" if found.forced else ""
    click.echo(f"Verdict when it was made: {found.verdict}{forced}")
