"""``lava-align reproduce``."""

from __future__ import annotations

from pathlib import Path

import click

from lava_align.cli.common import emit_json, json_option

NAMES = ("stdwi-curves", "sal-pair", "rdd-pair", "regimes", "robustness")


@click.command("reproduce")
@click.argument("name", type=click.Choice(NAMES))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the SVG drawings and the numbers.  [default: runs/reproduce/NAME]",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1))
@json_option
def command(name: str, out: Path | None, seeds: int, jobs: int, as_json: bool) -> None:
    """Redraw a paper's figure of the alignment phase, ours beside what is published.

    Minutes to an hour. Single seeds are kept in the folder, so that what was interrupted goes on.
    """
    import json

    from lava_align.files import atomic_path
    from lava_align.reproduce.figures import FIGURES

    folder = out or Path("runs") / "reproduce" / name
    folder.mkdir(parents=True, exist_ok=True)
    made = FIGURES[name](
        range(1, seeds + 1), jobs, folder / "seeds", lambda text: click.echo(text, err=True)
    )
    for key, svg in made.drawings.items():
        path = folder / f"{key.replace(' ', '_').replace('(', '').replace(')', '')}.svg"
        document = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        with atomic_path(path) as partial:
            partial.write_text(document, encoding="utf-8")
    content = {"name": name, "title": made.title, "source": made.source, "data": made.data}
    with atomic_path(folder / "data.json") as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if as_json:
        emit_json({**content, "folder": str(folder)})
        return
    click.echo(made.title)
    click.echo(f"Published: {made.source}.")
    click.echo(made.text)
    click.echo(f"Wrote {folder}")
