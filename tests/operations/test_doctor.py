"""The doctor's checks, against the emulated AWS and against answers that AWS's model knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from generator import emit
from generator.cfn.parameters import definitions
from generator.cfn.yaml_text import from_yaml
from generator.files import REPOSITORY
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline.types import Json
from tabular_ml_vpc.operations import (
    checks_account,
    checks_boundary,
    checks_network,
    checks_people,
    checks_quotas,
    doctor,
    parameters,
    source,
)
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.operations import canned
from tests.operations.conftest import Account

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


NO_STACK = canned.refusal("ValidationError", "Stack with id tabular-life does not exist")


@cache
def templates() -> Json:
    return {
        path.stem: from_yaml(path.read_text(encoding="utf-8"))
        for path in (REPOSITORY / "templates").glob("*.yaml")
    }


@cache
def statements() -> list[Json]:
    return source.deployer_statements(source.load(None, Mode.DEV))


def patient(
    answers: Mapping[str, canned.Answer], vpc: str | None = None, **values: str
) -> CheckContext:
    """Return what was built, to be deployed where AWS answers like that."""
    known = definitions(templates()["root"])
    effective = parameters.effective(known, values, {})
    session = canned.session({"cloudformation.DescribeStacks": NO_STACK} | dict(answers))
    return CheckContext(
        Target(session, "tabular-life"), templates(), effective, statements(), None, vpc
    )


def quota(name: str, value: float, code: str = "") -> Json:
    """Return a quota; its code is made of its name, unless one is given."""
    return {"QuotaName": name, "QuotaCode": code or f"L-{name}", "Value": value}


def sagemaker_quotas(*quotas: Json, domains: int = 0) -> dict[str, canned.Answer]:
    listed = [
        {"DomainId": f"d-{number}", "DomainName": f"old-{number}"} for number in range(domains)
    ]
    return {
        "service-quotas.ListServiceQuotas": {"Quotas": list(quotas)},
        "service-quotas.ListAWSDefaultServiceQuotas": {"Quotas": []},
        "sagemaker.ListDomains": {"Domains": listed},
    }


def verdicts(found: Iterator[CheckFinding]) -> list[Verdict]:
    return [one.verdict for one in found]


USES = ("processing job usage", "training job usage", "endpoint usage")


def test_a_quota_of_zero_is_a_problem_with_the_command_that_asks_for_more() -> None:
    quotas = [
        quota(f"ml.m5.large for {use}", value) for use, value in zip(USES, (4, 0, 2), strict=True)
    ]
    found = list(checks_quotas.instances(patient(sagemaker_quotas(*quotas))))
    assert [one.verdict for one in found] == [
        Verdict.OK,
        Verdict.PROBLEM,
        Verdict.OK,
        Verdict.OK,
    ]
    assert found[1].what == "ml.m5.large for training job usage: 0"
    assert "--quota-code L-ml.m5.large for training job usage --desired-value 1" in found[1].command
    assert "--set TrainingInstanceType=TYPE" in found[1].command


def test_the_instance_type_that_was_chosen_is_looked_up() -> None:
    quotas = [quota(f"ml.m5.large for {use}", 0) for use in USES]
    quotas.append(quota("ml.c5.xlarge for endpoint usage", 1))
    asked = patient(sagemaker_quotas(*quotas), EndpointInstanceType="ml.c5.xlarge")
    assert verdicts(checks_quotas.instances(asked))[2] is Verdict.OK


def test_each_of_several_pipelines_needs_an_endpoint_of_its_type() -> None:
    large = {"processing_instance_type": "ml.m5.large"}
    entries = [{"name": name} | large for name in ("main", "a", "b")]
    entries[0]["endpoint_instance_type"] = "ml.m5.xlarge"
    built = build(Settings.model_validate({"pipelines": entries}), Mode.DEV)
    several = {name: emit.as_dict(template) for name, template in built.items()}
    values = parameters.effective(definitions(several["root"]), {}, {})
    answers = sagemaker_quotas(*(quota(f"ml.m5.large for {use}", 1) for use in USES))
    session = canned.session(answers | {"cloudformation.DescribeStacks": NO_STACK})
    asked = CheckContext(Target(session, "tabular-life"), several, values)

    found = {one.what: one for one in checks_quotas.instances(asked)}
    short = found["ml.m5.large for endpoint usage: 1, and 2 pipelines need one each"]
    assert (short.verdict, "--desired-value 2" in short.command) == (Verdict.PROBLEM, True)
    assert found["ml.m5.large for processing job usage: 1"].verdict is Verdict.OK
    unknown = found["no quota is named 'ml.m5.xlarge for endpoint usage'"]
    assert unknown.verdict is Verdict.UNKNOWN


def test_a_default_quota_counts_where_none_was_applied() -> None:
    answers = sagemaker_quotas()
    defaults = [quota(f"ml.m5.large for {use}", 0, use) for use in USES]
    answers["service-quotas.ListAWSDefaultServiceQuotas"] = {"Quotas": defaults}
    assert verdicts(checks_quotas.instances(patient(answers)))[:3] == [Verdict.PROBLEM] * 3


def test_one_domain_too_many_is_a_problem_that_names_those_there_are() -> None:
    answers = sagemaker_quotas(quota("Total domains", 1, "L-D"), domains=1)
    *_, found = checks_quotas.instances(patient(answers))
    assert (found.check, found.verdict) == ("domains", Verdict.PROBLEM)
    assert "old-0 (d-0)" in found.what
    assert "--quota-code L-D --desired-value 2" in found.command


def deployed_with(**outputs: str) -> canned.Answer:
    """Return a stack that has been deployed already."""
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stack = {
        "StackName": "tabular-life",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/tabular-life/1",
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": datetime(2026, 11, 24, tzinfo=UTC),
        "Outputs": listed,
    }
    return {"Stacks": [stack]}


def test_a_stack_that_has_its_domain_and_vpc_needs_no_more() -> None:
    answers = sagemaker_quotas(quota("Total domains", 1, "L-D"), domains=1)
    answers["cloudformation.DescribeStacks"] = deployed_with(DomainId="d-0", VpcId="vpc-1")
    asked = patient(answers)
    *_, domain = checks_quotas.instances(asked)
    (vpc,) = checks_quotas.vpcs(asked)
    assert (domain.verdict, domain.what) == (Verdict.OK, "the stack has its domain, d-0")
    assert (vpc.verdict, vpc.what) == (Verdict.OK, "the stack has its VPC, vpc-1")


def test_a_vpc_too_many_is_a_problem() -> None:
    limits = {"L-F678F1CE": 5.0, "L-29B6F2EB": 50.0, "L-1B52E74A": 20.0}

    def get(body: bytes) -> Json:
        code = json.loads(body)["QuotaCode"]
        return {"Quota": {"QuotaCode": code, "Value": limits[code]}}

    answers: dict[str, canned.Answer] = {
        "ec2.DescribeVpcs": {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(5)]},
        "ec2.DescribeVpcEndpoints": {"VpcEndpoints": []},
        "service-quotas.GetServiceQuota": get,  # type: ignore[dict-item] # a JSON body
    }
    found = list(checks_quotas.vpcs(patient(answers)))
    assert [one.verdict for one in found] == [Verdict.PROBLEM, Verdict.OK, Verdict.OK]
    assert found[0].what == "VPCs in the region: 5 of 5 used, 1 more needed"
    assert "--quota-code L-F678F1CE --desired-value 6" in found[0].command


def offering(*missing: tuple[str, str]) -> dict[str, canned.Answer]:
    """Return a region that offers every service everywhere, but for some in some zones."""
    services = patient({}).endpoint_services("Interface")
    details = [
        {
            "ServiceName": service,
            "AvailabilityZones": [zone for zone in ZONES if (service, zone) not in missing],
        }
        for service in services
    ]
    zones = [{"ZoneName": zone} for zone in ZONES]
    return {
        "ec2.DescribeVpcEndpointServices": {"ServiceDetails": details},
        "ec2.DescribeSubnets": {"Subnets": []},
        "ec2.DescribeAvailabilityZones": {"AvailabilityZones": zones},
    }


STUDIO = "aws.sagemaker.eu-west-1.studio"


def test_zones_with_every_service_are_fine() -> None:
    (found,) = checks_network.zones(patient(offering()))
    assert (found.verdict, found.what.partition(" have ")[0]) == (
        Verdict.OK,
        "eu-west-1a, eu-west-1b",
    )


def test_a_zone_without_a_service_is_a_problem_and_others_are_named() -> None:
    (found,) = checks_network.zones(patient(offering((STUDIO, "eu-west-1b"))))
    assert found.verdict is Verdict.PROBLEM
    assert found.what == f"not offered: {STUDIO} in eu-west-1b"
    assert found.command.endswith(
        "--set AvailabilityZone1=eu-west-1a --set AvailabilityZone2=eu-west-1c"
    )


def test_a_region_without_any_of_the_services_is_a_problem_and_no_traceback() -> None:
    another = {"ServiceName": "com.example.service", "AvailabilityZones": list(ZONES)}
    answers = offering() | {"ec2.DescribeVpcEndpointServices": {"ServiceDetails": [another]}}
    assert set(verdicts(checks_network.zones(patient(answers)))) == {Verdict.PROBLEM}


def test_the_zones_that_were_chosen_are_judged() -> None:
    chosen = {"AvailabilityZone1": "eu-west-1c", "AvailabilityZone2": "eu-west-1a"}
    answers = offering((STUDIO, "eu-west-1b"))
    assert verdicts(checks_network.zones(patient(answers, **chosen))) == [Verdict.OK]


def test_the_zones_with_a_default_subnet_are_the_first_ones() -> None:
    answers = offering((STUDIO, "eu-west-1a"))
    subnets = [{"AvailabilityZone": zone} for zone in ("eu-west-1b", "eu-west-1c")]
    answers["ec2.DescribeSubnets"] = {"Subnets": subnets}
    assert verdicts(checks_network.zones(patient(answers))) == [Verdict.OK]


def test_a_private_name_that_is_taken_is_a_problem() -> None:
    taken = {
        "VpcEndpointId": "vpce-1",
        "ServiceName": "com.amazonaws.eu-west-1.sts",
        "PrivateDnsEnabled": True,
    }
    free = taken | {"VpcEndpointId": "vpce-2", "PrivateDnsEnabled": False}
    zone = {
        "HostedZoneId": "Z1",
        "Name": "logs.eu-west-1.amazonaws.com.",
        "Owner": {"OwningAccount": "123456789012"},
    }
    answers: dict[str, canned.Answer] = {
        "ec2.DescribeVpcs": {"Vpcs": [{"VpcId": "vpc-1"}]},
        "ec2.DescribeVpcEndpoints": {"VpcEndpoints": [taken, free]},
        "route-53.ListHostedZonesByVPC": {"HostedZoneSummaries": [zone], "MaxItems": "100"},
    }
    first, second = checks_network.private_names(patient(answers, "vpc-1"))
    assert first.command == (
        "aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-1 --no-private-dns-enabled"
    )
    assert "private hosted zone logs.eu-west-1.amazonaws.com." in second.what


def test_an_image_whose_tag_is_not_there_is_a_problem() -> None:
    failure = {"imageId": {"imageTag": "1.5.0"}, "failureCode": "ImageNotFound"}
    answers = {"ecr.BatchGetImage": {"images": [], "failures": [failure]}}
    found = list(checks_account.images(patient(answers)))
    assert {one.verdict for one in found} == {Verdict.PROBLEM}
    assert "--set AutoGluonImageTag=TAG" in found[0].command


def test_what_may_not_be_asked_is_unknown() -> None:
    denied = canned.refusal("AccessDeniedException", "no")
    answers = {"service-quotas.ListServiceQuotas": denied}
    (found,) = doctor.run("instance quotas", checks_quotas.instances, patient(answers))
    assert (found.verdict, found.why) == (Verdict.UNKNOWN, "a permission is missing")


ROLE = {
    "Path": "/teams/",
    "RoleName": "Deployer",
    "RoleId": "AROA1234567890123",
    "Arn": "arn:aws:iam::123456789012:role/teams/Deployer",
    "CreateDate": "2026-01-01T00:00:00Z",
}


def simulated(decisions: Mapping[str, str]) -> dict[str, canned.Answer]:
    """Return a role, and a simulation that allows what is asked as the policies say, but for some.

    ``decisions`` are by action. The project's tag must be given as the policies ask for it.
    """

    def simulate(body: Mapping[str, str]) -> Json:
        assert body["PolicySourceArn"] == ROLE["Arn"]
        actions = [value for key, value in body.items() if key.startswith("ActionNames.")]
        resources = [value for key, value in body.items() if key.startswith("ResourceArns.")]
        assert len(actions) <= 100
        assert all(one == "*" or "*" not in one for one in resources)
        if "ec2:DeleteSubnet" in actions:
            assert (
                body["ContextEntries.member.1.ContextKeyName"]
                == "aws:ResourceTag/tabular-ml-vpc:project"
            )
            assert "tabular" in body.values()
        if "kms:CreateGrant" in actions:
            assert body["ContextEntries.member.1.ContextKeyName"] == "kms:GrantIsForAWSResource"
            assert body["ContextEntries.member.1.ContextKeyType"] == "boolean"
        if "kms:Decrypt" in actions:
            assert "elasticfilesystem.example" in body.values()
        return {
            "EvaluationResults": [
                {"EvalActionName": one, "EvalDecision": decisions.get(one, "allowed")}
                for one in actions
            ]
        }

    session = "arn:aws:sts::123456789012:assumed-role/Deployer/me"
    return {
        "sts.GetCallerIdentity": {"Account": "123456789012", "Arn": session},
        "iam.GetRole": {"Role": ROLE},
        "iam.SimulatePrincipalPolicy": simulate,
    }


def test_the_deployer_s_role_is_simulated_with_what_the_deployer_s_policies_allow() -> None:
    (found,) = checks_account.rights(patient(simulated({})))
    assert (found.verdict, found.what.partition(" has ")[0]) == (Verdict.OK, ROLE["Arn"])


def test_rights_that_are_denied_or_missing_are_problems() -> None:
    decisions = {"ec2:CreateVpc": "explicitDeny", "kms:CreateKey": "implicitDeny"}
    found = list(checks_account.rights(patient(simulated(decisions))))
    assert {one.verdict for one in found} == {Verdict.PROBLEM}
    assert [one.what.partition(" lacks ")[2] for one in found] == ["ec2:CreateVpc", "kms:CreateKey"]
    assert found[0].command.startswith("aws iam attach-role-policy --role-name Deployer ")


BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


def bounded(*statements: Json, missing: bool = False) -> CheckContext:
    """Return what would be deployed with a permissions boundary of these statements."""
    settings = Settings.model_validate({"security": {"permissions_boundary": BOUNDARY}})
    stacks = {name: emit.as_dict(stack) for name, stack in build(settings, Mode.DEV).items()}
    document = quote(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    session = canned.session(
        {
            "sts.GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::1:user/me"},
            "iam.GetPolicy": canned.refusal("NoSuchEntity", "no")
            if missing
            else {"Policy": {"Arn": BOUNDARY, "DefaultVersionId": "v3"}},
            "iam.GetPolicyVersion": {"PolicyVersion": {"VersionId": "v3", "Document": document}},
        }
    )
    defaults = parameters.effective(definitions(stacks["root"]), {}, {})
    return CheckContext(Target(session, "tabular-life"), stacks, defaults)


EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def examined(*statements: Json) -> CheckFinding:
    (found,) = checks_boundary.boundary(bounded(*statements))
    return found


def test_without_a_permissions_boundary_nothing_is_checked() -> None:
    assert list(checks_boundary.boundary(patient({}))) == []


def test_a_boundary_that_allows_everything_is_fine() -> None:
    assert examined(EVERYTHING).verdict is Verdict.OK


def test_a_boundary_that_does_not_exist_is_a_problem() -> None:
    (found,) = checks_boundary.boundary(bounded(missing=True))
    assert (found.verdict, found.what) == (Verdict.PROBLEM, f"{BOUNDARY} does not exist")


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Action": "sagemaker:CreatePipeline", "Resource": "*"},
        {"Effect": "Deny", "Action": "SageMaker:createpipelin?", "Resource": "arn:aws:sagemaker:*"},
        {"Effect": "Deny", "NotAction": ["s3:*", "ec2:*", "logs:*", "kms:*"], "Resource": "*"},
    ],
)
def test_a_boundary_that_denies_what_a_role_needs_is_a_problem(statement: Json) -> None:
    found = examined(EVERYTHING, statement)
    assert found.verdict is Verdict.PROBLEM
    assert "sagemaker:CreatePipeline" in found.what or " more" in found.what


def test_what_a_boundary_does_not_mention_is_not_allowed() -> None:
    services = ("s3", "ec2", "logs", "kms", "sagemaker", "sts", "xray", "sqs", "sns", "ecr")
    found = examined(
        {"Effect": "Allow", "Action": [f"{one}:*" for one in services], "Resource": "*"}
    )
    assert found.verdict is Verdict.PROBLEM
    assert "iam:PassRole" in found.what


def test_a_boundary_of_other_names_than_the_stack_s_is_too_tight() -> None:
    others = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::theirs*"}
    ours = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::tabular-life*"}
    rest = {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}
    assert "s3:" in examined(others, rest).what
    assert examined(ours, rest).verdict is Verdict.OK


def test_a_deny_with_a_condition_is_not_held_against_a_boundary() -> None:
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
    denied = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": elsewhere}
    assert examined(EVERYTHING, denied).verdict is Verdict.OK


def signing_in(answers: Mapping[str, canned.Answer], *names: str) -> list[CheckFinding]:
    """Return what is found where people of these names sign in with IAM Identity Center."""
    studio = {"sign_in": "identity-center", "people": [{"name": name} for name in names]}
    stacks = build(Settings.model_validate({"studio": studio}), Mode.DEV)
    made = {name: emit.as_dict(stack) for name, stack in stacks.items()}
    caller = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root", "UserId": "x"}
    context = patient({"sts.GetCallerIdentity": caller, **answers})
    return list(checks_people.identity_center(replace(context, templates=made)))


def center(owner: str) -> Json:
    instance = {
        "InstanceArn": "arn:aws:sso:::instance/ssoins-1234567890abcdef",
        "IdentityStoreId": "d-1234567890",
        "OwnerAccountId": owner,
        "Status": "ACTIVE",
    }
    return {"Instances": [instance]}


_USER_ID = "1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
USER = {
    "UserId": _USER_ID,
    "UserArn": f"arn:aws:identitystore:::user/{_USER_ID}",
    "IdentityStoreId": "d-1234567890",
}


def test_without_identity_center_in_the_region_its_people_cannot_sign_in() -> None:
    (found,) = signing_in({"sso-admin.ListInstances": {"Instances": []}}, "ada")
    assert found.verdict is Verdict.PROBLEM
    assert "eu-west-1 has no IAM Identity Center instance" in found.what
    assert "studio.sign_in" in found.command


def test_an_instance_of_this_account_may_not_be_the_organization_s() -> None:
    answers = {"sso-admin.ListInstances": center("123456789012"), "identitystore.GetUserId": USER}
    assert verdicts(iter(signing_in(answers, "ada"))) == [Verdict.WARNING, Verdict.OK]


def test_people_who_are_not_in_identity_center_are_named() -> None:
    def user(body: Any) -> Mapping[str, Any]:
        known = b'"ada"' in bytes(body)
        return USER if known else canned.refusal("ResourceNotFoundException", "no user")

    answers: dict[str, canned.Answer] = {
        "sso-admin.ListInstances": center("444455556666"),
        "identitystore.GetUserId": user,
    }
    instance, users = signing_in(answers, "ada", "grace")
    assert (instance.verdict, users.verdict) == (Verdict.OK, Verdict.PROBLEM)
    assert users.what.endswith("grace")
    assert "ada" not in users.what


def test_with_iam_nothing_is_asked_of_identity_center() -> None:
    assert list(checks_people.identity_center(patient({}))) == []


def test_the_emulated_account_is_fit_and_stays_as_it_is(account: Account, run: Run) -> None:
    before = account()
    done = run("doctor", "--stack-name", "tabular-never", "--json")
    assert done.status == 0, done
    found = {one["check"]: one["verdict"] for one in done.json}
    assert found["endpoint services"] == found["region"] == found["stack"] == "ok"
    assert found["instance quotas"] == "unknown"
    assert account() == before


@pytest.mark.usefixtures("aws")
def test_a_vpc_that_does_not_exist_is_a_problem(run: Run) -> None:
    done = run("doctor", "--vpc-id", "vpc-0a1b2c3d", "--json")
    (found,) = [one for one in done.json if one["check"] == "private DNS"]
    assert (done.status, found["verdict"]) == (1, "problem")
    assert "vpc-0a1b2c3d does not exist in eu-west-1" in found["what"]


@pytest.mark.usefixtures("aws")
def test_a_region_without_the_images_is_a_problem(run: Run) -> None:
    done = run("doctor", "--region", "ap-south-2", "--json")
    assert done.status == 1
    (found,) = [one for one in done.json if one["check"] == "region"]
    assert (found["verdict"], "eu-west-1" in found["command"]) == ("problem", True)


@pytest.mark.usefixtures("aws")
def test_without_credentials_only_that_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    done = run("doctor", "--json")
    assert done.status == 1
    assert [(one["check"], one["verdict"]) for one in done.json] == [("credentials", "problem")]


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_was_given_must_exist(run: Run) -> None:
    done = run("doctor", "--bucket", "not-there-1", "--json")
    (found,) = [one for one in done.json if one["check"] == "artifact bucket"]
    assert (done.status, found["verdict"]) == (1, "problem")


def test_the_source_of_the_checks_is_what_was_built(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("network = 3\n")
    done = run("doctor", "--config", str(config))
    assert (done.status, done.err.count("\n")) == (2, 1)
