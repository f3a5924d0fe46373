"""The nested stacks of the pipelines besides ``main``, and what they share.

Not a stack itself: a part of the root, which has nothing of it without such pipelines.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from troposphere import Output, Ref, Sub, Tags, Template

from generator.parameters import RootParameters, of_pipeline
from generator.settings import (
    Mode,
    Settings,
    any_named_is_scheduled,
    named_pipelines,
    shares_pipelines,
)
from generator.settings_pipelines import (
    PipelineEntry,
    in_letters,
    instances,
    runs_on_spark,
    schedule_of,
)
from generator.stacks import manager, named_pipeline, network, security, storage
from generator.wiring import (
    InputsT,
    Number,
    OptionalText,
    OutputsT,
    RootStackName,
    StackTemplate,
    Text,
    UniqueName,
    nest,
)
from pipeline.definition import Environment

OUTPUT = "Pipelines"
"""The root's output with the names of all pipelines; absent if there is only ``main``."""
NAME_OUTPUT = "PipelineName"
TOPIC_OUTPUT = "AlertTopic"
"""Beginnings of the root's outputs for a named pipeline; its name in letters follows."""


@dataclass(frozen=True)
class Shared:
    """What the root has for every named pipeline."""

    name: UniqueName
    parameters: RootParameters
    security: security.Outputs
    network: network.Outputs
    storage: storage.Outputs
    tags: Tags


@dataclass
class NestedPipelines:
    """The named pipelines in the root."""

    templates: dict[str, Template] = field(default_factory=dict)
    """The templates by file name; pipelines share them."""
    titles: list[str] = field(default_factory=list)
    """The logical ids of their stacks, without ``Stack``."""


def add_named_pipelines(
    root: Template, settings: Settings, mode: Mode, shared: Shared
) -> NestedPipelines:
    """Add the stacks of the named pipelines and their outputs, if there are any."""
    found = NestedPipelines()
    if not shares_pipelines(settings):
        return found
    managed = _nest_manager(root, settings, mode, shared, found)
    for spark in (False, True):
        entries = [
            entry
            for entry in named_pipelines(settings)
            if runs_on_spark(entry, settings.pipeline) is spark
        ]
        if not entries:
            continue
        stack = _kept(found, named_pipeline.build(settings, mode, spark=spark))
        for entry in entries:
            title = f"{in_letters(entry.name)}Pipeline"
            found.titles.append(title)
            inputs = _inputs(entry, settings, shared, managed)
            outputs = nest(root, stack, inputs, shared.tags, title=title)
            _add_outputs(root, entry, outputs)
    if not found.titles:
        return found
    names = ",".join(entry.name for entry in settings.pipelines)
    root.add_output(Output(OUTPUT, Description="Names of the pipelines", Value=names))
    return found


def _kept(
    found: NestedPipelines, stack: StackTemplate[InputsT, OutputsT]
) -> StackTemplate[InputsT, OutputsT]:
    found.templates[stack.name] = stack.template
    return stack


def _nest_manager(
    root: Template, settings: Settings, mode: Mode, shared: Shared, found: NestedPipelines
) -> manager.Outputs:
    role = shared.security.named_manager_role
    if role is None:
        raise TypeError("the security stack has no role for the named pipelines' manager")
    inputs = manager.Inputs(
        key_arn=shared.security.key_arn,
        dead_letter_queue=shared.security.dead_letter_queue,
        subnet_ids=shared.network.subnet_ids,
        functions_security_group_id=shared.network.functions_security_group_id,
        functions_in_the_vpc=shared.parameters.functions_in_the_vpc,
        unique_name=shared.name,
        root_stack=RootStackName(Ref("AWS::StackName")),
        data_bucket=shared.storage.data_bucket,
        named_manager_role=role,
    )
    return nest(root, _kept(found, manager.build(settings, mode)), inputs, shared.tags)


def _inputs(
    entry: PipelineEntry, settings: Settings, shared: Shared, managed: manager.Outputs
) -> named_pipeline.Inputs:
    parameters = of_pipeline(shared.parameters, entry)
    prefix_list = shared.network.s3_prefix_list_id
    if prefix_list is None:
        raise TypeError("the network stack has no outputs for the named pipelines")
    spark = runs_on_spark(entry, settings.pipeline)
    return named_pipeline.Inputs(
        unique_name=shared.name,
        entry_name=Text(entry.name),
        pipeline_name=UniqueName(Sub(f"${{Name}}-{entry.name}", Name=shared.name)),
        key_arn=shared.security.key_arn,
        dead_letter_queue=shared.security.dead_letter_queue,
        vpc_id=shared.network.vpc_id,
        subnet_ids=shared.network.subnet_ids,
        endpoints_security_group_id=shared.network.endpoints_security_group_id,
        s3_prefix_list_id=prefix_list,
        data_bucket=shared.storage.data_bucket,
        manager_function_arn=managed.function_arn,
        jobs_lasting_policy=managed.jobs_lasting_policy,
        spending_limits_policy=managed.spending_limits_policy,
        label_column=Text(entry.label or Environment.label_column),
        problem_type=Text(entry.problem or Environment.problem_type),
        processing_instance_type=parameters.processing_instance_type,
        training_instance_type=parameters.training_instance_type,
        endpoint_instance_type=parameters.endpoint_instance_type,
        quality_metric=parameters.quality_metric,
        quality_threshold=parameters.quality_threshold,
        auto_gluon_image_tag=parameters.auto_gluon_image_tag,
        alert_email=None if settings.security.alert_topic else parameters.alert_email,
        schedule=OptionalText(schedule_of(entry, settings.pipeline))
        if any_named_is_scheduled(settings)
        else None,
        spark_image_tag=parameters.spark_image_tag if spark else None,
        spark_instances=Number(str(instances(entry, settings.pipeline))) if spark else None,
    )


def _add_outputs(root: Template, entry: PipelineEntry, outputs: named_pipeline.Outputs) -> None:
    letters = in_letters(entry.name)
    for title, description, value in (
        (
            f"{NAME_OUTPUT}{letters}",
            f"Name of the pipeline {entry.name}, its endpoint and its model package group",
            outputs.pipeline_name,
        ),
        (
            f"{TOPIC_OUTPUT}{letters}",
            f"ARN of the topic for alerts about the pipeline {entry.name}",
            outputs.topic_arn,
        ),
    ):
        root.add_output(Output(title, Description=description, Value=value))
