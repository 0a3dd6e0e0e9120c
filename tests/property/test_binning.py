"""Spikes in continuous time on a grid: nothing is moved, lost or counted twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lava_align.formats.spike_files import SpikeFile, SpikeTimes
from lava_align.replay import bin_spikes
from lava_align.replay.binning import grid_steps

DTS = st.sampled_from([1e-3, 2.5e-4, 1e-4, 5e-5, 3e-3, 1 / 3000, 0.0123])


@given(steps=arrays(np.int64, 20, elements=st.integers(0, 10**8)), dt=DTS, origin=st.integers(0, 9))
def test_a_time_on_the_grid_goes_to_its_own_step(steps, dt, origin) -> None:
    times = (steps + origin) * dt
    np.testing.assert_array_equal(grid_steps(times, origin * dt, dt), steps)


@given(times=arrays(np.float64, 20, elements=st.floats(0, 1000)), dt=DTS)
def test_a_step_begins_at_or_before_its_spikes_and_ends_after_them(times, dt) -> None:
    steps = grid_steps(times, 0.0, dt)
    assert (steps * dt <= times + 1.1e-6 * dt + 1e-12).all()
    assert (times < (steps + 1) * dt).all()


@st.composite
def files(draw):
    """One population, any order, silent neurons, several spikes in a step."""
    size = draw(st.integers(1, 5))
    spikes = draw(st.lists(st.tuples(st.floats(0, 0.05), st.integers(0, size - 1)), max_size=60))
    times, neuron = zip(*spikes, strict=True) if spikes else ((), ())
    population = SpikeTimes(times=times, neuron=neuron, size=size, start=0.0, stop=0.05)
    return SpikeFile(path="file", populations={"a": population})


@given(file=files(), n_steps=st.none() | st.integers(1, 60))
def test_spikes_are_kept_merged_or_left_out_and_all_are_accounted_for(file, n_steps) -> None:
    found = bin_spikes(file, ["a"], dt=1e-3, n_steps=n_steps)
    given_, kept = file.populations["a"], found.spikes["a"]
    steps = grid_steps(given_.times, 0.0, 1e-3)
    late = int((steps >= found.n_steps).sum())
    assert len(kept) + found.shared["a"] + late == len(given_.times)
    expected = {(s, n) for s, n in zip(steps, given_.neuron, strict=True) if s < found.n_steps}
    assert set(zip(kept.step, kept.neuron, strict=True)) == expected
    assert len(expected) == len(kept)
    assert n_steps is not None or late == 0


@given(file=files(), order=st.randoms())
def test_the_order_in_the_file_does_not_matter(file, order) -> None:
    population = file.populations["a"]
    index = list(range(len(population.times)))
    order.shuffle(index)
    shuffled = SpikeTimes(
        times=population.times[index],
        neuron=population.neuron[index],
        size=population.size,
        start=0.0,
        stop=0.05,
    )
    other = SpikeFile(path="file", populations={"a": shuffled})
    assert bin_spikes(other, ["a"], dt=1e-3) == bin_spikes(file, ["a"], dt=1e-3)
