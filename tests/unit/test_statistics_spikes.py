import math
import warnings

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.recording import Spikes
from lava_align.statistics.spikes import (
    firing_rates,
    isi_cv,
    pairwise_correlation,
    sampled_neurons,
)

DT = 1e-3
N_STEPS = 4000


def poisson(rates, n_steps=N_STEPS, seed=0):
    rng = np.random.default_rng(seed)
    return Spikes.from_raster(rng.random((n_steps, len(rates))) < np.asarray(rates) * DT)


def elephant_trains(spikes, n_steps):
    neo = pytest.importorskip("neo", reason="neo is not installed")
    quantities = pytest.importorskip("quantities", reason="quantities is not installed")
    return [
        neo.SpikeTrain(
            spikes.step[spikes.neuron == i] * DT * quantities.s,
            t_start=0 * quantities.s,
            t_stop=n_steps * DT * quantities.s,
        )
        for i in range(spikes.size)
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:elephant")
def test_against_elephant():
    statistics = pytest.importorskip("elephant.statistics", reason="elephant is not installed")
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient
    from quantities import ms

    spikes = poisson([5, 20, 40, 80, 10, 30])
    trains = elephant_trains(spikes, N_STEPS)
    rates = [float(statistics.mean_firing_rate(t).rescale("Hz")) for t in trains]
    np.testing.assert_allclose(firing_rates(spikes, dt=DT, n_steps=N_STEPS), rates)
    cvs = [float(statistics.cv(statistics.isi(t))) for t in trains]
    np.testing.assert_allclose(isi_cv(spikes), cvs, rtol=1e-9)
    matrix = correlation_coefficient(BinnedSpikeTrain(trains, bin_size=5 * ms))
    expected = matrix[~np.eye(len(trains), dtype=bool)].mean()
    found = pairwise_correlation(spikes, dt=DT, n_steps=N_STEPS)
    assert found.mean == pytest.approx(expected, abs=1e-12)


def test_correlation_against_numpy_with_a_warm_up_and_a_broken_last_bin():
    rng = np.random.default_rng(2)
    common = rng.random((1003, 1)) < 0.05
    raster = common | (rng.random((1003, 8)) < 0.05)
    counts = raster[100:1000].reshape(180, 5, 8).sum(axis=1)
    expected = np.corrcoef(counts.T)[~np.eye(8, dtype=bool)].mean()
    found = pairwise_correlation(
        Spikes.from_raster(raster), dt=DT, n_steps=1003, start_step=100, bin_width=5e-3
    )
    assert expected > 0.3
    assert found.mean == pytest.approx(expected)


def test_rates_of_a_window():
    spikes = Spikes(step=[0, 500, 600, 999], neuron=[0, 0, 0, 2], size=3)
    np.testing.assert_allclose(firing_rates(spikes, dt=DT, n_steps=1000), [3, 0, 1])
    np.testing.assert_allclose(firing_rates(spikes, dt=DT, n_steps=1000, start_step=500), [4, 0, 2])


def test_a_clock_has_no_variation_and_two_intervals_have_a_known_one():
    clock = Spikes(step=np.arange(0, 1000, 10), neuron=np.zeros(100, dtype=int), size=1)
    assert isi_cv(clock) == pytest.approx([0], abs=1e-15)
    uneven = Spikes(step=[0, 1, 4], neuron=[0, 0, 0], size=1)
    assert isi_cv(uneven, min_spikes=3) == pytest.approx([0.5])


def test_a_poisson_train_has_a_variation_near_one():
    cv = isi_cv(poisson([20] * 20, n_steps=40_000))
    # A Bernoulli train has CV sqrt(1 - p); 800 intervals leave an error near 0.035 per neuron.
    assert cv.mean() == pytest.approx(math.sqrt(1 - 0.02), abs=0.03)


def test_too_few_spikes_give_nan_without_a_warning():
    steps = np.r_[np.arange(9), np.arange(0, 20, 2), 5, 5, 5]
    neurons = np.r_[np.zeros(9), np.ones(10), [3, 3, 3]].astype(int)
    spikes = Spikes(step=steps, neuron=neurons, size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cv = isi_cv(spikes)
        doubled = isi_cv(spikes, min_spikes=3)
        empty = isi_cv(Spikes(step=[], neuron=[], size=2))
    assert np.isnan(cv).tolist() == [True, False, True, True]
    assert math.isnan(doubled[3])
    assert np.isnan(empty).all()


def test_the_interval_across_the_warm_up_is_not_counted():
    spikes = Spikes(step=[0, 100, 110, 120, 130], neuron=[0] * 5, size=1)
    assert isi_cv(spikes, start_step=100, min_spikes=4) == pytest.approx([0], abs=1e-15)


def test_silent_and_constant_neurons_are_counted_apart():
    raster = np.zeros((100, 5), dtype=bool)
    raster[::5, 0] = True
    raster[:50:5, 1] = True
    raster[50::5, 2] = True
    raster[:50:10, 3] = True
    found = pairwise_correlation(Spikes.from_raster(raster), dt=DT, n_steps=100)
    assert (found.n_used, found.n_silent, found.n_constant) == (3, 1, 1)
    counts = raster.reshape(20, 5, 5).sum(axis=1)[:, 1:4]
    expected = np.corrcoef(counts.T)[~np.eye(3, dtype=bool)].mean()
    assert found.mean == pytest.approx(expected)


def test_no_pair_gives_nan():
    alone = pairwise_correlation(poisson([20]), dt=DT, n_steps=N_STEPS)
    silent = pairwise_correlation(Spikes(step=[], neuron=[], size=4), dt=DT, n_steps=N_STEPS)
    assert math.isnan(alone.mean)
    assert math.isnan(silent.mean)
    assert silent.n_silent == 4


def test_equal_trains_correlate_fully():
    train = np.random.default_rng(3).random((1000, 1)) < 0.1
    found = pairwise_correlation(
        Spikes.from_raster(np.repeat(train, 6, axis=1)), dt=DT, n_steps=1000
    )
    assert found.mean == pytest.approx(1)


def test_the_sample_is_fixed_and_bounded():
    first, second = sampled_neurons(500, 100), sampled_neurons(500, 100)
    assert first.tolist() == second.tolist()
    assert len(set(first.tolist())) == 100
    assert first.max() < 500
    assert sampled_neurons(30, 100).tolist() == list(range(30))
    found = pairwise_correlation(poisson([50] * 150, n_steps=500), dt=DT, n_steps=500)
    assert found.n_used + found.n_silent + found.n_constant == 100


def test_a_million_spikes_on_a_long_grid():
    rng = np.random.default_rng(4)
    size, n_steps = 200, 1_000_000
    spikes = Spikes(
        step=rng.integers(0, n_steps, 1_000_000), neuron=rng.integers(0, size, 1_000_000), size=size
    )
    assert isi_cv(spikes).mean() == pytest.approx(1, abs=0.01)
    found = pairwise_correlation(spikes, dt=DT, n_steps=n_steps)
    # 2e5 bins and 4950 pairs leave a standard error of about 1 / sqrt(2e5 * 4950) = 3.2e-5.
    assert found.mean == pytest.approx(0, abs=1.3e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: firing_rates(s, dt=0.0, n_steps=10),
        lambda s: firing_rates(s, dt=DT, n_steps=10, start_step=10),
        lambda s: isi_cv(s, min_spikes=2),
        lambda s: pairwise_correlation(s, dt=DT, n_steps=9),
        lambda s: pairwise_correlation(s, dt=DT, n_steps=100, bin_width=1e-4),
        lambda s: pairwise_correlation(s, dt=DT, n_steps=100, max_neurons=1),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    with pytest.raises(InvalidInputError):
        call(Spikes(step=[1], neuron=[0], size=2))
