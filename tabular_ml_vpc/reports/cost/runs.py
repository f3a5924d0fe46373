"""The cost of a run of the pipeline and of its endpoint, from the pipeline's definition.

Instance types are pipeline parameters; their defaults, which the deployment sets, are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from functions.pause_endpoint.properties import PAUSE, RESUME
from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from generator.cfn.evaluator import ResolvedDeployment
from generator.pausing import TITLES
from generator.settings_schedule import MINUTES_A_WEEK, minutes_of_the_week
from pipeline.definition import build
from pipeline.layout import MAIN
from pipeline.types import Json
from tabular_ml_vpc.reports.cost.meters import HOURS, Meter, span
from tabular_ml_vpc.reports.cost.usage import Levels, Usage

HOURS_A_MINUTE: Final = 1 / 60


@dataclass(frozen=True)
class PlannedPipeline:
    """A pipeline that the templates would create, and the stack that is its own."""

    name: str
    stack: str
    definition: Json
    environment: PipelineProperties
    serves: float = 1.0
    """The share of a week in which the schedule lets the endpoint serve."""


def pipelines(deployment: ResolvedDeployment) -> list[PlannedPipeline]:
    """Return the pipelines that the templates' custom resources would create, ``main`` first."""
    found = []
    for one in deployment.of_type("Custom::Pipeline"):
        texts = {name: str(value) for name, value in one.properties.items()}
        environment = from_event(PipelineProperties, texts)
        planned = PlannedPipeline(environment.name, one.stack, build(environment), environment)
        found.append(replace(planned, serves=_share(deployment, one.stack)))
    return sorted(found, key=lambda one: one.name != MAIN)


def _share(deployment: ResolvedDeployment, stack: str) -> float:
    """Return ``PlannedPipeline.serves``; 1 if nothing pauses the endpoint every week."""
    expressions = {
        one.logical_id: str(one.properties.get("ScheduleExpression", ""))
        for one in deployment.of_type("AWS::Events::Rule")
        if one.stack == stack
    }
    pauses, resumes = (expressions.get(TITLES[action], "") for action in (PAUSE, RESUME))
    return share_of_the_week(pauses, resumes) if pauses else 1.0


def share_of_the_week(pauses: str, resumes: str) -> float:
    """Return the share of a week between resumptions and pauses; 1 if weeks differ."""
    off, on = minutes_of_the_week(pauses), minutes_of_the_week(resumes)
    if not off or not on:
        return 1.0
    changes = sorted({**dict.fromkeys(off, False), **dict.fromkeys(on, True)}.items())
    ends = [*(minute for minute, _ in changes[1:]), changes[0][0] + MINUTES_A_WEEK]
    serving = sum(
        end - minute for (minute, serves), end in zip(changes, ends, strict=True) if serves
    )
    return serving / MINUTES_A_WEEK


def one_run(pipeline: PlannedPipeline, usage: Usage) -> list[Meter]:
    """Return the meters of one run: the jobs' instances and their volumes."""
    made = pipeline.definition
    minutes = {"Processing": usage["processing-minutes"], "Training": usage["training-minutes"]}
    meters: list[Meter] = []
    for step in steps(made["Steps"]):
        if step["Type"] in minutes:
            meters.extend(_job(step, minutes[step["Type"]], _defaults(made)))
    return meters


def endpoint_month(pipeline: PlannedPipeline, usage: Usage) -> list[Meter]:
    """Return the meters of a month of the endpoint, and of what replaces its model safely.

    On approval, a version is tried on a second endpoint, and served by a second fleet until the
    requests have moved to it.
    """
    planned = pipeline.environment
    if not (planned.deploys or planned.on_approval):
        return []
    instance, fleet = planned.endpoint_instance_type, _fleet(planned, usage)
    meter, hours = f"sagemaker_hosting_hour.{instance}", usage["endpoint-hours"]
    if not usage.is_given("endpoint-hours"):
        hours = hours.times(pipeline.serves)
    basis = f"{span(fleet)} x {span(hours)} h"
    meters = [Meter(f"Endpoint on {instance}", meter, hours.times(fleet), basis)]
    if planned.on_approval:
        approvals, moving = usage["approvals"], usage["deployment-hours"]
        both = fleet.map(lambda one: one + planned.endpoint_instances)
        basis = f"{span(approvals)} approvals x {span(both)} x {span(moving)} h"
        second = approvals.times(moving).times(both)
        meters.append(Meter(f"Trials and second fleets on {instance}", meter, second, basis))
    if planned.maximum_instances:
        title, count = "Alarms of target tracking", 2
        if planned.asynchronous:
            title, count = "Alarms of target tracking and of a backlog", 3
        price = "cloudwatch_alarm_standard_month"
        meters.append(Meter(title, price, Levels(count, count, count), f"{count} alarms"))
    return meters


def _fleet(planned: PipelineProperties, usage: Usage) -> Levels:
    """Return the endpoint's instances, on average, if it scales.

    Two alarms follow its requests ("Target tracking scaling policies"). An asynchronous endpoint
    has no instance while it has nothing to do.
    """
    fewest = 0 if planned.asynchronous else planned.endpoint_instances
    further = max(planned.maximum_instances - fewest, 0)
    return usage["scaled-share"].map(lambda share: fewest + share * further)


def _job(step: Json, minutes: Levels, defaults: Json) -> Iterator[Meter]:
    arguments, kind = step["Arguments"], str(step["Type"]).lower()
    machines = (
        arguments["ResourceConfig"]
        if kind == "training"
        else arguments["ProcessingResources"]["ClusterConfig"]
    )
    instance = _value(machines["InstanceType"], defaults)
    count = int(_value(machines["InstanceCount"], defaults))
    hours = minutes.times(count * HOURS_A_MINUTE)
    yield Meter(
        f"{step['Name']} on {instance}",
        f"sagemaker_{kind}_hour.{instance}",
        hours,
        f"{count} x {span(minutes)} min",
    )
    size = int(_value(machines["VolumeSizeInGB"], defaults))
    yield Meter(
        f"{step['Name']}: volume",
        f"sagemaker_{kind}_gp2_gb_month",
        hours.times(size / HOURS),
        f"{count} x {size} GB x {span(minutes)} min",
    )


def steps(listed: list[Json]) -> Iterator[Json]:
    """Yield the steps, including those in the branches of conditions."""
    for step in listed:
        yield step
        arguments = step.get("Arguments", {})
        for branch in ("IfSteps", "ElseSteps"):
            yield from steps(arguments.get(branch, []))


def _defaults(pipeline: Json) -> Json:
    return {one["Name"]: one.get("DefaultValue") for one in pipeline["Parameters"]}


def _value(value: str | int | Json, defaults: Json) -> str:
    """Return a literal, or the default of the pipeline parameter that it refers to."""
    if not isinstance(value, dict):
        return str(value)
    return str(defaults[str(value["Get"]).removeprefix("Parameters.")])
