"""Files of weights, spikes and images: read, or refused with one clear problem."""

import io

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.model.sources import load_images, load_spikes, load_weights


def refusal(load, *arguments):
    with pytest.raises(InvalidInputError) as caught:
        load(*arguments)
    return str(caught.value)


def npy(path, array):
    np.save(path, array)
    return path


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_weights_of_any_real_type_become_floats(tmp_path):
    for dtype in (np.float32, np.int8, np.uint16, bool, ">f8"):
        loaded = load_weights(npy(tmp_path / "w.npy", np.eye(2, 3, dtype=dtype)))
        assert loaded.dtype == np.float64
        assert (loaded == np.eye(2, 3)).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(3), "shape (3,)"),
        (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
        (np.array([[0.0, np.nan]]), "nan at (0, 1)"),
        (np.array([[0.0], [-np.inf]]), "-inf at (1, 0)"),
        (np.zeros((2, 2), dtype=complex), "not an array of real numbers"),
        (np.array([["a"]]), "not an array of real numbers"),
        (np.zeros((2, 2), dtype="datetime64[s]"), "not an array of real numbers"),
    ],
)
def test_what_is_no_weight_matrix_is_named(tmp_path, array, words):
    path = npy(tmp_path / "w.npy", array)
    found = refusal(load_weights, path)
    assert words in found
    assert str(path) in found


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "w.npy"
    np.save(path, np.array([object()]), allow_pickle=True)
    assert "unreadable or truncated" in refusal(load_weights, path)


@pytest.mark.parametrize("load", [load_weights, load_spikes, lambda p: load_images(None, p)])
def test_files_that_are_not_there_or_folders(tmp_path, load):
    assert "no such file" in refusal(load, tmp_path / "nope.npy")
    assert "is a folder" in refusal(load, tmp_path)
    (tmp_path / "empty.npy").write_bytes(b"")
    assert "unreadable or truncated" in refusal(load, tmp_path / "empty.npy")


def damaged(whole):
    """Every kind of truncation and many flipped bytes."""
    yield from (whole[:length] for length in range(0, len(whole), max(1, len(whole) // 50)))
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        yield whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :]


def test_a_damaged_npy_is_refused_or_still_a_matrix(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(12.0).reshape(3, 4))
    path, refused = tmp_path / "w.npy", 0
    for content in damaged(buffer.getvalue()):
        path.write_bytes(content)
        try:
            assert load_weights(path).ndim == 2
        except InvalidInputError:
            refused += 1
    assert refused > 50


def test_a_damaged_npz_is_refused_or_of_no_consequence(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, times=np.arange(5) / 10, neurons=np.arange(5))
    path, refused = tmp_path / "s.npz", 0
    for content in damaged(buffer.getvalue()):
        path.write_bytes(content)
        try:
            times, neurons = load_spikes(path)
        except InvalidInputError:
            refused += 1
        else:
            assert len(times) == len(neurons) == 5
    assert refused > 50


def test_spikes_from_npz_and_csv_are_the_same(tmp_path):
    path = npz(tmp_path / "s.npz", times=[0.1, 0.2], neurons=np.array([3, 1], dtype=np.uint8))
    csv = tmp_path / "s.csv"
    for text in (
        "time,neuron\n0.1,3\n0.2,1\n",
        "0.1, 3\r\n\r\n0.2 ,1",
        "\ufefft,n\n0.1,3\n0.2,1.0",
    ):
        csv.write_text(text, encoding="utf-8")
        for one, other in zip(load_spikes(path), load_spikes(csv), strict=True):
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype


def test_an_empty_csv_holds_no_spikes(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("time,neuron\n")
    times, neurons = load_spikes(path)
    assert times.shape == neurons.shape == (0,)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"times": [0.1]}, "its arrays are: times"),
        ({}, "its arrays are: none"),
        ({"times": ["a"], "neurons": [1]}, "not an array of real numbers"),
        ({"times": [0.1], "neurons": [1.5]}, "1.5; indices"),
        ({"times": [0.1], "neurons": [np.nan]}, "nan; indices"),
        ({"times": [0.1], "neurons": [1e300]}, "1e+300; indices"),
        ({"times": [0.1], "neurons": np.array([2**63], dtype=np.uint64)}, "9223372036854775808"),
    ],
)
def test_what_holds_no_spikes_is_named(tmp_path, arrays, words):
    assert words in refusal(load_spikes, npz(tmp_path / "s.npz", **arrays))


def test_a_single_array_holds_no_spikes(tmp_path):
    assert "a single array" in refusal(load_spikes, npy(tmp_path / "s.npy", np.zeros(3)))


def test_all_bad_lines_of_a_csv_are_named(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("time,neuron\n0.1\n0.2,1\nx,2\n0.3,1,2\n")
    found = refusal(load_spikes, path)
    assert [number for number in range(1, 7) if f"line {number}:" in found] == [2, 4, 5]


def test_a_first_line_that_is_half_a_number_is_no_header(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("0.1x,3\n0.2,1\n")
    assert "line 1: '0.1x,3'" in refusal(load_spikes, path)


def test_a_csv_of_another_kind_does_not_flood(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("a;b\n" * 1000)
    found = refusal(load_spikes, path)
    assert len(found.splitlines()) == 11
    assert "989 more lines" in found


def test_a_csv_that_is_not_text(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xff\xfe0\x00")
    assert "unreadable" in refusal(load_spikes, path)


def test_images_are_flattened_and_bytes_scaled(tmp_path):
    path = npy(tmp_path / "i.npy", np.full((4, 2, 3), 51, dtype=np.uint8))
    assert load_images(None, path) == pytest.approx(np.full((4, 6), 0.2))


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (3, 0)])
def test_arrays_that_hold_no_images(tmp_path, shape):
    assert f"shape {shape}" in refusal(load_images, None, npy(tmp_path / "i.npy", np.zeros(shape)))


def test_digits_are_intensities():
    pytest.importorskip("sklearn")
    images = load_images("digits", None)
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0.0, 1.0)


def test_images_have_one_source(tmp_path):
    assert "neither given; either dataset or path" in refusal(load_images, None, None)
    assert "both given; either dataset or path" in refusal(load_images, "digits", tmp_path / "x")
