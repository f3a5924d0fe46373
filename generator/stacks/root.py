"""The root: the nested stacks, the parameters and the outputs of a deployment."""

from __future__ import annotations

from dataclasses import replace

from troposphere import Output, Ref, Select, Split, Sub, Tags, Template

from generator import people_outputs, record
from generator.parameters import RootParameters, add_parameters, add_rules, of_pipeline
from generator.policies.statements import role_arn
from generator.settings import (
    PROJECT_TAG,
    Mode,
    Settings,
    any_on_spark,
    main_pipeline,
    on_spark,
)
from generator.settings_pipelines import decided
from generator.stacks import (
    existing_network,
    network,
    pipeline,
    security,
    storage,
    studio,
    studio_elsewhere,
)
from generator.stacks.several import Shared, add_named_pipelines
from generator.wiring import (
    Expression,
    RoleName,
    RootStackName,
    StackTemplate,
    UniqueName,
    nest,
    present,
)

AnyNetworkStack = (
    StackTemplate[network.Inputs, network.Outputs]
    | StackTemplate[existing_network.Inputs, network.Outputs]
)
PURPOSE = "SageMaker in a VPC"
"""What the root template's description says between the project and the mode."""
STUDIO = "studio"
DESCRIPTIONS = {
    Mode.DEV: "everything is deleted with the stack, including the data",
    Mode.PROD: "data, key and logs are kept when the stack is deleted",
}

_Output = tuple[str, Expression]
"""The description and value of an output."""


def build(settings: Settings, mode: Mode) -> dict[str, Template]:
    """Return all templates by file name without extension; the root is ``root``."""
    root = Template(Description=f"{settings.project}: {PURPOSE}; {DESCRIPTIONS[mode]}")
    spark, any_spark = on_spark(settings), any_on_spark(settings)
    zones = 0 if settings.network.is_existing else settings.network.zones
    parameters = add_parameters(
        root,
        zones,
        settings.limits,
        spark=any_spark,
        unused=decided(settings.pipelines) | settings.unused_parameters,
    )
    offers_packages = settings.packages.available
    add_rules(root, zones, spark=any_spark, packages=offers_packages)
    root.metadata[record.METADATA] = record.metadata(settings)
    name = UniqueName(_unique_name(settings.project))
    tags = Tags({PROJECT_TAG: settings.project} | settings.tags)
    security_stack = security.build(settings, mode)
    storage_stack = storage.build(settings, mode)
    pipeline_stack = pipeline.build(settings, mode)

    root_stack = RootStackName(Ref("AWS::StackName"))
    security_outputs = nest(root, security_stack, security.Inputs(name, root_stack), tags)
    network_stack, network_outputs = _add_network(
        root, settings, mode, name, parameters, security_outputs, tags
    )
    storage_inputs = _storage_inputs(parameters, security_outputs, network_outputs)
    if security_outputs.named_manager_role:
        storage_inputs = replace(
            storage_inputs,
            unique_name=name,
            named_manager_role=security_outputs.named_manager_role,
        )
    if spark:
        storage_inputs = replace(storage_inputs, spark_role=security_outputs.preprocess_role)
    storage_outputs = nest(root, storage_stack, storage_inputs, tags)
    pipeline_inputs = _pipeline_inputs(
        name,
        of_pipeline(parameters, main_pipeline(settings)),
        security_outputs,
        network_outputs,
        storage_outputs,
    )
    if settings.security.alert_topic:
        pipeline_inputs = replace(pipeline_inputs, alert_email=None)
    if spark:
        pipeline_inputs = pipeline.for_spark(
            pipeline_inputs,
            security_outputs.preprocess_role,
            network_outputs.preprocess_security_group_id,
            parameters.spark_image_tag,
        )
    pipeline_outputs = nest(root, pipeline_stack, pipeline_inputs, tags)
    shared = Shared(name, parameters, security_outputs, network_outputs, storage_outputs, tags)
    named = add_named_pipelines(root, settings, mode, shared)
    stacks: dict[str, Template] = {
        stack.name: stack.template
        for stack in (security_stack, network_stack, storage_stack, pipeline_stack)
    }
    studio_outputs: dict[str, _Output] = {}
    if settings.studio.in_use:
        studio_inputs = _studio_inputs(
            name, parameters, security_outputs, network_outputs, storage_outputs
        )
        if "root_stack" not in studio.not_needed(settings):
            studio_inputs = replace(studio_inputs, root_stack=root_stack)
        # Studio is deleted first: people's spaces stop a deletion before anything else is deleted.
        stacks[STUDIO], studio_outputs = _add_studio(
            root, settings, mode, studio_inputs, tags, ("Pipeline", *named.titles)
        )
    _add_outputs(
        root,
        settings,
        mode,
        security_outputs,
        network_outputs,
        storage_outputs,
        studio_outputs,
        pipeline_outputs,
    )
    return {"root": root} | stacks | named.templates


def _add_studio(
    root: Template,
    settings: Settings,
    mode: Mode,
    inputs: studio.Inputs,
    tags: Tags,
    after: tuple[str, ...],
) -> tuple[Template, dict[str, _Output]]:
    """Nest the stack with a domain, with profiles in an existing one, or only for people's role.

    Return its template, and the root's outputs about Studio.
    """
    chosen = settings.studio
    if chosen.owns_domain:
        stack = studio.build(settings, mode)
        made = nest(root, stack, inputs, tags, after)
        outputs: dict[str, _Output] = {
            "DomainId": ("Id of the Studio domain", made.domain_id),
            "DomainUrl": ("URL of the Studio domain", made.domain_url),
        }
        return stack.template, outputs | people_outputs.outputs(chosen, made.domain_id)
    outputs = {
        "DomainId": ("Id of the existing Studio domain", chosen.domain),
        "StudioRole": ("Execution role of profiles in the domain", role_arn(inputs.studio_role)),
    }
    if not chosen.everyone:
        role_stack = studio_elsewhere.build_role(settings)
        nest(root, role_stack, studio_elsewhere.for_role(inputs), tags, after)
        return role_stack.template, outputs
    profile_stack = studio_elsewhere.build_profiles(settings, mode)
    nest(root, profile_stack, inputs, tags, after)
    more = people_outputs.outputs(chosen, chosen.domain)
    return profile_stack.template, outputs | more


def _unique_name(project: str) -> Sub:
    """Return the project and the last part of the UUID in the stack's id, 43 characters at most.

    Two deployments in one account and region have different names. Each stack gets the expression,
    not another stack's output: a change set treats an output as a value that may change, and would
    report the replacement of everything that has this name.
    """
    uuid = Select(2, Split("/", Ref("AWS::StackId")))
    return Sub(f"{project}-${{Id}}", Id=Select(4, Split("-", uuid)))


def _add_network(
    root: Template,
    settings: Settings,
    mode: Mode,
    name: UniqueName,
    parameters: RootParameters,
    security_outputs: security.Outputs,
    tags: Tags,
) -> tuple[AnyNetworkStack, network.Outputs]:
    """Add the network stack: a VPC, or what the other stacks need in one that exists."""
    if flow_logs_role := security_outputs.flow_logs_role:
        stack = network.build(settings, mode)
        inputs = _network_inputs(name, parameters, security_outputs, flow_logs_role)
        return stack, nest(root, stack, inputs, tags)
    in_existing = existing_network.build(settings, mode)
    inputs_in_existing = existing_network.Inputs(
        unique_name=name,
        key_arn=security_outputs.key_arn,
        dead_letter_queue=security_outputs.dead_letter_queue,
        vpc_baseline_role=security_outputs.vpc_baseline_role,
        pipeline_role=security_outputs.pipeline_role,
        studio_role=security_outputs.studio_role,
        persona_roles=security_outputs.persona_roles,
    )
    return in_existing, nest(root, in_existing, inputs_in_existing, tags)


def _role_output(notebook_jobs_role: RoleName | None) -> dict[str, _Output]:
    if notebook_jobs_role is None:
        return {}
    what = "Role of jobs that people start from notebooks (docs/studio-walkthrough.md)"
    return {"NotebookJobsRole": (what, role_arn(notebook_jobs_role))}


def _network_inputs(
    name: UniqueName,
    parameters: RootParameters,
    security_outputs: security.Outputs,
    flow_logs_role: RoleName,
) -> network.Inputs:
    return network.Inputs(
        unique_name=name,
        availability_zones=parameters.availability_zones,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        key_arn=security_outputs.key_arn,
        dead_letter_queue=security_outputs.dead_letter_queue,
        flow_logs_role=flow_logs_role,
        vpc_baseline_role=security_outputs.vpc_baseline_role,
        pipeline_role=security_outputs.pipeline_role,
        studio_role=security_outputs.studio_role,
        persona_roles=security_outputs.persona_roles,
    )


def _storage_inputs(
    parameters: RootParameters, security_outputs: security.Outputs, network_outputs: network.Outputs
) -> storage.Inputs:
    return storage.Inputs(
        key_arn=security_outputs.key_arn,
        dead_letter_queue=security_outputs.dead_letter_queue,
        subnet_ids=network_outputs.subnet_ids,
        functions_security_group_id=network_outputs.functions_security_group_id,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        s3_endpoint_id=network_outputs.s3_endpoint_id,
        processing_role=security_outputs.processing_role,
        training_role=security_outputs.training_role,
        studio_role=security_outputs.studio_role,
        notebook_jobs_role=security_outputs.notebook_jobs_role,
        empty_bucket_role=security_outputs.empty_bucket_role,
        seed_data_role=security_outputs.seed_data_role,
        pipeline_manager_role=security_outputs.pipeline_manager_role,
        persona_roles=security_outputs.persona_roles,
    )


def _studio_inputs(
    name: UniqueName,
    parameters: RootParameters,
    security_outputs: security.Outputs,
    network_outputs: network.Outputs,
    storage_outputs: storage.Outputs,
) -> studio.Inputs:
    domain = network_outputs.studio_security_group_id is not None
    return studio.Inputs(
        unique_name=name,
        home_file_system=parameters.home_file_system if domain else None,
        delete_spaces=parameters.delete_spaces,
        key_arn=security_outputs.key_arn,
        dead_letter_queue=security_outputs.dead_letter_queue,
        vpc_id=network_outputs.vpc_id if domain else None,
        subnet_ids=network_outputs.subnet_ids,
        studio_security_group_id=network_outputs.studio_security_group_id,
        functions_security_group_id=network_outputs.functions_security_group_id,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        data_bucket=storage_outputs.data_bucket,
        studio_role=present(security_outputs.studio_role),
        notebook_jobs_role=present(security_outputs.notebook_jobs_role),
        clear_studio_role=security_outputs.clear_studio_role,
        persona_roles=security_outputs.persona_roles,
    )


def _pipeline_inputs(
    name: UniqueName,
    parameters: RootParameters,
    security_outputs: security.Outputs,
    network_outputs: network.Outputs,
    storage_outputs: storage.Outputs,
) -> pipeline.Inputs:
    return pipeline.Inputs(
        unique_name=name,
        key_arn=security_outputs.key_arn,
        dead_letter_queue=security_outputs.dead_letter_queue,
        dead_letter_queue_name=security_outputs.dead_letter_queue_name,
        subnet_ids=network_outputs.subnet_ids,
        functions_security_group_id=network_outputs.functions_security_group_id,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        jobs_security_group_id=network_outputs.jobs_security_group_id,
        data_bucket=storage_outputs.data_bucket,
        processing_role=security_outputs.processing_role,
        training_role=security_outputs.training_role,
        model_role=security_outputs.model_role,
        pipeline_role=security_outputs.pipeline_role,
        notebook_jobs_role=security_outputs.notebook_jobs_role,
        seed_data_role=security_outputs.seed_data_role,
        pipeline_manager_role=security_outputs.pipeline_manager_role,
        rows=parameters.rows,
        seed=parameters.seed,
        processing_instance_type=parameters.processing_instance_type,
        training_instance_type=parameters.training_instance_type,
        endpoint_instance_type=parameters.endpoint_instance_type,
        quality_metric=parameters.quality_metric,
        quality_threshold=parameters.quality_threshold,
        auto_gluon_image_tag=parameters.auto_gluon_image_tag,
        alert_email=parameters.alert_email,
    )


def _add_outputs(
    root: Template,
    settings: Settings,
    mode: Mode,
    security_outputs: security.Outputs,
    network_outputs: network.Outputs,
    storage_outputs: storage.Outputs,
    studio_outputs: dict[str, _Output],
    pipeline_outputs: pipeline.Outputs,
) -> None:
    start = (
        "aws sagemaker start-pipeline-execution --region ${AWS::Region} --pipeline-name ${Pipeline}"
    )
    outputs: dict[str, _Output] = {
        "DataBucket": ("Bucket for data, code and models", storage_outputs.data_bucket),
        "LogBucket": ("Bucket with the access logs of the data bucket", storage_outputs.log_bucket),
        **studio_outputs,
        "PipelineName": ("Name of the pipeline", pipeline_outputs.pipeline_name),
        "EndpointName": (
            "Name of the endpoint, which exists once a model has passed the quality gate",
            pipeline_outputs.endpoint_name,
        ),
        **_role_output(security_outputs.notebook_jobs_role),
        "AlertTopic": ("ARN of the topic for alerts about failed runs", pipeline_outputs.topic_arn),
        "VpcId": ("Id of the VPC", network_outputs.vpc_id),
        "StartPipelineCommand": (
            "Starts a run of the pipeline",
            Sub(start, Pipeline=pipeline_outputs.pipeline_name),
        ),
        record.MODE_OUTPUT: (f"{mode}: {DESCRIPTIONS[mode]}", str(mode)),
        record.HASH_OUTPUT: (
            "Hash of the settings; the template's metadata has those that are not defaults",
            record.settings_hash(settings),
        ),
    }
    for title, (description, value) in outputs.items():
        root.add_output(Output(title, Description=description, Value=value))
