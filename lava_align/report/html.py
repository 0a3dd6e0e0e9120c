"""The report as one HTML page that loads nothing: text, tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np

from lava_align.recording import Recording
from lava_align.report import figures
from lava_align.report.words import (
    duration_text,
    flatten,
    number,
    percent,
    phrase,
    signed_percent,
    system_note,
    verdict_sentence,
)

Array = np.ndarray[Any, Any]
Panel = dict[str, str]

RASTER_SECONDS = 1.0
"""Length of the shown stretch of spikes."""

_COURSES = (
    ("r", "correlation r"),
    ("sign_agreement", "sign agreement"),
    ("angle", "angle (degrees)"),
)
_WEIGHT = ("fail", "advisory", "unverified", "pass")
_SYSTEMS = (
    ("candidate", "chip form", figures.CHIP),
    ("reference", "reference", figures.REFERENCE),
)


def report_html(
    content: Mapping[str, Any],
    candidate: Recording,
    reference: Recording,
    forwards: Mapping[str, Array],
) -> str:
    """Typeset a report.

    Parameters
    ----------
    content : mapping
        From :func:`~lava_align.report.content.report_content`, also after a way through JSON.
    candidate, reference : Recording
        The runs the content was made from; spikes and weights are drawn from them.
    forwards : mapping
        Plastic projection name to the forward weights it mirrors, shape (n_pre, n_post) of it.

    Returns
    -------
    str
        A complete HTML document; equal input gives equal text.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=number,
        percent=percent,
        phrase=phrase,
        seconds=duration_text,
        signed_percent=signed_percent,
    )
    runs = {"candidate": candidate, "reference": reference}
    template = environment.from_string(_resource("template.html.j2"))
    return template.render(
        content=content,
        style=Markup(_resource("style.css")),
        sentence=verdict_sentence(content["verdict"]),
        systems={name: system_note(content["systems"][name]["backend"]) for name in runs},
        raster_seconds=min(RASTER_SECONDS, content["duration"]),
        populations=list(_populations(content, runs)),
        projections=list(_projections(content, runs, forwards)),
        endpoints=_endpoints(content),
        loads=[_load(row) for row in content["utilisation"]],
        tally=dict(Counter(row["verdict"] for row in _by_weight(content["checks"]))),
        checks=_by_weight(content["checks"]),
        provenance=_provenance(content),
    )


def _resource(name: str) -> str:
    return resources.files("lava_align.report").joinpath(name).read_text(encoding="utf-8")


def _panel(svg: str, caption: str) -> Panel:
    from markupsafe import Markup

    return {"svg": Markup(svg), "caption": caption}


def _populations(
    content: Mapping[str, Any], runs: Mapping[str, Recording]
) -> Iterator[dict[str, Any]]:
    stop = min(RASTER_SECONDS, content["duration"])
    for index, population in enumerate(content["populations"]):
        name, rates = population["name"], population["rates"]
        panels = []
        for system, title, colour in _SYSTEMS:
            run = runs[system]
            if name not in run.spikes:
                continue
            svg = figures.raster(
                run.spikes[name],
                dt=run.dt,
                duration=stop,
                name=f"raster{index}-{system}",
                label=f"Spike raster of population {name}, {title}, first {number(stop)} s",
                colour=colour,
            )
            panels.append(_panel(svg, f"Spikes, {title}"))
        means = {system: _mean(rates[system]) for system in runs}
        histogram = figures.rate_histogram(
            rates["candidate"] or [],
            rates["reference"] or [],
            name=f"rates{index}",
            label=f"Histogram of firing rates of population {name}: mean "
            f"{number(means['candidate'])} Hz in the chip form, "
            f"{number(means['reference'])} Hz in the reference",
        )
        panels.append(_panel(histogram, "Firing rates of both"))
        missing = [title for system, title, _ in _SYSTEMS if name not in runs[system].spikes]
        yield {**population, "means": means, "panels": panels, "missing": missing}


def _projections(
    content: Mapping[str, Any], runs: Mapping[str, Recording], forwards: Mapping[str, Array]
) -> Iterator[dict[str, Any]]:
    for index, projection in enumerate(content["projections"]):
        courses = projection["alignment"]
        final = {
            measure: {system: _last(courses[system], measure) for system in runs}
            for measure in ("r", "sign_agreement", "angle", "norm_ratio")
        }
        yield {
            **projection,
            "final": final,
            "end": _end(courses),
            "scatter": list(_scatters(projection, index, runs, forwards, final)),
            "courses": list(_courses(projection["name"], courses, index, final)),
        }


def _scatters(
    projection: Mapping[str, Any],
    index: int,
    runs: Mapping[str, Recording],
    forwards: Mapping[str, Array],
    final: Mapping[str, Any],
) -> Iterator[Panel]:
    name = projection["name"]
    units = {"candidate": "chip units", "reference": "reference units"}
    for system, title, colour in _SYSTEMS:
        series = runs[system].weights.get(name)
        if series is None or not len(series.step):
            continue
        svg = figures.weight_scatter(
            np.asarray(forwards[name]),
            series.values[-1],
            unit=units[system],
            name=f"scatter{index}-{system}",
            label=f"Feedback weights of {name} against the transposed weights of "
            f"{projection['mirrors']}, {title}: r = {_three(final['r'][system])}",
            colour=colour,
        )
        yield _panel(svg, f"Learned weights, {title}: r = {_three(final['r'][system])}")


def _courses(
    projection: str, courses: Mapping[str, Any], index: int, final: Mapping[str, Any]
) -> Iterator[Panel]:
    for measure, axis in _COURSES:
        ends = final[measure]
        svg = figures.course(
            courses["candidate"],
            courses["reference"],
            measure=measure,
            axis=axis,
            name=f"course{index}-{measure}",
            label=f"{axis} of {projection} over time, ending at "
            f"{number(ends['candidate'])} in the chip form and "
            f"{number(ends['reference'])} in the reference",
        )
        yield _panel(svg, f"{axis[0].upper()}{axis[1:]} over time")


def _endpoints(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the verdict with distance as a share of the margin, and what set the margin."""
    decided_by = {m["name"]: m["decided_by"] for m in content["margins"]["margins"]}
    return [
        {
            **row,
            "share": row["distance"] / row["margin"]
            if row["distance"] is not None and row["margin"]
            else None,
            "decided_by": decided_by[row["endpoint"]],
        }
        for row in content["verdict"]["rows"]
    ]


def _load(row: Mapping[str, Any]) -> dict[str, Any]:
    share = row["busiest"] / row["available"] if row["available"] else None
    return {**row, "share": share}


def _by_weight(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order checks by what a reader must know first; the order within is kept."""
    return sorted(checks, key=lambda row: _WEIGHT.index(row["verdict"]))


def _provenance(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of the provenance table, nested names joined by dots."""
    gathered = {
        **content["provenance"],
        "target": content["target"],
        "candidate": _origin(content["systems"]["candidate"]),
        "reference": _origin(content["systems"]["reference"]),
        "simplifications": content["simplifications"] or "none",
        "margins": {"sha256": content["margins"]["sha256"]},
        "sha256": content["hashes"],
    }
    return list(flatten(gathered))


def _origin(system: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in system.items() if value not in ([], {})}


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def _three(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}".replace("-", "−")


def _last(course: Mapping[str, Any], measure: str) -> float | None:
    return course[measure][-1] if course[measure] else None


def _end(courses: Mapping[str, Any]) -> float | None:
    """Time of the last snapshot, seconds; None if neither run has one."""
    return max(
        [*courses["candidate"]["time"][-1:], *courses["reference"]["time"][-1:]], default=None
    )
