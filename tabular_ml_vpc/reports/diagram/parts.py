"""Parts that pictures share: a card with an icon, a titled frame, the VPC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tabular_ml_vpc.reports.diagram.model import PLATED, SERVICES, Client, Vpc
from tabular_ml_vpc.reports.diagram.svg import NORMAL, SMALL, Box, Drawing, width_of, wrapped

ICON: Final = 34
LINE: Final = 15
"""Distance between baselines of small text."""
HEADER: Final = 30
ROW: Final = 104
"""Minimum height of a subnet, including the gap to the next one."""
BUS: Final = 48
SERVICE: Final = 36
"""Height of a row of services."""
GUTTER: Final = 18
"""Space beside a subnet's name and addresses."""


def card(
    drawing: Drawing,
    box: Box,
    icon: str,
    title: str,
    lines: tuple[str, ...] = (),
    style: str = "card",
) -> None:
    """Draw a box with an icon on the left, a title, and small text below, centered vertically."""
    drawing.box(box, style)
    size = min(ICON, box.height - 14)
    _, middle = box.middle
    drawing.icon(icon, box.x + 9, middle - size / 2, size, plate=icon in PLATED)
    left = box.x + size + 17
    room = box.right - left - 5
    titles = wrapped(title, room, bold=True)
    small = [line for text in lines for line in wrapped(text, room, SMALL)]
    height = len(titles) * (LINE + 1) + len(small) * LINE
    y = middle - height / 2 + 12
    for line in titles:
        drawing.text(left, y, line, bold=True)
        y += LINE + 1
    for line in small:
        drawing.text(left, y - 1, line, size=SMALL, style="soft")
        y += LINE


def frame(
    drawing: Drawing, box: Box, title: str, style: str = "tint", ink: str = "ink", icon: str = ""
) -> None:
    """Draw a frame with a title at the top left."""
    drawing.box(box, style, 8)
    x = box.x + 12
    if icon:
        drawing.icon(icon, box.x, box.y, 26)
        x = box.x + 34
    drawing.text(x, box.y + 18, title, size=NORMAL, style=ink, bold=True)


def draw_vpc(drawing: Drawing, vpc: Vpc, box: Box) -> Ways:
    """Draw the VPC in a box at least as high as ``vpc_height``; return where its paths end."""
    if vpc.exists:
        title = f"Existing VPC {vpc.name}: its owner's routes and endpoints"
        frame(drawing, box, title, "tint", "ink", "vpc")
    else:
        title = f"VPC {vpc.name}: no internet gateway, no NAT"
        frame(drawing, box, title, "vpc-tint", "vpc-ink", "vpc")
    count = len(vpc.subnets)
    each = (box.height - HEADER - 22 - BUS) / count
    rows = [
        Box(box.x + 12, box.y + HEADER + 22 + each * index, box.width - 40, each - 10)
        for index in range(count)
    ]
    for subnet, row in zip(vpc.subnets, rows, strict=True):
        drawing.box(row, "subnet-tint", 6)
        y = row.middle[1]
        drawing.text(row.x + 9, y - 24, subnet.name, size=SMALL, style="subnet-ink", bold=True)
        drawing.text(row.x + 9, y - 9, subnet.cidr, size=SMALL, style="subnet-ink")
        drawing.text(row.x + 9, y + 18, subnet.kind, size=SMALL, style="subnet-ink")
    columns = _columns(vpc, rows)
    for client, column in zip(vpc.clients, columns, strict=False):
        _draw_client(drawing, client, column, rows)
    _draw_endpoints(drawing, vpc, columns[-1], rows)
    bus = _draw_ways(drawing, vpc, columns, box)
    middle = rows[0].middle[1]
    return Ways((columns[0].x, middle), (columns[-1].right, middle), (box.right + 20, bus))


@dataclass(frozen=True)
class Ways:
    """Ends of the paths into and out of the VPC: at the clients, the endpoints, the gateway."""

    clients: tuple[float, float]
    endpoints: tuple[float, float]
    gateway: tuple[float, float]


def vpc_height(vpc: Vpc) -> float:
    """Return the minimum height of the VPC."""
    return HEADER + 22 + ROW * len(vpc.subnets) + BUS


def draw_services(drawing: Drawing, services: tuple[str, ...], box: Box, title: str) -> None:
    """Draw the services of the interface endpoints, in two columns."""
    frame(drawing, box, title)
    for index, service in enumerate(services):
        icon, name = SERVICES.get(service, ("account", service))
        x = box.x + 12 + (index % 2) * (box.width - 16) / 2
        y = box.y + 30 + (index // 2) * SERVICE
        drawing.icon(icon, x, y, 26)
        lines = wrapped(name, (box.width - 16) / 2 - 36, SMALL)
        for number, line in enumerate(lines):
            down = 17 + (number - (len(lines) - 1) / 2) * 14
            drawing.text(x + 33, y + down, line, size=SMALL)


def services_height(services: Sequence[str]) -> float:
    """Return the height of the services: two rows or more, where the endpoints' arrow ends."""
    return 30 + SERVICE * max(2, (len(services) + 1) // 2) + 2


def _columns(vpc: Vpc, rows: list[Box]) -> list[Box]:
    """Return a column for each security group of clients, and one for the endpoints."""
    count, gap = len(vpc.clients) + 1, 14
    gutter = GUTTER + max(width_of(subnet.cidr, SMALL) for subnet in vpc.subnets)
    left, width = rows[0].x + gutter, rows[0].width - gutter - 8
    each = (width - gap * (count - 1)) / count
    top, bottom = rows[0].y - 22, rows[-1].bottom + 6
    return [Box(left + index * (each + gap), top, each, bottom - top) for index in range(count)]


def _draw_client(drawing: Drawing, client: Client, column: Box, rows: list[Box]) -> None:
    drawing.box(column, "security", 6)
    middle, _ = column.middle
    drawing.text(
        middle,
        column.y + 15,
        client.name,
        size=SMALL,
        style="group-ink",
        bold=True,
        anchor="middle",
    )
    icon, label = _inside(client)
    for row in rows:
        _cell(drawing, (middle, row.middle[1]), icon, label)


def _cell(drawing: Drawing, at: tuple[float, float], icon: str, label: str) -> None:
    x, y = at
    if icon:
        drawing.icon(icon, x - ICON / 2, y - 30, ICON)
    drawing.text(x, y + 22, label, size=SMALL, anchor="middle")


def _inside(client: Client) -> tuple[str, str]:
    """Return the icon and the label for the members of a security group."""
    kinds = Counter(resource.type for resource in client.inhabitants)
    if "AWS::SageMaker::Domain" in kinds:
        return "sagemaker", "Studio spaces"
    if pipelines := kinds["Custom::Pipeline"]:
        return "sagemaker", "Jobs, models" if pipelines == 1 else f"{pipelines} pipelines"
    count = len(client.inhabitants)
    return "lambda", f"{count} functions" if count > 1 else "1 function"


def _draw_endpoints(drawing: Drawing, vpc: Vpc, column: Box, rows: list[Box]) -> None:
    drawing.box(column, "security", 6)
    middle, _ = column.middle
    drawing.text(
        middle,
        column.y + 15,
        "Endpoints",
        size=SMALL,
        style="group-ink",
        bold=True,
        anchor="middle",
    )
    for subnet, row in zip(vpc.subnets, rows, strict=True):
        at = (middle, row.middle[1])
        if subnet.id in vpc.endpoint_subnets:
            _cell(drawing, at, "privatelink", f"{len(vpc.services)} interfaces")
        else:
            _cell(drawing, at, "", "existing" if vpc.exists else "none here")


def _draw_ways(drawing: Drawing, vpc: Vpc, columns: list[Box], box: Box) -> float:
    """Draw the paths from each client down to a common line, and on to endpoints and S3.

    Returns the height of the line.
    """
    bus, endpoints = columns[0].bottom + 20, columns[-1]
    end = (endpoints.middle[0] - 12, endpoints.bottom)
    edge = box.right
    for client, column in zip(vpc.clients, columns, strict=False):
        start = (column.middle[0], column.bottom)
        if client.to_endpoints:
            drawing.arrow([start, (start[0], bus), (end[0], bus), end], style="accent")
        if client.to_s3 and vpc.has_s3_gateway:
            ends = [(start[0], bus), (edge - 17, bus)]
            drawing.arrow([start, *ends], style="accent", head=False)
    note = "HTTPS only, security group to security group"
    drawing.text(box.x + 14, bus + 20, note, size=SMALL, style="accent-ink")
    if vpc.has_s3_gateway:
        drawing.icon("gateway", edge - 17, bus - 17, 34, plate=True)
        text = "S3 gateway endpoint" if vpc.creates_s3_gateway else "existing S3 gateway endpoint"
        drawing.text(edge - 26, bus + 20, text, size=SMALL, anchor="end", style="vpc-ink")
    return bus
