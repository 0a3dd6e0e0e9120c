"""``lava-align replay`` in this process: what it prints and writes, and what it refuses."""

import json

import numpy as np
import pytest

from lava_align.compiler.folder import save_program
from lava_align.compiler.program import Synapses
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Recording
from lava_align.replay.chip import relayed

TRAINS = {"upper": 3, "lower": 4}
N_SPIKES = 40


@pytest.fixture
def run(call, tmp_path):
    """Run the command line in a folder with spikes.npz, in seconds without a time step."""
    rng = np.random.default_rng(3)
    arrays = {}
    for name, size in TRAINS.items():
        arrays[f"{name}.times"] = (rng.choice(300, N_SPIKES, replace=False) + 0.5) * 1e-3
        arrays[f"{name}.neuron"] = rng.integers(0, size, N_SPIKES)
        arrays[f"{name}.size"] = size
    arrays["lower.times"][:2], arrays["lower.neuron"][:2] = 0.1005, 0
    arrays["upper.times"][0] = 0.2995
    np.savez(tmp_path / "spikes.npz", **arrays)
    return call


def replay(run, *options):
    return run("replay", "spikes.npz", "--dt", "1 ms", "--quiet", *options)


def test_the_tables_name_both_forms_and_what_collided(run) -> None:
    code, out, err = replay(run)
    assert (code, err) == (0, "")
    assert "Spikes: 300 steps of 1 ms" in out
    assert "lower: 1 of 40 spikes share a step" in out
    for line in ("on chip (integers)", "float (paper)", "feedback: dw =", "Both forms agree: r"):
        assert line in out
    assert "mirrors" not in out


def test_json_and_the_recording_hold_the_same(run, tmp_path) -> None:
    np.save(tmp_path / "W.npy", np.random.default_rng(0).normal(size=(3, 4)))
    code, out, _ = replay(
        run, "--json", "--forward", "W.npy", "--out", "r.rec.h5", "--snapshots", "5",
        "--set", "tau_fast=20ms", "--set", "eta=1e-3", "--steps", "200",
    )  # fmt: skip
    assert code == 0
    found, recording = json.loads(out), Recording.load(tmp_path / "r.rec.h5")
    assert found["n_steps"] == recording.n_steps == 200
    assert found["steps"] == [0, 40, 80, 120, 160, 200]
    assert found["populations"]["lower"]["shared_step"] == 1
    assert recording.weights["chip"].values.shape == (6, 4, 3)
    assert recording.weights["chip"].values.dtype == np.int32
    assert recording.weights["float"].values.dtype == np.float64
    assert recording.provenance["parameters"] == {
        "tau_fast": 0.02, "tau_slow": 0.2, "eta": 1e-3, "kappa": 0.1
    }  # fmt: skip
    assert [len(found["alignment"][form]) for form in ("chip", "float")] == [6, 6]
    assert -1 <= found["agreement"]["r"] <= 1


def test_its_own_recording_is_replayed_to_the_same_weights(run, tmp_path) -> None:
    assert replay(run, "--out", "a.rec.h5")[0] == 0
    assert run("replay", "a.rec.h5", "--out", "b.rec.h5")[0] == 0
    first, second = (Recording.load(tmp_path / f"{name}.rec.h5") for name in "ab")
    assert first.weights == second.weights


def test_the_seed_decides_the_first_weights(run, tmp_path) -> None:
    for seed in ("1", "1", "2"):
        assert replay(run, "--seed", seed, "--out", f"{seed}.rec.h5")[0] == 0
    one, two = (Recording.load(tmp_path / f"{seed}.rec.h5") for seed in "12")
    assert (one.weights["float"].values[0] != two.weights["float"].values[0]).any()
    np.save(tmp_path / "B.npy", one.weights["float"].values[0])
    assert replay(run, "--seed", "2", "--weights", "B.npy", "--out", "3.rec.h5")[0] == 0
    assert Recording.load(tmp_path / "3.rec.h5").weights == one.weights


def test_a_program_says_populations_and_time_step(run, tmp_path) -> None:
    rule = LearningRule(dw=Expression.parse("2^-4*x0*y1"), y1=Trace(10, 10))
    synapses = Synapses(
        name="B", pre="upper", post="lower", weights=np.zeros((4, 3)), learning=rule, acts=False
    )
    save_program(relayed(synapses, "loihi2", 1e-3, 300), tmp_path / "prog")
    code, out, _ = run("replay", "spikes.npz", "--program", "prog", "--quiet")
    assert code == 0
    assert "steps of 1 ms" in out
    assert "B: dw =" in out
    assert "Limits" not in out
    code, out, _ = run("replay", "spikes.npz", "--program", "prog", "--json")
    found = json.loads(out)
    assert (found["weight_scale"], found["agreement"]["norm_ratio"]) == (None, None)
    assert run("replay", "spikes.npz", "--program", "prog", "--target", "loihi1")[0] == 2
    code, _, err = run(
        "replay", "spikes.npz", "--program", "prog", "--projection", "relay to upper"
    )
    assert (code, "one of: B" in err) == (3, True)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--dt", "1"], 3, "--dt: '1'; a time as a string with a unit"),
        (["--start", "soon"], 3, "--start: 'soon'"),
        (["--pre", "above"], 3, "no population 'above'; one of: upper, lower"),
        (["--set", "tau_fast"], 3, "--set: 'tau_fast'; NAME=VALUE"),
        (["--set", "tau_fast=20"], 3, "--set.tau_fast: 20.0; a time as a string with a unit"),
        (["--set", "speed=1"], 3, "--set.speed: unknown parameter"),
        (["--set", "eta=-1"], 3, "--set.eta: -1.0; a finite number > 0"),
        (["--set", "tau_fast=1s"], 4, "tau_fast must be shorter than tau_slow"),
        (["--rule", "hebb"], 3, "hebb"),
        (["--variant", "three-stage"], 3, "no on-chip form 'three-stage'"),
        (["--forward", "W.npy"], 3, "W.npy: no such file"),
        (["--weights", "W.npy"], 3, "W.npy: no such file"),
        (["--program", "prog"], 3, "no manifest.json"),
        (["--projection", "B"], 2, "--projection names a projection of --program"),
        (["--target", "loihi9"], 3, "loihi9"),
        (["--steps", "0"], 2, "--steps"),
        (["--out", "spikes.npz/r.rec.h5"], 3, "is a file"),
    ],
)
def test_what_is_refused_is_named(run, tmp_path, options, code, message) -> None:
    before = sorted(tmp_path.iterdir())
    found, out, err = replay(run, *options)
    assert (found, out) == (code, "")
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_forward_weights_of_another_shape_are_refused_before_anything_runs(
    run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("lava_align.replay.replay", None)
    np.save(tmp_path / "W.npy", np.zeros((4, 3)))
    code, _, err = replay(run, "--forward", "W.npy")
    assert (code, "(n_upper, n_lower) = (3, 4)" in err) == (3, True)


def test_without_a_time_step_the_file_is_refused(run) -> None:
    code, _, err = run("replay", "spikes.npz")
    assert (code, 'give one, e.g. --dt "1 ms"' in err) == (3, True)
    code, out, _ = run("replay", "nothing.npz", "--json")
    assert (code, json.loads(out)["error"]) == (3, "InvalidInput")
