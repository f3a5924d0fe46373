"""All jobs on a case, in this process: what they left, and what the model answers."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import evaluate
import inference
import preprocess
import pytest
import train
from columns import Column, Schema
from pyarrow import parquet

from tests.scripts.cases import Case
from tests.scripts.tables import as_bytes

CSV, JSON, PARQUET = "text/csv", "application/json", "application/x-parquet"
FAST = ("--families=GBM", "--time-limit=10")


@dataclass
class Jobs:
    """The folders of a case's jobs below `folder`, and how far they got."""

    folder: Path
    case: Case
    code: int = -1
    fitted: bool = field(default=False, repr=False)

    def prepare(self) -> Jobs:
        """Let preprocessing read the case's files, whatever comes of it."""
        for name, content in self.case.files.items():
            path = self.folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_bytes(content))
        names = ("data", "train", "test", "schema", "profile")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SAGEMAKER_BASE_DIR", str(self.folder / "opt"))
            self.code = preprocess.main(
                [*self._places(*names), f"--label={self.case.label}", *self.case.arguments]
            )
        return self

    def fit(self) -> Jobs:
        """Train and evaluate; both must end well."""
        if self.fitted:
            return self
        assert self.code == 0, self.reason
        self._job(train, *self._places("train", "schema", "model"), *FAST)
        (self.folder / "archive").mkdir()
        with tarfile.open(self.folder / "archive/model.tar.gz", "w:gz") as archive:
            archive.add(self.folder / "model", arcname=".")
        self._job(
            evaluate, f"--model={self.folder / 'archive'}", *self._places("test", "evaluation")
        )
        self.fitted = True
        return self

    def _job(self, module: Any, *arguments: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SAGEMAKER_BASE_DIR", str(self.folder / "opt"))
            assert module.main([*arguments, "--metric=auto"]) == 0, self.reason

    def _places(self, *names: str) -> list[str]:
        return [f"--{name}={self.folder / name}" for name in names]

    @property
    def reason(self) -> str:
        """Why a job failed, as SageMaker shows it."""
        found = sorted((self.folder / "opt/output").glob("*"))
        return found[0].read_text(encoding="utf-8") if found else ""

    @property
    def schema(self) -> Schema:
        """What the table was taken for."""
        return Schema.load(self.folder / "schema/schema.json")

    @property
    def lines(self) -> list[str]:
        """The lines of the case's table, the header first."""
        content = self.case.files["data.csv"]
        return as_bytes(content).decode().splitlines()

    def column(self, name: str) -> Column:
        """What one of its columns was taken for."""
        return next(column for column in self.schema.columns if column.name == name)

    @property
    def profile(self) -> Any:
        """The profile."""
        return json.loads((self.folder / "profile/profile.json").read_text(encoding="utf-8"))

    @property
    def warnings(self) -> str:
        """What the profile warns of, in one text."""
        return "\n".join(self.profile["warnings"])

    def side(self, name: str) -> list[dict[str, Any]]:
        """The rows of `train` or `test`."""
        files = sorted((self.folder / name).rglob("*.parquet"))
        return [row for file in files for row in parquet.read_table(file).to_pylist()]

    def report(self, name: str) -> Any:
        """One of the files of the evaluation."""
        return json.loads((self.folder / "evaluation" / name).read_text(encoding="utf-8"))

    @property
    def metrics(self) -> dict[str, float]:
        """The evaluation's metrics."""
        found: dict[str, float] = self.report("evaluation.json")["metrics"]
        return found

    @cached_property
    def model(self) -> Any:
        """The model, loaded as the endpoint loads it."""
        return inference.model_fn(str(self.fit().folder / "model"))

    def predictions(self, body: bytes | str, content_type: str = CSV) -> list[dict[str, Any]]:
        """The answers to a request, one a row."""
        answer, _ = inference.transform_fn(self.model, as_bytes(body), content_type, JSON)
        found: list[dict[str, Any]] = json.loads(answer)["predictions"]
        return found

    def labels(self, body: bytes | str, content_type: str = CSV) -> list[str]:
        """The predicted classes, one a row."""
        return [str(one["label"]) for one in self.predictions(body, content_type)]
