"""How much the fuzz tests try: the same few examples each time, or more and others with `FUZZ`.

`FUZZ=20 .venv/bin/python -m pytest tests -k any_` tries twenty times as many examples, drawn at
random; a failure prints the example, which becomes a named test.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

VARIABLE: Final = "FUZZ"


def bounded(examples: int) -> settings:
    """Settings of one test: so many examples, times `FUZZ`; no test fails for being slow."""
    times = int(os.environ.get(VARIABLE, "0"))
    return settings(
        max_examples=examples * (times or 1),
        derandomize=not times,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
