"""What every run of the pipeline must have, whatever its steps look like."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from pipeline import definition as module
from pipeline.definition import OWNER_TAG, SCRIPTS, SMOKE, build, join
from pipeline.limits import ARGUMENT_CHARACTERS, parameter_room
from pipeline.plan import flatten
from pipeline.run_parameters import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    PROCESSING_INSTANCE_TYPE_PATTERN,
    TRAINING_INSTANCE_TYPE_PATTERN,
)
from pipeline.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.definition import Environment
    from pipeline.types import Json

JOBS = ("Preprocess", "Train", "Evaluate")


def steps(definition: Json) -> dict[str, Json]:
    """All steps by name, those inside the gate included."""
    found = {step["Name"]: step for step in definition["Steps"]}
    return found | {step["Name"]: step for step in inside(definition)}


def inside(definition: Json) -> list[Json]:
    """The steps inside the conditions."""
    gates = [step["Arguments"] for step in definition["Steps"] if step["Type"] == "Condition"]
    return [step for gate in gates for step in gate["IfSteps"] + gate["ElseSteps"]]


def names(steps: list[Json]) -> list[str]:
    return [step["Name"] for step in steps]


def values(value: object, name: str) -> Iterator[Any]:
    """What stands under the key `name`, anywhere within `value`."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == name:
                yield item
            yield from values(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from values(item, name)


def test_the_same_environment_gives_the_same_bytes(environment: Environment) -> None:
    assert json.dumps(build(environment)) == json.dumps(build(environment))


def test_every_script_of_the_code_folder_ships() -> None:
    folder = Path(module.__file__).parent / "scripts"
    assert sorted(SCRIPTS) == sorted(path.name for path in folder.glob("*.py"))


@pytest.mark.parametrize("name", [*JOBS, "CreateModel"])
def test_jobs_and_models_run_in_the_vpc_and_isolated(definition: Json, name: str) -> None:
    arguments = steps(definition)[name]["Arguments"]
    assert list(values(arguments, "VpcConfig")) == [
        {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    ]
    assert list(values(arguments, "EnableNetworkIsolation")) == [True]


@pytest.mark.parametrize("name", JOBS)
def test_jobs_encrypt_volume_output_and_traffic(
    definition: Json, environment: Environment, name: str
) -> None:
    arguments = steps(definition)[name]["Arguments"]
    assert list(values(arguments, "VolumeKmsKeyId")) == [environment.key_arn]
    assert list(values(arguments, "KmsKeyId")) == [environment.key_arn]
    assert list(values(arguments, "EnableInterContainerTrafficEncryption")) == [True]


def test_the_endpoint_has_our_key(definition: Json, environment: Environment) -> None:
    assert steps(definition)["CreateEndpointConfig"]["Arguments"]["KmsKeyId"] == environment.key_arn


@pytest.mark.parametrize("name", [*JOBS, "CreateModel", "CreateEndpointConfig", "Deploy"])
def test_what_a_run_makes_carries_its_owner(
    definition: Json, environment: Environment, name: str
) -> None:
    tags = steps(definition)[name]["Arguments"]["Tags"]
    assert tags == [{"Key": OWNER_TAG, "Value": environment.owner}]


def test_a_model_package_carries_its_owner_as_metadata(
    definition: Json, environment: Environment
) -> None:
    arguments = steps(definition)["RegisterModel"]["Arguments"]
    assert arguments["CustomerMetadataProperties"] == {OWNER_TAG: environment.owner}


def test_each_role_serves_one_purpose(definition: Json, environment: Environment) -> None:
    roles = {
        name: next(values(step["Arguments"], "RoleArn"), None)
        for name, step in steps(definition).items()
        if name in JOBS
    }
    assert roles == {
        "Preprocess": environment.processing_role_arn,
        "Train": environment.training_role_arn,
        "Evaluate": environment.processing_role_arn,
    }
    model = steps(definition)["CreateModel"]["Arguments"]
    assert model["ExecutionRoleArn"] == environment.model_role_arn


def test_nothing_serves_before_the_gate(definition: Json) -> None:
    gates = ["QualityGate", "ApprovalGate"]
    assert names(definition["Steps"]) == ["Preprocess", "Train", "Evaluate", *gates]


def at_least(left: object, right: object) -> Json:
    """A condition, as it stands in a definition."""
    return {"Type": "GreaterThanOrEqualTo", "LeftValue": left, "RightValue": right}


def passes(environment: Environment) -> list[Json]:
    """What both gates ask of a model."""
    report = {"Get": "Steps.Evaluate.PropertyFiles.Gate"}
    value = {"Std:JsonGet": {"PropertyFile": report, "Path": "value"}}
    asked = {"Get": "Parameters.QualityThreshold"}
    return [at_least(value, asked), at_least(asked, environment.quality_threshold)]


def test_a_run_cannot_ask_for_less_than_its_deployment(
    definition: Json, environment: Environment
) -> None:
    gate = steps(definition)["QualityGate"]["Arguments"]
    assert gate["Conditions"] == passes(environment)
    assert names(gate["IfSteps"]) == ["RegisterModel"]
    assert names(gate["ElseSteps"]) == ["RefuseModel"]


def test_a_run_cannot_choose_another_metric(definition: Json, environment: Environment) -> None:
    metric = next(one for one in definition["Parameters"] if one["Name"] == "QualityMetric")
    assert metric["EnumValues"] == [metric["DefaultValue"]] == [environment.quality_metric]


def test_instance_counts_are_fixed(definition: Json) -> None:
    counts = [*values(definition, "InstanceCount"), *values(definition, "InitialInstanceCount")]
    assert counts == [1, 1, 1, 1]


def test_only_an_approved_model_that_passed_the_gate_is_served(
    definition: Json, environment: Environment
) -> None:
    gate = steps(definition)["ApprovalGate"]["Arguments"]
    status = {"Get": "Parameters.ApprovalStatus"}
    approved = {"Type": "Equals", "LeftValue": status, "RightValue": "Approved"}
    assert gate["Conditions"] == [approved, *passes(environment)]
    assert names(gate["IfSteps"]) == ["CreateModel", "CreateEndpointConfig", "Deploy"]
    assert gate["ElseSteps"] == []


def test_a_model_is_registered_before_it_is_made(definition: Json) -> None:
    assert steps(definition)["CreateModel"]["DependsOn"] == ["RegisterModel"]


def test_the_refusal_names_metric_value_and_threshold(definition: Json) -> None:
    message = json.dumps(steps(definition)["RefuseModel"])
    assert '"Path": "metric"' in message
    assert '"Path": "value"' in message
    assert "Parameters.QualityThreshold" in message


def test_no_experiment_is_made(definition: Json) -> None:
    assert definition["PipelineExperimentConfig"] is None


@pytest.mark.parametrize("name", ["Preprocess", "Evaluate"])
def test_each_argument_is_one_item_that_names_its_option(definition: Json, name: str) -> None:
    command = steps(definition)[name]["Arguments"]["AppSpecification"]["ContainerArguments"]
    for item in command:
        option, value = item["Std:Join"]["Values"]
        assert re.fullmatch(r"--[a-z-]+=", option)
        assert value["Get"].startswith("Parameters.")


def test_an_argument_has_the_room_that_the_api_gives_it(definition: Json) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    assert service.shape_for("ContainerArgument").metadata["max"] == ARGUMENT_CHARACTERS
    assert parameter_room(definition)["GroupColumn"] == 256 - len("--group-column=")


def test_a_parameter_of_two_arguments_has_the_smaller_room(definition: Json) -> None:
    assert parameter_room(definition)["QualityMetric"] == 256 - len("--metric=")
    command = steps(definition)["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    command[0]["Std:Join"]["Values"][0] = "--metric-of-the-gate="
    assert parameter_room(definition)["QualityMetric"] == 256 - len("--metric-of-the-gate=")


def test_parameters_that_ask_for_nothing_are_not_empty(definition: Json) -> None:
    assert all(item["DefaultValue"] != "" for item in definition["Parameters"])


def test_preprocess_is_told_what_was_named(definition: Json) -> None:
    preprocess = steps(definition)["Preprocess"]["Arguments"]
    data = next(item for item in preprocess["ProcessingInputs"] if item["InputName"] == "data")
    told = preprocess["AppSpecification"]["ContainerArguments"][0]["Std:Join"]["Values"]
    assert told == ["--input-uri=", data["S3Input"]["S3Uri"]]


def test_the_gate_reads_a_file_of_its_own(definition: Json) -> None:
    (file,) = steps(definition)["Evaluate"]["PropertyFiles"]
    assert file["FilePath"] == "gate.json"
    condition, _ = steps(definition)["QualityGate"]["Arguments"]["Conditions"]
    assert condition["LeftValue"]["Std:JsonGet"]["Path"] == "value"


def test_labels_reach_training_in_the_schema_alone(definition: Json) -> None:
    train = steps(definition)["Train"]["Arguments"]
    assert [item["ChannelName"] for item in train["InputDataConfig"]] == ["train", "schema", "code"]
    assert not {"label", "positive-class"} & train["HyperParameters"].keys()


def test_training_code_comes_through_a_channel(definition: Json) -> None:
    train = steps(definition)["Train"]["Arguments"]
    code = next(item for item in train["InputDataConfig"] if item["ChannelName"] == "code")
    assert code["DataSource"]["S3DataSource"]["S3Uri"] == "s3://demo-data/code/0123abcd/"
    assert train["HyperParameters"]["sagemaker_submit_directory"] == "/opt/ml/input/data/code"


# Families with an instance store, Graviton and accelerators: EC2 guide, "Instance types".
UNFIT = re.compile(r"ml\.([a-z]+\d+\w*d|[cmr]\dg\w*|[gp]\d\w*|p6\w*-\w+|inf\d|trn\d\w?|dl1)\.")

USES = {
    "ProcessingInstanceType": PROCESSING_INSTANCE_TYPE_PATTERN,
    "TrainingInstanceType": TRAINING_INSTANCE_TYPE_PATTERN,
    "ProductionVariantInstanceType": ENDPOINT_INSTANCE_TYPE_PATTERN,
}


@pytest.fixture(scope="module")
def offered() -> dict[str, set[str]]:
    """The API's instance types, by the name of their shape."""
    service = botocore.session.get_session().get_service_model("sagemaker")
    return {shape: set(service.shape_for(shape).enum) for shape in USES}


@pytest.mark.parametrize("use", USES)
def test_allowed_instance_types_are_all_those_of_the_use_that_fit(
    offered: dict[str, set[str]], use: str
) -> None:
    known = set.union(*offered.values())
    allowed = {name for name in known if re.fullmatch(USES[use], name)}
    assert allowed == {name for name in offered[use] if not UNFIT.match(name)}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["ml.m5.large", "ml.c6i.xlarge", "ml.r7i.2xlarge"])
def test_the_rule_names_instance_types_that_every_use_allows(use: str, name: str) -> None:
    assert name in INSTANCE_TYPE_RULE
    assert re.fullmatch(USES[use], name)


def test_a_model_can_be_registered_whatever_instance_type_serves_it(definition: Json) -> None:
    specification = steps(definition)["RegisterModel"]["Arguments"]["InferenceSpecification"]
    assert "SupportedTransformInstanceTypes" not in specification  # ml.t2 is none of them


# On Spark


@pytest.fixture
def on_spark(environment: Environment) -> Json:
    """The definition of a deployment whose tables are prepared on a cluster."""
    registry, _, _ = environment.training_image.partition("/")
    return build(
        replace(
            environment,
            spark_image=f"{registry}/sagemaker-spark-processing:3.5-cpu-py312-v1.0",
            spark_role_arn="arn:aws:iam::123456789012:role/demo-spark",
            spark_security_group_ids=("sg-2",),
            spark_instances=3,
        )
    )


def test_without_deployment_a_model_is_registered_and_nothing_is_created(
    environment: Environment,
) -> None:
    found = build(replace(environment, deploys=False))
    assert validate(found) == []
    kinds = {step["Type"] for step in flatten(found["Steps"])}
    assert kinds == {"Processing", "Training", "Condition", "RegisterModel", "Fail"}


@pytest.fixture
def on_approval(environment: Environment) -> Json:
    """The definition of a deployment that serves models once somebody has approved them."""
    return build(replace(environment, on_approval=True))


def test_on_approval_a_run_registers_a_pending_model_and_deploys_nothing(
    on_approval: Json,
) -> None:
    assert validate(on_approval) == []
    assert names(on_approval["Steps"]) == ["Preprocess", "Train", "Evaluate", "QualityGate"]
    registered = steps(on_approval)["RegisterModel"]["Arguments"]
    assert registered["ModelApprovalStatus"] == "PendingManualApproval"


def test_on_approval_a_run_cannot_choose_the_status(on_approval: Json, definition: Json) -> None:
    assert names(on_approval["Parameters"]) == [
        name for name in names(definition["Parameters"]) if name != "ApprovalStatus"
    ]


def test_on_approval_the_package_names_its_smoke_test(
    on_approval: Json, environment: Environment
) -> None:
    found = steps(on_approval)["RegisterModel"]["Arguments"]["CustomerMetadataProperties"]
    assert found == {
        OWNER_TAG: environment.owner,
        "smoke-test": join(SMOKE.uri, "/smoke.json"),
    }


@pytest.fixture
def compared(environment: Environment) -> Json:
    """The definition of a deployment that compares models with the one that serves."""
    return build(replace(environment, on_approval=True, champion_margin=0.01))


def test_a_model_is_compared_with_the_one_that_serves(
    compared: Json, environment: Environment
) -> None:
    assert validate(compared) == []
    inputs = steps(compared)["Evaluate"]["Arguments"]["ProcessingInputs"]
    assert [item["InputName"] for item in inputs] == ["model", "test", "champion", "code"]
    assert inputs[2]["S3Input"]["S3Uri"] == "s3://demo-data/champion/"
    file = {"Get": "Steps.Evaluate.PropertyFiles.Gate"}
    lead = {"Std:JsonGet": {"PropertyFile": file, "Path": "lead"}}
    conditions = steps(compared)["QualityGate"]["Arguments"]["Conditions"]
    assert conditions == [*passes(environment), at_least(lead, -0.01)]


def test_a_named_pipeline_has_a_champion_of_its_own(environment: Environment) -> None:
    found = build(replace(environment, name="churn", champion_margin=0))
    inputs = steps(found)["Evaluate"]["Arguments"]["ProcessingInputs"]
    assert inputs[2]["S3Input"]["S3Uri"] == "s3://demo-data/pipelines/champion/churn/"


def test_a_margin_of_nothing_is_a_plain_zero(environment: Environment) -> None:
    found = build(replace(environment, champion_margin=0.0))
    for gate in ("QualityGate", "ApprovalGate"):
        least = steps(found)[gate]["Arguments"]["Conditions"][-1]["RightValue"]
        assert json.dumps(least) == "0.0"


def test_the_refusal_names_the_serving_model_s_value_and_the_margin(compared: Json) -> None:
    message = json.dumps(steps(compared)["RefuseModel"])
    assert '"Path": "champion"' in message
    assert "worse by at most 0.01" in message


def test_without_a_margin_nothing_is_compared(definition: Json) -> None:
    assert "champion" not in json.dumps(definition)
    assert '"lead"' not in json.dumps(definition)


def test_a_cluster_s_definition_has_no_fault(on_spark: Json) -> None:
    assert validate(on_spark) == []


def test_only_preprocess_runs_in_the_cluster_s_group_and_role(on_spark: Json) -> None:
    groups = {
        name: [*values(steps(on_spark)[name]["Arguments"], "SecurityGroupIds")]
        for name in (*JOBS, "CreateModel")
    }
    assert groups.pop("Preprocess") == [["sg-2"]]
    assert set(map(str, groups.values())) == {str([["sg-1"]])}
    roles = {name: steps(on_spark)[name]["Arguments"]["RoleArn"] for name in JOBS}
    assert [name for name, role in roles.items() if role.endswith("/demo-spark")] == ["Preprocess"]


def test_only_preprocess_on_a_cluster_is_not_isolated(on_spark: Json, definition: Json) -> None:
    def isolated(found: Json) -> dict[str, list[bool]]:
        return {
            name: [*values(step["Arguments"], "EnableNetworkIsolation")]
            for name, step in steps(found).items()
        }

    assert isolated(on_spark) == isolated(definition) | {"Preprocess": [False]}
    traffic = steps(on_spark)["Preprocess"]["Arguments"]["NetworkConfig"]
    assert traffic["EnableInterContainerTrafficEncryption"] is True


def test_a_run_cannot_choose_how_many_instances_a_cluster_has(
    on_spark: Json, definition: Json
) -> None:
    """IAM has no condition key for it, so that whoever starts a run could ask for any number."""
    assert on_spark["Parameters"] == definition["Parameters"]
    counts = {name: [*values(steps(on_spark)[name], "InstanceCount")] for name in JOBS}
    assert counts == {"Preprocess": [3], "Train": [1], "Evaluate": [1]}


def test_a_cluster_fetches_the_table_itself_and_is_handed_what_its_image_lacks(
    on_spark: Json, definition: Json
) -> None:
    there, here = (steps(found)["Preprocess"]["Arguments"] for found in (on_spark, definition))
    inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in there["ProcessingInputs"]}
    assert inputs == {
        "code": "s3://demo-data/code/0123abcd/",
        "libraries": "s3://demo-data/code/libraries/",
    }
    assert there["ProcessingOutputConfig"] == here["ProcessingOutputConfig"]
    ours, theirs = there["AppSpecification"], here["AppSpecification"]
    assert ours["ContainerArguments"] == theirs["ContainerArguments"]
    assert ours["ContainerEntrypoint"] == [
        "/usr/local/bin/python3",
        "/opt/ml/processing/input/code/start_spark.py",
    ]
