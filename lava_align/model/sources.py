"""Arrays that experiment files refer to: weight matrices, spike trains, images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, MissingDependencyError, Problem

Array = np.ndarray[Any, Any]


def _load_numpy(path: Path, allowed: str) -> Any:
    if not path.is_file():
        raise InvalidInputError(Problem(str(path), "no such file", allowed))
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(
            Problem(str(path), f"unreadable or truncated ({detail})", allowed)
        ) from error


def _numeric(array: Any, path: Path, allowed: str) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        raise InvalidInputError(Problem(str(path), "not an array of real numbers", allowed))
    return array


def load_weights(path: Path) -> Array:
    """Read a weight matrix (n_post, n_pre) from a ``.npy`` file."""
    allowed = "a .npy file with a matrix (n_post, n_pre)"
    array = _numeric(_load_numpy(path, allowed), path, allowed)
    if array.ndim != 2:
        raise InvalidInputError(Problem(str(path), f"{array.ndim} dimensions", allowed))
    return array.astype(np.float64)


def load_spikes(path: Path) -> tuple[Array, Array]:
    """Read spike times (seconds) and neuron indices.

    ``.npz`` files hold the arrays ``times`` and ``neurons``; ``.csv`` files hold two columns,
    time and neuron, with an optional header line.

    Raises
    ------
    InvalidInputError
        For a file that is missing, truncated, or does not hold two equally long columns.
    """
    allowed = "a .npz file with arrays 'times' (s) and 'neurons', or a .csv of time,neuron"
    if path.suffix == ".csv":
        return _spikes_from_csv(path, allowed)
    archive = _load_numpy(path, allowed)
    try:
        names = set(archive.files)
        if not {"times", "neurons"} <= names:
            raise InvalidInputError(Problem(str(path), f"arrays {sorted(names)}", allowed))
        times = _numeric(archive["times"], path, allowed)
        neurons = _numeric(archive["neurons"], path, allowed)
    except AttributeError:
        raise InvalidInputError(Problem(str(path), "a single array", allowed)) from None
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInputError(Problem(str(path), f"unreadable ({error})", allowed)) from error
    return times.astype(np.float64), _indices(neurons, path)


def _spikes_from_csv(path: Path, allowed: str) -> tuple[Array, Array]:
    if not path.is_file():
        raise InvalidInputError(Problem(str(path), "no such file", allowed))
    times, neurons, problems = [], [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(Problem(str(path), f"unreadable ({error})", allowed)) from error
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or (number == 1 and not _is_number(cells[0])):
            continue
        if len(cells) != 2 or not all(_is_number(cell) for cell in cells):
            problems.append(Problem(f"{path}, line {number}", repr(line), "time,neuron"))
            continue
        times.append(float(cells[0]))
        neurons.append(float(cells[1]))
    if problems:
        raise InvalidInputError(problems)
    return np.array(times, dtype=np.float64), _indices(np.array(neurons), path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _indices(values: Array, path: Path) -> Array:
    if not np.isfinite(values).all() or not (values == np.round(values)).all():
        raise InvalidInputError(
            Problem(f"{path}: neurons", "fractional or not finite", "whole numbers")
        )
    return values.astype(np.int64)


def load_images(dataset: str | None, path: Path | None) -> Array:
    """Load images as intensities in 0..1, shape (n_images, n_pixels).

    Parameters
    ----------
    dataset : {"digits"} or None
        The 1,797 scikit-learn digits, 8x8 (test part of Alpaydin & Kaynak 1998, UCI).
    path : Path or None
        A ``.npy`` file of shape (n_images, ...), floats in 0..1 or 8-bit integers.
    """
    if (dataset is None) == (path is None):
        raise InvalidInputError(
            Problem("drive", f"dataset {dataset!r}, path {path}", "give either dataset or path")
        )
    if path is not None:
        allowed = "a .npy file (n_images, ...) of floats in 0..1 or uint8"
        array = _numeric(_load_numpy(path, allowed), path, allowed)
        images = array.reshape(len(array), -1).astype(np.float64)
        return images / 255.0 if array.dtype == np.uint8 else images
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            "the digits data set comes with scikit-learn: pip install 'lava_align[data]'"
        ) from error
    return np.asarray(load_digits().data, dtype=np.float64) / 16.0
