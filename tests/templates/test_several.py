"""Several pipelines: none touches another, and 50 of them with 200 people stay within every limit.

The limits are those of "Understand CloudFormation quotas", "IAM and AWS STS quotas", "Resource
quotas" of AWS KMS, "Bucket policies" of Amazon S3 and "Amazon VPC quotas".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from generator.cfn.evaluator import ResolvedDeployment, resolve_templates
from generator.cfn.identifiers import StackLocation
from generator.emit import MAX_BYTES, MAX_RESOURCES, as_dict, render
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from tests.templates.conftest import Templates

MAIN: Final = {"name": "main"}
CHURN: Final = {"name": "churn", "label": "churned", "problem": "binary"}
FRAUD: Final = {"name": "fraud-eu", "preprocess_engine": "spark", "quality_threshold": 0.9}
PIPELINES, PEOPLE = 50, 200


def settings(*pipelines: dict[str, Any], **others: Any) -> Settings:
    return Settings.model_validate({"pipelines": [MAIN, *pipelines], **others})


def emitted(found: Settings) -> Templates:
    return {name: as_dict(one) for name, one in root.build(found, Mode.DEV).items()}


@pytest.fixture(scope="module")
def one_more() -> Templates:
    """Give the templates of main and churn."""
    return emitted(settings(CHURN))


@pytest.fixture(scope="module")
def two_more() -> ResolvedDeployment:
    """Give what a deployment of main, churn and fraud-eu would make."""
    return resolve(settings(CHURN, FRAUD))


@pytest.mark.parametrize("other", [FRAUD | {"preprocess_engine": "one-machine"}, FRAUD])
def test_another_pipeline_changes_nothing_but_what_names_it(
    one_more: Templates, other: dict[str, Any]
) -> None:
    more = emitted(settings(CHURN, other))

    spark = other["preprocess_engine"] == "spark"
    added = {"named-pipeline-spark"} if spark else set()
    assert more.keys() - one_more.keys() == added
    assert {name for name, one in one_more.items() if more[name] != one} == {"root"}
    old, new = one_more["root"], more["root"]
    changed = {name for name, one in old["Resources"].items() if new["Resources"][name] != one}
    assert changed == {"StudioStack"}
    studio = old["Resources"]["StudioStack"]
    after = [*studio["DependsOn"], "FraudEuPipelineStack"]
    assert new["Resources"]["StudioStack"] == studio | {"DependsOn": after}
    assert new["Resources"].keys() - old["Resources"].keys() == {"FraudEuPipelineStack"}
    changed = {name for name, one in old["Outputs"].items() if new["Outputs"][name] != one}
    assert changed == {"Pipelines", "SettingsHash"}


def test_the_first_and_the_last_change_nothing_else_if_what_they_share_is_kept() -> None:
    kept = {"several": True}
    none, one = emitted(settings(pipeline=kept)), emitted(settings(CHURN, pipeline=kept))

    assert {name for name in one if none.get(name) != one[name]} == {"root", "named-pipeline"}
    old, new = none["root"]["Resources"], one["root"]["Resources"]
    assert new.keys() - old.keys() == {"ChurnPipelineStack"}
    assert {name for name in old if new[name] != old[name]} == {"StudioStack"}
    assert "Pipelines" not in none["root"]["Outputs"]


def test_the_outputs_name_each_pipeline(two_more: ResolvedDeployment) -> None:
    outputs, name = two_more.outputs["root"], two_more.parameters["pipeline"]["UniqueName"]

    assert outputs["Pipelines"] == "main,churn,fraud-eu"
    assert outputs["PipelineName"] == name
    assert outputs["PipelineNameChurn"] == f"{name}-churn"
    assert outputs["PipelineNameFraudEu"] == f"{name}-fraud-eu"
    assert ":sns:" in outputs["AlertTopicFraudEu"]
    assert outputs["AlertTopicFraudEu"] != outputs["AlertTopicChurn"]


def test_a_named_pipeline_has_what_its_entry_says_and_otherwise_what_the_parameters_say(
    two_more: ResolvedDeployment,
) -> None:
    churn = two_more.get("ChurnPipeline", "Pipeline").properties
    fraud = two_more.get("FraudEuPipeline", "Pipeline").properties

    assert (churn["Name"], churn["LabelColumn"], churn["ProblemType"]) == (
        "churn",
        "churned",
        "binary",
    )
    assert (churn["QualityThreshold"], fraud["QualityThreshold"]) == ("0.7", "0.9")
    assert (fraud["SparkInstances"], "SparkImage" in churn) == ("2", False)
    assert churn["Owner"] != fraud["Owner"]


def test_no_two_pipelines_share_a_role_a_group_or_a_name(two_more: ResolvedDeployment) -> None:
    fields = (
        *("PipelineName", "EndpointName", "ModelPackageGroup", "Owner", "SecurityGroupIds"),
        *("PipelineRoleArn", "ProcessingRoleArn", "TrainingRoleArn", "ModelRoleArn"),
    )
    pipelines = [one.properties for one in two_more.of_type("Custom::Pipeline")]
    assert len(pipelines) == 3
    for field in fields:
        assert len({one[field] for one in pipelines}) == len(pipelines), field


def test_the_roles_of_a_named_pipeline_outlive_the_interfaces_of_its_jobs(
    one_more: Templates,
) -> None:
    resources = one_more["named-pipeline"]["Resources"]
    roles = {name for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert len(roles) == 4
    assert set(resources["JobsSecurityGroup"]["DependsOn"]) == roles
    lasting = [resources[name]["Properties"]["ManagedPolicyArns"] for name in roles]
    assert lasting.count([{"Ref": "JobsLastingPolicy"}]) == 3


def test_what_is_made_before_a_run_is_deleted_after_the_pipeline(one_more: Templates) -> None:
    resources = one_more["named-pipeline"]["Resources"]
    needs = set(resources["Pipeline"]["DependsOn"])
    assert {"ModelPackageGroup", "JobsStayInsidePolicy", "PipelinePolicy"} <= needs


def test_an_alert_of_a_named_pipeline_says_how_to_name_it(two_more: ResolvedDeployment) -> None:
    rule = two_more.get("ChurnPipeline", "EndpointFailedRule")
    text = rule.properties["Targets"][0]["InputTransformer"]["InputTemplate"]
    assert "endpoint repair --pipeline churn`" in text


# Limits


@pytest.fixture(scope="module")
def many() -> Settings:
    """Give 50 pipelines and 200 people, all names as long as they can be."""
    pipelines = [
        {"name": f"p{number:02}{'x' * 17}", "label": "l" * 248} for number in range(PIPELINES)
    ]
    people = [f"{number:03}{'p' * 60}" for number in range(PEOPLE)]
    return settings(
        *pipelines,
        project="a" * 26,
        studio={"user_profiles": people},
        pipeline={"predictions": True},
    )


@pytest.fixture(scope="module")
def texts(many: Settings) -> dict[str, str]:
    """Give their templates and documents as they are written."""
    return render(many.model_copy(update={"modes": (Mode.PROD,)}))


@pytest.fixture(scope="module")
def largest(many: Settings) -> ResolvedDeployment:
    """Give what their deployment would make, under a stack with the longest name."""
    place = StackLocation(region="ap-northeast-1", stack_name="a" * 128)
    stacks = {name: as_dict(one) for name, one in root.build(many, Mode.PROD).items()}
    return resolve_templates(stacks, place=place)


def test_the_templates_are_within_cloudformation_s_limits(
    texts: dict[str, str], many: Settings
) -> None:
    assert {path: len(text) for path, text in texts.items() if len(text) > MAX_BYTES} == {}
    for name, template in root.build(many, Mode.PROD).items():
        counts = (len(template.resources), len(template.parameters), len(template.outputs))
        assert counts[0] <= MAX_RESOURCES, name
        assert max(counts[1:]) <= 200, name


def test_one_operation_is_within_cloudformation_s_limits(largest: ResolvedDeployment) -> None:
    assert sum(len(resources) for resources in largest.stacks.values()) <= 2500
    values = [
        ",".join(value) if isinstance(value, list) else str(value)
        for stack in largest.parameters.values()
        for value in stack.values()
    ]
    assert max(map(len, [*values, largest.outputs["root"]["Pipelines"]])) <= 4096


def inline(deployment: ResolvedDeployment) -> Counter[str]:
    """The characters of all inline policies of each role."""
    found: Counter[str] = Counter()
    for policy in deployment.of_type("AWS::IAM::RolePolicy"):
        found[policy.properties["RoleName"]] += size(policy.properties["PolicyDocument"])
    return found


def attached(deployment: ResolvedDeployment) -> Counter[str]:
    """The number of managed policies of each role."""
    found: Counter[str] = Counter()
    for policy in deployment.of_type("AWS::IAM::ManagedPolicy"):
        found.update(policy.properties.get("Roles", []))
    for role in deployment.of_type("AWS::IAM::Role"):
        found[role.reference] += len(role.properties.get("ManagedPolicyArns", []))
    return found


def test_policies_of_roles_are_within_iam_s_limits(
    largest: ResolvedDeployment, texts: dict[str, str]
) -> None:
    assert max(inline(largest).values()) <= 10_240
    assert max(attached(largest).values()) <= 10
    managed = {
        str(one): size(one.properties["PolicyDocument"])
        for one in largest.of_type("AWS::IAM::ManagedPolicy")
    }
    managed |= {
        path: size(json.loads(text))
        for path, text in texts.items()
        if path.startswith(("templates/deployer-policy", "templates/operator-policy"))
    }
    assert {name: one for name, one in managed.items() if one > MANAGED_POLICY_CHARACTERS} == {}
    trusts = [
        size(one.properties["AssumeRolePolicyDocument"])
        for one in largest.of_type("AWS::IAM::Role")
    ]
    assert max(trusts) <= 2048
    paths = [len(one.properties.get("Path", "")) for one in largest.of_type("AWS::IAM::Role")]
    assert max(paths) <= 512


def test_policies_of_resources_are_within_their_services_limits(
    largest: ResolvedDeployment, texts: dict[str, str]
) -> None:
    keys = [size(one.properties["KeyPolicy"]) for one in largest.of_type("AWS::KMS::Key")]
    keys.append(len(texts["templates/own-key-policy.json"]))
    assert max(keys) <= 32_768
    buckets = largest.of_type("AWS::S3::BucketPolicy")
    assert max(size(one.properties["PolicyDocument"]) for one in buckets) <= 20_480


def rules(deployment: ResolvedDeployment) -> Iterator[tuple[str, str]]:
    """The group and the direction of each security-group rule, those in groups included."""
    for direction in ("Ingress", "Egress"):
        for rule in deployment.of_type(f"AWS::EC2::SecurityGroup{direction}"):
            yield rule.properties["GroupId"], direction
        for group in deployment.of_type("AWS::EC2::SecurityGroup"):
            for _ in group.properties.get(f"SecurityGroup{direction}", []):
                yield group.reference, direction


def test_no_security_group_has_more_than_60_rules_in_a_direction(
    largest: ResolvedDeployment,
) -> None:
    assert max(Counter(rules(largest)).values()) <= 60


def test_names_are_within_their_services_limits(largest: ResolvedDeployment) -> None:
    limits = {
        "AWS::Events::Rule": ("Name", 64),
        "AWS::SageMaker::ModelPackageGroup": ("ModelPackageGroupName", 63),
        "AWS::Logs::LogGroup": ("LogGroupName", 512),
        "Custom::Pipeline": ("PipelineName", 256),
    }
    for kind, (field, most) in limits.items():
        found = [str(one.properties.get(field, "")) for one in largest.of_type(kind)]
        assert len(found) > PIPELINES
        assert max(map(len, found)) <= most, kind
        given = [name for name in found if name]
        assert len(set(given)) == len(given)
    endpoints = {one.properties["EndpointName"] for one in largest.of_type("Custom::Pipeline")}
    assert len(endpoints) == PIPELINES + 1
    assert max(map(len, endpoints)) <= 63
