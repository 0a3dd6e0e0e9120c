"""Streams of spikes: whatever the windows, the same spikes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.model import LIF, Network, PoissonDrive, Population, Stimulus, draw_stimuli
from lava_align.model.network import open_stimuli
from lava_align.recording import Spikes
from lava_align.spike_stream import SpikeStream


def network():
    return Network(
        dt=1e-3,
        duration=0.4,
        populations=(Population(name="p", size=5, neuron=LIF(tau_m=10e-3, tau_syn=5e-3)),),
        stimuli=(
            Stimulus(
                name="s", population="p", weight=1.0, drive=PoissonDrive(rate=200.0, period=0.03)
            ),
        ),
    )


@settings(deadline=None)
@given(stops=st.lists(st.integers(0, 450), max_size=8).map(sorted), seed=st.integers(0, 99))
def test_windows_join_to_the_whole(stops, seed):
    whole = draw_stimuli(network(), seed)["s"]
    assert len(whole) > 200
    for stream in (open_stimuli(network(), seed)["s"], SpikeStream.of(whole)):
        parts, before = [], 0
        for stop in [*stops, 450]:
            part = stream.until(stop)
            assert ((part.step >= before) & (part.step < max(stop, 1))).all()
            parts.append(part)
            before = stop
        assert Spikes.joined(parts) == whole


def test_a_stream_does_not_go_back():
    stream = open_stimuli(network(), 1)["s"]
    stream.until(100)
    with pytest.raises(ValueError, match="cannot go back to 99"):
        stream.until(99)


def test_no_spikes_are_a_stream_too():
    nothing = Spikes(step=np.zeros(0, int), neuron=np.zeros(0, int), size=3)
    assert SpikeStream.of(nothing).until(10) == nothing
