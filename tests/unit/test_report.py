"""The report: its numbers are those of its inputs, its page is one sound, self-contained file."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from lava_align.compiler.checks import check, overall
from lava_align.compiler.compile import Compilation
from lava_align.compiler.place import place, utilisation
from lava_align.compiler.program import InputGroup, NeuronGroup, Program, Synapses
from lava_align.learning_rule import Expression, LearningRule, Trace
from lava_align.model.experiment import Experiment
from lava_align.model.network import LIF, Network, Plasticity, Population, Projection, Stimulus
from lava_align.model.stimuli import PoissonDrive
from lava_align.recording import Recording, Series, Spikes
from lava_align.report import figures, report_content, report_html
from lava_align.rules import Quantity
from lava_align.statistics.alignment import alignment
from lava_align.statistics.spikes import firing_rates
from lava_align.targets import load_target
from lava_align.validation import MarginSettings, MeasureSettings, derive_margins, judge

STEPS, DT, WARMUP = 2000, 1e-3, 0.5
SIZES = {"lower": 12, "upper": 9, "top": 7}
PAIRS = {"B": ("upper", "lower", "W"), "C": ("top", "upper", "V")}
RULE = LearningRule(
    dt=Expression.parse("x0*y1 - x0*y2 - u6*t"),
    dw=Expression.parse("2^-4*u6*t - 2^-7*u6*w"),
    y1=Trace(impulse=100, tau=10),
    y2=Trace(impulse=5, tau=200),
)


def make_network(names=("B",), sizes=SIZES):
    rng = np.random.default_rng(7)
    projections = []
    for name in names:
        pre, post, mirrors = PAIRS[name]
        forward = rng.normal(0.25, 0.6, (sizes[pre], sizes[post]))
        projections += [
            Projection(name=mirrors, pre=post, post=pre, weights=forward),
            Projection(
                name=name,
                pre=pre,
                post=post,
                weights=np.zeros(forward.shape[::-1]),
                plasticity=Plasticity(rule="stdwi", mirrors=mirrors),
                acts=False,
            ),
        ]
    used = sorted({end for p in projections for end in (p.pre, p.post)})
    return Network(
        dt=DT,
        duration=STEPS * DT,
        populations=tuple(
            Population(name=n, size=sizes[n], neuron=LIF(tau_m=10e-3, tau_syn=5e-3)) for n in used
        ),
        projections=tuple(projections),
        stimuli=(
            Stimulus(name="input", population=used[0], weight=2.0, drive=PoissonDrive(rate=100.0)),
        ),
    )


def make_compilation(network, target):
    neurons = tuple(
        NeuronGroup(name=p.name, size=p.size, du=740, dv=390, vth=200, bias_mant=np.zeros(p.size))
        for p in network.populations
    )
    synapses = tuple(
        Synapses(
            name=p.name,
            pre=p.pre,
            post=p.post,
            weights=np.round(p.weights * 32) * 2,
            acts=p.acts,
            learning=RULE if p.plasticity else None,
        )
        for p in network.projections
    )
    program = Program(
        target=target.id,
        dt=DT,
        n_steps=STEPS,
        inputs=(InputGroup(name="input", size=network.populations[0].size),),
        neurons=neurons,
        synapses=synapses,
    )
    plastic = [p.name for p in network.plastic()]
    return Compilation(
        program=program,
        quantities=(
            Quantity.compare("lower", "tau_m", 10e-3, 10.02e-3, "s", "12-bit decay"),
            Quantity.compare("B", "decay per clock tick", 0.0, 0.0, note="left out"),
        ),
        checks=check(program, target),
        placement=place(program, target),
        expected_rates={p.name: 30.0 for p in network.populations},
        predictions={name: {"weight_sd": 61.2, "reliability": float("nan")} for name in plastic},
        weight_scales={name: 1.2e4 for name in plastic},
    )


def make_run(network, backend, seed, *, noise=0.3, silent=(), weights=True, scale=1.0, gain=1.0):
    """Poisson spikes with rates of their own, and weights that grow towards the mirror."""
    fixed, rng = np.random.default_rng(3), np.random.default_rng(seed)
    spikes = {}
    for population in network.populations:
        rate = gain * fixed.gamma(4.0, 8.0, population.size)
        quiet = population.name in silent
        raster = rng.random((STEPS, population.size)) < (0 if quiet else rate * DT)
        spikes[population.name] = Spikes.from_raster(raster)
    series = {}
    for projection in network.plastic() if weights else ():
        mirror = network.projection(projection.plasticity.mirrors).weights.T
        step = np.linspace(0, STEPS, 9).astype(int)
        spread = noise * fixed.normal(size=(len(step), *mirror.shape)) + 0.02 * rng.normal(
            size=(len(step), *mirror.shape)
        )
        values = (step / STEPS)[:, None, None] * mirror + spread
        values[0] = 0
        values = np.round(values * 100) if scale != 1.0 else values
        series[projection.name] = Series(step=step, values=values)
    return Recording(
        backend=backend,
        dt=DT,
        n_steps=STEPS,
        spikes=spikes,
        weights=series,
        not_probed=() if weights else tuple(p.name for p in network.plastic()),
        provenance={"seed": seed, "versions": {"numpy": "2.3.0"}},
    )


def make_case(
    names=("B",),
    *,
    title="STDWI on digits",
    sizes=SIZES,
    runs=12,
    backend="native",
    paired=True,
    **candidate,
):
    """Arguments of report_content, and the forward weights."""
    network = make_network(names, sizes)
    target = load_target("loihi1")
    forwards = {p.name: network.projection(p.plasticity.mirrors).weights for p in network.plastic()}
    settings = MarginSettings(measure=MeasureSettings(warmup=WARMUP))
    references = [make_run(network, "brian2", 100 + i) for i in range(runs)]
    margins = derive_margins(references, forwards, settings)
    reference = references[0]
    run = make_run(network, backend, 500, scale=100.0, **candidate)
    verdict = judge(run, reference, margins, forwards, paired=True)
    provenance = {
        "versions": {"lava_align": "0.1.0", "python": "3.11.9"},
        "wall time (s)": {"native": 0.31, "brian2": 12.5},
        "odd": [np.int64(3), float("inf")],
    }
    arguments = {
        "experiment": Experiment(title=title, seed=1, network=network, approximate=("tau_rise",)),
        "compilation": make_compilation(network, target),
        "target": target,
        "candidate": run,
        "reference": reference,
        "verdict": verdict,
        "margins": margins,
        "provenance": provenance,
    }
    return arguments, forwards


def page(case):
    arguments, forwards = case
    content = report_content(**arguments)
    return report_html(content, arguments["candidate"], arguments["reference"], forwards)


class Outline(HTMLParser):
    """Checks that tags balance; collects tags, ids, headings and text."""

    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.headings, self.text = [], [], [], [], ""
        self.attributes = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def outline(html):
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def case():
    return make_case()


@pytest.fixture(scope="module")
def content(case):
    return report_content(**case[0])


@pytest.fixture(scope="module")
def html(case):
    return page(case)


@pytest.fixture
def plain_figures(monkeypatch):
    """Stand-ins, for tests of the text; drawing takes most of the time."""

    def draw(paint, *, label, **_):
        return f'<svg aria-label="{label}"></svg>'

    monkeypatch.setattr(figures, "draw", draw)


def test_content_is_json_and_has_every_part(content):
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again == content
    assert content["schema"] == "lava-align-report/1"
    assert set(content) >= {
        "title", "seed", "dt", "duration", "target", "verdict", "margins", "projections",
        "populations", "quantities", "checks", "overall", "utilisation",
         "cores", "provenance", "hashes", "systems", "simplifications",
    }  # fmt: skip


def test_content_repeats_what_it_was_given(case, content):
    arguments, _ = case
    assert content["verdict"] == json.loads(json.dumps(arguments["verdict"].to_dict()))
    assert content["margins"]["sha256"] == arguments["margins"].digest()
    assert content["hashes"]["program"] == arguments["compilation"].program.digest()
    assert content["target"]["sha256"] == arguments["target"].sha256
    assert content["overall"] == overall(arguments["compilation"].checks)
    assert len(content["checks"]) == len(arguments["compilation"].checks)
    used = utilisation(arguments["compilation"].placement, arguments["target"])
    assert [(u["resource"], u["busiest"]) for u in content["utilisation"]] == [
        (u.resource, u.busiest) for u in used
    ]
    assert content["simplifications"] == ["tau_rise"]
    assert content["provenance"]["odd"] == [3, None]
    row = content["quantities"][0]
    assert (row["where"], row["asked"], row["realised"]) == ("lower", 10e-3, 10.02e-3)


def test_alignment_and_rates_equal_those_recomputed(case, content):
    arguments, forwards = case
    for system in ("candidate", "reference"):
        run = arguments[system]
        course = content["projections"][0]["alignment"][system]
        series = run.weights["B"]
        assert course["step"] == series.step.tolist()
        assert course["time"][-1] == pytest.approx(STEPS * DT)
        wanted = alignment(forwards["B"], series.values[-1])
        assert course["r"][-1] == wanted.r
        assert course["angle"][-1] == wanted.angle
        assert course["sign_agreement"][-1] == wanted.sign_agreement
        assert course["angle"][0] is None  # all weights zero: there is no angle
        for population in content["populations"]:
            rates = firing_rates(
                run.spikes[population["name"]], dt=DT, n_steps=STEPS, start_step=500
            )
            assert population["rates"][system] == rates.tolist()


def test_projection_says_which_rule_runs(content):
    (projection,) = content["projections"]
    assert projection["mirrors"] == "W"
    assert (projection["rule"], projection["variant"]) == ("stdwi", "two-stage")
    assert "2003.03988" in projection["paper"]
    (plane,) = projection["planes"]
    assert plane["learning"]["dw"] == str(RULE.dw)
    assert plane["coefficients"] == json.loads(json.dumps(RULE.describe()))
    assert projection["predictions"] == {"weight_sd": 61.2, "reliability": None}


def test_page_is_well_formed(html):
    found = outline(html)
    assert len(found.ids) == len(set(found.ids))
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    assert ("html", "lang", "en") in found.attributes
    assert len(html.encode()) < 3_000_000


def test_page_loads_nothing(html):
    found = outline(html)
    for _, name, value in found.attributes:
        if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert value.startswith(("#", "data:image/png;base64,"))
    assert not set(found.tags) & {"script", "link", "iframe", "object", "embed", "base"}
    targets = re.findall(r"url\(([^)]*)\)", html)
    assert all(target.startswith("#") for target in targets)
    assert "@import" not in html
    assert not any("http" in (value or "") for *_, value in found.attributes)


def test_every_reference_inside_a_figure_exists(html):
    ids = set(outline(html).ids)
    references = re.findall(r'(?:href="|url\()#([^")]+)', html)
    assert references
    assert set(references) <= ids


def test_every_figure_says_what_it_shows(html):
    found = outline(html)
    labels = [
        value for tag, name, value in found.attributes if (tag, name) == ("svg", "aria-label")
    ]
    assert len(labels) == found.tags.count("svg")
    assert all(labels)


def test_page_says_it_all(case, content, html):
    text = outline(html).text
    assert "Nothing here has run on a chip." in text
    assert case[0]["verdict"].claim in text
    for row in content["verdict"]["rows"]:
        assert row["endpoint"] in text
    for row in content["checks"]:
        assert row["object"] in text
    for digest in (*content["hashes"].values(), content["target"]["sha256"]):
        assert digest in text
    for word in ("tau_m", "12-bit decay", "in axons per core", str(RULE.dt), "native"):
        assert word in text
    final = content["projections"][0]["alignment"]["candidate"]
    assert f"{final['angle'][-1]:.1f}°" in text
    assert f"{final['r'][-1]:.3f}" in text


def test_equal_input_gives_equal_bytes(case, html):
    assert page(case) == html


def test_page_can_be_made_again_from_stored_content(case, content, html):
    arguments, forwards = case
    stored = json.loads(json.dumps(content, sort_keys=True))
    assert report_html(stored, arguments["candidate"], arguments["reference"], forwards) == html


@pytest.mark.usefixtures("plain_figures")
def test_hostile_text_is_shown_and_not_obeyed():
    arguments, forwards = make_case(title="<script>alert(1)</script>", backend='"><img src=x>')
    arguments["provenance"] = {"<b>": "</code><script>"}
    html = page((arguments, forwards))
    found = outline(html)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert "<script>alert(1)</script>" in found.text


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "EQUIVALENT"),
        ({"gain": 1.6}, "DIFFERENT"),
        ({"silent": ("upper",)}, "DIFFERENT"),
        ({"weights": False}, "INCONCLUSIVE"),
        ({"runs": 4}, "INCONCLUSIVE"),
    ],
)
@pytest.mark.usefixtures("plain_figures")
def test_verdict_comes_first_in_word_and_colour(change, outcome):
    arguments, forwards = make_case(**change)
    assert arguments["verdict"].outcome.value == outcome
    html = page((arguments, forwards))
    found = outline(html)
    assert ("section", "class", f"verdict {outcome.lower()}") in found.attributes
    first_heading = html[html.index("<h2") : html.index("</h2>")]
    assert outcome in first_heading
    for row in arguments["verdict"].findings[:4]:
        assert row.endpoint in found.text


@pytest.mark.usefixtures("plain_figures")
def test_runs_with_other_input_are_called_consistent_and_no_more(case):
    arguments, forwards = dict(case[0]), case[1]
    arguments["verdict"] = replace(arguments["verdict"], paired=False)
    text = outline(page((arguments, forwards))).text
    assert "The chip form is consistent with the reference." in text
    assert "They had different input spikes" in text
    assert "behaves as the reference does" not in text


def test_silence_and_missing_weights_are_said():
    silent = outline(page(make_case(silent=("upper",)))).text
    assert "no spikes" in silent
    arguments, forwards = make_case(weights=False)
    content = report_content(**arguments)
    assert content["projections"][0]["alignment"]["candidate"]["r"] == []
    assert len(content["projections"][0]["alignment"]["reference"]["r"]) == 9
    empty = replace(arguments["reference"], weights={}, not_probed=("B",))
    arguments["reference"] = empty
    assert "Weights were not recorded." in outline(page((arguments, forwards))).text


@pytest.mark.usefixtures("plain_figures")
def test_unrecorded_population_is_not_a_silent_one(case):
    arguments, forwards = dict(case[0]), case[1]
    run = arguments["candidate"]
    spikes = {name: s for name, s in run.spikes.items() if name != "upper"}
    arguments["candidate"] = replace(run, spikes=spikes, not_probed=("upper",))
    content = report_content(**arguments)
    rates = {p["name"]: p["rates"]["candidate"] for p in content["populations"]}
    assert rates["upper"] is None
    assert rates["lower"] is not None
    assert "Not recorded: chip form." in outline(page((arguments, forwards))).text


def test_diverged_weights_are_shown_as_missing(case):
    arguments, forwards = dict(case[0]), case[1]
    run = arguments["reference"]
    values = run.weights["B"].values.copy()
    values[-1] = np.nan
    series = Series(step=run.weights["B"].step, values=values)
    arguments["reference"] = replace(run, weights={"B": series})
    content = report_content(**arguments)
    assert content["projections"][0]["alignment"]["reference"]["r"][-1] is None
    outline(page((arguments, forwards)))


def test_several_populations_and_two_plastic_projections():
    arguments, forwards = make_case(("B", "C"))
    content = report_content(**arguments)
    assert [p["mirrors"] for p in content["projections"]] == ["W", "V"]
    assert [p["name"] for p in content["populations"]] == ["lower", "top", "upper"]
    found = outline(page((arguments, forwards)))
    assert len(found.ids) == len(set(found.ids))
    assert "C against V transposed" in found.text


def test_reference_on_a_finer_grid_keeps_its_own_time(case):
    arguments = dict(case[0])
    run = arguments["reference"]
    finer = {
        name: Spikes(step=2 * spikes.step, neuron=spikes.neuron, size=spikes.size)
        for name, spikes in run.spikes.items()
    }
    arguments["reference"] = replace(
        run,
        dt=DT / 2,
        n_steps=2 * STEPS,
        spikes=finer,
        weights={"B": Series(step=2 * run.weights["B"].step, values=run.weights["B"].values)},
    )
    content = report_content(**arguments)
    before = report_content(**case[0])
    new, old = (c["projections"][0]["alignment"]["reference"]["time"] for c in (content, before))
    assert new == pytest.approx(old)
    new, old = (c["populations"][0]["rates"]["reference"] for c in (content, before))
    assert new == pytest.approx(old)


@pytest.mark.usefixtures("plain_figures")
def test_recording_from_elsewhere_is_not_called_a_simulation():
    text = outline(page(make_case(backend="nahuku32"))).text
    assert "this report knows nothing else of where it was made" in text
    assert "Nothing here has run on a chip" not in text


def test_large_populations_stay_small_files():
    sizes = {**SIZES, "lower": 400, "upper": 120}
    assert len(page(make_case(sizes=sizes)).encode()) < 3_000_000
