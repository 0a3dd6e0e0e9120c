import pytest

from lava_align.errors import InvalidInputError
from lava_align.learning_rule import Expression, Factor, Product

X1, Y1, W, T = (Factor(name) for name in ("x1", "y1", "w", "t"))

ACCEPTED = [
    ("x0*y1", [Product(1, 0, "x0", (Y1,))], "x0*y1"),
    ("  x0 *\ty1\n", [Product(1, 0, "x0", (Y1,))], "x0*y1"),
    ("-y0", [Product(-1, 0, "y0", ())], "-y0"),
    ("+y0", [Product(1, 0, "y0", ())], "y0"),
    ("y1*x0", [Product(1, 0, "x0", (Y1,))], "x0*y1"),
    ("2^-5*u9*t", [Product(1, -5, "u9", (T,))], "2^-5*u9*t"),
    ("2 ^ - 5 * u9 * t", [Product(1, -5, "u9", (T,))], "2^-5*u9*t"),
    ("2^+3*x0", [Product(1, 3, "x0", ())], "2^3*x0"),
    ("3*2^-4*x0*y1", [Product(3, -4, "x0", (Y1,))], "3*2^-4*x0*y1"),
    ("x0*3*y1*2^-4", [Product(3, -4, "x0", (Y1,))], "3*2^-4*x0*y1"),
    ("(-2)*2^-3*x0*y1", [Product(-2, -3, "x0", (Y1,))], "-2*2^-3*x0*y1"),
    ("(3*2^-3)*x0", [Product(3, -3, "x0", ())], "3*2^-3*x0"),
    ("-(-2)*x0", [Product(2, 0, "x0", ())], "2*x0"),
    ("2*3*x0", [Product(6, 0, "x0", ())], "6*x0"),
    ("(x1)*y0", [Product(1, 0, "y0", (X1,))], "y0*x1"),
    ("x0*(w + 3)", [Product(1, 0, "x0", (Factor("w", 3),))], "x0*(w + 3)"),
    ("x0*(3 + w)", [Product(1, 0, "x0", (Factor("w", 3),))], "x0*(w + 3)"),
    ("x0*(w - 3)", [Product(1, 0, "x0", (Factor("w", -3),))], "x0*(w - 3)"),
    ("x0*(w + 2^3)", [Product(1, 0, "x0", (Factor("w", 8),))], "x0*(w + 8)"),
    ("x0*(w + 3*2^2)", [Product(1, 0, "x0", (Factor("w", 12),))], "x0*(w + 12)"),
    ("x0*(w + 0)", [Product(1, 0, "x0", (W,))], "x0*w"),
    ("x0*(64 - w)", [Product(-1, 0, "x0", (Factor("w", -64),))], "-x0*(w - 64)"),
    ("x0*(-w + 64)", [Product(-1, 0, "x0", (Factor("w", -64),))], "-x0*(w - 64)"),
    ("x0*(-w - 64)", [Product(-1, 0, "x0", (Factor("w", 64),))], "-x0*(w + 64)"),
    (
        "x0*(5 - w)*(6 - t)",
        [Product(1, 0, "x0", (Factor("w", -5), Factor("t", -6)))],
        "x0*(w - 5)*(t - 6)",
    ),
    ("x0*sgn(w)", [Product(1, 0, "x0", (Factor("w", sgn=True),))], "x0*sgn(w)"),
    ("x0*sgn(d - 2)", [Product(1, 0, "x0", (Factor("d", -2, True),))], "x0*sgn(d - 2)"),
    ("x0*sgn(2 + t)", [Product(1, 0, "x0", (Factor("t", 2, True),))], "x0*sgn(t + 2)"),
    ("x0*y0*x1", [Product(1, 0, "x0", (Factor("y0"), X1))], "x0*y0*x1"),
    ("y0*x0*x1", [Product(1, 0, "y0", (Factor("x0"), X1))], "y0*x0*x1"),
    ("u2*x0*w", [Product(1, 0, "u2", (Factor("x0"), W))], "u2*x0*w"),
    ("x0*(y0 - 1)*w", [Product(1, 0, "x0", (Factor("y0", -1), W))], "x0*(y0 - 1)*w"),
    (
        "x0*y1 - 2^-1*y0*x1 + u3*w - u3*t",
        [
            Product(1, 0, "x0", (Y1,)),
            Product(-1, -1, "y0", (X1,)),
            Product(1, 0, "u3", (W,)),
            Product(-1, 0, "u3", (T,)),
        ],
        "x0*y1 - 2^-1*y0*x1 + u3*w - u3*t",
    ),
]


@pytest.mark.parametrize(("text", "products", "canonical"), ACCEPTED)
def test_accepted_forms_mean_their_products(text, products, canonical):
    expression = Expression.parse(text)
    assert expression.products == tuple(products)
    assert str(expression) == canonical
    assert Expression.parse(canonical) == expression


@pytest.mark.parametrize(
    ("text", "mantissa", "exponent"),
    [
        ("8*x0", 4, 1),
        ("-8*x0", -4, 1),
        ("12*x0", 6, 1),
        ("112*x0", 7, 4),
        ("16*2^-9*x0", 4, -7),
        ("7*2^8*x0", 7, 8),
        ("-8*2^8*x0", -8, 8),
        ("4*2^-3*x0", 4, -3),
        ("2^-7*x0", 1, -7),
    ],
)
def test_coefficients_are_halved_only_where_lava_halves_them(text, mantissa, exponent):
    (product,) = Expression.parse(text).products
    assert (product.mantissa, product.exponent) == (mantissa, exponent)
    assert product == Product(mantissa, exponent, "x0")


REJECTED = [
    ("x1**2*y0", "power '**'", "x1*x1"),
    ("x1^2*y0", "power 'x1^2'", "x1*x1"),
    ("12^3*x0", "power '12^3'", "2^k"),
    ("2^2^2*x0", "power '2^2^2'", "2^k"),
    ("(2*x1)*y0", "'(2*x1)'", "scalings stand in front"),
    ("x0*(x1 + y1)", "'(x1+y1)'", "one variable and one whole number"),
    ("x0*(x1 + 2 + 3)", "'(x1+2+3)'", "one variable and one whole number"),
    ("x0*(2*3)", "'(2*3)'", "one variable"),
    ("x0*()", "'()'", "one variable"),
    ("x0*(-x1)", "'(-x1)'", "sign in front of the product"),
    ("(x0)*y0", "'(x0)'", "without brackets"),
    ("x0*sgn(-w)", "negative variable", "sgn(w)"),
    ("x0*sgn(3 - w)", "negative variable", "sgn(w)"),
    ("x0*sgn(x1)", "sign of x1", "takes w, d or t"),
    ("x0*sgn(y0)", "sign of y0", "takes w, d or t"),
    ("x0*sgn(2)", "'sgn(2)'", "one variable"),
    ("x0*sgn(sgn(w))", "nested brackets", "one variable"),
    ("x0*((w + 1))", "nested brackets", "one variable"),
    ("u10*w", "clock u10", "u0..u9"),
    ("u*w", "clock u", "u0..u9"),
    ("x0*(u1 + 2)", "'u1': unknown symbol", "variables are x1 x2"),
    ("x0*(w + 2^-3)", "constant 2^-3 is not a whole number", "whole constants"),
    ("x0*(w + 0.125)", "'(w+0.125)'", "whole number"),
    ("x0*(w + 128)", "constant added to w: 128", "-128..127"),
    ("x0*(x1 - 129)", "constant added to x1: -129", "-128..127"),
    ("x0*(w + 2^999999999)", "constant 2^999999999", "-128..127"),
    ("x0*(y0 + 1)", "constant added to y0: 1", "-2..0"),
    ("2^-8*x0", "coefficient: 1*2^-8", "e in -7..8"),
    ("4*2^-8*x0", "coefficient: 4*2^-8", "e in -7..8"),
    ("2^9*x0", "coefficient: 1*2^9", "e in -7..8"),
    ("9*x0", "coefficient: 9*2^0", "m in -8..7"),
    ("-9*x0", "coefficient: -9*2^0", "m in -8..7"),
    ("8*2^8*x0", "coefficient: 8*2^8", "m in -8..7"),
    ("0*x0", "coefficient: 0*2^0", "not 0"),
    ("0.5*x0", "decimal number '0.5'", "m*2^e"),
    (".5*x0", "decimal number '.5'", "m*2^e"),
    ("1e-3*x0", "decimal number '1e-3'", "m*2^e"),
    ("007*x0", "number '007'", "leading zeros"),
    ("12345678901*x0", "number '12345678901'", "below 10^9"),
    ("x0/2", "division: 'x0/2'", "2^-k"),
    ("x1*w", "no dependency", "x0, y0, u0..u9"),
    ("3", "no dependency", "x0, y0, u0..u9"),
    ("(x0 - 1)*w", "no dependency", "x0, y0, u0..u9"),
    ("x0*foo", "'foo': unknown symbol", "variables are x1 x2 y1 y2 y3 w d t"),
    ("x0*x3", "'x3': unknown symbol", "variables are"),
    ("x0*X1", "'X1': unknown symbol", "variables are"),
    ("x1 y0", "no operator between 'x1' and 'y0'", "x1*y0"),
    ("u1 0*w", "no operator between 'u1' and '0'", "u1*0"),
    ("2x0", "'2x0' is not a factor", "joined by *"),
    ("x0(w + 1)", "'x0(w+1)' is not a factor", "joined by *"),
    ("x0*-2*y0", "sign inside a product: '-2'", "in front of the product"),
    ("x0*y1 - -y0*x1", "sign '-' with no product", "one sign each"),
    ("--x0", "sign '-' with no product", "one sign each"),
    ("x0 +", "sign '+' with no product", "one sign each"),
    ("x0*", "'*' with nothing on one side", "single *"),
    ("*x0", "'*' with nothing on one side", "single *"),
    ("x0*u1*w", "u1 after x0", "u1*x0"),
    ("u1*u1*w", "u1 and u1", "one clock"),
    ("u1*u2*w", "u1 and u2", "one clock"),
    ("u1*w - u2*t", "clocks u1, u2", "one K"),
    ("x0*(w", "unbalanced brackets", "a ) for every ("),
    ("x0)*(w", "unbalanced brackets", "a ) for every ("),
    ("x0 & y1", "character '&'", "names, whole numbers"),
    ("x0 = y1", "character '='", "names, whole numbers"),
    ("x0*y\u0661", "character '\u0661'", "names, whole numbers"),
    ("", "empty", "at least one product"),
    (" \n", "empty", "at least one product"),
]


@pytest.mark.parametrize(("text", "value", "allowed"), REJECTED)
def test_rejected_forms_name_the_finding_and_the_way_out(text, value, allowed):
    with pytest.raises(InvalidInputError) as caught:
        Expression.parse(text, where="dw")
    (problem,) = caught.value.problems
    assert problem.where.startswith("dw")
    assert value in problem.value
    assert allowed in problem.allowed


def test_problem_names_the_product_it_is_in():
    with pytest.raises(InvalidInputError) as caught:
        Expression.parse("x0*y1 - 2^-8 * y0*x1", where="dt")
    (problem,) = caught.value.problems
    assert problem.where == "dt, product '-2^-8*y0*x1'"


def test_all_findings_come_at_once():
    with pytest.raises(InvalidInputError) as caught:
        Expression.parse("x0*foo*x1^2 + w - 9*y0*(w + 300) + x0*y1 + 2^-9*u1")
    assert [problem.value.split()[0] for problem in caught.value.problems] == [
        "factor",
        "power",
        "no",
        "constant",
        "coefficient:",
        "coefficient:",
    ]


def test_text_must_be_text():
    with pytest.raises(InvalidInputError, match="text such as"):
        Expression.parse(3)


def test_lava_text_has_no_blanks_and_leads_with_the_dependency():
    expression = Expression.parse("y1*x0*2^-2 - w*3*y0*(4 - t)")
    assert expression.lava() == "2^-2*x0*y1+3*y0*w*(t-4)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Expression(()), "no products"),
        (lambda: Expression((Product(1, 0, "u1"), Product(1, 0, "u2"))), "clocks u1, u2"),
        (lambda: Product(1, 0, "x1"), "dependency: 'x1'"),
        (lambda: Product(1, 0, "u"), "dependency: 'u'"),
        (lambda: Product(0.5, 0, "x0"), "0.5"),
        (lambda: Product(True, 0, "x0"), "True"),
        (lambda: Product(1, 9, "x0"), "2\\^9"),
        (lambda: Product(1, 0, "x0", ("x1",)), "factors: 'x1'"),
        (lambda: Expression(("x0",)), "expression: 'x0'"),
        (lambda: Factor("z"), "unknown symbol"),
        (lambda: Factor("u1"), "unknown symbol"),
        (lambda: Factor("w", 1.5), "1.5"),
        (lambda: Factor("y1", sgn=True), "sign of y1"),
    ],
)
def test_types_check_themselves(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_values_are_hashable_and_frozen():
    product = Product(3, -4, "x0", [Factor("w", 1)])
    assert hash(Expression([product])) == hash(Expression((product,)))
    with pytest.raises(AttributeError):
        product.mantissa = 2
