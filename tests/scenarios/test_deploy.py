"""The main job, end to end on Lava and Brian2, with a network small enough for a test."""

import json
import subprocess
import sys

import pytest

from lava_align.backends.lava_shim import lava_version
from lava_align.errors import ExitCode

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(lava_version() is None, reason="lava-nc is not installed"),
]

EXPERIMENT = """
schema = "lava-align-experiment/1"
title = "small"
seed = 3
dt = "1 ms"
duration = "280 ms"

[populations.lower]
size = 12
tau_m = "10 ms"
tau_syn = "5 ms"

[populations.upper]
size = 8
tau_m = "10 ms"
tau_syn = "5 ms"

[projections.W]
pre = "lower"
post = "upper"
weights = { kind = "normal", mean = 0.4, sd = 0.5 }

[projections.B]
pre = "upper"
post = "lower"
acts = false
weights = { kind = "uniform", low = -0.0005, high = 0.0005 }
rule = { name = "stdwi", mirrors = "W" }

[stimuli.input]
population = "lower"
weight = 3.0
drive = { kind = "poisson", rate = "300 Hz", period = "70 ms", active_fraction = 0.8 }

[validation]
reference_runs = 10
warm_up = "20 ms"
"""


def lava_align(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "lava_align.cli", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "small.toml").write_text(EXPERIMENT)
    return folder, lava_align("deploy", "small.toml", "--out", "out", "--json", cwd=folder)


def test_the_exit_code_is_the_verdict_and_only_equivalence_is_bundled(deployed):
    folder, done = deployed
    content = json.loads(done.stdout)
    codes = {
        "EQUIVALENT": ExitCode.OK,
        "DIFFERENT": ExitCode.DIFFERENT,
        "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
    }
    assert done.returncode == codes[content["verdict"]["outcome"]]
    assert (folder / "out" / "bundle.zip").exists() == (done.returncode == 0)
    for name in ("program/manifest.json", "candidate.rec.h5", "reference.rec.h5", "report.html"):
        assert (folder / "out" / name).is_file()
    stored = json.loads((folder / "out" / "report.json").read_text())
    assert stored["verdict"] == content["verdict"]
    assert not list(folder.rglob("*.part"))


def test_chip_form_and_reference_spike_alike_given_the_same_input(deployed):
    _, done = deployed
    rows = {row["endpoint"]: row for row in json.loads(done.stdout)["verdict"]["rows"]}
    for population in ("lower", "upper"):
        row = rows[f"{population}.rate"]
        assert row["reference"] > 5.0
        assert row["candidate"] == pytest.approx(row["reference"], rel=0.05)


def test_a_report_written_again_is_the_same(deployed):
    folder, _ = deployed
    before = (folder / "out" / "report.html").read_bytes()
    assert lava_align("report", "out", cwd=folder).returncode == 0
    assert (folder / "out" / "report.html").read_bytes() == before


def test_an_inconclusive_run_is_not_bundled(deployed):
    folder, _ = deployed
    # Too few reference runs to say anything.
    few = EXPERIMENT.replace("reference_runs = 10", "reference_runs = 2")
    (folder / "few.toml").write_text(few)
    refused = lava_align("deploy", "few.toml", "-q", "--out", "few", cwd=folder)
    assert refused.returncode == ExitCode.INCONCLUSIVE
    assert "not written" in refused.stdout
    assert not (folder / "few" / "bundle.zip").exists()


def test_a_forced_bundle_says_so_and_a_changed_one_is_refused(deployed):
    folder, _ = deployed
    # A neuron that the chip cannot express, simplified.
    faulty = EXPERIMENT.replace("size = 12", "size = 12\nreset = -4.0").replace(
        "seed = 3", 'seed = 3\napproximate = ["reset"]'
    )
    (folder / "faulty.toml").write_text(faulty)
    forced = lava_align("deploy", "faulty.toml", "-q", "--out", "faulty", "--force", cwd=folder)
    assert forced.returncode == ExitCode.DIFFERENT
    found = lava_align("verify", "faulty/bundle.zip", "--json", cwd=folder)
    assert found.returncode == 0
    verified = json.loads(found.stdout)
    assert verified["forced"] is True
    assert verified["verdict"] == "DIFFERENT"
    assert "equal" in verified["golden"]

    whole = (folder / "faulty" / "bundle.zip").read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    (folder / "changed.zip").write_bytes(changed)
    assert lava_align("verify", "changed.zip", cwd=folder).returncode == ExitCode.INVALID_INPUT
