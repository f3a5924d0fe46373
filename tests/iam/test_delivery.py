"""The roles of continuous delivery: whose tokens they trust, and what each may do."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from generator import delivery_roles
from generator.cfn.evaluator import ResolvedDeployment, resolve_templates
from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.errors import UsageError
from generator.lint import lint
from generator.policies import delivery
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.settings import Security, Settings
from pipeline.types import Json
from tests.existing_vpc import EXISTING
from tests.iam.account import ALL
from tests.iam.simulator import data, simulate
from tests.iam.test_deployer import resource_types

A = "123456789012"
ISSUERS = {
    "github": delivery.github(),
    "gitlab": delivery.gitlab(),
    "self-managed": delivery.gitlab("gitlab.example.com"),
}
REPOSITORIES = {"github": "octo@1/ml@2", "gitlab": "data/ml", "self-managed": "data/ml"}
OURS = "project_path:data/ml:ref_type:branch:ref:"
STAND_INS = {
    f"{issuer.host}:{claim}": f"cognito-identity.amazonaws.com:{claim}"
    for issuer in ISSUERS.values()
    for claim in ("aud", "sub")
}
"""Keys that the simulator does not know; no statement that has one also asks for the stand-in."""


def deployment(platform: str, settings: Settings | None = None, **more: str) -> ResolvedDeployment:
    """Return what the template of a platform creates, for the environment ``prod``."""
    template = delivery_roles.build(settings or Settings(), ISSUERS[platform], "prod", "main")
    provider = f"arn:aws:iam::{A}:oidc-provider/{ISSUERS[platform].host}"
    parameters = {"Repository": REPOSITORIES[platform], "ProviderArn": provider, **more}
    place = StackLocation(account=A, stack_name="ci-tabular")
    return resolve_templates({"root": as_dict(template)}, parameters, place)


@cache
def trust(platform: str, role: str) -> Json:
    text = json.dumps(deployment(platform).get("root", role).properties["AssumeRolePolicyDocument"])
    for key, stand_in in STAND_INS.items():
        text = text.replace(f'"{key}"', f'"{stand_in}"')
    policy: Json = json.loads(text)
    return policy


def assuming(platform: str, role: str, subject: str, claims: dict[str, str]) -> Json:
    """Return the simulation of a job that exchanges its token for credentials of a role."""
    host = ISSUERS[platform].host
    claims = {"aud": "sts.amazonaws.com", "sub": subject, **claims}
    context = {f"{host}:{name}": one for name, one in claims.items()}
    request = {
        "principal": f"arn:aws:iam::{A}:oidc-provider/{host}",
        "action": "sts:AssumeRoleWithWebIdentity",
        "resource": {"resource": f"arn:aws:iam::{A}:role/ci-tabular-prod", "accountId": A},
        "contextVariables": {STAND_INS.get(key, key): one for key, one in context.items()},
    }
    return simulation(request, [], trust(platform, role))


def simulation(request: Json, policies: list[Json], resource_policy: Json | None = None) -> Json:
    """Return the simulation of a request."""
    found: Json = {
        "request": request,
        "identityPolicies": [
            {"name": str(number), "policy": one} for number, one in enumerate(policies)
        ],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    return {**found, "resourcePolicy": resource_policy} if resource_policy else found


def allowed(simulations: dict[str, Json]) -> set[str]:
    """Return the names of the requests that are allowed; the simulator is started once for all."""
    verdicts = simulate(list(simulations.values()))
    for verdict in verdicts:
        assert not verdict.error, verdict
        assert not verdict.ignored, verdict
    return {name for name, one in zip(simulations, verdicts, strict=True) if one.allowed}


MERGE = {"pipeline_source": "merge_request_event", "ref_protected": "false"}
PUSH = {"pipeline_source": "push", "ref_protected": "true"}
TRUSTED: list[tuple[str, str, str, dict[str, str]]] = [
    ("github", "PlanRole", "repo:octo@1/ml@2:pull_request", {}),
    ("github", "DeployRole", "repo:octo@1/ml@2:environment:prod", {}),
    ("gitlab", "PlanRole", f"{OURS}feature/x", MERGE),
    ("gitlab", "DeployRole", f"{OURS}main", PUSH),
    ("self-managed", "PlanRole", f"{OURS}feature/x", {}),
    ("self-managed", "DeployRole", f"{OURS}main", {}),
]
ATTACKS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "another repository": ("github", "DeployRole", "repo:evil/ml:environment:prod", {}),
    "a repository made again under the name": (
        *("github", "DeployRole", "repo:octo@9/ml@9:environment:prod"),
        {},
    ),
    "a fork": ("github", "PlanRole", "repo:evil@3/ml@4:pull_request", {}),
    "a pull request deploys": ("github", "DeployRole", "repo:octo@1/ml@2:pull_request", {}),
    "a branch without the environment deploys": (
        *("github", "DeployRole", "repo:octo@1/ml@2:ref:refs/heads/main"),
        {},
    ),
    "another environment": ("github", "DeployRole", "repo:octo@1/ml@2:environment:test", {}),
    "an environment whose name begins like ours": (
        *("github", "DeployRole", "repo:octo@1/ml@2:environment:prod-eu"),
        {},
    ),
    "a branch plans without a pull request": (
        *("github", "PlanRole", "repo:octo@1/ml@2:ref:refs/heads/x"),
        {},
    ),
    "a token for another service": (
        *("github", "DeployRole", "repo:octo@1/ml@2:environment:prod"),
        {"aud": "https://github.com/octo"},
    ),
    "another project": (
        *("gitlab", "DeployRole", "project_path:evil/ml:ref_type:branch:ref:main"),
        PUSH,
    ),
    "a fork's merge request": (
        *("gitlab", "PlanRole", "project_path:evil/ml:ref_type:branch:ref:x"),
        MERGE,
    ),
    "a project below ours": (
        *("gitlab", "PlanRole", "project_path:data/ml/x:ref_type:branch:ref:main"),
        MERGE,
    ),
    "another branch deploys": ("gitlab", "DeployRole", f"{OURS}feature", PUSH),
    "an unprotected branch of the name deploys": ("gitlab", "DeployRole", f"{OURS}main", MERGE),
    "a tag of the name deploys": (
        *("gitlab", "DeployRole", "project_path:data/ml:ref_type:tag:ref:main"),
        PUSH,
    ),
    "another branch of a self-managed GitLab": ("self-managed", "DeployRole", f"{OURS}x", {}),
}


def test_the_jobs_of_the_workflow_get_their_role() -> None:
    asked = {f"{one[0]} {one[1]}": assuming(*one) for one in TRUSTED}
    assert allowed(asked) == set(asked)


def test_no_other_job_gets_a_role() -> None:
    assert allowed({name: assuming(*attack) for name, attack in ATTACKS.items()}) == set()


STACK = f"arn:aws:cloudformation:eu-west-1:{A}:stack/tabular/1"
NESTED = f"arn:aws:cloudformation:eu-west-1:{A}:stack/tabular-StudioStack-1/1"
ARTIFACT = f"arn:aws:s3:::tabular-artifacts-{A}-eu-west-1/templates/1.yaml"
ROLE = f"arn:aws:iam::{A}:role/tabular-SecurityStack-1-StudioRole-2"
SELF = f"arn:aws:iam::{A}:role/ci-tabular-prod-"
OWN_POLICY = f"arn:aws:iam::{A}:policy/ci-tabular-prod-"
NEW = {"s3:if-none-match": "*"}
Call = tuple[str, str, dict[str, str]]
PLANS: list[Call] = [
    ("cloudformation:DescribeStacks", STACK, {}),
    ("cloudformation:ListStackResources", NESTED, {}),
    ("cloudformation:GetTemplate", NESTED, {}),
    ("s3:ListBucket", ARTIFACT.partition("/")[0], {}),
    ("s3:GetObject", ARTIFACT, {}),
    ("s3:PutObject", ARTIFACT, NEW),
    ("cloudformation:CreateChangeSet", STACK, {}),
    ("cloudformation:CreateChangeSet", NESTED, {}),
    ("cloudformation:TagResource", NESTED, {"cloudformation:CreateAction": "CreateChangeSet"}),
    ("cloudformation:DescribeChangeSet", STACK, {}),
    ("cloudformation:DescribeEvents", STACK, {}),
    ("cloudformation:DeleteChangeSet", STACK, {}),
    ("ec2:DescribeAvailabilityZones", "*", {}),
    ("servicequotas:ListServiceQuotas", "*", {}),
    ("sagemaker:ListDomains", "*", {}),
    (
        *("ecr:BatchGetImage", "arn:aws:ecr:eu-west-1:763104351884:repository/autogluon-training"),
        {},
    ),
]
"""What ``diff`` and ``doctor`` call, recorded in the emulated AWS, and CloudFormation for them."""
NOT_PLANNED: dict[str, Call] = {
    "execute a change set": ("cloudformation:ExecuteChangeSet", STACK, {}),
    "create a stack": ("cloudformation:CreateStack", STACK, {}),
    "update one": ("cloudformation:UpdateStack", STACK, {}),
    "delete one": ("cloudformation:DeleteStack", STACK, {}),
    "compare another stack": (
        *("cloudformation:CreateChangeSet", STACK.replace("stack/tabular", "stack/payroll")),
        {},
    ),
    "retag a stack": ("cloudformation:TagResource", STACK, {}),
    "replace what will be deployed": ("s3:PutObject", ARTIFACT, {}),
    "delete what was deployed": ("s3:DeleteObject", ARTIFACT, {}),
    "read the data": ("s3:GetObject", "arn:aws:s3:::tabular-storage-1/raw/data.csv", {}),
    "hand a role to CloudFormation": (
        *("iam:PassRole", ROLE),
        {"iam:PassedToService": "cloudformation.amazonaws.com"},
    ),
    "hand a role to SageMaker": (
        *("iam:PassRole", ROLE),
        {"iam:PassedToService": "sagemaker.amazonaws.com"},
    ),
    "change itself": ("iam:AttachRolePolicy", f"{SELF}plan", {}),
    "become the deploy role": ("sts:AssumeRole", f"{SELF}deploy", {}),
    "start a run": (
        *("sagemaker:StartPipelineExecution", f"arn:aws:sagemaker:eu-west-1:{A}:pipeline/tabular"),
        {},
    ),
}
DEPLOYS: list[Call] = [
    ("cloudformation:CreateStack", STACK, {}),
    ("cloudformation:CreateChangeSet", STACK, {}),
    ("cloudformation:ExecuteChangeSet", STACK, {}),
    ("cloudformation:DescribeStackEvents", NESTED, {}),
    ("s3:PutObject", ARTIFACT, NEW),
    ("s3:PutObject", ARTIFACT, {}),
    ("iam:CreateRole", ROLE, {}),
    ("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"}),
    ("lambda:CreateFunction", f"arn:aws:lambda:eu-west-1:{A}:function:tabular-1-F", {}),
]
NOT_DEPLOYED: dict[str, Call] = {
    "deploy another stack": (
        *("cloudformation:CreateStack", STACK.replace("stack/tabular", "stack/payroll")),
        {},
    ),
    "change its own rights": ("iam:AttachRolePolicy", f"{SELF}deploy", {}),
    "put rights into itself": ("iam:PutRolePolicy", f"{SELF}deploy", {}),
    "change whom it trusts": ("iam:UpdateAssumeRolePolicy", f"{SELF}deploy", {}),
    "widen its own policy": ("iam:CreatePolicyVersion", f"{OWN_POLICY}deploy-1", {}),
    "change the plan role": ("iam:AttachRolePolicy", f"{SELF}plan", {}),
    "trust another issuer": (
        *("iam:CreateOpenIDConnectProvider", f"arn:aws:iam::{A}:oidc-provider/evil.example.com"),
        {},
    ),
    "change the stack of its roles": (
        *("cloudformation:UpdateStack", STACK.replace("stack/tabular", "stack/ci-tabular")),
        {},
    ),
    "hand our role to a machine": (
        *("iam:PassRole", ROLE),
        {"iam:PassedToService": "ec2.amazonaws.com"},
    ),
    "hand another role to a function": (
        *("iam:PassRole", f"arn:aws:iam::{A}:role/administrator"),
        {"iam:PassedToService": "lambda.amazonaws.com"},
    ),
    "hand itself to a function": (
        *("iam:PassRole", f"{SELF}deploy"),
        {"iam:PassedToService": "lambda.amazonaws.com"},
    ),
    "read the data": ("s3:GetObject", "arn:aws:s3:::tabular-storage-1/raw/data.csv", {}),
}


@pytest.fixture(scope="module")
def held() -> dict[str, list[Json]]:
    """Return the policies of each role."""
    made = deployment("github").of_type("AWS::IAM::ManagedPolicy")
    return {
        role: [one.properties["PolicyDocument"] for one in made if one.logical_id.startswith(role)]
        for role in ("Plan", "Deploy")
    }


def calling(policies: list[Json], role: str, call: Call) -> Json:
    """Return the simulation of a call by a role with these policies."""
    action, resource, context = call
    given: dict[str, str] = {"s3:TlsVersion": "1.3"} if action.startswith("s3:") else {}
    principal = f"arn:aws:sts::{A}:assumed-role/ci-tabular-prod-{role.lower()}/github-1"
    account = "763104351884" if ":763104351884:" in resource else A
    request = {
        "principal": principal,
        "action": action,
        "resource": {"resource": resource, "accountId": account},
        "contextVariables": {**given, **context},
    }
    guard = {**ALL, "Statement": [{**ALL["Statement"][0], "Principal": "*"}]}
    return simulation(request, policies, guard if account != A else None)


@pytest.mark.parametrize(("role", "calls"), [("Plan", PLANS), ("Deploy", DEPLOYS)])
def test_a_role_may_make_the_calls_of_its_job(
    held: dict[str, list[Json]], role: str, calls: list[Call]
) -> None:
    asked = {str(call): calling(held[role], role, call) for call in calls}
    assert allowed(asked) == set(asked)


@pytest.mark.parametrize(("role", "attacks"), [("Plan", NOT_PLANNED), ("Deploy", NOT_DEPLOYED)])
def test_a_role_may_not_do_more(
    held: dict[str, list[Json]], role: str, attacks: dict[str, Call]
) -> None:
    asked = {name: calling(held[role], role, call) for name, call in attacks.items()}
    open_to_all = {name: calling([ALL], role, call) for name, call in attacks.items()}
    assert allowed(asked) == set()
    assert allowed(open_to_all) | {"become the deploy role"} == set(attacks) | {
        "become the deploy role"  # its trust decides: see above
    }


CHOICES: dict[str, tuple[Json, set[str]]] = {
    "defaults": ({}, set()),
    "an existing VPC": (
        {"network": EXISTING},
        {
            *("ec2:DescribeNetworkAcls", "ec2:DescribePrefixLists", "ec2:DescribeRouteTables"),
            *("ec2:DescribeSecurityGroups", "ec2:DescribeVpcAttribute"),
        },
    ),
    "an existing domain with single sign-on": (
        {"studio": {"domain": "d-abcdefgh1234", "sign_in": "identity-center"}},
        {
            *("sagemaker:DescribeDomain", "sagemaker:DescribeUserProfile"),
            *("sso:ListInstances", "identitystore:GetUserId"),
        },
    ),
    "an existing topic and log bucket": (
        {
            "security": {"alert_topic": f"arn:aws:sns:eu-west-1:{A}:alerts"},
            "storage": {"log_bucket": "arn:aws:s3:::their-logs"},
        },
        {"kms:GetKeyPolicy", "s3:GetBucketPolicy", "sns:GetTopicAttributes"},
    ),
    "an existing repository": (
        {"packages": {"source": "existing", "domain": "acme", "repository": "pypi"}},
        {"codeartifact:DescribeRepository"},
    ),
}
"""Settings that name what exists, and what ``doctor`` then calls, too."""


@pytest.mark.parametrize(("settings", "read"), CHOICES.values(), ids=CHOICES.keys())
def test_the_plan_role_reads_what_the_settings_name(settings: Json, read: set[str]) -> None:
    policy = delivery.plan(Settings.model_validate(settings))
    found = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert read - found == set()
    assert size(policy) <= MANAGED_POLICY_CHARACTERS
    for statement in policy["Statement"]:
        resources = statement["Resource"]
        for action in statement["Action"]:
            kinds = {one.split(":")[2] for one in resource_types(action)}
            for one in [resources] if isinstance(resources, str) else resources:
                assert one == "*" or one.split(":")[2] in kinds, action
    assert "s3:if-none-match" in data("actions/s3")["putobject"]["conditionKeys"]


@pytest.mark.parametrize("platform", ISSUERS)
def test_policies_and_names_fit(platform: str) -> None:
    settings = Settings(project="a" * 30)
    made = deployment(platform, settings, Environment="e" * 22)
    for policy in made.of_type("AWS::IAM::ManagedPolicy"):
        assert size(policy.properties["PolicyDocument"]) <= MANAGED_POLICY_CHARACTERS
        assert len(policy.properties["ManagedPolicyName"]) <= 128
    names = [role.properties["RoleName"] for role in made.of_type("AWS::IAM::Role")]
    assert names
    assert all(len(name) <= 64 for name in names)


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    for platform, issuer in ISSUERS.items():
        text = delivery_roles.render(Settings(), issuer, "prod", "main")
        (tmp_path / f"{platform}.yaml").write_text(text, encoding="utf-8")
    assert lint((f"{platform}.yaml" for platform in ISSUERS), tmp_path) == []


def test_an_existing_provider_is_used_and_otherwise_one_is_made() -> None:
    assert list(deployment("github").of_type("AWS::IAM::OIDCProvider")) == []
    (made,) = deployment("gitlab", ProviderArn="").of_type("AWS::IAM::OIDCProvider")
    assert made.properties["Url"] == "https://gitlab.com"
    role = deployment("gitlab", ProviderArn="").get("root", "DeployRole")
    (statement,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": made.reference}


@pytest.mark.parametrize(
    ("platform", "repository", "taken"),
    [
        ("github", "octo/ml", True),
        ("github", "octo@1/ml@2", True),
        ("github", "octo/*", False),
        ("github", "octo/ml:environment:prod", False),
        ("gitlab", "group/sub/project", True),
        ("gitlab", "group/*", False),
        ("gitlab", "group/project:ref_type:branch", False),
    ],
)
def test_a_repository_is_one_repository(platform: str, repository: str, taken: bool) -> None:
    template = as_dict(delivery_roles.build(Settings(), ISSUERS[platform], "prod", "main"))
    pattern = template["Parameters"]["Repository"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, repository)) is taken


def test_a_boundary_binds_the_roles_that_are_deployed() -> None:
    boundary = f"arn:aws:iam::{A}:policy/Boundary"
    settings = Settings(security=Security(permissions_boundary=boundary))
    made = deployment("github", settings).of_type("AWS::IAM::ManagedPolicy")
    policies = [one.properties["PolicyDocument"] for one in made]
    bound = ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": boundary})
    free: Call = ("iam:CreateRole", ROLE, {})
    asked = {"bound": calling(policies, "Deploy", bound), "free": calling(policies, "Deploy", free)}
    assert allowed(asked) == {"bound"}


def test_a_role_whose_name_would_be_too_long_is_refused() -> None:
    long = Settings(project="a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v")
    with pytest.raises(UsageError, match="IAM allows 64"):
        delivery_roles.build(long, ISSUERS["github"], "production-eu", "main")


@pytest.mark.parametrize("project", ["ci", "ci-x"])
def test_a_project_whose_deployer_could_change_the_roles_is_refused(project: str) -> None:
    with pytest.raises(UsageError, match="project: got 'ci"):
        delivery_roles.build(Settings(project=project), ISSUERS["github"], "prod", "main")
