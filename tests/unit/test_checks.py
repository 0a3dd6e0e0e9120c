import numpy as np
import pytest

from lava_align.compiler.checks import check, overall, raise_violations, violations
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.targets import available_targets, load_target

LOIHI1 = load_target("loihi1")
LOIHI2 = load_target("loihi2")
ALL_KNOWN = """
[limits.products_per_rule]
value = 20
severity = "error"
evidence = "estimate"
source = "test"
[limits.learning_rules_per_core]
value = 8
severity = "error"
evidence = "estimate"
source = "test"
[learning.trace_tau]
value = { min = 0, max = 1000 }
severity = "error"
evidence = "estimate"
source = "test"
"""


def program(neuron=None, synapse=None, learning=None, size=3):
    """Three inputs onto three neurons, with some fields replaced."""
    neuron_fields = {"du": 400, "dv": 200, "vth": 100, "bias_mant": np.zeros(size)}
    synapse_fields = {"weights": np.full((size, 3), 4), "learning": learning}
    return Program(
        target="loihi1",
        dt=1e-3,
        n_steps=10,
        inputs=(InputGroup(name="in", size=3),),
        neurons=(NeuronGroup(name="a", size=size, **(neuron_fields | (neuron or {}))),),
        synapses=(Synapses(name="s", pre="in", post="a", **(synapse_fields | (synapse or {}))),),
    )


def rule(text="2^-2*x0*y1", **changes):
    fields = {"dw": Expression.parse(text), "y1": Trace(impulse=16, tau=20), **changes}
    return LearningRule(**fields)


def only(checks, key):
    """Return the one check of a fact."""
    (found,) = (entry for entry in checks if entry.id == key)
    return found


@pytest.fixture
def target_with(tmp_path):
    """Loihi 1 with facts replaced."""

    def write(**facts):
        text = 'id = "other"\nextends = "loihi1"\n'
        for key, value in facts.items():
            text += (
                f"[{key.replace('__', '.')}]\nvalue = {value}\n"
                'severity = "error"\nevidence = "estimate"\nsource = "the test"\n'
            )
        path = tmp_path / "other.toml"
        path.write_text(text)
        return load_target(path)

    return write


# --- number formats of neurons and synapses: just inside, just outside -------------------------

INSIDE_OUTSIDE = [
    ("number.du", {"neuron": {"du": 0}}, {"neuron": {"du": -1}}, "a.du", "tau_syn"),
    ("number.du", {"neuron": {"du": 4095}}, {"neuron": {"du": 4096}}, "a.du", "tau_syn"),
    ("number.dv", {"neuron": {"dv": 0}}, {"neuron": {"dv": -1}}, "a.dv", "tau_m"),
    ("number.dv", {"neuron": {"dv": 4095}}, {"neuron": {"dv": 4096}}, "a.dv", "tau_m"),
    ("number.threshold", {"neuron": {"vth": 1}}, {"neuron": {"vth": -1}}, "a.vth", "scale"),
    (
        "number.threshold",
        {"neuron": {"vth": 131071}},
        {"neuron": {"vth": 131072}},
        "a.vth",
        "scale",
    ),
    (
        "number.bias_mantissa",
        {"neuron": {"bias_mant": [0, 0, 4095]}},
        {"neuron": {"bias_mant": [0, 0, 4096]}},
        "a.bias_mant",
        "raise bias_exp",
    ),
    (
        "number.bias_mantissa",
        {"neuron": {"bias_mant": [0, -4095, 0]}},
        {"neuron": {"bias_mant": [0, -4097, 0]}},
        "a.bias_mant",
        "raise bias_exp",
    ),
    (
        "number.bias_exponent",
        {"neuron": {"bias_exp": 7}},
        {"neuron": {"bias_exp": 8}},
        "a.",
        "scale",
    ),
    (
        "number.bias_exponent",
        {"neuron": {"bias_exp": 0}},
        {"neuron": {"bias_exp": -1}},
        "a.",
        "scale",
    ),
    (
        "number.weight_exponent",
        {"synapse": {"weight_exp": 7}},
        {"synapse": {"weight_exp": 8}},
        "s.weight_exp",
        "threshold",
    ),
    (
        "number.weight_exponent",
        {"synapse": {"weight_exp": -7}},
        {"synapse": {"weight_exp": -9}},
        "s.weight_exp",
        "threshold",
    ),
    (
        "number.weight_bits",
        {"synapse": {"weight_bits": 8}},
        {"synapse": {"weight_bits": 10}},
        "s.weight_bits",
        "width",
    ),
    (
        "number.weight_mixed",
        {"synapse": {"weights": np.full((3, 3), 254)}},
        {"synapse": {"weights": np.full((3, 3), 256)}},
        "s.weights",
        "raise the weight exponent",
    ),
    (
        "number.weight_mixed",
        {"synapse": {"weights": np.full((3, 3), -256)}},
        {"synapse": {"weights": np.full((3, 3), -258)}},
        "s.weights",
        "raise the weight exponent",
    ),
    (
        "number.weight_excitatory",
        {"synapse": {"weights": np.full((3, 3), 255), "sign_mode": "excitatory"}},
        {"synapse": {"weights": np.full((3, 3), 256), "sign_mode": "excitatory"}},
        "s.weights",
        "raise the weight exponent",
    ),
    (
        "number.weight_excitatory",
        {"synapse": {"weights": np.zeros((3, 3)), "sign_mode": "excitatory"}},
        {"synapse": {"weights": np.full((3, 3), -1), "sign_mode": "excitatory"}},
        "s.weights",
        "sign mode mixed",
    ),
    (
        "number.weight_inhibitory",
        {"synapse": {"weights": np.full((3, 3), -255), "sign_mode": "inhibitory"}},
        {"synapse": {"weights": np.full((3, 3), -257), "sign_mode": "inhibitory"}},
        "s.weights",
        "raise the weight exponent",
    ),
    (
        "number.weight_inhibitory",
        {"synapse": {"weights": np.zeros((3, 3)), "sign_mode": "inhibitory"}},
        {"synapse": {"weights": np.full((3, 3), 1), "sign_mode": "inhibitory"}},
        "s.weights",
        "sign mode mixed",
    ),
    (
        "packing.weight_grid_bits",
        {"synapse": {"weights": [[2, -4, 0]] * 3}},
        {"synapse": {"weights": [[2, -3, 0]] * 3}},
        "s.weights",
        "round the weights",
    ),
    (
        "packing.weight_grid_bits",
        {"synapse": {"weights": [[8, -16, 0]] * 3, "weight_bits": 6}},
        {"synapse": {"weights": [[8, -12, 0]] * 3, "weight_bits": 6}},
        "s.weights",
        "round the weights",
    ),
    (
        "packing.weight_grid_bits",
        {"synapse": {"weights": [[1, 3, 0]] * 3, "sign_mode": "excitatory"}},
        {"synapse": {"weights": [[1, 3, 0]] * 3, "sign_mode": "mixed"}},
        "s.weights",
        "round the weights",
    ),
]


@pytest.mark.parametrize(("key", "inside", "outside", "where", "hint"), INSIDE_OUTSIDE)
def test_number_formats(key, inside, outside, where, hint):
    assert only(check(program(**inside), LOIHI1), key).verdict == "pass"
    failed = only(check(program(**outside), LOIHI1), key)
    assert failed.verdict == "fail"
    assert where in failed.object
    assert hint in failed.hint
    with pytest.raises(ConstraintViolationError, match=key) as caught:
        raise_violations([failed])
    (problem,) = caught.value.problems
    assert where in problem.where
    assert problem.value == str(failed.value)
    assert failed.limit in problem.allowed
    assert failed.hint in problem.allowed


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("number.weight_exponent", {"synapse": {"weight_exp": -8}}),
        ("number.bias_mantissa", {"neuron": {"bias_mant": [0, -4096, 0]}}),
        ("number.threshold", {"neuron": {"vth": 0}}),
        ("number.weight_bits", {"synapse": {"weight_bits": 7, "weights": np.full((3, 3), 4)}}),
        (
            "number.weight_inhibitory",
            {"synapse": {"weights": np.full((3, 3), -256), "sign_mode": "inhibitory"}},
        ),
    ],
)
def test_where_sources_disagree_the_verdict_is_advisory(key, change):
    found = only(check(program(**change), LOIHI1), key)
    assert found.verdict == "advisory"
    assert "other sources" in found.limit
    assert ";" in found.source
    assert violations(check(program(**change), LOIHI1)) == ()


def test_a_range_check_names_the_value_that_breaks_it():
    weights = np.array([[2, 4, 300], [2, -258, 0], [0, 0, 0]])
    found = only(check(program(synapse={"weights": weights}), LOIHI1), "number.weight_mixed")
    assert found.value in (300, -258)
    assert found.limit == "-256..254"


def test_the_grid_of_one_bit_weights():
    weights = [[256, -256, 0]] * 3
    synapse = {"weights": weights, "weight_bits": 1}
    assert only(check(program(synapse=synapse), LOIHI1), "packing.weight_grid_bits").limit == (
        "multiples of 256"
    )


# --- learning rules ------------------------------------------------------------------------------


def test_a_two_factor_rule_passes_as_far_as_is_known():
    checks = check(program(learning=rule()), LOIHI1)
    assert violations(checks) == ()
    unverified = {entry.id for entry in checks if entry.verdict == "unverified"}
    assert unverified == {
        "learning.trace_tau",
        "limits.products_per_rule",
        "limits.learning_rules_per_core",
    }
    assert overall(checks) == "PASS (3 limits unverified)"


def test_a_third_factor_is_refused_on_loihi_1_alone():
    learning = LearningRule(dw=Expression.parse("2^-3*x0*y1"), third_factor=True)
    found = only(check(program(learning=learning), LOIHI1), "learning.third_factor")
    assert (found.verdict, found.limit, found.value) == ("fail", "no", True)
    assert "two-factor variant" in found.hint
    assert "loihi2" in found.hint
    accepted = only(check(program(learning=learning), LOIHI2), "learning.third_factor")
    assert accepted.verdict == "pass"


@pytest.mark.parametrize(
    ("fact", "inside", "outside", "where"),
    [
        ("learning__mantissa", rule("3*2^-2*x0*y1"), rule("4*2^-2*x0*y1"), "mantissas"),
        ("learning__mantissa", rule("-4*2^-2*x0*y1"), rule("-5*2^-2*x0*y1"), "mantissas"),
        ("learning__exponent", rule("2^-4*x0*y1"), rule("2^-5*x0*y1"), "exponents"),
        ("learning__exponent", rule("2^3*x0*y1"), rule("2^4*x0*y1"), "exponents"),
        ("learning__constant", rule("x0*(y1 + 3)"), rule("x0*(y1 + 4)"), "constants"),
        ("learning__decimation", rule("u3*y1"), rule("u4*y1"), "clock u4"),
        ("learning__epoch", rule(t_epoch=3), rule(t_epoch=4), "t_epoch"),
        (
            "learning__impulse",
            rule(y1=Trace(impulse=3, tau=20)),
            rule(y1=Trace(impulse=4, tau=20)),
            "y1.impulse",
        ),
        ("learning__trace_tau", rule(y1=Trace(tau=3)), rule(y1=Trace(tau=4)), "y1.tau"),
    ],
)
def test_formats_of_the_learning_engine(target_with, fact, inside, outside, where):
    target = target_with(**{fact: "{ min = -4, max = 3 }"})
    key = fact.replace("__", ".")
    assert only(check(program(learning=inside), target), key).verdict == "pass"
    failed = only(check(program(learning=outside), target), key)
    assert failed.verdict == "fail"
    assert where in failed.object
    assert failed.object.startswith("synapses.s.learning")
    assert failed.hint


@pytest.mark.parametrize(
    ("fact", "inside", "outside"),
    [
        ("learning__pre_traces", "u0*x1*y1", "u0*x1*x2*y1"),
        ("learning__post_traces", "x0*y1", "x0*y1*y2"),
        ("limits__products_per_rule", "x0*y1", "x0*y1 - x0*w"),
    ],
)
def test_counts_of_the_learning_engine(target_with, fact, inside, outside):
    target = target_with(**{fact: 1})
    key = fact.replace("__", ".")
    assert only(check(program(learning=rule(inside)), target), key).verdict == "pass"
    assert only(check(program(learning=rule(outside)), target), key).verdict == "fail"


@pytest.mark.parametrize(
    ("width", "verdict"),
    [("{ min = -256, max = 255 }", "pass"), ("{ min = -128, max = 127 }", "fail")],
)
def test_a_tag_needs_all_its_bits(target_with, width, verdict):
    target = target_with(learning__tag=width)
    learning = rule(dt=Expression.parse("x0*y1"))
    assert only(check(program(learning=learning), target), "learning.tag").verdict == verdict


def test_a_rule_without_a_tag_is_not_asked_about_it():
    assert not [c for c in check(program(learning=rule()), LOIHI2) if c.id == "learning.tag"]


def test_sources_disagree_on_the_tag_of_loihi_2():
    learning = rule(dt=Expression.parse("x0*y1"))
    assert only(check(program(learning=learning), LOIHI2), "learning.tag").verdict == "advisory"


def test_every_product_counts_for_the_range_of_coefficients(target_with):
    target = target_with(learning__exponent="{ min = -4, max = 3 }")
    learning = rule("2^-2*x0*y1", dt=Expression.parse("2^-7*x0*y1"))
    failed = only(check(program(learning=learning), target), "learning.exponent")
    assert (failed.verdict, failed.value) == ("fail", -7)


def test_post_traces_of_a_three_factor_rule_have_no_impulse_to_check():
    learning = LearningRule(dw=Expression.parse("2^-3*x0*y1"), third_factor=True)
    ids = {entry.id for entry in check(program(learning=learning), LOIHI2)}
    assert "learning.post_traces" in ids
    assert "learning.impulse" not in ids


# --- capacities ----------------------------------------------------------------------------------


def test_capacities_are_checked_under_the_placement():
    checks = check(program(), LOIHI1)
    found = only(checks, "limits.compartments_per_core")
    assert (found.object, found.value, found.limit) == ("core 0 with a[0:3]", 3, "1024")
    assert found.source.startswith("Davies 2018")
    assert only(checks, "topology.cores_per_chip").value == 1


@pytest.mark.parametrize(("axons", "verdict"), [(3, "pass"), (2, "fail")])
def test_a_capacity_that_runs_out(target_with, axons, verdict):
    target = target_with(limits__in_axons_per_core=axons)
    checks = check(program(size=1), target)
    found = only(checks, "limits.in_axons_per_core")
    assert (found.value, found.verdict) == (3, verdict)
    assert "fan-in" in found.hint


@pytest.mark.parametrize(("size", "verdict"), [(128, "pass"), (129, "fail")])
def test_more_cores_than_there_are(target_with, size, verdict):
    target = target_with(limits__compartments_per_core=1)
    found = only(check(program(size=size), target), "topology.cores_per_chip")
    assert (found.value, found.verdict) == (size, verdict)


def test_axons_of_loihi_2_are_unverified():
    checks = check(program(), LOIHI2)
    found = only(checks, "limits.in_axons_per_core")
    assert (found.verdict, found.limit, found.evidence) == ("unverified", "unknown", "unknown")
    assert overall(checks).startswith("PASS (")
    assert overall(checks).endswith("limits unverified)")


def test_memory_on_loihi_2_is_an_estimate():
    found = only(check(program(), LOIHI2), "limits.synapse_memory_bits_per_core")
    assert (found.verdict, found.evidence) == ("pass", "estimate")


# --- the whole -----------------------------------------------------------------------------------


def test_a_static_network_within_known_limits_passes():
    checks = check(program(), LOIHI1)
    assert overall(checks) == "PASS"
    raise_violations(checks)


def test_one_unknown_limit_forbids_a_plain_pass(tmp_path):
    path = tmp_path / "known.toml"
    path.write_text('id = "known"\nextends = "loihi1"\n' + ALL_KNOWN)
    plastic = program(learning=rule())
    assert overall(check(plastic, load_target(path))) == "PASS"
    head, _, rest = ALL_KNOWN.partition("[learning.trace_tau]")
    assert rest
    path.write_text('id = "known"\nextends = "loihi1"\n' + head)
    assert overall(check(plastic, load_target(path))) == "PASS (1 limit unverified)"


def test_all_violations_are_raised_at_once():
    broken = program(
        neuron={"du": 5000, "vth": 200_000},
        synapse={"weights": np.full((3, 3), 301), "weight_exp": 9},
    )
    checks = check(broken, LOIHI1)
    assert overall(checks) == "FAIL (5 violations)"
    with pytest.raises(ConstraintViolationError) as caught:
        raise_violations(checks)
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    for words in ("neurons.a.du", "5000", "0..4095", "200000", "synapses.s.weight_exp", "301"):
        assert words in text


def test_an_unverified_limit_counts_once_however_often_it_is_touched():
    checks = check(program(learning=rule("x0*y1 - x0*y2")), LOIHI1)
    assert len([entry for entry in checks if entry.id == "learning.trace_tau"]) == 2
    assert overall(checks) == "PASS (3 limits unverified)"


def test_one_violation_is_not_plural():
    assert overall(check(program(neuron={"du": 5000}), LOIHI1)) == "FAIL (1 violation)"


@pytest.mark.parametrize("name", available_targets())
def test_every_check_carries_source_hint_and_plain_data(name):
    learning = rule("2^-2*x0*y1 - u3*w", dt=Expression.parse("x0*(y1 - 2)"))
    checks = check(program(learning=learning), load_target(name))
    assert len(checks) > 25
    for entry in checks:
        assert entry.source, entry.id
        assert entry.hint, entry.id
        assert type(entry.value) in (int, str, bool), entry.id
        assert (entry.verdict == "unverified") == (entry.evidence == "unknown"), entry.id
