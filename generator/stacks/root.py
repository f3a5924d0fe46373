"""The root: nested stacks, what the person who deploys decides, and what they get."""

from __future__ import annotations

from troposphere import Output, Ref, Select, Split, Sub, Tags, Template

from generator.parameters import RootParameters, add_parameters, add_rules
from generator.policies.statements import role_arn
from generator.settings import PROJECT_TAG, Mode, Settings, on_spark
from generator.stacks import network, pipeline, security, storage, studio
from generator.wiring import Expression, RoleName, RootStackName, UniqueName, nest

DESCRIPTIONS = {
    Mode.DEV: "everything goes with the stack, the data included",
    Mode.PROD: "data, key and logs stay when the stack goes",
}


def build(settings: Settings, mode: Mode) -> dict[str, Template]:
    """Return all templates by file name without its ending; the root is ``root``."""
    root = Template(Description=f"{settings.project}: SageMaker in a VPC; {DESCRIPTIONS[mode]}")
    spark = on_spark(settings)
    given = add_parameters(root, settings.network.zones, settings.limits, spark=spark)
    add_rules(root, settings.network.zones, spark=spark)
    name = UniqueName(_unique_name(settings.project))
    tags = Tags({PROJECT_TAG: settings.project} | settings.tags)
    security_stack = security.build(settings, mode)
    network_stack = network.build(settings, mode)
    storage_stack = storage.build(settings, mode)
    studio_stack = studio.build(settings, mode)
    pipeline_stack = pipeline.build(settings, mode)

    secured = nest(
        root, security_stack, security.Inputs(name, RootStackName(Ref("AWS::StackName"))), tags
    )
    connected = nest(root, network_stack, _network_inputs(name, given, secured), tags)
    storage_inputs = _storage_inputs(given, secured, connected)
    if spark:
        storage_inputs = storage.for_spark(storage_inputs, secured.preprocess_role)
    stored = nest(root, storage_stack, storage_inputs, tags)
    pipeline_inputs = _pipeline_inputs(name, given, secured, connected, stored)
    if spark:
        pipeline_inputs = pipeline.for_spark(
            pipeline_inputs,
            secured.preprocess_role,
            connected.preprocess_security_group_id,
            given.spark_image_tag,
        )
    running = nest(root, pipeline_stack, pipeline_inputs, tags)
    # Studio goes first, so that people's spaces stop a deletion before anything else is gone.
    studio_inputs = _studio_inputs(name, given, secured, connected, stored)
    opened = nest(root, studio_stack, studio_inputs, tags, after=(pipeline_stack.name,))
    _add_outputs(root, settings, secured.notebook_jobs_role, connected, stored, opened, running)
    stacks = (security_stack, network_stack, storage_stack, studio_stack, pipeline_stack)
    return {"root": root} | {stack.name: stack.template for stack in stacks}


def _unique_name(project: str) -> Sub:
    """Return the project with the last part of the stack's id, which is a UUID.

    Two copies in one account and region differ; 43 characters at most. Each stack gets the
    expression, not another stack's output: a change set takes an output for a value that may
    change, and would report the replacement of everything that has this name.
    """
    uuid = Select(2, Split("/", Ref("AWS::StackId")))
    return Sub(f"{project}-${{Id}}", Id=Select(4, Split("-", uuid)))


def _network_inputs(
    name: UniqueName, given: RootParameters, secured: security.Outputs
) -> network.Inputs:
    return network.Inputs(
        unique_name=name,
        availability_zones=given.availability_zones,
        functions_in_the_vpc=given.functions_in_the_vpc,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        flow_logs_role=secured.flow_logs_role,
        vpc_baseline_role=secured.vpc_baseline_role,
        pipeline_role=secured.pipeline_role,
        studio_role=secured.studio_role,
    )


def _storage_inputs(
    given: RootParameters, secured: security.Outputs, connected: network.Outputs
) -> storage.Inputs:
    return storage.Inputs(
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        subnet_ids=connected.subnet_ids,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=given.functions_in_the_vpc,
        s3_endpoint_id=connected.s3_endpoint_id,
        processing_role=secured.processing_role,
        training_role=secured.training_role,
        studio_role=secured.studio_role,
        notebook_jobs_role=secured.notebook_jobs_role,
        empty_bucket_role=secured.empty_bucket_role,
        seed_data_role=secured.seed_data_role,
        pipeline_manager_role=secured.pipeline_manager_role,
    )


def _studio_inputs(
    name: UniqueName,
    given: RootParameters,
    secured: security.Outputs,
    connected: network.Outputs,
    stored: storage.Outputs,
) -> studio.Inputs:
    return studio.Inputs(
        unique_name=name,
        home_file_system=given.home_file_system,
        delete_spaces=given.delete_spaces,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        vpc_id=connected.vpc_id,
        subnet_ids=connected.subnet_ids,
        studio_security_group_id=connected.studio_security_group_id,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=given.functions_in_the_vpc,
        data_bucket=stored.data_bucket,
        studio_role=secured.studio_role,
        notebook_jobs_role=secured.notebook_jobs_role,
        clear_studio_role=secured.clear_studio_role,
    )


def _pipeline_inputs(
    name: UniqueName,
    given: RootParameters,
    secured: security.Outputs,
    connected: network.Outputs,
    stored: storage.Outputs,
) -> pipeline.Inputs:
    return pipeline.Inputs(
        unique_name=name,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        dead_letter_queue_name=secured.dead_letter_queue_name,
        subnet_ids=connected.subnet_ids,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=given.functions_in_the_vpc,
        jobs_security_group_id=connected.jobs_security_group_id,
        data_bucket=stored.data_bucket,
        processing_role=secured.processing_role,
        training_role=secured.training_role,
        model_role=secured.model_role,
        pipeline_role=secured.pipeline_role,
        notebook_jobs_role=secured.notebook_jobs_role,
        seed_data_role=secured.seed_data_role,
        pipeline_manager_role=secured.pipeline_manager_role,
        rows=given.rows,
        seed=given.seed,
        processing_instance_type=given.processing_instance_type,
        training_instance_type=given.training_instance_type,
        endpoint_instance_type=given.endpoint_instance_type,
        quality_metric=given.quality_metric,
        quality_threshold=given.quality_threshold,
        auto_gluon_image_tag=given.auto_gluon_image_tag,
        alert_email=given.alert_email,
    )


def _add_outputs(
    root: Template,
    settings: Settings,
    notebook_jobs_role: RoleName,
    connected: network.Outputs,
    stored: storage.Outputs,
    opened: studio.Outputs,
    running: pipeline.Outputs,
) -> None:
    start = (
        "aws sagemaker start-pipeline-execution --region ${AWS::Region} --pipeline-name ${Pipeline}"
    )
    outputs: dict[str, tuple[str, Expression]] = {
        "DataBucket": ("Bucket for raw/ data, code and models", stored.data_bucket),
        "LogBucket": ("Bucket with the access logs of the data bucket", stored.log_bucket),
        "DomainId": ("Studio's domain", opened.domain_id),
        "DomainUrl": ("Studio's web address", opened.domain_url),
        "UserProfiles": ("Studio's user profiles", ",".join(settings.studio.user_profiles)),
        "OpenStudioCommand": (
            "Prints an address that opens Studio for five minutes, as the first user profile",
            Sub(
                "aws sagemaker create-presigned-domain-url --region ${AWS::Region} --domain-id "
                f"${{Domain}} --user-profile-name {settings.studio.user_profiles[0]} "
                "--query AuthorizedUrl --output text",
                Domain=opened.domain_id,
            ),
        ),
        "PipelineName": ("The pipeline", running.pipeline_name),
        "EndpointName": ("The endpoint, once a run has passed the gate", running.endpoint_name),
        "NotebookJobsRole": (
            "Role of jobs that people start from notebooks (docs/studio-walkthrough.md)",
            role_arn(notebook_jobs_role),
        ),
        "AlertTopic": ("Topic that tells of failed runs", running.topic_arn),
        "VpcId": ("The VPC", connected.vpc_id),
        "StartPipelineCommand": (
            "Starts a run of the pipeline",
            Sub(start, Pipeline=running.pipeline_name),
        ),
    }
    for title, (description, value) in outputs.items():
        root.add_output(Output(title, Description=description, Value=value))
