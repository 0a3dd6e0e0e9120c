"""``lava-align targets``."""

from __future__ import annotations

from typing import Any

import click

from lava_align.cli.common import emit_json, json_option, table


@click.command("targets")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the hardware targets, or every figure of the one called NAME (or in that file)."""
    from lava_align.targets import available_targets, load_target

    if name is None:
        targets = [load_target(known) for known in available_targets()]
        if as_json:
            emit_json([{"id": t.id, "title": t.title, "cores": t.cores} for t in targets])
        else:
            table(
                "Targets",
                ("id", "title", "cores"),
                [(t.id, t.title, str(t.cores)) for t in targets],
            )
        return
    target = load_target(name)
    content = target.model_dump(mode="json", by_alias=True)
    if as_json:
        emit_json({**content, "sha256": target.sha256})
        return
    table(
        f"{target.id}: {target.title}",
        ("figure", "value", "severity", "evidence", "source"),
        [
            (key, _value(fact), str(fact.get("severity", "")), fact["evidence"], fact["source"])
            for key, fact in _facts(content, "")
        ],
    )


def _facts(content: dict[str, Any], prefix: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for key, value in content.items():
        if isinstance(value, dict):
            path = f"{prefix}{key}"
            if "evidence" in value:
                found.append((path, value))
            else:
                found.extend(_facts(value, f"{path}."))
    return found


def _value(fact: dict[str, Any]) -> str:
    value = fact.get("value")
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return f"{value['min']}..{value['max']}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
