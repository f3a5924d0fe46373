"""Maps resources to billing: the meters of each resource type, and their quantities.

Everything is counted in a resolved deployment. A type that none of the tables here contains is not
skipped silently: ``unpriced`` lists it.

Sources: the pricing pages of the services ("AWS PrivateLink pricing", "Amazon SageMaker pricing",
...), one meter each in ``prices.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from tabular_ml_vpc.reports.cost.usage import Levels, Usage

HOURS: Final = 730
"""Hours in a month, as in the AWS Pricing Calculator."""
FREE: Final = frozenset(
    {
        "AWS::CloudFormation::Stack",
        "AWS::CodeArtifact::PackageGroup",
        "AWS::CodeArtifact::Repository",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::IAM::RolePolicy",
        "AWS::KMS::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SSO::ApplicationAssignment",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SageMaker::ModelPackageGroup",
        "AWS::SageMaker::StudioLifecycleConfig",
    }
)
"""Types without a charge of their own. Events of AWS services on the default bus are free, too, but
their rule is listed, so that readers see that it was considered."""


@dataclass(frozen=True)
class Meter:
    """One billed item, and its quantity in units of the price.

    ``meter`` names the price (empty: no charge); ``basis`` explains the quantity in words.
    """

    what: str
    meter: str
    quantity: Levels
    basis: str
    pipeline: str = ""
    """The pipeline that it is of, if there are several."""


Count = Callable[[list[ResolvedResource], Usage], Iterator[Meter]]


def metered(deployment: ResolvedDeployment, usage: Usage) -> list[Meter]:
    """Return what is billed each month for the templates' resources, without use of Studio."""
    meters: list[Meter] = []
    for kind, count in _COUNTS.items():
        if found := deployment.of_type(kind):
            meters.extend(count(found, usage))
    return meters + list(_log_groups(deployment, usage))


def _has_spaces(profile: ResolvedResource) -> bool:
    """Tell whether a person can have spaces: a reviewer's page does not even offer them."""
    portal = profile.properties.get("UserSettings", {}).get("StudioWebPortalSettings", {})
    return not portal.get("HiddenAppTypes")


def studio(deployment: ResolvedDeployment, usage: Usage, instance: str) -> list[Meter]:
    """Return the meters of people's spaces; ``instance`` is their instance type.

    None without Studio. Whoever manages an existing domain pays for the profiles that others make.
    """
    people = sum(map(_has_spaces, deployment.of_type("AWS::SageMaker::UserProfile")))
    if not people:
        return []
    hours, size = usage["studio-hours"], usage["space-gb"]
    meters = [
        Meter(
            f"Studio spaces on {instance}",
            f"sagemaker_studio_hour.{instance}",
            hours.times(people),
            f"{people} x {span(hours)} h",
        ),
        Meter(
            "Studio spaces' disks",
            "sagemaker_studio_space_gp3_gb_month",
            size.times(people),
            f"{people} x {span(size)} GB",
        ),
    ]
    domains = deployment.of_type("AWS::SageMaker::Domain")
    if any(domain.properties.get("HomeEfsFileSystemCreation") != "Disabled" for domain in domains):
        home = usage["home-gb"]
        meters.append(Meter("Home file system", "efs_standard_gb_month", home, f"{span(home)} GB"))
    return meters


def unpriced(deployment: ResolvedDeployment) -> list[str]:
    """Return the resource types without cost information."""
    known = FREE | _COUNTS.keys() | {"AWS::Logs::LogGroup", *_STUDIO}
    return sorted({one.type for one in deployment if one.type not in known and not _custom(one)})


def span(levels: Levels) -> str:
    """Return the levels in short form: ``20/80/160``, or one number if they are equal."""
    return "/".join(dict.fromkeys(f"{value:,.10g}" for value in levels))


def interface_endpoints(deployment: ResolvedDeployment) -> tuple[int, int]:
    """Return the number of interface endpoints, and of their network interfaces."""
    found = [one for one in deployment.of_type("AWS::EC2::VPCEndpoint") if _is_interface(one)]
    return len(found), sum(len(one.properties["SubnetIds"]) for one in found)


_STUDIO: Final = ("AWS::SageMaker::Domain", "AWS::SageMaker::UserProfile")


def _custom(resource: ResolvedResource) -> bool:
    """Tell whether it is a custom resource: not billed itself, but its function is."""
    return resource.type.startswith("Custom::")


def _is_interface(endpoint: ResolvedResource) -> bool:
    return str(endpoint.properties.get("VpcEndpointType")) == "Interface"


def _endpoints(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    endpoints = [one for one in found if _is_interface(one)]
    interfaces = sum(len(one.properties["SubnetIds"]) for one in endpoints)
    zones = max((len(one.properties["SubnetIds"]) for one in endpoints), default=0)
    yield Meter(
        "Interface endpoints",
        "vpc_interface_endpoint_az_hour",
        _constant(interfaces * HOURS),
        f"{len(endpoints)} endpoints x {zones} AZ x {HOURS} h",
    )
    through = usage["endpoint-gb"]
    yield Meter("Data through them", "vpc_interface_endpoint_gb", through, f"{span(through)} GB")
    gateways = len(found) - len(endpoints)
    if gateways:
        yield Meter("S3 gateway endpoint", "", _constant(gateways), f"{gateways}, no charge")


def _keys(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    versions, requests = usage["key-versions"], usage["key-requests"]
    yield Meter(
        "KMS keys",
        "kms_key_month",
        versions.times(len(found)),
        f"{len(found)} x {span(versions)} versions",
    )
    yield Meter(
        "KMS requests", "kms_requests_10k", requests.times(1e-4), f"{span(requests)} requests"
    )


def _buckets(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    logging = [one.properties.get("LoggingConfiguration", {}) for one in found]
    targets = {one.get("DestinationBucketName") for one in logging}
    for bucket in found:
        size = usage["access-log-gb" if bucket.reference in targets else "data-gb"]
        yield Meter(
            f"S3 storage, {bucket.logical_id}", "s3_standard_gb_month", size, f"{span(size)} GB"
        )
        if "ReplicationConfiguration" in bucket.properties:
            copied = f"{span(size)} GB, in the replica's region"
            yield Meter(f"Replica of {bucket.logical_id}", "s3_replica_gb_month", size, copied)
    if any("NotificationConfiguration" in bucket.properties for bucket in found):
        events = usage["put-requests"].times(1e-6)
        basis = f"{span(usage['put-requests'])} events"
        yield Meter("S3 events to EventBridge", "s3_events_1m", events, basis)
    for what, name, meter in (
        ("S3 PUT and LIST", "put-requests", "s3_put_1k"),
        ("S3 GET", "get-requests", "s3_get_1k"),
    ):
        requests = usage[name]
        yield Meter(what, meter, requests.times(1e-3), f"{span(requests)} requests")


def _log_groups(deployment: ResolvedDeployment, usage: Usage) -> Iterator[Meter]:
    groups = deployment.of_type("AWS::Logs::LogGroup")
    targets = {
        log.properties.get("LogGroupName") for log in deployment.of_type("AWS::EC2::FlowLog")
    }
    flow = [one for one in groups if one.reference in targets]
    flow_gb, function_gb = usage["flow-log-gb"].times(len(flow)), usage["function-log-gb"]
    others = len(groups) - len(flow)
    yield Meter(
        *("Flow logs", "vended_logs_to_cloudwatch_gb", flow_gb),
        f"{len(flow)} x {span(usage['flow-log-gb'])} GB",
    )
    yield Meter(
        *("Functions' and endpoint's logs", "logs_ingest_gb", function_gb.times(others)),
        f"{others} log groups x {span(function_gb)} GB",
    )
    months, added = usage["log-months"], function_gb.times(others)
    kept = Levels(*(a + b for a, b in zip(flow_gb, added, strict=True))).times(months)
    yield Meter("Logs kept", "logs_storage_gb_month", kept, f"{span(months)} months of these")


def _functions(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    calls, seconds = usage["function-calls"], usage["function-seconds"]
    memory = sum(int(one.properties["MemorySize"]) for one in found)
    yield Meter(
        *("Functions' time", "lambda_gb_second_x86", calls.times(seconds).times(memory / 1024)),
        f"{len(found)} functions, {memory / 1024:g} GB x {span(calls)} calls x {span(seconds)} s",
    )
    yield Meter(
        *("Functions' calls", "lambda_requests_1m_x86", calls.times(len(found) * 1e-6)),
        f"{len(found)} x {span(calls)} calls",
    )
    traced = [
        one for one in found if one.properties.get("TracingConfig", {}).get("Mode") == "Active"
    ]
    if traced:
        yield Meter(
            *("X-Ray traces", "xray_traces_1m", calls.times(len(traced) * 1e-6)),
            f"{len(traced)} x {span(calls)} traces",
        )


def _alarms(found: list[ResolvedResource], _: Usage) -> Iterator[Meter]:
    """Yield the metrics of all alarms; an alarm on a metric math expression has several.

    "You incur a cost for each alarm-metric that's referenced in the metric math expression"
    (CloudWatch user guide, "CloudWatch billing and cost").
    """
    metrics = sum(map(_metrics_of, found))
    alarms = f"{len(found)} alarm{'s'[: len(found) != 1]}"
    basis = alarms if metrics == len(found) else f"{alarms} on {metrics} metrics"
    yield Meter(
        *("CloudWatch alarms", "cloudwatch_alarm_standard_month", _constant(metrics)), basis
    )


def _metrics_of(alarm: ResolvedResource) -> int:
    """Return the number of metrics that an alarm refers to."""
    queries = alarm.properties.get("Metrics")
    return 1 if queries is None else sum("MetricStat" in query for query in queries)


def _dashboards(found: list[ResolvedResource], _: Usage) -> Iterator[Meter]:
    """Yield the dashboards; all of them have the price of those with up to 50 metrics."""
    basis = f"{len(found)}; an account's first three are free"
    yield Meter(
        *("CloudWatch dashboards", "cloudwatch_dashboard_month", _constant(len(found))), basis
    )


def _topics(_: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    alerts = usage["alerts"]
    yield Meter("Alerts", "sns_publish_1m", alerts.times(1e-6), f"{span(alerts)} alerts")


def _subscriptions(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    alerts = usage["alerts"].times(len(found))
    yield Meter("Alerts by email", "sns_email_100k", alerts.times(1e-5), f"{span(alerts)} emails")


def _queues(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    requests = usage["dead-letters"].times(len(found))
    yield Meter(
        *("Dead-letter queue", "sqs_standard_requests_1m", requests.times(1e-6)),
        f"{span(requests)} requests",
    )


def _rules(found: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    basis = f"{len(found)}, no charge for events of AWS services"
    yield Meter("EventBridge rules", "", _constant(len(found)), basis)
    ticking = [one for one in found if _wakes_a_function(one)]
    if not ticking:
        return
    calls, seconds = usage["ticks"].times(len(ticking)), usage["tick-seconds"]
    basis = f"{len(ticking)} x {span(usage['ticks'])} calls"
    yield Meter(
        *("Ticks of functions", "lambda_gb_second_x86", calls.times(seconds).times(_TICK_GB)),
        f"{basis} x {_TICK_GB:g} GB x {span(seconds)} s",
    )
    yield Meter("Calls by ticks", "lambda_requests_1m_x86", calls.times(1e-6), basis)


_TICK_GB: Final = 0.25


def _wakes_a_function(rule: ResolvedResource) -> bool:
    targets = rule.properties["Targets"]
    return "ScheduleExpression" in rule.properties and ":lambda:" in str(targets[0]["Arn"])


def _package_domains(_: list[ResolvedResource], usage: Usage) -> Iterator[Meter]:
    """Yield the copies of packages, which a domain stores once, and what pip requests."""
    size, requests = usage["package-gb"], usage["package-requests"]
    yield Meter("Packages kept", "codeartifact_storage_gb_month", size, f"{span(size)} GB")
    basis = f"{span(requests)} requests"
    yield Meter("Requests of pip", "codeartifact_requests_10k", requests.times(1e-4), basis)


def _flow_logs(_: list[ResolvedResource], __: Usage) -> Iterator[Meter]:
    """Yield nothing: flow logs are billed through their log group."""
    yield from ()


def _constant(value: float) -> Levels:
    return Levels(value, value, value)


_COUNTS: Final[Mapping[str, Count]] = {
    "AWS::EC2::VPCEndpoint": _endpoints,
    "AWS::KMS::Key": _keys,
    "AWS::S3::Bucket": _buckets,
    "AWS::CodeArtifact::Domain": _package_domains,
    "AWS::EC2::FlowLog": _flow_logs,
    "AWS::Lambda::Function": _functions,
    "AWS::CloudWatch::Alarm": _alarms,
    "AWS::CloudWatch::Dashboard": _dashboards,
    "AWS::SNS::Topic": _topics,
    "AWS::SNS::Subscription": _subscriptions,
    "AWS::SQS::Queue": _queues,
    "AWS::Events::Rule": _rules,
}
