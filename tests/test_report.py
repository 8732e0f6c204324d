"""The report page: complete, self-contained, escaped, and honest about what is missing."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from ssljax.report import differing, write_comparison, write_overview, write_report
from ssljax.report.charts import colours_for, overview_chart
from ssljax.report.network import layout, network
from ssljax.report.noise import best_of, curves_of_seeds, wilson
from ssljax.report.runs import read_runs
from ssljax.selftraining.pictures import around

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert('x')</script> & $a_b"


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on a tag that is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.urls, self.titles, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.urls += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


def page(path):
    """The parsed page; nothing in it leads outside or runs."""
    text = path.read_text(encoding="utf-8")
    parsed = Page(text)
    assert all(url.startswith(("data:image/png;base64,", "#")) for url in parsed.urls)
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert "script" not in parsed.tags
    return parsed


def rows(n=6, **more):
    return [
        {"step": 10 * i, "loss": 5 / i, "learning_rate": 0.1, "rankme": 3.0 + i, **more}
        | ({"eval/knn20_t0.07": 0.1 * i} if i % 2 else {})
        for i in range(1, n + 1)
    ]


def make(folder, *, seed=0, metrics=None, channels=1, name=HOSTILE):
    """A whole run folder with small random pictures."""
    folder.mkdir(parents=True)
    lines = [json.dumps(row) for row in (rows() if metrics is None else metrics)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    method = {"type": "ssljax.methods.simclr:SimCLR", "temperature": 0.2, "note": name}
    experiment = {"method": method, "steps": 60, "seed": seed, "data": "digits"}
    config = {"experiment": experiment, "versions": {"jax": "0.10"}, "commit": "abc123"}
    (folder / "config.json").write_text(json.dumps(config | {"hardware": "8 x TPU"}))
    trained = {"knn200_t0.1": 0.9123, "knn200_t0.1_std": 0.004, "linear": 0.5, "rankme": 12.25}
    random = {"knn200_t0.1": 0.7, "knn200_t0.1_std": 0.01, "linear": 0.625, "rankme": 3.0}
    trained |= {"linear_l2": 0.07, "linear_train": 0.987, "dimensions": 12800}
    encoders = {"trained": trained, "random": random}
    protocol = {"draws": 5, "test_examples": 1000}
    evaluation = {"protocol": protocol, "encoders": encoders, "notes": [f"note {name}"]}
    results = {"step": 60, "evaluation": evaluation}
    (folder / "results.json").write_text(json.dumps(results | {"seconds": {"training": 90.0}}))
    draw = np.random.default_rng(seed)
    labels = np.array(["cat", name])[np.arange(24) % 2]
    np.savez(
        folder / "report.npz",
        views=draw.random((3, 2, 8, 8, channels), np.float32),
        images=draw.integers(0, 255, (3, 8, 8, channels), np.uint8),
        features=draw.normal(size=(24, 6)) + 4 * np.eye(6)[np.arange(24) % 2],
        labels=labels,
        thumbnails=draw.integers(0, 255, (24, 8, 8, channels), np.uint8),
    )
    return folder


SECTIONS = [
    *("Results", "Curves", "Other measurements", "Views", "Map of the features"),
    *("Nearest neighbours", "Configuration", "Provenance"),
]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_page(tmp_path, channels):
    folder = make(tmp_path / "run", channels=channels)
    path = write_report(folder)
    assert path == folder / "report.html"
    parsed, text = page(path), path.read_text()
    assert parsed.titles == SECTIONS
    for title in ("Loss", "Probe accuracy", "Feature spread: rankme", "learning_rate"):
        assert f"<figcaption>{title}</figcaption>" in text
    assert "<td><b>91.2</b> <small>± 0.4</small> <small>(89.3–92.8)</small></td>" in text
    # the best is not always the first
    best = "<td><b>62.5</b> <small>(59.5–65.4)</small></td>"
    assert f"<td>50.0 <small>(46.9–53.1)</small></td>{best}" in text
    assert "n = 1,000 scored examples" in text
    assert "<td>12.2</td><td>3.0</td>" in text  # RankMe is neither a percentage nor a contest
    assert "<td>12,800</td><td>—</td>" in text
    assert "linear_l2" not in text and "linear_train" not in text  # details of other numbers
    assert f"note {HOSTILE}" in parsed.words
    for word in ("SimCLR", "abc123", "8 x TPU", "0.10", "60 of 60", "1.5 min"):
        assert any(word in w for w in parsed.words), word
    # 3 originals with 2 views each, 2 queries (one a class) with 6 neighbours each.
    assert parsed.tags.count("img") == 3 * 3 + 2 * 7


def test_hostile_text_is_escaped(tmp_path):
    parsed = page(write_report(make(tmp_path / "run<b>", metrics=rows(**{HOSTILE: 1.0}))))
    assert parsed.words.count(HOSTILE) >= 3  # key of a metric, configuration, class
    assert "run<b>" in parsed.words


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    folder = make(tmp_path / "run")
    first = write_report(folder).read_bytes()
    assert write_report(folder, out=tmp_path / "new" / "r.html").read_bytes() == first


def test_absent_files_leave_their_sections_out(tmp_path):
    folder = make(tmp_path / "run")
    (folder / "report.npz").unlink()
    assert page(write_report(folder)).titles == [*SECTIONS[:3], *SECTIONS[-2:]]
    (folder / "results.json").unlink()
    (folder / "config.json").unlink()
    assert page(write_report(folder)).titles == SECTIONS[1:3]


def test_half_written_and_broken_rows(tmp_path):
    folder = make(tmp_path / "run", metrics=[*rows(3), {"step": 40, "loss": "nan"}])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "loss": 1')
    words = page(write_report(folder)).words
    assert "The loss is not finite in 1 of 4 rows, first at step 40." in words
    lines = (folder / "metrics.jsonl").read_text().split("\n")
    (folder / "metrics.jsonl").write_text("\n".join([lines[0], '{"step": 2', *lines[1:]]))
    with pytest.raises(ValueError, match=r"line 2 is not a row of metrics: .*Mend or remove"):
        write_report(folder)


@pytest.mark.parametrize(
    "metrics",
    [[], rows(1), [{"step": 1, "loss": "inf"}], rows(300), [{"step": 1, "loss": None, "a": "b"}]],
    ids=["none", "one", "infinite", "many", "no numbers"],
)
def test_few_and_many_rows(tmp_path, metrics):
    folder = make(tmp_path / "run", metrics=metrics)
    (folder / "report.npz").unlink()
    shown = "Curves" in page(write_report(folder)).titles
    assert shown == bool(metrics)


def test_features_without_labels_collapsed_or_not_finite(tmp_path):
    folder = make(tmp_path / "run")
    features = np.random.default_rng(0).normal(size=(20, 4))
    features[3] = np.nan
    np.savez(folder / "report.npz", features=features)
    assert "Map of the features" in page(write_report(folder)).titles
    np.savez(folder / "report.npz", features=np.ones((20, 4)))
    assert "Map of the features" not in page(write_report(folder)).titles
    np.savez(folder / "report.npz", features=features, labels=np.arange(3))
    with pytest.raises(ValueError, match="labels of the same N"):
        write_report(folder)


def test_neighbours_of_another_label_are_marked(tmp_path):
    folder = make(tmp_path / "run")
    features = np.eye(2)[np.arange(24) % 2] + 0.01 * np.arange(24)[:, None] / 24
    labels = np.arange(24) % 2
    images = np.zeros((24, 8, 8), np.uint8)
    np.savez(folder / "report.npz", features=features, labels=labels, thumbnails=images)
    assert 'class="wrong"' not in write_report(folder).read_text()
    labels[3] = 0  # one mistake: it lies with label 1, whose query is example 1
    np.savez(folder / "report.npz", features=features, labels=labels, thumbnails=images)
    assert write_report(folder).read_text().count('class="wrong"') == 1


def test_pictures_that_a_method_makes(tmp_path):
    """Each array is a section; the original stands before what is made of it, unlike samples."""
    folder = make(tmp_path / "run")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (3, 8, 8, 1), np.uint8)
    made = {
        "views": draw.random((3, 2, 8, 8, 1)),
        "drawn_again": draw.random((3, 8, 8, 1)),
        "samples": draw.random((5, 4, 8, 8, 1)),
        "codes": draw.random((3, 7)),
    }
    np.savez(folder / "report.npz", images=images, **made)
    parsed = page(write_report(folder))
    assert [t for t in parsed.titles if t not in SECTIONS] == ["Drawn again", "Samples"]
    assert parsed.tags.count("img") == 3 * (1 + 2) + 3 * (1 + 1) + 5 * 4


def test_attention(tmp_path):
    """The image, the mean over heads and each head; the brightest patch is the most attended."""
    folder = make(tmp_path / "run")
    maps = np.full((2, 3, 4, 4), 0.01, np.float32)
    maps[:, :, 1, 2] = 0.9
    pictures = np.random.default_rng(0).random((2, 8, 8, 1))
    np.savez(folder / "report.npz", attention=maps, attended=pictures)
    path = write_report(folder)
    parsed = page(path)
    assert "Attention" in parsed.titles
    assert parsed.tags.count("img") == 2 * (1 + 1 + 3)
    last = re.findall(r"data:image/png;base64,([^\"]*)", path.read_text())[-1]
    shown = imread(io.BytesIO(base64.b64decode(last)))[..., :3].sum(axis=-1)
    assert shown.shape == (4, 4) and np.unravel_index(shown.argmax(), (4, 4)) == (1, 2)


def test_finetuned(tmp_path):
    folder = make(tmp_path / "run")
    protocol = {"frozen": False, "layer_decay": 0.75, "augment": "weak", "steps": 1000, "seeds": 2}
    row = {"accuracy": 0.911, "accuracy_std": 0.004, "labels": 600.0}
    encoders = {"pretrained": row, "random": {"accuracy": 0.5, "labels": 600.0, "scored": 1000.0}}
    entry = {"data": HOSTILE, "protocol": protocol, "encoders": encoders}
    (folder / "finetune.json").write_text(json.dumps([entry]))
    parsed = page(write_report(folder))
    assert "Fine-tuning" in parsed.titles
    for word in ("91.1 ± 0.4", "50.0 (46.9–53.1)", "600", HOSTILE):
        assert word in parsed.words, word
    assert any("layer decay 0.75" in word and "2 seeds" in word for word in parsed.words)
    (folder / "finetune.json").write_text('[{"data": 1}]')
    with pytest.raises(ValueError, match=r"finetune.json cannot be read"):
        write_report(folder)


def several(tmp_path, temperatures, *, seeds=(0,), **more):
    """Run folders that differ in temperature and seed, with results that depend on both."""
    folders = []
    for t in temperatures:
        for seed in seeds:
            folder = make(tmp_path / f"t{t}-{seed}", seed=seed)
            config = json.loads((folder / "config.json").read_text())
            config["experiment"]["method"]["temperature"] = t
            config["experiment"] |= {k: f(t) for k, f in more.items()}
            (folder / "config.json").write_text(json.dumps(config))
            results = json.loads((folder / "results.json").read_text())
            trained = results["evaluation"]["encoders"]["trained"]
            trained |= {"knn200_t0.1": 0.5 + t / 10 + seed / 100}
            (folder / "results.json").write_text(json.dumps(results))
            folders.append(folder)
    return folders


def drawn(folders, axis=None):
    """(labels of the places, {legend: line}) of the accuracy panel."""
    axes = overview_chart(read_runs(folders), axis).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    return [t.get_text() for t in axes.get_xticklabels()], axes.get_xlabel(), lines


def test_overview_along_the_only_field_that_differs(tmp_path):
    """In numerical order, evenly spaced, the mean over seeds as a line."""
    folders = several(tmp_path, (1.0, 0.1, 0.5), seeds=(0, 2))
    places, label, lines = drawn(folders)
    assert (places, label) == (["0.1", "0.5", "1.0"], "method.temperature")
    line = lines["knn200_t0.1"]
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 2])
    np.testing.assert_allclose(line.get_ydata(), [0.52, 0.56, 0.61])
    assert lines["knn200_t0.1, random"].get_ydata()[0] == pytest.approx(0.7)
    out = tmp_path / "plots" / "sweep.png"
    assert write_overview(folders, out) == out
    assert imread(out).shape[2] == 4
    assert differing(folders)["method.temperature"] == ["1.0"] * 2 + ["0.1"] * 2 + ["0.5"] * 2
    assert list(differing(folders)) == ["method.temperature", "seed"]


def test_overview_where_other_fields_move_along(tmp_path):
    folders = several(tmp_path, (0.1, 0.5), steps=lambda t: int(100 * t))
    places, label, lines = drawn(folders, "method.temperature")
    assert (places, label) == (["0.1", "0.5"], "method.temperature")
    assert "knn200_t0.1" in lines  # one line: steps are no choice of their own
    assert drawn(folders)[1] == "accuracy"  # without an axis: a row for each run


def test_overview_has_a_line_for_each_value_of_another_field(tmp_path):
    folders = several(tmp_path / "a", (0.1, 0.5), batch=lambda t: 64)
    folders += several(tmp_path / "b", (0.1, 0.5), batch=lambda t: 128)
    _, _, lines = drawn(folders, "method.temperature")
    assert {"knn200_t0.1, batch 64", "knn200_t0.1, batch 128"} <= set(lines)


def test_overview_without_results(tmp_path):
    folder = make(tmp_path / "run")
    (folder / "results.json").unlink()
    assert write_overview([folder], tmp_path / "x.png") is None
    done = make(tmp_path / "done")
    parsed = page(write_comparison([folder, done], tmp_path / "c.html"))
    assert "No results yet: run." in parsed.words


def test_many_runs_have_colours_of_their_own(tmp_path):
    for count in (3, 8, 9, 20, 30):
        colours = colours_for(count)[:count]
        assert len(set(colours)) == count


def test_comparison_shows_names_and_only_differing_fields(tmp_path):
    a, b = make(tmp_path / "first", seed=0), make(tmp_path / "second", seed=7)
    parsed = page(write_comparison([a, b], tmp_path / "c.html"))
    text = (tmp_path / "c.html").read_text()
    assert parsed.words.count("first") >= 2 and parsed.words.count("second") >= 2
    assert "first (2 seeds)" in parsed.words
    assert "<tr><th>seed</th><td>0</td><td>7</td></tr>" in text
    assert "method.temperature" not in text
    assert "<th>linear</th>" in text and "<figcaption>loss</figcaption>" in text
    same = write_comparison([a, a], tmp_path / "d.html").read_text()
    assert "None differs." in same


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not a run folder: it has no metrics\.jsonl"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match="at least one run folder"):
        write_comparison([], tmp_path / "c.html")
    folder = make(tmp_path / "run")
    (folder / "report.npz").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match=r"report.npz cannot be read"):
        write_report(folder)
    np.savez(folder / "report.npz", labels=np.array([object()]))
    with pytest.raises(ValueError, match=r"report.npz cannot be read"):
        write_report(folder)
    (folder / "results.json").write_text("[1, 2")
    with pytest.raises(ValueError, match=r"results.json is not a JSON object"):
        write_report(folder)


def test_intervals_are_those_of_wilson():
    """Against the closed form at its edges, and the numbers of scipy's binomial test."""
    from scipy.stats import binomtest

    for right, n in ((0, 10), (7, 10), (912, 1000), (50, 50)):
        low, high = wilson(right / n, n)
        peer = binomtest(right, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((peer.low, peer.high), abs=1e-4)


def test_bold_is_more_than_chance(tmp_path):
    """60.0 is not above 58.0 of 500 examples, of 50,000 it is, and of an unknown number it is not
    said; nor where repetitions spread further than the difference."""
    values, none = {"a": 0.60, "b": 0.58}, {}
    assert best_of("linear", values, none, dict.fromkeys("ab", 500)) is None
    assert best_of("linear", values, none, dict.fromkeys("ab", 50_000)) == "a"
    assert best_of("linear", values, none, {}) is None
    assert best_of("linear", values, {"a": 0.02, "b": 0.02}, dict.fromkeys("ab", 50_000)) is None
    assert best_of("retrieval_map", values, {"a": 0.001, "b": 0.001}, {}) == "a"


def test_runs_over_seeds_are_one_column(tmp_path):
    folders = several(tmp_path, (0.1, 0.5), seeds=(0, 2))
    text = write_comparison(folders, tmp_path / "c.html").read_text()
    # 0.51 and 0.53: mean 52.0 and deviation 1.4, of 1,000 examples each
    assert "<td>52.0 <small>± 1.4</small> <small>(48.9–55.1)</small></td>" in text
    head = "<th>protocol</th><th>t0.1 (2 seeds)</th><th>t0.5 (2 seeds)</th>"
    assert head in text and "nothing but their seed" in text


def test_curves_over_seeds_are_their_mean_in_a_band(tmp_path):
    """Of steps that all have logged; a point says what it is worth."""
    folders = several(tmp_path, (0.1, 0.5), seeds=(0, 2))
    short = [{"step": s, "loss": v} for s, v in ((10, 1.0), (20, 3.0), (25, 9.0))]
    (folders[0] / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in short))
    runs = read_runs(folders)
    one = curves_of_seeds(runs[:2], "t0.1 (2 seeds)")
    steps, means, deviations = one.curves["loss"]
    assert steps.tolist() == [10, 20] and list(one.curves) == ["loss"]
    np.testing.assert_allclose(means, [(1.0 + 5.0) / 2, (3.0 + 2.5) / 2])
    np.testing.assert_allclose(deviations, np.std([[1.0, 3.0], [5.0, 2.5]], axis=0, ddof=1))
    text = write_comparison(folders, tmp_path / "c.html").read_text()
    assert page(tmp_path / "c.html") and "in a band of one standard deviation" in text
    assert "<title>t0.1 (2 seeds), step 10: 3</title>" in text
    assert "<title>t0.1 (2 seeds), step 25" not in text
    alone = write_report(folders[3]).read_text()
    assert "<title>step 20: 2.5</title>" in alone and "standard deviation over the" not in alone
    assert "<title>trained, knn200_t0.1: 57.00%</title>" in alone
    assert "tip-" not in alone


def test_a_page_has_a_dark_side_and_tables_scroll_by_themselves(tmp_path):
    text = write_report(make(tmp_path / "run")).read_text()
    assert "prefers-color-scheme:dark" in text and "overflow-x:auto" in text
    assert 'style="fill: #ffffff"' not in text  # charts let the page shine through


def test_a_network_is_drawn_with_friends_near_each_other():
    pairs = [(a + s, b + s) for s in (0, 6) for a in range(6) for b in range(a)]
    links = np.array([*pairs, (0, 6)])  # two circles of friends and one bridge
    places = layout(links, 12)
    far = np.linalg.norm(places[:, None] - places[None], axis=-1)
    within = max(far[:6, :6].max(), far[6:, 6:].max())
    assert within < far[:6, 6:].min()
    said = np.array([0] * 5 + [-1] + [1] * 6)
    given = np.arange(12) == 0
    page = network({"links": links, "said": said, "given": given, "missed": ~given}, ["a", "<b>"])
    assert "12 nodes around" in page
    assert page.count("<svg") == 1
    assert "&lt;b&gt;" in page
    assert network({}, None) == ""


def test_the_nodes_around_the_one_with_the_most_links():
    links = np.array([(0, 1), (0, 2), (0, 3), (3, 4), (4, 5), (7, 8)])
    np.testing.assert_array_equal(around(links, 9, most=4), [0, 1, 2, 3])
    np.testing.assert_array_equal(around(links, 9, most=9), range(6))
