import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from lava_align.errors import InvalidInputError
from lava_align.recording import Recording, Series, Spikes
from lava_align.validation.endpoints import KINDS, MeasureSettings
from lava_align.validation.margins import Bounds, Margins, MarginSettings, derive_margins

DT, N_STEPS = 1e-3, 1000
WIDE = {kind: Bounds(floor=0.0, cap=1e9) for kind in KINDS}


def run(n_spikes, weights=None):
    """One population of two neurons; neuron 0 spikes ``n_spikes`` times, neuron 1 ten times."""
    raster = np.zeros((N_STEPS, 2), dtype=bool)
    raster[np.linspace(0, N_STEPS - 1, n_spikes, dtype=int), 0] = True
    raster[::100, 1] = True
    series = {} if weights is None else {"fb": Series(step=[0, 10], values=[weights, weights])}
    return Recording(
        backend="synthetic",
        dt=DT,
        n_steps=N_STEPS,
        spikes={"lower": Spikes.from_raster(raster)},
        weights=series,
    )


def margin(margins, name):
    return next(m for m in margins.margins if m.name == name)


def test_the_margin_is_kappa_times_the_quantile_of_leave_one_out_distances():
    counts = np.array([20, 22, 24, 30, 21])
    margins = derive_margins([run(n) for n in counts], {}, MarginSettings(**WIDE))
    found = margin(margins, "lower.rate")
    rates = (counts + 10) / 2
    expected = [abs(r - np.delete(rates, i).mean()) for i, r in enumerate(rates)]
    np.testing.assert_allclose(found.distances, expected)
    assert found.margin == pytest.approx(1.5 * np.quantile(expected, 0.95))
    assert found.decided_by == "spread"
    assert margins.n_runs == 5


def test_floor_and_cap_hold_and_are_named():
    settings = MarginSettings(
        rate=Bounds(floor=0.01, cap=0.08, relative=True), cv=Bounds(floor=0.0, cap=0.0)
    )
    still = margin(derive_margins([run(20)] * 3, {}, settings), "lower.rate")
    assert (still.decided_by, still.margin) == ("floor", pytest.approx(0.01 * 15))
    wild = margin(derive_margins([run(20), run(60), run(200)], {}, settings), "lower.rate")
    mean = np.mean([15, 35, 105])
    assert (wild.decided_by, wild.margin) == ("cap", pytest.approx(0.08 * mean))


def test_the_default_bounds_are_in_order_and_reject_a_tenth_of_the_rate():
    settings = MarginSettings()
    for kind in KINDS:
        bounds = settings.bounds(kind)
        assert 0 < bounds.floor < bounds.cap
    assert settings.rate.relative
    assert settings.rate.cap < 0.1


def test_an_endpoint_no_run_has_is_kept_without_a_margin():
    margins = derive_margins([run(20)] * 3, {"fb": np.ones((2, 2))})
    found = margin(margins, "fb.weight_r")
    assert found.margin is None
    assert found.distances == ()
    assert "0 of 3" in found.decided_by
    assert "not probed" in found.decided_by


def test_patterns_that_cancel_count_as_unrelated():
    forward = {"fb": np.array([[1.0, 2.0], [3.0, 5.0]])}
    up, down = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    margins = derive_margins([run(20, up), run(20, down), run(20, up)], forward)
    found = margin(margins, "fb.weight_pattern")
    # Leaving an "up" out leaves one of each, whose mean is constant.
    assert found.distances == pytest.approx((1, 2, 1))


def test_one_run_gives_no_margin_and_none_is_an_error():
    margins = derive_margins([run(20)], {})
    assert all(m.margin is None for m in margins.margins)
    with pytest.raises(InvalidInputError, match="reference runs"):
        derive_margins([], {})


def test_reference_runs_must_fit_each_other():
    other = replace(run(20), dt=2e-3, n_steps=500)
    with pytest.raises(InvalidInputError) as caught:
        derive_margins([run(20), other], {})
    assert len(caught.value.problems) == 2
    assert "reference run 1" in str(caught.value)


def test_margins_are_frozen_and_their_digest_follows_the_content():
    runs = [run(n) for n in (20, 22, 24)]
    first, again = derive_margins(runs, {}), derive_margins(runs, {})
    assert first == again
    assert first.digest() == again.digest()
    assert first.digest() != derive_margins(runs, {}, MarginSettings(kappa=2.0)).digest()
    assert first.digest() != derive_margins(runs[:2], {}).digest()
    with pytest.raises(FrozenInstanceError):
        first.n_runs = 4


def test_margins_survive_json():
    weights = np.array([[1.0, 2.0], [3.0, 5.0]])
    settings = MarginSettings(kappa=2, primary=("rate", "cv"), measure=MeasureSettings(warmup=0.1))
    runs = [run(20, weights), run(22, weights + np.eye(2))]
    margins = derive_margins(runs, {"fb": weights, "absent": weights}, settings)
    text = json.dumps(margins.to_dict(), allow_nan=False)
    loaded = Margins.from_dict(json.loads(text))
    assert loaded == margins
    assert loaded.digest() == margins.digest()


@pytest.mark.parametrize(
    "damage", [{"schema": "other/1"}, {"settings": {}}, {"margins": [{"name": "x"}]}]
)
def test_a_damaged_form_is_refused(damage):
    plain = derive_margins([run(20)], {}).to_dict()
    with pytest.raises(InvalidInputError, match="margins"):
        Margins.from_dict({**plain, **damage})


def test_every_bad_setting_is_reported_at_once():
    with pytest.raises(InvalidInputError) as caught:
        MarginSettings(
            kappa=0, quantile=1.0, min_runs=1, primary=("height",), rate=Bounds(floor=2, cap=1)
        )
    assert len(caught.value.problems) == 5
