"""Long runs: streamed, interrupted and resumed, they come to the same integers."""

import os
import signal
import threading

import numpy as np
import pytest
from small_program import N_STEPS, PROBES, drive, program

from lava_align import long_run
from lava_align.backends.base import Probes
from lava_align.backends.native import NativeBackend
from lava_align.errors import InterruptedRunError, InvalidInputError
from lava_align.long_run import LongRun, run_to_file
from lava_align.recording import Recording
from lava_align.recording_file import file_digest, read_overview
from lava_align.spike_stream import SpikeStream


def streams():
    return {name: SpikeStream.of(spikes) for name, spikes in drive().items()}


def a_run(**changes):
    return LongRun(
        **{"program": program(), "n_steps": N_STEPS, "probes": PROBES, "origin": {"seed": 7}}
        | changes
    )


def stop_at(step):
    def progress(done, _):
        if done >= step:
            raise KeyboardInterrupt

    return progress


def interrupted(path, step=60, run=None, **options):
    with pytest.raises(InterruptedRunError) as caught:
        run_to_file(run or a_run(), streams(), path, progress=stop_at(step), **options)
    return caught.value


def expected(backend=None):
    whole = (backend or NativeBackend()).run(program(), drive(), N_STEPS, PROBES)
    from dataclasses import replace

    return replace(whole, provenance={**whole.provenance, "seed": 7})


@pytest.mark.parametrize("segment_bytes", [0, 2000, 2**26])
def test_a_streamed_recording_is_the_one_held_in_memory(tmp_path, monkeypatch, segment_bytes):
    monkeypatch.setattr(long_run, "SEGMENT_BYTES", segment_bytes)
    path = run_to_file(a_run(), streams(), tmp_path / "x.rec.h5")
    assert Recording.load(path) == expected()
    assert [file.name for file in tmp_path.iterdir()] == ["x.rec.h5"]


@pytest.mark.parametrize("semantics", ["lava-0.10.0", "independent-rounding"])
@pytest.mark.parametrize("step", [1, 33, 60, 99])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, step, semantics):
    backend = NativeBackend(semantics=semantics, seed=5)
    run = a_run(backend=backend)
    path = tmp_path / "x.rec.h5"
    error = interrupted(path, step, run)
    assert "--resume" in str(error)
    part = Recording.load(path)
    assert part.provenance["partial"] is True
    assert step <= part.n_steps < N_STEPS
    whole = expected(backend)
    early = whole.spikes["upper"].step < part.n_steps
    np.testing.assert_array_equal(part.spikes["upper"].neuron, whole.spikes["upper"].neuron[early])
    run_to_file(run, streams(), path, resume=True)
    assert Recording.load(path) == whole
    assert [file.name for file in tmp_path.iterdir()] == ["x.rec.h5"]


def test_a_run_can_be_interrupted_again_and_again(tmp_path):
    path = tmp_path / "x.rec.h5"
    interrupted(path, 10)
    for step in (20, 40, 41, 120):
        interrupted(path, step, resume=True)
    run_to_file(a_run(), streams(), path, resume=True)
    assert Recording.load(path) == expected()


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path):
    path = tmp_path / "x.rec.h5"
    seen = []

    class Killed(BaseException):
        pass

    def kill(done, _):
        seen.append(done)
        if done > 70:
            raise Killed

    with pytest.raises(Killed):
        run_to_file(a_run(), streams(), path, checkpoint_every=0.0, progress=kill)
    assert not path.exists()
    steps = []
    run_to_file(a_run(), streams(), path, resume=True, progress=lambda done, _: steps.append(done))
    assert min(steps) > 50
    assert Recording.load(path) == expected()


def test_ctrl_c_stops_at_a_whole_stretch(tmp_path):
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    path = tmp_path / "x.rec.h5"
    seen = []

    def press(done, _):
        seen.append(done)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRunError):
        run_to_file(a_run(), streams(), path, progress=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert Recording.load(path).n_steps == seen[1]


def test_an_unfinished_run_is_not_thrown_away_unasked(tmp_path):
    path = tmp_path / "x.rec.h5"
    interrupted(path)
    with pytest.raises(InvalidInputError, match=r"a run at step \d+ of 150; --resume or --restart"):
        run_to_file(a_run(), streams(), path)
    run_to_file(a_run(), streams(), path, restart=True)
    assert Recording.load(path) == expected()


def test_only_the_same_run_is_resumed(tmp_path):
    path = tmp_path / "x.rec.h5"
    with pytest.raises(InvalidInputError, match="no unfinished run"):
        run_to_file(a_run(), streams(), path, resume=True)
    interrupted(path)
    other = a_run(
        n_steps=140,
        probes=Probes(),
        backend=NativeBackend(semantics="independent-rounding"),
        origin={"seed": 8},
    )
    with pytest.raises(InvalidInputError) as caught:
        run_to_file(other, streams(), path, resume=True)
    keys = [str(problem.where).rpartition(": ")[2] for problem in caught.value.problems]
    assert keys == ["n_steps", "semantics", "weight_steps", "states", "origin"]


@pytest.mark.parametrize("name", ["checkpoint.npz", "run.json", "segment-000000.rec.h5"])
def test_a_damaged_checkpoint_is_refused(tmp_path, name):
    path = tmp_path / "x.rec.h5"
    interrupted(path)
    file = tmp_path / "x.rec.h5.run" / name
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InvalidInputError, match=name.partition(".")[0]):
        run_to_file(a_run(), streams(), path, resume=True)


def test_threads_may_differ_when_a_run_goes_on(tmp_path):
    path = tmp_path / "x.rec.h5"
    interrupted(path)
    run_to_file(a_run(backend=NativeBackend(threads=2)), streams(), path, resume=True)
    assert Recording.load(path) == expected()


def test_the_digest_of_a_file_needs_no_recording(tmp_path):
    import h5py

    path = expected().save(tmp_path / "x.rec.h5")
    with h5py.File(path) as file:
        assert file_digest(file) == expected().digest()


def test_an_overview_says_what_the_recording_holds(tmp_path):
    whole = expected()
    found = read_overview(whole.save(tmp_path / "x.rec.h5"))
    assert (found.backend, found.dt, found.n_steps) == (whole.backend, whole.dt, whole.n_steps)
    assert found.spikes == {name: (s.size, len(s)) for name, s in whole.spikes.items()}
    np.testing.assert_array_equal(found.weights["B"], whole.weights["B"].values[-1])


def test_what_would_not_fit_into_memory_is_refused_with_the_figure(tmp_path, monkeypatch):
    monkeypatch.setattr("lava_align.memory.available_memory", lambda: 100)
    with pytest.raises(
        InvalidInputError, match=r"memory for the run: needs .* 100 bytes available"
    ):
        run_to_file(a_run(), streams(), tmp_path / "x.rec.h5")
    with pytest.raises(InvalidInputError, match="memory"):
        NativeBackend().run(program(), drive(), N_STEPS, PROBES)
