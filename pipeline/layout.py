"""Where each pipeline keeps its data in the bucket.

The pipeline `main` has `raw/`, `processed/` and `models/`, any other one `pipelines/raw/<name>/`
and so on. The kind comes first, so that policies can name a kind of all pipelines: a `*` in an ARN
crosses slashes, and `pipelines/*/raw/*` would match `pipelines/a/processed/run/raw/x` too. A
lifecycle rule takes no wildcard at all. No named pipeline is below `raw/`, which `main` reads.
"""

from __future__ import annotations

from typing import Final

MAIN: Final = "main"
"""The pipeline that every environment has by default."""
RAW: Final = "raw"
LABELS: Final = "_labels/"
"""Within the raw tables: labels that came later. Runs that read all of them skip this folder, as
every name that begins with an underscore (`pipeline/scripts/tables.py`)."""
PROCESSED: Final = "processed"
MODELS: Final = "models"
PREDICTIONS: Final = "predictions"
"""Tables with their predictions, by execution."""
CAPTURED: Final = "captured"
"""Requests to the endpoint and its responses, as data capture stores them."""
CHAMPION: Final = "champion"
"""The archive of the model that serves, for runs to compare their models with; nobody's run."""
ASYNCHRONOUS: Final = "asynchronous"
"""Requests to an asynchronous endpoint, and its answers, in a folder each."""
REQUESTS: Final = "requests/"
SMOKE_REQUESTS: Final = f"{REQUESTS}smoke/"
"""Those of the function that tries a version."""
ANSWERS: Final = "answers/"
FAILURES: Final = "failures/"
CODE: Final = "code"
"""Job scripts, by version: all pipelines read the same ones."""
NAMED: Final = "pipelines/"
"""Prefix of the data of all other pipelines."""


def folder(kind: str, pipeline: str = MAIN) -> str:
    """The prefix of one kind of data, or of the code, with a slash at its end."""
    return f"{kind}/" if pipeline == MAIN or kind == CODE else f"{named(kind)}{pipeline}/"


def named(kind: str) -> str:
    """The prefix of one kind of data of all pipelines but `main`."""
    return f"{NAMED}{kind}/"
