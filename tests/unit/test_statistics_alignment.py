import math
import warnings

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.statistics.alignment import alignment, angle_between, pearson

FORWARD = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])


def test_a_scaled_transpose_is_perfectly_aligned():
    found = alignment(FORWARD, 2.5 * FORWARD.T)
    assert found.angle == pytest.approx(0, abs=1e-6)
    assert found.r == pytest.approx(1)
    assert found.sign_agreement == 1
    assert found.norm_ratio == pytest.approx(2.5)


def test_the_negative_transpose_is_opposite():
    found = alignment(FORWARD, -FORWARD.T)
    assert found.angle == pytest.approx(180)
    assert found.r == pytest.approx(-1)
    # The one zero agrees with itself.
    assert found.sign_agreement == pytest.approx(1 / 6)
    assert found.norm_ratio == pytest.approx(1)


def test_against_the_textbook_formulas():
    rng = np.random.default_rng(1)
    forward, feedback = rng.normal(size=(7, 5)), rng.normal(size=(5, 7))
    found = alignment(forward, feedback)
    w, b = forward.ravel(), feedback.T.ravel()
    cosine = w @ b / math.sqrt((w @ w) * (b @ b))
    assert found.angle == pytest.approx(math.degrees(math.acos(cosine)))
    assert found.r == pytest.approx(np.corrcoef(w, b)[0, 1])
    assert found.norm_ratio == pytest.approx(np.linalg.norm(b) / np.linalg.norm(w))
    assert found.sign_agreement == np.mean(np.sign(w) == np.sign(b))


def test_the_transpose_is_what_is_compared():
    square = np.array([[1.0, 5.0], [-5.0, 1.0]])
    assert alignment(square, square.T).angle == 0
    assert alignment(square, square).angle > 90


def test_small_angles_keep_their_digits():
    tilt = 1e-9
    assert angle_between(np.array([1.0, 0.0]), np.array([1.0, tilt])) == pytest.approx(
        math.degrees(tilt), rel=1e-6
    )


def test_zero_counts_as_positive():
    forward = np.array([[1.0, -1.0, 0.0, 0.0]])
    feedback = np.array([[0.0], [0.0], [1.0], [-1.0]])
    assert alignment(forward, feedback).sign_agreement == pytest.approx(0.5)


def test_undefined_measures_are_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zero = alignment(FORWARD, np.zeros((3, 2)))
        from_zero = alignment(np.zeros((2, 3)), FORWARD.T)
        constant = alignment(FORWARD, np.full((3, 2), 0.1))
        empty = alignment(np.zeros((0, 3)), np.zeros((3, 0)))
    assert math.isnan(zero.angle)
    assert math.isnan(zero.r)
    assert zero.norm_ratio == 0
    assert zero.sign_agreement == pytest.approx(4 / 6)
    assert math.isnan(from_zero.angle)
    assert math.isnan(from_zero.norm_ratio)
    assert math.isnan(constant.r)
    assert math.isfinite(constant.angle)
    assert all(
        math.isnan(v) for v in (empty.angle, empty.r, empty.sign_agreement, empty.norm_ratio)
    )


def test_integer_weights_of_a_chip_do_not_overflow():
    forward = np.array([[127, -128]], dtype=np.int8)
    found = alignment(forward, forward.T)
    assert found.norm_ratio == 1
    assert found.angle == 0


def test_very_large_and_very_small_weights():
    found = alignment(FORWARD * 1e300, FORWARD.T * 1e-300)
    assert found.angle == pytest.approx(0, abs=1e-6)
    assert found.r == pytest.approx(1)


def test_every_problem_is_reported_at_once():
    with pytest.raises(InvalidInputError) as caught:
        alignment(np.full((2, 3), np.nan), np.zeros((2, 3)))
    assert len(caught.value.problems) == 2
    with pytest.raises(InvalidInputError, match="a matrix"):
        alignment(np.zeros(3), np.zeros((3, 1)))


def test_pearson_of_one_point_is_undefined():
    assert math.isnan(pearson(np.array([1.0]), np.array([2.0])))
