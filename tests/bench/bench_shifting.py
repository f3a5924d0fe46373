"""Requests that two looping clients lose while an endpoint's traffic moves in the emulated AWS."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tabular_ml_vpc.local.emulator import process
from tests.bench.measure import ROOT
from tests.bench.page import circumstances, replace_section, table
from tests.emulated import OneClientEach
from tests.emulated_registry import Registry, asking, open_registry, shift, with_alarm

BAKE_SECONDS: Final = 3_600
"""Six seconds in the emulator."""
ANSWERS: Final = 50
"""How many answers of a model to wait for before something changes."""
OLD, NEW = "old", "new"
WAYS: Final[dict[str, dict[str, Any]]] = {
    "all at once": shift("ALL_AT_ONCE", TerminationWaitInSeconds=BAKE_SECONDS),
    "canary of 50%": shift("CANARY", 50, wait=BAKE_SECONDS),
    "linear, steps of 25%": shift("LINEAR", 25, wait=BAKE_SECONDS // 3),
}


@contextmanager
def registry() -> Iterator[Registry]:
    """Give a registry in an emulated AWS whose models are stand-ins."""
    with process.running(ROOT / ".venv-emulator/bin/python") as emulator:
        os.environ.update(emulator.environment())  # boto3 reads the endpoint from there
        with open_registry(OneClientEach()) as made:
            yield made


def measure(made: Registry, way: str, *, rolls_back: bool) -> list[str]:
    """Move the traffic, or have an alarm take it back, and return a line of the table."""
    client = made.client
    made.create(made.config(OLD, count=4))
    new = made.config(NEW, count=4)
    with made.alarm() as alarm, asking(made) as answers:
        _wait(answers, OLD)
        made.update(new, with_alarm(WAYS[way], alarm))
        _wait(answers, NEW)
        if rolls_back:
            made.trip()
        serves = made.settled()["EndpointConfigName"]
    if (serves == new) is rolls_back:
        raise RuntimeError(f"{way}: the endpoint serves {serves}")
    client.delete_endpoint(EndpointName=made.name)
    time.sleep(0.5)  # an endpoint lingers
    old, moved = answers.count(OLD), answers.count(NEW)
    ends = "an alarm takes all back" if rolls_back else "the new model serves"
    lost = len(answers) - old - moved
    return [f"{way}, {ends}", *(f"{count:,}" for count in (len(answers), old, moved, lost))]


def _wait(answers: list[str], word: str) -> None:
    while answers.count(word) < ANSWERS:
        time.sleep(0.01)


def section() -> str:
    """Measure each way, and return the section in Markdown."""
    began = circumstances()
    with registry() as made:
        rows = [measure(made, way, rolls_back=back) for way in WAYS for back in (False, True)]
    lost = sum(int(row[-1].replace(",", "")) for row in rows)
    return "\n\n".join(
        [
            "## Requests while traffic moves",
            f"{began} Two clients ask, 10 ms after each answer, in the emulated AWS, whose "
            "endpoint has four instances of stand-ins for models; `test_deployments.py` does the "
            "same with real serving processes.",
            table(["", "requests", "old model", "new model", "lost"], rows),
            f"**{lost:,} requests** were lost (goal: 0, {'missed' if lost else 'reached'}).",
        ]
    )


if __name__ == "__main__":
    replace_section("shifting", section())
