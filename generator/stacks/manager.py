"""What all named pipelines share: the function that owns them, and policies of their roles.

The stack exists if there are pipelines besides ``main``. Nothing in it names one of them, so that
adding or removing a pipeline does not change it. The policies are attached by the roles themselves,
and are deleted after them.
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import GetAtt, Template, iam

from generator import deployment, pausing, watcher
from generator.custom_resources import (
    FunctionContext,
    FunctionInputs,
    FunctionSpec,
    add_function,
    function_context,
)
from generator.policies.approval import deploy_model, end_scaling
from generator.policies.functions import all_named_pipelines, pipeline_manager
from generator.policies.guards import NetworkBoundary, keep_jobs_inside
from generator.policies.jobs import from_first_to_last
from generator.policies.pausing import pause_endpoint
from generator.policies.spending import bound_spending
from generator.policies.statements import arn, managed_policy, role_policy
from generator.policies.watcher import Wants, watch_model
from generator.settings import (
    Mode,
    Settings,
    named_are_watched,
    named_await_new_data,
    named_choices,
)
from generator.wiring import (
    BucketName,
    FunctionArn,
    PolicyArn,
    RoleName,
    RootStackName,
    StackTemplate,
    UniqueName,
    add,
    declare,
    publish,
)
from generator.woken import let_rules_invoke

MANAGING_SECONDS = 900
ANSWERING_SECONDS = 2 * MANAGING_SECONDS
"""How long one pipeline can take if it has to wait for others: a new account runs ten functions
at a time, and Lambda keeps an event for as long as the function may run."""


@dataclass(frozen=True)
class Inputs(FunctionInputs):
    """The inputs from the root."""

    unique_name: UniqueName
    root_stack: RootStackName
    data_bucket: BucketName
    named_manager_role: RoleName
    deploy_named_model_role: RoleName | None = None
    """Exists if models of any of these pipelines are deployed on approval."""
    pause_named_endpoint_role: RoleName | None = None
    """Exists if any of their endpoints is paused on a schedule."""
    watch_named_model_role: RoleName | None = None
    """Exists if requests are checked, or new data awaited."""


@dataclass(frozen=True)
class Outputs:
    """The function, and the policies of jobs and models and of those who create them."""

    function_arn: FunctionArn
    jobs_lasting_policy: PolicyArn
    spending_limits_policy: PolicyArn
    deploy_model_function_arn: FunctionArn | None = None
    """Exists if models of any of these pipelines are deployed on approval."""
    pause_endpoint_function_arn: FunctionArn | None = None
    """Exists if any of their endpoints is paused on a schedule."""
    watch_model_function_arn: FunctionArn | None = None
    """Exists if requests are checked, or new data awaited."""


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: what named pipelines share")
    chosen = named_choices(settings)
    without = [
        *([] if any(one.on_approval for one in chosen) else ["deploy_named_model_role"]),
        *([] if any(one.serving.pauses for one in chosen) else ["pause_named_endpoint_role"]),
        *([] if named_are_watched(settings) else ["watch_named_model_role"]),
    ]
    inputs = declare(Inputs, template, without)
    context = function_context(template, inputs, settings, mode)
    spec = FunctionSpec(
        package="pipeline_manager",
        description="Manages the named pipelines; at deletion, removes what their runs created",
        role=inputs.named_manager_role,
        permissions=pipeline_manager(
            inputs.data_bucket,
            inputs.key_arn,
            all_named_pipelines(inputs.unique_name, inputs.root_stack),
            compares=any(one.serving.compares for one in chosen),
        ),
        timeout_seconds=MANAGING_SECONDS,
    )
    function = add_function(template, spec, context)
    if any(one.serving.scales for one in chosen):
        add(template, _end_of_scaling(inputs))
    lasting = managed_policy(
        "JobsLastingPolicy",
        "What SageMaker does with the role of a job or model, until its last interface is gone",
        [],
        from_first_to_last(inputs.key_arn),
    )
    spending = managed_policy(
        "SpendingLimitsPolicy",
        "No job or endpoint on an instance type, or for a time, that was not allowed",
        [inputs.deploy_named_model_role] if inputs.deploy_named_model_role else [],
        bound_spending(settings.limits, apps=False),
    )
    deploying = None
    if inputs.deploy_named_model_role:
        deploying = _add_deploying(template, inputs, context, inputs.deploy_named_model_role)
    pausing_function = None
    if inputs.pause_named_endpoint_role:
        role = inputs.pause_named_endpoint_role
        pausing_function = _add_pausing(template, inputs, context, role)
    outputs = Outputs(
        function_arn=FunctionArn(GetAtt(function, "Arn")),
        jobs_lasting_policy=PolicyArn(add(template, lasting).ref()),
        spending_limits_policy=PolicyArn(add(template, spending).ref()),
        deploy_model_function_arn=deploying,
        pause_endpoint_function_arn=pausing_function,
        watch_model_function_arn=_add_watching(template, inputs, context),
    )
    publish(outputs, template)
    return StackTemplate("manager", template, Inputs, Outputs)


def _end_of_scaling(inputs: Inputs) -> iam.RolePolicy:
    """Let the function end the scaling of endpoints.

    The policy is a resource of its own: an update without scaling deletes it after its use.
    """
    managed = all_named_pipelines(inputs.unique_name, inputs.root_stack)
    return role_policy("EndScalingPolicy", inputs.named_manager_role, end_scaling(managed))


def _add_deploying(
    template: Template, inputs: Inputs, context: FunctionContext, role: RoleName
) -> FunctionArn:
    """Add the function that deploys the models of all named pipelines on approval.

    Its guard knows no security group: each pipeline has its own, which its rule tells.
    """
    boundary = NetworkBoundary(inputs.subnet_ids, None, inputs.key_arn)
    guard = managed_policy(
        "ModelsStayInsidePolicy",
        "No model outside the VPC, without our key or unisolated",
        [role],
        keep_jobs_inside(boundary),
    )
    add(template, guard)
    managed = all_named_pipelines(inputs.unique_name, inputs.root_stack)
    alarms = [arn("cloudwatch", "alarm:${RootStack}-*", RootStack=inputs.root_stack)]
    serving = [one.serving for one in named_choices(context.settings)]
    allowed = deploy_model(managed, inputs.data_bucket, inputs.key_arn, alarms, serving)
    function = deployment.add_deploying_function(template, role, allowed, context)
    function.DependsOn = [*function.DependsOn, guard.title]
    rules = arn("events", "rule/${Name}-*", Name=inputs.unique_name)
    add(template, let_rules_invoke(function, rules))
    return FunctionArn(GetAtt(function, "Arn"))


def _add_watching(
    template: Template, inputs: Inputs, context: FunctionContext
) -> FunctionArn | None:
    """Add the function that checks requests to named pipelines and starts their runs, if asked."""
    settings, role = context.settings, inputs.watch_named_model_role
    if role is None:
        return None
    wants = Wants(
        new_data=named_await_new_data(settings),
        drift=any(one.watching.drift_hours for one in named_choices(settings)),
        quality=any(one.watching.quality_days for one in named_choices(settings)),
        on_drift=settings.pipeline.on_drift,
    )
    managed = all_named_pipelines(inputs.unique_name, inputs.root_stack)
    allowed = watch_model(managed, inputs.data_bucket, inputs.key_arn, wants)
    rules = arn("events", "rule/${Name}-*", Name=inputs.unique_name)
    function = watcher.add_watching_function(template, role, allowed, context, rules)
    return FunctionArn(GetAtt(function, "Arn"))


def _add_pausing(
    template: Template, inputs: Inputs, context: FunctionContext, role: RoleName
) -> FunctionArn:
    """Add the function that pauses and resumes the endpoints of all named pipelines."""
    name = inputs.unique_name
    allowed = pause_endpoint(
        all_named_pipelines(name, inputs.root_stack),
        inputs.key_arn,
        runs_deploy=any(
            one.deploys and one.serving.pauses for one in named_choices(context.settings)
        ),
    )
    function = pausing.add_pausing_function(template, role, allowed, context, "${Name}-*", name)
    return FunctionArn(GetAtt(function, "Arn"))
