"""``lava-align rounding`` in this process."""

import json

OPTIONS = ("--seeds", "2", "--duration", "300 ms", "--jobs", "1")


def test_the_tables_and_the_file_say_the_same(call, tmp_path) -> None:
    assert call("example", "--out", "d.toml")[0] == 0
    code, out, _ = call("rounding", "d.toml", *OPTIONS, "--quiet", "--out", "r.json")
    assert code == 0
    assert "B: 3072 synapses, 0.3 s, 2 seeds (mean ± standard error)" in out
    for line in ("sign agreement", "of one weight, rms", "correlation of two synapses", "r.json"):
        assert line in out
    code, printed, _ = call("rounding", "d.toml", *OPTIONS, "--json")
    assert code == 0
    assert json.loads(printed) == json.loads((tmp_path / "r.json").read_text())
    measures = json.loads(printed)["projections"][0]["measures"]
    assert set(measures) == {"r", "sign_agreement", "angle"}


def test_what_is_refused_is_named(call) -> None:
    assert call("example", "--out", "d.toml")[0] == 0
    assert call("rounding", "d.toml", "--seeds", "1")[0] == 2
    code, _, err = call("rounding", "nothing.toml")
    assert (code, "no such file" in err) == (3, True)
    assert call("rounding", "d.toml", "--duration", "long")[0] == 3
    assert call("rounding", "d.toml", "--target", "none")[0] == 3
