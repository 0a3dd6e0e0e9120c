import json
import subprocess
import sys

import pytest

from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Trace

parse = Expression.parse


def rule(**changes):
    arguments = {
        "dw": parse("2^-6*u9*t"),
        "dt": parse("x0*y1 - y0*x1 - u9*t"),
        "x1": Trace(16, 20),
        "y1": Trace(16, 20),
    }
    return LearningRule(**{**arguments, **changes})


def problems(**changes):
    with pytest.raises(InvalidInputError) as caught:
        rule(**changes)
    return [str(problem) for problem in caught.value.problems]


def test_dict_round_trip_is_plain_json():
    before = rule(t_epoch=4)
    data = json.loads(json.dumps(before.to_dict()))
    assert data["dw"] == "2^-6*u9*t"
    assert data["dd"] is None
    assert data["x1"] == {"impulse": 16, "tau": 20}
    assert LearningRule.from_dict(data) == before


def test_from_dict_fills_in_defaults():
    assert LearningRule.from_dict({"dw": "x0*y1"}) == LearningRule(dw=parse("x0*y1"))


def test_from_dict_reports_everything_at_once():
    data = {
        "dw": "u10*w",
        "dt": 5,
        "x1": {"impulse": 200, "tau": -1},
        "x2": 7,
        "speed": 1,
    }
    with pytest.raises(InvalidInputError) as caught:
        LearningRule.from_dict(data)
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == 6
    assert found[0].startswith("learning rule, key 'speed': unknown; one of dw dd dt")
    assert found[1].startswith("dw, product 'u10*w': clock u10")
    assert found[2].startswith("dt: 5")
    assert found[3].startswith("x1, trace impulse: 200; a whole number 0..127")
    assert found[4].startswith("x1, trace tau (steps): -1; a whole number >= 0")
    assert found[5].startswith("x2: 7; a mapping")


def test_from_dict_takes_a_mapping():
    with pytest.raises(InvalidInputError, match="a mapping"):
        LearningRule.from_dict("x0*y1")


def test_decimation_and_uses():
    assert rule().decimation == 9
    assert LearningRule(dw=parse("x0*y1")).decimation is None
    variables = ("x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "d", "t", "u", "u8", "u9")
    used = {variable for variable in variables if rule().uses(variable)}
    assert used == {"x0", "y0", "x1", "y1", "t", "u", "u9"}
    with pytest.raises(InvalidInputError, match="'x3'"):
        rule().uses("x3")


def test_coincidence_is_flagged():
    assert not rule().fixed_point_only
    assert rule(dd=parse("x0*y0*x1")).fixed_point_only


def test_empty_rule():
    with pytest.raises(InvalidInputError, match="at least one of dw, dd, dt"):
        LearningRule()


def test_one_clock_over_all_targets():
    assert problems(dd=parse("u2*d")) == [
        "learning rule: clocks u2, u9; one K for all uK of dw, dd and dt"
    ]


@pytest.mark.parametrize("t_epoch", [0, 64, -1, 2.5, True])
def test_epoch_out_of_range(t_epoch):
    (found,) = problems(t_epoch=t_epoch)
    assert found == f"t_epoch (steps): {t_epoch}; a whole number 1..63"


@pytest.mark.parametrize("t_epoch", [1, 63])
def test_epoch_limits(t_epoch):
    assert rule(t_epoch=t_epoch).t_epoch == t_epoch


def test_third_factor_has_no_post_traces():
    (found,) = problems(third_factor=True)
    assert found.startswith("y1: impulse 16, tau 20 in a three-factor rule")
    assert rule(third_factor=True, y1=Trace()).third_factor


def test_every_inconsistency_at_once():
    found = problems(dd=parse("u2*d"), third_factor=True, t_epoch=0)
    assert [text.split(":")[0] for text in found] == ["learning rule", "y1", "t_epoch (steps)"]


def test_wrong_types_are_named():
    found = problems(dw="x0*y1", x1=3, third_factor=1)
    assert [text.split(":")[0] for text in found] == ["dw", "x1", "third_factor"]


@pytest.mark.parametrize(("impulse", "tau"), [(128, 1), (-1, 1), (1, -1), (0.5, 1), (1, 2.0)])
def test_trace_limits(impulse, tau):
    with pytest.raises(InvalidInputError, match="a whole number"):
        Trace(impulse, tau)


@pytest.mark.parametrize(
    ("text", "shift", "effective"),
    [
        ("y0*x1", 0, 1.0),
        ("y0*w", 0, 1.0),
        ("2^-3*u2*t", 0, 2.0**-3),
        ("y0*x1*x2", 3, 2.0**-3),
        ("y0*x1*w", 5, 2.0**-5),
        ("y0*sgn(w)*x1", 5, 2.0**-5),
        ("3*2^-2*y0*w*w", 7, 3 * 2.0**-9),
        ("y0*x1*x2*y1", 10, 2.0**-10),
        ("-2^8*y0*t*y2*y2", 12, -(2.0**-4)),
        ("x0*y0*x1", 0, 1.0),
        ("x0*y0*x1*(x2 + 1)", 4, 2.0**-4),
    ],
)
def test_effective_coefficients(text, shift, effective):
    (row,) = LearningRule(dw=parse(text)).effective_coefficients()
    assert (row.target, row.product) == ("dw", str(parse(text)))
    assert row.shift == shift
    assert row.effective == effective
    assert row.written == effective * 2**shift


@pytest.mark.parametrize(
    ("text", "third_factor", "floors"),
    [
        ("y0*x1*x2", False, False),
        ("-y0*x1*x2", False, True),
        ("y0*x1*w", False, True),
        ("-y0*w", False, False),
        ("y0*w*w", False, False),
        ("y0*x1*d", False, False),
        ("u1*x1*y1", True, True),
        ("u1*y1*y1", True, False),
        ("u1*x1*(y1 - 128)", False, True),
        ("-u1*x1*(y1 - 128)", False, False),
        ("-u1*x1*(y1 - 128)", True, True),
        ("y0*x1*(x2 - 1)", False, True),
        ("y0*x1*sgn(d)", False, True),
    ],
)
def test_flooring_needs_a_shift_and_a_negative_value(text, third_factor, floors):
    (row,) = LearningRule(dw=parse(text), third_factor=third_factor).effective_coefficients()
    assert row.floors is floors


@pytest.mark.parametrize(
    ("text", "wraps"),
    [
        ("4*y0*x1*x2*y1*w", False),
        ("5*y0*x1*x2*y1*w", True),
        ("-4*y0*x1*x2*y1*w", False),
        ("-5*y0*x1*x2*y1*w", True),
        ("7*y0*x1*x2*w", False),
    ],
)
def test_wrapping_beyond_32_bits(text, wraps):
    # 127^3 * 256 * 4 is just below 2^31.
    (row,) = LearningRule(dw=parse(text)).effective_coefficients()
    assert row.may_wrap is wraps


def test_describe_gives_plain_rows():
    rows = rule(dd=parse("-2^-3*x0*y0*y1*(x1 + 4)")).describe()
    assert [row["target"] for row in rows] == ["dw", "dd", "dt", "dt", "dt"]
    assert json.loads(json.dumps(rows)) == rows
    assert rows[1]["notes"] == (
        "factors that multiply to less than 16 change nothing; "
        "negative values are biased by up to -2^-3; "
        "coincidence of spikes: fixed-point models only; "
        "(x1 + 4) saturates at 127"
    )
    assert rows[0]["notes"] == ""


def test_needs_neither_lava_nor_brian2():
    code = (
        "import sys, lava_align.learning_rule as m\n"
        "m.Expression.parse('x0*y1')\n"
        "sys.exit(any(n in sys.modules for n in ('lava', 'brian2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
