"""The figures' machinery on short runs: every rule on chip and in reference, tables, resuming."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lava_align.reproduce import fidelity, sweep
from lava_align.reproduce.fidelity import (
    REGIMES,
    RateRegime,
    SpikingRegime,
    drawing,
    regime,
    study,
    table,
)
from lava_align.reproduce.figures import FIGURES, SILENT, _sweep_table
from lava_align.reproduce.kept import kept
from lava_align.reproduce.regime import curves, load
from lava_align.reproduce.sweep import RULES, Condition, outcome
from lava_align.rules import get_rule, rules
from lava_align.targets import load_target

SPIKING = [r for r in REGIMES if isinstance(r, SpikingRegime)]
RATES = [r for r in REGIMES if isinstance(r, RateRegime)]


def test_every_rule_with_an_on_chip_form_has_a_regime():
    experiments = [load(r.example, 1, 1.0) for r in SPIKING]
    shown = {e.network.plastic()[0].plasticity.rule for e in experiments}
    shown |= {r.rule for r in RATES}
    assert {rule.name for rule in rules() if rule.forms} <= shown


def test_reference_replay_and_own_drive_learn_alike():
    seconds, least = 6.0, 0.4
    made = curves(
        load("rdd", 1, seconds),
        [seconds / 2, seconds],
        target=load_target("loihi2"),
        codegen="numpy",
    )
    rule = get_rule("rdd")
    assert len(made) == 1 + 4 * len(rule.forms)
    ends = {(c.form, c.drive, c.semantics): c.points[-1].r for c in made}
    assert all(c.points[0].time == seconds / 2 for c in made)
    assert ends[("float", "self", "")] > least
    default = rule.forms[0].name
    for drive in ("replay", "self"):
        assert ends[(default, drive, "lava-0.10.0")] > least


@pytest.mark.parametrize("found", RATES, ids=lambda r: r.name)
def test_forms_of_rules_on_rates_stay_close_to_their_references(found):
    short = RateRegime(
        name=found.name, title="", rule=found.rule, times=tuple(found.times[:2]), published=""
    )
    made = short.curves(3)
    reference = next(c for c in made if c.form == "float").points[-1].angle
    for curve in made:
        assert curve.points[-1].angle < reference + 4.0, curve


def test_a_study_goes_on_where_it_was_and_sums_up_over_seeds(tmp_path, monkeypatch):
    found = RateRegime(
        name="short", title="Short", rule="symmetric_alignment", times=(20, 40), published="0"
    )
    rows = study([found], [1, 2, 3], tmp_path, progress=lambda _: None)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"short-{s}.json" for s in (1, 2, 3)]
    monkeypatch.setattr(fidelity, "rate_run", None)
    again = study([found], [1, 2, 3], tmp_path, progress=lambda _: None)
    assert again == rows
    angles = [
        json.loads((tmp_path / f"short-{s}.json").read_text())["result"][0]["points"][-1]["angle"]
        for s in (1, 2, 3)
    ]
    assert rows[0]["angle"]["mean"][-1] == pytest.approx(np.mean(angles))
    assert rows[0]["angle"]["se"][-1] == pytest.approx(np.std(angles, ddof=1) / np.sqrt(3))
    lines = table(rows).splitlines()
    assert len(lines) == 2 + 3
    assert lines[2].startswith("| Short | float")
    assert "Short" in drawing(rows)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_runs_on_a_mismatched_chip_and_under_other_stimuli(rule, monkeypatch):
    monkeypatch.setitem(sweep.RULES, rule, (RULES[rule][0], 3.0))
    ideal, off, driven = (
        outcome(Condition(axis=axis, value=value, rule=rule, seed=1))
        for axis, value in (("mismatch", 0.0), ("mismatch", 0.4), ("active fraction", 0.5))
    )
    assert ideal.copied_angle < 1.0
    assert 15.0 < off.copied_angle < 30.0
    assert off.r != ideal.r
    assert driven.r != ideal.r
    assert all(np.isfinite([o.r, o.angle]).all() for o in (ideal, off, driven))


def test_a_sweep_table_has_a_row_per_value_and_a_column_per_rule():
    rows = [
        {
            "axis": "mismatch",
            "rule": rule,
            "value": value,
            **{
                key: {"mean": 10.0 * value + len(rule), "se": 0.5}
                for key in ("r", "sign_agreement", "angle", "copied_angle", "upper_rate")
            },
        }
        for rule in RULES
        for value in (0.0, 0.1)
    ]
    lines = _sweep_table(rows, "angle").splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert lines[3].startswith("| mismatch | 0.1 | 6.0 ± 0.5 |")


def test_a_rule_without_activity_is_called_silent_and_not_drawn():
    rows = [
        {
            "axis": "rate (Hz)",
            "rule": rule,
            "value": value,
            "r": {"mean": 0.5, "se": None},
            "upper_rate": {"mean": 0.0 if (rule, value) == ("WM", 50.0) else 20.0, "se": None},
        }
        for rule in RULES
        for value in (50.0, 100.0)
    ]
    first, second = _sweep_table(rows, "r").splitlines()[2:]
    assert first == "| rate (Hz) | 50 | 0.500 | silent | 0.500 | 0.500 |"
    assert "silent" not in second


def test_a_silent_network_is_reported_as_such(monkeypatch):
    monkeypatch.setitem(sweep.RULES, "STDWI", (RULES["STDWI"][0], 3.0))
    quiet, loud = (
        outcome(Condition(axis="rate (Hz)", value=value, rule="STDWI", seed=1))
        for value in (50.0, 400.0)
    )
    assert quiet.upper_rate < SILENT < 10.0 < loud.upper_rate


def test_a_sweep_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "RULES", {"STDWI": ("paper", 2.0)})
    monkeypatch.setattr(sweep, "MISMATCH", (0.0, 0.4))
    rows = sweep.sweep(("mismatch",), [1], tmp_path)
    assert {row["value"] for row in rows} == {0.0, 0.4}
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(sweep, "outcome", None)
    assert sweep.sweep(("mismatch",), [1], tmp_path) == rows


def test_results_of_other_code_are_not_taken(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "run.json"
    assert kept(path, lambda: [1.5]) == [1.5]
    assert kept(path, lambda: [2.5]) == [1.5]
    monkeypatch.setattr("lava_align.reproduce.kept.code_digest", lambda: "other")
    assert kept(path, lambda: [2.5]) == [2.5]


def test_the_command_names_the_figures_there_are():
    from lava_align.cli.reproduce_command import NAMES

    assert set(NAMES) == set(FIGURES)
    assert regime("rdd").example == "rdd"
