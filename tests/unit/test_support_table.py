"""The README's support table is the registry's, not somebody's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from lava_align.rules import rules
from lava_align.rules.table import support_table, with_table
from lava_align.targets import available_targets, load_target

README = Path(__file__).resolve().parents[2] / "README.md"


def table():
    return support_table(rules(), [load_target(name) for name in available_targets()])


def test_the_readme_has_the_table_that_the_registry_makes():
    text = README.read_text(encoding="utf-8")
    assert with_table(text, table()) == text, "run scripts/support_table"


def test_every_rule_has_a_row_and_says_why_it_does_not_fit():
    rows = {row.split("`")[1]: row for row in table().splitlines()[2:]}
    assert set(rows) == {rule.name for rule in rules()}
    assert "lacks third factor" in rows["rdd"]
    assert "fits | fits" in rows["stdwi"]
    assert "against their direction" in rows["activation_alignment"]
    for rule in rules():
        assert bool(rule.forms) + bool(rule.fixed) + bool(rule.no_form) == 1, rule.name


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="rules: begin"):
        with_table("text", table())
