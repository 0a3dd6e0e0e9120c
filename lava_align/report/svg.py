"""Matplotlib figures as SVG that can stand inside an HTML page, any number of them on one page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RASTER_DPI = 200
"""Resolution of what is drawn as pixels inside a figure."""

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "lava-align",
    "text.color": "#222222",
    "xtick.color": "#444444",
    "xtick.labelsize": 8.5,
    "ytick.color": "#444444",
    "ytick.labelsize": 8.5,
}
# Matplotlib would write the date and its address into the file.
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


def draw(paint: Callable[[Axes], None], *, name: str, label: str, size: tuple[float, float]) -> str:
    """Draw one panel.

    Parameters
    ----------
    paint : callable
        Draws into the axes it is given.
    name : str
        Different for every figure of a page; keeps their ids apart.
    label : str
        What the figure shows, for those who cannot see it.
    size : (float, float)
        Width and height, inches.

    Returns
    -------
    str
        An ``<svg>`` element that scales with its box, loads nothing and carries no date.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        canvas = FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        paint(axes)
        buffer = io.StringIO()
        canvas.print_figure(buffer, format="svg", dpi=RASTER_DPI, metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), name, label)


def _inline(document: str, name: str, label: str) -> str:
    """Turn an SVG document into an element of an HTML page."""
    body = document[document.index(">", document.index("<svg")) + 1 :].rstrip()
    view = re.search(r'viewBox="([^"]*)"', document)
    if view is None:
        raise ValueError("matplotlib wrote an SVG without a view box")
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = body.replace("'DejaVu Sans'", "system-ui, 'Segoe UI', Helvetica, Arial")
    # Hundredths of a point are finer than any screen or printer.
    body = re.sub(r"(\d\.\d\d)\d+", r"\1", body)
    return f'<svg role="img" aria-label="{escape(label)}" viewBox="{view[1]}">{body}'
