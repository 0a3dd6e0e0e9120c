"""Quantities survive being written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_align.model.units import format_time, parse_quantity

SCALES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_written_time_reads_as_itself(seconds):
    assert parse_quantity(format_time(seconds), "time") == pytest.approx(seconds, rel=1e-11)


@given(st.floats(-1e12, 1e12, allow_subnormal=False), st.sampled_from(sorted(SCALES)))
def test_a_number_with_a_unit_is_scaled_by_it(number, unit):
    read = parse_quantity(f"{number!r} {unit}", "time")
    assert read == pytest.approx(number * SCALES[unit], rel=1e-15)


@given(st.integers(0, 10**6))
def test_whole_milliseconds_are_the_nearest_float(number):
    assert parse_quantity(f"{number} ms", "time") == float(f"{number}e-3")


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text):
    try:
        found = str(parse_quantity(text, "rate"))
    except ValueError as error:
        found = str(error)
    assert found.replace(".", "").replace("-", "").isdigit() or "a rate as a string" in found
