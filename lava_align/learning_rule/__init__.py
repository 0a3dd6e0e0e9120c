"""The language of on-chip learning rules: sums of products for dw, dd and dt.

Says what Lava 0.10.0 would do with a rule, without needing Lava: what it would misread is an error
here, and :meth:`LearningRule.effective_coefficients` shows what its shifts leave of a coefficient.
"""

from lava_align.learning_rule.arithmetic import EffectiveCoefficient
from lava_align.learning_rule.expression import Expression
from lava_align.learning_rule.rule import GradedMode, LearningRule, Trace
from lava_align.learning_rule.terms import Factor, Product

__all__ = [
    "EffectiveCoefficient",
    "Expression",
    "Factor",
    "GradedMode",
    "LearningRule",
    "Product",
    "Trace",
]
