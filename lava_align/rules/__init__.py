"""The published alignment rules, one file each, and their registry."""

from lava_align.rules.base import (
    AlignmentRule,
    Code,
    LoweredRule,
    Needs,
    OnChipForm,
    Parameter,
    Plane,
    Quantity,
    Sample,
    WindowPlan,
)
from lava_align.rules.registry import get_rule, rules

__all__ = [
    "AlignmentRule",
    "Code",
    "LoweredRule",
    "Needs",
    "OnChipForm",
    "Parameter",
    "Plane",
    "Quantity",
    "Sample",
    "WindowPlan",
    "get_rule",
    "rules",
]
