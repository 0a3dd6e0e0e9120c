"""``lava-align rules``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lava_align.cli.common import emit_json, json_option

if TYPE_CHECKING:
    from lava_align.rules import AlignmentRule
    from lava_align.targets import HardwareTarget


@click.command("rules")
@json_option
def command(as_json: bool) -> None:
    """List the alignment rules: equation, source, parameters, forms, needs, targets."""
    from lava_align.rules import rules
    from lava_align.targets import available_targets, load_target

    targets = [load_target(name) for name in available_targets()]
    described = [describe(rule, targets) for rule in rules()]
    if as_json:
        emit_json(described)
        return
    for rule in described:
        click.echo(f"{rule['name']}: {rule['title']}")
        click.echo(f"  source    {rule['source']}")
        click.echo(f"  equation  {rule['equation']}")
        for parameter in rule["parameters"]:
            source = f" ({parameter['source']})" if parameter["source"] else ""
            click.echo(
                f"  parameter {parameter['name']} = {parameter['default']}:"
                f" {parameter['meaning']}{source}"
            )
        click.echo(f"  reference {rule['reference']}")
        if rule["no_form"]:
            click.echo(f"  on chip   none: {rule['no_form']}")
        for form in rule["forms"]:
            click.echo(f"  on chip   {form['name']}: {form['summary']}\n            {form['rule']}")
        click.echo(f"  needs     {', '.join(rule['needs'])}")
        for target, lacks in rule["targets"].items():
            click.echo(f"  target    {target}: {'fits' if not lacks else 'lacks ' + lacks}")


def describe(rule: AlignmentRule, targets: list[HardwareTarget]) -> dict[str, Any]:
    """JSON-plain account of a rule."""
    from lava_align.compiler.compile import lacks
    from lava_align.rules.table import needs_words

    units = {"time": " s", "rate": " Hz", None: ""}
    return {
        "name": rule.name,
        "title": rule.title,
        "source": rule.source,
        "equation": rule.equation,
        "parameters": [
            {
                "name": p.name,
                "default": f"{p.default:g}{units[p.dimension]}",
                "meaning": p.meaning,
                "source": p.source,
            }
            for p in rule.parameters
        ],
        "forms": [{"name": f.name, "summary": f.summary, "rule": f.template} for f in rule.forms],
        "needs": needs_words(rule),
        "reference": "rates" if rule.rate is not None else "spikes",
        "no_form": rule.no_form,
        "targets": {target.id: ", ".join(lacks(rule, target)) for target in targets},
    }
