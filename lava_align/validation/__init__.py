"""Does one system behave as another? Margins, a verdict, and faults that prove the test can fail.

The order is part of the method: margins come from reference runs alone, and exist before a
candidate is read.

>>> margins = derive_margins(reference_runs, forwards)      # doctest: +SKIP
>>> verdict = judge(candidate, reference, margins, forwards, paired=True)   # doctest: +SKIP
"""

from lava_align.validation.compare import judge
from lava_align.validation.endpoints import Endpoint, MeasureSettings, measure
from lava_align.validation.margins import Bounds, Margin, Margins, MarginSettings, derive_margins
from lava_align.validation.verdict import Outcome, Row, Verdict

__all__ = [
    "Bounds",
    "Endpoint",
    "Margin",
    "MarginSettings",
    "Margins",
    "MeasureSettings",
    "Outcome",
    "Row",
    "Verdict",
    "derive_margins",
    "judge",
    "measure",
]
