"""Experiments with rules on rates: the file, the command, native against Lava."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from lava_align.backends.native import NativeBackend
from lava_align.errors import ConstraintViolationError, InvalidInputError
from lava_align.model.rates import load_rates
from lava_align.reproduce.rates import compared, on_chip, rate_run, require_rule_fits
from lava_align.rules import get_rule, rules
from lava_align.targets import load_target

EXAMPLE = files("lava_align") / "examples" / "kolen_pollack.toml"
ON_CHIP = [rule.name for rule in rules() if rule.rate is not None and rule.forms]


def written(tmp_path, *changes):
    text = EXAMPLE.read_text(encoding="utf-8").replace("samples = 10000", "samples = 400")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "rates.toml"
    path.write_text(text)
    return path


def test_the_packaged_file_runs_and_both_forms_align(tmp_path):
    experiment = load_rates(written(tmp_path))
    assert experiment.times == (100, 200, 300, 400)
    found = compared(experiment, NativeBackend(seed=1))
    assert set(found) == {"float", "two-stage"}
    for points in found.values():
        assert [p["time"] for p in points] == [100, 200, 300, 400]
        assert points[0]["angle"] > points[-1]["angle"]
        assert points[-1]["angle"] < 5.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('rule = "kolen_pollack"', 'rule = "stdwi"'), "defined on spikes"),
        (('rule = "kolen_pollack"', 'rule = "nope"'), "no rule 'nope'"),
        (("eta = 0.01", "etta = 0.01"), "unknown parameter"),
        (("lower = 20", "lower = 0"), "lower"),
        (("samples = 400", "samples = 400\nmore = 1"), "more"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, change, message):
    with pytest.raises(InvalidInputError, match=message):
        load_rates(written(tmp_path, change))


def test_targets_without_what_a_rule_needs_refuse_it():
    with pytest.raises(ConstraintViolationError, match="lacks third factor, graded spikes"):
        require_rule_fits(get_rule("kolen_pollack"), load_target("loihi1"))
    with pytest.raises(ConstraintViolationError, match="a synapse transmits one way"):
        require_rule_fits(get_rule("activation_alignment"), load_target("loihi2"))
    require_rule_fits(get_rule("kolen_pollack"), load_target("loihi2"))


@pytest.mark.lava
@pytest.mark.parametrize("name", ON_CHIP)
def test_lava_learns_the_same_integers(name):
    from lava_align.backends.lava import LavaBackend

    found = rate_run(get_rule(name), n_lower=6, n_upper=4, times=(60, 120), seed=2)
    _, ours = on_chip(found, None, NativeBackend())
    _, lavas = on_chip(found, None, LavaBackend())
    assert np.array_equal(ours.feedback.values, lavas.feedback.values)
    assert ours.feedback.values.any()
    if ours.forward is not None:
        assert np.array_equal(ours.forward.values, lavas.forward.values)


def test_the_command_prints_what_python_gives(tmp_path, capsys, monkeypatch):
    from lava_align.cli.main import cli

    path = written(tmp_path)
    cli.main(["rates", str(path), "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    expected = compared(load_rates(path), NativeBackend(seed=1))
    assert told["forms"] == json.loads(json.dumps(expected))
