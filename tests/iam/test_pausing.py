"""Endpoints that are paused on a schedule: what the functions may do, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from functions.shared.pausing import PAUSED_TAG
from generator.resolved import resolve
from generator.settings import Settings
from pipeline.definition import OWNER_TAG
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.requests import through
from tests.iam.required import DERIVED, Required
from tests.iam.test_schedules import undelivered

CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "serving": {"pause": "cron(0 18 ? * MON-FRI *)", "resume": "cron(0 7 ? * MON-FRI *)"},
        "studio": {"people": [{"name": "ana", "persona": "ml-engineer"}]},
    }
)
MAIN, CHURN = "PauseEndpointRole", "PauseNamedEndpointRole"
PIPELINES = {MAIN: "", CHURN: "-churn"}
STACKS = {MAIN: "pipeline", CHURN: "ChurnPipeline"}
TAG_KEYS = {"aws:TagKeys": [PAUSED_TAG]}
GRANT = {"kms:GrantIsForAWSResource": "true"}


@pytest.fixture(scope="module")
def pausing() -> Account:
    """A deployment whose two endpoints are paused on a schedule."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(pausing: Account) -> str:
    """The deployment's name."""
    return str(pausing.deployment.parameters["pipeline"]["UniqueName"])


def owned(account: Account, who: str) -> dict[str, Any]:
    """Return the tag of what the pipeline of a function owns."""
    owner = account.deployment.get(STACKS[who], "Pipeline").properties["Owner"]
    return {f"aws:ResourceTag/{OWNER_TAG}": str(owner)}


def calls(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function calls to pause and resume the endpoint ``own``."""

    def call(what: str, resource: str, context: dict[str, Any] | None = None) -> Request:
        action = f"sagemaker:{what}"
        arn = resource if resource == "*" else account.place.arn("sagemaker", resource)
        return Request(who, action, arn, context or {}, through(account, action))

    endpoint, ours = f"endpoint/{own}", owned(account, who)
    via = {"kms:ViaService": f"sagemaker.{account.place.region}.amazonaws.com"}
    found = [
        call("DescribeEndpoint", endpoint),
        call("DescribeEndpoint", f"endpoint/try-{own}"),
        call("ListTags", endpoint),
        call("ListEndpointConfigs", "*"),
        call("ListPipelineExecutions", f"pipeline/{own}"),
        call("DeleteEndpoint", endpoint, ours),
        call("CreateEndpoint", endpoint),
        call("AddTags", endpoint, {"sagemaker:TaggingAction": "CreateEndpoint"}),
        Request(who, "kms:CreateGrant", account.key_arn, GRANT | via),
    ]
    for config in (f"endpoint-config/{own}-abc", f"endpoint-config/v3-0a1b2c-{own}"):
        found += [
            call("DescribeEndpointConfig", config),
            call("ListTags", config),
            call("AddTags", config, ours | TAG_KEYS),
            call("DeleteTags", config, ours | TAG_KEYS),
            call("CreateEndpoint", config),
        ]
    return found


@pytest.fixture(scope="module")
def needed(pausing: Account, name: str) -> list[Required]:
    """Return what functions and rules need."""
    found = [
        request
        for who, rest in PIPELINES.items()
        for request in calls(pausing, who, f"{name}{rest}")
    ]
    ends = ("-off", "-on", "-up", "-churn-off", "-churn-on", "-churn-up")
    found += [undelivered(pausing, f"{name}{end}") for end in ends]
    return [Required(DERIVED, one, "pausing") for one in found]


def test_endpoints_can_be_paused_and_resumed(pausing: Account, needed: list[Required]) -> None:
    assert refused(pausing, needed) == []


@pytest.fixture(scope="module")
def attempts(pausing: Account, name: str) -> dict[str, Request]:
    """Return what nobody may do because endpoints are paused, by what is wanted."""

    def of(who: str, what: str, resource: str, context: dict[str, Any] | None = None) -> Request:
        arn = pausing.place.arn("sagemaker", resource)
        return Request(who, f"sagemaker:{what}", arn, context or {})

    mine, churns = owned(pausing, MAIN), owned(pausing, CHURN)
    endpoint, config = f"endpoint/{name}", f"endpoint-config/{name}-abc"
    foreign = "endpoint/tabular-0123456789ab"
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    return {
        "main's function deletes churn's endpoint": of(
            MAIN, "DeleteEndpoint", f"{endpoint}-churn", churns
        ),
        "churn's function deletes main's endpoint": of(CHURN, "DeleteEndpoint", endpoint, mine),
        "the function deletes an endpoint of another owner": of(
            MAIN, "DeleteEndpoint", endpoint, churns
        ),
        "the function deletes an endpoint without an owner": of(MAIN, "DeleteEndpoint", endpoint),
        "churn's function deletes an endpoint of another owner": of(
            CHURN, "DeleteEndpoint", f"{endpoint}-churn", mine
        ),
        "the function deletes another deployment's endpoint": of(
            MAIN, "DeleteEndpoint", foreign, mine
        ),
        "the function deletes a trial endpoint": of(
            MAIN, "DeleteEndpoint", f"endpoint/try-{name}", mine
        ),
        "the function deletes a configuration": of(MAIN, "DeleteEndpointConfig", config, mine),
        "the function deletes a model": of(MAIN, "DeleteModel", "model/pipelines-x", mine),
        "main's function creates churn's endpoint": of(MAIN, "CreateEndpoint", f"{endpoint}-churn"),
        "churn's function creates main's endpoint": of(CHURN, "CreateEndpoint", endpoint),
        "the function creates another deployment's endpoint": of(MAIN, "CreateEndpoint", foreign),
        "the function serves somebody's configuration": of(
            MAIN, "CreateEndpoint", "endpoint-config/somebodys"
        ),
        "the function updates the endpoint": of(MAIN, "UpdateEndpoint", endpoint, mine),
        "the function makes a configuration": of(MAIN, "CreateEndpointConfig", config),
        "the function makes a model": of(MAIN, "CreateModel", "model/pipelines-x"),
        "the function asks the endpoint": of(MAIN, "InvokeEndpoint", endpoint),
        "the function starts a run": of(MAIN, "StartPipelineExecution", f"pipeline/{name}"),
        "the function approves a version": of(
            MAIN, "UpdateModelPackage", f"model-package/{name}/3"
        ),
        "the function claims another owner's configuration": of(
            MAIN, "AddTags", config, churns | TAG_KEYS
        ),
        "the function says that it owns its configuration no longer": of(
            MAIN, "DeleteTags", config, mine | {"aws:TagKeys": [OWNER_TAG]}
        ),
        "the function gives its configuration another owner": of(
            MAIN, "AddTags", config, mine | {"aws:TagKeys": [PAUSED_TAG, OWNER_TAG]}
        ),
        "the function takes the endpoint's owner away": of(
            MAIN, "DeleteTags", endpoint, mine | TAG_KEYS
        ),
        "the function passes a role": Request(
            MAIN, "iam:PassRole", pausing.role_arn("ModelRole"), passed
        ),
        "the function decrypts": Request(MAIN, "kms:Decrypt", pausing.key_arn),
        "the function grants the key to somebody": Request(
            MAIN, "kms:CreateGrant", pausing.key_arn, {"kms:GrantIsForAWSResource": "false"}
        ),
        **{
            f"{who} deletes the endpoint": of(who, "DeleteEndpoint", endpoint, mine)
            for who in ("PipelineRole", "ModelRole", "NotebookJobsRole")
        },
        "another rule fills the queue": undelivered(pausing, f"{name}-of"),
        "another deployment's rule fills the queue": undelivered(
            pausing, "tabular-0123456789ab-off"
        ),
    }


def test_every_attack_is_refused(pausing: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(pausing, attempts) == []


def test_every_attack_would_succeed_without_policies(
    pausing: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(pausing, attempts) == []


def test_on_approval_no_run_is_looked_for(name: str) -> None:
    chosen = CHOSEN.model_dump() | {"pipeline": {"deploy": "on-approval"}}
    approving = Account.of(resolve(Settings.model_validate(chosen)))
    for who, rest in PIPELINES.items():
        arn = approving.place.arn("sagemaker", f"pipeline/{name}{rest}")
        (verdict,) = approving.ask([Request(who, "sagemaker:ListPipelineExecutions", arn)])
        assert not verdict.allowed
