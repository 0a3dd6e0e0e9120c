from pathlib import Path

import numpy as np
import pytest

from lava_align.compiler.demand import bits_per_synapse, list_bits
from lava_align.compiler.place import Piece, fill, loads, place, utilisation
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.errors import ConstraintViolationError
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.targets import load_target

LOIHI1 = load_target("loihi1")
LOIHI2 = load_target("loihi2")
CORE_BITS = LOIHI1.limits.synapse_memory_bits_per_core.value


def group(name, size, **changes):
    fields = {"du": 400, "dv": 200, "vth": 100, "bias_mant": np.zeros(size), **changes}
    return NeuronGroup(name=name, size=size, **fields)


def synapses(pre, post, weights, name=None, **changes):
    return Synapses(
        name=name or f"{pre}_{post}", pre=pre, post=post, weights=np.asarray(weights), **changes
    )


def program(neurons, synapses=(), inputs=(), target="loihi1"):
    return Program(
        target=target,
        dt=1e-3,
        n_steps=1,
        inputs=tuple(InputGroup(name=n, size=s) for n, s in inputs),
        neurons=tuple(neurons),
        synapses=tuple(synapses),
    )


def rule(**changes):
    fields = {
        "dw": Expression.parse("2^-2*x0*y1"),
        "y1": Trace(impulse=16, tau=20),
        **changes,
    }
    return LearningRule(**fields)


@pytest.fixture
def narrow(tmp_path):
    """Loihi 1 with some of its limits lowered."""

    def write(**limits) -> object:
        path = Path(tmp_path) / "narrow.toml"
        path.write_text(
            'id = "narrow"\nextends = "loihi1"\n'
            + "".join(
                f"[{key.replace('__', '.')}]\nvalue = {value}\n"
                'severity = "error"\nevidence = "estimate"\nsource = "the test"\n'
                for key, value in limits.items()
            )
        )
        return load_target(path)

    return write


def pieces(placement):
    return [[str(piece) for piece in core.pieces] for core in placement.cores]


# --- synaptic memory: the table of Loihi 1 formats ---------------------------------------------


@pytest.mark.parametrize(
    ("bits", "per_short", "per_long", "per_core", "all_to_all"),
    [
        pytest.param(8, 12, 9, 115_712, 341, id="dense 8b"),
        pytest.param(6, 8, 7, 149_504, 384, id="dense 6b"),
        pytest.param(4, 8, 5, 208_896, 455, id="dense 4b"),
        pytest.param(1, 4, 2, 524_288, 712, id="dense 1b"),
        pytest.param(18, 20, 19, 54_272, 234, id="sparse 8b, 10b index"),
        pytest.param(24, 28, 25, 40_960, 204, id="sparse 8b, 6b delay, 10b index"),
        pytest.param(17, 20, 18, 57_344, 240, id="plastic dense 8b, 6b delay, 3b tag"),
        pytest.param(27, 28, 28, 36_864, 192, id="plastic sparse 8b, 6b delay, 3b tag, 10b index"),
    ],
)
def test_memory_of_synapse_lists(bits, per_short, per_long, per_core, all_to_all):
    short, block, long = list_bits(np.array([16, 64, 1024]), bits, LOIHI1.packing)
    assert short == 16 * per_short
    assert block == 64 * per_long
    assert CORE_BITS // long * 1024 == per_core
    n = np.arange(1, 1025)
    fits = n * list_bits(n, bits, LOIHI1.packing) <= CORE_BITS
    assert n[fits].max() == all_to_all
    # 64-bit blocks make use jump, but never shrink.
    assert fits[:all_to_all].all()


def test_an_empty_list_takes_no_memory():
    assert list_bits(np.array([0, 1]), 8, LOIHI1.packing).tolist() == [0, 64]


@pytest.mark.parametrize(
    ("weight_bits", "learning", "bits"),
    [
        (8, None, 8),
        (7, None, 8),
        (1, None, 1),
        (8, rule(), 8 + 3),
        (8, rule(dt=Expression.parse("2^-2*x0*y1")), 8 + 9),
        (8, rule(dw=Expression.parse("2^-2*u4*t")), 8 + 9),
        (8, rule(dd=Expression.parse("2^-2*x0*y1")), 8 + 6 + 3),
    ],
    ids=["8", "no 7-bit register", "1", "plastic", "dt", "t as factor", "dd"],
)
def test_bits_of_a_synapse(weight_bits, learning, bits):
    entry = synapses("a", "b", [[2]], weight_bits=weight_bits, learning=learning)
    assert bits_per_synapse(entry, LOIHI1) == bits


def used(neurons, synapses, resource, inputs=()):
    return fill(program(neurons, synapses, inputs), LOIHI1).cores[0].used[resource]


def test_a_dense_list_has_no_indices():
    weights = np.full((341, 341), 2)
    memory = used([group("a", 341)], [synapses("a", "a", weights)], "synapse_memory_bits_per_core")
    assert memory == 341 * int(list_bits(np.array(341), 8, LOIHI1.packing))


def test_zero_weights_of_static_synapses_are_not_stored():
    weights = 2 * np.eye(200, dtype=int)
    synapse = synapses("in", "a", weights)
    memory = used(
        [group("a", 200)], [synapse], "synapse_memory_bits_per_core", inputs=[("in", 200)]
    )
    # One synapse of 8 bits and an 8-bit index in a word of its own.
    assert memory == 200 * 64


def test_zero_weights_of_plastic_synapses_are():
    synapse = synapses("in", "a", np.zeros((200, 50)), learning=rule())
    memory = used([group("a", 200)], [synapse], "synapse_memory_bits_per_core", inputs=[("in", 50)])
    assert memory == 50 * int(list_bits(np.array(200), 8 + 3, LOIHI1.packing))


def test_the_smaller_of_a_dense_and_a_sparse_list_is_stored():
    weights = np.zeros((128, 2), dtype=int)
    weights[:100, 0] = 2  # dense: 2 * 576 = 1152; sparse: 15 bits, 1024 + 576
    weights[:10, 1] = 2  # dense: 1152; sparse: 192
    neurons, inputs = [group("a", 128)], [("in", 2)]
    entry = [synapses("in", "a", weights)]
    assert used(neurons, entry, "synapse_memory_bits_per_core", inputs) == 1152 + 192
    assert used(neurons, entry, "synapse_formats_per_core", inputs) == 2


# --- every limit: just fits, just does not -----------------------------------------------------


def test_compartments_just_fit_one_core():
    assert pieces(place(program([group("a", 1024)]), LOIHI1)) == [["a[0:1024]"]]


def test_one_compartment_too_many_takes_a_second_core():
    assert pieces(place(program([group("a", 1025)]), LOIHI1)) == [["a[0:1024]"], ["a[1024:1025]"]]


def test_loihi_2_cores_hold_more():
    assert len(place(program([group("a", 8192)]), LOIHI2).cores) == 1
    assert len(place(program([group("a", 8193)]), LOIHI2).cores) == 2


def test_all_cores_of_a_chip_just_suffice():
    assert len(place(program([group("a", 128 * 1024)]), LOIHI1).cores) == 128


def test_one_core_too_many():
    with pytest.raises(ConstraintViolationError) as caught:
        place(program([group("a", 128 * 1024 + 1)]), LOIHI1)
    (problem,) = caught.value.problems
    assert (problem.where, problem.value) == ("program", "129 cores per chip")
    assert problem.allowed.startswith("at most 128 (Davies 2018")
    assert "use a target with more cores" in problem.allowed


def test_neurons_per_chip_of_loihi_2():
    facts = {load.id: load for load in loads(*_placed(group("a", 5)), LOIHI2)}
    load = facts["limits.neurons_per_chip"]
    assert (load.used, load.fact.value) == (5, 1_048_576)


def _placed(*groups):
    prog = program(groups)
    return prog, fill(prog, LOIHI2)


def test_synaptic_memory_just_fits_one_core():
    # Four projections of 4,096 sources, one 64-bit word each, fill the memory to the last bit.
    entries = [synapses("in", "a", np.full((1, 4096), 2), name=f"p{i}") for i in range(4)]
    placement = place(program([group("a", 1)], entries, [("in", 4096)]), LOIHI1)
    assert placement.cores[0].used["synapse_memory_bits_per_core"] == CORE_BITS


def test_a_neuron_with_too_many_synapses_fits_nowhere():
    entries = [synapses("in", "a", np.full((1, 4096), 2), name=f"p{i}") for i in range(5)]
    with pytest.raises(ConstraintViolationError) as caught:
        place(program([group("a", 1)], entries, [("in", 4096)]), LOIHI1)
    (problem,) = caught.value.problems
    assert problem.where == "core 0 with a[0:1]"
    assert problem.value == f"{5 * 4096 * 64} synapse memory bits per core"
    assert problem.allowed.startswith("at most 1048576 (Davies 2018")
    assert "use fewer weight bits" in problem.allowed


def test_too_much_synaptic_memory_splits_a_population():
    weights = np.full((342, 342), 2)
    assert (
        len(
            place(
                program([group("a", 341)], [synapses("a", "a", weights[:341, :341])]), LOIHI1
            ).cores
        )
        == 1
    )
    assert len(place(program([group("a", 342)], [synapses("a", "a", weights)]), LOIHI1).cores) == 2


@pytest.mark.parametrize(
    ("sources", "learning"), [(4096, None), (2048, rule())], ids=["static", "plastic"]
)
def test_in_axons_just_suffice(sources, learning):
    entry = synapses("in", "a", np.full((1, sources), 2), learning=learning)
    placement = place(program([group("a", 1)], [entry], [("in", sources)]), LOIHI1)
    assert placement.cores[0].used["in_axons_per_core"] == 4096


@pytest.mark.parametrize(
    ("sources", "learning", "axons"),
    [(4097, None, 4097), (2049, rule(), 4098)],
    ids=["static", "plastic"],
)
def test_a_neuron_with_too_many_sources_fits_nowhere(sources, learning, axons):
    entry = synapses("in", "a", np.full((1, sources), 2), learning=learning)
    with pytest.raises(ConstraintViolationError, match="reduce the fan-in") as caught:
        place(program([group("a", 1)], [entry], [("in", sources)]), LOIHI1)
    (problem,) = caught.value.problems
    assert problem.value == f"{axons} in axons per core"


def test_a_source_needs_one_in_axon_for_all_its_projections():
    entries = [
        synapses("in", "a", np.full((3, 10), 2), name="static"),
        synapses("in", "a", np.full((3, 10), 2), name="plastic", learning=rule()),
    ]
    assert used([group("a", 3)], entries, "in_axons_per_core", [("in", 10)]) == 20


def test_a_source_without_targets_on_the_core_needs_no_in_axon():
    weights = np.full((3, 10), 2)
    weights[:, 4] = 0
    entry = synapses("in", "a", weights)
    assert used([group("a", 3)], [entry], "in_axons_per_core", [("in", 10)]) == 9


@pytest.mark.parametrize(("targets", "cores"), [(3, 1), (4, 2)])
def test_out_axons_split_the_sending_population(narrow, targets, cores):
    # Each target sits in a core of its own; 8 senders have 24 slots.
    target = narrow(limits__compartments_per_core=8, limits__out_axons_per_core=24)
    sinks = [group(f"b{i}", 8) for i in range(targets)]
    entries = [synapses("a", sink.name, np.full((8, 8), 2)) for sink in sinks]
    placement = place(program([group("a", 8), *sinks], entries), target)
    senders = [core for core in placement.cores if core.pieces[0].group == "a"]
    assert len(senders) == cores
    receivers = [core for core in placement.cores if core.pieces[-1].group != "a"]
    assert sum(core.used["out_axons_per_core"] for core in senders) == 8 * len(receivers)
    assert all(core.used["out_axons_per_core"] <= 24 for core in placement.cores)


def test_a_neuron_that_sends_to_too_many_cores_fits_nowhere(narrow):
    target = narrow(limits__compartments_per_core=1, limits__out_axons_per_core=2)
    entry = synapses("a", "b", np.full((3, 1), 2))
    with pytest.raises(ConstraintViolationError) as caught:
        place(program([group("a", 1), group("b", 3)], [entry]), target)
    (problem,) = caught.value.problems
    assert problem.where == "core 0 with a[0:1]"
    assert problem.value == "3 out axons per core"


def test_inputs_need_no_compartments_and_no_out_axons():
    entry = synapses("in", "a", np.full((4, 2000), 2))
    placement = place(program([group("a", 4)], [entry], [("in", 2000)]), LOIHI1)
    assert pieces(placement) == [["a[0:4]"]]
    assert placement.cores[0].used["out_axons_per_core"] == 0


@pytest.mark.parametrize(("groups", "cores"), [(7, 1), (8, 2)])
def test_threshold_profiles_are_kept_below_the_tightest_source(groups, cores):
    placement = place(program([group(f"g{i}", 2, vth=100 + i) for i in range(groups)]), LOIHI1)
    assert len(placement.cores) == cores
    assert placement.cores[0].used["threshold_profiles_per_core"] == 7


@pytest.mark.parametrize(("groups", "cores"), [(31, 1), (32, 2)])
def test_compartment_profiles_are_kept_below_the_tightest_source(groups, cores):
    placement = place(program([group(f"g{i}", 2, du=100 + i) for i in range(groups)]), LOIHI1)
    assert len(placement.cores) == cores


def _formats(count, size=1):
    inputs = [("in", 2)]
    exponents = [(exp, bits) for bits in (8, 6) for exp in range(-7, 8)][:count]
    entries = [
        synapses("in", "a", [[4, 4]] * size, name=f"p{i}", weight_exp=exp, weight_bits=bits)
        for i, (exp, bits) in enumerate(exponents)
    ]
    return program([group("a", size)], entries, inputs)


def test_synapse_formats_of_a_neuron_just_fit():
    placement = place(_formats(15), LOIHI1)
    assert placement.cores[0].used["synapse_formats_per_core"] == 15


def test_the_loosest_source_holds_where_the_tightest_cannot_be_kept():
    # Ten formats break the tighter of two sources however the population is cut.
    assert pieces(place(_formats(10, size=20), LOIHI1)) == [["a[0:20]"]]


def test_a_neuron_with_too_many_synapse_formats_fits_nowhere():
    with pytest.raises(ConstraintViolationError, match="equal weight_bits, weight_exp") as caught:
        place(_formats(16), LOIHI1)
    (problem,) = caught.value.problems
    assert problem.value == "16 synapse formats per core"
    assert "15 (other sources: 8)" in problem.allowed


def _rules(*rules):
    entries = [
        synapses("in", "a", [[2]], name=f"p{i}", learning=learning)
        for i, learning in enumerate(rules)
    ]
    return program([group("a", 1)], entries, [("in", 1)])


def _pre_traces(count):
    return _rules(*(rule(x1=Trace(impulse=i, tau=9)) for i in range(count)))


def test_pre_trace_configurations_of_a_neuron_just_fit():
    assert place(_pre_traces(3), LOIHI1).cores[0].used["pre_trace_configs_per_core"] == 3


def test_a_neuron_with_too_many_pre_trace_configurations_fits_nowhere():
    with pytest.raises(ConstraintViolationError, match="equal x1 and x2") as caught:
        place(_pre_traces(4), LOIHI1)
    (problem,) = caught.value.problems
    assert problem.value == "4 pre trace configs per core"


def test_rules_of_one_epoch_share_a_core():
    assert (
        place(_rules(rule(t_epoch=2), rule(t_epoch=2)), LOIHI1)
        .cores[0]
        .used["learning_rules_per_core"]
        == 1
    )


def test_rules_of_two_epochs_cannot_share_a_population():
    with pytest.raises(ConstraintViolationError, match="same t_epoch") as caught:
        place(_rules(rule(t_epoch=2), rule(t_epoch=3)), LOIHI1)
    (problem,) = caught.value.problems
    assert problem.value == "2 epoch lengths per core"


@pytest.mark.parametrize(("epoch", "cores"), [(2, 1), (3, 2)])
def test_populations_share_a_core_if_their_epochs_agree(epoch, cores):
    entries = [
        synapses("in", "a", [[2]], learning=rule(t_epoch=2)),
        synapses("in", "b", [[2]], learning=rule(t_epoch=epoch)),
    ]
    placement = place(program([group("a", 1), group("b", 1)], entries, [("in", 1)]), LOIHI1)
    assert len(placement.cores) == cores


# --- the placement as a whole ------------------------------------------------------------------


def test_groups_follow_one_another_and_share_cores():
    placement = place(program([group("a", 700), group("b", 700), group("c", 10)]), LOIHI1)
    assert pieces(placement) == [["a[0:700]", "b[0:324]"], ["b[324:700]", "c[0:10]"]]
    assert [core.index for core in placement.cores] == [0, 1]


def test_everything_that_does_not_fit_is_told_at_once():
    entries = [
        synapses("in", "a", np.full((1, 4097), 2)),
        synapses("in", "b", np.full((2, 4097), 2), learning=rule(t_epoch=2)),
        synapses("in", "b", np.full((2, 4097), 2), name="other", learning=rule(t_epoch=3)),
    ]
    with pytest.raises(ConstraintViolationError) as caught:
        place(program([group("a", 1), group("b", 2)], entries, [("in", 4097)]), LOIHI1)
    found = {(p.where, p.value) for p in caught.value.problems}
    assert found == {
        ("core 0 with a[0:1]", "4097 in axons per core"),
        ("core 2 with b[1:2]", "8194 in axons per core"),
        ("core 2 with b[1:2]", "2 epoch lengths per core"),
    }


def test_the_same_program_is_placed_the_same_way():
    weights = np.random.default_rng(0).integers(-5, 6, (300, 300)) * 2
    prog = program([group("a", 300), group("b", 300)], [synapses("a", "b", weights)])
    assert place(prog, LOIHI1) == place(prog, LOIHI1)


def test_a_program_without_neurons_takes_no_core():
    assert place(program([]), LOIHI1).cores == ()
    assert loads(program([]), place(program([]), LOIHI1), LOIHI1) == ()


def test_a_piece_reads_like_a_slice():
    assert str(Piece(group="a", start=3, stop=7)) == "a[3:7]"


def test_utilisation_tells_busiest_mean_and_available():
    prog = program([group("a", 1536)])
    rows = {row.resource: row for row in utilisation(place(prog, LOIHI1), LOIHI1)}
    compartments = rows["compartments_per_core"]
    assert (compartments.busiest, compartments.mean, compartments.available) == (1024, 768.0, 1024)
    assert compartments.evidence == "published"
    assert (rows["cores"].busiest, rows["cores"].available) == (2, 128)
    assert rows["learning_rules_per_core"].available is None
    assert rows["learning_rules_per_core"].evidence == "unknown"


def test_memory_use_on_loihi_2_is_known_no_better_than_its_layout():
    rows = {
        row.resource: row for row in utilisation(place(program([group("a", 1)]), LOIHI2), LOIHI2)
    }
    assert rows["synapse_memory_bits_per_core"].evidence == "estimate"
    assert rows["compartments_per_core"].evidence == "published"
