"""Arrays that experiment files refer to: weight matrices, spike trains, images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lava_align.errors import InvalidInputError, MissingDependencyError, Problem
from lava_align.files import require_file

Array = np.ndarray[Any, Any]

# A file of another kind has a problem in every line.
_SHOWN = 10


def load_numpy(path: Path, allowed: str) -> Any:
    """Read a ``.npy`` file as an array, an ``.npz`` file as a dict of arrays.

    Raises
    ------
    InvalidInputError
        If the file is missing or damaged; the message ends with ``allowed``.
    """
    require_file(path, allowed)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file can make NumPy raise anything
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(
            Problem(str(path), f"unreadable or truncated ({detail})", allowed)
        ) from error


def numeric(array: Any, path: Path, allowed: str) -> Array:
    """Return ``array``, or refuse what is not an array of real numbers.

    Raises
    ------
    InvalidInputError
        Saying ``allowed``.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        raise InvalidInputError(Problem(str(path), "not an array of real numbers", allowed))
    return array


def load_weights(path: Path) -> Array:
    """Read a weight matrix (n_post, n_pre) from a ``.npy`` file.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or not a matrix of finite numbers.
    """
    allowed = "a .npy file with a matrix (n_post, n_pre)"
    array = numeric(load_numpy(path, allowed), path, allowed)
    if array.ndim != 2:
        raise InvalidInputError(Problem(str(path), f"shape {array.shape}", allowed))
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidInputError(Problem(str(path), f"{array[at]} at {at}", "finite numbers"))
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
    archive = load_numpy(path, allowed)
    if not isinstance(archive, dict):
        raise InvalidInputError(Problem(str(path), "a single array", allowed))
    if not {"times", "neurons"} <= set(archive):
        found = ", ".join(sorted(archive)) or "none"
        raise InvalidInputError(Problem(str(path), f"its arrays are: {found}", allowed))
    times, neurons = (numeric(archive[name], path, allowed) for name in ("times", "neurons"))
    return times.astype(np.float64), _indices(neurons, path)


def _spikes_from_csv(path: Path, allowed: str) -> tuple[Array, Array]:
    require_file(path, allowed)
    times, neurons, problems = [], [], []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(Problem(str(path), f"unreadable ({error})", allowed)) from error
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not line.strip() or (number == 1 and not any(map(_is_number, cells))):
            continue
        if len(cells) != 2 or not all(map(_is_number, cells)):
            problems.append(Problem(f"{path}, line {number}", repr(line[:60]), "time,neuron"))
            continue
        times.append(float(cells[0]))
        neurons.append(float(cells[1]))
    if problems:
        shown, rest = problems[:_SHOWN], len(problems) - _SHOWN
        if rest > 0:
            shown.append(Problem(str(path), f"{rest} more lines like these", "time,neuron"))
        raise InvalidInputError(shown)
    return np.array(times, dtype=np.float64), _indices(np.array(neurons), path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _indices(values: Array, path: Path) -> Array:
    # NaN fails every comparison; what does not fit an int32 would wrap around.
    bad = ~((values == np.round(values)) & (np.abs(values.astype(np.float64)) < 2.0**31))
    if bad.any():
        raise InvalidInputError(
            Problem(f"{path}: neurons", f"{values[bad].ravel()[0]}", "indices, whole numbers")
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

    Raises
    ------
    InvalidInputError
        If not exactly one of the two is given, or the file does not hold images.
    MissingDependencyError
        If the digits are asked for and scikit-learn is not installed.
    """
    if (dataset is None) == (path is None):
        given = "neither" if path is None else "both"
        raise InvalidInputError(Problem("images", f"{given} given", "either dataset or path"))
    if path is not None:
        allowed = "a .npy file (n_images, ...) of floats in 0..1 or uint8"
        array = numeric(load_numpy(path, allowed), path, allowed)
        if array.ndim < 2 or not array.size:
            raise InvalidInputError(Problem(str(path), f"shape {array.shape}", allowed))
        images = array.reshape(len(array), -1).astype(np.float64)
        return images / 255.0 if array.dtype == np.uint8 else images
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            "the digits data set comes with scikit-learn: pip install 'lava_align[data]'"
        ) from error
    return np.asarray(load_digits().data, dtype=np.float64) / 16.0
