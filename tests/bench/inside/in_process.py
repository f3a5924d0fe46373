"""One model called in process in several ways, when it is asked for.

Arguments: the unpacked model, and a table with label to take rows from. For each line of its
standard input, `WAY ROWS CALLS`, it makes calls, one right after another, and answers the
milliseconds of each as JSON: on the clock, and of processor.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from autogluon.tabular import TabularPredictor

Call = Callable[[], object]


def main(folder: str, source: str) -> None:
    """Answer until the standard input ends."""
    code = _code(Path(folder) / "code/inference.py")
    model = code.model_fn(folder)
    predictor = TabularPredictor.load(str(Path(folder) / code.PREDICTOR), verbosity=0)
    predictor.persist()
    table = pd.read_csv(source).drop(columns=model.label)
    print("ready", flush=True)
    for line in sys.stdin:
        way, rows, count = line.split()
        frames = [_some(table, number, int(rows)) for number in range(int(count))]
        calls = [_call(way, (code, model, predictor), frame) for frame in frames]
        print(json.dumps([_ms(call) for call in calls]), flush=True)


def _ms(call: Call) -> tuple[float, float]:
    began = time.perf_counter(), time.process_time()
    call()
    ended = time.perf_counter(), time.process_time()
    return (ended[0] - began[0]) * 1000, (ended[1] - began[1]) * 1000


def _call(way: str, loaded: tuple[Any, Any, Any], frame: pd.DataFrame) -> Call:
    """What is measured: AutoGluon's call as it is, or from the request's bytes, or all of ours."""
    code, model, predictor = loaded
    if way == "frame":
        return lambda: predictor.predict_proba(frame)
    body = frame.to_csv(index=False).encode()
    if way == "csv":
        return lambda: predictor.predict_proba(pd.read_csv(io.BytesIO(body)))
    return lambda: code.transform_fn(model, body, "text/csv", "application/json")


def _some(table: pd.DataFrame, number: int, rows: int) -> pd.DataFrame:
    start = number % (len(table) - rows + 1)
    return table.iloc[start : start + rows].reset_index(drop=True)


def _code(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("inference", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
