"""A domain that is somebody else's: what the deployment can do in it, and what it cannot."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from pydantic import ValidationError

from generator.emit import as_dict
from generator.policies import deployer, existing
from generator.policies.documents import size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.settings_studio import MOST_IN_THEIRS
from generator.stacks.root import build
from tests.iam.account import PROFILE, Account, Context, Request
from tests.iam.test_deployer import resource_types
from tests.iam.test_minimality import INLINE, MANAGED

DOMAIN: Final = "d-abcdefgh1234"
THEIR_ENDPOINT: Final = "vpce-0123456789abcdef0"
OWNER: Final = "sagemaker:OwnerUserProfileArn"
Calls = tuple[tuple[str, str, Context], ...]


def _arn(resource: str) -> str:
    return f"arn:aws:sagemaker:eu-west-1:123456789012:{resource}"


OWN: Final[Context] = {OWNER: _arn(f"user-profile/{DOMAIN}/{PROFILE}")}
OTHERS: Final[Context] = {OWNER: _arn(f"user-profile/{DOMAIN}/somebody-else")}
SPACE: Final = f"space/{DOMAIN}/notes"
APP: Final = f"app/{DOMAIN}/notes/jupyterlab/default"
OWN_NAME: Final = f"app/{DOMAIN}/{PROFILE}/jupyterlab/default"
"""An app of our profile outside spaces, or of anybody's space that has the profile's name."""


@pytest.fixture(scope="module")
def account() -> Account:
    studio = {"domain": DOMAIN, "user_profiles": [PROFILE], "s3_endpoint": THEIR_ENDPOINT}
    given = {"studio": studio, "storage": {"log_bucket": "arn:aws:s3:::org-logs"}}
    return Account.of(resolve(Settings.model_validate(given)))


def _clearing(*calls: tuple[str, str, Context]) -> list[Request]:
    return [
        Request(
            "ClearStudioRole", f"sagemaker:{action}", _arn(where), context, "SagemakerApiEndpoint"
        )
        for action, where, context in calls
    ]


def test_apps_and_spaces_of_our_profiles_can_be_deleted(account: Account) -> None:
    needed = _clearing(
        ("DeleteSpace", SPACE, OWN), ("DeleteApp", APP, OWN), ("DeleteApp", OWN_NAME, {})
    )
    for request, verdict in zip(needed, account.ask(needed), strict=True):
        assert (verdict.allowed, verdict.ignored) == (True, ()), str(request)


def test_nothing_of_others_and_not_the_domain_can_be_deleted(account: Account) -> None:
    attacks = _clearing(
        ("DeleteSpace", SPACE, OTHERS),
        ("DeleteSpace", SPACE, {}),
        ("DeleteApp", APP, OTHERS),
        ("DeleteApp", APP, {}),
        ("DeleteApp", OWN_NAME, OTHERS),
        ("DeleteApp", f"app/{DOMAIN}/somebody-else/Canvas/default", {}),
        ("DeleteSpace", "space/d-other/notes", OWN),
        ("DeleteUserProfile", f"user-profile/{DOMAIN}/somebody-else", {}),
        ("DeleteUserProfile", f"user-profile/{DOMAIN}/{PROFILE}", {}),
        ("UpdateUserProfile", f"user-profile/{DOMAIN}/somebody-else", {}),
        ("DeleteDomain", f"domain/{DOMAIN}", {}),
        ("UpdateDomain", f"domain/{DOMAIN}", {}),
    )
    for request, verdict in zip(attacks, account.ask(attacks), strict=True):
        assert (verdict.allowed, verdict.ignored) == (False, ()), str(request)


def test_no_role_touches_the_log_bucket_of_others(account: Account) -> None:
    log = "arn:aws:s3:::org-logs/tabular-1/log"
    attacks = [
        Request(role, f"s3:{action}Object", log, via="S3Endpoint")
        for role in ("EmptyBucketRole", "StudioRole", "ProcessingRole", "PipelineManagerRole")
        for action in ("Delete", "Get", "Put")
    ]
    assert not [
        str(one) for one, found in zip(attacks, account.ask(attacks), strict=True) if found.allowed
    ]


def test_people_reach_the_data_only_from_the_vpc_of_their_domain(account: Account) -> None:
    bucket = account.deployment.get("storage", "DataBucket").reference
    read = Request("StudioRole", "s3:GetObject", f"arn:aws:s3:::{bucket}/raw/data.csv")
    theirs = read.but(context={"aws:SourceVpce": THEIR_ENDPOINT})
    jobs = theirs.but(who="ProcessingRole")
    verdicts = account.ask([theirs, read, read.but(via="S3Endpoint"), jobs])
    assert [verdict.allowed for verdict in verdicts] == [True, False, False, False]


def test_each_person_can_be_created_and_cleared_and_nobody_else_within_iam_s_limits() -> None:
    people: list[dict[str, Any]] = [
        {"name": f"{number:02}" + "x" * 61} for number in range(MOST_IN_THEIRS)
    ]
    people[0]["persona"] = "reviewer"
    settings = Settings.model_validate({"studio": {"domain": DOMAIN, "people": people}})
    found = resolve(settings)
    cleared = found.get("studio", "ClearStudioPolicy").properties["PolicyDocument"]
    assert len(json.dumps(cleared, separators=(",", ":"))) < INLINE
    texts = deployer.policies(
        settings, [as_dict(one) for one in build(settings, Mode.DEV).values()]
    )
    assert all(size(json.loads(text)) <= MANAGED for text in texts.values())
    (created,) = (
        one
        for text in texts.values()
        for one in json.loads(text)["Statement"]
        if "sagemaker:CreateUserProfile" in one["Action"]
    )
    named = [one for one in created["Resource"] if "user-profile" in one]
    assert named == [f"arn:*:sagemaker:*:*:user-profile/{DOMAIN}/{one['name']}" for one in people]
    with pytest.raises(ValidationError, match="got 26 people in the existing domain: at most 25"):
        Settings.model_validate({"studio": {"domain": DOMAIN, "people": [*people, {"name": "z"}]}})


def test_whoever_deploys_may_read_what_is_checked_and_nothing_else_of_it() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:org-alerts"
    given = {
        "studio": {"domain": DOMAIN},
        "storage": {"log_bucket": "arn:aws:s3:::org-logs"},
        "security": {"alert_topic": topic},
    }
    found = list(existing.reading(Settings.model_validate(given)))
    assert [one["Resource"] for one in found] == [
        f"arn:*:sagemaker:*:*:domain/{DOMAIN}",
        "arn:aws:s3:::org-logs",
        topic,
        "arn:aws:kms:eu-west-1:123456789012:key/*",
    ]
    for one in found:
        for action in one["Action"]:
            assert action.partition(":")[2].startswith(("Get", "Describe"))
            assert resource_types(action)
    assert list(existing.reading(Settings())) == []
