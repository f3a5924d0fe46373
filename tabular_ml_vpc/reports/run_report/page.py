"""The page about a run, from the jobs' results (in the place of S3) and the record of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.definition import EVALUATION, QUALITY_GATE
from pipeline.run_parameters import APPROVAL, PENDING
from pipeline.table_schema import baseline_of, plain_name
from pipeline.types import Json
from tabular_ml_vpc.comparison import comparison
from tabular_ml_vpc.local.jobs import plain_reason
from tabular_ml_vpc.local.record import Status, StepRecord
from tabular_ml_vpc.local.runs import Run
from tabular_ml_vpc.local.sandbox import tail
from tabular_ml_vpc.reports import html
from tabular_ml_vpc.reports.run_report import cards, charts, data, regression
from tabular_ml_vpc.reports.run_report.cards import Card, CardTable

_HERE: Final = Path(__file__).parent
_FIGURES: Final = (
    ("r2", "R²"),
    ("rmse", "RMSE"),
    ("mae", "MAE"),
    ("roc_auc", "ROC AUC"),
    ("accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("f1", "F1"),
    ("log_loss", "Log loss"),
)
_ERRORS: Final = frozenset({"rmse", "mae", "log_loss"})
_WHY_ANOTHER_METRIC: Final = {
    "r2": "; R2 and RMSE rank models in the same order",
    "roc_auc": "; with several classes, ROC AUC is undefined where validation rows lack one",
    "f1": "; with several classes, it is the mean of the F1 of each class",
}
_MOST_SERIES: Final = charts.SERIES_COLOURS
_MOST_CLASSES: Final = 20
_ROOMY_CHARACTERS: Final = 45
_CELL_CHARACTERS: Final = 4
_MOST_BARS: Final = 20
_LOG_LINES: Final = 25
_BINS: Final = 10
_LEAST, _MOST = 0.01, 100.0
_CALIBRATION: Final = ("predicted", "observed")


@dataclass(frozen=True)
class RunVerdict:
    """The result of the run, with the numbers that decided."""

    kind: str
    mark: str
    title: str
    text: str


@dataclass(frozen=True)
class Figure:
    """A metric, and its value for a constant prediction."""

    title: str
    value: str
    note: str = ""
    gated: bool = False


def render(run: Run) -> str:
    """The whole page as HTML. Steps that a run did not reach are omitted."""
    view = run.table
    return html.render(
        _HERE / "page.html.j2",
        {
            "distinct": data.distinct,
            "number": cards.number,
            "percent": "{:.1%}".format,
            "remarks": data.remarks,
            "score": _score,
            "time": cards.time,
            "values": data.values,
        },
        run=run,
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        verdict=_verdict(run),
        log=_log(run),
        view=view,
        leakage=charts.bars(data.leakage(view)),
        uncompared=_uncompared(run),
        figures=list(_figures(run)),
        sections={
            "Quality": list(_quality(run)),
            "Training": list(_training(run)),
            "Latency": list(_latency(run)),
            "Data": list(data.cards(run)),
            "Run": list(_steps(run)),
        },
        isolation="without network"
        if run.service.place.runtime.abilities.network
        else "with this machine's network",
    )


# --- Top -------------------------------------------------------------------------------------


def _verdict(run: Run) -> RunVerdict:
    """Passed, rejected or failed, with the numbers that decided."""
    execution = run.execution
    if execution.refused:
        return RunVerdict("refused", "!", "Rejected by the gate", _decision(run))
    if run.succeeded:
        return _passed(run)
    failed = _failed_step(run)
    name = failed.name if failed else "The run"
    reason = plain_reason(failed.failure_reason) if failed else str(execution.status)
    return RunVerdict("failed", "\N{MULTIPLICATION SIGN}", f"{name} failed", reason)


def _passed(run: Run) -> RunVerdict:
    decision = _decision(run)
    if run.deployed:
        text = f"{decision} The endpoint responded over HTTP."
        return RunVerdict("passed", "✓", "Passed the gate, deployed", text)
    status = run.execution.parameters.get(APPROVAL, PENDING)
    return RunVerdict("passed", "✓", f"Passed the gate, registered as {status}", decision)


def _decision(run: Run) -> str:
    words = {True: "reaches", False: "is below"}
    sentences = [
        f"{gate.name} {cards.short(gate.left)} {words[gate.outcome]} "
        f"the threshold {cards.short(gate.right)}."
        for gate in run.execution.compared_by(QUALITY_GATE)
    ]
    before = comparison(run.evaluation)
    return " ".join([*sentences, *([f"{before}"] if before is not None else [])])


def _failed_step(run: Run) -> StepRecord | None:
    steps = [*run.execution.steps, *([run.invocation] if run.invocation else [])]
    return next((step for step in steps if step.status is Status.FAILED), None)


def _log(run: Run) -> dict[str, object]:
    """The last lines of a failed step's log, if a step failed."""
    failed = _failed_step(run)
    if failed is None or failed.log is None or run.execution.refused:
        return {}
    return {"path": failed.log, "end": "\n".join(tail(failed.log, _LOG_LINES))}


def _figures(run: Run) -> Iterator[Figure]:
    evaluation = run.evaluation
    found, baseline = evaluation.get("metrics", {}), evaluation.get("baseline", {})
    gate = _gate(evaluation)
    for name, title in _FIGURES:
        if name in found:
            always = baseline.get(name)
            note = "" if always is None else f"{baseline_of(evaluation, name)} {_metric(always)}"
            yield Figure(title, _metric(found[name]), note, name == gate)
    before = comparison(evaluation)
    if before is not None and before.value is not None and before.lead is not None:
        title = f"serving model, {before.metric}"
        yield Figure(title, _metric(before.value), f"the new model's lead {before.lead:+.3g}")
    if run.smoke:
        yield Figure("one prediction, p50", f"{run.smoke.latencies[0].p50_ms:.1f} ms")


def _uncompared(run: Run) -> str:
    """What to say of a serving model with which the new one could not be compared."""
    before = comparison(run.evaluation)
    return f"{before}" if before is not None and before.warns else ""


def _gate(evaluation: Json) -> str:
    """The gate's metric, or empty."""
    return plain_name(evaluation.get("gate", {}).get("metric", ""))


def _metric(value: float) -> str:
    """Three decimal places for shares; errors have the label's unit and any size."""
    if value and abs(value) < _LEAST:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < _MOST else cards.short(value)


# --- Quality ---------------------------------------------------------------------------------


def _quality(run: Run) -> Iterator[Card]:
    curves = run.json_output(EVALUATION, "curves.json")
    yield from regression.cards(curves)
    found = curves.get("curves", [])
    if found:
        yield _roc(found)
        yield _precision_recall(found, run.evaluation)
        yield _calibration(found)
    matrix = run.evaluation.get("confusion_matrix", [])
    if matrix:
        rows = run.evaluation["rows"]
        classes = run.evaluation["classes"]
        note = f"{rows:,} rows of test data; shares are of the actual class"
        wide = _characters(classes) > _ROOMY_CHARACTERS
        if len(classes) > _MOST_CLASSES:
            text = f"{len(classes)} classes: too many to draw."
            yield Card("Confusion matrix", note, "text", text, wide)
        else:
            yield Card("Confusion matrix", note, "chart", charts.confusion(classes, matrix), wide)


def _roc(curves: Sequence[Json]) -> Card:
    series = [
        charts.Series(
            f"{item['class']} ({item['roc_auc']:.3f})",
            _pairs(item["roc"], "false_positive_rate", "true_positive_rate"),
        )
        for item in curves[:_MOST_SERIES]
    ]
    axes = charts.Axes("False positive rate", "True positive rate")
    chart = charts.lines("ROC curve", axes, series, [(0, 0), (1, 1)])
    return Card("ROC curve", _areas("Area", curves, "roc_auc"), "chart", chart)


def _precision_recall(curves: Sequence[Json], evaluation: Json) -> Card:
    series = [
        charts.Series(
            f"{item['class']} ({item['average_precision']:.3f})",
            _pairs(item["precision_recall"], "recall", "precision"),
        )
        for item in curves[:_MOST_SERIES]
    ]
    share = _share(curves, evaluation)
    reference = [(0.0, share), (1.0, share)] if share is not None else []
    axes = charts.Axes("Recall", "Precision")
    chart = charts.lines("Precision and recall", axes, series, reference)
    note = _areas("Average precision", curves, "average_precision")
    return Card("Precision and recall", note, "chart", chart)


def _share(curves: Sequence[Json], evaluation: Json) -> float | None:
    """The share of the positive class in the test data: the precision of guessing."""
    if len(curves) != 1:
        return None
    place = evaluation["classes"].index(curves[0]["class"])
    return float(sum(evaluation["confusion_matrix"][place]) / evaluation["rows"])


def _calibration(curves: Sequence[Json]) -> Card:
    """Predicted against observed, for all classes together: one class may have too few rows."""
    bins: dict[int, list[Json]] = {}
    for item in (part for curve in curves for part in curve["calibration"]):
        bins.setdefault(int(item["predicted"] * _BINS), []).append(item)
    points, rows = [], []
    for _, items in sorted(bins.items()):
        rows.append(sum(item["rows"] for item in items))
        sums = [sum(item[name] * item["rows"] for item in items) for name in _CALIBRATION]
        points.append((sums[0] / rows[-1], sums[1] / rows[-1]))
    axes = charts.Axes("Predicted probability", "Observed share")
    series = [charts.Series("calibration", points, rows)]
    chart = charts.lines("Calibration", axes, series, [(0, 0), (1, 1)])
    note = "On the dashed line, 30% means 3 times in 10; larger dots represent more rows"
    return Card("Calibration", note, "chart", chart)


def _areas(title: str, curves: Sequence[Json], name: str) -> str:
    if len(curves) == 1:
        return f"{title} {curves[0][name]:.3f}, for class {curves[0]['class']}"
    which = "Each class"
    if len(curves) > _MOST_SERIES:
        which = f"Each of the {_MOST_SERIES} most frequent classes"
    return f"{which} against all others; {title.lower()} in parentheses"


def _characters(classes: Sequence[str]) -> int:
    """The width of a confusion matrix, in characters."""
    return sum(
        max(min(len(name), charts.NAME_CHARACTERS), _CELL_CHARACTERS)
        for name in [max(classes, key=len), *classes]
    )


def _pairs(curve: Json, x: str, y: str) -> list[charts.Point]:
    return list(zip(curve[x], curve[y], strict=True))


# --- Training --------------------------------------------------------------------------------


def _training(run: Run) -> Iterator[Card]:
    found = run.json_output(EVALUATION, "training.json")
    if found.get("leaderboard"):
        rows = found["leaderboard"]
        note = _ranked_by(plain_name(rows[0]["metric"]), _gate(run.evaluation))
        yield Card("Leaderboard", note, "leaderboard", rows, wide=True)
    if found.get("feature_importance"):
        yield _importance(found["feature_importance"])


def _ranked_by(metric: str, gate: str) -> str:
    """What the scores are; and if the gate uses another metric, why."""
    better = "lower" if metric in _ERRORS else "higher"
    note = f"Validation score: {metric}, {better} is better; the marked model serves"
    if gate in {metric, ""}:
        return note
    reason = _WHY_ANOTHER_METRIC.get(gate, "")
    return f"{note}. The gate uses {gate}, on the test data{reason}"


def _score(row: Json) -> str:
    """A validation score on the metric's own scale; AutoGluon negates errors."""
    value = row["score_val"]
    if value is not None and plain_name(row["metric"]) in _ERRORS:
        value = abs(value)
    return cards.number(value)


def _importance(rows: Sequence[Json]) -> Card:
    shown = [row for row in rows if row["importance"] is not None][:_MOST_BARS]
    bars = [
        (row["column"], row["importance"], _spread(row["importance"], row["stddev"] or 0.0))
        for row in shown
    ]
    more = len(rows) - len(shown)
    note = "Decrease of the validation score when a column is shuffled"
    note += f"; {more} more columns are not shown" if more > 0 else ""
    return Card("Feature importance", note, "chart", charts.bars(bars), wide=True)


def _spread(value: float, deviation: float) -> str:
    """Both with four decimal places, or none for large values."""
    places = 4 if abs(value) < _MOST else 0
    return f"{value:,.{places}f} ± {deviation:,.{places}f}"


# --- Latency ---------------------------------------------------------------------------------


def _latency(run: Run) -> Iterator[Card]:
    if run.smoke is None:
        return
    single = run.smoke.latencies[0]
    marks = [("p50", single.p50_ms), ("p95", single.p95_ms)]
    chart = charts.histogram("Latency of one row", "Milliseconds", single.all_ms, marks)
    note = f"{single.requests} requests of one row, one after the other, through the serving stack"
    yield Card("Latency over HTTP", note, "chart", chart)
    rows = []
    for item in run.smoke.latencies:
        times = (item.p50_ms, item.p95_ms, item.slowest_ms)
        cells = [f"{item.rows:,}", f"{item.requests:,}", *(f"{time:,.1f}" for time in times)]
        rows.append(cells)
    heads = ("*Rows", "*Requests", "*p50 ms", "*p95 ms", "*slowest ms")
    first = f"The first request, which loads the model, took {run.smoke.first_ms / 1000:.1f} s"
    yield Card("Requests", first, "requests", (CardTable(heads, rows, numbers=True), run.smoke))


# --- The run ---------------------------------------------------------------------------------


def _steps(run: Run) -> Iterator[Card]:
    steps = [*run.execution.steps, *([run.invocation] if run.invocation else [])]
    began = run.execution.started
    total = max(((step.ended or began) - began).total_seconds() for step in steps) or 1.0
    rows = []
    for step in steps:
        start = (step.started - began).total_seconds()
        rows.append((step.name, start, step.seconds, _step_text(step), _kind(run, step)))
    note = f"{total:.1f} s in total, in sequence; for jobs, also the memory of the largest process"
    yield Card("Steps", note, "chart", charts.timeline(rows, total), wide=True)
    values = [(name, str(value)) for name, value in run.execution.parameters.items()]
    table = CardTable(("Name", "Value"), values)
    yield Card("Parameters", "Parameters of this run", "table", table, wide=True)


def _step_text(step: StepRecord) -> str:
    memory = step.metrics.get("peak_bytes")
    return f"{step.seconds:.1f} s" + (f" · {memory / 1e6:,.0f} MB" if memory else "")


def _kind(run: Run, step: StepRecord) -> str:
    if step.status is not Status.FAILED:
        return ""
    return "refused" if run.execution.refused else "failed"
