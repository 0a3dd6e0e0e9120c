"""Experiment files: read as they are meant, or refused with every fault at once."""

import copy
import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from lava_align.backends.brian2 import run_reference
from lava_align.compiler.calibrate import sample_activity
from lava_align.compiler.compile import compile_network
from lava_align.compiler.express import express
from lava_align.errors import InvalidInputError, MissingDependencyError
from lava_align.model import schema
from lava_align.model.experiment import build_experiment, load_experiment
from lava_align.targets import load_target

EXAMPLES = sorted(Path(str(files("lava_align") / "examples")).glob("*.toml"))

GOOD = {
    "schema": "lava-align-experiment/1",
    "title": "small",
    "seed": 3,
    "dt": "1 ms",
    "duration": "2 s",
    "approximate": ["reset"],
    "populations": {
        "lower": {"size": 4, "tau_m": "10 ms", "tau_syn": "5 ms", "threshold": 1, "reset": -1.0},
        "upper": {"size": 3, "tau_m": "10 ms", "tau_syn": "5 ms", "refractory": "2 ms"},
    },
    "projections": {
        "W": {
            "pre": "lower",
            "post": "upper",
            "weights": {"kind": "normal", "mean": 0.1, "sd": 0.5},
        },
        "B": {
            "pre": "upper",
            "post": "lower",
            "acts": False,
            "weights": {"kind": "constant", "value": 0},
            "rule": {
                "name": "stdwi",
                "mirrors": "W",
                "variant": "one-stage",
                "parameters": {"eta": 1e-3, "tau_slow": "100 ms"},
            },
        },
    },
    "stimuli": {
        "input": {
            "population": "lower",
            "weight": 2,
            "drive": {
                "kind": "mixed",
                "period": "50 ms",
                "parts": [
                    {"kind": "poisson", "rate": "200 Hz", "share": 2},
                    {"kind": "poisson", "rate": "0.1 kHz", "active_fraction": 0.5},
                ],
            },
        }
    },
    "validation": {"reference_runs": 3, "warm_up": "100 ms", "reference_dt": "0.5 ms"},
}

GONE = object()


def changed(*changes):
    """GOOD with values at key paths (``a.b.0.c``) replaced, added or (GONE) removed."""
    content = copy.deepcopy(GOOD)
    for path, value in changes:
        *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
        table = content
        for key in parents:
            table = table[key]
        if value is GONE:
            del table[last]
        else:
            table[last] = value
    return content


def refusal(*changes, folder=Path()):
    with pytest.raises(InvalidInputError) as caught:
        build_experiment(changed(*changes), folder=folder)
    return [str(problem) for problem in caught.value.problems]


def test_everything_arrives_in_si_units():
    experiment = build_experiment(GOOD)
    network = experiment.network
    assert (experiment.title, experiment.seed, experiment.approximate) == ("small", 3, ("reset",))
    assert (network.dt, network.duration, network.n_steps) == (1e-3, 2.0, 2000)
    assert network.population("upper").neuron.refractory == 2e-3
    assert network.projection("W").weights.shape == (3, 4)
    plasticity = network.projection("B").plasticity
    assert plasticity.parameters == {"eta": 1e-3, "tau_slow": 0.1}
    assert (plasticity.rule, plasticity.mirrors, plasticity.variant) == ("stdwi", "W", "one-stage")
    drive = network.stimuli[0].drive
    assert drive.shares == (2.0, 1.0)
    assert [part.rate for part in drive.parts] == [200.0, 100.0]
    assert drive.period == 0.05
    plan = experiment.validation
    assert (plan.reference_runs, plan.warm_up, plan.reference_dt) == (3, 0.1, 5e-4)


def test_seed_and_duration_can_be_overridden():
    experiment = build_experiment(GOOD, seed=9, duration=0.5)
    assert (experiment.seed, experiment.network.duration) == (9, 0.5)
    assert experiment == build_experiment(changed(("seed", 9), ("duration", "500 ms")))


def test_a_seed_decides_the_weights_and_nothing_else_does():
    one, same, other = (build_experiment(GOOD, seed=seed).network for seed in (1, 1, 2))
    assert one == same
    assert (one.projection("W").weights != other.projection("W").weights).all()
    renamed = changed(("title", "other"), ("validation.reference_runs", 5))
    assert build_experiment(renamed, seed=1).network == one


def test_a_projection_added_at_the_end_leaves_the_weights_of_the_others():
    extra = {"pre": "lower", "post": "upper", "weights": {"kind": "normal", "sd": 1.0}}
    before, after = build_experiment(GOOD), build_experiment(changed(("projections.X", extra)))
    for name in ("W", "B"):
        assert before.network.projection(name) == after.network.projection(name)


def test_a_short_run_need_not_be_comparable():
    with pytest.raises(
        InvalidInputError, match=r"validation\.warm_up: 100 ms; at least 0 and below"
    ):
        build_experiment(GOOD, duration=0.05)
    assert build_experiment(GOOD, duration=0.05, comparable=False).network.n_steps == 50


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", "other/1", "schema: 'other/1'; one of: 'lava-align-experiment/1'"),
        ("schema", GONE, "schema: missing; this key is required"),
        ("sed", 1, "sed: unknown key"),
        ("seed", -1, "seed: -1; at least 0"),
        ("seed", 1.0, "seed: 1.0; a whole number"),
        ("seed", True, "seed: True; a whole number"),
        ("title", 3, "title: 3; a string"),
        ("dt", 0.001, "dt: 0.001; a time as a string with a unit"),
        ("dt", "1", "dt: '1'; a time as a string with a unit"),
        ("dt", "1 kHz", "dt: '1 kHz'; 'kHz' is no unit of a time"),
        ("dt", "0 ms", "dt: 0 s; a positive, finite time"),
        ("duration", "-1 s", "duration: -1 s; a positive, finite time"),
        ("duration", GONE, "duration: missing"),
        ("approximate", ["taurise"], "approximate[0]: 'taurise'; one of: 'tau_rise', 'reset' or"),
        ("approximate", "reset", "approximate: 'reset'; a list"),
        ("populations", 3, "populations: 3; a table"),
        ("populations.lower.size", 4.0, "populations.lower.size: 4.0; a whole number"),
        ("populations.lower.size", 0, "populations.lower.size: 0; at least 1"),
        ("populations.lower.size", 10**30, "populations.lower.size: 1000000000000000000000000"),
        ("populations.lower.tau_m", float("nan"), "populations.lower.tau_m: nan; a time"),
        ("populations.lower.tau_m", "-1 ms", "populations.lower.tau_m: -1 ms; a positive"),
        ("populations.lower.threshold", "1", "populations.lower.threshold: '1'; a number"),
        ("populations.lower.threshold", True, "populations.lower.threshold: True; a number"),
        ("populations.lower.bias", float("nan"), "populations.lower.bias: nan; a finite number"),
        ("populations.lower.bias", float("inf"), "populations.lower.bias: inf; a finite number"),
        ("populations.lower.colour", "red", "populations.lower.colour: unknown key"),
        ("populations.third", 3, "populations.third: 3; a table"),
        ("populations.a b", GOOD["populations"]["lower"], "populations.a b: not a name"),
        ("projections.W.pre", "lowr", "W.pre: no population 'lowr'; one of: lower, upper"),
        ("projections.W.weights.kind", "norm", "W.weights.kind: 'norm'; one of: 'normal', 'unif"),
        ("projections.W.weights.kind", GONE, "projections.W.weights.kind: missing"),
        ("projections.W.weights.sd", -1.0, "projections.W.weights.sd: -1.0; at least 0"),
        ("projections.W.weights.sd", float("nan"), "projections.W.weights.sd: nan; a finite"),
        ("projections.W.weights", 0.3, "projections.W.weights: 0.3; a table"),
        ("projections.B.rule.name", "stdvi", "B.rule.name: no rule 'stdvi'; one of: stdwi"),
        ("projections.B.rule.mirrors", "V", "B.rule.mirrors: no projection 'V'; one of: W"),
        ("projections.B.rule.variant", "x", "B.rule.variant: no on-chip form 'x'; one of: two-"),
        ("projections.B.rule.parameters.eta", "1", "parameters.eta: '1'; a number without unit"),
        ("projections.B.rule.parameters.eta", -1, "parameters.eta: -1.0; a finite number"),
        ("projections.B.rule.parameters.eta", [1], "parameters.eta: [1]; a number, or a string"),
        ("projections.B.rule.parameters.eta", float("inf"), "parameters.eta: inf; "),
        ("projections.B.rule.parameters.tau_slow", 0.1, "tau_slow: 0.1; a time as a string"),
        ("projections.B.rule.parameters.tau_slow", "0 s", "tau_slow: 0.0; a finite number"),
        ("projections.B.rule.parameters.tau", "1 s", "parameters.tau: unknown parameter; one of"),
        ("projections.B.rule", GONE, "projections.B.acts: false without a rule"),
        ("stimuli.input.population", "x", "input.population: no population 'x'; one of: lower"),
        ("stimuli.input.weight", float("nan"), "stimuli.input.weight: nan; a finite number"),
        ("stimuli.input.drive.kind", "x", "stimuli.input.drive.kind: 'x'; one of: 'poisson'"),
        ("stimuli.input.drive.parts", [], "stimuli.input.drive.parts: none; at least one"),
        ("stimuli.input.drive.parts.1.rate", "2 kHz", "drive.parts[1].rate: 2000.0 Hz; 0..1000"),
        ("stimuli.input.drive.parts.1.rate", "1 s", "drive.parts[1].rate: '1 s'; 's' is no unit"),
        ("stimuli.input.drive.parts.1.share", 0, "drive.parts[1].share: 0; above 0"),
        ("stimuli.input.drive.parts.1.period", "1 s", "drive.parts[1].period: unknown key"),
        ("stimuli.input.drive.parts.1.kind", "mixed", "drive.parts[1].kind: 'mixed'; one of: 'p"),
        ("stimuli.input.drive.period", "0 s", "stimuli.input.drive.period: 0 s; a finite time"),
        ("validation.reference_runs", 1, "validation.reference_runs: 1; at least 2"),
        ("validation.warm_up", "2 s", "validation.warm_up: 2 s; at least 0 and below"),
        ("validation.warm_up", "-1 s", "validation.warm_up: -1 s; at least 0"),
        ("validation.reference_dt", "0.3 ms", "validation.reference_dt: 300 us; dt (1 ms) divi"),
        ("validation.reference_dt", "2 ms", "validation.reference_dt: 2 ms; dt (1 ms) divided"),
        ("validation.reference_dt", "1e-300 s", "validation.reference_dt: 1e-294 us; dt"),
        ("validation.same_input", "yes", "validation.same_input: 'yes'; true or false"),
    ],
)
def test_each_fault_is_the_only_problem(path, value, words):
    found = refusal((path, value))
    assert len(found) == 1, found
    assert words in found[0]


def test_matrices_that_this_machine_cannot_hold_are_refused_with_the_figure(monkeypatch):
    monkeypatch.setattr("lava_align.model.experiment.available_memory", lambda: 2**30)
    found = refusal(("populations.lower.size", 30_000), ("populations.upper.size", 10_000))
    (problem,) = [line for line in found if line.startswith("projections:")]
    assert "synapses need about 22.4 GiB of memory; 1 GiB are available here" in problem


def test_matrices_that_no_target_holds_are_never_allocated():
    found = refusal(("populations.lower.size", 10**6), ("populations.upper.size", 10**6))
    assert found == [
        f"projections.{name}: 1000000 x 1000000 synapses; at most 2147483648 in a projection"
        for name in ("W", "B")
    ]


def test_faults_of_all_levels_are_named_at_once(tmp_path):
    np.save(tmp_path / "w.npy", np.full((3, 4), np.nan))
    found = refusal(
        ("seeed", 3),
        ("populations.upper.refractory", "0.1 ms"),
        ("projections.W.weights", {"kind": "file", "path": "w.npy"}),
        ("projections.B.rule.mirrors", "V"),
        ("projections.B.rule.variant", "none"),
        ("stimuli.input.drive.parts.0.rate", "2 kHz"),
        ("validation.reference_runs", "3"),
        ("validation.warm_up", "3 s"),
        folder=tmp_path,
    )
    # Where the warm-up's table is faulty, what is compared within it waits.
    assert sorted(line.split(": ")[0] for line in found) == sorted(
        [
            "seeed",
            "validation.reference_runs",
            "populations.upper.refractory",
            "projections.B.rule.mirrors",
            f"projections.W.weights.path ({tmp_path / 'w.npy'})",
            "projections.B.rule.variant",
            "stimuli.input.drive.parts[0].rate",
            "validation.warm_up",
        ]
    )


def test_consequences_of_a_fault_are_not_named():
    assert len(refusal(("populations.lower.size", "4"))) == 1
    assert len(refusal(("populations.lower", 3), ("populations.upper.tau_m", GONE))) == 2
    assert len(refusal(("projections.W", 3))) == 1
    assert len(refusal(("projections.W.weights", {"kind": "file", "path": "nope.npy"}))) == 1
    assert len(refusal(("stimuli.input.drive", {"kind": "spikes", "path": "nope.csv"}))) == 1


@pytest.mark.parametrize(
    ("shape", "words"),
    [((3, 4), None), ((4, 3), "shape (4, 3); (n_post, n_pre) = (3, 4)"), ((12,), "shape (12,)")],
)
def test_weight_files_are_looked_up_beside_the_experiment(tmp_path, shape, words):
    np.save(tmp_path / "w.npy", np.ones(shape))
    change = ("projections.W.weights", {"kind": "file", "path": "w.npy"})
    if words is None:
        network = build_experiment(changed(change), folder=tmp_path).network
        assert (network.projection("W").weights == 1.0).all()
    else:
        (found,) = refusal(change, folder=tmp_path)
        assert words in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.1,4\n", "stimuli.input.drive.neurons: index 4; 0..3"),
        ("0.2,1\n0.1,1\n", "stimuli.input.drive.times: not sorted (entry 1)"),
        ("0.1,1\n0.1001,1\n", "stimuli.input.drive.times: neuron 1 has two spikes at 0.1 s"),
        ("-0.1,1\n", "stimuli.input.drive.times: -0.1 s; finite seconds >= 0"),
        ("nan,1\n", "stimuli.input.drive.times: nan s"),
        ("0.1,1\n0.2;1\n", "s.csv, line 3): '0.2;1'; time,neuron"),
    ],
)
def test_faulty_spike_files_are_named(tmp_path, text, words):
    (tmp_path / "s.csv").write_text("time,neuron\n" + text)
    (found,) = refusal(
        ("stimuli.input.drive", {"kind": "spikes", "path": "s.csv"}), folder=tmp_path
    )
    assert words in found


NASTY = [
    None,
    True,
    -1,
    0,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "-1 ms",
    [],
    [{}],
    {},
]


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, str(index)))
    if path:
        yield ".".join(path)


@pytest.mark.parametrize("path", list(leaves(GOOD)))
def test_any_value_anywhere_is_accepted_or_refused_in_words(path):
    for value in [*NASTY, GONE]:
        try:
            outcome = str(build_experiment(changed((path, value))).title)
        except InvalidInputError as error:
            outcome = str(max(error.problems, key=lambda problem: len(str(problem))))
        assert len(outcome) < 400


# A rule on rates has a file of another schema, see test_rates.
SPIKING = [path for path in EXAMPLES if path.stem != "kolen_pollack"]


@pytest.mark.parametrize("path", SPIKING, ids=lambda path: path.stem)
def test_packaged_examples_compile_and_every_population_fires(path):
    experiment = load_experiment(path, duration=2.0)
    compilation = compile_network(experiment.network, load_target("loihi2"), experiment.approximate)
    assert set(compilation.program.projections()) == set(compilation.program.mirrors)
    expressed, _ = express(experiment.network, experiment.approximate, load_target("loihi2"))
    for name, activity in sample_activity(expressed).items():
        assert 2.0 < activity.rate(expressed.dt) < 100.0, name
        assert activity.spikes.any(axis=0).mean() > 0.7, name


@pytest.mark.parametrize("path", SPIKING, ids=lambda path: path.stem)
def test_packaged_examples_learn_in_the_reference(path):
    network = load_experiment(path, duration=1.0).network
    (recording,) = run_reference(network, [1], weight_steps=(network.n_steps,), codegen="numpy")
    for population in network.populations:
        rate = len(recording.spikes[population.name]) / population.size / network.duration
        assert 2.0 < rate < 150.0, population.name
    for projection in network.plastic():
        learned = recording.weights[projection.name].values[0]
        assert (learned != projection.weights).mean() > 0.3


def test_the_papers_example_holds_the_papers_numbers():
    experiment = load_experiment(next(p for p in EXAMPLES if p.stem == "paper"))
    network = experiment.network
    weights = network.projection("W").weights
    assert weights.shape == (10, 100)
    # 3.75 and 7.5 in the authors' units, divided by 20: five standard errors.
    assert weights.mean() == pytest.approx(3.75 / 20, abs=5 * 0.375 / np.sqrt(1000))
    assert weights.std() == pytest.approx(7.5 / 20, rel=5 / np.sqrt(2000))
    assert network.stimuli[0].weight == 10 / 20
    for population in network.populations:
        neuron = population.neuron
        assert (neuron.tau_m, neuron.tau_syn, neuron.tau_rise) == (10e-3, 10e-3, 3e-3)
        assert (neuron.threshold, neuron.reset, neuron.refractory) == (1.0, -1.0, 0.0)
    assert experiment.validation.reference_dt == 0.25e-3


def test_the_digits_example_shows_every_key():
    text = next(p for p in EXAMPLES if p.stem == "digits").read_text(encoding="utf-8")
    tables = [
        value
        for value in vars(schema).values()
        if isinstance(value, type) and issubclass(value, BaseModel)
    ]
    keys = {field.alias or name for table in tables for name, field in table.model_fields.items()}
    assert {"schema", "tau_rise", "correlation", "reference_dt"} <= keys
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []


def test_digits_without_scikit_learn_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lava_align\[data\]'"):
        load_experiment(next(p for p in EXAMPLES if p.stem == "digits"))
