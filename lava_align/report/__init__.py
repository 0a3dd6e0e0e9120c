"""The report: everything a verdict rests on, as plain data and as one HTML page.

:func:`~lava_align.report.content.report_content` gathers the numbers,
:func:`~lava_align.report.html.report_html` typesets them.
"""

from lava_align.report.content import report_content
from lava_align.report.html import report_html

__all__ = ["report_content", "report_html"]
