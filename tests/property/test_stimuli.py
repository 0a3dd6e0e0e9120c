"""Stimuli: what their descriptions promise, over seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.model import (
    LIF,
    ImageDrive,
    MixedDrive,
    Network,
    PoissonDrive,
    Population,
    RecordedDrive,
    Stimulus,
    draw_stimuli,
)

DT = 1e-3
seeds = st.integers(0, 2**64)


def network(*drives, size=10, duration=1.0):
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3)
    return Network(
        dt=DT,
        duration=duration,
        populations=(Population(name="p", size=size, neuron=neuron),),
        stimuli=tuple(
            Stimulus(name=f"s{i}", population="p", weight=1.0, drive=drive)
            for i, drive in enumerate(drives)
        ),
    )


def raster(drive, seed, size=10, n_steps=1000):
    return drive.draw(size, n_steps, DT, np.random.default_rng(seed)).raster(n_steps)


def within(counts, n, p, sigmas=5.0):
    """Whether binomial counts of n trials are within so many standard deviations."""
    return abs(counts - n * p) <= sigmas * np.sqrt(n * p * (1 - p)) + 1e-9


poisson = st.builds(
    PoissonDrive,
    rate=st.floats(0.0, 1000.0),
    active_fraction=st.floats(0.05, 1.0),
    period=st.floats(DT, 0.5),
    correlation=st.floats(0.0, 1.0),
)
images = st.builds(
    lambda seed, rate: ImageDrive(
        images=np.random.default_rng(seed).random((5, 10)), max_rate=rate
    ),
    seeds,
    st.floats(0.0, 1000.0),
)
mixed = st.lists(poisson | images, min_size=1, max_size=3).map(
    lambda parts: MixedDrive(parts=tuple(parts), shares=tuple(1.0 + i for i in range(len(parts))))
)


@settings(max_examples=40, deadline=None)
@given(poisson | images | mixed, seeds)
def test_at_most_one_spike_per_neuron_and_step_and_the_same_for_a_seed(drive, seed):
    assert list(drive.problems("here", 10, DT)) == []
    first, second = (drive.draw(10, 300, DT, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    cells = first.step * 10 + first.neuron
    assert len(np.unique(cells)) == len(cells)
    if len(first):
        assert first.step.min() >= 0
        assert first.step.max() < 300


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 900.0), st.sampled_from([0.0, 0.3, 1.0]), seeds)
def test_every_driven_neuron_has_the_rate_asked_for(rate, correlation, seed):
    drive = PoissonDrive(rate=rate, correlation=correlation)
    counts = raster(drive, seed, n_steps=4000).sum(0)
    # 25 examples of 10 neurons: six standard deviations will not be reached by chance.
    assert all(within(count, 4000, rate * DT, sigmas=6.0) for count in counts)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 1.0), st.integers(1, 50), seeds)
def test_a_fresh_fraction_is_driven_in_every_period(fraction, steps, seed):
    drive = PoissonDrive(rate=1 / DT, active_fraction=fraction, period=steps * DT)
    drawn = raster(drive, seed, size=20, n_steps=200)
    for start in range(0, 200, steps):
        segment = drawn[start : start + steps]
        # At a rate of 1/dt a driven neuron fires in every step of its segment.
        assert (segment == segment[0]).all()
        assert segment[0].sum() == max(1, round(fraction * 20))


def test_the_driven_neurons_change_and_all_get_their_turn():
    drive = PoissonDrive(rate=1 / DT, active_fraction=0.2, period=0.1)
    segments = raster(drive, 3, size=20, n_steps=20000)[::100]
    assert (segments[1:] != segments[:-1]).any(axis=1).mean() > 0.95
    assert all(within(count, 200, 0.2, sigmas=5.0) for count in segments.sum(0))


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("rate", [20.0, 200.0])
def test_the_pairwise_correlation_is_the_one_asked_for(correlation, rate):
    n_steps, p = 100_000, rate * DT
    drive = PoissonDrive(rate=rate, correlation=correlation, period=n_steps * DT)
    drawn = raster(drive, 5, size=6, n_steps=n_steps)
    measured = np.corrcoef(drawn.T)[np.triu_indices(6, 1)].mean()
    # P(neither fires) = (1-q)(1-r)^2 with q = c p in common and r = (p-q)/(1-q) alone, hence:
    theory = correlation * (1 - p) / (1 - correlation * p)
    assert measured == pytest.approx(theory, abs=0.02)
    assert theory == pytest.approx(correlation, abs=p * correlation + 1e-12)


def test_neurons_that_are_not_driven_share_nothing():
    drive = PoissonDrive(rate=200.0, active_fraction=0.5, correlation=1.0, period=1.0)
    drawn = raster(drive, 2, size=10)
    active = drawn.any(0)
    assert active.sum() == 5
    assert (drawn[:, active] == drawn[:, active][:, :1]).all()


def test_images_drive_in_proportion_to_their_pixels():
    pixels = np.linspace(0.0, 1.0, 10)
    drive = ImageDrive(images=pixels[None], max_rate=400.0)
    counts = raster(drive, 1, n_steps=20_000).sum(0)
    assert all(within(c, 20_000, 0.4 * p, 5.0) for c, p in zip(counts, pixels, strict=True))


def test_a_mixture_keeps_its_shares():
    always, never = PoissonDrive(rate=1 / DT), PoissonDrive(rate=0.0)
    drive = MixedDrive(parts=(always, never), shares=(1.0, 3.0), period=0.01)
    segments = raster(drive, 1, n_steps=20_000)[::10, 0]
    assert within(segments.sum(), 2000, 0.25)


@settings(max_examples=25, deadline=None)
@given(seeds, st.lists(poisson | images, min_size=1, max_size=3), poisson)
def test_a_stimulus_added_at_the_end_leaves_the_others_alone(seed, drives, added):
    before = draw_stimuli(network(*drives, duration=0.2), seed)
    after = draw_stimuli(network(*drives, added, duration=0.2), seed)
    assert all(after[name] == spikes for name, spikes in before.items())
    assert len(after) == len(before) + 1


@settings(max_examples=25, deadline=None)
@given(seeds, poisson, st.integers(1, 10))
def test_a_longer_run_begins_with_whole_segments_of_the_shorter_one(seed, drive, segments):
    steps = segments * max(1, round(drive.period / DT))
    short = raster(drive, seed, n_steps=steps)
    assert (raster(drive, seed, n_steps=steps + 7)[:steps] == short).all()


def test_stimuli_of_one_kind_differ_from_each_other():
    drawn = draw_stimuli(network(PoissonDrive(rate=200.0), PoissonDrive(rate=200.0)), 1)
    assert drawn["s0"] != drawn["s1"]


def test_seeds_differ():
    drives = network(PoissonDrive(rate=200.0))
    assert draw_stimuli(drives, 1)["s0"] != draw_stimuli(drives, 2)["s0"]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9)), unique=True), seeds)
def test_recorded_spikes_come_back_on_the_grid(cells, seed):
    cells = sorted(cells)
    times, neurons = np.array([c[0] for c in cells]) * DT, np.array([c[1] for c in cells])
    drive = RecordedDrive(times=times, neurons=neurons.astype(int))
    assert list(drive.problems("here", 10, DT)) == []
    spikes = drive.draw(10, 300, DT, np.random.default_rng(seed))
    assert list(zip(spikes.step, spikes.neuron, strict=True)) == [c for c in cells if c[0] < 300]
