"""Looks rules up by name: our own, and those that other packages register.

A package registers a rule with an entry point of the group ``lava_align.rules`` that names an
:class:`~lava_align.rules.base.AlignmentRule`; see ``docs/own_rule.md``.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.base import AlignmentRule
from lava_align.rules.rate_rules import RATE_RULES
from lava_align.rules.rdd import RDD
from lava_align.rules.sal import SAL
from lava_align.rules.stdwi import STDWI
from lava_align.rules.weight_mirror import WEIGHT_MIRROR

GROUP = "lava_align.rules"
_RULES = (STDWI, WEIGHT_MIRROR, SAL, RDD, *RATE_RULES)


@functools.cache
def rules() -> tuple[AlignmentRule, ...]:
    """All rules, in the order they are listed to users: our own, then those of other packages.

    Raises
    ------
    InvalidInputError
        If a package registers what is no rule, or a name that is taken; with every problem.
    """
    found = {rule.name: rule for rule in _RULES}
    problems: list[Problem] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            rule = _loaded(entry)
        except InvalidInputError as error:
            problems += error.problems
            continue
        if rule.name in found:
            taken = f"registers a rule '{rule.name}'"
            problems.append(Problem(f"{GROUP}: {entry.value}", taken, "a name that is not taken"))
        found.setdefault(rule.name, rule)
    if problems:
        raise InvalidInputError(problems)
    return tuple(found.values())


def _loaded(entry: EntryPoint) -> AlignmentRule:
    where, allowed = f"{GROUP}: {entry.value}", "a lava_align.rules.AlignmentRule"
    try:
        rule = entry.load()
    except Exception as error:
        found = f"cannot be loaded ({type(error).__name__}: {error})"
        raise InvalidInputError(Problem(where, found, allowed)) from error
    if not isinstance(rule, AlignmentRule):
        raise InvalidInputError(Problem(where, f"a {type(rule).__name__}", allowed))
    return rule


def get_rule(name: str, where: str = "rule") -> AlignmentRule:
    """Return the rule called ``name``.

    Raises
    ------
    InvalidInputError
        If there is none; the message lists those there are.
    """
    for rule in rules():
        if rule.name == name:
            return rule
    known = ", ".join(rule.name for rule in rules())
    raise InvalidInputError(Problem(where, f"no rule '{name}'", f"one of: {known}"))
