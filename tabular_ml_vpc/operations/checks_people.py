"""Check of the people who sign in with IAM Identity Center: its instance, and their user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import code_of

NAME: Final = "identity center"
SIGN_IN: Final = "SSO"
"""What SageMaker calls sign-in with IAM Identity Center (AuthMode)."""
USER: Final = "SingleSignOnUserValue"
_NAMED: Final = 5


def identity_center(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that people can sign in, if they do so with IAM Identity Center.

    The domain needs an organization instance of IAM Identity Center in its region ("Set up IAM
    Identity Center for use with Amazon SageMaker AI"), and each profile a user there.
    """
    domains = context.properties("AWS::SageMaker::Domain")
    profiles = context.properties("AWS::SageMaker::UserProfile")
    users = [str(one[USER]) for one in profiles if USER in one]
    if not users and not any(domain.get("AuthMode") == SIGN_IN for domain in domains):
        return
    instances = context.target.client("sso-admin").list_instances()["Instances"]
    if not instances:
        yield _none(context.target.region)
        return
    instance = instances[0]
    yield _instance(instance, str(context.target.identity["Account"]))
    yield _users(context, str(instance["IdentityStoreId"]), users)


def _none(region: str) -> CheckFinding:
    return CheckFinding(
        NAME,
        Verdict.PROBLEM,
        f"{region} has no IAM Identity Center instance",
        "the domain cannot be created: Identity Center must be in its region",
        'deploy where Identity Center is, or set studio.sign_in = "iam"',
    )


def _instance(instance: Any, account: str) -> CheckFinding:
    arn, owner = instance["InstanceArn"], instance["OwnerAccountId"]
    if owner != account:
        return CheckFinding(NAME, Verdict.OK, f"{arn}, the organization's, of account {owner}")
    return CheckFinding(
        NAME,
        Verdict.WARNING,
        f"{arn} belongs to this account",
        "the domain needs the organization's instance; this is one only if this account manages "
        "the organization",
        "aws organizations describe-organization --query Organization.MasterAccountId",
    )


def _users(context: CheckContext, store: str, names: Sequence[str]) -> CheckFinding:
    client = context.target.client("identitystore")
    missing = [name for name in names if not _exists(client, store, name)]
    if not missing:
        return CheckFinding(NAME, Verdict.OK, f"all {len(names)} users exist in {store}")
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return CheckFinding(
        NAME,
        Verdict.PROBLEM,
        f"no such users in {store}: {', '.join(missing[:_NAMED])}{more}",
        "their profiles cannot be created",
        "create the users, or set user_name of these people to the names that they sign in with",
    )


def _exists(client: Any, store: str, name: str) -> bool:
    unique = {"AttributePath": "userName", "AttributeValue": name}
    try:
        client.get_user_id(IdentityStoreId=store, AlternateIdentifier={"UniqueAttribute": unique})
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return False
        raise
    return True
