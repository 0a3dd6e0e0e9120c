"""The papers' headline figures of the alignment phase, ours beside what is published.

Each figure is a function of seeds and jobs that gives numbers, a table and an SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.backends.base import Probes
from lava_align.backends.brian2 import run_reference
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import compile_network
from lava_align.model.network import draw_stimuli
from lava_align.report.svg import draw
from lava_align.reproduce.fidelity import regime, study, table
from lava_align.reproduce.regime import load
from lava_align.reproduce.sweep import REGIMES, RULES, sweep
from lava_align.targets import load_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
Progress = Callable[[str], None]

# Okabe and Ito's colours, told apart by people with any common colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676")
SIZE = (4.6, 3.0)
SILENT = 0.1
"""Upper neurons below this rate, Hz, fire a few times in a run or never."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What a figure shows.

    Parameters
    ----------
    name, title, source : str
        ``source`` says where the published points are from.
    data : list of dict
    text : str
        The same as a Markdown table.
    drawings : mapping
        Name to SVG.
    """

    name: str
    title: str
    source: str
    data: list[dict[str, Any]]
    text: str
    drawings: Mapping[str, str]


@dataclass(frozen=True)
class Published:
    """Points of others: (time, r, sign agreement), and where they are from."""

    points: tuple[tuple[float, float, float], ...]
    source: str


STDWI_POINTS = Published(
    ((50.0, 0.91, 0.885), (100.0, 0.94, 0.93), (200.0, 0.955, 0.93)),
    "Example.ipynb in github.com/nasiryahm/STDWI, read from its stored figure to +-0.01",
)
RDD_POINTS = Published(
    (
        (10.0, 0.715, 0.771),
        (20.0, 0.821, 0.837),
        (30.0, 0.858, 0.870),
        (50.0, 0.901, 0.902),
        (90.0, 0.931, 0.933),
    ),
    "an independent derivation in NumPy with the constants of"
    " github.com/jordan-g/RDD-Weight-Alignment, one seed; the paper has no such curve in numbers",
)


def _curves(name: str, published: Published, title: str) -> Callable[..., Figure]:
    def make(seeds: Sequence[int], jobs: int, work: Path, progress: Progress) -> Figure:
        rows = study([regime(name)], seeds, work, jobs=jobs, progress=progress)
        drawings = {
            measure: _lines(rows, measure, published, f"{name}-{measure}")
            for measure in ("r", "sign_agreement")
        }
        return Figure(
            name=name,
            title=title,
            source=published.source,
            data=rows,
            text=table(rows),
            drawings=drawings,
        )

    return make


def _lines(rows: Sequence[Mapping[str, Any]], measure: str, published: Published, name: str) -> str:
    """A measure over time: float reference, default form replayed and driving itself."""
    default = next(row["form"] for row in rows if row["form"] != "float")
    shown = [
        row
        for row in rows
        if row["form"] in ("float", default) and row["semantics"] in ("", "independent-rounding")
    ]

    def paint(axes: Axes) -> None:
        for row, colour in zip(shown, COLOURS, strict=False):
            mean, se = row[measure]["mean"], row[measure]["se"]
            label = "float reference" if row["form"] == "float" else f"chip form, {row['drive']}"
            axes.errorbar(
                row["times"], mean, yerr=se, color=colour, label=label, marker="o", markersize=3
            )
        column = 1 if measure == "r" else 2
        axes.plot(
            [p[0] for p in published.points],
            [p[column] for p in published.points],
            color="black",
            linestyle="",
            marker="x",
            label="published",
        )
        axes.set(xlabel="time (s)", ylabel=measure.replace("_", " "))
        axes.legend(loc="lower right")

    return draw(paint, name=name, label=f"{measure} over time", size=SIZE)


def sal_pair(seeds: Sequence[int], jobs: int, work: Path, progress: Progress) -> Figure:
    """Two neurons, W fixed at 1.5: B moves to W from 0.5, in float and on chip."""
    experiment = load("sal_pair", seeds[0])
    network = experiment.network
    (projection,) = network.plastic()
    goal = float(network.projection("W").weights[0, 0])
    steps = [int(s) for s in np.unique(np.linspace(0, network.n_steps, 31).round())]
    program = compile_network(network, load_target("loihi2"), experiment.approximate)
    scale = program.weight_scales[projection.name]
    found: dict[str, list[Array]] = {"float": [], "chip form": []}
    for seed in seeds:
        progress(f"sal-pair, seed {seed}")
        inputs = draw_stimuli(network, seed)
        own = NativeBackend(seed=seed, semantics="independent-rounding").run(
            program.program,
            inputs,
            network.n_steps,
            Probes(weight_steps=tuple(int(s) for s in steps)),
        )
        (reference,) = run_reference(network, [seed], weight_steps=steps)
        found["chip form"].append(own.weights[projection.name].values.ravel() / scale)
        found["float"].append(reference.weights[projection.name].values.ravel())
    times = np.array(steps) * network.dt
    data = [
        {
            "form": form,
            "times": times.tolist(),
            "mean": np.mean(curves, axis=0).tolist(),
            "se": (np.std(curves, axis=0, ddof=1) / len(curves) ** 0.5).tolist()
            if len(curves) > 1
            else None,
        }
        for form, curves in found.items()
    ]

    def paint(axes: Axes) -> None:
        for row, colour in zip(data, (COLOURS[1], COLOURS[0]), strict=True):
            axes.errorbar(
                row["times"], row["mean"], yerr=row["se"], color=colour, label=row["form"]
            )
        axes.axhline(goal, color="black", linestyle=":", label="W")
        axes.set(xlabel="time (s)", ylabel="B", ylim=(0, None))
        axes.legend(loc="lower right")

    lines = ["| form | start | middle | end |", "| --- | --- | --- | --- |"]
    for row in data:
        mean = row["mean"]
        error = f" ± {row['se'][-1]:.2f}" if row["se"] else ""
        middle = mean[len(mean) // 2]
        lines.append(f"| {row['form']} | {mean[0]:.2f} | {middle:.2f} | {mean[-1]:.2f}{error} |")
    return Figure(
        name="sal-pair",
        title=f"SAL between two neurons: B approaches W = {goal:g}",
        source="arXiv 2503.02642, figure 2d; its goal is W, numbers are not published",
        data=data,
        text="\n".join(lines),
        drawings={"weight": draw(paint, name="sal-pair", label="B over time", size=SIZE)},
    )


def _sweep(name: str, axes: Sequence[str], measure: str, title: str, source: str) -> Any:
    def make(seeds: Sequence[int], jobs: int, work: Path, progress: Progress) -> Figure:
        rows = sweep(
            axes,
            seeds,
            work,
            jobs=jobs,
            progress=lambda done, n: progress(f"{name}: {done} of {n}"),
        )
        drawings = {
            axis: _against(rows, axis, measure, f"{name}-{index}")
            for index, axis in enumerate(axes)
        }
        return Figure(
            name=name,
            title=title,
            source=source,
            data=rows,
            text=_sweep_table(rows, measure),
            drawings=drawings,
        )

    return make


def _against(rows: Sequence[Mapping[str, Any]], axis: str, measure: str, name: str) -> str:
    def paint(axes: Axes) -> None:
        for rule, colour in zip(RULES, COLOURS, strict=False):
            same = [r for r in rows if r["axis"] == axis and r["rule"] == rule and not _silent(r)]
            values = [row["value"] for row in same]
            axes.errorbar(
                values,
                [row[measure]["mean"] for row in same],
                yerr=[row[measure]["se"] or 0.0 for row in same],
                color=colour,
                label=rule,
                marker="o",
                markersize=3,
            )
            if axis == "mismatch":
                copied = [row["copied_angle"]["mean"] for row in same]
                axes.plot(values, copied, color=colour, linestyle=":", linewidth=1.0)
        axes.set(xlabel=axis, ylabel=measure.replace("_", " "))
        axes.legend()

    return draw(paint, name=name, label=f"{measure} against {axis}", size=SIZE)


def _silent(row: Mapping[str, Any]) -> bool:
    """Whether upper neurons fire too little for anything to be learned from them."""
    return bool(row["upper_rate"]["mean"] < SILENT)


def _sweep_table(rows: Sequence[Mapping[str, Any]], measure: str) -> str:
    copied = any(row["axis"] == "mismatch" for row in rows)
    head = "| axis | value | " + " | ".join(RULES) + (" | copied |" if copied else " |")
    lines = [head, "| " + " | ".join(["---"] * (head.count("|") - 1)) + " |"]
    for axis, value in dict.fromkeys((row["axis"], row["value"]) for row in rows):
        cells = [axis, f"{value:g}"]
        for rule in RULES:
            row = next(r for r in rows if (r["axis"], r["value"], r["rule"]) == (axis, value, rule))
            if _silent(row):
                cells.append("silent")
                continue
            digits = 1 if "angle" in measure else 3
            error = f" ± {row[measure]['se']:.{digits}f}" if row[measure]["se"] else ""
            cells.append(f"{row[measure]['mean']:.{digits}f}{error}")
        if copied:
            same = [r["copied_angle"]["mean"] for r in rows if r["value"] == value]
            cells.append(f"{np.mean(same):.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


FIGURES: dict[str, Callable[[Sequence[int], int, Path, Progress], Figure]] = {
    "stdwi-curves": _curves(
        "stdwi-example", STDWI_POINTS, "STDWI, 100 to 10 neurons, as in its paper"
    ),
    "sal-pair": sal_pair,
    "rdd-pair": _curves("rdd", RDD_POINTS, "RDD between layers of 50, in its authors' regime"),
    "regimes": _sweep(
        "regimes",
        tuple(REGIMES),
        "r",
        "Four rules on chip over stimulation regimes, each in its own network",
        "the axes are those of plot_ratio_range.py and plot_correlation_set.py in"
        " github.com/nasiryahm/STDWI, whose data are not published",
    ),
    "robustness": _sweep(
        "robustness",
        ("mismatch",),
        "angle",
        "Alignment with the weights the chip has, against mismatch of thresholds and weights",
        "arXiv 2503.02642 claims that alignment repairs variability; no numbers are published."
        " Dotted: feedback copied from the weights that were asked for",
    ),
}
