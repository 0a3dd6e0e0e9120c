import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_align.compiler.demand import list_bits
from lava_align.compiler.place import fill, place
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.targets import load_target

SMALL = """
id = "small"
extends = "loihi1"
"""
LIMITS = {
    "limits.compartments_per_core": 12,
    "limits.synapse_memory_bits_per_core": 4096,
    "limits.in_axons_per_core": 40,
    "limits.out_axons_per_core": 30,
    "limits.threshold_profiles_per_core": 2,
    "limits.synapse_formats_per_core": 4,
}
RULES = (
    None,
    LearningRule(dw=Expression.parse("2^-2*x0*y1"), y1=Trace(impulse=16, tau=20)),
    LearningRule(dt=Expression.parse("x0*y1"), y1=Trace(impulse=16, tau=20), t_epoch=2),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A chip so small that little programs run into every limit."""
    path = tmp_path_factory.mktemp("targets") / "small.toml"
    facts = "".join(
        f'[{key}]\nvalue = {value}\nseverity = "error"\nevidence = "estimate"\nsource = "test"\n'
        for key, value in LIMITS.items()
    )
    path.write_text(SMALL + facts)
    return load_target(path)


@st.composite
def programs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    neurons = tuple(
        NeuronGroup(
            name=f"n{i}", size=size, du=1, dv=1, vth=draw(st.integers(1, 3)), bias_mant=[0] * size
        )
        for i, size in enumerate(draw(st.lists(st.integers(1, 30), min_size=1, max_size=4)))
    )
    inputs = (InputGroup(name="in", size=draw(st.integers(1, 60))),)
    synapses = []
    for i in range(draw(st.integers(0, 5))):
        pre, post = draw(st.sampled_from((*inputs, *neurons))), draw(st.sampled_from(neurons))
        dense = rng.random((post.size, pre.size)) < draw(st.sampled_from((0.0, 0.1, 0.5, 1.0)))
        synapses.append(
            Synapses(
                name=f"s{i}",
                pre=pre.name,
                post=post.name,
                weights=2 * dense,
                weight_exp=draw(st.integers(-2, 2)),
                learning=draw(st.sampled_from(RULES)),
            )
        )
    return Program(
        target="small", dt=1e-3, n_steps=1, inputs=inputs, neurons=neurons, synapses=tuple(synapses)
    )


def homes(program, placement):
    """Group and neuron to core, one by one."""
    found = {}
    for core in placement.cores:
        for piece in core.pieces:
            for neuron in range(piece.start, piece.stop):
                assert (piece.group, neuron) not in found, "placed twice"
                found[piece.group, neuron] = core.index
    return found


@settings(deadline=None, max_examples=40)
@given(programs())
def test_every_neuron_is_in_exactly_one_core(small, program):
    found = homes(program, fill(program, small))
    assert set(found) == {(g.name, i) for g in program.neurons for i in range(g.size)}


@settings(deadline=None, max_examples=40)
@given(programs())
def test_a_placement_keeps_every_limit_or_is_refused(small, program):
    placement = fill(program, small)
    kept = all(
        amount <= max(values)
        for core in placement.cores
        for name, amount in core.used.items()
        if (values := getattr(small.limits, name).values)
    )
    if kept and len(placement.cores) <= small.cores:
        assert place(program, small) == placement
    else:
        with pytest.raises(ConstraintViolationError, match="at most"):
            place(program, small)


@settings(deadline=None, max_examples=40)
@given(programs())
def test_only_single_neurons_are_refused(small, program):
    """A core that is overfull holds one neuron: anything larger could have been cut."""
    for core in fill(program, small).cores:
        over = [
            name
            for name, amount in core.used.items()
            if (values := getattr(small.limits, name).values) and amount > max(values)
        ]
        if over:
            assert sum(piece.stop - piece.start for piece in core.pieces) == 1


@settings(deadline=None, max_examples=40)
@given(programs())
def test_use_equals_a_count_neuron_by_neuron(small, program):
    placement = fill(program, small)
    found = homes(program, placement)
    n_cores = len(placement.cores)
    compartments = [0] * n_cores
    for core in found.values():
        compartments[core] += 1
    sources = [set() for _ in range(n_cores)]
    plastic = [set() for _ in range(n_cores)]
    for synapses in program.synapses:
        stored = np.ones_like(synapses.weights) if synapses.learning else synapses.weights
        for post, pre in zip(*np.nonzero(stored), strict=True):
            core = found[synapses.post, int(post)]
            sources[core].add((synapses.pre, int(pre)))
            if synapses.learning:
                plastic[core].add((synapses.pre, int(pre)))
    senders = [0] * n_cores
    for core in range(n_cores):
        for source in sources[core]:
            if source in found:
                senders[found[source]] += 1
    for core in placement.cores:
        i = core.index
        assert core.used["compartments_per_core"] == compartments[i]
        assert core.used["in_axons_per_core"] == len(sources[i]) + len(plastic[i])
        assert core.used["out_axons_per_core"] == senders[i]


@given(st.integers(0, 3000), st.integers(1, 30))
def test_list_memory_is_the_sum_over_its_blocks(count, bits):
    packing = load_target("loihi1").packing
    expected = 0
    for start in range(0, count, 64):
        needed = min(64, count - start) * bits + 10
        expected += needed + -needed % 64
    assert int(list_bits(np.array(count), bits, packing)) == expected
