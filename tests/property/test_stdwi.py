"""Whatever the activity and the parameters: a valid rule, or an error that says why not."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.errors import ConstraintViolationError
from lava_align.learning_rule.arithmetic import effective_coefficient
from lava_align.rules import Sample, get_rule

STDWI = get_rule("stdwi")


@st.composite
def samples(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([1, 2, 3, 50, 301]))
    rates = st.sampled_from([0.0, 0.003, 0.1, 0.5, 1.0])
    pre = rng.random((steps, draw(st.integers(1, 4)))) < draw(rates)
    post = rng.random((steps, draw(st.integers(1, 4)))) < draw(rates)
    length = draw(st.sampled_from([1, 10, 10**4, 10**9]))
    return Sample(
        pre=pre, post=post, dt=draw(st.sampled_from([1e-4, 1e-3, 0.02])), n_steps=steps * length
    )


times = st.floats(1e-6, 10.0)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "tau_fast": times,
        "tau_slow": times,
        "eta": st.floats(1e-9, 1e3),
        "kappa": st.floats(0.0, 1e6),
    },
)


@given(samples(), parameters, st.sampled_from(["two-stage", "one-stage"]))
@settings(max_examples=150, deadline=None)
def test_lowering_gives_a_rule_or_says_why_not(sample, given_parameters, form):
    complete = STDWI.complete(given_parameters, "B.rule")
    steps = [max(1, round(complete[name] / sample.dt)) for name in ("tau_fast", "tau_slow")]
    # Sums over the grid of the two kernels, whose ratio the impulses must make good.
    fast, slow = (1.0 / (1.0 - math.exp(-1.0 / n)) for n in steps)
    if steps[0] >= steps[1] or slow > 127 * fast:
        with pytest.raises(ConstraintViolationError, match=r"B\.rule\.tau_"):
            STDWI.form(form).lower(complete, sample, "B.rule")
        return
    lowered = STDWI.form(form).lower(complete, sample, "B.rule")
    rule = lowered.learning
    json.dumps([asdict(q) for q in lowered.quantities], allow_nan=False)
    json.dumps(dict(lowered.predictions), allow_nan=False)
    assert lowered.weight_scale > 0
    assert 1 <= rule.y2.impulse <= 127
    assert 1 <= rule.y1.impulse <= 127
    assert 1 <= rule.y1.tau < rule.y2.tau
    for name in ("weight_clipping", "reliability", "trace_saturation"):
        assert 0.0 <= lowered.predictions[name] <= 1.0 + 1e-12
    assert lowered.predictions.get("tag_clipping", 0.0) >= 0.0
    assert lowered.predictions["rounding_noise"] >= 0.0
    leaks = [
        effective_coefficient("dw", p).effective
        for p in rule.dw.products
        if any(f.variable == "w" for f in p.factors)
    ]
    # A leak takes from the weight, and a spike by itself never turns it round.
    assert all(-0.5 <= leak * max(rule.x1.impulse, 1) < 0.0 for leak in leaks)
    assert len(leaks) <= (complete["kappa"] > 0)
