import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, LearningRule, Product
from lava_align.testing import expressions, rules


@given(expressions())
def test_text_round_trip(expression):
    assert Expression.parse(str(expression)) == expression
    assert Expression.parse(expression.lava()) == expression
    assert str(Expression.parse(str(expression))) == str(expression)


@given(expressions(), st.data())
def test_blanks_around_operators_do_not_matter(expression, data):
    spaced = ""
    for character in str(expression).replace(" ", ""):
        blanks = data.draw(st.sampled_from(["", " ", "\n\t"])) if character in "+-*^()" else ""
        spaced += blanks + character + blanks
    assert Expression.parse(spaced) == expression


@given(rules())
def test_rule_round_trip_through_json(rule):
    assert LearningRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@given(rules())
def test_effective_coefficient_is_the_written_one_shifted(rule):
    rows = rule.effective_coefficients()
    assert len(rows) == sum(len(e.products) for e in rule.expressions.values())
    for row in rows:
        assert row.written == row.effective * 2**row.shift
        assert row.shift >= 0
        assert not (row.floors and row.shift == 0)


@given(st.integers(-7, 7).filter(bool), st.integers(-12, 8), st.integers(0, 12))
def test_halving_keeps_the_value(mantissa, exponent, doublings):
    try:
        product = Product(mantissa << doublings, exponent, "x0")
    except InvalidInputError:
        # Fully halved, it would have an exponent that does not fit either way.
        least = exponent + max(0, doublings - 2)
        most = exponent + doublings
        assert least < -7 or most > 8
    else:
        assert product.coefficient == mantissa * 2.0 ** (exponent + doublings)
        assert -8 <= product.mantissa <= 7
        assert -7 <= product.exponent <= 8


@given(st.text(alphabet="x0y1wudtsgn()+-*/^.2 3", max_size=24))
def test_any_text_parses_or_is_refused_with_reasons(text):
    problems = ()
    try:
        expression = Expression.parse(text)
    except InvalidInputError as error:
        problems = error.problems
    if problems:
        assert all(p.where and p.value and p.allowed for p in problems)
    else:
        assert Expression.parse(str(expression)) == expression


@given(expressions(clock=1), expressions(clock=2))
def test_two_clocks_are_refused_wherever_they_are(one, two):
    clocks = [e for e in (one, two) if any(p.decimation is not None for p in e.products)]
    if len(clocks) < 2:
        assert LearningRule(dw=one, dt=two).dw == one
        return
    with pytest.raises(InvalidInputError, match="clocks u1, u2"):
        LearningRule(dw=one, dt=two)
    with pytest.raises(InvalidInputError, match="clocks u1, u2"):
        Expression(one.products + two.products)
