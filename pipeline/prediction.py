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
LABELS: Final = "LabelData"
"""Labels that came later, which measure captured answers (`pipeline/scripts/quality.py`)."""
PREDICTED: Final = Output("Predict", "predictions")
DRIFT: Final = Output("Predict", "drift")
"""How far the table is from the model's training data (`pipeline/scripts/drift.py`)."""
QUALITY: Final = Output("Predict", "quality")

_SCRIPT: Final = "predict.py"
_SECONDS: Final = 6 * 3600
_SIZES: Final = ("ProcessingInstanceType", "ProcessingVolumeGB")


def build(environment: Environment) -> Json:
    """The definition for `environment`, ready for `json.dumps`.

    `InputData` and `ModelArchive` have no default, so that an execution names both; each is the S3
    URI of an object or, for the table, of a folder that ends in `/`. `LabelData` exists if answers
    are measured, and names a job script by default, which means that there are no labels.
    """
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": TABLE, "Type": "String"},
            {"Name": MODEL, "Type": "String"},
            *([_labels(environment)] if environment.measures_answers else []),
            *(_size(environment, name) for name in _SIZES),
        ],
        "PipelineExperimentConfig": None,
        "Steps": [_predict(environment)],
    }


def _labels(environment: Environment) -> Json:
    nothing = f"s3://{environment.bucket}/{environment.code_prefix}/{_SCRIPT}"
    return {"Name": LABELS, "Type": "String", "DefaultValue": nothing}


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
    measures = environment.measures_answers
    labels: list[str | Json] = [
        argument("label-uri", LABELS),
        f"--metric={environment.quality_metric}",
    ]
    job = Job(
        image=environment.training_image,
        command=[
            argument("input-uri", TABLE),
            *(labels if measures else []),
        ],
        script=_SCRIPT,
        inputs=[
            processing_input("model", parameter(MODEL)),
            processing_input("table", parameter(TABLE)),
            *([processing_input("labels", parameter(LABELS))] if measures else []),
        ],
        outputs=[PREDICTED, DRIFT, *([QUALITY] if measures else [])],
        kind=PREDICTIONS,
        seconds=_SECONDS,
    )
    return call_step(PREDICTED.step, "Processing", processing(environment, job), job_retries())
