"""How people get in: through the stack's Studio, through another, or without any."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from generator.cfn.evaluator import ResolvedDeployment
from generator.stacks import personas
from tabular_ml_vpc.reports.diagram.svg import SMALL, Drawing


class StudioOwner(Enum):
    """Whose Studio people work in."""

    STACK = auto()
    OTHERS = auto()
    NOBODY = auto()


_HOW: Final = {
    StudioOwner.STACK: ("Data scientist", "browser, signed", "in to AWS"),
    StudioOwner.OTHERS: ("Data scientist", "in a Studio", "that exists"),
    StudioOwner.NOBODY: ("Operator", "command line", "or console"),
}
"""Who people are, and how they get in."""


def whose_studio(deployment: ResolvedDeployment) -> StudioOwner:
    """Return who owns the Studio domain, if there is one."""
    if deployment.of_type("AWS::SageMaker::Domain"):
        return StudioOwner.STACK
    roles = [one.logical_id for one in deployment.of_type("AWS::IAM::Role")]
    return StudioOwner.OTHERS if "StudioRole" in roles else StudioOwner.NOBODY


def _who(deployment: ResolvedDeployment) -> tuple[str, ...]:
    """Return what to call the people who use the deployment, and how they get in."""
    who, *how = _HOW[whose_studio(deployment)]
    roles = {one.logical_id for one in deployment.of_type("AWS::IAM::Role")}
    if roles & {title for title, _ in personas.TITLES.values()}:
        who = "People"
    domains = deployment.of_type("AWS::SageMaker::Domain")
    if any(domain.properties["AuthMode"] == "SSO" for domain in domains):
        how = ["browser, IAM", "Identity Center"]
    return (who, *how)


def person(deployment: ResolvedDeployment) -> str:
    """Return what to call the people who use the deployment."""
    return _who(deployment)[0]


def ways_in(deployment: ResolvedDeployment) -> Iterator[str]:
    """Yield Mermaid's arrows from people: to Studio, or to the pipeline."""
    owner = whose_studio(deployment)
    if owner is StudioOwner.STACK:
        yield "person --> studio"
    elif owner is StudioOwner.OTHERS:
        yield 'theirs["Studio that exists"]'
        yield from ("person --> theirs", "theirs -- starts runs --> pipeline")
    else:
        yield "person -- starts runs --> pipeline"


def draw_people(drawing: Drawing, deployment: ResolvedDeployment, to: tuple[float, float]) -> None:
    """Draw the user, and the arrow that ends at ``to``."""
    x, y = to
    who, *how = _who(deployment)
    drawing.icon("user", 32, y - 22, 44, plate=True)
    drawing.text(54, y + 42, who, size=SMALL, bold=True, anchor="middle")
    for number, line in enumerate(how):
        at = y + 57 + 14 * number
        drawing.text(54, at, line, size=SMALL, style="soft", anchor="middle")
    drawing.arrow([(84, y), (x, y)], style="accent")
