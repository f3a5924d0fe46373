"""The root: the nested stacks, the parameters and the outputs of a deployment."""

from __future__ import annotations

from troposphere import Output, Ref, Select, Split, Sub, Tags, Template

from generator import choice_outputs, people_outputs, record
from generator.parameters import add_parameters, add_rules, of_pipeline
from generator.policies.statements import role_arn
from generator.settings import (
    PROJECT_TAG,
    Mode,
    Settings,
    any_on_spark,
    main_choices,
    main_pipeline,
    on_spark,
)
from generator.settings_pipelines import decided
from generator.stacks import (
    existing_network,
    network,
    network_parts,
    pipeline,
    security,
    storage,
    studio,
    studio_elsewhere,
)
from generator.stacks.nesting import Basis, Root
from generator.stacks.several import add_named_pipelines
from generator.wiring import (
    Expression,
    RoleName,
    RootStackName,
    UniqueName,
    present,
)

PURPOSE = "SageMaker in a VPC"
"""What the root template's description says between the project and the mode."""
DESCRIPTIONS = {
    Mode.DEV: "everything is deleted with the stack, including the data",
    Mode.PROD: "data, key and logs are kept when the stack is deleted",
}

_ROOT_STACK = RootStackName(Ref("AWS::StackName"))
_Output = tuple[str, Expression]
"""The description and value of an output."""


def build(settings: Settings, mode: Mode) -> dict[str, Template]:
    """Return all templates by file name without extension; the root is ``root``."""
    root = _begin(settings, mode)
    secured = root.nest(security.build(settings, mode), security.Inputs(root.name, _ROOT_STACK))
    connected = _add_network(root, secured)
    stored = root.nest(storage.build(settings, mode), _storage_inputs(root, secured, connected))
    basis = Basis(secured, connected, stored)
    trained = root.nest(pipeline.build(settings, mode), _pipeline_inputs(root, basis))
    named = add_named_pipelines(root, basis)
    # Studio is deleted first: people's spaces stop a deletion before anything else is deleted.
    about_studio = _add_studio(root, basis, ("Pipeline", *named))
    _add_outputs(root, basis, about_studio, trained)
    return {"root": root.template} | root.stacks


def _begin(settings: Settings, mode: Mode) -> Root:
    """Return the root with its parameters and rules, and no stack."""
    template = Template(Description=f"{settings.project}: {PURPOSE}; {DESCRIPTIONS[mode]}")
    spark = any_on_spark(settings)
    zones = 0 if settings.network.is_existing else settings.network.zones
    parameters = add_parameters(
        template,
        zones,
        settings.limits,
        spark=spark,
        unused=decided(settings.pipelines) | settings.unused_parameters,
    )
    add_rules(template, zones, spark=spark, packages=settings.packages.available)
    template.metadata[record.METADATA] = record.metadata(settings)
    name = UniqueName(_unique_name(settings.project))
    tags = Tags({PROJECT_TAG: settings.project} | settings.tags)
    return Root(template, settings, mode, name, parameters, tags)


def _add_studio(root: Root, basis: Basis, after: tuple[str, ...]) -> dict[str, _Output]:
    """Nest the stack with a domain, with profiles in an existing one, or only for people's role.

    Return the root's outputs about Studio; none if it is not in use.
    """
    settings, chosen = root.settings, root.settings.studio
    if not chosen.in_use:
        return {}
    inputs = _studio_inputs(root, basis)
    if chosen.owns_domain:
        made = root.nest(studio.build(settings, root.mode), inputs, after)
        outputs: dict[str, _Output] = {
            "DomainId": ("Id of the Studio domain", made.domain_id),
            "DomainUrl": ("URL of the Studio domain", made.domain_url),
        }
        return outputs | people_outputs.outputs(chosen, made.domain_id)
    outputs = {
        "DomainId": ("Id of the existing Studio domain", chosen.domain),
        "StudioRole": ("Execution role of profiles in the domain", role_arn(inputs.studio_role)),
    }
    if not chosen.everyone:
        root.nest(studio_elsewhere.build_role(settings), studio_elsewhere.for_role(inputs), after)
        return outputs
    root.nest(studio_elsewhere.build_profiles(settings, root.mode), inputs, after)
    return outputs | people_outputs.outputs(chosen, chosen.domain)


def _unique_name(project: str) -> Sub:
    """Return the project and the last part of the UUID in the stack's id, 43 characters at most.

    Two deployments in one account and region have different names. Each stack gets the expression,
    not another stack's output: a change set treats an output as a value that may change, and would
    report the replacement of everything that has this name.
    """
    uuid = Select(2, Split("/", Ref("AWS::StackId")))
    return Sub(f"{project}-${{Id}}", Id=Select(4, Split("-", uuid)))


def _add_network(root: Root, secured: security.Outputs) -> network_parts.Outputs:
    """Add the network stack: a VPC, or what the other stacks need in one that exists."""
    if flow_logs_role := secured.flow_logs_role:
        inputs = _network_inputs(root, secured, flow_logs_role)
        return root.nest(network.build(root.settings, root.mode), inputs)
    inputs_in_existing = existing_network.Inputs(
        unique_name=root.name,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        vpc_baseline_role=secured.vpc_baseline_role,
        pipeline_role=secured.pipeline_role,
        deploy_model_role=secured.deploy_model_role,
        studio_role=secured.studio_role,
        persona_roles=secured.persona_roles,
    )
    return root.nest(existing_network.build(root.settings, root.mode), inputs_in_existing)


def _role_output(notebook_jobs_role: RoleName | None) -> dict[str, _Output]:
    if notebook_jobs_role is None:
        return {}
    what = "Role of jobs that people start from notebooks (docs/studio-walkthrough.md)"
    return {"NotebookJobsRole": (what, role_arn(notebook_jobs_role))}


def _network_inputs(
    root: Root, secured: security.Outputs, flow_logs_role: RoleName
) -> network.Inputs:
    return network.Inputs(
        unique_name=root.name,
        availability_zones=root.parameters.availability_zones,
        functions_in_the_vpc=root.parameters.functions_in_the_vpc,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        flow_logs_role=flow_logs_role,
        vpc_baseline_role=secured.vpc_baseline_role,
        pipeline_role=secured.pipeline_role,
        deploy_model_role=secured.deploy_model_role,
        studio_role=secured.studio_role,
        persona_roles=secured.persona_roles,
    )


def _storage_inputs(
    root: Root, secured: security.Outputs, connected: network_parts.Outputs
) -> storage.Inputs:
    manager, spark = secured.named_manager_role, on_spark(root.settings)
    return storage.Inputs(
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        subnet_ids=connected.subnet_ids,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=root.parameters.functions_in_the_vpc,
        s3_endpoint_id=connected.s3_endpoint_id,
        processing_role=secured.processing_role,
        training_role=secured.training_role,
        studio_role=secured.studio_role,
        notebook_jobs_role=secured.notebook_jobs_role,
        empty_bucket_role=secured.empty_bucket_role,
        seed_data_role=secured.seed_data_role,
        pipeline_manager_role=secured.pipeline_manager_role,
        deploy_model_role=secured.deploy_model_role,
        deploy_named_model_role=secured.deploy_named_model_role,
        watch_model_role=secured.watch_model_role,
        watch_named_model_role=secured.watch_named_model_role,
        persona_roles=secured.persona_roles,
        unique_name=root.name if manager else None,
        named_manager_role=manager,
        spark_role=secured.preprocess_role if spark else None,
    )


def _studio_inputs(root: Root, basis: Basis) -> studio.Inputs:
    secured, connected, parameters = basis.security, basis.network, root.parameters
    domain = connected.studio_security_group_id is not None
    needs_root = "root_stack" not in studio.not_needed(root.settings)
    return studio.Inputs(
        unique_name=root.name,
        root_stack=_ROOT_STACK if needs_root else None,
        home_file_system=parameters.home_file_system if domain else None,
        delete_spaces=parameters.delete_spaces,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        vpc_id=connected.vpc_id if domain else None,
        subnet_ids=connected.subnet_ids,
        studio_security_group_id=connected.studio_security_group_id,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        data_bucket=basis.storage.data_bucket,
        studio_role=present(secured.studio_role),
        notebook_jobs_role=present(secured.notebook_jobs_role),
        clear_studio_role=secured.clear_studio_role,
        persona_roles=secured.persona_roles,
    )


def _pipeline_inputs(root: Root, basis: Basis) -> pipeline.Inputs:
    secured, connected = basis.security, basis.network
    parameters = of_pipeline(root.parameters, main_pipeline(root.settings))
    spark = on_spark(root.settings)
    return pipeline.Inputs(
        unique_name=root.name,
        key_arn=secured.key_arn,
        dead_letter_queue=secured.dead_letter_queue,
        dead_letter_queue_name=secured.dead_letter_queue_name,
        subnet_ids=connected.subnet_ids,
        functions_security_group_id=connected.functions_security_group_id,
        functions_in_the_vpc=parameters.functions_in_the_vpc,
        jobs_security_group_id=connected.jobs_security_group_id,
        data_bucket=basis.storage.data_bucket,
        processing_role=secured.processing_role,
        training_role=secured.training_role,
        model_role=secured.model_role,
        pipeline_role=secured.pipeline_role,
        notebook_jobs_role=secured.notebook_jobs_role,
        seed_data_role=secured.seed_data_role,
        pipeline_manager_role=secured.pipeline_manager_role,
        deploy_model_role=secured.deploy_model_role,
        pause_endpoint_role=secured.pause_endpoint_role,
        watch_model_role=secured.watch_model_role,
        rows=parameters.rows,
        seed=parameters.seed,
        processing_instance_type=parameters.processing_instance_type,
        training_instance_type=parameters.training_instance_type,
        endpoint_instance_type=parameters.endpoint_instance_type,
        quality_metric=parameters.quality_metric,
        quality_threshold=parameters.quality_threshold,
        auto_gluon_image_tag=parameters.auto_gluon_image_tag,
        alert_email=None if root.settings.security.alert_topic else parameters.alert_email,
        spark_role=secured.preprocess_role if spark else None,
        spark_security_group_id=connected.preprocess_security_group_id if spark else None,
        spark_image_tag=parameters.spark_image_tag if spark else None,
    )


def _add_outputs(
    root: Root, basis: Basis, about_studio: dict[str, _Output], trained: pipeline.Outputs
) -> None:
    mode = root.mode
    start = (
        "aws sagemaker start-pipeline-execution --region ${AWS::Region} --pipeline-name ${Pipeline}"
    )
    outputs: dict[str, _Output] = {
        "DataBucket": ("Bucket for data, code and models", basis.storage.data_bucket),
        "LogBucket": ("Bucket with the access logs of the data bucket", basis.storage.log_bucket),
        **about_studio,
        "PipelineName": ("Name of the pipeline", trained.pipeline_name),
        "EndpointName": (
            "Name of the endpoint, which exists once a model has passed the quality gate",
            trained.endpoint_name,
        ),
        **_role_output(basis.security.notebook_jobs_role),
        "AlertTopic": ("ARN of the topic for alerts about failed runs", trained.topic_arn),
        "VpcId": ("Id of the VPC", basis.network.vpc_id),
        "StartPipelineCommand": (
            "Starts a run of the pipeline",
            Sub(start, Pipeline=trained.pipeline_name),
        ),
        **choice_outputs.described(main_choices(root.settings)),
        record.MODE_OUTPUT: (f"{mode}: {DESCRIPTIONS[mode]}", str(mode)),
        record.HASH_OUTPUT: (
            "Hash of the settings; the template's metadata has those that are not defaults",
            record.settings_hash(root.settings),
        ),
    }
    for title, (description, value) in outputs.items():
        root.template.add_output(Output(title, Description=description, Value=value))
