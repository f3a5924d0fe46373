"""Permissions of the person who operates a deployed copy and changes nothing that it consists of.

They are enough for `python build.py status`, `outputs`, `logs`, `run`, `stop`, `history`, `invoke`
and `predict`. An operator cannot deploy, delete, pass a role or read the rows that runs prepare;
but, with `pipeline.predictions`, those that were predicted. With `watching.dashboard`, an operator
can look at the dashboards in the console. Runs do what the pipeline's own role permits; an
operator's part is to start and stop them.
"""

from __future__ import annotations

from typing import Final

from generator.policies.documents import FOLDER, document, sagemaker, statement, text
from generator.policies.jobs import FILES
from generator.settings import PROJECT_TAG, Settings, all_choices, any_asynchronous
from generator.settings_studio import Studio
from pipeline.layout import (
    ANSWERS,
    ASYNCHRONOUS,
    CAPTURED,
    CHAMPION,
    CODE,
    FAILURES,
    MODELS,
    PREDICTIONS,
    PROCESSED,
    REQUESTS,
    folder,
    named,
)
from pipeline.types import Json

PATH: Final = f"{FOLDER}/operator-policy.json"

_LISTS: Final = ("cloudformation:ListStacks", "logs:DescribeLogGroups")
_LISTS_OF_STUDIO: Final = ("sagemaker:ListApps", "sagemaker:ListSpaces")
"""These and the above are actions that support no resource, or none whose ARN has our name."""
_LISTS_OF_CLOUDWATCH: Final = (
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListDashboards",
)
"""What a dashboard's page reads besides the dashboard; metrics have no ARN."""
_STACKS: Final = (
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
)
_RUNS: Final = (
    "sagemaker:DescribePipeline",
    "sagemaker:DescribePipelineDefinitionForExecution",
    "sagemaker:DescribePipelineExecution",
    "sagemaker:ListPipelineExecutionSteps",
    "sagemaker:ListPipelineExecutions",
    "sagemaker:ListPipelineParametersForExecution",
    "sagemaker:StartPipelineExecution",
    "sagemaker:StopPipelineExecution",
)
_JOBS: Final = ("sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob")
_ENDPOINT: Final = ("sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint", "sagemaker:ListTags")
_MODELS: Final = (
    "sagemaker:DescribeEndpointConfig",
    "sagemaker:DescribeModel",
    "sagemaker:DescribeModelPackage",
    "sagemaker:ListModelPackages",
)
_LOGS: Final = ("logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents")


def policy(settings: Settings) -> Json:
    """Return the managed policy."""
    name, studio = settings.project, settings.studio
    dashboards = any(one.watching.dashboard for one in all_choices(settings))
    from_s3 = any_asynchronous(settings)
    stacks = f"arn:*:cloudformation:*:*:stack/{name}*/*"
    return document(
        [
            statement("List", [*_LISTS, *(_LISTS_OF_STUDIO if studio.in_use else ())], ["*"]),
            statement("LookAtStacks", _STACKS, [stacks]),
            statement("Runs", _RUNS, sagemaker(f"pipeline/{name}*")),
            statement(
                "LookAtJobs",
                _JOBS,
                sagemaker("processing-job/pipelines-*", "training-job/pipelines-*"),
            ),
            statement("Endpoint", _ENDPOINT, sagemaker(f"endpoint/{name}*")),
            *_look_at_studio(studio),
            statement(
                "ReadLogs",
                _LOGS,
                [
                    f"arn:*:logs:*:*:log-group:{name}*",
                    "arn:*:logs:*:*:log-group:/aws/sagemaker/*",
                ],
            ),
            statement(
                "LookAtFunctions",
                ["lambda:GetFunctionConfiguration"],
                [f"arn:*:lambda:*:*:function:{name}*"],
            ),
            statement(
                "ReadResults",
                ["s3:GetObject"],
                [f"arn:*:s3:::{name}*/processed/*/evaluation/*"],
            ),
            statement("AddTables", ["s3:GetObject", "s3:PutObject"], [f"arn:*:s3:::{name}*/raw/*"]),
            _only_tables(name),
            *_no_files_of_people(name, studio),
            *(_predict(name) if settings.pipeline.predictions else []),
            *(_ask_through_s3(name) if from_s3 else []),
            *(_look_at_dashboards(name) if dashboards else []),
            _use_key(settings),
        ]
    )


def _ask_through_s3(name: str) -> list[Json]:
    """Allow putting requests to asynchronous endpoints into the bucket, and reading answers."""
    at, told = f"arn:*:s3:::{name}*/{ASYNCHRONOUS}/*", (ANSWERS, FAILURES)
    prefixes = {"StringLike": {"s3:prefix": [f"*{ASYNCHRONOUS}/*{one}*" for one in told]}}
    return [
        statement(
            "AskThroughS3", ["sagemaker:InvokeEndpointAsync"], sagemaker(f"endpoint/{name}*")
        ),
        statement("PutRequests", ["s3:PutObject"], [f"{at}{REQUESTS}*"]),
        statement("ReadAnswers", ["s3:GetObject"], [f"{at}{one}*" for one in told]),
        statement("FindAnswers", ["s3:ListBucket"], [f"arn:*:s3:::{name}*"], prefixes),
    ]


def _only_tables(name: str) -> Json:
    """Deny writing below what runs write and read: ``processed/<run>/train/raw/`` is one, too.

    A ``*`` crosses slashes, and the bucket's name is not known here. It follows that no folder in
    ``raw/`` can have one of these names.
    """
    kinds = (PROCESSED, MODELS, CODE, PREDICTIONS, CAPTURED, CHAMPION)
    others = [f"arn:*:s3:::{name}*/{kind}/*" for kind in kinds]
    return statement("OnlyTables", ["s3:PutObject"], others) | {"Effect": "Deny"}


def _look_at_studio(studio: Studio) -> list[Json]:
    if not studio.in_use:
        return []
    domain = "domain/*" if studio.owns_domain else f"domain/{studio.domain}"
    return [statement("LookAtStudio", ["sagemaker:DescribeDomain"], sagemaker(domain))]


def _no_files_of_people(name: str, studio: Studio) -> list[Json]:
    """Deny a folder ``raw/`` among people's own files, for the same reason."""
    if not studio.in_use:
        return []
    files = [f"arn:*:s3:::{name}*/{FILES}*"]
    return [
        statement("NoFilesOfPeople", ["s3:GetObject", "s3:PutObject"], files) | {"Effect": "Deny"}
    ]


def _predict(name: str) -> list[Json]:
    """Allow finding the model that predicts, and reading predictions."""
    prefixes = (folder(PREDICTIONS), named(PREDICTIONS))
    return [
        statement(
            "FindModels",
            _MODELS,
            sagemaker(
                f"endpoint-config/{name}*",
                "model/pipelines-*",
                f"model-package-group/{name}*",
                f"model-package/{name}*",
            ),
        ),
        statement(
            "ListPredictions",
            ["s3:ListBucket"],
            [f"arn:*:s3:::{name}*"],
            {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        ),
        statement(
            "ReadPredictions",
            ["s3:GetObject"],
            [f"arn:*:s3:::{name}*/{prefix}*" for prefix in prefixes],
        ),
    ]


def _look_at_dashboards(name: str) -> list[Json]:
    """Allow the dashboards in CloudWatch's console, with all metrics and states of alarms.

    A console request for alarms names none of them. Source: CloudWatch user guide, "CloudWatch
    permissions reference".
    """
    dashboards = [f"arn:*:cloudwatch::*:dashboard/{name}*"]
    return [
        statement("LookAtDashboards", ["cloudwatch:GetDashboard"], dashboards),
        statement("LookAtMetrics", _LISTS_OF_CLOUDWATCH, ["*"]),
    ]


def _use_key(settings: Settings) -> Json:
    """Allow the key's use through S3 and CloudWatch Logs, which its own policy also requires."""
    key = settings.security.key
    tagged = {"StringEquals": {f"aws:ResourceTag/{PROJECT_TAG}": settings.project}}
    condition = {"StringLike": {"kms:ViaService": ["logs.*", "s3.*"]}, **({} if key else tagged)}
    return statement(
        "UseKeyThroughServices",
        ["kms:Decrypt", "kms:GenerateDataKey"],
        [key or "arn:*:kms:*:*:key/*"],
        condition,
    )


def render(settings: Settings) -> str:
    """Return the file's text."""
    return text(policy(settings))
