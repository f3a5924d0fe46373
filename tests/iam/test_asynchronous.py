"""Asynchronous endpoints: who reads requests, who writes answers, and who makes the alarm."""

from __future__ import annotations

from typing import Any

import pytest

from functions.shared.names import alarm_name
from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.names import placeholders
from tests.iam.requests import through
from tests.iam.required import DERIVED, Required
from tests.iam.test_approval import CHURN, MAIN, PIPELINES

CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "pipeline": {"deploy": "on-approval"},
        "serving": {"asynchronous": True},
    }
)
MODELS = {MAIN: "ModelRole", CHURN: "ChurnPipeline/ModelRole"}
MANAGERS = {MAIN: "PipelineManagerRole", CHURN: "NamedPipelinesManagerRole"}
PLACES = {MAIN: "asynchronous", CHURN: "pipelines/asynchronous/churn"}
SIDS = (
    *("AskThroughS3", "PutRequests", "ReadAnswers", "EncryptRequests", "WakeFleet"),
    *("ReadRequests", "WriteAnswers", "TellOfAnswers", "EncryptAnswers", "EndAlarmOfBacklog"),
)


@pytest.fixture(scope="module")
def asking() -> Account:
    """A deployment with two asynchronous endpoints."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(asking: Account) -> str:
    """The deployment's name."""
    return str(asking.deployment.parameters["pipeline"]["UniqueName"])


def via(account: Account, service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.{account.place.region}.amazonaws.com"}


def alarm(account: Account, endpoint: str) -> str:
    return account.place.arn("cloudwatch", f"alarm:{alarm_name(endpoint)}")


def calls(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function, the manager, the model and a person need for an endpoint."""
    bucket, place = placeholders(account)["bucket"], f"{PLACES[who]}/"
    endpoint = account.place.arn("sagemaker", f"endpoint/{own}")
    trial = account.place.arn("sagemaker", f"endpoint/try-{own}")
    model = MODELS[who]

    def inside(role: str, action: str, resource: str, **keys: str) -> Request:
        return Request(role, action, resource, dict(keys), through(account, action))

    topics = [account.place.arn("sns", f"{own}-{what}") for what in ("answers", "failures")]
    requests = f"{bucket}/{place}requests"
    written = [f"{bucket}/{place}{what}/1.out" for what in ("answers", "failures")]
    encrypt = [
        Request(model, "kms:GenerateDataKey", account.key_arn, via(account, service))
        for service in ("s3", "sns")
    ]
    return [
        inside(who, "sagemaker:InvokeEndpointAsync", trial),
        inside(who, "sagemaker:InvokeEndpointAsync", endpoint),
        inside(who, "s3:PutObject", f"{requests}/smoke/0a1b"),
        Request(who, "kms:GenerateDataKey", account.key_arn, via(account, "s3")),
        *(inside(who, "s3:GetObject", one) for one in written),
        inside(who, "cloudwatch:PutMetricAlarm", alarm(account, own)),
        inside(who, "cloudwatch:DescribeAlarms", alarm(account, own)),
        inside(MANAGERS[who], "cloudwatch:DeleteAlarms", alarm(account, own)),
        Request(model, "s3:GetObject", f"{requests}/1.csv"),
        Request(model, "kms:Decrypt", account.key_arn, via(account, "s3")),
        *(Request(model, "s3:PutObject", one) for one in written),
        *(Request(model, "sns:Publish", one) for one in topics),
        *encrypt,
        inside("StudioRole", "sagemaker:InvokeEndpointAsync", endpoint),
        inside("StudioRole", "s3:PutObject", f"{requests}/1.csv"),
        *(inside("StudioRole", "s3:GetObject", one) for one in written),
        *(
            inside("StudioRole", "s3:ListBucket", bucket, **{"s3:prefix": one.partition("/")[2]})
            for one in written
        ),
    ]


@pytest.fixture(scope="module")
def needed(asking: Account, name: str) -> list[Required]:
    """Everything that they need."""
    return [
        Required(DERIVED, request, "asynchronous")
        for who, rest in PIPELINES.items()
        for request in calls(asking, who, f"{name}{rest}")
    ]


def test_everybody_can_do_their_part(asking: Account, needed: list[Required]) -> None:
    assert refused(asking, needed) == []


def test_every_allowance_is_needed(asking: Account, needed: list[Required]) -> None:
    parts = [part for part in allowances(asking) if part.sid in SIDS]
    needs = needed_by(asking, parts, needed)
    assert [str(part) for part, found in needs.items() if not found] == []


@pytest.fixture(scope="module")
def attempts(asking: Account, name: str) -> dict[str, Request]:
    """What nobody may do because endpoints are asynchronous, by what is wanted."""
    bucket, found = placeholders(asking)["bucket"], dict[str, Request]()
    topics = {
        who: asking.place.arn("sns", f"{name}{rest}-answers") for who, rest in PIPELINES.items()
    }
    errors = asking.deployment.get("pipeline", "EndpointServerErrorAlarm").reference

    def object_of(who: str, rest: str) -> str:
        return f"{bucket}/{PLACES[who]}/{rest}"

    def add(what: str, role: str, action: str, resource: str, **keys: Any) -> None:
        found[what] = Request(role, action, resource, dict(keys), through(asking, action))

    for who, other in ((MAIN, CHURN), (CHURN, MAIN)):
        model = MODELS[who]
        requests, answers = object_of(other, "requests/1.csv"), object_of(other, "answers/1.out")
        add(f"{model} reads the requests of {other}", model, "s3:GetObject", requests)
        add(f"{model} writes the answers of {other}", model, "s3:PutObject", answers)
        add(f"{model} tells the topic of {other}", model, "sns:Publish", topics[other])
        own = object_of(who, "answers/1.out")
        add(f"{model} reads its answers again", model, "s3:GetObject", own)
        add(f"{model} makes a request", model, "s3:PutObject", object_of(who, "requests/1.csv"))
        add(f"{who} reads what clients asked", who, "s3:GetObject", object_of(who, "requests/1"))
        add(f"{who} makes a client's request", who, "s3:PutObject", object_of(who, "requests/1"))
        add(f"{who} writes an answer", who, "s3:PutObject", own)
        add(f"{who} writes for {other}", who, "s3:PutObject", object_of(other, "requests/smoke/1"))
        others = alarm(asking, f"{name}{PIPELINES[other]}")
        add(f"{who} changes the alarm of {other}", who, "cloudwatch:PutMetricAlarm", others)
        manager = MANAGERS[who]
        add(f"{manager} deletes the alarm of {other}", manager, "cloudwatch:DeleteAlarms", others)
        endpoint = asking.place.arn("sagemaker", f"endpoint/{name}{PIPELINES[other]}")
        add(f"{who} asks the endpoint of {other}", who, "sagemaker:InvokeEndpointAsync", endpoint)
    rollback = asking.place.arn("cloudwatch", f"alarm:{errors}")
    add("the function changes the alarm on errors", MAIN, "cloudwatch:PutMetricAlarm", rollback)
    read, write = "s3:GetObject", "s3:PutObject"
    for who in PIPELINES:
        place = PLACES[who]
        add(f"a person reads requests in {place}", "StudioRole", read, object_of(who, "requests/1"))
        add(f"a person writes answers in {place}", "StudioRole", write, object_of(who, "answers/1"))
    add(
        "a person makes the alarm",
        "StudioRole",
        "cloudwatch:PutMetricAlarm",
        alarm(asking, name),
    )
    foreign = asking.place.arn("sagemaker", "endpoint/somebodys")
    add("a person asks another endpoint", "StudioRole", "sagemaker:InvokeEndpointAsync", foreign)
    direct, elsewhere = "kms:GenerateDataKey", via(asking, "secretsmanager")
    for role in (MAIN, CHURN, *MODELS.values()):
        key = Request(role, direct, asking.key_arn, elsewhere)
        found[f"{role} encrypts what goes neither to S3 nor to SNS"] = key
    add("training reads requests", "TrainingRole", read, object_of(MAIN, "requests/1"))
    return found


def test_every_attack_is_refused(asking: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(asking, attempts) == []


def test_every_attack_would_succeed_without_policies(
    asking: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(asking, attempts) == []


def test_every_limit_stops_an_attack(asking: Account, attempts: dict[str, Request]) -> None:
    bounds = [
        part
        for part in limits(asking)
        if part.sid in SIDS and part.sid != "EncryptAnswers"  # the key's own policy says the same
    ]
    stopped = let_through(asking, bounds, [*attempts.values()])
    assert [str(part) for part, attacks in stopped.items() if not attacks] == []


def test_without_the_setting_nobody_can() -> None:
    chosen = CHOSEN.model_dump(mode="json", exclude_unset=True) | {"serving": {}}
    account = Account.of(resolve(Settings.model_validate(chosen)))
    assert [part for part in allowances(account) if part.sid in SIDS] == []
