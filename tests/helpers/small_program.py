"""A small program with everything a run records: two populations, a plastic projection, input."""

import numpy as np

from lava_align.backends.base import Probes
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

N_STEPS = 150
RULE = LearningRule(
    dt=Expression.parse("x0*y1 - x0*y2 - u4*t"),
    dw=Expression.parse("2^-2*u4*t - 2^-5*x0*w"),
    y1=Trace(38, 10),
    y2=Trace(2, 100),
)


def program() -> Program:
    rng = np.random.default_rng(2)

    def mantissas(post: int, pre: int) -> np.ndarray:
        return rng.integers(-40, 100, (post, pre)) // 2 * 2

    def neurons(name: str, size: int) -> NeuronGroup:
        return NeuronGroup(
            name=name, size=size, du=800, dv=400, vth=500, bias_mant=np.zeros(size), bias_exp=0
        )

    return Program(
        target="test",
        dt=1e-3,
        n_steps=N_STEPS,
        inputs=(InputGroup(name="input", size=6),),
        neurons=(neurons("lower", 6), neurons("upper", 4)),
        synapses=(
            Synapses(name="input", pre="input", post="lower", weights=200 * np.eye(6)),
            Synapses(name="W", pre="lower", post="upper", weights=mantissas(4, 6)),
            Synapses(
                name="B",
                pre="upper",
                post="lower",
                weights=mantissas(6, 4),
                acts=False,
                learning=RULE,
                rng_seed=3,
            ),
        ),
    )


def drive() -> dict[str, Spikes]:
    return {"input": Spikes.from_raster(np.random.default_rng(7).random((N_STEPS, 6)) < 0.4)}


PROBES = Probes(weight_steps=(0, 33, 100, N_STEPS), states=("lower.v", "upper.u"))
