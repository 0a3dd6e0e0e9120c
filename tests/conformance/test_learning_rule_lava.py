"""What Lava 0.10.0 reads in the strings we emit, and what its fixed-point model makes of them."""

import random
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from lava_align.backends.lava_shim import import_lava
from lava_align.errors import InvalidInputError, MissingDependencyError
from lava_align.learning_rule import Expression, Factor, LearningRule, Product, Trace

pytestmark = pytest.mark.lava

TRACES = ("x1", "x2", "y1", "y2", "y3")
N_RULES = 300


@pytest.fixture(scope="module")
def lava():
    try:
        import_lava()
    except MissingDependencyError as error:
        pytest.skip(f"lava-nc is not installed: {error}")
    rules = import_module("lava.magma.core.learning.learning_rule")
    appliers = import_module("lava.magma.core.learning.learning_rule_applier")
    return SimpleNamespace(
        two=rules.Loihi2FLearningRule,
        three=rules.Loihi3FLearningRule,
        applier=appliers.LearningRuleApplierBitApprox,
    )


def random_factor(rng):
    kind = rng.choice(["trace", "synaptic", "sgn", "spike"])
    if kind == "spike":
        return Factor(rng.choice(["x0", "y0"]), rng.choice([0, 0, -1, -2]))
    names = TRACES if kind == "trace" else ("w", "d", "t")
    constant = rng.choice([0, 0, rng.randint(-128, 127)])
    return Factor(rng.choice(names), constant, sgn=kind == "sgn")


def random_product(rng, clock, longest=4):
    mantissa, exponent = rng.choice([*range(-7, 0), *range(1, 8)]), rng.randint(-7, 8)
    if rng.random() < 0.05:
        mantissa, exponent = -8, 8
    factors = tuple(random_factor(rng) for _ in range(rng.randint(0, longest)))
    return Product(mantissa, exponent, rng.choice(["x0", "y0", f"u{clock}"]), factors)


def random_rule(seed):
    rng = random.Random(seed)
    clock = rng.randint(0, 9)
    third = rng.random() < 0.5
    targets = rng.sample(("dw", "dd", "dt"), rng.randint(1, 3))
    return LearningRule(
        **{
            target: Expression([random_product(rng, clock) for _ in range(rng.randint(1, 4))])
            for target in targets
        },
        **{
            name: Trace(rng.randint(0, 127), rng.randint(0, 200))
            for name in (TRACES[:2] if third else TRACES)
        },
        t_epoch=rng.randint(1, 63),
        third_factor=third,
    )


def build(lava, rule):
    """The rule as Lava's own object."""
    names = TRACES[:2] if rule.third_factor else TRACES
    traces = {}
    for name in names:
        trace = getattr(rule, name)
        traces |= {f"{name}_impulse": trace.impulse, f"{name}_tau": trace.tau}
    texts = {target: expression.lava() for target, expression in rule.expressions.items()}
    cls = lava.three if rule.third_factor else lava.two
    return cls(**texts, **traces, t_epoch=rule.t_epoch, rng_seed=1)


def as_lava_holds_it(product):
    gate = "u" if product.decimation is not None else product.dependency
    factors = [(f.variable, f.constant, f.sgn) for f in product.factors]
    return gate, product.decimation, product.mantissa, product.exponent, factors


def as_lava_read_it(product):
    factors = [(f.state_var, f.const or 0, f.is_sgn) for f in product.factors]
    # Lava adds 7 to the exponent: its accumulator counts in 1/128.
    exponent = product.s_exp - 7
    return product.dependency, product.decimate_exponent, product.s_mantissa, exponent, factors


@pytest.mark.parametrize("block", range(10))
def test_lava_reads_exactly_the_products_meant(lava, block):
    for seed in range(block, N_RULES, 10):
        rule = random_rule(seed)
        theirs = build(lava, rule)
        assert set(theirs.active_product_series) == set(rule.expressions)
        for target, expression in rule.expressions.items():
            read = [as_lava_read_it(p) for p in theirs.active_product_series[target].products]
            assert read == [as_lava_holds_it(p) for p in expression.products], str(expression)
        assert theirs.decimate_exponent == rule.decimation


def test_the_random_rules_cover_the_language():
    rules = [random_rule(seed) for seed in range(N_RULES)]
    products = [p for rule in rules for e in rule.expressions.values() for p in e.products]
    assert {p.mantissa for p in products} == {-8, *range(-7, 8)} - {0}
    assert {p.exponent for p in products} == set(range(-7, 9))
    assert {rule.decimation for rule in rules} == {None, *range(10)}
    assert {f.variable for p in products for f in p.factors} == {*TRACES, *"wdt", "x0", "y0"}
    assert {rule.third_factor for rule in rules} == {True, False}


ACCEPTED = [
    "  x0 *y1",
    "(-2)*2^-3*x0*y1",
    "16*2^-9*x0",
    "x0*3*y1*2^-4",
    "x0*(64 - w)*(3 + t)",
    "-y0*(-w - 64)",
    "x0*(w + 3*2^2)",
    "x0*sgn(2 + t)",
    "y1*x0*y0 - u3*x0*w",
    "-8*2^8*x0 + x0",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_lava_reads_the_text_as_written_the_same_way(lava, text):
    read = [as_lava_read_it(p) for p in lava.two(dw=text).dw.products]
    assert read == [as_lava_holds_it(p) for p in Expression.parse(text).products]


MISREAD = [
    ("x1**2*y0", "2*y0*x1"),
    ("(2*x1)*y0", "y0*(x1 + 2)"),
    ("x0*sgn(-w)", "x0*sgn(w)"),
    ("x0*(-x1)", "x0*x1"),
    ("x0*(x1 + 2 + 3)", "x0*(x1 + 2)"),
    ("x0*(y0)*w", "x0*w"),
    ("x0*((w + 1))", "x0"),
    ("x0*-2*y0*w", "x0 - 2*y0*w"),
]


@pytest.mark.parametrize(("text", "meaning"), MISREAD)
def test_lava_misreads_what_we_reject(lava, text, meaning):
    with pytest.raises(InvalidInputError):
        Expression.parse(text)
    read = [as_lava_read_it(p) for p in lava.two(dw=text).dw.products]
    assert read == [as_lava_holds_it(p) for p in Expression.parse(meaning).products]


def apply(lava, product, values):
    """Lava's change of one synapse for one product, in 1/128."""
    series = lava.two(dw=Expression((product,)).lava()).dw
    arguments = {
        "shape": (1, 1),
        "u": 1,
        "x0": np.ones((1, 1), dtype=np.int32),
        "y0": np.ones((1, 1), dtype=np.int32),
        "weights": np.array([[values["w"]]], dtype=np.int32),
        "tag_2": np.array([[values["d"]]], dtype=np.int32),
        "tag_1": np.array([[values["t"]]], dtype=np.int32),
    }
    for trace in TRACES:
        for gate in ("x0", "y0", "u"):
            arguments[f"{trace}_{gate}"] = np.array([[values[trace]]], dtype=np.int32)
    change = lava.applier(series).apply(np.zeros((1, 1), dtype=np.int32), **arguments)
    return int(change[0, 0])


def value(product, values):
    """Factors times mantissa in whole numbers of any size."""
    result = product.mantissa
    for factor in product.factors:
        v = values.get(factor.variable, 1) + factor.constant
        # Lava clips to the width, and -2^width is let through.
        v = max(-(2**factor.width), min(v, 2**factor.width - 1))
        result *= int(np.sign(v)) if factor.sgn else v
    return result


@pytest.mark.parametrize(
    ("text", "shift", "change"),
    [
        ("y0*x1", 0, 8 * 128),
        ("y0*w", 0, 4 * 128),
        ("y0*x1*x2", 3, 8 * 128),
        ("y0*x1*w", 5, 1 * 128),
        ("y0*sgn(w)*x1", 5, 0),
        ("y0*x1*x2*y1", 10, 0),
        ("y0*w*w", 7, 0),
        ("y0*w*w*x1", 14, 0),
        ("4*y0*x0*x1*x2", 4, 16 * 128),
        # t*y1 is 64 >> 5; t*y1*y2 is 512 >> 12, which a negative sign floors to -1.
        ("-2^-7*y0*t*y1", 5, -2),
        ("2^8*y0*t*y1*y2", 12, 0),
        ("-2^-7*y0*t*y1*y2", 12, -1),
    ],
)
def test_table_of_shifts(lava, text, shift, change):
    values = dict.fromkeys(TRACES, 8) | {"w": 4, "d": 4, "t": 8}
    (product,) = Expression.parse(text).products
    (row,) = LearningRule(dw=Expression((product,))).effective_coefficients()
    assert row.shift == shift
    assert apply(lava, product, values) == change


@pytest.mark.parametrize(
    "text",
    ["2^-3*y0*x1", "-3*2^-4*x0*x1*x2", "2^-2*y0*x1*w", "-2^-5*x0*x1*y1*y2", "u0*t*y1*y1*2^-6"],
)
def test_effective_coefficient_is_exact_where_no_bits_are_lost(lava, text):
    values = dict.fromkeys(TRACES, 64) | {"w": 128, "d": 128, "t": 128}
    (product,) = Expression.parse(text).products
    (row,) = LearningRule(dw=Expression((product,))).effective_coefficients()
    factors = value(product, values) // product.mantissa
    assert apply(lava, product, values) == row.effective * factors * 128


def test_effective_coefficient_predicts_the_fixed_point_model(lava):
    floored = wrapped = 0
    for seed in range(600):
        rng = random.Random(seed)
        product = random_product(rng, clock=0, longest=6)
        values = {name: rng.randint(0, 127) for name in TRACES} | {
            "w": rng.randint(-256, 255),
            "d": rng.randint(0, 255),
            "t": rng.randint(-256, 255),
        }
        (row,) = LearningRule(dw=Expression((product,))).effective_coefficients()
        mac = value(product, values)
        in_32_bits = (mac + 2**31) % 2**32 - 2**31
        step = 2 ** (product.exponent + 7)
        change = max(-(2**15) - 1, min((in_32_bits >> row.shift) * step, 2**15 - 1))
        assert apply(lava, product, values) == change, (row, values)
        if in_32_bits != mac:
            wrapped += 1
            assert row.may_wrap, row
            continue
        exact = row.effective * mac / product.mantissa * 128
        if abs(exact) < 2**15 - step:
            assert exact - step < change <= exact
            if mac < 0 and change != exact:
                floored += 1
                assert row.floors, row
    assert floored > 20
    assert wrapped > 5


@pytest.mark.parametrize(("mantissa", "wraps"), [(4, False), (5, True), (7, True)])
def test_four_large_factors_wrap_from_mantissa_five(lava, mantissa, wraps):
    product = Product(mantissa, 0, "y0", tuple(map(Factor, ("x1", "x2", "y1", "w"))))
    (row,) = LearningRule(dw=Expression((product,))).effective_coefficients()
    assert row.may_wrap is wraps
    change = apply(lava, product, dict.fromkeys(TRACES, 127) | {"w": 254, "d": 0, "t": 0})
    assert (change < 0) is wraps
