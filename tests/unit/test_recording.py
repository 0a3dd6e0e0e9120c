"""Recordings: types that do not wrap around, files that are what they were."""

import json

import h5py
import numpy as np
import pytest

from lava_align.errors import IntegrityError, InvalidInputError
from lava_align.recording import Recording, Series, Spikes


def recording(**changes):
    values = {
        "backend": "brian2",
        "dt": 1e-3,
        "n_steps": 10,
        "spikes": {
            "lower": Spikes(step=[3, 1, 1], neuron=[0, 1, 0], size=2),
            "silent": Spikes(step=[], neuron=[], size=3),
        },
        "weights": {
            "B": Series(step=[0, 10], values=np.arange(12).reshape(2, 2, 3)),
            "C": Series(step=[10], values=np.full((1, 2, 3), 0.5)),
        },
        "states": {"lower.v": Series(step=np.arange(10), values=np.zeros((10, 2)))},
        "stimuli": {"input": Spikes(step=[0], neuron=[1], size=2)},
        "not_probed": ("upper",),
        "provenance": {"seed": 1, "version": "1.2", "steps": [1, 2], "none": None},
    }
    return Recording(**{**values, **changes})


def refusal(path, kind=InvalidInputError):
    with pytest.raises(kind) as caught:
        Recording.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def changed(tmp_path, change):
    """A saved recording, changed by ``change(file)`` and without its digest."""
    path = recording().save(tmp_path / "x.rec.h5")
    with h5py.File(path, "r+") as file:
        del file.attrs["digest"]
        change(file)
    return path


def header(file, **changes):
    content = json.loads(file.attrs["header"])
    file.attrs["header"] = json.dumps({**content, **changes})


def put(file, name, values):
    del file[name]
    file[name] = values


def test_spikes_are_sorted_by_step_then_neuron():
    spikes = Spikes(step=[3, 1, 1, 0], neuron=[0, 1, 0, 2], size=3)
    assert spikes.step.tolist() == [0, 1, 1, 3]
    assert spikes.neuron.tolist() == [2, 0, 1, 0]
    assert (spikes.step.dtype, spikes.neuron.dtype) == (np.int64, np.int32)
    assert spikes.counts().tolist() == [2, 1, 1]
    assert len(spikes) == 4


def test_order_of_spikes_does_not_matter():
    assert Spikes(step=[1, 0], neuron=[0, 1], size=2) == Spikes(step=[0, 1], neuron=[1, 0], size=2)


def test_rasters_and_spikes_are_the_same():
    raster = np.array([[True, False], [False, False], [True, True]])
    spikes = Spikes.from_raster(raster)
    assert spikes.size == 2
    assert (spikes.raster(3) == raster).all()


@pytest.mark.parametrize(
    "arrays",
    [
        {"step": [0, 1], "neuron": [0]},
        {"step": [[0]], "neuron": [[0]]},
        {"step": [0.5], "neuron": [0]},
        {"step": [0], "neuron": [1.0]},
        {"step": [0], "neuron": [2**31]},
        {"step": ["0"], "neuron": [0]},
    ],
)
def test_spikes_do_not_convert_silently(arrays):
    with pytest.raises(ValueError, match=r"pair up|whole numbers|fit int32"):
        Spikes(**arrays, size=2)


@pytest.mark.parametrize(
    ("step", "values"),
    [
        ([0], np.array([[2**31]])),
        ([0, 1], np.zeros((1, 2))),
        ([0.5], np.zeros((1, 2))),
        ([0], np.array([["a"]])),
        ([0], np.array([[1j]])),
    ],
)
def test_series_do_not_convert_silently(step, values):
    with pytest.raises(ValueError, match=r"one array per step|whole numbers|fit int32|not numbers"):
        Series(step=step, values=values)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(np.int16, np.int32), (np.uint8, np.int32), (np.float32, np.float64), (np.int64, np.int32)],
)
def test_series_have_two_types(given, kept):
    assert Series(step=[0], values=np.zeros((1, 2), dtype=given)).values.dtype == kept


def test_a_file_gives_back_what_was_saved(tmp_path):
    saved = recording()
    loaded = Recording.load(saved.save(tmp_path / "new" / "x.rec.h5"))
    assert loaded == saved
    assert loaded.weights["B"].values.dtype == np.int32
    assert loaded.weights["C"].values.dtype == np.float64
    assert loaded.provenance == saved.provenance
    assert len(loaded.spikes["silent"]) == 0
    assert loaded.not_probed == ("upper",)


def test_numpy_numbers_in_the_provenance_are_saved(tmp_path):
    provenance = {"seed": np.int64(3), "wall": np.float64(0.5), "list": np.arange(2)}
    path = recording(provenance=provenance, n_steps=np.int64(10)).save(tmp_path / "x.rec.h5")
    with h5py.File(path) as file:
        stored = json.loads(file.attrs["header"])["provenance"]
    assert stored == {"seed": 3, "wall": 0.5, "list": [0, 1]}


def test_saving_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "x.rec.h5"
    recording().save(path)
    recording(backend="lava-fixed_pt").save(path)
    assert Recording.load(path).backend == "lava-fixed_pt"
    assert [p.name for p in tmp_path.iterdir()] == ["x.rec.h5"]


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = recording().save(tmp_path / "x.rec.h5")
    with pytest.raises(TypeError, match="provenance holds a set"):
        recording(provenance={"bad": {1}}).save(path)
    assert Recording.load(path) == recording()
    assert [p.name for p in tmp_path.iterdir()] == ["x.rec.h5"]


def test_a_file_that_is_not_there_a_folder_or_something_else(tmp_path):
    assert "no such file" in refusal(tmp_path / "nope.h5")
    assert "is a folder" in refusal(tmp_path)
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    assert "unreadable or truncated" in refusal(path)
    path.write_bytes(b"")
    assert "unreadable or truncated" in refusal(path)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    whole = recording().save(tmp_path / "x.rec.h5").read_bytes()
    path = tmp_path / "cut.rec.h5"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(path)


def test_a_changed_byte_is_refused_or_of_no_consequence(tmp_path):
    whole = recording().save(tmp_path / "x.rec.h5").read_bytes()
    path = tmp_path / "changed.rec.h5"
    refused = 0
    for position in range(0, len(whole), max(1, len(whole) // 200)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            loaded = Recording.load(path)
        except InvalidInputError:
            refused += 1
        else:
            assert loaded == recording()
    assert refused > 0


def test_a_changed_value_is_refused(tmp_path):
    path = recording().save(tmp_path / "x.rec.h5")
    with h5py.File(path, "r+") as file:
        file["spikes/lower/neuron"][0] = 1 - file["spikes/lower/neuron"][0]
        file["spikes/lower/step"][0] = 0
    assert "digest" in refusal(path, IntegrityError)


def test_another_tool_need_not_write_a_digest(tmp_path):
    path = changed(tmp_path, lambda file: None)
    assert Recording.load(path) == recording()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: header(f, schema="other/9"), "schema 'other/9'"),
        (lambda f: header(f, dt=0), "dt: 0.0 s"),
        (lambda f: header(f, dt=float("nan")), "dt: nan s"),
        (lambda f: header(f, dt=float("inf")), "dt: inf s"),
        (lambda f: header(f, n_steps=0), "n_steps: 0"),
        (lambda f: header(f, n_steps=3), "step 3 is out of range; 0..2"),
        (lambda f: header(f, n_steps="x"), "unreadable"),
        (lambda f: f.attrs.__setitem__("header", "{"), "unreadable"),
        (lambda f: f.attrs.__setitem__("header", "[]"), "unreadable"),
        (lambda f: f.attrs.__delitem__("header"), "unreadable"),
        (lambda f: f.__delitem__("stimuli"), "unreadable"),
        (lambda f: f.__delitem__("spikes/lower/neuron"), "unreadable"),
        (lambda f: put(f, "spikes/lower/neuron", [0, 1, 2]), "neuron 2 is out of range; 0..1"),
        (lambda f: put(f, "spikes/lower/neuron", [-1, 0, 1]), "neuron -1 is out of range"),
        (lambda f: put(f, "spikes/lower/step", [-1, 0, 1]), "step -1 is out of range; 0..9"),
        (lambda f: put(f, "spikes/lower/step", [0, 1]), "pair up"),
        (lambda f: put(f, "spikes/lower/step", [0.0, 1.0, 2.0]), "whole numbers"),
        (lambda f: put(f, "spikes/lower/neuron", [0, 0, 0]), "neuron 0 spikes twice in step 1"),
        (lambda f: f["spikes/lower"].attrs.__setitem__("size", 0), "size 0"),
        (lambda f: put(f, "weights/C/values", np.full((1, 2, 3), np.nan)), "NaN or infinite"),
        (lambda f: put(f, "weights/C/values", np.full((1, 2), 1.0)), "(n, n_post, n_pre)"),
        (lambda f: put(f, "weights/B/values", np.zeros((1, 2, 3))), "one array per step"),
        (lambda f: put(f, "weights/B/step", [10, 0]), "ascending"),
        (lambda f: put(f, "weights/B/step", [0, 11]), "within 0..10"),
        (lambda f: put(f, "states/lower.v/values", np.full((10, 2), np.inf)), "NaN or infinite"),
    ],
)
def test_what_contradicts_itself_is_named(tmp_path, change, words):
    assert words in refusal(changed(tmp_path, change))


def test_all_contradictions_are_named_at_once(tmp_path):
    def change(file):
        header(file, dt=-1)
        put(file, "spikes/lower/neuron", [0, 1, 7])
        put(file, "weights/C/values", np.full((1, 2, 3), np.nan))

    found = refusal(changed(tmp_path, change))
    assert all(words in found for words in (":dt", "spikes/lower: neuron 7", "weights/C: NaN"))


def valued(**changes):
    spikes = {"step": [4, 1, 1], "neuron": [0, 2, 1], "size": 3, "value": [0.5, -1.5, 2.0]}
    return Spikes(**{**spikes, **changes})


def test_values_of_spikes_are_sorted_with_them_and_count_in_equality():
    spikes = valued()
    assert spikes.neuron.tolist() == [1, 2, 0]
    assert spikes.value.tolist() == [2.0, -1.5, 0.5]
    assert spikes.value.dtype == np.float64
    assert not spikes.value.flags.writeable
    assert spikes != valued(value=[0.5, -1.5, 2.5])
    assert spikes != valued(value=None)
    assert valued(value=[1, 2, 3]).value.dtype == np.int32


@pytest.mark.parametrize("value", [[1.0], ["a", "b", "c"], [2**40, 0, 0]])
def test_values_that_do_not_fit_the_spikes_are_refused(value):
    with pytest.raises(ValueError, match=r"pair up|not numbers|do not fit"):
        valued(value=value)


def test_parts_with_values_join_and_do_not_mix_with_others():
    later = valued(step=[7, 8, 9])
    joined = Spikes.joined([valued(), later])
    assert joined.value.tolist() == [2.0, -1.5, 0.5, 0.5, -1.5, 2.0]
    with pytest.raises(ValueError, match="others do not"):
        Spikes.joined([valued(), valued(value=None)])


@pytest.mark.parametrize("value", [[0.5, -1.5, 2.0], [3, -1, 2]])
def test_values_survive_the_file(tmp_path, value):
    recording = Recording(
        backend="test",
        dt=1e-3,
        n_steps=10,
        spikes={"a.plus": valued(value=value), "a": valued(value=None)},
    )
    path = recording.save(tmp_path / "x.rec.h5")
    loaded = Recording.load(path)
    assert loaded == recording
    assert loaded.spikes["a"].value is None
    with h5py.File(path) as file:
        assert file["spikes/a.plus/value"].dtype == recording.spikes["a.plus"].value.dtype


def test_a_value_that_is_no_number_is_found_in_the_file(tmp_path):
    spikes = valued(value=[0.5, np.nan, 2.0])
    path = Recording(backend="test", dt=1e-3, n_steps=10, spikes={"a": spikes}).save(
        tmp_path / "x.rec.h5"
    )
    with pytest.raises(InvalidInputError, match="NaN"):
        Recording.load(path)


def test_spikes_without_values_have_the_digest_they_had_before_there_were_values():
    spikes = Spikes(step=[1, 2], neuron=[0, 1], size=2)
    assert spikes.digest() == ("2010937f0f2710923648b637e4062ecd00cd5681c9c9c4d8d00b69dc5b297da8")
