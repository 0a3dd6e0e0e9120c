import hashlib
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from lava_align.errors import InvalidInputError
from lava_align.files import read_toml
from lava_align.targets import HardwareTarget, available_targets, load_target

FOLDER = Path(str(resources.files("lava_align.hw_configs")))
LOIHI1 = FOLDER / "loihi1.toml"


def facts(table, path=""):
    """Every fact of a target file with its key path."""
    for key, value in table.items():
        if isinstance(value, dict):
            where = f"{path}{key}"
            if "evidence" in value:
                yield where, value
            else:
                yield from facts(value, f"{where}.")


def problems_of(path):
    with pytest.raises(InvalidInputError) as caught:
        load_target(path)
    return {problem.where: problem for problem in caught.value.problems}


@pytest.fixture
def edited(tmp_path):
    """Write loihi1.toml with text replaced, under another name."""

    def write(*pairs):
        text = LOIHI1.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_both_chips_come_with_the_package():
    assert available_targets() == ("loihi1", "loihi2")


@pytest.mark.parametrize("name", available_targets())
def test_packaged_target_is_named_after_its_file_and_keeps_its_digest(name):
    target = load_target(name)
    assert isinstance(target, HardwareTarget)
    assert target.id == name
    digest = hashlib.sha256((FOLDER / f"{name}.toml").read_bytes()).hexdigest()
    assert target.sha256 == digest
    assert target.file_digests == (digest,)


@pytest.mark.parametrize("name", available_targets())
def test_every_figure_has_severity_evidence_and_source(name):
    found = dict(facts(read_toml(FOLDER / f"{name}.toml")))
    assert len(found) > 60
    for where, fact in found.items():
        assert fact["severity"] in ("error", "advisory"), where
        assert len(fact["source"]) > 3, where
        assert ("value" in fact) == (fact["evidence"] != "unknown"), where
        for other in fact.get("alternatives", ()):
            assert other["value"] != fact["value"], where
            assert other["source"] != fact["source"], where


@pytest.mark.parametrize("name", available_targets())
def test_the_files_hold_nothing_but_facts_below_their_head(name):
    data = read_toml(FOLDER / f"{name}.toml")
    head = {"schema", "id", "family", "title", "revision"}
    assert {key for key, value in data.items() if not isinstance(value, dict)} == head


def test_loihi_1_capacities():
    target = load_target("loihi1")
    assert target.cores == 128
    assert target.limits.compartments_per_core.value == 1024
    assert target.limits.synapse_memory_bits_per_core.value == 128 * 1024 * 8
    assert target.limits.in_axons_per_core.value == 4096
    assert target.limits.out_axons_per_core.value == 4096
    assert target.limits.learning_rules_per_core.evidence == "unknown"
    assert not target.third_factor
    assert not target.graded_spikes


def test_loihi_2_ceilings_and_what_is_not_public():
    target = load_target("loihi2")
    assert target.cores == 128
    assert target.limits.compartments_per_core.value == 8192
    assert target.limits.synapse_memory_bits_per_core.value == 128 * 1024 * 8
    assert target.limits.memory_bits_per_core.value == 192 * 1024 * 8
    assert target.limits.in_axons_per_core.evidence == "unknown"
    assert target.limits.out_axons_per_core.evidence == "unknown"
    assert target.packing.block_header_bits.evidence == "estimate"
    assert target.third_factor
    assert target.graded_spikes


@pytest.mark.parametrize(
    ("value", "verdict"), [(-8, "advisory"), (-9, "fail"), (-7, "pass"), (7, "pass"), (8, "fail")]
)
def test_a_value_fails_only_if_every_source_refuses_it(value, verdict):
    assert load_target("loihi1").number.weight_exponent.judge(value) == verdict


def test_unknown_is_never_a_pass():
    fact = load_target("loihi2").limits.in_axons_per_core
    assert fact.judge(1) == "unverified"
    assert fact.describe() == "unknown"
    assert fact.values == ()


def test_breaking_an_advisory_limit_is_not_a_failure():
    fact = load_target("loihi1").limits.spikes_into_chip_per_step
    assert [fact.judge(50), fact.judge(51)] == ["pass", "advisory"]


def test_a_description_names_the_sources_that_disagree():
    fact = load_target("loihi1").limits.threshold_profiles_per_core
    assert fact.describe() == "16 (other sources: 7)"
    assert load_target("loihi1").number.graded_spike_bits.describe() == "0"
    assert load_target("loihi1").learning.third_factor.describe() == "no"


def test_a_fact_has_no_truth_value_of_its_own():
    with pytest.raises(TypeError, match="ask for its value"):
        bool(load_target("loihi1").learning.third_factor)


def test_a_target_is_read_only():
    target = load_target("loihi1")
    with pytest.raises(ValueError, match="frozen"):
        target.limits.in_axons_per_core.value = 1


def test_no_such_target():
    with pytest.raises(InvalidInputError, match=r"no target 'loihi3'; loihi1, loihi2, or a"):
        load_target("loihi3")


def test_everything_wrong_with_a_file_is_told_at_once(edited):
    path = edited(
        ("[limits.in_axons_per_core]\nvalue = 4096", "[limits.in_axons_per_core]\nvalue = 0"),
        ("[limits.out_axons_per_core]", "[limits.out_axon_per_core]"),
        ("value = { min = -8, max = 7 }\nseverity", "value = { min = 7, max = -8 }\nseverity"),
        ('evidence = "published"\nsource = "Davies 2018, p. 92', 'source = "p. 92'),
        ("[learning.third_factor]\nvalue = false", '[learning.third_factor]\nvalue = "no"'),
    )
    found = problems_of(path)
    assert set(found) == {
        "mine.toml:limits.in_axons_per_core.value",
        "mine.toml:limits.out_axons_per_core",
        "mine.toml:limits.out_axon_per_core",
        "mine.toml:learning.mantissa.value",
        "mine.toml:limits.memory_bits_per_core.evidence",
        "mine.toml:learning.third_factor.value",
    }
    assert found["mine.toml:limits.out_axons_per_core"].value == "missing"
    assert found["mine.toml:limits.out_axon_per_core"].value == "unknown key"
    assert found["mine.toml:limits.in_axons_per_core.value"].value == "0"


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("value = 1024", "value = 1024.0", "limits.compartments_per_core.value", "integer"),
        ("value = 1024", "value = true", "limits.compartments_per_core.value", "integer"),
        ("value = 1024\n", "", "limits.compartments_per_core", "has a value, or evidence"),
        (
            'evidence = "unknown"',
            'evidence = "rumour"',
            "limits.learning_rules_per_core.",
            "'code'",
        ),
        (
            "[limits.learning_rules_per_core]\n",
            "[limits.learning_rules_per_core]\nvalue = 4\n",
            "limits.learning_rules_per_core",
            "has a value, or evidence",
        ),
        ("value = 23.6", "value = nan", "cost.davies2018.synop_energy.value", ""),
        ("value = 23.6", "value = -1.0", "cost.davies2018.synop_energy.value", "greater than"),
        ('value = 23.6\nunit = "pJ"', "value = 23.6", "cost.davies2018.synop_energy.unit", ""),
        ("value = 64\nunit", "unit", "packing.word_bits", "unknown"),
        ('id = "loihi1"', 'id = "Loihi 1"', "id", "pattern"),
        ('schema = "hwdesc/1"', 'schema = "hwdesc/9"', "schema", "hwdesc/1"),
    ],
)
def test_a_bad_figure_is_named_by_its_key_path(edited, old, new, where, message):
    found = problems_of(edited((old, new)))
    key = next(k for k in found if k.startswith(f"mine.toml:{where}"))
    assert message in found[key].allowed


def test_a_target_can_extend_another(tmp_path):
    path = tmp_path / "half.toml"
    path.write_text(
        'id = "half"\nextends = "loihi1"\n'
        "[limits.compartments_per_core]\n"
        'value = 512\nseverity = "error"\nevidence = "estimate"\nsource = "half a core"\n'
    )
    target = load_target(path)
    assert target.id == "half"
    assert target.limits.compartments_per_core.source == "half a core"
    assert target.limits.in_axons_per_core == load_target("loihi1").limits.in_axons_per_core
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    assert target.file_digests == (own, load_target("loihi1").sha256)


def test_an_extending_fact_inherits_no_part_of_the_one_it_replaces(tmp_path):
    path = tmp_path / "half.toml"
    path.write_text(
        'id = "half"\nextends = "loihi1"\n[limits.compartments_per_core]\nvalue = 512\n'
    )
    found = problems_of(path)
    assert set(found) == {
        f"half.toml:limits.compartments_per_core.{key}"
        for key in ("severity", "evidence", "source")
    }


def test_extends_is_relative_to_the_file_and_must_not_loop(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(InvalidInputError, match=r"a\.toml -> b\.toml -> a\.toml"):
        load_target(tmp_path / "a.toml")


def test_toml_missing(tmp_path):
    with pytest.raises(InvalidInputError, match="no such file"):
        read_toml(tmp_path / "none.toml")


def test_toml_folder(tmp_path):
    with pytest.raises(InvalidInputError, match="unreadable"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = \n", "line 2, column 5"),
        (b'a = 1\nb = "open', "line 2, column 10"),
        (b"a = 1\na = 2\n", "line 2"),
        (b'a = 1\nb = "\xff"\n', "byte 0xff is not UTF-8 (line 2, column 6)"),
    ],
)
def test_toml_errors_say_where(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        read_toml(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_importing_targets_does_not_load_pydantic():
    code = "import sys, lava_align.targets, lava_align.compiler.checks; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pydantic" not in done.stdout.split()
