"""The root template's parameters, how the console shows them, and rules.

Structure is decided when the templates are built (``generator.settings``), values when they are
deployed. Every parameter has a working default, so that a deployment need not set any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_type_hints

from troposphere import (
    And,
    AWSHelperFn,
    Equals,
    If,
    Join,
    Not,
    Or,
    Parameter,
    Ref,
    Template,
)

from functions.seed_data.core import MAX_ROWS, MIN_ROWS
from generator import images, settings_packages
from generator.settings import Limits, usable
from generator.settings_pipelines import EMAIL_PATTERN, METRIC, THRESHOLD, PipelineEntry
from generator.wiring import Number, OptionalText, Text, YesNo
from pipeline.run_parameters import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    METRICS,
    PROCESSING_INSTANCE_TYPE_PATTERN,
    RUN_PARAMETERS,
    TRAINING_INSTANCE_TYPE_PATTERN,
)

ZONES_CHOSEN = "ZonesAreChosen"
LARGEST_SEED = 2**31 - 1
ROWS = 10_000
SMALL_INSTANCE = "ml.m5.large"

ZONE_PATTERN = r"^$|^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$"
AUTOGLUON_TAG_PATTERN = r"^[0-9]+\.[0-9]+\.[0-9]+-cpu-py3[0-9]+-ubuntu[0-9.]+(-v[0-9.]+)?$"
SPARK_TAG_PATTERN = r"^3\.5-cpu-py312(-v[0-9.]+)?$"


@dataclass(frozen=True)
class RootParameters:
    """The parameters, typed for the nested stacks."""

    availability_zones: OptionalText
    functions_in_the_vpc: YesNo
    home_file_system: YesNo
    """Refers to a parameter that exists only if the stack creates a Studio domain."""
    delete_spaces: YesNo
    """Refers to a parameter that exists only if the stack creates user profiles."""
    rows: Number
    seed: Number
    processing_instance_type: Text
    training_instance_type: Text
    endpoint_instance_type: Text
    quality_metric: Text
    quality_threshold: Number
    auto_gluon_image_tag: Text
    spark_image_tag: Text
    """Refers to a parameter that exists only if Preprocess runs on Spark."""
    alert_email: OptionalText


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that the console shows together, each with its label."""

    title: str
    parameters: tuple[tuple[str, Parameter], ...]


def add_parameters(
    root: Template,
    zones: int,
    limits: Limits,
    *,
    spark: bool = False,
    unused: frozenset[str] = frozenset(),
) -> RootParameters:
    """Add the parameters, their groups and labels; return them for the nested stacks.

    ``zones`` is the number of zones to choose, 0 if the VPC exists.
    ``unused`` are left out, because of the settings nothing would use them.
    """
    groups = (_studio(), _pipeline(limits, spark), _data(), _alerts(), _network(zones))
    for group in groups:
        for label, parameter in group.parameters:
            if parameter.title in unused:
                continue
            root.add_parameter(parameter)
            root.add_parameter_to_group(parameter, group.title)
            root.set_parameter_label(parameter, label)
    return RootParameters(
        availability_zones=_chosen_zones(root, zones),
        functions_in_the_vpc=YesNo(Ref("FunctionsInTheVpc")),
        home_file_system=YesNo(Ref("HomeFileSystem")),
        delete_spaces=YesNo(Ref("DeleteSpaces")),
        rows=Number(Ref("Rows")),
        seed=Number(Ref("Seed")),
        processing_instance_type=Text(Ref("ProcessingInstanceType")),
        training_instance_type=Text(Ref("TrainingInstanceType")),
        endpoint_instance_type=Text(Ref("EndpointInstanceType")),
        quality_metric=Text(Ref("QualityMetric")),
        quality_threshold=Number(Ref("QualityThreshold")),
        auto_gluon_image_tag=Text(Ref("AutoGluonImageTag")),
        spark_image_tag=Text(Ref("SparkImageTag")),
        alert_email=OptionalText(Ref("AlertEmail")),
    )


def of_pipeline(parameters: RootParameters, entry: PipelineEntry) -> RootParameters:
    """Return the parameters with the values that a pipeline decides for itself."""
    kinds = get_type_hints(RootParameters)
    own = {
        name: kinds[name](str(value))
        for name, value in entry
        if name in kinds and value is not None
    }
    return replace(parameters, **own)


def _studio() -> ParameterGroup:
    home = _yes_no(
        "HomeFileSystem",
        "no",
        "Create a home file system (EFS) that all of a person's spaces share? It outlives the "
        "domain: delete it by hand before the stack, or the VPC cannot be deleted.",
    )
    spaces = _yes_no(
        "DeleteSpaces",
        "no",
        "Delete people's spaces, with the files on their disks, when the stack is deleted? If "
        "no, the deletion stops and names the spaces.",
    )
    return ParameterGroup(
        "SageMaker Studio",
        (("Home file system", home), ("Delete spaces with the stack", spaces)),
    )


def _pipeline(limits: Limits, spark: bool) -> ParameterGroup:
    return ParameterGroup(
        "Pipeline",
        (
            ("Instance type of processing jobs", _instance_type("Processing", limits)),
            ("Instance type of training jobs", _instance_type("Training", limits)),
            ("Instance type of the endpoint", _instance_type("Endpoint", limits)),
            ("Metric of the quality gate", _quality_metric()),
            ("Minimum value of that metric", _quality_threshold()),
            ("AutoGluon image tag", _auto_gluon_tag()),
            *([("Spark image tag", _spark_tag())] if spark else []),
        ),
    )


def _instance_type(use: str, limits: Limits) -> Parameter:
    """Return a parameter that takes the allowed instance types that the pipeline can use."""
    setting, pattern = {
        "Processing": ("job_instance_types", PROCESSING_INSTANCE_TYPE_PATTERN),
        "Training": ("job_instance_types", TRAINING_INSTANCE_TYPE_PATTERN),
        "Endpoint": ("endpoint_instance_types", ENDPOINT_INSTANCE_TYPE_PATTERN),
    }[use]
    allowed = usable(getattr(limits, setting), pattern)
    names = "|".join(re.escape(name.removeprefix("ml.")) for name in allowed)
    return Parameter(
        f"{use}InstanceType",
        AllowedPattern=rf"^ml\.({names})$",
        ConstraintDescription=f"must be allowed by the setting limits.{setting}, and "
        f"{INSTANCE_TYPE_RULE}",
        Default=SMALL_INSTANCE if SMALL_INSTANCE in allowed else allowed[0],
        Description=f"{use}: default of the pipeline's parameter, which a run can override",
        Type="String",
    )


def _quality_metric() -> Parameter:
    return Parameter(
        "QualityMetric",
        AllowedValues=list(METRICS),
        Default=METRIC,
        Description="Metric that the quality gate checks in every run; higher is always better",
        Type="String",
    )


def _quality_threshold() -> Parameter:
    return Parameter(
        "QualityThreshold",
        ConstraintDescription="must be a number, at most 1",
        Default=THRESHOLD,
        Description="A model below this value is rejected; a run can raise it but not lower it",
        MaxValue=RUN_PARAMETERS["QualityThreshold"].most,
        Type="Number",
    )


def _auto_gluon_tag() -> Parameter:
    return Parameter(
        "AutoGluonImageTag",
        AllowedPattern=AUTOGLUON_TAG_PATTERN,
        ConstraintDescription=f"must be the tag of a CPU image, such as {images.AUTOGLUON_TAG}",
        Default=images.AUTOGLUON_TAG,
        Description="Tag of AWS's AutoGluon Deep Learning Container, for all jobs and the endpoint",
        Type="String",
    )


def _spark_tag() -> Parameter:
    return Parameter(
        "SparkImageTag",
        AllowedPattern=SPARK_TAG_PATTERN,
        ConstraintDescription=f"must be a tag with Python 3.12, such as {images.SPARK_TAG}",
        Default=images.SPARK_TAG,
        Description="Tag of SageMaker's Spark processing container, for Preprocess",
        Type="String",
    )


def _data() -> ParameterGroup:
    rows = Parameter(
        "Rows",
        ConstraintDescription=f"must be a whole number from {MIN_ROWS} to {MAX_ROWS}",
        Default=ROWS,
        Description="Rows of synthetic data, written to raw/data.csv unless that file exists",
        MaxValue=MAX_ROWS,
        MinValue=MIN_ROWS,
        Type="Number",
    )
    seed = Parameter(
        "Seed",
        ConstraintDescription=f"must be a whole number from 0 to {LARGEST_SEED}",
        Default=0,
        Description="The same seed and number of rows give the same synthetic data",
        MaxValue=LARGEST_SEED,
        MinValue=0,
        Type="Number",
    )
    return ParameterGroup("Synthetic data", (("Rows", rows), ("Seed", seed)))


def _alerts() -> ParameterGroup:
    email = Parameter(
        "AlertEmail",
        AllowedPattern=EMAIL_PATTERN,
        ConstraintDescription="must be an e-mail address, or empty",
        Default="",
        Description="Address notified about failed runs, after confirming by e-mail. May be empty",
        Type="String",
    )
    return ParameterGroup("Alerts", (("E-mail address", email),))


def _network(zones: int) -> ParameterGroup:
    inside = _yes_no(
        "FunctionsInTheVpc",
        "yes",
        "Run the functions of custom resources in the VPC? If no, they call AWS's APIs from "
        "outside, need no CloudFormation endpoint, and the stack is deleted 20 to 40 minutes "
        "faster.",
    )
    chosen = [(f"Availability Zone {number}", _zone(number)) for number in _numbers(zones)]
    return ParameterGroup("Network", (("Functions in the VPC", inside), *chosen))


def _zone(number: int) -> Parameter:
    return Parameter(
        f"AvailabilityZone{number}",
        AllowedPattern=ZONE_PATTERN,
        ConstraintDescription="must be the name of a zone, such as eu-west-1a, or empty",
        Default="",
        Description=f"Zone of subnet {number}. Empty: from the region's current list, which can "
        "change; a named zone is fixed. Not every zone has every endpoint service",
        Type="String",
    )


def _yes_no(title: str, default: str, description: str) -> Parameter:
    return Parameter(
        title,
        AllowedValues=["yes", "no"],
        Default=default,
        Description=description,
        Type="String",
    )


def _numbers(zones: int) -> range:
    return range(1, zones + 1)


def _chosen_zones(root: Template, zones: int) -> OptionalText:
    """Return the zones joined, or an empty text; a rule requires all of them or none."""
    if not zones:
        return OptionalText("")
    root.add_condition(ZONES_CHOSEN, Not(Equals(Ref("AvailabilityZone1"), "")))
    names = [Ref(f"AvailabilityZone{number}") for number in _numbers(zones)]
    return OptionalText(If(ZONES_CHOSEN, Join(",", names), ""))


class Contains(AWSHelperFn):
    """``Fn::Contains``, which only rules support and troposphere lacks."""

    def __init__(self, values: list[str], value: AWSHelperFn) -> None:
        self.data = {"Fn::Contains": [values, value]}


def add_rules(root: Template, zones: int, *, spark: bool = False, packages: bool = False) -> None:
    """Add the rules that reject a deployment before anything is created."""
    regions = sorted(images.accounts(spark))
    root.add_rule(
        "RegionHasImages",
        _assertion(
            Contains(regions, Ref("AWS::Region")),
            "AWS has no AutoGluon image in this region, or CloudFormation lacks a SageMaker "
            f"resource there. Deploy to one of: {', '.join(regions)}.",
        ),
    )
    if packages:
        _add_rule_for_packages(root)
    if not zones:
        return
    names = [Ref(f"AvailabilityZone{number}") for number in _numbers(zones)]
    root.add_rule(
        "ZonesAreGivenTogether",
        _assertion(
            Or(_all([Equals(name, "") for name in names]), _all(list(_all_different(names)))),
            f"Name all {zones} Availability Zones, all different, or leave all of them empty.",
        ),
    )


def _add_rule_for_packages(root: Template) -> None:
    regions = list(settings_packages.REGIONS)
    root.add_rule(
        "RegionHasCodeArtifact",
        _assertion(
            Contains(regions, Ref("AWS::Region")),
            "AWS has no CodeArtifact in this region, which the setting packages.source needs. "
            f"Deploy to one of: {', '.join(regions)}.",
        ),
    )


def _assertion(test: AWSHelperFn, description: str) -> dict[str, list[dict[str, object]]]:
    return {"Assertions": [{"Assert": test, "AssertDescription": description}]}


def _all(tests: list[AWSHelperFn]) -> AWSHelperFn:
    return And(*tests)


def _all_different(names: list[Ref]) -> Iterator[AWSHelperFn]:
    """Yield the tests that no zone is empty and no two are the same."""
    for index, name in enumerate(names):
        yield Not(Equals(name, ""))
        for other in names[index + 1 :]:
            yield Not(Equals(name, other))
