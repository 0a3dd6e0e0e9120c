"""Random networks with every kind of neuron: both engines, checkpoints, and the folder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from lava_align.compiler.folder import program_files, program_from_files
from lava_align.testing import ENGINES, Case, cases, state_names


@pytest.mark.skipif(len(ENGINES) < 2, reason="the extension is not compiled")
@settings(max_examples=60)
@given(case=cases(n_steps=30))
def test_both_engines_hold_the_same_states_at_every_step(case: Case) -> None:
    engines = [make(case.program, seed=9) for make in ENGINES.values()]
    names = state_names(case.program)
    for n in range(case.n_steps):
        chunks = [e.run(1, case.inputs, case.program.spiking()) for e in engines]
        for name in case.program.spiking():
            one, other = (chunk.spikes[name][1].tolist() for chunk in chunks)
            assert one == other, (n, name)
        for name in names:
            np.testing.assert_array_equal(
                *(e.read(name) for e in engines), err_msg=f"{name} at {n}"
            )


@settings(max_examples=60)
@given(case=cases(n_steps=30))
def test_a_run_goes_on_from_a_checkpoint_in_whichever_engine(case: Case) -> None:
    for first in ENGINES.values():
        for second in ENGINES.values():
            whole, begun = first(case.program, seed=2), first(case.program, seed=2)
            whole.run(case.n_steps, case.inputs, ())
            begun.run(case.cut, case.inputs, ())
            resumed = second(case.program, seed=2)
            resumed.restore(begun.state())
            resumed.run(case.n_steps - case.cut, case.inputs, ())
            expected, found = whole.state(), resumed.state()
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=name)


@settings(max_examples=60)
@given(case=cases(n_steps=30))
def test_a_program_comes_back_from_its_folder(case: Case) -> None:
    # Synapses may end at inputs there, which only the engine takes.
    receivers = {group.name for group in case.program.neurons}
    if any(s.post not in receivers for s in case.program.synapses):
        return
    files = program_files(case.program)
    back = program_from_files(files, "folder")
    assert back == case.program
    assert program_files(back) == files
