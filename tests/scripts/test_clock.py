"""What a model answers does not depend on the day and the hour; the clock really moves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from columns import Column

from tests.scripts.prepared import Run, finish, prepare

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "pipeline/scripts"
HOURS = [0, 7, 200 * 24 + 5, -20 * 365 * 24]

NOW = "import pandas as pd; print(pd.to_datetime('10:30').date(), pd.Timestamp.now().hour)"
ASK = """
import sys
import inference
model = inference.model_fn(sys.argv[1])
print(inference.transform_fn(model, open(sys.argv[2], "rb").read(), "text/csv", "text/csv")[0])
"""

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler moves the clock")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that moves the clock."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = str(HERE / "moved_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A model that reads times of day, dates and moments."""
    folder = tmp_path_factory.mktemp("dated")
    rng = np.random.default_rng(7)
    minutes = rng.integers(0, 1440, 600)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, 600), unit="D")
    table = pd.DataFrame(
        {
            "call": [f"{at // 60:02}:{at % 60:02}" for at in minutes],
            "day": days.strftime("%d.%m.%Y"),
            "seen": (days + pd.to_timedelta(minutes, unit="m")).strftime("%Y-%m-%d %H:%M"),
            "y": np.where((minutes >= 720) ^ (days.month > 6), "late", "early"),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        prepare(
            folder / "run",
            table,
            "y",
            call=Column("call", "time", format="%H:%M"),
            day=Column("day", "date", format="%d.%m.%Y"),
            seen=Column("seen", "datetime", format="%Y-%m-%d %H:%M"),
        )
        yield finish(folder / "run", "auto")


def output(clock: Path, hours: int, program: str, *arguments: str) -> str:
    """What a program prints whose clock is so many hours ahead."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(clock),
        "MOVED_SECONDS": str(hours * 3600),
        "PYTHONPATH": str(SCRIPTS),
    }
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_clock_moves_where_it_did_harm(clock: Path) -> None:
    # Pandas gives a bare time of day today's date.
    found = {output(clock, hours, NOW) for hours in HOURS}
    assert len(found) == len(HOURS)


def test_a_model_answers_the_same_at_any_time(clock: Path, dated: Run, tmp_path: Path) -> None:
    body = tmp_path / "rows.csv"
    body.write_text("call,day,seen\n10:30,05.01.2024,2024-01-05 10:30\n23:59,31.12.2025,\n,,\n")
    model = str(dated.folder / "model")
    answers = [output(clock, hours, ASK, model, str(body)) for hours in HOURS]
    assert len(answers[0].splitlines()) == 4
    assert set(answers) == {answers[0]}


def test_times_of_day_are_learned_from(dated: Run) -> None:
    assert dated.report("gate.json")["value"] > 0.9
    assert [column.kind for column in dated.schema.columns] == ["time", "date", "datetime"]
