"""The figures of the report, one function each: numbers in, an ``<svg>`` element out.

Colours are Okabe and Ito's, which people with any common colour vision tell apart; the two systems
also differ by line and fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.recording import Spikes
from lava_align.report.svg import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

CHIP, REFERENCE = "#0072B2", "#D55E00"
_GREY = "#767676"

# Above this many marks an image is smaller than a path, and drawn faster.
_MOST_MARKS = 4000
_BINS = 24
_PANEL = (4.0, 2.3)


def raster(
    spikes: Spikes, *, dt: float, duration: float, name: str, label: str, colour: str
) -> str:
    """Draw spikes of the first ``duration`` seconds, one row per neuron.

    Parameters
    ----------
    spikes : Spikes
    dt : float
        Time step, seconds.
    duration : float
        Length of the time axis, seconds.
    name, label : str
        See :func:`lava_align.report.svg.draw`.
    colour : str
    """
    shown = spikes.step * dt < duration
    times, neurons = spikes.step[shown] * dt, spikes.neuron[shown]

    def paint(axes: Axes) -> None:
        axes.set(
            xlim=(0, duration),
            ylim=(-0.5, spikes.size - 0.5),
            xlabel="time (s)",
            ylabel="neuron",
        )
        _whole_numbers(axes)
        if not len(times):
            _note(axes, "no spikes")
            return
        # One path with gaps instead of one mark per spike: a fifth of the bytes.
        x = np.repeat(times, 3)
        y = np.repeat(neurons.astype(float), 3) + np.tile([-0.45, 0.45, np.nan], len(times))
        axes.plot(x, y, color=colour, linewidth=1.1, rasterized=len(times) > _MOST_MARKS)

    return draw(paint, name=name, label=label, size=_PANEL)


def rate_histogram(
    chip: Sequence[float], reference: Sequence[float], *, name: str, label: str
) -> str:
    """Draw how many neurons fire at which rate (Hz), chip form filled, reference in outline.

    An empty sequence is a population that was not recorded.
    """
    highest = max([*chip, *reference, 1.0])
    edges = np.linspace(0, highest, _BINS + 1)

    def paint(axes: Axes) -> None:
        axes.hist(list(chip), bins=list(edges), color=CHIP, alpha=0.45, label="chip form")
        axes.hist(
            list(reference),
            bins=list(edges),
            histtype="step",
            color=REFERENCE,
            linewidth=1.6,
            linestyle="--",
            label="reference",
        )
        axes.set(xlim=(0, highest), xlabel="rate (Hz)", ylabel="neurons")
        _whole_numbers(axes)
        axes.legend(loc="best", handlelength=1.6)

    return draw(paint, name=name, label=label, size=_PANEL)


def weight_scatter(
    forward: Array, feedback: Array, *, unit: str, name: str, label: str, colour: str
) -> str:
    """Draw learned feedback weights against the forward weights they should mirror.

    Parameters
    ----------
    forward : ndarray, shape (m, n)
    feedback : ndarray, shape (n, m)
    unit : str
        Unit of ``feedback``, for the axis.
    name, label : str
        See :func:`lava_align.report.svg.draw`.
    colour : str
    """
    x, y = forward.T.ravel(), feedback.ravel()

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=_GREY, linewidth=0.6)
        axes.axvline(0, color=_GREY, linewidth=0.6)
        # Many points cover each other: the smaller and the fainter the more there are.
        axes.scatter(
            x,
            y,
            s=float(np.clip(6000 / max(x.size, 1), 2, 16)),
            color=colour,
            alpha=float(np.clip(900 / max(x.size, 1), 0.25, 0.8)),
            linewidths=0,
            rasterized=x.size > _MOST_MARKS // 8,
        )
        axes.set(xlabel="forward weight, transposed", ylabel=f"feedback weight ({unit})")
        axes.locator_params(nbins=6)

    return draw(paint, name=name, label=label, size=(5.0, 3.1))


def course(
    chip: Mapping[str, Sequence[float | None]],
    reference: Mapping[str, Sequence[float | None]],
    *,
    measure: str,
    axis: str,
    name: str,
    label: str,
) -> str:
    """Draw one measure of alignment over time, both systems in one panel.

    Parameters
    ----------
    chip, reference : mapping
        ``time`` (seconds) and ``measure``, each a sequence; empty if the weights were not recorded.
    measure, axis : str
        Which measure, and how its axis is called.
    name, label : str
        See :func:`lava_align.report.svg.draw`.
    """
    lines = (
        (chip, "chip form", {"color": CHIP, "marker": "o"}),
        (reference, "reference", {"color": REFERENCE, "marker": "s", "linestyle": "--"}),
    )

    def paint(axes: Axes) -> None:
        for system, title, style in lines:
            if system["time"]:
                values = np.array(system[measure], dtype=float)
                axes.plot(
                    system["time"],  # type: ignore[arg-type]
                    values,
                    label=title,
                    linewidth=1.6,
                    markersize=3 if len(values) <= 40 else 0,
                    **style,  # type: ignore[arg-type]
                )
        axes.set(xlabel="time (s)", ylabel=axis)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.margins(x=0.02)
        axes.set_xlim(left=0)
        if axes.lines:
            axes.legend(loc="best", handlelength=2.4)
        else:
            _note(axes, "weights not recorded")

    return draw(paint, name=name, label=label, size=_PANEL)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_GREY)
