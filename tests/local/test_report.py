"""The report about a run. Its looks were judged by eye, in a browser; here is what can be counted.

No browser runs here: what these tests say of the page is read from its markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pipeline.definition import build
from pipeline.example import environment
from tabular_ml_vpc.local.execution import new_execution
from tabular_ml_vpc.local.jobs import JobHost
from tabular_ml_vpc.local.record import Gate, Status, StepRecord
from tabular_ml_vpc.local.runs import Run, RunRequest
from tabular_ml_vpc.local.sandbox import Abilities, Runtime
from tabular_ml_vpc.local.service import LocalService
from tabular_ml_vpc.local.smoke import Smoke, SmokeLatency
from tabular_ml_vpc.local.store import FolderStore
from tabular_ml_vpc.reports.run_report import charts, data
from tabular_ml_vpc.reports.run_report.page import render

VOID = {"meta", "br"}
NASTY = "<script>alert(1)</script>"
MODEL = {
    "model": NASTY,
    "best": True,
    "score_val": 0.9,
    "fit_time": 2.5,
    "pred_time_val": 0.01,
    "metric": "roc_auc",
}


class Page(HTMLParser):
    """A page's elements; raises if they are not nested well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in {"h2", "h3"}:
            self.titles.append(data)


def reports(classes: list[str]) -> dict[str, dict[str, Any]]:
    """What the jobs leave, for a model of these classes."""
    curve = {
        "roc_auc": 0.875,
        "average_precision": 0.8,
        "roc": {"false_positive_rate": [0, 0.25, 1], "true_positive_rate": [0, 1, 1]},
        "precision_recall": {"recall": [1, 0.5, 0], "precision": [0.5, 1, 1]},
        "calibration": [
            {"predicted": 0.1, "observed": 0.0, "rows": 30},
            {"predicted": 0.9, "observed": 1.0, "rows": 10},
        ],
    }
    scored = classes[1:] if len(classes) == 2 else classes
    found = {"roc_auc": 0.875, "accuracy": 0.9, "log_loss": 0.3, "neg_log_loss": -0.3}
    return {
        "evaluation/evaluation.json": {
            "gate": {"metric": "roc_auc", "value": 0.875},
            "rows": 20 * len(classes),
            "classes": classes,
            "metrics": found,
            "baseline": dict.fromkeys(found, 0.5),
            "confusion_matrix": [[18 if a == b else 2 for a in classes] for b in classes],
        },
        "evaluation/curves.json": {"curves": [curve | {"class": name} for name in scored]},
        "evaluation/training.json": {
            "leaderboard": [MODEL],
            "feature_importance": [
                {"column": NASTY, "importance": 0.2, "stddev": 0.01},
                {"column": "age", "importance": -0.1, "stddev": None},
            ],
        },
        "profile/profile.json": {
            "rows": 100,
            "label": {
                "column": NASTY,
                "classes": [{"value": name, "rows": 50, "share": 0.5} for name in classes],
            },
            "split": {"train": 80, "test": 20},
            "columns": [
                {
                    **{"name": NASTY, "type": "text", "missing_share": 0.25, "distinct": None},
                    "top": [{"value": NASTY, "rows": 3}],
                },
                {
                    **{"name": "age", "type": "integer", "missing_share": 0.0, "distinct": 40},
                    **{"min": 18, "max": 90, "mean": 40.5, "std": 3.25},
                },
            ],
        },
    }


def schema(problem: str = "binary") -> dict[str, Any]:
    """A schema.json with a column of each sort."""
    plain: dict[str, Any] = {
        **{"role": "feature", "decimal": ".", "thousands": "", "currency": [], "percent": False},
        **{"format": None, "marks": [], "odd": {}, "odd_cells": 0, "missing": 0},
        **{"candidates": {}, "categories": None, "notes": []},
    }
    price = {"kind": "number", "decimal": ",", "marked": {"?": 9}, "missing": 12}
    columns = [
        plain | price | {"name": NASTY, "odd": {NASTY: 2, "n.v.": 1}, "odd_cells": 5},
        plain | {"name": "age", "kind": "integer"},
        plain | {"name": "day", "kind": "date", "format": "%d.%m.%Y", "notes": [NASTY]},
        plain | {"name": "country", "kind": "category", "candidates": {"NA": 3}},
        plain | {"name": "customer", "kind": "identifier"},
        plain | {"name": "shop", "kind": "category", "role": "group"},
    ]
    return {
        **{"version": 1, "label": NASTY, "problem": problem, "classes": [], "rows": 100},
        **{"positive_class": None, "columns": columns},
        "label_column": plain | {"name": "target", "kind": "category", "role": "label"},
    }


def regression_reports() -> dict[str, dict[str, Any]]:
    """What the jobs leave, for a model of a number."""
    found = {
        **{"r2": 0.8125, "rmse": 52_341.25, "mae": 0.0},
        **{"neg_root_mean_squared_error": -52_341.25, "neg_mean_absolute_error": 0.0},
    }
    left = reports(["a", "b"])
    profile = left["profile/profile.json"]
    left["schema/schema.json"] = schema("regression")
    profile["label"] = {"column": NASTY, "min": -5, "max": 1e6, "mean": 40.5, "std": 3.25}
    profile["problem"] = {"type": "regression", "reason": f"{NASTY} is a quantity"}
    profile["split"]["way"] = "time"
    profile["warnings"] = [f"column {NASTY} has odd cells"]
    profile["leakage"] = [{"column": NASTY, "score": 0.9995}]
    left["evaluation/evaluation.json"] = {
        "gate": {"metric": "r2", "value": 0.8125},
        **{"problem": "regression", "rows": 40, "classes": [], "confusion_matrix": []},
        "metrics": found,
        "baseline": dict.fromkeys(found, 0.5),
    }
    left["evaluation/curves.json"] = {
        "predicted_vs_true": [[float(at), at * 1.01 - 3] for at in range(-20, 40)],
        "residuals": [{"from": at - 5.0, "to": at - 4.0, "rows": at} for at in range(10)],
        "error_by_quantile": [
            {"from": at * 1e5, "to": at * 1e5 + 1e5, "rows": 4, "mae": 10.0 * at, "bias": -2.5}
            for at in range(10)
        ],
    }
    return left


def finished(
    folder: Path,
    classes: list[str],
    auc: float = 0.875,
    changed: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> Run:
    """A run that went all the way, or was refused by the gate; without classes, a regression.

    `changed` has new values for the results, e.g. `{"evaluation": {"gate": ...}}`.
    """
    definition = build(environment())
    execution = new_execution(definition, {"LabelColumn": NASTY}, "local")
    store = FolderStore(folder / "s3")
    for name, content in (reports(classes) if classes else regression_reports()).items():
        (folder / "x.json").write_text(json.dumps(content | changed.get(Path(name).stem, {})))
        store.put_file(folder / "x.json", f"s3://bucket/1/{name}")
    for name in ("Preprocess", "Evaluate"):
        outputs = [
            {"OutputName": output, "S3Output": {"S3Uri": f"s3://bucket/1/{output}"}}
            for output in ("profile", "schema", "evaluation")
        ]
        description = {"ProcessingOutputConfig": {"Outputs": outputs}}
        step = StepRecord(name, "Processing", execution.started, description=description)
        execution.steps.append(_ended(step))
    gate = StepRecord("QualityGate", "Condition", execution.started)
    metric = "roc_auc" if classes else "r2"
    gate.gates.append(Gate("GreaterThanOrEqualTo", auc, 0.7, auc >= 0.7, metric))
    execution.steps.append(_ended(gate))
    execution.status, execution.ended = Status.SUCCEEDED, execution.started + timedelta(seconds=9)
    runtime = Runtime(Path("python"), Path("java"), Abilities(True, True, False))
    service = LocalService(JobHost(runtime, store, folder))
    wanted = RunRequest(None, {}, folder)
    run = Run(wanted, definition, execution, folder, store, service, data_name="mine.csv")
    run.invocation = _ended(StepRecord("Invoke", "InvokeEndpoint", execution.started))
    times = tuple(float(number) for number in range(4, 24))
    run.smoke = Smoke(NASTY, NASTY, 900.0, (SmokeLatency(1, 20, 12.5, 22.1, 23.0, times),))
    if auc < 0.7:
        execution.refused, execution.status = True, Status.FAILED
        run.smoke = run.invocation = None
    return run


def _ended(step: StepRecord) -> StepRecord:
    return replace(step, status=Status.SUCCEEDED, ended=step.started + timedelta(seconds=2))


def test_every_part_that_was_promised_is_there(tmp_path: Path) -> None:
    page = Page(render(finished(tmp_path, ["no", "yes"])))
    assert {
        *("ROC curve", "Precision and recall", "Confusion matrix", "Calibration", "Leaderboard"),
        *("Feature importance", "Latency over HTTP", "Columns", "Steps", "Parameters"),
    } <= set(page.titles)


@pytest.mark.parametrize(
    "classes", [[], ["no", "yes"], ["a", "b", "c"], list("abcdefghijklmnopqrstuv")]
)
def test_the_page_needs_nothing_but_itself(tmp_path: Path, classes: list[str]) -> None:
    text = render(finished(tmp_path, classes))
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in {"src", "href"}]
    assert not re.search(r"url\(|@import|https?:", text)


@pytest.mark.parametrize("classes", [[], [NASTY, "yes"]])
def test_what_the_users_table_says_is_shown_and_never_run(
    tmp_path: Path, classes: list[str]
) -> None:
    text = render(finished(tmp_path, classes))
    assert NASTY not in text
    assert text.count("&lt;script&gt;") >= 6


def test_the_page_follows_the_readers_light_and_width(tmp_path: Path) -> None:
    text = render(finished(tmp_path, ["no", "yes"]))
    assert "@media (prefers-color-scheme: dark)" in text
    assert "@media (max-width: 760px)" in text
    assert ("content", "width=device-width, initial-scale=1") in Page(text).attributes


def test_every_colour_is_defined_for_light_and_for_dark(tmp_path: Path) -> None:
    text = render(finished(tmp_path, ["no", "yes"]))
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    defined = [set(re.findall(r"(--[\w-]+):", block)) for block in (light, dark)]
    used = set(re.findall(r"var\((--[\w-]+)\)", text)) - {"--share"}
    assert used <= defined[0]
    assert defined[0] == defined[1]


def test_metrics_stand_beside_the_majority_class(tmp_path: Path) -> None:
    text = render(finished(tmp_path, ["no", "yes"]))
    card = "<b>0.875</b><span>ROC AUC · gate</span><span>majority class 0.500</span>"
    assert card in text


def test_a_regression_has_charts_of_its_own_and_none_of_classes(tmp_path: Path) -> None:
    titles = set(Page(render(finished(tmp_path, []))).titles)
    assert {"Predicted against true", "Residuals", "Error by quantile"} <= titles
    assert not {"ROC curve", "Confusion matrix", "Calibration"} & titles


def test_errors_in_the_label_s_unit_can_be_read_and_stand_beside_the_mean(tmp_path: Path) -> None:
    text = render(finished(tmp_path, []))
    assert "<b>0.812</b><span>R² · gate</span><span>always the mean 0.500</span>" in text
    assert "<b>52,341</b><span>RMSE</span>" in text
    assert "r2 0.875 reaches the threshold 0.7." in text


def test_the_reader_sees_what_each_column_was_taken_for(tmp_path: Path) -> None:
    text = render(finished(tmp_path, []))
    assert ">number<br><small>decimal comma</small></td>" in text
    assert ">date<br><small>%d.%m.%Y</small></td>" in text
    assert "12.0%<br><small>&#39;?&#39; 9\N{MULTIPLICATION SIGN}</small>" in text
    assert "<b>5 odd</b>, read as missing: " in text
    assert "&#39;n.v.&#39; 1\N{MULTIPLICATION SIGN}, 2 more" in text
    assert "read as values: &#39;NA&#39; 3\N{MULTIPLICATION SIGN}" in text


def test_columns_that_are_not_trained_on_are_named_with_the_reason(tmp_path: Path) -> None:
    text = render(finished(tmp_path, []))
    assert "Not trained on" in Page(text).titles
    rows = re.sub(' data-label="[^"]*"', "", text)
    assert "<td>customer</td><td>identifier</td><td>its values identify rows" in rows
    assert "<td>shop</td><td>category</td><td>it keeps rows together in the split" in rows


def test_warnings_and_suspected_leakage_come_before_the_figures(tmp_path: Path) -> None:
    text = render(finished(tmp_path, []))
    assert text.index("has odd cells") < text.index("Suspected leakage") < text.index("RMSE")
    assert '<span class="value">0.9995</span>' in text


def test_the_problem_and_the_way_of_the_split_are_said_with_their_reasons(tmp_path: Path) -> None:
    text = render(finished(tmp_path, []))
    assert ">Regression: &lt;script&gt;alert(1)&lt;/script&gt; is a quantity</td>" in text
    assert ">By time: the newest rows are the test data.</td>" in text


def test_a_refusal_is_told_from_a_crash(tmp_path: Path) -> None:
    text = render(finished(tmp_path, ["no", "yes"], auc=0.61))
    assert "Rejected by the gate" in text
    assert "roc_auc 0.61 is below the threshold 0.7." in text
    assert "failed</b>" not in text
    assert "Latency over HTTP" not in text


def test_a_failure_shows_its_reason_and_the_end_of_its_log(tmp_path: Path) -> None:
    run = finished(tmp_path, ["no", "yes"])
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    first = run.execution.steps[0]
    first.status, first.failure_reason, first.log = Status.FAILED, "AlgorithmError: no rows", log
    first.description = {}
    run.execution.status = Status.FAILED
    run.execution.steps, run.smoke, run.invocation = [first], None, None
    text = render(run)
    assert "<b>Preprocess failed</b><br><span>no rows</span>" in text
    assert "line 99" in text
    assert "line 50\n" not in text
    Page(text)


def with_champion(folder: Path, **changed: Any) -> str:
    """The page of a model that was compared with the serving one, or could not be."""
    found = {"metric": "roc_auc", "value": 0.85, "lead": 0.025, "serves": True, "reason": ""}
    evaluation = {"evaluation": {"champion": found | changed}}
    return render(finished(folder, ["no", "yes"], changed=evaluation))


def test_the_serving_models_value_is_beside_the_new_ones(tmp_path: Path) -> None:
    text = with_champion(tmp_path)
    assert (
        "The serving model has roc_auc 0.85 on the same rows: the new model is better by 0.025."
    ) in text
    assert "<b>0.850</b><span>serving model, roc_auc</span>" in text
    assert "lead +0.025" in text
    assert "Check this first" not in text


def test_a_serving_model_that_could_not_be_compared_is_the_first_thing_to_check(
    tmp_path: Path,
) -> None:
    text = with_champion(tmp_path, value=None, lead=None, reason=NASTY)
    (alert,) = re.findall(r'<aside class="alert">.*?</aside>', text, re.DOTALL)
    assert "The model was not compared with the serving model: &lt;script&gt;" in alert
    assert NASTY not in text
    Page(text)


def test_nothing_is_wrong_where_no_model_serves_yet(tmp_path: Path) -> None:
    text = with_champion(tmp_path, value=None, lead=None, serves=False)
    assert "No model serves yet, so there was nothing to compare the model with." in text
    assert "Check this first" not in text


def test_calibration_of_many_classes_is_pooled_by_rows(tmp_path: Path) -> None:
    text = render(finished(tmp_path, ["a", "b", "c"]))
    assert "Predicted probability 0.9, Observed share 1: 30 rows" in text


def test_a_long_name_of_a_class_is_not_cut() -> None:
    text = charts.confusion(["a" * 30, "b"], [[1, 0], [0, 1]])
    assert text.count(f"<span>{'a' * 30}</span>") == 2


@pytest.mark.parametrize(
    ("about", "shown"),
    [
        ({"min": 1998.0, "max": 2024.0, "mean": 2011.25, "std": 7.5}, "1998 to 2024, mean 2011.2"),
        ({"min": 0, "max": 12_345}, "0 to 12,345"),
        ({"top": [{"value": ""}, {"value": "a"}], "distinct": 9}, "'', a, and others"),
        ({"top": [{"value": "x" * 40}], "distinct": 1}, "x" * 23 + "…"),
    ],
)
def test_values_are_read_as_what_they_are(about: dict[str, Any], shown: str) -> None:
    assert data.values(about).startswith(shown)


@pytest.mark.parametrize(
    ("metric", "gate", "note"),
    [
        ("roc_auc", "roc_auc", "Validation score: roc_auc, higher is better; "),
        ("root_mean_squared_error", "r2", "The gate uses r2, on the test data; R2 and RMSE rank "),
        ("log_loss", "roc_auc", "The gate uses roc_auc, on the test data; with several classes"),
    ],
)
def test_the_leaderboard_is_on_the_gates_metric_or_says_why_not(
    tmp_path: Path, metric: str, gate: str, note: str
) -> None:
    changed: dict[str, dict[str, Any]] = {
        "evaluation": {"gate": {"metric": gate, "value": 0.9}},
        "training": {"leaderboard": [{**MODEL, "metric": metric}]},
    }
    text = render(finished(tmp_path, ["no", "yes"], changed=changed))
    assert note in text
    assert ("The gate uses" in text) == (metric != gate)


def test_an_error_on_the_leaderboard_has_no_minus_sign(tmp_path: Path) -> None:
    row = {**MODEL, "metric": "log_loss", "score_val": -0.3}
    text = render(finished(tmp_path, ["no", "yes"], changed={"training": {"leaderboard": [row]}}))
    assert ">0.3000<" in text
    assert "log_loss, lower is better" in text


@pytest.mark.parametrize("points", [[(0.0, 0.0), (1.0, 1.0)], [(0.5, 0.25)]])
def test_a_line_stays_in_its_picture(points: list[charts.Point]) -> None:
    picture = charts.lines("t", charts.Axes("x", "y"), [charts.Series("s", points)])
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', picture)[0])
    (line,) = re.findall(r'class="line s1" d="([^"]+)"', picture)
    for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", line):
        assert 0 <= float(pair[0]) <= width
        assert 0 <= float(pair[1]) <= height


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [0.2, 1500.0], [*map(float, range(99))]])
def test_a_histogram_counts_every_value(values: list[float]) -> None:
    picture = charts.histogram("t", "ms", values, [("p50", values[0])])
    counts = re.findall(r"<title>[\d.]+ to [\d.]+: (\d+)</title>", picture)
    assert sum(map(int, counts)) == len(values)


@pytest.mark.parametrize(
    "values",
    [[], [0.0], [-3.0], [1e-9, 2e-9], [-1.0, 1.0], [3.2e8, 9.9e8], [0.0, 1e140], [99.9, 100.1]],
)
def test_an_axis_holds_all_values_and_wastes_less_than_three_quarters(values: list[float]) -> None:
    start, end = charts.spread(values)
    assert all(start <= value <= end for value in values)
    assert len(set(values)) < 2 or end - start <= 4 * (max(values) - min(values))


@pytest.mark.parametrize("bias", [-5.0, 0.0, 7.0])
def test_a_group_s_column_and_dot_lie_in_the_picture(bias: float) -> None:
    picture = charts.groups("t", ("x", "y"), [charts.BarGroup(0, 1, 2.0, bias, 9)] * 12)
    dots = [float(y) for y in re.findall(r'cy="([\d.-]+)"', picture)]
    tops = [float(y) for y in re.findall(r'<rect class="column" x="[\d.]+" y="([\d.-]+)"', picture)]
    assert len(dots) == len(tops) == 12
    assert all(0 <= y <= 340 for y in dots + tops)


def test_bars_are_as_long_as_their_share_of_the_largest() -> None:
    text = charts.bars([("a", 2.0, "2"), ("b", -1.0, "-1"), ("c", 0.0, "0")])
    assert re.findall(r'class="fill( negative)?" style="width:([\d.]+)%', text) == [
        ("", "100.0"),
        (" negative", "50.0"),
        ("", "0.0"),
    ]


def test_no_bars_at_all_are_no_error() -> None:
    assert charts.bars([("a", 0.0, "0")]).count("width:0.0%") == 1
