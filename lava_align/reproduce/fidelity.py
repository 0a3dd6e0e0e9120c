"""How close every on-chip form comes to its float reference, in its paper's regime, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_align.reproduce.kept import kept
from lava_align.reproduce.rates import rate_curves, rate_run
from lava_align.reproduce.regime import SEMANTICS, Curve, Point, curves, load
from lava_align.rules import get_rule
from lava_align.targets import load_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
MEASURES = ("r", "sign_agreement", "angle")
TARGET = "loihi2"


@dataclass(frozen=True, kw_only=True)
class SpikingRegime:
    """A packaged experiment and when to look at its weights.

    Parameters
    ----------
    name, title : str
    example : str
        Packaged experiment (``lava-align example --list``).
    times : tuple of float
        Seconds, ascending; the last is the length of the run.
    published : str
        What the paper or an independent derivation has, and where it is from.
    """

    name: str
    title: str
    example: str
    times: tuple[float, ...]
    published: str

    def curves(self, seed: int) -> list[Curve]:
        """All curves of one seed."""
        experiment = load(self.example, seed, self.times[-1])
        return curves(experiment, self.times, target=load_target(TARGET))


@dataclass(frozen=True, kw_only=True)
class RateRegime:
    """A rule on rates between layers of given sizes.

    Parameters
    ----------
    rule : str
    times : tuple of int
        Samples, evenly spaced.
    """

    name: str
    title: str
    rule: str
    times: tuple[int, ...]
    published: str
    sizes: tuple[int, int] = (20, 10)
    parameters: dict[str, float] = field(default_factory=dict)

    def curves(self, seed: int) -> list[Curve]:
        """All curves of one seed."""
        found = rate_run(
            get_rule(self.rule),
            n_lower=self.sizes[0],
            n_upper=self.sizes[1],
            times=self.times,
            seed=seed,
            parameters=self.parameters,
        )
        return rate_curves(found, seed, SEMANTICS)


Regime = SpikingRegime | RateRegime

REGIMES: tuple[Regime, ...] = (
    SpikingRegime(
        name="stdwi-example",
        title="STDWI, Example parameters, 100 to 10",
        example="paper",
        times=(10.0, 20.0, 50.0, 100.0, 200.0),
        published="0.955 / 0.93 (authors' Example.ipynb, figure, 200 s)",
    ),
    SpikingRegime(
        name="stdwi-scripts",
        title="STDWI, regime of the paper's scripts, 100 to 10",
        example="stdwi",
        times=(20.0, 50.0, 100.0, 160.0, 200.0),
        published="0.97 / 0.94 (numpy, 160 s)",
    ),
    SpikingRegime(
        name="weight-mirror",
        title="Weight mirror with spikes, Example parameters, 100 to 10",
        example="weight_mirror",
        times=(10.0, 20.0, 50.0, 100.0, 200.0),
        published="0.935 / 0.855 (authors of STDWI, Example.ipynb, 200 s)",
    ),
    SpikingRegime(
        name="rdd",
        title="RDD in its authors' regime, 50 to 50",
        example="rdd",
        times=(10.0, 20.0, 30.0, 50.0, 90.0),
        published="0.931 / 0.933 (numpy, authors' constants, 90 s)",
    ),
    SpikingRegime(
        name="sal",
        title="SAL between layers of 50 and 50",
        example="sal",
        times=(100.0, 200.0, 300.0, 500.0, 1000.0),
        published="14.3 deg, 0.969 / 0.944 (numpy, authors' settings, 100 epochs)",
    ),
    RateRegime(
        name="kolen-pollack",
        title="Kolen-Pollack, 20 to 10",
        rule="kolen_pollack",
        times=(2500, 5000, 7500, 10000),
        published="0 deg; 8 bits with independent rounding, first trial: 30 deg",
    ),
    RateRegime(
        name="weight-mirror-rate",
        title="Weight mirror on rates, 20 to 10",
        rule="weight_mirror_rate",
        times=(2500, 5000, 7500, 10000),
        published="17.5 deg (closed form)",
    ),
    RateRegime(
        name="information",
        title="Information alignment, 20 to 10",
        rule="information_alignment",
        times=(10000, 20000, 30000, 40000),
        published="18.5 deg to W (closed form; its goal is not W)",
    ),
    RateRegime(
        name="symmetric",
        title="Symmetric alignment by probing, 20 to 10",
        rule="symmetric_alignment",
        times=(1000, 2000, 3000, 4000),
        published="0 deg",
    ),
    RateRegime(
        name="pal",
        title="PAL, 20 to 10",
        rule="phaseless_alignment",
        times=(25000, 50000, 75000, 100000),
        published="19 and 23 deg (authors' arrays, deep network)",
    ),
    RateRegime(
        name="pfa",
        title="Product feedback alignment, 20 to 10, ratio 10",
        rule="product_feedback",
        times=(2500, 5000, 7500, 10000),
        published="17.9 deg (closed form)",
    ),
    RateRegime(
        name="sign-symmetry",
        title="Uniform sign symmetry by probing, 20 to 10",
        rule="sign_symmetry_uniform",
        times=(1000, 2000, 3000, 4000),
        published="signs agree",
    ),
)


def regime(name: str) -> Regime:
    """Return the regime called ``name``."""
    return next(r for r in REGIMES if r.name == name)


def measured(found: Regime, seed: int, folder: Path) -> list[Curve]:
    """Curves of one seed, from a file of an earlier run if there is one.

    Parameters
    ----------
    folder : Path
        Holds a file per regime and seed, so that an interrupted study goes on.
    """
    entries = kept(
        folder / f"{found.name}-{seed}.json",
        lambda: [asdict(curve) for curve in found.curves(seed)],
    )
    return [
        Curve(**{**entry, "points": tuple(Point(**p) for p in entry["points"])})
        for entry in entries
    ]


def study(
    regimes: Sequence[Regime],
    seeds: Sequence[int],
    folder: Path,
    *,
    jobs: int = 1,
    progress: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Rows of the fidelity table: mean and standard error over seeds.

    Returns
    -------
    list of dict
        One per regime, form, drive and rounding: ``regime``, ``title``, ``form``, ``drive``,
        ``semantics``, ``times``, ``published``, and per measure ``mean`` and ``se`` over time.
    """
    from joblib import Parallel, delayed

    tasks = [(found, seed) for found in regimes for seed in seeds]
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(measured)(found, seed, folder) for found, seed in tasks
    )
    by_regime: dict[str, list[Curve]] = {}
    for (found, seed), made in zip(tasks, results, strict=True):
        progress(f"{found.name}, seed {seed}")
        by_regime.setdefault(found.name, []).extend(made)
    return [row for found in regimes for row in _rows(found, by_regime[found.name])]


def _rows(found: Regime, made: list[Curve]) -> list[dict[str, Any]]:
    kinds = dict.fromkeys((c.form, c.drive, c.semantics) for c in made)
    rows = []
    for form, drive, semantics in kinds:
        same = [c for c in made if (c.form, c.drive, c.semantics) == (form, drive, semantics)]
        row: dict[str, Any] = {
            "regime": found.name,
            "title": found.title,
            "form": form,
            "drive": drive,
            "semantics": semantics,
            "seeds": [c.seed for c in same],
            "times": [p.time for p in same[0].points],
            "published": found.published,
        }
        for measure in MEASURES:
            values = np.array([[getattr(p, measure) for p in c.points] for c in same])
            n = len(values)
            row[measure] = {
                "mean": values.mean(axis=0).tolist(),
                "se": (values.std(axis=0, ddof=1) / n**0.5).tolist() if n > 1 else None,
            }
        rows.append(row)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown table of the ends of all curves."""
    head = ("regime", "form", "drive", "rounding", "r", "sign agreement", "angle", "published")
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in rows:
        ends = {}
        for measure, digits in (("r", 3), ("sign_agreement", 3), ("angle", 1)):
            mean, se = row[measure]["mean"][-1], row[measure]["se"]
            error = f" ± {se[-1]:.{digits}f}" if se else ""
            ends[measure] = f"{mean:.{digits}f}{error}"
        first = row["form"] == "float"
        lines.append(
            " | ".join(
                (
                    row["title"] if first else "",
                    row["form"],
                    "" if first else row["drive"],
                    row["semantics"],
                    *ends.values(),
                    row["published"] if first else "",
                )
            )
        )
    return "\n".join(f"| {line} |" for line in lines)


def drawing(rows: Sequence[dict[str, Any]]) -> str:
    """SVG of the ends of all curves: r of the reference and of the default form, a line each."""
    from lava_align.report.svg import draw

    regimes = list(dict.fromkeys(row["regime"] for row in rows))
    titles = {row["regime"]: row["title"] for row in rows}
    kinds = (
        ("float", "self", "float reference", "#D55E00", "D"),
        ("chip", "replay", "chip form, reference's signals", "#0072B2", "o"),
        ("chip", "self", "chip form, its own network", "#009E73", "s"),
    )

    def paint(axes: Axes) -> None:
        for form, drive, label, colour, marker in kinds:
            found = [(i, _shown(rows, name, form, drive)) for i, name in enumerate(regimes)]
            points = [(i, row["r"]) for i, row in found if row is not None]
            axes.errorbar(
                [r["mean"][-1] for _, r in points],
                [i for i, _ in points],
                xerr=[r["se"][-1] if r["se"] else 0.0 for _, r in points],
                color=colour,
                marker=marker,
                markersize=4,
                linestyle="",
                label=label,
            )
        axes.set(xlabel="r with the forward weights, end of the run", xlim=(0.85, 1.005))
        axes.set_yticks(range(len(regimes)), [titles[name] for name in regimes])
        axes.invert_yaxis()
        axes.legend(loc="upper left")

    label = "Correlation of learned feedback with forward weights, reference and chip form"
    return draw(paint, name="fidelity", label=label, size=(7.5, 0.36 * len(regimes) + 1.2))


def _shown(
    rows: Sequence[dict[str, Any]], regime: str, form: str, drive: str
) -> dict[str, Any] | None:
    """Row of the reference, or of the first on-chip form under independent rounding."""
    same = [row for row in rows if row["regime"] == regime]
    default = next((row["form"] for row in same if row["form"] != "float"), "")
    wanted = ("float", "self", "") if form == "float" else (default, drive, SEMANTICS[1])
    return next((r for r in same if (r["form"], r["drive"], r["semantics"]) == wanted), None)
