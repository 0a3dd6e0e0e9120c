"""The rule of docs/own_rule.md, registered as another package would and run both ways."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from lava_align.backends.base import Probes
from lava_align.backends.brian2 import run_reference
from lava_align.backends.native import NativeBackend
from lava_align.compiler.compile import compile_network
from lava_align.errors import InvalidInputError
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
from lava_align.rules.registry import get_rule, rules
from lava_align.targets import load_target

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_rule.md"


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package of given entry points by putting it on the path."""

    def install(module, entries):
        (tmp_path / "my_rules.py").write_text(module)
        info = tmp_path / "my_rules-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_rules\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[lava_align.rules]\n{entries}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        rules.cache_clear()

    yield install
    sys.modules.pop("my_rules", None)
    monkeypatch.undo()
    rules.cache_clear()


def network():
    neuron = LIF(tau_m=10e-3, tau_syn=5e-3)
    rng = np.random.default_rng(1)
    return Network(
        dt=1e-3,
        duration=20.0,
        populations=(
            Population(name="lower", size=12, neuron=neuron),
            Population(name="upper", size=6, neuron=neuron),
        ),
        projections=(
            Projection(name="W", pre="lower", post="upper", weights=rng.uniform(0.2, 0.9, (6, 12))),
            Projection(
                name="B",
                pre="upper",
                post="lower",
                weights=np.zeros((12, 6)),
                acts=False,
                plasticity=Plasticity(rule="hebb", mirrors="W"),
            ),
        ),
        stimuli=(
            Stimulus(
                name="drive",
                population="lower",
                weight=2.0,
                drive=PoissonDrive(rate=120.0, active_fraction=0.4),
            ),
        ),
    )


def test_the_rule_of_the_page_runs_and_its_two_descriptions_agree(package):
    (entry,) = re.findall(r"hebb = \"(.*)\"", block("toml"))
    package(block("python"), f"hebb = {entry}")
    assert get_rule("hebb").title == "Hebbian learning with decay"
    net = network()
    compiled = compile_network(net, load_target("loihi2"))
    inputs, end = draw_stimuli(net, 3), net.n_steps
    chip = NativeBackend().run(compiled.program, inputs, end, Probes(weight_steps=(end,)))
    (reference,) = run_reference(net, [3], inputs=[inputs], weight_steps=[end], codegen="numpy")
    found = chip.weights["B"].values[-1] / compiled.weight_scales["B"]
    expected = reference.weights["B"].values[-1]
    assert expected.std() > 0
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.8
    assert found.mean() == pytest.approx(expected.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("module", "entries", "message"),
    [
        ("HEBB = 3", "hebb = my_rules:HEBB", "a int.*AlignmentRule"),
        ("", "hebb = my_rules:HEBB", "cannot be loaded.*AttributeError"),
        ("from lava_align.rules.stdwi import STDWI", "x = my_rules:STDWI", "'stdwi'.*not taken"),
    ],
)
def test_what_cannot_be_a_rule_is_named(package, module, entries, message):
    package(module, entries)
    with pytest.raises(InvalidInputError, match=message):
        rules()
