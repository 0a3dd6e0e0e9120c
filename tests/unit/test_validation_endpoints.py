from dataclasses import replace

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.recording import Recording, Series, Spikes
from lava_align.statistics.alignment import alignment
from lava_align.statistics.spikes import firing_rates, isi_cv, pairwise_correlation
from lava_align.validation.endpoints import (
    KINDS,
    Absence,
    Endpoint,
    MeasureSettings,
    average,
    distance,
    measure,
)

DT, N_STEPS, SIZE = 1e-3, 2000, 6
FORWARD = {"feedback": np.random.default_rng(1).normal(size=(4, SIZE))}


def recording(**changes):
    rng = np.random.default_rng(2)
    raster = rng.random((N_STEPS, SIZE)) < np.linspace(0.01, 0.05, SIZE)
    weights = np.stack([np.zeros((SIZE, 4)), FORWARD["feedback"].T + rng.normal(size=(SIZE, 4))])
    base = Recording(
        backend="synthetic",
        dt=DT,
        n_steps=N_STEPS,
        spikes={"lower": Spikes.from_raster(raster)},
        weights={"feedback": Series(step=[0, N_STEPS], values=weights)},
    )
    return replace(base, **changes)


def measured(run, settings=None, forwards=FORWARD):
    return {e.name: e for e in measure(run, forwards, settings)}


def endpoint(kind, values, **more):
    return Endpoint(name=f"x.{kind}", kind=kind, unit="1", values=values, **more)


def test_endpoints_hold_the_statistics_of_the_run():
    run = recording()
    found = measured(run)
    spikes = run.spikes["lower"]
    rates = firing_rates(spikes, dt=DT, n_steps=N_STEPS)
    assert found["lower.rate"].scalar == pytest.approx(rates.mean())
    assert found["lower.cv"].scalar == pytest.approx(isi_cv(spikes).mean())
    pairs = pairwise_correlation(spikes, dt=DT, n_steps=N_STEPS)
    assert found["lower.correlation"].scalar == pytest.approx(pairs.mean)
    np.testing.assert_array_equal(found["lower.rate_profile"].values, rates)
    assert found["lower.rate_profile"].scalar is None
    last = run.weights["feedback"].values[-1]
    expected = alignment(FORWARD["feedback"], last)
    assert found["feedback.weight_r"].scalar == pytest.approx(expected.r)
    assert found["feedback.sign_agreement"].scalar == pytest.approx(expected.sign_agreement)
    assert found["feedback.angle"].scalar == pytest.approx(expected.angle)
    np.testing.assert_array_equal(found["feedback.weight_pattern"].values, last.ravel())
    assert [e.kind for e in measure(run, FORWARD)] == list(KINDS)
    assert all(e.absence is None for e in found.values())


def test_the_warm_up_is_left_out():
    late = replace(recording(), spikes={"lower": Spikes(step=[100, 1500], neuron=[0, 0], size=2)})
    assert measured(late)["lower.rate"].scalar == pytest.approx(0.5)
    settings = MeasureSettings(warmup=1.0)
    assert measured(late, settings)["lower.rate"].scalar == pytest.approx(0.5)
    np.testing.assert_allclose(measured(late, settings)["lower.rate_profile"].values, [1, 0])


def test_a_silent_population_has_a_rate_and_nothing_else():
    silent = replace(recording(), spikes={"lower": Spikes(step=[], neuron=[], size=SIZE)})
    found = measured(silent)
    assert found["lower.rate"].scalar == 0
    for kind in ("cv", "correlation", "rate_profile"):
        assert found[f"lower.{kind}"].absence is Absence.SILENT
        assert not found[f"lower.{kind}"].values.size


def test_too_few_spikes_are_said_and_counted():
    steps, neurons = np.r_[np.arange(0, 2000, 100), 3], np.r_[np.zeros(20), 1].astype(int)
    few = replace(recording(), spikes={"lower": Spikes(step=steps, neuron=neurons, size=3)})
    found = measured(few)
    assert found["lower.cv"].scalar == pytest.approx(0, abs=1e-12)
    assert found["lower.cv"].left_out == 2
    assert found["lower.correlation"].left_out == 1
    alone = replace(recording(), spikes={"lower": Spikes(step=[1], neuron=[0], size=3)})
    found = measured(alone)
    assert found["lower.cv"].absence is Absence.TOO_FEW_SPIKES
    assert found["lower.correlation"].absence is Absence.TOO_FEW_SPIKES


def test_one_neuron_has_no_pairs():
    one = replace(recording(), spikes={"lower": Spikes(step=[1, 2], neuron=[0, 0], size=1)})
    assert "lower.correlation" not in measured(one)


def test_what_was_not_probed_is_represented():
    bare = recording(spikes={}, weights={}, not_probed=("lower", "feedback", "lower.v"))
    found = measured(bare)
    assert len(found) == 8
    assert {e.absence for e in found.values()} == {Absence.NOT_PROBED}
    # A projection whose forward weights are given is expected, listed or not.
    assert measured(recording(weights={}))["feedback.angle"].absence is Absence.NOT_PROBED


def test_weights_without_a_snapshot_or_with_nan_are_represented():
    none = Series(step=[], values=np.zeros((0, SIZE, 4)))
    found = measured(recording(weights={"feedback": none}))
    assert found["feedback.weight_r"].absence is Absence.NO_SNAPSHOT
    bad = Series(step=[5], values=np.full((1, SIZE, 4), np.nan))
    found = measured(recording(weights={"feedback": bad}))
    assert found["feedback.weight_pattern"].absence is Absence.NOT_FINITE


def test_constant_weights_have_signs_but_no_pattern():
    flat = Series(step=[5], values=np.full((1, SIZE, 4), 3))
    found = measured(recording(weights={"feedback": flat}))
    assert found["feedback.weight_pattern"].absence is Absence.CONSTANT
    assert found["feedback.weight_r"].absence is Absence.CONSTANT
    expected = np.mean(FORWARD["feedback"] >= 0)
    assert found["feedback.sign_agreement"].scalar == pytest.approx(expected)
    assert found["feedback.angle"].absence is None


def test_forward_weights_must_be_there_and_fit():
    with pytest.raises(InvalidInputError, match=r"forwards.feedback: missing"):
        measure(recording(), {})
    with pytest.raises(InvalidInputError, match="transpose"):
        measure(recording(), {"feedback": FORWARD["feedback"].T})
    flat = Series(step=[0], values=np.zeros((1, SIZE)))
    with pytest.raises(InvalidInputError, match=r"forwards.feedback"):
        measure(recording(weights={"feedback": flat}), FORWARD)


@pytest.mark.parametrize("warmup", [-1.0, 1.995, 5.0])
def test_the_warm_up_must_leave_something(warmup):
    with pytest.raises(InvalidInputError, match="warmup"):
        measure(recording(), FORWARD, MeasureSettings(warmup=warmup))


def test_a_bin_holds_at_least_a_step():
    with pytest.raises(InvalidInputError, match="bin_width"):
        measure(recording(dt=20e-3), FORWARD)


def test_distances():
    assert distance(endpoint("rate", [12.0]), endpoint("rate", [10.0])) == 2
    profile = distance(endpoint("rate_profile", [3.0, 5.0]), endpoint("rate_profile", [3.0, 4.0]))
    assert profile == pytest.approx(np.sqrt(0.5) / np.sqrt(12.5))
    # A factor, such as the unit of a chip's weights, is no difference.
    a, b = endpoint("weight_pattern", [1.0, 2.0, 4.0]), endpoint("weight_pattern", [64, 128, 256])
    assert distance(a, b) == pytest.approx(0)
    opposite = endpoint("weight_pattern", [-1.0, -2.0, -4.0])
    assert distance(a, opposite) == pytest.approx(2)
    with pytest.raises(InvalidInputError):
        distance(endpoint("rate_profile", [1.0]), endpoint("rate_profile", [1.0, 2.0]))
    with pytest.raises(InvalidInputError):
        distance(endpoint("rate", [1.0]), endpoint("cv", [1.0]))


def test_the_mean_over_runs():
    runs = [endpoint("rate_profile", [1.0, 3.0], left_out=1), endpoint("rate_profile", [3.0, 3.0])]
    mean = average(runs)
    assert mean.values.tolist() == [2, 3]
    assert mean.left_out == 1
    cancelling = [endpoint("weight_pattern", [1.0, -1.0]), endpoint("weight_pattern", [-1.0, 1.0])]
    assert average(cancelling).absence is Absence.CONSTANT
