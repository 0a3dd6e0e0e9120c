"""The workload of ``scripts/benchmark`` and everybody who runs it.

Bernoulli sources (20 Hz at dt 1 ms unless said otherwise) -> W, fixed -> neurons `post`; the same
sources -> B, plastic (STDWI, gated by the spikes of `post`) -> neurons `out`. The threshold is set
so that `post` fires at the rate of the sources.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.engine.base import Engine
from lava_align.engine.model import Model
from lava_align.engine.native import Core
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.recording import Spikes

RATE = 0.02
RULE = LearningRule(
    dw=Expression.parse("2^-5*y0*x1 - 2^-5*y0*x2 - 2^-6*y0*w"),
    x1=Trace(60, 5),
    x2=Trace(15, 20),
)
DU, DV, OUT_VTH = 400, 100, 20000
Lap = Callable[[], float]
"""Runs once; returns seconds per step."""


@dataclass(frozen=True)
class Work:
    """A network of one size, its input, and what happens in it.

    Parameters
    ----------
    program : Program
    spikes : Spikes
        Of the sources.
    n_steps : int
    post_rate : float
        Spikes per step of a neuron of `post`.
    events : float
        Deliveries by W and B and updates of B per step.
    """

    program: Program
    spikes: Spikes
    n_steps: int
    post_rate: float
    events: float


def network(n_pre: int, n_post: int, vth: int, t_epoch: int = 1) -> Program:
    """Draw the weights of the workload."""
    rng = np.random.default_rng(1)
    forward = rng.integers(-120, 120, (n_post, n_pre)) & ~1
    feedback = rng.integers(-20, 20, (n_post, n_pre)) & ~1
    silent = np.zeros(n_post)
    rule = replace(RULE, t_epoch=t_epoch)
    return Program(
        target="benchmark",
        dt=1e-3,
        n_steps=1,
        inputs=(InputGroup(name="in", size=n_pre),),
        neurons=(
            NeuronGroup(name="post", size=n_post, du=DU, dv=DV, vth=vth, bias_mant=silent),
            NeuronGroup(name="out", size=n_post, du=DU, dv=DV, vth=OUT_VTH, bias_mant=silent),
        ),
        synapses=(
            Synapses(name="W", pre="in", post="post", weights=forward),
            Synapses(name="B", pre="in", post="out", weights=feedback, learning=rule, gate="post"),
        ),
    )


def draw(n_pre: int, n_steps: int, rate: float = RATE) -> Spikes:
    """Draw the spikes of the sources, 1,000 steps at a time."""
    rng = np.random.default_rng(2)
    starts = range(0, n_steps, 1000)
    parts = [np.nonzero(rng.random((min(1000, n_steps - s), n_pre)) < rate) for s in starts]
    step = np.concatenate([step + start for start, (step, _) in zip(starts, parts, strict=True)])
    return Spikes(step=step, neuron=np.concatenate([neuron for _, neuron in parts]), size=n_pre)


def make_work(n_pre: int, n_post: int, n_steps: int, rate: float = RATE, t_epoch: int = 1) -> Work:
    """Draw network and input, and set the threshold."""
    trial = 200
    spikes = draw(n_pre, max(n_steps, trial), rate)
    program = network(n_pre, n_post, 1, t_epoch)
    low, high, fired = 1, 131071, 0.0
    for _ in range(12):
        post = replace(program.neurons[0], vth=int((low * high) ** 0.5))
        program = replace(program, neurons=(post, program.neurons[1]))
        fired = len(Core(program).run(trial, {"in": spikes}, ("post",)).spikes["post"][0])
        low, high = (post.vth, high) if fired > rate * trial * n_post else (low, post.vth)
    per_neuron = fired / trial / n_post
    events = n_pre * n_post * (2 * rate + per_neuron)
    return Work(program, spikes, n_steps, per_neuron, events)


def engine_lap(work: Work, make: Callable[[Program], Engine], n_steps: int) -> Lap:
    """An engine, fresh for every lap, after a few steps to warm up."""
    warm = min(50, n_steps // 2)

    def lap() -> float:
        engine = make(work.program)
        engine.run(warm, {"in": work.spikes}, ())
        began = time.perf_counter()
        engine.run(n_steps - warm, {"in": work.spikes}, ())
        return (time.perf_counter() - began) / (n_steps - warm)

    return lap


def native_lap(work: Work, threads: int = 1) -> Lap:
    """The compiled engine."""
    return engine_lap(work, lambda program: Core(program, threads=threads), work.n_steps)


def model_lap(work: Work, n_steps: int) -> Lap:
    """The engine in NumPy."""
    return engine_lap(work, Model, min(work.n_steps, n_steps))


def lava_lap(work: Work, n_steps: int) -> Lap:
    """Lava, timed between two of its reports of progress.

    The backend gates B by the neurons it leads to, so B leads to `post` here and acts on nobody;
    `out` is there and gets no input. Lava computes what B delivers and steps `out` all the same,
    so the work is equal.
    """
    from lava_align.backends.base import Probes
    from lava_align.backends.lava import LavaBackend

    forward, feedback = work.program.synapses
    program = replace(
        work.program,
        n_steps=n_steps,
        synapses=(forward, replace(feedback, post="post", gate=None, acts=False)),
    )

    def lap() -> float:
        seen: list[tuple[float, int]] = []
        LavaBackend("fixed_pt").run(
            program,
            {"in": work.spikes},
            n_steps,
            Probes(spikes=()),
            lambda done, _: seen.append((time.perf_counter(), done)),
        )
        seen.pop()  # reported when all is over
        if len(seen) < 2:
            raise SystemExit(f"lava: {n_steps} steps are too few to time")
        (began, first), (ended, last) = seen[0], seen[-1]
        return (ended - began) / (last - first)

    return lap


def brian2_lap(work: Work, folder: str, single: bool = False, draws: bool = False) -> Lap:
    """Brian2's cpp_standalone, compiled once, one thread, traces per neuron.

    A synapse can be gated by its own target alone. So that `post` gates B, its target is a group
    with the state of `post` and of `out`, whose threshold is that of `post` and whose custom event
    is the spike of `out`. This simulates both populations and is one update of state shorter than
    two groups would be. Preferences are Brian2's own, which are -O3 -ffast-math -march=native.

    Parameters
    ----------
    single : bool
        In float32; the default of Brian2 is float64.
    draws : bool
        Sources draw their spikes; by default they relay the given ones, as all contestants get
        them, which is faster at most sizes.
    """
    import brian2 as b2

    n_post, n_pre = work.program.synapses[0].weights.shape
    post = work.program.neurons[0]
    b2.device.reinit()
    b2.set_device("cpp_standalone", build_on_run=False, directory=folder)
    b2.prefs.devices.cpp_standalone.openmp_threads = 0
    b2.prefs.core.default_float_dtype = np.float32 if single else np.float64
    b2.defaultclock.dt = 1 * b2.ms
    source = b2.NeuronGroup(
        n_pre,
        "dx1/dt = -x1/(5*ms) : 1\ndx2/dt = -x2/(20*ms) : 1\nhit : 1",
        threshold=f"rand() < {RATE}" if draws else "hit > 0",
        reset="hit = 0; x1 = clip(x1 + 60, 0, 127); x2 = clip(x2 + 15, 0, 127)",
        method="exact",
    )
    neurons = b2.NeuronGroup(
        n_post,
        f"""
        du/dt = -u*{(DU + 1) / 4096}/ms : 1
        dv/dt = -v*{DV / 4096}/ms + u/ms : 1
        du_out/dt = -u_out*{(DU + 1) / 4096}/ms : 1
        dv_out/dt = -v_out*{DV / 4096}/ms + u_out/ms : 1
        """,
        threshold=f"v > {post.vth * 64}",
        reset="v = 0",
        events={"out": f"v_out > {OUT_VTH * 64}"},
        method="euler",
    )
    neurons.run_on_event("out", "v_out = 0")
    forward = b2.Synapses(source, neurons, "w : 1 (constant)", on_pre="u_post += 64*w")
    feedback = b2.Synapses(
        source,
        neurons,
        "b : 1",
        on_pre="u_out_post += 64*b",
        on_post="b = clip(b + (x1_pre - x2_pre)/32 - b/64, -256, 255)",
    )
    for synapses, name, weights in (
        (forward, "w", work.program.synapses[0].weights),
        (feedback, "b", work.program.synapses[1].weights),
    ):
        synapses.connect()
        setattr(synapses, name, weights.T.ravel().astype(float))
    network = b2.Network(source, neurons, forward, feedback)
    if not draws:
        within = work.spikes.step < work.n_steps
        generator = b2.SpikeGeneratorGroup(
            n_pre, work.spikes.neuron[within], work.spikes.step[within] * b2.ms
        )
        relay = b2.Synapses(generator, source, on_pre="hit_post = 1")
        relay.connect(j="i")
        network.add(generator, relay)
    network.run(work.n_steps * b2.ms)
    b2.device.build(directory=folder, run=False, compile=True)

    def lap() -> float:
        # Not by way of the device, which knows the network that was built last and no other.
        subprocess.run(["./main"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = (Path(folder) / "results" / "last_run_info.txt").read_text().split()[0]
        return float(seconds) / work.n_steps

    return lap


def lava_get(size: int) -> float:
    """Seconds per weight that Lava's Var.get() takes on `size` x `size` weights."""
    from lava_align.backends.lava_shim import import_lava

    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense

    dense = Dense(weights=np.ones((size, size)))
    dense.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    began = time.perf_counter()
    dense.weights.get()
    took = time.perf_counter() - began
    dense.stop()
    return took / size**2


if __name__ == "__main__":
    # What a user waits for: imports, drawing, building, 1,000 steps. The threshold is given.
    Core(network(100, 100, int(sys.argv[1]))).run(1000, {"in": draw(100, 1000)}, ("post", "out"))
