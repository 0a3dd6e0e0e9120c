"""What any correct implementation of the rules must reach: the compiled networks on chip.

The rules' tests in the literature's own regimes, shortened to seconds by the native engine; means
over seeds. The float references are held to the same in ``scripts/reference_rules`` and
``scripts/reference_curve``, and everything side by side in ``scripts/fidelity``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import compile_network
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.model.network import Network, Plasticity, draw_stimuli
from lava_align.recording import Spikes
from lava_align.replay.planes import learn
from lava_align.reproduce.regime import load
from lava_align.rules import LoweredRule, Plane
from lava_align.statistics.alignment import Alignment, alignment
from lava_align.targets import load_target

SEEDS = (1, 2, 3)
INDEPENDENT = "independent-rounding"


def learned(network: Network, seed: int, semantics: str = "lava-0.10.0"):
    """Weights at the end of the network's run, in the rule's units, and the forward weights."""
    compiled = compile_network(network, load_target("loihi2"))
    end = network.n_steps
    backend = NativeBackend(semantics=semantics, seed=seed)
    found = backend.run(
        compiled.program, draw_stimuli(network, seed), end, Probes(weight_steps=(end,))
    )
    (projection,) = network.plastic()
    forward = network.projection(projection.plasticity.mirrors).weights
    scale = compiled.weight_scales[projection.name]
    return forward, found.weights[projection.name].values[-1] / scale


def mean_alignment(
    example: str, seconds: float, change=lambda n: n, semantics="lava-0.10.0", seeds=SEEDS
):
    found = [
        alignment(*learned(change(load(example, seed, seconds).network), seed, semantics))
        for seed in seeds
    ]
    return Alignment(**{k: float(np.mean([getattr(f, k) for f in found])) for k in vars(found[0])})


def smaller(n_lower, n_upper, fraction=None, rule=None):
    """The network with fewer neurons, another share of them driven, another rule."""

    def change(network: Network) -> Network:
        sizes = {"lower": n_lower, "upper": n_upper}
        scale = np.sqrt(network.population("lower").size / n_lower)
        w, b = network.projection("W"), network.projection("B")
        rng = np.random.default_rng(int(1e6 * abs(w.weights[0, 0])))
        forward = rng.choice(w.weights.ravel(), (n_upper, n_lower)) * scale
        stimuli = network.stimuli
        if fraction is not None:
            stimuli = tuple(
                replace(s, drive=replace(s.drive, active_fraction=fraction)) for s in stimuli
            )
        plasticity = b.plasticity if rule is None else Plasticity(rule=rule, mirrors="W")
        return replace(
            network,
            populations=tuple(replace(p, size=sizes[p.name]) for p in network.populations),
            projections=(
                replace(w, weights=forward),
                replace(b, weights=np.zeros((n_lower, n_upper)), plasticity=plasticity),
            ),
            stimuli=stimuli,
        )

    return change


def test_stdwi_small_20_to_10():
    found = mean_alignment("paper", 200.0, smaller(20, 10, fraction=0.5))
    assert found.sign_agreement >= 0.85
    assert found.r >= 0.70


def test_stdwi_as_in_its_paper():
    found = mean_alignment("paper", 200.0)
    assert found.r >= 0.93
    assert found.sign_agreement >= 0.90


def test_stdwi_finds_more_than_rdd_where_upper_neurons_fire_little():
    # In the network of STDWI's authors; in its own regime RDD does better. The authors' RDD is at
    # r = 0.3 here, since it learns slowly from zero; the centred form does not.
    stdwi = mean_alignment("paper", 50.0)
    rdd = mean_alignment("paper", 50.0, smaller(100, 10, rule="rdd"))
    assert stdwi.r > rdd.r > 0.7


def test_rdd_small_20_to_10():
    found = mean_alignment("rdd", 40.0, smaller(20, 10))
    assert found.sign_agreement >= 0.75
    assert found.r >= 0.70


def test_rdd_50_to_50():
    found = mean_alignment("rdd", 90.0, semantics=INDEPENDENT)
    assert found.sign_agreement >= 0.90
    assert found.r >= 0.91


def test_rdd_without_forward_weights_finds_nothing():
    def cut(network: Network) -> Network:
        w, b = network.projections
        return replace(network, projections=(replace(w, weights=np.zeros((50, 50))), b))

    agreements = []
    for seed in SEEDS:
        network = load("rdd", seed, 20.0).network
        _, weights = learned(cut(network), seed)
        wanted = network.projection("W").weights
        agreements.append(np.mean((weights.T >= 0) == (wanted >= 0)))
    # Silent upper neurons leave the weights where they were, at zero: every sign is a plus.
    assert np.mean(agreements) == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(3 * 2500))


def test_sal_pair_reaches_its_forward_weight():
    ends = []
    for seed in SEEDS:
        forward, weights = learned(load("sal_pair", seed).network, seed, INDEPENDENT)
        ends.append(float(weights[0, 0] - forward[0, 0]))
    assert np.mean(np.abs(ends)) <= 0.2, ends


def test_sal_50_and_50():
    # Two seeds: the longest run of the suite.
    found = mean_alignment("sal", 1000.0, semantics=INDEPENDENT, seeds=SEEDS[:2])
    assert found.angle < 25.0
    assert found.r > 0.9
    assert found.sign_agreement > 0.88


def test_small_steps_are_unbiased():
    # 2^-7 at every step for N steps: each weight grows by N/128 in the mean.
    n_steps, n = 6000, 200
    rule = LearningRule(dw=Expression.parse("2^-7*x0"), x1=Trace())
    lowered = LoweredRule(planes=(Plane(learning=rule),), weight_scale=1.0)
    every = Spikes.from_raster(np.ones((n_steps, 1), bool))
    grown = learn(
        lowered,
        {"pre": every},
        shape=(n, 1),
        dt=1e-3,
        n_steps=n_steps,
        weight_steps=[n_steps],
        backend=NativeBackend(semantics=INDEPENDENT, seed=1),
    ).feedback.values[-1]
    p = 1 / 128
    error = np.sqrt(n_steps * p * (1 - p) / n)
    assert abs(grown.mean() - n_steps * p) < 3 * error
    assert grown.std() == pytest.approx(np.sqrt(n_steps * p * (1 - p)), rel=0.2)
