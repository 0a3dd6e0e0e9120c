"""``lava-align example``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from lava_align.cli.common import emit_json, json_option


@click.command("example")
@click.argument("name", default="digits")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File; default is stdout."
)
@click.option("--list", "listing", is_flag=True, help="List the packaged experiments.")
@json_option
def command(name: str, out: Path | None, listing: bool, as_json: bool) -> None:
    """Write a packaged experiment file, every default visible."""
    from lava_align.errors import InvalidInputError, Problem
    from lava_align.files import atomic_path

    folder = files("lava_align") / "examples"
    texts = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    if listing:
        titles = {name: _title(text) for name, text in sorted(texts.items())}
        if as_json:
            emit_json(titles)
        else:
            for key, title in titles.items():
                click.echo(f"{key:12} {title}")
        return
    if name not in texts:
        raise InvalidInputError(
            Problem("example", f"no '{name}'", f"one of: {', '.join(sorted(texts))}")
        )
    if out is not None:
        with atomic_path(out) as partial:
            partial.write_text(texts[name], encoding="utf-8")
    if as_json:
        emit_json({"name": name, "out": None if out is None else str(out), "text": texts[name]})
    elif out is None:
        click.echo(texts[name], nl=False)
    else:
        click.echo(f"Wrote {out}")


def _title(text: str) -> str:
    line = next(line for line in text.splitlines() if line.startswith("title = "))
    return line.split('"')[1]
