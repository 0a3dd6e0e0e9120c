"""How well feedback weights mirror forward weights: the four measures of the alignment papers.

Forward weights run from the lower layer to the upper, feedback weights back. Both matrices are
``(n_post, n_pre)``, so perfect alignment reads ``feedback = c * forward.T`` with ``c > 0``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lava_align.errors import InvalidInputError, Problem

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Four views of the likeness of two weight matrices.

    Parameters
    ----------
    angle : float
        Angle between the flattened matrices, degrees, 0..180; 0 is perfect, about 90 is chance
        for zero-mean weights.
    r : float
        Pearson correlation of the entries, -1..1. Blind to an offset common to all entries.
    sign_agreement : float
        Share of entries whose signs agree, 0..1. Zero counts as positive on both sides.
    norm_ratio : float
        Frobenius norm of the feedback over that of the forward matrix, >= 0.
    """

    angle: float
    r: float
    sign_agreement: float
    norm_ratio: float


def alignment(forward: ArrayLike, feedback: ArrayLike) -> Alignment:
    """Compare feedback weights with the transpose of forward weights.

    Every measure but ``norm_ratio`` is unchanged when either matrix is multiplied by a positive
    number, so chip integers may be compared with weights in any other unit.

    Sign agreement is ``mean((feedback.T >= 0) == (forward >= 0))``, as the authors of STDWI count
    it. Their convention is taken because it needs no special case: every synapse counts, and the
    result does not jump when a weight crosses zero on an integer grid, where exact zeros are
    common. Counting only entries with ``feedback != 0`` (the authors of RDD) gives another number
    on such weights.

    Parameters
    ----------
    forward : array_like, shape (m, n)
        Weights from n lower to m upper neurons; integers or floats, any unit.
    feedback : array_like, shape (n, m)
        Weights from m upper to n lower neurons; integers or floats, any unit.

    Returns
    -------
    Alignment
        A measure that does not exist is ``nan``: the angle if a matrix is zero, ``r`` if a matrix
        is constant, the norm ratio if ``forward`` is zero, all four if the matrices are empty.
        Sign agreement exists for every other matrix by the convention above.

    Raises
    ------
    InvalidInputError
        If the matrices are not of shapes (m, n) and (n, m), or not finite.
    """
    w, b = np.asarray(forward, dtype=np.float64), np.asarray(feedback, dtype=np.float64)
    problems = list(_problems(w, b))
    if problems:
        raise InvalidInputError(problems)
    if not w.size:
        return Alignment(angle=math.nan, r=math.nan, sign_agreement=math.nan, norm_ratio=math.nan)
    w, b = w.ravel(), b.T.ravel()
    return Alignment(
        angle=angle_between(w, b),
        r=pearson(w, b),
        sign_agreement=float(np.mean((b >= 0) == (w >= 0))),
        norm_ratio=_norm_ratio(b, w),
    )


def angle_between(a: Array, b: Array) -> float:
    """Angle between two vectors of equal shape, degrees, 0..180; ``nan`` if one is zero.

    The half-angle form is used because the arc cosine loses half the digits near 0 and 180 degrees.
    """
    u, v = _unit(a), _unit(b)
    if u is None or v is None:
        return math.nan
    return math.degrees(2 * math.atan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))


def pearson(a: Array, b: Array) -> float:
    """Pearson correlation of two vectors of equal shape, -1..1; ``nan`` if one is constant."""
    u, v = _centred_unit(a), _centred_unit(b)
    if u is None or v is None:
        return math.nan
    return float(np.clip(u @ v, -1.0, 1.0))


def _norm_ratio(a: Array, b: Array) -> float:
    top, bottom = float(np.abs(a).max()), float(np.abs(b).max())
    if bottom == 0:
        return math.nan
    if top == 0:
        return 0.0
    return top / bottom * float(np.linalg.norm(a / top) / np.linalg.norm(b / bottom))


def _unit(values: Array) -> Array | None:
    """Scale to norm 1; None for zero. The largest entry goes first, so that squares stay finite."""
    largest = np.abs(values).max(initial=0.0)
    if largest == 0:
        return None
    scaled = values / largest
    return np.asarray(scaled / np.linalg.norm(scaled))


def _centred_unit(values: Array) -> Array | None:
    # Equal entries are looked for directly: their rounded mean may differ from them.
    if not values.size or values.min() == values.max():
        return None
    scaled = values / np.abs(values).max()
    return _unit(scaled - scaled.mean())


def _problems(forward: Array, feedback: Array) -> list[Problem]:
    found = []
    for name, matrix in (("forward", forward), ("feedback", feedback)):
        if matrix.ndim != 2:
            found.append(Problem(name, f"shape {matrix.shape}", "a matrix (n_post, n_pre)"))
        if not np.isfinite(matrix).all():
            found.append(Problem(name, "NaN or infinite weights", "finite numbers"))
    if forward.ndim == feedback.ndim == 2 and feedback.shape != forward.shape[::-1]:
        allowed = f"{forward.shape[::-1]}, the transpose of forward"
        found.append(Problem("feedback", f"shape {feedback.shape}", allowed))
    return found
