"""The command line, in this process: messages, exit codes, JSON, files."""

import json

import pytest

from lava_align.cli.main import COMMANDS, cli
from lava_align.recording import Recording

EXPERIMENT = """
schema = "lava-align-experiment/1"
title = "small"
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


@pytest.fixture
def run(call, tmp_path):
    """Run the command line in a folder with an experiment."""
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    return call


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_every_command(run, command, option):
    code, out, err = run(*command.split(), option)
    assert (code, err) == (0, "")
    assert out.startswith("Usage:")
    assert "\\b" not in out


def test_help_lists_commands_and_exit_codes(run):
    _, out, _ = run("--help")
    assert all(f"  {name} " in out for name in COMMANDS)
    assert all(f"  {code}  " in out for code in (*range(9), 130))
    assert "  lava-align example --out digits.toml\n" in out


def test_every_command_has_a_summary_of_one_line(run):
    for name, summary in COMMANDS.items():
        assert cli.get_command(None, name).name == name
        assert summary.endswith(".")
        assert "\n" not in summary


def test_version(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("lava-align, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["run", "e.toml"],
        ["run", "--out", "x.rec.h5"],
        ["run", "e.toml", "--out", "x.rec.h5", "--seed", "-1"],
        ["run", "e.toml", "--out", "x.rec.h5", "--seed", "one"],
        ["run", "e.toml", "--out", "x.rec.h5", "--backend", "nope"],
        ["run", "e.toml", "--out", "."],
        ["compile", "e.toml", "--out", "e.toml"],
        ["compile", "e.toml", "--out", "p", "--nope"],
    ],
)
def test_wrong_usage_is_2(run, arguments, tmp_path):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage:" in err
    assert "Error:" in err
    assert names(tmp_path) == ["e.toml"]


BAD = [
    (["compile", "nope.toml", "--out", "p"], "nope.toml: no such file"),
    (["compile", ".", "--out", "p"], "Is a directory"),
    (["compile", "e.toml", "--out", "p", "--target", "nope"], "no target 'nope'"),
    (["compile", "e.toml", "--out", "e.toml/p"], "e.toml is a file"),
    (["compile", "e.toml", "--out", "."], "holds other files, which would be lost"),
    (["run", "e.toml", "--out", "e.toml/x.rec.h5"], "e.toml is a file"),
    (["deploy", "e.toml", "--out", "e.toml/x"], "e.toml is a file"),
    (["run", "e.toml", "--out", "x", "--duration", "3"], "--duration: '3'; a time as a string"),
    (["run", "e.toml", "--out", "x", "--duration", "-3 s"], "duration: -3 s; a positive"),
    (["run", "e.toml", "--out", "x", "--duration", "1e12 s"], "at most 2147483647 steps"),
    (["deploy", "e.toml", "--out", "x", "--duration", "50 ms"], "validation.warm_up: 50 ms"),
    (["validate", "e.toml", "nope.rec.h5"], "nope.rec.h5: no such file"),
    (["validate", "e.toml", "e.toml"], "e.toml: unreadable or truncated"),
    (["validate", "e.toml", "e.toml", "--out", "e.toml/v"], "e.toml is a file"),
    (["report", "."], "report.json: missing or unreadable"),
    (["verify", "nope.zip"], "nope.zip: no such file"),
    (["verify", "e.toml"], "e.toml: damaged"),
    (["targets", "nope"], "no target 'nope'"),
    (["example", "nope"], "no 'nope'; one of: chain, digits, kolen_pollack, paper, rdd"),
    (["example", "--out", "e.toml/x"], "e.toml is a file"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_invalid_input_is_3_and_leaves_nothing(run, arguments, words, tmp_path):
    code, out, err = run(*arguments)
    assert (code, out) == (3, "")
    assert words in err
    assert err.startswith("Error (i")
    assert names(tmp_path) == ["e.toml"]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_invalid_input_in_json(run, arguments, words):
    code, out, err = run(*arguments, "--json")
    content = json.loads(out)
    assert (code, err) == (3, "")
    assert content["exit_code"] == 3
    assert content["error"] in ("InvalidInput", "Integrity")
    assert any(words in problem for problem in content["problems"])


def test_several_problems_stand_in_lines_of_their_own(run, tmp_path):
    (tmp_path / "e.toml").write_text(EXPERIMENT.replace('"200 Hz"', "200").replace('"W"', '"V"'))
    code, _, err = run("compile", "e.toml", "--out", "p")
    assert code == 3
    assert err.splitlines()[0] == "Error (invalid input), 2 problems:"
    assert len(err.splitlines()) == 3
    assert all(line.startswith("  ") for line in err.splitlines()[1:])


def test_what_the_target_cannot_express_is_4(run, tmp_path):
    old = 'tau_syn = "5 ms" }'
    (tmp_path / "e.toml").write_text(EXPERIMENT.replace(old, 'tau_syn = "5 ms", reset = -1 }'))
    code, _, err = run("compile", "e.toml", "--target", "loihi1", "--out", "p")
    assert code == 4
    assert err.startswith("Error (constraint violation), 2 problems:")
    assert 'approximate = ["reset"]' in err
    code, out, _ = run("compile", "e.toml", "--target", "loihi1", "--out", "p", "--json")
    assert code == json.loads(out)["exit_code"] == 4
    assert names(tmp_path) == ["e.toml"]


def test_too_little_memory_is_no_traceback(run, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("lava_align.model.experiment.load_experiment", fail)
    code, _, err = run("compile", "e.toml", "--out", "p")
    assert code == 3
    assert err == "Error (out of memory): Unable to allocate 7 TiB\n"


def test_example_prints_writes_and_lists(run, tmp_path):
    code, out, err = run("example")
    assert (code, err) == (0, "")
    assert out.startswith("# ")
    code, listing, _ = run("example", "--list")
    assert [line.split()[0] for line in listing.splitlines()] == [
        "chain",
        "digits",
        "kolen_pollack",
        "paper",
        "rdd",
        "sal",
        "sal_pair",
        "stdwi",
        "weight_mirror",
    ]
    code, told, _ = run("example", "digits", "--out", "new/d.toml")
    assert (code, told) == (0, "Wrote new/d.toml\n")
    assert (tmp_path / "new" / "d.toml").read_text(encoding="utf-8") == out


@pytest.mark.parametrize(
    "arguments",
    [
        ["example"],
        ["example", "--list"],
        ["example", "--out", "x.toml"],
        ["rules"],
        ["targets"],
        ["targets", "loihi1"],
        ["doctor"],
        ["compile", "e.toml", "--out", "p"],
        ["run", "e.toml", "--backend", "brian2", "--duration", "100 ms", "--out", "x.rec.h5"],
    ],
    ids=" ".join,
)
def test_json_is_all_there_is_on_stdout(run, arguments):
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    assert json.loads(out)


def test_rules_and_targets_name_each_other(run):
    _, rules, _ = run("rules")
    _, targets, _ = run("targets")
    assert "stdwi: " in rules
    for target in ("loihi1", "loihi2"):
        assert f"  target    {target}: fits" in rules
        assert f"  {target}  " in targets


def test_tables_have_one_line_per_row_and_no_trailing_blanks(run):
    _, out, _ = run("targets", "loihi2")
    lines = out.splitlines()
    assert lines[0] == "loihi2: Intel Loihi 2"
    assert lines[1].split()[:2] == ["figure", "value"]
    assert all(line == line.rstrip() for line in lines)
    assert any("limits.compartments_per_core" in line for line in lines)


def test_compile_says_what_it_did_and_repeats_itself(run, tmp_path):
    code, first, err = run("compile", "e.toml", "--out", "a/p")
    assert (code, err) == (0, "")
    for words in ("Quantisation", "B: dw = ", "Utilisation of loihi2", "Limits: PASS", "sha256"):
        assert words in first
    # The second time replaces the program that is there.
    assert run("compile", "e.toml", "--out", "a/p")[1] == first
    assert names(tmp_path / "a") == ["p"]
    manifest = json.loads((tmp_path / "a" / "p" / "manifest.json").read_bytes())
    assert manifest["digest"].startswith(first.split("sha256 ")[1][:16])


def test_run_takes_seed_and_duration_and_reports_progress_on_stderr(run, tmp_path):
    options = ["run", "e.toml", "--backend", "brian2", "--duration", "100 ms", "--seed", "7"]
    code, out, err = run(*options, "--out", "x.rec.h5")
    assert code == 0
    assert "reference (Brian2): 100 %" in err
    assert "Recording: x.rec.h5" in out
    recording = Recording.load(tmp_path / "x.rec.h5")
    assert (recording.n_steps, recording.provenance["seed"]) == (100, 7)
    code, out, err = run(*options, "--out", "y.rec.h5", "--quiet")
    assert (code, err) == (0, "")
    assert Recording.load(tmp_path / "y.rec.h5").spikes == recording.spikes
    assert names(tmp_path) == ["e.toml", "x.rec.h5", "y.rec.h5"]


def test_validate_refuses_a_recording_of_another_experiment(run):
    run("run", "e.toml", "--backend", "brian2", "--duration", "100 ms", "--out", "x.rec.h5")
    code, _, err = run("validate", "e.toml", "x.rec.h5")
    assert code == 3
    assert "100 steps of 0.001 s; 300 steps of 0.001 s, as the experiment says" in err


def test_report_of_a_changed_folder(run, tmp_path):
    recording = ["run", "e.toml", "--backend", "brian2", "--duration", "100 ms", "--out"]
    run(*recording, "d/candidate.rec.h5")
    run(*recording, "d/reference.rec.h5")
    for content in ("[]", "{}", '{"schema": "other"}', "{", '{"schema": "lava-align-report/1"}'):
        (tmp_path / "d" / "report.json").write_text(content)
        code, _, err = run("report", "d")
        assert code == 3
        assert err.startswith("Error (invalid input): d/")
    assert names(tmp_path / "d") == ["candidate.rec.h5", "reference.rec.h5", "report.json"]


def test_doctor_names_every_backend(run):
    code, out, _ = run("doctor")
    assert code == 0
    assert all(name in out for name in ("python", "backend lava", "backend brian2", "h5py"))
