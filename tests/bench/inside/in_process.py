"""One model called in process in several ways, when it is asked for.

Arguments: the unpacked model, and a CSV table to take rows from. For each line of its standard
input, `WAY ROWS CALLS`, it makes calls, one right after another, and answers the milliseconds of
each as JSON: on the clock, and of processor.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Call = Callable[[], object]


def main(folder: str, source: str) -> None:
    """Answer until the standard input ends."""
    sys.path.insert(0, str(Path(folder) / "code"))
    code = importlib.import_module("inference")
    model = code.model_fn(folder)
    table = pd.read_csv(source)[[column.name for column in model.schema.features]]
    print("ready", flush=True)
    for line in sys.stdin:
        way, rows, count = line.split()
        frames = [_some(table, number, int(rows)) for number in range(int(count))]
        calls = [_call(way, code, model, frame) for frame in frames]
        print(json.dumps([_ms(call) for call in calls]), flush=True)


def _ms(call: Call) -> tuple[float, float]:
    began = time.perf_counter(), time.process_time()
    call()
    ended = time.perf_counter(), time.process_time()
    return (ended[0] - began[0]) * 1000, (ended[1] - began[1]) * 1000


def _call(way: str, code: Any, model: Any, frame: pd.DataFrame) -> Call:
    """What is measured: AutoGluon's call as it is, or from the request's bytes, or all of ours.

    The table has no dates: its columns are those that AutoGluon has.
    """
    body = frame.to_csv(index=False).encode()
    if way == "transform":
        return lambda: code.transform_fn(model, body, "text/csv", "application/json")
    ready = code.frame(model.schema.features, code.read(model.schema, body, "text/csv").values)
    if way == "frame":
        return lambda: model.predictor.predict_proba(ready)
    names = dict(zip(frame.columns, ready.columns, strict=True))
    return lambda: model.predictor.predict_proba(
        pd.read_csv(io.BytesIO(body)).rename(columns=names)
    )


def _some(table: pd.DataFrame, number: int, rows: int) -> pd.DataFrame:
    start = number % (len(table) - rows + 1)
    return table.iloc[start : start + rows].reset_index(drop=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
