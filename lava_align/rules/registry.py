"""Looks rules up by name."""

from __future__ import annotations

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.base import AlignmentRule
from lava_align.rules.rate_rules import RATE_RULES
from lava_align.rules.rdd import RDD
from lava_align.rules.sal import SAL
from lava_align.rules.stdwi import STDWI
from lava_align.rules.weight_mirror import WEIGHT_MIRROR

_RULES = (STDWI, WEIGHT_MIRROR, SAL, RDD, *RATE_RULES)


def rules() -> tuple[AlignmentRule, ...]:
    """All rules, in the order they are listed to users."""
    return _RULES


def get_rule(name: str, where: str = "rule") -> AlignmentRule:
    """Return the rule called ``name``.

    Raises
    ------
    InvalidInputError
        If there is none; the message lists those there are.
    """
    for rule in _RULES:
        if rule.name == name:
            return rule
    known = ", ".join(rule.name for rule in _RULES)
    raise InvalidInputError(Problem(where, f"no rule '{name}'", f"one of: {known}"))
