"""The support table of the README, made from the registry and the targets."""

from __future__ import annotations

from collections.abc import Sequence

from lava_align.rules.base import AlignmentRule
from lava_align.targets import HardwareTarget

BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"


def support_table(rules: Sequence[AlignmentRule], targets: Sequence[HardwareTarget]) -> str:
    """Markdown: a row per rule, a column per target."""
    from lava_align.compiler.compile import lacks

    head = ["rule", "from", "reference", "on-chip forms", "needs", *(t.id for t in targets)]
    rows = [head, ["---"] * len(head)]
    for rule in rules:
        cells = [
            f"`{rule.name}`",
            rule.source.split(";")[0].split(", doi")[0],
            _reference(rule),
            ", ".join(form.name for form in rule.forms) or _no_form(rule),
            ", ".join(needs_words(rule)),
        ]
        cells += [
            f"lacks {', '.join(found)}" if (found := lacks(rule, t)) else "fits" for t in targets
        ]
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _reference(rule: AlignmentRule) -> str:
    return "Brian2" if rule.reference is not None else "NumPy (rates)"


def _no_form(rule: AlignmentRule) -> str:
    return "fixed weights" if rule.fixed else f"none: {rule.no_form}"


def needs_words(rule: AlignmentRule) -> list[str]:
    """What a rule needs of a chip, in words."""
    if rule.fixed:
        return ["nothing"]
    words = [f"{rule.needs.factors} factors"] if rule.forms else []
    for key in ("graded_spikes", "custom_neuron", "probe_phase", "host"):
        if getattr(rule.needs, key):
            words.append(key.replace("_", " "))
    return words


def with_table(text: str, table: str) -> str:
    """Put a table between the marks of a page.

    Raises
    ------
    ValueError
        If the page does not have them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} .. {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
