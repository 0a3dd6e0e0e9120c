"""Values with arrays: equality, read-only contents, digests."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lava_align.values import ArrayValue, content_digest, frozen_array


@dataclass(frozen=True, kw_only=True, eq=False)
class Thing(ArrayValue):
    array: Any = None
    number: Any = 1.0
    name: str = "a"
    more: Any = ()


THING = Thing(array=np.arange(6.0).reshape(2, 3), more={"x": (1, "y"), "z": None})

CHANGES = [
    {"array": np.arange(6.0).reshape(3, 2)},
    {"array": np.arange(6).reshape(2, 3)},
    {"array": np.arange(6.0, dtype=np.float32).reshape(2, 3)},
    {"array": np.nextafter(np.arange(6.0), 9.0).reshape(2, 3)},
    {"number": np.nextafter(1.0, 2.0)},
    {"number": True},
    {"number": "1.0"},
    {"number": None},
    {"name": "b"},
    {"more": {"x": (1, "y")}},
    {"more": {"x": (1, "y"), "z": 0}},
    {"more": {"x": ("y", 1), "z": None}},
    {"more": {"x": (1, ("y",)), "z": None}},
    {"more": {"x": (1, "y"), "zz": None}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_any_change_changes_the_digest(change):
    other = replace(THING, **change)
    assert other != THING
    assert other.digest() != THING.digest()


def test_all_changes_differ_from_each_other():
    digests = {replace(THING, **change).digest() for change in CHANGES}
    assert len(digests) == len(CHANGES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (1.0, np.float64(1.0)),
        (3, np.int32(3)),
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.zeros(3), -np.zeros(3)),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.float64("nan"), float("nan")),
    ],
    ids=str,
)
def test_equal_values_have_equal_digests(one, other):
    assert content_digest(one) == content_digest(other)
    assert Thing(number=one) == Thing(number=other)
    assert hash(Thing(number=one)) == hash(Thing(number=other))


@pytest.mark.parametrize("value", [object(), {1, 2}, Path("x"), np.array([object()]), 1j, len])
def test_what_has_no_stable_text_has_no_digest(value):
    with pytest.raises(TypeError, match="no digest"):
        content_digest(value)


def test_another_type_is_not_equal():
    assert Thing(number=1) != 1
    assert (Thing(number=1) == object()) is False


def test_frozen_arrays_are_copies_that_cannot_be_written():
    source = np.arange(3)
    array = frozen_array(source, np.float64)
    source[0] = 9
    assert array.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
