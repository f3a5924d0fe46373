"""What may not be read is not taken for absent: a bill would go on, or a run lose its endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from generator.errors import CommandError, UsageError
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.operations.runs.batch import BatchPredictions
from tabular_ml_vpc.operations.runs.deployed import repair
from tabular_ml_vpc.operations.runs.pause import pause, resume
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload
from tests.operations.canned import Answer, refusal, session

_NAME: Final = "tabular-1"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DENIED: Final = refusal("AccessDeniedException", "no")
_ABSENT: Final = refusal("ValidationException", "Could not find it")


def endpoint(status: str = "InService") -> Mapping[str, Any]:
    """Return the answer of DescribeEndpoint."""
    return {
        "EndpointName": _NAME,
        "EndpointArn": f"arn:aws:sagemaker:eu-west-1:111122223333:endpoint/{_NAME}",
        "EndpointConfigName": f"{_NAME}-config",
        "EndpointStatus": status,
        "CreationTime": _NOW,
        "LastModifiedTime": _NOW,
    }


def workload(**changed: Answer) -> Workload:
    """Return a pipeline whose endpoint serves, with other answers; each change is refused."""
    answers: dict[str, Answer] = {
        "DescribeEndpoint": endpoint(),
        "ListTags": {"Tags": [{"Key": OWNER_TAG, "Value": "ours"}]},
        "ListPipelineExecutions": {"PipelineExecutionSummaries": []},
        "ListEndpointConfigs": {"EndpointConfigs": []},
        **dict.fromkeys(("AddTags", "CreateEndpoint", "DeleteEndpoint"), unexpected),
    }
    made = session({f"sagemaker.{name}": one for name, one in (answers | changed).items()})
    return Workload(Target(made, "tabular"), "main", _NAME, _NAME, "ours")


def unexpected(_request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fail the test: nothing may be changed."""
    raise AssertionError("something was changed")


@pytest.mark.parametrize(
    ("act", "denied", "before"),
    [
        (pause, "DescribeEndpoint", {}),
        (pause, "ListTags", {}),
        (pause, "ListPipelineExecutions", {}),
        (pause, "DescribeEndpointConfig", {}),
        (resume, "DescribeEndpoint", {}),
        (resume, "ListEndpointConfigs", {"DescribeEndpoint": _ABSENT}),
        (repair, "DescribeEndpoint", {}),
        (repair, "ListTags", {"DescribeEndpoint": endpoint("Failed")}),
    ],
)
def test_an_action_on_the_endpoint_names_the_permission_that_it_lacks(
    act: Callable[[Workload], str], denied: str, before: Mapping[str, Answer]
) -> None:
    with pytest.raises(CommandError, match=f"no permission for sagemaker:{denied}, "):
        act(workload(**{**before, denied: _DENIED}))


@pytest.mark.parametrize(
    ("status", "said"), [("Failed", "endpoint repair"), ("Deleting", "still being deleted")]
)
def test_an_endpoint_that_does_not_serve_is_not_called_resumed(status: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        resume(workload(DescribeEndpoint=endpoint(status)))


def test_predictions_name_the_setting_the_permission_and_the_folder_that_are_missing() -> None:
    def predicting(**changed: Answer) -> BatchPredictions:
        return BatchPredictions(workload(**changed).target, workload(**changed), "data")

    def described(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return _ABSENT if "-predict" in str(request) else {"PipelineName": _NAME}

    with pytest.raises(CommandError, match=r"set predictions = true in \[pipeline\]"):
        _ = predicting(DescribePipeline=described).pipeline
    with pytest.raises(CommandError, match="no permission for sagemaker:ListModelPackages"):
        predicting(ListModelPackages=_DENIED).model("latest")
    with pytest.raises(UsageError, match=r"--model: got 's3://other/m\.tar\.gz': must begin with "):
        predicting().model("s3://other/m.tar.gz")
