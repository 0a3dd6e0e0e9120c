"""The command line as a process: imports, pipes, signals, a missing Lava."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from lava_align.recording import Recording

PYTHON = [sys.executable, "-m", "lava_align.cli"]

# Said where there was no compiler.
NO_ENGINE = "Warning: the compiled engine is missing"

EXPERIMENT = """
schema = "lava-align-experiment/1"
dt = "1 ms"
duration = "300 ms"
[populations]
lower = { size = 4, tau_m = "10 ms", tau_syn = "5 ms" }
upper = { size = 3, tau_m = "10 ms", tau_syn = "5 ms" }
[projections.W]
pre = "lower"
post = "upper"
weights = { kind = "normal", mean = 1.0, sd = 0.5 }
[projections.B]
pre = "upper"
post = "lower"
acts = false
weights = { kind = "constant", value = 0.0 }
rule = { name = "stdwi", mirrors = "W" }
[stimuli.input]
population = "lower"
weight = 2.0
drive = { kind = "poisson", rate = "200 Hz" }
[validation]
warm_up = "50 ms"
"""

HEAVY = ["numpy", "brian2", "lava", "h5py", "pydantic", "rich", "matplotlib", "scipy", "jinja2"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    return tmp_path


def run(folder, *arguments, **changes):
    """Run the command line in ``folder`` with changes to the environment."""
    return subprocess.run(
        [*PYTHON, *arguments],
        cwd=folder,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nope"], []])
def test_help_imports_nothing_heavy(folder, arguments):
    program = (
        "import sys, json\n"
        f"sys.argv = ['lava-align', *{arguments!r}]\n"
        "from lava_align.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("arguments", ["targets loihi1", "rules", "example", "targets --json"])
def test_a_reader_that_leaves_early_is_no_error(folder, arguments):
    command = f"{sys.executable} -m lava_align.cli {arguments} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    line, code = done.stdout.splitlines()
    assert line
    assert code == "0"
    assert done.stderr == ""


def test_a_closed_pipe_is_no_error(folder):
    child = subprocess.Popen(
        [*PYTHON, "rules"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(timeout=100) == 0


@pytest.mark.parametrize(
    ("backend", "begun"),
    [
        ("brian2", "reference (Brian2): 0 %"),
        pytest.param("lava", "simulate (lava-fixed_pt): 0 %", marks=pytest.mark.lava),
    ],
)
def test_ctrl_c_stops_a_run_and_leaves_nothing(folder, backend, begun):
    child = subprocess.Popen(
        [*PYTHON, "run", "e.toml", "--backend", backend, "--duration", "2000 s", "--out", "x.h5"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stderr.readline().strip() == begun
        os.killpg(child.pid, signal.SIGINT)
        rest = child.stderr.read()
        assert child.wait(timeout=100) == 130
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    assert rest.splitlines()[-1] == "Interrupted; nothing half-written was kept."
    assert "Traceback" not in rest
    assert [path.name for path in folder.iterdir()] == ["e.toml"]
    assert group_is_gone(child.pid)


def test_ctrl_c_keeps_a_native_run_and_resume_completes_it(folder):
    # Long enough to be interrupted, on whichever engine there is.
    seconds = 2000 if find_spec("lava_align.engine._core") else 20
    words = ["run", "e.toml", "--duration", f"{seconds} s", "--out"]
    child = subprocess.Popen(
        [*PYTHON, *words, "x.h5"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    begun = child.stderr.readline()
    if begun.startswith(NO_ENGINE):
        begun = child.stderr.readline()
    assert begun.startswith("simulate (native): 0 %")
    os.killpg(child.pid, signal.SIGINT)
    rest = child.stderr.read()
    assert child.wait(timeout=100) == 130
    assert "--resume" in rest
    assert "Traceback" not in rest
    part = Recording.load(folder / "x.h5")
    assert part.provenance["partial"] is True
    assert 0 < part.n_steps < seconds * 1000

    refused = run(folder, *words, "x.h5")
    assert refused.returncode == 3
    at = f"a run at step {part.n_steps} of {seconds * 1000}; --resume or --restart"
    assert at in refused.stderr
    assert run(folder, *words, "x.h5", "--resume", "--quiet").returncode == 0
    assert run(folder, *words, "y.h5", "--quiet").returncode == 0
    assert Recording.load(folder / "x.h5") == Recording.load(folder / "y.h5")
    assert sorted(path.name for path in folder.iterdir()) == ["e.toml", "x.h5", "y.h5"]


def test_options_of_the_native_engine_need_it(folder):
    done = run(folder, "run", "e.toml", "--backend", "brian2", "--resume", "--out", "x.h5")
    assert done.returncode == 2
    assert "--resume: with --backend native only" in done.stderr


def group_is_gone(group):
    """Whether no process of a process group is left, after a moment to be collected."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def without_lava(tmp_path_factory):
    """An environment in which `lava` is a package without anything in it."""
    stub = tmp_path_factory.mktemp("stub")
    (stub / "lava").mkdir()
    (stub / "lava" / "__init__.py").write_text("")
    return {"PYTHONPATH": str(stub)}


def test_without_lava_a_run_says_how_to_get_it(folder, without_lava):
    lava = ("run", "e.toml", "--backend", "lava", "--out", "x.rec.h5")
    done = run(folder, *lava, **without_lava)
    assert done.returncode == 8
    assert "Error (missing dependency): the Lava backend needs lava-nc" in done.stderr
    assert "lava-nc==0.10.0" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(folder, *lava, "--json", **without_lava)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 8
    assert [path.name for path in folder.iterdir()] == ["e.toml"]


def test_without_lava_everything_else_works(folder, without_lava):
    for arguments in (
        ["example", "--list"],
        ["rules"],
        ["targets"],
        ["doctor"],
        ["compile", "e.toml", "--out", "p"],
        ["run", "e.toml", "--out", "n.rec.h5", "--quiet"],
        ["run", "e.toml", "--backend", "brian2", "--out", "x.rec.h5", "--quiet"],
    ):
        done = run(folder, *arguments, **without_lava)
        said = [line for line in done.stderr.splitlines() if not line.startswith(NO_ENGINE)]
        assert (done.returncode, said) == (0, []), arguments
    done = run(folder, "validate", "e.toml", "x.rec.h5", "--quiet", "--json", **without_lava)
    assert done.returncode in (0, 6)
    assert json.loads(done.stdout)["verdict"]


def test_without_lava_doctor_says_so(folder, without_lava):
    findings = json.loads(run(folder, "doctor", "--json", **without_lava).stdout)
    lava = next(f for f in findings if f["subject"] == "backend lava")
    assert lava["ok"] is False
    assert "lava-nc==0.10.0" in lava["detail"]
