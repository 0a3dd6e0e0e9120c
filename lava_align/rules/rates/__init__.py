"""Alignment rules that are defined on rates: float references written from the papers."""

from lava_align.rules.rates.base import RateRule, Signals, Weights
from lava_align.rules.rates.registry import get_rate_rule, rate_rules
from lava_align.rules.rates.simulate import Chunk, run, snapshots

__all__ = [
    "Chunk",
    "RateRule",
    "Signals",
    "Weights",
    "get_rate_rule",
    "rate_rules",
    "run",
    "snapshots",
]
