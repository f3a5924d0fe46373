"""The nested stacks of the pipelines besides ``main``, and what they share.

Not a stack itself: a part of the root, which has nothing of it without such pipelines.
"""

from __future__ import annotations

from troposphere import Output, Ref, Sub, Template

from generator import choice_outputs
from generator.parameters import of_pipeline
from generator.settings import (
    Settings,
    any_named_is_scheduled,
    main_choices,
    named_await_new_data,
    named_pipelines,
    shares_pipelines,
)
from generator.settings_choices import Choices
from generator.settings_pipelines import (
    PipelineEntry,
    in_letters,
    instances,
    minutes_of,
    runs_on_spark,
    schedule_of,
)
from generator.stacks import manager, named_pipeline
from generator.stacks.nesting import Basis, Root
from generator.wiring import (
    Number,
    OptionalText,
    RootStackName,
    Text,
    UniqueName,
    present,
)
from pipeline.definition import Environment

OUTPUT = "Pipelines"
"""The root's output with the names of all pipelines; absent if there is only ``main``."""
NAME_OUTPUT = "PipelineName"
TOPIC_OUTPUT = "AlertTopic"
"""Beginnings of the root's outputs for a named pipeline; its name in letters follows."""


def add_named_pipelines(root: Root, basis: Basis) -> list[str]:
    """Add the stacks of the named pipelines and their outputs, if there are any.

    Return the logical ids of the pipelines' stacks, without ``Stack``.
    """
    settings, titles = root.settings, list[str]()
    if not shares_pipelines(settings):
        return titles
    managed = _nest_manager(root, basis)
    for (spark, chosen), entries in _alike(settings).items():
        stack = named_pipeline.build(settings, root.mode, chosen, entries[0].name, spark=spark)
        for entry in entries:
            titles.append(f"{in_letters(entry.name)}Pipeline")
            inputs = _inputs(entry, root, basis, managed)
            _add_outputs(root.template, entry, root.nest(stack, inputs, title=titles[-1]))
            said = choice_outputs.of_named(entry.name, chosen, main_choices(settings))
            for title, (description, value) in said.items():
                root.template.add_output(Output(title, Description=description, Value=value))
    if titles:
        names = ",".join(entry.name for entry in settings.pipelines)
        root.template.add_output(Output(OUTPUT, Description="Names of the pipelines", Value=names))
    return titles


def _alike(settings: Settings) -> dict[tuple[bool, Choices], list[PipelineEntry]]:
    """Return the pipelines by what decides their template: those on Spark last."""
    found: dict[tuple[bool, Choices], list[PipelineEntry]] = {}
    for spark in (False, True):
        for entry in named_pipelines(settings):
            if runs_on_spark(entry, settings.pipeline) is spark:
                found.setdefault((spark, settings.choices_of(entry)), []).append(entry)
    return found


def _nest_manager(root: Root, basis: Basis) -> manager.Outputs:
    inputs = manager.Inputs(
        key_arn=basis.security.key_arn,
        dead_letter_queue=basis.security.dead_letter_queue,
        subnet_ids=basis.network.subnet_ids,
        functions_security_group_id=basis.network.functions_security_group_id,
        functions_in_the_vpc=root.parameters.functions_in_the_vpc,
        unique_name=root.name,
        root_stack=RootStackName(Ref("AWS::StackName")),
        data_bucket=basis.storage.data_bucket,
        named_manager_role=present(basis.security.named_manager_role),
        deploy_named_model_role=basis.security.deploy_named_model_role,
        pause_named_endpoint_role=basis.security.pause_named_endpoint_role,
        watch_named_model_role=basis.security.watch_named_model_role,
    )
    return root.nest(manager.build(root.settings, root.mode), inputs)


def _inputs(
    entry: PipelineEntry, root: Root, basis: Basis, managed: manager.Outputs
) -> named_pipeline.Inputs:
    settings, parameters = root.settings, of_pipeline(root.parameters, entry)
    chosen = settings.choices_of(entry)
    spark = runs_on_spark(entry, settings.pipeline)
    return named_pipeline.Inputs(
        unique_name=root.name,
        entry_name=Text(entry.name),
        pipeline_name=UniqueName(Sub(f"${{Name}}-{entry.name}", Name=root.name)),
        key_arn=basis.security.key_arn,
        dead_letter_queue=basis.security.dead_letter_queue,
        vpc_id=basis.network.vpc_id,
        subnet_ids=basis.network.subnet_ids,
        endpoints_security_group_id=basis.network.endpoints_security_group_id,
        s3_prefix_list_id=present(basis.network.s3_prefix_list_id),
        data_bucket=basis.storage.data_bucket,
        manager_function_arn=managed.function_arn,
        jobs_lasting_policy=managed.jobs_lasting_policy,
        spending_limits_policy=managed.spending_limits_policy,
        deploy_model_function_arn=managed.deploy_model_function_arn if chosen.on_approval else None,
        pause_endpoint_function_arn=managed.pause_endpoint_function_arn
        if chosen.serving.pauses
        else None,
        watch_model_function_arn=managed.watch_model_function_arn
        if named_pipeline.is_watched(settings, chosen)
        else None,
        new_data_minutes=Number(minutes_of(entry, settings.pipeline))
        if named_await_new_data(settings)
        else None,
        label_column=Text(entry.label or Environment.label_column),
        problem_type=Text(entry.problem or Environment.problem_type),
        processing_instance_type=parameters.processing_instance_type,
        training_instance_type=parameters.training_instance_type,
        endpoint_instance_type=parameters.endpoint_instance_type,
        quality_metric=parameters.quality_metric,
        quality_threshold=parameters.quality_threshold,
        auto_gluon_image_tag=parameters.auto_gluon_image_tag,
        alert_email=None if settings.security.alert_topic else parameters.alert_email,
        dead_letter_queue_name=basis.security.dead_letter_queue_name
        if chosen.watching.dashboard
        else None,
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
