"""What `doctor` says of a Studio domain that exists, by what AWS answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from generator.emit import as_dict
from generator.errors import CommandError
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.types import Json
from tabular_ml_vpc.operations import checks_quotas, checks_studio, studio
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

DOMAIN = "d-abcdefgh1234"
ENDPOINT = "vpce-0123456789abcdef0"
GOOD: Json = {
    "DomainId": DOMAIN,
    "Status": "InService",
    "VpcId": "vpc-theirs",
    "AppNetworkAccessType": "VpcOnly",
    "AuthMode": "IAM",
    "KmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "DomainSettings": {"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"},
    "DefaultUserSettings": {
        "JupyterLabAppSettings": {
            "AppLifecycleManagement": {"IdleSettings": {"LifecycleManagement": "ENABLED"}}
        }
    },
}
GATEWAY: Json = {
    "VpcEndpointId": ENDPOINT,
    "VpcId": "vpc-theirs",
    "VpcEndpointType": "Gateway",
}
ABSENT = canned.refusal("ResourceNotFound", "does not exist")


def context(domain: canned.Answer, profile: canned.Answer = ABSENT, **chosen: Any) -> CheckContext:
    """Return templates for an existing domain, to be deployed where AWS answers like that."""
    chosen = {"domain": DOMAIN, "user_profiles": ["ada"], "s3_endpoint": ENDPOINT} | chosen
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = Settings.model_validate({"studio": given})
    templates = {name: as_dict(one) for name, one in root.build(settings, Mode.DEV).items()}
    session = canned.session(
        {
            "cloudformation.DescribeStacks": canned.refusal(
                "ValidationError", "Stack with id tabular-new does not exist"
            ),
            "ec2.DescribeVpcEndpoints": {"VpcEndpoints": [GATEWAY]},
            "sagemaker.DescribeDomain": domain,
            "sagemaker.DescribeUserProfile": profile,
        }
    )
    return CheckContext(Target(session, "tabular-new"), templates, {})


def found(domain: canned.Answer, **more: Any) -> list[CheckFinding]:
    return list(checks_studio.domain(context(domain, **more)))


def test_a_domain_that_meets_our_bar_is_ok() -> None:
    (one,) = found(GOOD)
    assert (one.verdict, one.command) == (Verdict.OK, "")
    assert f"{DOMAIN} is VpcOnly in vpc-theirs" in one.what


@pytest.mark.parametrize(
    ("domain", "more", "said"),
    [
        (ABSENT, {}, f"{DOMAIN} does not exist in"),
        (GOOD | {"Status": "Failed"}, {}, "is in Failed"),
        (GOOD | {"AppNetworkAccessType": "PublicInternetOnly"}, {}, "not VpcOnly"),
        (GOOD | {"VpcId": "vpc-other"}, {}, "is in vpc-theirs, the domain in vpc-other"),
        (GOOD, {"s3_endpoint": ""}, "not in the VPC of the deployment"),
        (GOOD | {"AuthMode": "SSO"}, {}, "has AuthMode SSO, but studio.sign_in is iam"),
        (GOOD, {"profile": {"UserProfileName": "ada"}}, "already has a user profile ada"),
    ],
)
def test_what_would_not_work_is_a_problem_with_a_remedy(
    domain: Json, more: dict[str, Any], said: str
) -> None:
    (one,) = found(domain, **more)
    assert one.verdict is Verdict.PROBLEM
    assert said in one.what
    assert one.why
    assert one.command


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("KmsKeyId", "no customer managed key"),
        ("DomainSettings", "do not carry the name"),
        ("DefaultUserSettings", "not shut down when idle"),
    ],
)
def test_what_is_below_our_bar_is_a_warning(missing: str, said: str) -> None:
    (one,) = found({name: value for name, value in GOOD.items() if name != missing})
    assert one.verdict is Verdict.WARNING
    assert said in one.what


def test_profiles_of_others_sign_in_as_they_like() -> None:
    (one,) = checks_studio.domain(context(GOOD | {"AuthMode": "SSO"}, user_profiles=None))
    assert one.verdict is Verdict.OK


def test_a_domain_that_may_not_be_described_is_unknown() -> None:
    (one,) = found(canned.refusal("AccessDeniedException", "not authorized"))
    assert one.verdict is Verdict.UNKNOWN


def test_no_quota_of_domains_counts_if_none_is_created() -> None:
    assert list(checks_quotas._domains(context(GOOD), {})) == []


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"PipelineName": "p"}, "tabular has no Studio, because of its setting studio.domain"),
        ({"DomainId": DOMAIN}, f"no user profile of its own in domain {DOMAIN}"),
        ({}, "no Studio yet: the stack is in CREATE_IN_PROGRESS"),
    ],
)
def test_opening_without_a_profile_says_why(outputs: dict[str, str], said: str) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    stack = Stack("tabular", "id", "CREATE_IN_PROGRESS", "", now, None, None, False, outputs)
    with pytest.raises(CommandError, match=said):
        studio.profile_of(stack, None)
