"""Looks rules on rates up by name."""

from __future__ import annotations

from lava_align.errors import InvalidInputError, Problem
from lava_align.rules.rates.activation_alignment import ACTIVATION_ALIGNMENT
from lava_align.rules.rates.base import RateRule
from lava_align.rules.rates.feedback_alignment import (
    DIRECT_FEEDBACK_ALIGNMENT,
    FEEDBACK_ALIGNMENT,
)
from lava_align.rules.rates.information_alignment import INFORMATION_ALIGNMENT
from lava_align.rules.rates.kolen_pollack import KOLEN_POLLACK
from lava_align.rules.rates.phaseless_alignment import PHASELESS_ALIGNMENT
from lava_align.rules.rates.product_feedback import PRODUCT_FEEDBACK
from lava_align.rules.rates.sign_symmetry import (
    BATCH_SIGN_SYMMETRY,
    FIXED_SIGN_SYMMETRY,
    UNIFORM_SIGN_SYMMETRY,
)
from lava_align.rules.rates.symmetric_alignment import SYMMETRIC_ALIGNMENT
from lava_align.rules.rates.weight_mirror import WEIGHT_MIRROR, WEIGHT_MIRROR_SIGMOID

_RULES = (
    WEIGHT_MIRROR,
    WEIGHT_MIRROR_SIGMOID,
    KOLEN_POLLACK,
    INFORMATION_ALIGNMENT,
    SYMMETRIC_ALIGNMENT,
    ACTIVATION_ALIGNMENT,
    PHASELESS_ALIGNMENT,
    PRODUCT_FEEDBACK,
    FEEDBACK_ALIGNMENT,
    DIRECT_FEEDBACK_ALIGNMENT,
    UNIFORM_SIGN_SYMMETRY,
    BATCH_SIGN_SYMMETRY,
    FIXED_SIGN_SYMMETRY,
)


def rate_rules() -> tuple[RateRule, ...]:
    """All rules on rates, in the order they are listed to users."""
    return _RULES


def get_rate_rule(name: str, where: str = "rule") -> RateRule:
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
