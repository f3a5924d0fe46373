"""The pipeline of batch predictions: one isolated job, which predicts a whole table.

It is a pipeline of its own beside the one that trains, with the same roles, network and key, so
that people start it, follow it and read its results with the rights that they have for runs, and
nobody needs the right to create a job.
"""

from __future__ import annotations

from typing import Final

from pipeline.definition import (
    Environment,
    Job,
    Output,
    argument,
    call_step,
    job_retries,
    parameter,
    processing,
    processing_input,
)
from pipeline.layout import PREDICTIONS
from pipeline.run_parameters import RUN_PARAMETERS
from pipeline.types import Json

SUFFIX: Final = "-predict"
"""What follows the training pipeline's name in the name of this one."""
TABLE: Final = "InputData"
MODEL: Final = "ModelArchive"
PREDICTED: Final = Output("Predict", "predictions")
DRIFT: Final = Output("Predict", "drift")
"""How far the table is from the model's training data (`pipeline/scripts/drift.py`)."""

_SECONDS: Final = 6 * 3600
_SIZES: Final = ("ProcessingInstanceType", "ProcessingVolumeGB")


def build(environment: Environment) -> Json:
    """The definition for `environment`, ready for `json.dumps`.

    `InputData` and `ModelArchive` have no default, so that an execution names both; each is the S3
    URI of an object or, for the table, of a folder that ends in `/`.
    """
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": TABLE, "Type": "String"},
            {"Name": MODEL, "Type": "String"},
            *(_size(environment, name) for name in _SIZES),
        ],
        "PipelineExperimentConfig": None,
        "Steps": [_predict(environment)],
    }


def _size(environment: Environment, name: str) -> Json:
    known = RUN_PARAMETERS[name]
    decided = {"ProcessingInstanceType": environment.processing_instance_type}
    return {
        "Name": name,
        "Type": known.kind,
        "DefaultValue": decided.get(name, known.default),
    }


def _predict(environment: Environment) -> Json:
    """Predicts the table with the archive's own code (`pipeline/scripts/predict.py`)."""
    job = Job(
        image=environment.training_image,
        command=[argument("input-uri", TABLE)],
        script="predict.py",
        inputs=[
            processing_input("model", parameter(MODEL)),
            processing_input("table", parameter(TABLE)),
        ],
        outputs=[PREDICTED, DRIFT],
        kind=PREDICTIONS,
        seconds=_SECONDS,
    )
    return call_step(PREDICTED.step, "Processing", processing(environment, job), job_retries())
