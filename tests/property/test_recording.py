"""Any recording survives its file."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lava_align.recording import Recording, Series, Spikes

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
N_STEPS = 20


@st.composite
def spikes(draw):
    size = draw(st.integers(1, 6))
    cells = draw(st.sets(st.tuples(st.integers(0, N_STEPS - 1), st.integers(0, size - 1))))
    order = draw(st.permutations(sorted(cells)))
    step, neuron = [c[0] for c in order], [c[1] for c in order]
    return Spikes(step=step, neuron=neuron, size=size)


@st.composite
def weights(draw):
    steps = sorted(draw(st.sets(st.integers(0, N_STEPS), max_size=4)))
    shape = (len(steps), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dtype = draw(st.sampled_from([np.int8, np.int32, np.float32, np.float64]))
    finite = {"allow_nan": False, "allow_infinity": False}
    elements = finite if np.issubdtype(dtype, np.floating) else {}
    return Series(step=steps, values=draw(arrays(dtype, shape, elements=elements)))


recordings = st.builds(
    Recording,
    backend=st.text(),
    dt=st.floats(1e-6, 1.0),
    n_steps=st.just(N_STEPS),
    spikes=st.dictionaries(names, spikes(), max_size=3),
    weights=st.dictionaries(names, weights(), max_size=3),
    stimuli=st.dictionaries(names, spikes(), max_size=2),
    not_probed=st.lists(names, max_size=3).map(tuple),
    provenance=st.dictionaries(st.text(), st.integers() | st.text() | st.floats(allow_nan=False)),
)


@settings(max_examples=60, deadline=None)
@given(recordings)
def test_a_file_gives_back_an_equal_recording(recording):
    with tempfile.TemporaryDirectory() as folder:
        loaded = Recording.load(recording.save(Path(folder) / "x.rec.h5"))
    assert loaded == recording
    assert loaded.digest() == recording.digest()
    for name, series in recording.weights.items():
        assert loaded.weights[name].values.dtype == series.values.dtype


@given(spikes())
def test_spikes_are_sorted_and_a_raster_holds_them_all(train):
    assert (np.diff(train.step * train.size + train.neuron) > 0).all()
    assert Spikes.from_raster(train.raster(N_STEPS)) == train
    assert train.counts().sum() == len(train)
