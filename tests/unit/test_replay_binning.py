"""Spikes on a grid: what is asked for, what is refused, what the notes say."""

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.formats.spike_files import SpikeFile, SpikeTimes
from lava_align.recording import Spikes
from lava_align.replay import bin_spikes


def timed(times, neuron=None, size=1, **span) -> SpikeTimes:
    neuron = np.zeros(len(times)) if neuron is None else neuron
    return SpikeTimes(times=times, neuron=neuron, size=size, **span)


def file(dt=None, n_steps=None, **populations) -> SpikeFile:
    return SpikeFile(path="f", populations=populations, dt=dt, n_steps=n_steps)


def test_collisions_and_silent_neurons_are_told() -> None:
    found = bin_spikes(file(a=timed([0.0101, 0.0109, 0.02], size=3)), ["a"], dt=1e-3)
    np.testing.assert_array_equal(found.spikes["a"].step, [10, 20])
    assert found.shared == {"a": 1}
    assert "1 of 3 spikes share a step" in found.notes[0]
    assert found.notes[1] == "a: 2 of 3 neurons have no spikes"


def test_the_time_step_is_asked_for_and_never_guessed() -> None:
    with pytest.raises(InvalidInputError, match="does not say the time step"):
        bin_spikes(file(a=timed([0.1])), ["a"])
    with pytest.raises(InvalidInputError, match=r"dt: 2 ms; 1 ms, the grid of f"):
        bin_spikes(file(dt=1e-3, a=timed([0.1])), ["a"], dt=2e-3)
    assert bin_spikes(file(dt=1e-3, a=timed([0.1])), ["a"]).dt == 1e-3


def test_broken_times_of_all_populations_are_named_at_once() -> None:
    broken = file(a=timed([np.nan, 0.1]), b=timed([-0.5, 0.1]), c=timed([np.inf]))
    with pytest.raises(InvalidInputError) as caught:
        bin_spikes(broken, ["a", "b", "c"], dt=1e-3)
    assert [p.where for p in caught.value.problems] == ["f:a", "f:b", "f:c"]
    assert "1 spikes before 0 s, the first at -0.5 s" in str(caught.value)


def test_unknown_populations_are_named_with_those_there_are() -> None:
    with pytest.raises(InvalidInputError) as caught:
        bin_spikes(file(a=timed([0.1])), ["b", "c"], dt=1e-3)
    assert [p.value for p in caught.value.problems] == ["no population 'b'", "no population 'c'"]
    assert caught.value.problems[0].allowed.startswith("one of: a")


def test_a_start_makes_negative_times_legitimate_and_drops_earlier_ones() -> None:
    spikes = file(a=timed([-0.5, -0.1, 0.1]))
    found = bin_spikes(spikes, ["a"], dt=1e-3, start=-0.2)
    np.testing.assert_array_equal(found.spikes["a"].step, [100, 300])
    assert found.notes == ("a: 1 spikes before the start are left out",)


def test_a_trial_that_begins_before_0_begins_with_step_0() -> None:
    found = bin_spikes(file(a=timed([-0.9, 0.5], start=-1.0, stop=1.0)), ["a"], dt=1e-3)
    np.testing.assert_array_equal(found.spikes["a"].step, [100, 1500])
    assert found.n_steps == 2000


def test_different_durations_go_to_the_longest_and_are_told() -> None:
    spikes = file(a=timed([0.1], start=0.0, stop=1.0), b=timed([0.2], start=0.0, stop=3.0))
    found = bin_spikes(spikes, ["a", "b"], dt=1e-3)
    assert found.n_steps == 3000
    assert "a 0 to 1 s, b 0 to 3 s" in found.notes[0]


def test_spikes_after_the_stated_end_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="1 spikes after 1 s"):
        bin_spikes(file(a=timed([0.1, 2.0], start=0.0, stop=1.0)), ["a"], dt=1e-3)


def test_a_grid_of_its_own_is_cut_and_shifted() -> None:
    steps = Spikes(step=np.array([5, 50, 95]), neuron=np.array([0, 0, 0]), size=1)
    found = bin_spikes(file(dt=1e-3, n_steps=100, a=steps), ["a"], start=10e-3, n_steps=60)
    np.testing.assert_array_equal(found.spikes["a"].step, [40])
    assert len(found.notes) == 2
    assert bin_spikes(file(dt=1e-3, n_steps=100, a=steps), ["a"], start=10e-3).n_steps == 90


@pytest.mark.parametrize("dt", [0.0, -1e-3, np.nan, np.inf])
def test_a_time_step_that_is_none_is_refused(dt) -> None:
    with pytest.raises(InvalidInputError, match="a positive, finite time"):
        bin_spikes(file(a=timed([0.1])), ["a"], dt=dt)


def test_nothing_to_replay_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="0 steps"):
        bin_spikes(file(a=timed([])), ["a"], dt=1e-3)
    with pytest.raises(InvalidInputError, match="steps: 0"):
        bin_spikes(file(a=timed([0.1])), ["a"], dt=1e-3, n_steps=0)


@pytest.mark.parametrize("time", [1e9, 1e300])
def test_more_steps_than_can_be_counted_are_refused(time) -> None:
    with pytest.raises(InvalidInputError, match="steps of"):
        bin_spikes(file(a=timed([time])), ["a"], dt=1e-6)
    assert len(bin_spikes(file(a=timed([time])), ["a"], dt=1e-6, n_steps=9).spikes["a"]) == 0
