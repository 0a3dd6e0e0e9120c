import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.recording import Recording, Series, Spikes
from lava_align.validation import Margins, Outcome, Verdict, derive_margins, judge
from lava_align.validation.faults import shuffle_neurons, shuffle_spikes

DT, N_STEPS, SIZE, N_UPPER = 1e-3, 400, 5, 3
seeds = st.integers(0, 2**32 - 1)
quick = settings(deadline=None, max_examples=25)


def system(seed, n_runs=10):
    """Runs of one random system, dense enough for every endpoint to exist, and its weights."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.1, 0.4, SIZE)
    forward = rng.normal(size=(N_UPPER, SIZE))
    runs = []
    for _ in range(n_runs):
        weights = (forward.T + rng.normal(size=(SIZE, N_UPPER)))[None]
        runs.append(
            Recording(
                backend="synthetic",
                dt=DT,
                n_steps=N_STEPS,
                spikes={"lower": Spikes.from_raster(rng.random((N_STEPS, SIZE)) < probability)},
                weights={"feedback": Series(step=[N_STEPS], values=weights)},
            )
        )
    return runs, {"feedback": forward}


def renumbered(recording, order):
    """The same run with neuron ``order[i]`` called ``i``."""
    spikes, weights = recording.spikes["lower"], recording.weights["feedback"]
    new_name = np.argsort(order)
    moved = Spikes(step=spikes.step, neuron=new_name[spikes.neuron], size=SIZE)
    series = Series(step=weights.step, values=weights.values[:, order])
    return replace(recording, spikes={"lower": moved}, weights={"feedback": series})


def margin_values(margins):
    return {m.name: m.margin for m in margins.margins}


@quick
@given(seeds, st.integers(0, 9))
def test_a_reference_run_is_equivalent_to_itself(seed, index):
    runs, forward = system(seed)
    margins = derive_margins(runs, forward)
    verdict = judge(runs[index], runs[index], margins, forward, paired=True)
    assert verdict.outcome is Outcome.EQUIVALENT


@quick
@given(seeds)
def test_scalar_distances_are_symmetric(seed):
    (a, b, *_), forward = runs_and_forward = system(seed)
    margins = derive_margins(*runs_and_forward)
    there = judge(a, b, margins, forward, paired=True)
    back = judge(b, a, margins, forward, paired=True)
    for one, other in zip(there.rows, back.rows, strict=True):
        assert (one.candidate, one.reference) == (other.reference, other.candidate)
        # The rate profile is relative to whichever run is the reference.
        if one.kind != "rate_profile":
            assert one.distance == pytest.approx(other.distance, abs=1e-12)
            assert one.outcome is other.outcome


@quick
@given(seeds, st.floats(0.5, 4))
def test_another_clock_scales_the_margin_of_the_rate_alone(seed, factor):
    runs, forward = system(seed)
    faster = [replace(run, dt=DT / factor) for run in runs]
    plain = margin_values(derive_margins(runs, forward))
    scaled = margin_values(derive_margins(faster, forward))
    assert scaled["lower.rate"] == pytest.approx(plain["lower.rate"] * factor)
    for name in plain.keys() - {"lower.rate", "lower.correlation"}:
        assert scaled[name] == pytest.approx(plain[name])


@quick
@given(seeds, st.floats(1e-3, 1e3))
def test_the_unit_of_the_weights_does_not_matter(seed, factor):
    runs, forward = system(seed)
    margins = derive_margins(runs, forward)
    series = runs[0].weights["feedback"]
    other_unit = Series(step=series.step, values=series.values * factor)
    candidate = replace(runs[0], weights={"feedback": other_unit})
    verdict = judge(candidate, runs[0], margins, forward, paired=True)
    assert verdict.outcome is Outcome.EQUIVALENT


@quick
@given(seeds, seeds)
def test_renumbering_neurons_everywhere_changes_nothing(seed, shuffle):
    runs, forward = system(seed)
    order = np.random.default_rng(shuffle).permutation(SIZE)
    moved = [renumbered(run, order) for run in runs]
    moved_forward = {"feedback": forward["feedback"][:, order]}
    plain, again = derive_margins(runs, forward), derive_margins(moved, moved_forward)
    assert margin_values(again) == pytest.approx(margin_values(plain))
    before = judge(runs[0], runs[1], plain, forward, paired=True)
    after = judge(moved[0], moved[1], again, moved_forward, paired=True)
    for one, other in zip(before.rows, after.rows, strict=True):
        assert one.distance == pytest.approx(other.distance)


@quick
@given(seeds, seeds)
def test_the_order_of_the_reference_runs_does_not_matter(seed, shuffle):
    runs, forward = system(seed)
    order = np.random.default_rng(shuffle).permutation(len(runs))
    plain = margin_values(derive_margins(runs, forward))
    mixed = margin_values(derive_margins([runs[i] for i in order], forward))
    assert mixed == pytest.approx(plain)


@quick
@given(seeds)
def test_margins_lie_between_their_bounds(seed):
    runs, forward = system(seed)
    margins = derive_margins(runs, forward)
    rate = np.mean([len(run.spikes["lower"]) for run in runs]) / (SIZE * N_STEPS * DT)
    for margin in margins.margins:
        bounds = margins.settings.bounds(margin.kind)
        scale = rate if bounds.relative else 1.0
        assert bounds.floor * scale * (1 - 1e-9) <= margin.margin
        assert margin.margin <= bounds.cap * scale * (1 + 1e-9)


@quick
@given(seeds, st.integers(1, 12), st.booleans())
def test_stored_forms_come_back_equal(seed, n_runs, paired):
    runs, forward = system(seed, n_runs)
    margins = derive_margins(runs, forward)
    assert Margins.from_dict(json.loads(json.dumps(margins.to_dict()))) == margins
    verdict = judge(runs[0], runs[-1] if paired else runs, margins, forward, paired=paired)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict
    if n_runs < margins.settings.min_runs:
        assert verdict.outcome is Outcome.INCONCLUSIVE


@quick
@given(seeds, seeds)
def test_shuffles_keep_what_they_promise(seed, shuffle):
    (run, *_), _ = system(seed, 1)
    before = run.spikes["lower"]
    by_neuron = shuffle_neurons(run, "lower", shuffle).spikes["lower"]
    by_spike = shuffle_spikes(run, "lower", shuffle).spikes["lower"]
    np.testing.assert_array_equal(by_neuron.step, before.step)
    assert sorted(by_neuron.counts()) == sorted(before.counts())
    np.testing.assert_array_equal(by_spike.step, before.step)
    np.testing.assert_array_equal(by_spike.counts(), before.counts())
    # A raster holds one spike per neuron and step: none was lost to a collision.
    assert by_spike.raster(N_STEPS).sum() == len(before)
    assert by_spike != before
