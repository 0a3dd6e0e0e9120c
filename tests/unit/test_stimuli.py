"""Drives: what is out of range is named."""

import numpy as np
import pytest

from lava_align.model import ImageDrive, MixedDrive, PoissonDrive, RecordedDrive

DT = 1e-3


def problems(drive, size=4):
    return [str(problem) for problem in drive.problems("s", size, DT)]


def recorded(times, neurons):
    return RecordedDrive(times=times, neurons=neurons)


@pytest.mark.parametrize(
    ("drive", "words"),
    [
        (PoissonDrive(rate=-1.0), "s.rate: -1.0 Hz; 0..1000 Hz"),
        (PoissonDrive(rate=float("nan")), "s.rate: nan Hz"),
        (PoissonDrive(rate=1.0, active_fraction=0.0), "s.active_fraction: 0.0; 0 < f <= 1"),
        (PoissonDrive(rate=1.0, active_fraction=float("nan")), "s.active_fraction: nan"),
        (PoissonDrive(rate=1.0, correlation=1.1), "s.correlation: 1.1; 0 <= c <= 1"),
        (PoissonDrive(rate=1.0, period=1e-4), "s.period: 100 us; a finite time >= dt (1 ms)"),
        (PoissonDrive(rate=1.0, period=float("inf")), "s.period: inf s"),
        (ImageDrive(images=np.ones((2, 3)), max_rate=1.0), "s.images: shape (2, 3); (n_images, 4)"),
        (ImageDrive(images=np.ones((0, 4)), max_rate=1.0), "s.images: shape (0, 4)"),
        (ImageDrive(images=np.full((1, 4), 1.5), max_rate=1.0), "values outside 0..1"),
        (ImageDrive(images=np.full((1, 4), np.nan), max_rate=1.0), "values outside 0..1"),
        (ImageDrive(images=np.ones((2, 4)), max_rate=2000.0), "s.max_rate: 2000.0 Hz"),
        (MixedDrive(parts=(), shares=()), "s.parts: none; at least one drive"),
        (MixedDrive(parts=(PoissonDrive(rate=1.0),), shares=(0.0,)), "one positive share"),
        (MixedDrive(parts=(PoissonDrive(rate=1.0),), shares=()), "one positive share per part"),
        (MixedDrive(parts=(PoissonDrive(rate=-1.0),), shares=(1.0,)), "s.parts[0].rate: -1.0 Hz"),
        (recorded([0.0, 1.0], [0]), "two one-dimensional arrays of equal length"),
        (recorded([-1e-3], [0]), "s.times: -0.001 s; finite seconds >= 0"),
        (recorded([float("nan")], [0]), "s.times: nan s"),
        (recorded([0.2, 0.1], [0, 1]), "s.times: not sorted (entry 1)"),
        (recorded([0.1], [4]), "s.neurons: index 4; 0..3"),
        (recorded([0.1], [-1]), "s.neurons: index -1; 0..3"),
        (
            recorded([0.1, 0.1001], [2, 2]),
            "s.times: neuron 2 has two spikes at 0.1 s; at most one per step of 1 ms",
        ),
        (recorded([1e300, 1e300], [2, 2]), "neuron 2 has two spikes"),
    ],
)
def test_each_fault_is_the_only_problem(drive, words):
    found = problems(drive)
    assert len(found) == 1
    assert words in found[0]


def test_a_doubled_spike_is_found_with_others_in_between():
    assert len(problems(recorded([0.1, 0.1, 0.1], [2, 1, 2]))) == 1
    assert problems(recorded([0.1, 0.1, 0.101], [2, 1, 2])) == []


def test_spikes_far_behind_the_end_are_not_used():
    drive = recorded([0.001, 1.0, 1e300], [0, 1, 2])
    assert problems(drive) == []
    spikes = drive.draw(4, 10, DT, np.random.default_rng(0))
    assert (spikes.step.tolist(), spikes.neuron.tolist()) == ([1], [0])


def test_no_recorded_spikes_are_no_problem():
    assert problems(recorded([], [])) == []
    assert len(recorded([], []).draw(4, 10, DT, np.random.default_rng(0))) == 0


def test_equality_of_drives_with_arrays_goes_by_value():
    assert recorded([0.1], [0]) == recorded(np.array([0.1]), np.array([0]))
    assert recorded([0.1], [0]) != recorded([0.1], [1])
