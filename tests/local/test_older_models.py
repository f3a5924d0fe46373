"""Models that an older version trained serve with the code in their archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from functions.seed_data import table
from pipeline.definition import build
from pipeline.example import environment
from pipeline.plan import flatten
from tabular_ml_vpc.local.jobs import JobHost
from tabular_ml_vpc.local.sandbox import Runtime
from tabular_ml_vpc.local.serving import deploy
from tabular_ml_vpc.local.store import FolderStore

V01: Final = Path(__file__).parents[1] / "cloud" / "fixtures" / "v0.1" / "model.tar.gz"
URI: Final = "s3://bucket/models/by-0.1/output/model.tar.gz"


def container(uri: str) -> dict[str, object]:
    """What today's CreateModel step says of a model, as a person does who rolls back."""
    steps = {step["Name"]: step for step in flatten(build(environment())["Steps"])}
    found: dict[str, object] = steps["CreateModel"]["Arguments"]["PrimaryContainer"]
    return found | {"ModelDataUrl": uri}


def test_a_model_of_0_1_answers_in_todays_container(runtime: Runtime, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "s3")
    store.put_file(V01, URI)
    place = JobHost(runtime, store, tmp_path / "jobs")
    endpoint = deploy(place.job("older"), container(URI), isolated=True, attached=True)
    try:
        rows = b"".join(table.blocks(100, seed=3)).decode().splitlines()
        body = "\n".join(row.rpartition(",")[0] for row in rows).encode()
        answer = endpoint.invoke(body, "text/csv", "application/json")
    finally:
        endpoint.stop()

    assert answer.status == 200, answer.body
    found = json.loads(answer.body)["predictions"]
    assert len(found) == 100
    labels = [row.rpartition(",")[2] for row in rows[1:]]
    right = sum(one["label"] == label for one, label in zip(found, labels, strict=True))
    assert right > 75
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1)
