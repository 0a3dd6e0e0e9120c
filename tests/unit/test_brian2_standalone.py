"""The reference as a program of its own: what it is made of, its processes, and their end."""

import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from lava_align.backends import brian2_standalone
from lava_align.backends.brian2 import run_reference
from lava_align.backends.brian2_standalone import Program, shares, whole_program
from lava_align.errors import BackendError
from lava_align.model.network import (
    LIF,
    Network,
    Plasticity,
    Population,
    Projection,
    Stimulus,
    draw_stimuli,
)
from lava_align.model.stimuli import PoissonDrive

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


def processors(monkeypatch, n):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n)))


@pytest.mark.parametrize(
    ("n_processors", "n_replicates", "sizes"),
    [(2, 21, [11, 10]), (2, 1, [1]), (1, 5, [5]), (3, 4, [2, 2]), (64, 21, [3] * 7)],
)
def test_shares_hold_every_replicate_once(monkeypatch, n_processors, n_replicates, sizes):
    processors(monkeypatch, n_processors)
    found = shares(n_replicates)
    assert [len(share) for share in found] == sizes
    assert [i for share in found for i in share] == list(range(n_replicates))


CODE_OBJECT = """#include "code_objects/{name}.h"
#include "objects.h"
#include<cmath>
namespace {{ int helper() {{ return {value}; }} }}
void _run_{name}() {{ total += helper() * (int) std::floor(1.5); }}
"""
MAIN = """#include "objects.h"
#include "code_objects/a.h"
#include "code_objects/b.h"
int total = 0;
int main()
{
    _run_a();
    _run_b();
    const double used = (double) clock() / CLOCKS_PER_SEC;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return total == 7 && std::abs(now.tv_sec - used) < 5 ? 0 : 1;
}
"""


@needs_compiler
def test_files_with_helpers_of_the_same_name_become_one_program(tmp_path):
    (tmp_path / "code_objects").mkdir()
    for name, value in (("a", 3), ("b", 4)):
        code = CODE_OBJECT.format(name=name, value=value)
        (tmp_path / f"code_objects/{name}.cpp").write_text(code)
        header = f"#ifndef {name}_H\n#define {name}_H\nvoid _run_{name}();\n#endif\n"
        (tmp_path / f"code_objects/{name}.h").write_text(header)
    (tmp_path / "objects.h").write_text("#pragma once\n#include <ctime>\nextern int total;\n")
    (tmp_path / "main.cpp").write_text(MAIN)
    text = whole_program(
        tmp_path,
        ["code_objects/a.cpp", "code_objects/b.cpp", "main.cpp"],
        ["code_objects/a.h", "code_objects/b.h", "objects.h"],
    )
    (tmp_path / "whole.cpp").write_text(text)
    command = ["g++", "-std=c++11", "-Wall", "-I.", "whole.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    # Each object has its own helper, and the clock is the wall's, not the processor's.
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


def program(folder: Path, script: str) -> Program:
    """A program that is a shell script; it runs in the folder of its share."""
    (folder / "main").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "main").chmod(0o755)
    (folder / "static_arrays").mkdir()
    return Program(None, None, folder)


def spikes(*sources):
    return {"cells": (np.array(sources), np.arange(len(sources)))}


def test_every_share_reads_its_own_spikes_and_the_common_arrays(tmp_path):
    script = "test -d static_arrays && cat cells.neuron_index cells._timebins > $2/seen"
    calls = []
    program(tmp_path, script).run(
        [spikes(7, 8), spikes(9)], 100, lambda done, total: calls.append((done, total))
    )
    seen = [np.fromfile(tmp_path / f"share{i}/results/seen", np.int32).tolist() for i in (0, 1)]
    assert seen == [[7, 8, 0, 1], [9, 0]]
    assert calls[-1] == (100, 100)


def test_progress_is_the_mean_of_the_shares(tmp_path, monkeypatch):
    monkeypatch.setattr(brian2_standalone, "POLL_SECONDS", 0.05)
    script = "case $PWD in *0) echo 0.2;; *) echo 0.6;; esac > progress; sleep 1"
    calls = []
    program(tmp_path, script).run(
        [spikes(), spikes()], 100, lambda done, total: calls.append((done, total))
    )
    assert (40, 100) in calls
    assert all(0 <= done <= 100 for done, _ in calls)


def gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    for _ in range(100):
        try:
            # A killed child of a killed shell is init's to collect; until then it is a zombie.
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_share_that_fails_ends_the_others_and_is_quoted(tmp_path):
    script = "case $PWD in *1) echo no such thing; exit 3;; esac; sleep 60 & echo $! > pid; wait"
    start = time.monotonic()
    with pytest.raises(BackendError, match=r"exit code 3\nno such thing"):
        program(tmp_path, script).run([spikes(), spikes()], 100, None)
    assert time.monotonic() - start < 30
    assert gone(tmp_path / "share0/pid")


def test_an_interrupt_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(brian2_standalone, "POLL_SECONDS", 0.05)
    pid = tmp_path / "share0/pid"

    def interrupted(done, total):
        if pid.exists() and pid.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program(tmp_path, "sleep 60 & echo $! > pid; wait").run([spikes()], 100, interrupted)
    assert gone(pid)


def network(n_steps: int = 400, *, rate: float = 150.0) -> Network:
    rng = np.random.default_rng(0)
    lif = LIF(tau_m=20e-3, tau_syn=5e-3, refractory=2e-3)
    drive = PoissonDrive(rate=rate)
    return Network(
        dt=1e-3,
        duration=n_steps * 1e-3,
        populations=(
            Population(name="lower", size=7, neuron=lif),
            Population(name="upper", size=5, neuron=dataclasses.replace(lif, bias=0.5)),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=rng.normal(2.0, 3.0, (5, 7))),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=rng.normal(0.0, 0.5, (7, 5)),
                plasticity=Plasticity(rule="stdwi", mirrors="W"),
            ),
        ),
        stimuli=(
            Stimulus(name="drive", population="lower", weight=4.0, drive=drive),
            Stimulus(name="more", population="lower", weight=1.0, drive=drive),
            Stimulus(name="noise", population="upper", weight=-1.0, drive=drive),
        ),
    )


@needs_compiler
@pytest.mark.timeout(900)  # compiles; a busy machine takes minutes
def test_replicates_are_the_same_in_any_share_and_in_numpy(monkeypatch):
    given = draw_stimuli(network(), 77)
    inputs = [given, None, None]
    kwargs = {"inputs": inputs, "weight_steps": (0, 100, 200, 400)}
    found = []
    for n in (1, 2):
        processors(monkeypatch, n)
        found.append(run_reference(network(), [1, 2, 3], codegen="cpp_standalone", **kwargs))
    together, shared = found
    assert together == shared
    assert [r.provenance["inputs"] for r in shared] == ["given", "drawn", "drawn"]
    assert dict(shared[0].stimuli) == given
    assert dict(shared[2].stimuli) == draw_stimuli(network(), 3)
    plain = run_reference(network(), [1, 2, 3], codegen="numpy", **kwargs)
    for one, other in zip(plain, shared, strict=True):
        assert len(one.spikes["upper"]) > 20
        assert dict(one.spikes) == dict(other.spikes)
        np.testing.assert_allclose(
            one.weights["B"].values, other.weights["B"].values, rtol=1e-9, atol=1e-15
        )


@needs_compiler
@pytest.mark.timeout(900)
@pytest.mark.parametrize("silent", ["no spikes", "no stimuli"])
def test_nothing_to_read_is_no_error(silent):
    quiet = network(50, rate=0.0)
    if silent == "no stimuli":
        quiet = dataclasses.replace(quiet, stimuli=())
    (recording,) = run_reference(quiet, [0], codegen="cpp_standalone")
    assert {name: len(s) for name, s in recording.spikes.items()} == {"lower": 0, "upper": 0}


@needs_compiler
@pytest.mark.timeout(900)
def test_an_interrupt_while_it_compiles_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lava_align.backends.brian2.draw_stimuli", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_reference(network(), [1], codegen="cpp_standalone")
    (compiler,) = started
    assert compiler.returncode == -9
    assert os.listdir(tmp_path) == []
