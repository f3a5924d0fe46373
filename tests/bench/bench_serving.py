"""What a prediction takes through the real serving stack, beside the same model in process.

The local run trains on a synthetic table with the defaults and brings up TorchServe, as the
endpoint's image does. Bursts of requests over HTTP and of calls in process take turns, so that
whatever else the machine does disturbs both.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Final

from functions.seed_data.table import LABEL, blocks
from tabular_ml_vpc.local.inputs import sample
from tabular_ml_vpc.local.serving import HOST, Endpoint
from tests.bench.in_process import Calls, calling
from tests.bench.local_run import finished
from tests.bench.page import circumstances, replace_section, table

TABLE_ROWS: Final = 8_000
CALLS: Final = {1: (10, 500), 1_000: (5, 100)}
"""Rows of a request, and how many requests there are in a burst and in all."""
KEPT, FRESH, PING = "endpoint", "endpoint, a new connection each", "endpoint, `/ping` alone"
IN_PROCESS: Final = {
    "transform": "our `transform_fn` in process, CSV to JSON",
    "csv": "AutoGluon in process, `read_csv` and `predict_proba`",
    "frame": "AutoGluon in process, `predict_proba` of a ready table",
}
GOAL_MS, GOAL_RATIO = 10.0, 2.0
_OK: Final = 200

Pair = tuple[float, float]
"""Milliseconds on the clock, and of processor."""
Times = dict[tuple[str, int], list[Pair]]


@dataclass(frozen=True)
class Served:
    """A model that an endpoint serves, its folder, the table for requests, and how good it is."""

    endpoint: Endpoint
    model: Path
    table: Path
    roc_auc: float


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Run the pipeline in `folder`, with its defaults; the endpoint is up for the while."""
    data = folder / "data.csv"
    data.write_bytes(b"".join(blocks(TABLE_ROWS, seed=1)))
    with finished(data, {}, folder / "runs") as run:
        train = run.execution.step("Train")
        if run.endpoint is None or train is None:
            raise RuntimeError("the run succeeded without a model or an endpoint")
        archive = run.store.path(train.description["ModelArtifacts"]["S3ModelArtifacts"])
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "model", filter="data")
        yield Served(run.endpoint, folder / "model", data, run.evaluation["metrics"]["roc_auc"])


def measure(served: Served) -> Times:
    """Milliseconds by way and rows: some calls each way, then some more each way, and so on."""
    times: Times = defaultdict(list)
    with calling(served.model, served.table) as call:
        for rows, (burst, calls) in CALLS.items():
            bodies = list(_bodies(served.table, rows, burst))
            for number in range(calls // burst + 1):
                for way, found in _round(served.endpoint, call, rows, bodies).items():
                    if number:  # the first round warms up
                        times[way, rows] += found
    return times


def _round(
    endpoint: Endpoint, call: Calls, rows: int, bodies: list[bytes]
) -> dict[str, list[Pair]]:
    return {
        KEPT: _with_processor(endpoint, [partial(_kept, endpoint, body) for body in bodies]),
        FRESH: _with_processor(endpoint, [partial(_once, endpoint, "POST", b) for b in bodies]),
        PING: _with_processor(endpoint, [partial(_once, endpoint, "GET") for _ in bodies]),
        **{name: call(way, rows, len(bodies)) for way, name in IN_PROCESS.items()},
    }


def _bodies(source: Path, rows: int, calls: int) -> Iterator[bytes]:
    """Requests in CSV, with a header and without the label, of other rows each time."""
    header, *found = sample(source, rows + calls)
    skipped = header.index(LABEL)
    for start in range(calls):
        text = io.StringIO()
        csv.writer(text).writerows(
            row[:skipped] + row[skipped + 1 :] for row in [header, *found[start : start + rows]]
        )
        yield text.getvalue().encode()


def _with_processor(endpoint: Endpoint, asks: list[Callable[[], int]]) -> list[Pair]:
    """Ask once each; of processor, each took the mean of what all of the endpoint used."""
    before = _processor_ms(endpoint.process.pid)
    times = [_ms(ask) for ask in asks]
    used = (_processor_ms(endpoint.process.pid) - before) / len(asks)
    return [(time, used) for time in times]


def _processor_ms(group: int) -> float:
    """What the processes of a group have used so far ("proc_pid_stat")."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def _ms(ask: Callable[[], int]) -> float:
    """From sending to the last byte."""
    began = time.perf_counter()
    status = ask()
    seconds = time.perf_counter() - began
    if status != _OK:
        raise RuntimeError(f"the endpoint answered {status}")
    return seconds * 1000


def _kept(endpoint: Endpoint, body: bytes) -> int:
    """Ask over the connection that is open already."""
    return endpoint.invoke(body, "text/csv", "application/json").status


def _once(endpoint: Endpoint, method: str, body: bytes = b"") -> int:
    """Ask over a connection of its own: for predictions, or whether it is there."""
    connection = http.client.HTTPConnection(HOST, endpoint.port, timeout=60)
    headers = {"Content-Type": "text/csv", "Accept": "application/json"}
    try:
        connection.request(method, "/ping" if method == "GET" else "/invocations", body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def section() -> str:
    """Measure, and return the section in Markdown."""
    began = circumstances()
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as served:
        times = measure(served)
        manifest = json.loads((served.model / "manifest.json").read_text(encoding="utf-8"))
        quality = served.roc_auc
    sizes = [f"{rows:,} row{'s' * (rows > 1)}" for rows in CALLS]
    headings = [f"{at}, {size}" for size in sizes for at in ("p50", "p99", "CPU")]
    ways = [KEPT, FRESH, PING, *IN_PROCESS.values()]
    return "\n\n".join(
        [
            "## Serving",
            f"{began} The local run's endpoint (TorchServe and SageMaker's toolkit, network off) "
            f"over the model that the defaults give for {TABLE_ROWS:,} rows of the synthetic table "
            f"({manifest['best_model']}, ROC AUC {quality:.3f}); CSV in, JSON out, one request "
            f"after another, {CALLS[1][1]} of one row and {CALLS[1_000][1]} of 1,000. The calls in "
            "process are of the same model, in memory, with one thread as the endpoint's, by turns "
            "with the requests.",
            table(["milliseconds", *headings], [_line(way, times) for way in ways]),
            _verdict(times),
        ]
    )


def _line(way: str, times: Times) -> list[str]:
    if way == PING:
        return [way, *_figures(times[way, 1]), "", "", ""]
    return [way, *(text for rows in CALLS for text in _figures(times[way, rows]))]


def _figures(found: list[Pair]) -> list[str]:
    """Median and 99th percentile on the clock, mean of processor."""
    wall, cpu = zip(*found, strict=True)
    percentile = quantiles(wall, n=100, method="inclusive")[98]
    return [f"{median(wall):.1f}", f"{percentile:.1f}", f"{mean(cpu):.1f}"]


def _verdict(times: Times) -> str:
    p50 = {key: median(wall for wall, _ in found) for key, found in times.items()}
    used = {key: mean(cpu for _, cpu in found) for key, found in times.items()}
    bare = IN_PROCESS["frame"]
    ours, ratio = p50[KEPT, 1], p50[KEPT, 1] / p50[bare, 1]
    many = p50[KEPT, 1_000] / p50[bare, 1_000]
    inside = used[IN_PROCESS["transform"], 1]
    return (
        f"One row takes **{ours:.1f} ms** (goal: under {GOAL_MS:.0f} ms, "
        f"{_reached(ours < GOAL_MS)}), **{ratio:.2f} times** AutoGluon's call in process (goal: "
        f"under {GOAL_RATIO:.0f}, {_reached(ratio < GOAL_RATIO)}); 1,000 rows take {many:.2f} "
        f"times. Of processor time, one row takes {used[KEPT, 1]:.1f} ms in all of the endpoint, "
        f"{used[KEPT, 1] / used[bare, 1]:.2f} times AutoGluon's {used[bare, 1]:.1f} ms: our code "
        f"adds {inside - used[bare, 1]:.1f} ms to it, and the stack {used[KEPT, 1] - inside:.1f}."
    )


def _reached(goal: bool) -> str:
    return "reached" if goal else "missed"


if __name__ == "__main__":
    replace_section("serving", section())
