"""Quantities: what is read, what is refused and with which words."""

import math

import pytest

from lava_align.model.units import format_time, parse_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20 ms", 0.02),
        ("20ms", 0.02),
        (" 1.5 s ", 1.5),
        (".5 s", 0.5),
        ("5. us", 5e-6),
        ("2 min", 120.0),
        ("1e-3 s", 1e-3),
        ("0.1 ms", 1e-4),
        ("-3 ms", -3e-3),
        ("+3 ms", 3e-3),
    ],
)
def test_times_are_the_nearest_float(text, seconds):
    assert parse_quantity(text, "time") == seconds


def test_rates_are_hertz():
    assert parse_quantity("0.2 kHz", "rate") == 200.0


@pytest.mark.parametrize(
    "value",
    [3, 3.0, None, True, [], {}, "", "3", "ms", "3 4 ms", "nan ms", "inf s", "1,5 ms", "0x1 s"],
)
def test_what_is_not_a_number_with_a_unit_is_refused(value):
    with pytest.raises(ValueError, match=r"a time as a string with a unit .*e\.g\. '20 ms'"):
        parse_quantity(value, "time")


@pytest.mark.parametrize("text", ["3 Hz", "3 MS", "3 sec", "3 m"])
def test_a_wrong_unit_is_named(text):
    with pytest.raises(ValueError, match=f"'{text.split()[1]}' is no unit of a time"):
        parse_quantity(text, "time")


def test_a_number_beyond_floats_is_refused():
    with pytest.raises(ValueError, match="too large"):
        parse_quantity("1e400 s", "time")


def test_digits_of_other_scripts_are_refused():
    with pytest.raises(ValueError, match="a time as a string"):
        parse_quantity("٣ ms", "time")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (1.5, "1.5 s"), (0.02, "20 ms"), (-3e-3, "-3 ms"), (2.5e-7, "0.25 us")],
)
def test_times_are_written_with_a_fitting_unit(seconds, text):
    assert format_time(seconds) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_written_all_the_same(value):
    assert format_time(value) == f"{value} s"
