"""Replayed synapses against Lava's own learning models, which are fed the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lava_align.backends.lava_shim import import_lava, lava_version
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.replay.chip import without_neurons
from lava_align.testing import ENGINES, Case, first_difference, rules

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rule=rules(brief=True, two_factors=True),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_two_factor_rule_learns_from_given_spikes_as_lavas_models_do(rule, sizes, seed) -> None:
    import_lava()
    n_pre, n_post = sizes
    rng = np.random.default_rng(seed)
    synapses = Synapses(
        name="B",
        pre="upper",
        post="lower",
        weights=rng.integers(-128, 128, (n_post, n_pre)) * 2,
        learning=rule,
        rng_seed=seed % 100,
    )
    neurons = NeuronGroup(name="lower", size=n_post, du=0, dv=0, vth=10, bias_mant=np.zeros(n_post))
    program = Program(
        target="test",
        dt=1e-3,
        n_steps=40,
        inputs=(InputGroup(name="upper", size=n_pre),),
        neurons=(neurons,),
        synapses=(synapses,),
    )
    replayed = without_neurons(program).program
    sent = {
        group.name: (rng.random((40, group.size)) < 0.3).astype(np.int64)
        for group in replayed.inputs
    }
    case = Case(program=replayed, n_steps=40, inputs=sent, cut=0)
    assert first_difference(case, *(make(replayed) for make in ENGINES.values())) is None
