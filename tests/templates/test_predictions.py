"""The pipelines of batch predictions: beside each pipeline, and only where the settings say so."""

from __future__ import annotations

from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from tabular_ml_vpc.reports.cost import runs

SEVERAL: dict[str, Any] = {"pipelines": [{"name": "main"}, {"name": "churn", "label": "churned"}]}


@pytest.fixture(scope="module")
def predicting() -> ResolvedDeployment:
    """Two pipelines with predictions."""
    settings = {**SEVERAL, "pipeline": {"predictions": True}, "storage": {"predictions_days": 30}}
    return resolve(Settings.model_validate(settings))


def test_by_default_no_template_has_predictions() -> None:
    for template in root.build(Settings(), Mode.DEV).values():
        assert "Predictions" not in template.resources


def test_each_pipeline_has_one_of_predictions_beside_it(predicting: ResolvedDeployment) -> None:
    for stack, folder in (("pipeline", "predictions"), ("ChurnPipeline", "pipelines/predictions")):
        trains = predicting.get(stack, "Pipeline").properties
        predicts = predicting.get(stack, "Predictions").properties
        differing = {name for name in predicts if predicts[name] != trains.get(name)}
        assert differing == {"PipelineName", "Predicts"}
        assert predicts["PipelineName"] == f"{trains['PipelineName']}-predict"
        assert predicts["Predicts"] == "true"
        rules = predicting.get("storage", "DataBucket").properties["LifecycleConfiguration"]
        days = {one.get("Prefix"): one.get("ExpirationInDays") for one in rules["Rules"]}
        assert days[f"{folder}/"] == 30


def test_what_predicts_is_not_priced_as_a_pipeline_that_serves(
    predicting: ResolvedDeployment,
) -> None:
    assert [one.name for one in runs.pipelines(predicting)] == ["main", "churn"]
    assert len(predicting.of_type("Custom::PredictionPipeline")) == 2
