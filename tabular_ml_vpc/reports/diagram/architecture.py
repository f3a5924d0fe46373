"""The whole architecture in one picture: locations, network access, alerts."""

from __future__ import annotations

from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment
from tabular_ml_vpc.reports.cost.runs import PlannedPipeline, pipelines
from tabular_ml_vpc.reports.diagram.graph import Graph
from tabular_ml_vpc.reports.diagram.model import (
    ENDPOINT,
    GROUP,
    Vpc,
    alert_topics,
    mentions,
    vpc,
    words,
)
from tabular_ml_vpc.reports.diagram.parts import (
    card,
    draw_services,
    draw_vpc,
    frame,
    services_height,
    vpc_height,
)
from tabular_ml_vpc.reports.diagram.people import StudioOwner, draw_people, whose_studio
from tabular_ml_vpc.reports.diagram.stack import draw_lone
from tabular_ml_vpc.reports.diagram.svg import LARGE, SMALL, Box, Drawing, width_of, wrapped

WIDTH: Final = 1000
ACCOUNT: Final = 112
"""Left edge of the account; people are to its left."""
MARGIN: Final = 14
VPC_WIDTH: Final = 540
GAP: Final = 18
CARD: Final = 58
S3_BELOW: Final = 60
"""Minimum space for S3 below the services of the interface endpoints."""
ALERTS: Final = 372
STEPS: Final = 106
"""Height of the pipeline's steps."""
APPROVED = ("Approval", "Trial", "Endpoint")
"""What follows a run: a person decides, and a function deploys."""
NAMES: Final = 20
"""Height of a line with the names of several pipelines."""
IN_THE_VPC: Final = ("AWS::EC2::VPC", "AWS::EC2::Subnet", GROUP, ENDPOINT)
"""Types that the drawing of the VPC shows."""
ENCRYPTED: Final = {
    "AWS::S3::Bucket": "buckets",
    "AWS::SageMaker::Domain": "Studio disks",
    "Custom::Pipeline": "jobs and endpoint",
    "AWS::Logs::LogGroup": "logs",
    "AWS::SNS::Topic": "topic",
    "AWS::SQS::Queue": "queue",
    "AWS::CodeArtifact::Domain": "packages",
}
"""What the key encrypts, if a resource of the type refers to it."""


def architecture(deployment: ResolvedDeployment) -> tuple[Drawing, float, float]:
    """Return the drawing, its width and its height."""
    owned = whose_studio(deployment) is StudioOwner.STACK
    drawing = Drawing(
        f"Architecture: {'SageMaker Studio and ' if owned else ''}a pipeline in a VPC without "
        "internet",
        "Drawn from the templates by python build.py diagram",
    )
    network = vpc(deployment)
    left, top = ACCOUNT + MARGIN, 46.0
    services = services_height(network.services)
    upper = max(vpc_height(network), services + GAP + 26 + 2 * (CARD + 18))
    strip = top + upper + GAP
    named = pipelines(deployment)[1:]
    steps_height = STEPS + (NAMES if named else 0)
    lower = strip + steps_height + GAP
    height = lower + 148 + MARGIN
    account = Box(ACCOUNT, 8, WIDTH - ACCOUNT - 8, height - 8)
    frame(drawing, account, "AWS account, one region", "tint", "ink", "account")

    ways = draw_vpc(drawing, network, Box(left, top, VPC_WIDTH, upper))
    right = left + VPC_WIDTH + 40
    width = account.right - MARGIN - right
    title = _endpoints(network, "AWS services, {} endpoints")
    draw_services(drawing, network.services, Box(right, top, width, services), title)
    if network.services or network.exists:
        out = ways.endpoints[1]
        drawing.arrow([(ways.endpoints[0], out), (right, out)], style="accent")
    _draw_buckets(drawing, deployment, Box(right, top + services + GAP, width, 0), ways.gateway)
    draw_people(drawing, deployment, ways.clients if owned else (left, strip + 53))
    steps = Box(left, strip, account.right - MARGIN - left, steps_height)
    _draw_pipeline(drawing, deployment, steps)
    _draw_alerts(drawing, deployment, Box(left, lower, ALERTS, 148))
    x = left + ALERTS + GAP
    _draw_rest(drawing, deployment, Box(x, lower, account.right - MARGIN - x, 148))
    return drawing, WIDTH, height + 8


def network(deployment: ResolvedDeployment, graph: Graph) -> tuple[Drawing, float, float]:
    """Return the picture of the network stack: the VPC, its endpoints, and other resources."""
    title = "Network stack"
    drawing = Drawing(title, "Drawn from the templates by python build.py diagram")
    drawing.text(MARGIN, 30, title, size=LARGE, bold=True)
    found = vpc(deployment)
    left, top, width = MARGIN, 46.0, 600.0
    services = services_height(found.services)
    upper = max(vpc_height(found), services + S3_BELOW)
    ways = draw_vpc(drawing, found, Box(left, top, width, upper))
    right = left + width + 40
    box = Box(right, top, WIDTH - MARGIN - right, services)
    draw_services(drawing, found.services, box, _endpoints(found, "{} interface endpoints"))
    out = ways.endpoints[1]
    drawing.arrow([(ways.endpoints[0], out), (right, out)], style="accent")
    if found.has_s3_gateway:
        x, y = ways.gateway
        drawing.arrow([(x, y), (right, y)], style="accent")
        said = "S3" if found.exists else "S3, this account's buckets"
        drawing.text(right + 8, y + 4, said, size=SMALL, bold=True)
    beside = [node for node in graph.nodes if node.type not in IN_THE_VPC]
    bottom = draw_lone(drawing, beside, top + upper + GAP)
    return drawing, WIDTH, bottom + MARGIN


def _endpoints(network: Vpc, text: str) -> str:
    """Return the title of the services; nobody knows here how many endpoints existed before."""
    ours = text.format(len(network.services))
    return f"{ours} created here" if network.exists else ours


def _draw_buckets(
    drawing: Drawing, deployment: ResolvedDeployment, at: Box, gateway: tuple[float, float]
) -> None:
    """Draw the buckets; the gateway's arrow ends at the one that does not hold logs."""
    buckets = deployment.of_type("AWS::S3::Bucket")
    logging = [one.properties.get("LoggingConfiguration") or {} for one in buckets]
    targets = {one.get("DestinationBucketName") for one in logging}
    buckets.sort(key=lambda bucket: bucket.reference in targets)
    frame(drawing, Box(at.x, at.y, at.width, 32 + len(buckets) * (CARD + 18) - 6), "S3")
    previous: Box | None = None
    for number, bucket in enumerate(buckets):
        box = Box(at.x + 10, at.y + 28 + number * (CARD + 18), at.width - 20, CARD)
        is_target = bucket.reference in targets
        lines = ("access logs",) if is_target else ("raw, code, processed, models",)
        card(drawing, box, "s3", words(bucket.logical_id), lines)
        if is_target and previous:
            x = box.x + 26
            drawing.arrow([(x, previous.bottom), (x, box.y)])
        elif not is_target:
            middle = box.middle[1]
            x, y = gateway
            way = [(x, y), (x + 8, y), (x + 8, middle), (box.x, middle)]
            drawing.arrow(way, style="accent")
            previous = box


def _draw_pipeline(drawing: Drawing, deployment: ResolvedDeployment, box: Box) -> None:
    """Draw the steps of a successful run, in a row, and what follows if somebody approves it."""
    found = pipelines(deployment)
    down = NAMES if found[1:] else 0
    if found[1:]:
        title = f"{len(found)} SageMaker pipelines: their jobs and models run in the VPC, isolated"
        if any(path(one) != path(found[0]) for one in found):
            title += f"; drawn: {found[0].name}"
        each = "; each has its own roles, security group, folders, endpoint and alerts"
        room = box.width - 24 - width_of(each, SMALL)
        names = f"{_that_fit([one.name for one in found], room)}{each}"
        drawing.text(box.x + 12, box.y + 36, names, size=SMALL, style="soft")
    else:
        title = "SageMaker pipeline: its jobs and models run in the VPC, isolated"
    frame(drawing, box, title, "tint")
    steps, later = path(found[0])
    gap = 17.0
    width = (box.width - 20 - gap * (len([*steps, *later]) - 1)) / len([*steps, *later])
    for number, name in enumerate((*steps, *later)):
        x, y = box.x + 10 + number * (width + gap), box.y + 30 + down
        chip = Box(x, y, width, STEPS - 42)
        drawing.box(chip, "card" if number < len(steps) else "vpc-tint")
        lines = wrapped(name, width - 6, SMALL, bold=True)
        middle, centre = chip.middle
        for index, line in enumerate(lines):
            y = centre + 4 + (index - (len(lines) - 1) / 2) * 15
            drawing.text(middle, y, line, size=SMALL, bold=True, anchor="middle")
        if number:
            drawing.arrow([(chip.x - gap, centre), (chip.x - 1, centre)])


def path(pipeline: PlannedPipeline) -> tuple[list[str], tuple[str, ...]]:
    """Return the steps of a successful run, and what follows it."""
    steps = [words(step["Name"]) for step in main_path(pipeline.definition["Steps"])]
    return steps, APPROVED if pipeline.environment.on_approval else ()


def _that_fit(names: list[str], room: float) -> str:
    """Return as many of the names as there is room for, and the number of the others."""
    for count in range(len(names), 0, -1):
        more = len(names) - count
        text = ", ".join(names[:count]) + (f" and {more} more" if more else "")
        if width_of(text, SMALL) <= room:
            return text
    return f"{len(names)} pipelines"


def main_path(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps of a run whose conditions are all true, in order."""
    path = []
    for step in steps:
        path.append(step)
        path.extend(main_path(step.get("Arguments", {}).get("IfSteps", [])))
    return path


def _draw_alerts(drawing: Drawing, deployment: ResolvedDeployment, box: Box) -> None:
    """Draw what reports failures, and where it is sent."""
    frame(drawing, box, "Alerts")
    sources = [Box(box.x + 10, box.y + 26 + number * 60, 142, 54) for number in range(2)]
    topic = Box(box.x + 178, box.y + 56, 104, 54)
    rules = deployment.of_type("AWS::Events::Rule")
    alarms = deployment.of_type("AWS::CloudWatch::Alarm")
    card(drawing, sources[0], "eventbridge", words(rules[0].logical_id), ())
    card(drawing, sources[1], "cloudwatch", f"{len(alarms)} alarms", _dashboards(deployment))
    topics = alert_topics(deployment)
    title = f"{len(topics)} alert topics" if topics[1:] else "Alert topic"
    card(drawing, topic, "sns", title, () if topics else ("that exists",))
    for source, resources in ((sources[0], rules), (sources[1], alarms)):
        if not topics or any(mentions(one.properties, topics[0].reference) for one in resources):
            y = topic.y + (18 if source is sources[0] else 36)
            bend = topic.x - 14
            start = source.middle[1]
            drawing.arrow([(source.right, start), (bend, start), (bend, y), (topic.x, y)])
    mail = Box(box.x + 298, box.y + 56, 78, 54)
    drawing.icon("email", mail.x + 20, mail.y + 10, 32, plate=True)
    drawing.text(mail.x + 36, mail.bottom + 6, "Email", size=SMALL, bold=True, anchor="middle")
    if not deployment.of_type("AWS::SNS::Subscription"):
        drawing.text(
            mail.x + 36, mail.bottom + 21, "optional", size=SMALL, style="soft", anchor="middle"
        )
    drawing.arrow([(topic.right, topic.middle[1]), (mail.x + 15, topic.middle[1])])


def _dashboards(deployment: ResolvedDeployment) -> tuple[str, ...]:
    """Return how many dashboards show the alarms; nothing if there is none."""
    number = len(deployment.of_type("AWS::CloudWatch::Dashboard"))
    return (f"on {number} dashboard{'s'[: number > 1]}",) if number else ()


def _draw_rest(drawing: Drawing, deployment: ResolvedDeployment, box: Box) -> None:
    """Draw shared resources: key, roles, flow log, dead-letter queue, functions outside the VPC."""
    frame(drawing, box, "Shared")
    roles = deployment.of_type("AWS::IAM::Role")
    outside = [
        one
        for one in deployment.of_type("AWS::Lambda::Function")
        if "VpcConfig" not in one.properties
    ]
    logged = bool(deployment.of_type("AWS::EC2::FlowLog"))
    cards = [
        ("kms", "Key", (_encrypted(deployment),)),
        ("iam", f"{len(roles)} roles", ("one per purpose",)),
        ("flowlog", "Flow log", ("of the VPC" if logged else "its owner's",)),
        ("sqs", "Dead-letter queue", ()),
        ("lambda", f"{len(outside)} function{'s'[: len(outside) > 1]}", ("outside the VPC",)),
    ]
    first = Box(box.x + 10, box.y + 26, 168, 114)
    card(drawing, first, *cards[0])
    each = (box.right - 10 - first.right - 20) / 2
    for number, one in enumerate(cards[1:]):
        x = first.right + 10 + (number % 2) * (each + 10)
        y = box.y + 26 + (number // 2) * 60
        card(drawing, Box(x, y, each, 54), *one)


def _encrypted(deployment: ResolvedDeployment) -> str:
    keys = deployment.of_type("AWS::KMS::Key")
    names = [
        name
        for kind, name in ENCRYPTED.items()
        if any(
            mentions(one.properties, key.reference)
            for one in deployment.of_type(kind)
            for key in keys
        )
    ]
    if not keys:
        return "owned by your organization"
    return f"encrypts {', '.join(names[:-1])} and {names[-1]}"
