"""What neurons with programs of their own report in a short run of the compiled network.

The float sample (:mod:`lava_align.compiler.calibrate`) knows spikes. Where a rule learns from more,
such as the ends of windows, the quantised neurons themselves say what that will be: they run, with
all fixed synapses and without learning, for as long as the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lava_align.compiler.calibrate import SAMPLE_SECONDS, SAMPLE_SEED
from lava_align.compiler.program import NeuronGroup, Program
from lava_align.engine.native import load_engine
from lava_align.model.network import Network, draw_stimuli
from lava_align.recording import Spikes

Array = np.ndarray[Any, Any]

WINDOW_ENDS = ("plus", "minus")


def observe(program: Program, network: Network, units: Mapping[str, float]) -> dict[str, Spikes]:
    """Spikes of all groups, and the ends of windows with the distance of the drive's peak.

    Parameters
    ----------
    program : Program
        Without plastic synapses.
    network : Network
        Gives the stimuli.
    units : mapping
        Group with windows to steps of its threshold's mantissa per unit of the potential.

    Returns
    -------
    dict
        ``group`` and ``group.plus``, ``group.minus``.
    """
    n_steps = min(network.n_steps, max(1, round(SAMPLE_SECONDS / network.dt)))
    inputs = {
        name: _first(spikes, n_steps) for name, spikes in draw_stimuli(network, SAMPLE_SEED).items()
    }
    groups = [group.name for group in program.neurons]
    watching = [g for g in program.neurons if isinstance(g, NeuronGroup) and g.window is not None]
    ends = [f"{g.name}.{end}" for g in watching for end in WINDOW_ENDS]
    chunk = load_engine(program).run(
        n_steps, inputs, (*groups, *ends), tuple(f"{g.name}.peak" for g in watching)
    )
    found = {
        name: Spikes(step=step, neuron=neuron, size=program.size(name))
        for name, (step, neuron) in chunk.spikes.items()
    }
    for group in watching:
        unit = 64.0 * units[group.name]
        distance = np.abs(chunk.states[f"{group.name}.peak"] - (group.vth << 6)) / unit
        for end in WINDOW_ENDS:
            ended = found[f"{group.name}.{end}"]
            found[f"{group.name}.{end}"] = Spikes(
                step=ended.step,
                neuron=ended.neuron,
                size=ended.size,
                value=distance[ended.step, ended.neuron],
            )
    return found


def _first(spikes: Spikes, n_steps: int) -> Spikes:
    kept = spikes.step < n_steps
    return Spikes(step=spikes.step[kept], neuron=spikes.neuron[kept], size=spikes.size)
