"""Where people install packages: each call of pip is allowed, and nothing around it is open.

`tests/cloud/test_pip_script.py` shows which calls pip and its `keyring` make.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from generator.cfn.identifiers import StackLocation
from generator.policies.people import TOKEN_SECONDS
from generator.resolved import resolve
from generator.settings import Settings
from generator.settings_people import Persona
from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import FOREIGN, OPEN, everything_of
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.required import IMPLICIT, RECORDED, Required
from tests.iam.test_minimality import INLINE
from tests.iam.walkthrough import WALKTHROUGH

RIGHTS: Final = ("GetPackageToken", "IssuePackageToken", "ReadPackages")
"""The statements that the setting adds to the role's policy."""
API, REPOSITORIES = "CodeartifactApiEndpoint", "CodeartifactRepositoriesEndpoint"
PACKAGE: Final = "npm/thief/data"
"""Format, namespace and name: the simulator knows no package without a namespace, as PyPI's are."""
ASSETS: Final = "arn:aws:s3:::assets-438097961670-eu-west-1"
"""CodeArtifact's bucket of assets in eu-west-1, of all accounts (user guide, "Create the Amazon S3
gateway endpoint")."""


@pytest.fixture(scope="module")
def with_packages() -> Account:
    """Return a deployment whose people install packages."""
    return Account.of(resolve(Settings.model_validate({"packages": {"source": "pypi"}})))


def of_repository(account: Account, action: str, **changes: str) -> Request:
    arn = account.deployment.get("studio", "PackageRepository").reference
    via = REPOSITORIES if action == "ReadFromRepository" else API
    return Request("StudioRole", f"codeartifact:{action}", arn, {}, via).but(**changes)


def of_domain(account: Account, action: str, **changes: str) -> Request:
    arn = account.deployment.get("studio", "PackageDomain").reference
    return Request("StudioRole", f"codeartifact:{action}", arn, {}, API).but(**changes)


def of_token(seconds: int = TOKEN_SECONDS, service: str = "codeartifact.amazonaws.com") -> Request:
    """What CodeArtifact asks of STS for the caller, with the caller's permissions."""
    context = {"sts:AWSServiceName": service, "sts:DurationSeconds": str(seconds)}
    return Request("StudioRole", "sts:GetServiceBearerToken", "*", context, API)


@pytest.fixture(scope="module")
def needed(with_packages: Account) -> list[Required]:
    """Return the calls of `pip install`, in their order, and of `aws codeartifact login`."""
    token = of_domain(with_packages, "GetAuthorizationToken")
    read = of_repository(with_packages, "ReadFromRepository")
    return [
        Required(RECORDED, token, "keyring get"),
        Required(
            IMPLICIT,
            of_token(),
            "keyring get",
            "CodeArtifact user guide, 'AWS CodeArtifact permissions reference'",
        ),
        Required(RECORDED, read, "pip reads the index, then the file"),
        Required(
            RECORDED,
            of_repository(with_packages, "GetRepositoryEndpoint"),
            "aws codeartifact login --duration-seconds 3600",
        ),
    ]


def test_every_call_of_an_installation_is_allowed(
    with_packages: Account, needed: list[Required]
) -> None:
    verdicts = with_packages.ask([one.request for one in needed])
    refused = [
        f"{one}: {verdict}"
        for one, verdict in zip(needed, verdicts, strict=True)
        if not verdict.allowed or verdict.ignored
    ]
    assert refused == []


def test_the_walkthrough_names_each_call(needed: list[Required]) -> None:
    _, _, section = WALKTHROUGH.read_text().partition("## Install a package")
    section = section.partition("\n## ")[0]
    assert [str(one) for one in needed if f"`{one.request.action}`" not in section] == []


def test_every_right_is_needed(with_packages: Account, needed: list[Required]) -> None:
    parts = [part for part in allowances(with_packages) if part.sid in RIGHTS]
    assert len(parts) == 4
    needs = needed_by(with_packages, parts, needed)
    assert [str(part) for part, refused in needs.items() if not refused] == []


@pytest.fixture(scope="module")
def attempts(with_packages: Account) -> dict[str, Request]:
    """Return what a thief, a careless colleague or a package would try, by what is wanted."""
    return {
        **_beyond_the_repository(with_packages),
        **_beyond_the_account(with_packages),
        **_changes(with_packages),
        **_of_others(with_packages),
    }


def _beyond_the_repository(account: Account) -> dict[str, Request]:
    place = account.place
    other = place.arn("codeartifact", "repository/payroll/internal")
    return {
        "another repository's packages": of_repository(
            account, "ReadFromRepository", resource=other
        ),
        "another repository's address": of_repository(
            account, "GetRepositoryEndpoint", resource=other
        ),
        "another domain's token": of_domain(
            account, "GetAuthorizationToken", resource=place.arn("codeartifact", "domain/payroll")
        ),
        "a token that outlives the day": of_token(seconds=43200),
        "a token for another service": of_token(service="payroll.amazonaws.com"),
    }


def _beyond_the_account(account: Account) -> dict[str, Request]:
    """All with the caller's rights in order, and the owner's consent: the endpoints refuse."""
    mistake = everything_of("codeartifact")
    region = account.place.region
    theirs = f"arn:aws:codeartifact:{region}:{FOREIGN}"
    repository, domain = f"{theirs}:repository/thief/pypi", f"{theirs}:domain/thief"
    open_to_all: dict[str, Any] = {"extra": mistake, "guard": OPEN}
    assets = {
        action: Request(
            "StudioRole",
            f"s3:{action}",
            f"{ASSETS}/x",
            {"aws:ResourceAccount": "438097961670"},
            "S3Endpoint",
            everything_of("s3"),
            guard=OPEN,
        )
        for action in ("GetObject", "PutObject")
    }
    return {
        "packages of another account": of_repository(
            account, "ReadFromRepository", resource=repository
        ).but(**open_to_all),
        "a token of another account": of_domain(
            account, "GetAuthorizationToken", resource=domain
        ).but(**open_to_all),
        "data carried out as a package": of_repository(
            account,
            "PublishPackageVersion",
            resource=f"{theirs}:package/thief/pypi/{PACKAGE}",
            via=REPOSITORIES,
        ).but(**open_to_all),
        "a stranger's presigned link to an asset": assets["GetObject"],
        "data carried out to the bucket of assets": assets["PutObject"],
    }


def _changes(account: Account) -> dict[str, Request]:
    repository = account.deployment.get("studio", "PackageRepository").reference
    package = repository.replace(":repository/", ":package/") + f"/{PACKAGE}"
    group = account.deployment.get("studio", "PackageGroupOfPypi").reference
    on_package = {
        "a package of one's own": "PublishPackageVersion",
        "a package gone": "DeletePackageVersions",
        "a package no longer blocked": "PutPackageOriginConfiguration",
    }
    return {
        **{
            wants: of_repository(account, action, resource=package, via=REPOSITORIES)
            for wants, action in on_package.items()
        },
        "publishing allowed again": of_repository(
            account, "UpdatePackageGroupOriginConfiguration", resource=group
        ),
        "another source of packages": of_repository(account, "AssociateExternalConnection"),
        "the repository open to others": of_repository(account, "PutRepositoryPermissionsPolicy"),
        "the domain open to others": of_domain(account, "PutDomainPermissionsPolicy"),
        "the domain gone": of_domain(account, "DeleteDomain"),
    }


def _of_others(account: Account) -> dict[str, Request]:
    """Jobs and functions get no packages: their results depend on their image alone."""
    token = of_domain(account, "GetAuthorizationToken")
    read = of_repository(account, "ReadFromRepository")
    return {
        f"{who}: {request.action}": request.but(who=who)
        for who in account.roles
        if who != "StudioRole"
        for request in (token, read)
    }


def test_every_attack_is_refused(with_packages: Account, attempts: dict[str, Request]) -> None:
    verdicts = with_packages.ask([*attempts.values()])
    assert len(attempts) >= 40
    succeeding = [
        f"{wants}: {verdict}"
        for wants, verdict in zip(attempts, verdicts, strict=True)
        if verdict.allowed or verdict.error or verdict.ignored
    ]
    assert succeeding == []


def test_every_attack_would_succeed_without_policies(
    with_packages: Account, attempts: dict[str, Request]
) -> None:
    bare = [one.but(bare=True, extra=(ALL,), guard=OPEN) for one in attempts.values()]
    verdicts = with_packages.ask(bare)
    found = zip(attempts, verdicts, strict=True)
    assert [wants for wants, verdict in found if not verdict.allowed] == []


def test_each_limit_stops_an_attack(with_packages: Account, attempts: dict[str, Request]) -> None:
    bounds = [part for part in limits(with_packages) if part.sid in RIGHTS]
    assert len(bounds) == 2
    stopped = let_through(with_packages, bounds, [*attempts.values()])
    assert [str(part) for part, successes in stopped.items() if not successes] == []


def test_an_existing_repository_is_read_with_the_same_rights() -> None:
    chosen = {"source": "existing", "domain": "shared", "repository": "python"}
    account = Account.of(resolve(Settings.model_validate({"packages": chosen})))
    place = account.place
    calls = [
        Request(
            "StudioRole",
            "codeartifact:GetAuthorizationToken",
            place.arn("codeartifact", "domain/shared"),
            {},
            API,
        ),
        of_token(),
        Request(
            "StudioRole",
            "codeartifact:ReadFromRepository",
            place.arn("codeartifact", "repository/shared/python"),
            {},
            REPOSITORIES,
        ),
    ]
    assert [verdict.result for verdict in account.ask(calls)] == ["Allowed"] * len(calls)


SHARED: Final = "arn:aws:codeartifact:eu-west-1:999988887777"
"""What a platform team's account has."""


def of_platform(path: str, action: str, via: str = API) -> Request:
    """Return a call on another account's resource, whose owner allows everything."""
    arn = f"{SHARED}:{path}"
    return Request("StudioRole", f"codeartifact:{action}", arn, {}, via, (), guard=OPEN)


@pytest.fixture(scope="module")
def with_shared_packages() -> Account:
    """Return a deployment whose people install packages from another account's repository."""
    chosen = {"source": "existing", "owner": "999988887777"}
    chosen |= {"domain": "platform", "repository": "python"}
    return Account.of(resolve(Settings.model_validate({"packages": chosen})))


def test_another_account_s_repository_is_read_through_the_endpoints(
    with_shared_packages: Account,
) -> None:
    calls = [
        of_platform("domain/platform", "GetAuthorizationToken"),
        of_token(),
        of_platform("repository/platform/python", "ReadFromRepository", REPOSITORIES),
        of_platform("repository/platform/python", "GetRepositoryEndpoint"),
    ]
    found = with_shared_packages.ask(calls)
    assert [verdict.result for verdict in found] == ["Allowed"] * len(calls)


def test_nothing_else_of_that_account_passes_the_endpoints(with_shared_packages: Account) -> None:
    mistake = everything_of("codeartifact")
    calls = [
        of_platform("domain/other", "GetAuthorizationToken"),
        of_platform("repository/platform/other", "ReadFromRepository", REPOSITORIES),
        of_platform(f"package/platform/python/{PACKAGE}", "PublishPackageVersion", REPOSITORIES),
        of_platform(f"package/platform/python/{PACKAGE}", "DeletePackageVersions"),
        of_platform("domain/platform", "DeleteDomain"),
    ]
    verdicts = with_shared_packages.ask([one.but(extra=mistake) for one in calls])
    assert [verdict.allowed for verdict in verdicts] == [False] * len(calls)
    stranger = "arn:aws:iam::999988887777:role/stranger"
    read = of_platform("repository/platform/python", "ReadFromRepository", REPOSITORIES)
    (theirs,) = with_shared_packages.ask([read.but(who=stranger, extra=(ALL,))])
    assert not theirs.allowed


def test_those_who_have_spaces_install_packages_and_reviewers_do_not() -> None:
    people = [{"name": f"some-{persona}", "persona": persona} for persona in Persona]
    settings = {"studio": {"people": people}, "packages": {"source": "pypi"}}
    account = Account.of(resolve(Settings.model_validate(settings)))
    read = of_repository(account, "ReadFromRepository")
    roles = ("StudioRole", "MlEngineerRole", "ReviewerRole")
    found = account.ask([read.but(who=who) for who in roles])
    assert [verdict.allowed for verdict in found] == [True, True, False]


def test_the_policies_of_those_who_install_fit_with_the_longest_names() -> None:
    longest = {
        "project": "a" * 30,
        "packages": {
            "source": "existing",
            "domain": "d" * 50,
            "repository": "r" * 100,
            "owner": "999988887777",
        },
        "studio": {"people": [{"name": "ana", "persona": "ml-engineer"}]},
    }
    place = StackLocation(region="ap-southeast-1", partition="aws-us-gov", stack_name="s" * 60)
    account = Account.of(resolve(Settings.model_validate(longest), place=place))
    for name in ("identity/StudioPolicy", "identity/MlEngineerPolicy"):
        assert len(json.dumps(account.documents[name].policy, separators=(",", ":"))) < INLINE
