"""Lava's LIF and LearningDense models, and those of our neurons, with recording added.

The arithmetic is inherited and no Process is defined here. The graph holds Lava's own ``LIF`` and
``LearningDense``, so the same graph can go to hardware, and a run configuration chooses these
models for a CPU run
(``exception_proc_model_map``). What they record goes to memory-mapped ``.npy`` files that exist
before the run; Lava's channels carry nothing of it. The parameters of a Process name the files:

``record``
    Attribute of the model to file of shape (n_steps, size). Row ``n`` is written at Lava time
    ``n + 1``, after the spikes of that step.
``progress``
    File of shape (n_groups,) and the index of this group in it: steps done.
``snapshots``
    Optional pair of a file of shape (n, n_post, n_pre) and the ascending steps after which
    weights are kept; 0 stands for the weights the first step worked with.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyLearningDenseModelBitApproximate, PyLearningDenseModelFloat
from lava.proc.dense.process import LearningDense
from lava.proc.lif.models import PyLifModelBitAcc, PyLifModelFloat
from lava.proc.lif.process import LIF
from lava_align.processes.escape_neuron.models import (
    PyEscapeNeuronModelFixed,
    PyEscapeNeuronModelFloat,
)
from lava_align.processes.escape_neuron.process import EscapeNeuron
from lava_align.processes.extended_lif.models import (
    PyExtendedLifModelFixed,
    PyExtendedLifModelFloat,
)
from lava_align.processes.extended_lif.process import ExtendedLIF
from lava_align.processes.graded_relay.models import (
    PyGradedRelayModelFixed,
    PyGradedRelayModelFloat,
)
from lava_align.processes.graded_relay.process import GradedRelay


def _open(path: str) -> Any:
    return np.load(path, mmap_mode="r+")


class _NeuronRecorder(PyLoihiProcessModel):
    """Writes chosen attributes after each spiking phase."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._series = {name: _open(path) for name, path in proc_params["record"].items()}
        path, self._index = proc_params["progress"]
        self._progress = _open(path)

    def run_spk(self) -> None:
        """Run the spiking phase, then write."""
        super().run_spk()
        for name, series in self._series.items():
            series[self.time_step - 1] = getattr(self, name)
        self._progress[self._index] = self.time_step


class _WeightRecorder(PyLoihiProcessModel):
    """Writes the weights after chosen steps, their learning phase included."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        path, steps = proc_params.get("snapshots", (None, ()))
        self._snapshots: Any = None if path is None else _open(path)
        self._row = {step: row for row, step in enumerate(steps)}

    def _keep(self, step: int) -> None:
        row = self._row.get(step)
        if row is not None:
            self._snapshots[row] = self.weights

    def run_spk(self) -> None:
        """Run Lava's spiking phase; it truncates the initial weights when it first runs."""
        super().run_spk()
        if self.time_step == 1:
            self._keep(0)
        if not self.lrn_guard():
            self._keep(self.time_step)

    def run_lrn(self) -> None:
        """Run Lava's learning phase, the last one of a step that can change weights."""
        super().run_lrn()
        self._keep(self.time_step)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedLifFixed(_NeuronRecorder, PyLifModelBitAcc):
    """Lava's bit-accurate LIF, recorded."""


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordedLifFloat(_NeuronRecorder, PyLifModelFloat):
    """Lava's floating-point LIF, recorded."""


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedLearningDenseFixed(_WeightRecorder, PyLearningDenseModelBitApproximate):
    """Lava's bit-approximate LearningDense, recorded."""


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordedLearningDenseFloat(_WeightRecorder, PyLearningDenseModelFloat):
    """Lava's floating-point LearningDense, recorded."""


@implements(proc=ExtendedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedExtendedLifFixed(_NeuronRecorder, PyExtendedLifModelFixed):
    """Our integer model of extended LIF, recorded."""


@implements(proc=ExtendedLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordedExtendedLifFloat(_NeuronRecorder, PyExtendedLifModelFloat):
    """Our float model of extended LIF, recorded."""


@implements(proc=EscapeNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedEscapeNeuronFixed(_NeuronRecorder, PyEscapeNeuronModelFixed):
    """Our integer model of escape neurons, recorded."""


@implements(proc=EscapeNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordedEscapeNeuronFloat(_NeuronRecorder, PyEscapeNeuronModelFloat):
    """Our float model of escape neurons, recorded."""


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedGradedRelayFixed(_NeuronRecorder, PyGradedRelayModelFixed):
    """Our integer model of graded relays, recorded."""


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordedGradedRelayFloat(_NeuronRecorder, PyGradedRelayModelFloat):
    """Our float model of graded relays, recorded."""
