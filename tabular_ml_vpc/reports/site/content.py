"""The contents of the page, read from the templates, the price table and the exemptions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource, resolve_templates
from generator.cfn.expressions import references
from generator.cfn.parameters import ParameterDefinition, definitions
from generator.emit import as_dict
from generator.policies.statements import ANYWHERE_REASONS
from generator.regions import deployable
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline.types import Json
from tabular_ml_vpc.reports.audit import exemptions
from tabular_ml_vpc.reports.audit.checkers import CHECKERS
from tabular_ml_vpc.reports.cost.estimate import CostChoices, Estimate, deployment, of_deployment
from tabular_ml_vpc.reports.cost.prices import Basis, Prices, read_table, regions
from tabular_ml_vpc.reports.cost.savings import FUNCTIONS_PARAMETER, Option, cdk_example, savings
from tabular_ml_vpc.reports.cost.usage import Assumption, usage
from tabular_ml_vpc.reports.diagram.model import words
from tabular_ml_vpc.reports.diagram.pictures import Picture, pictures

ROLE_POLICIES: Final = ("AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy")
RESOURCE_POLICIES: Final[Mapping[str, str]] = {
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::EC2::VPCEndpoint": "PolicyDocument",
}
"""Types with a policy of their own, and its property."""
DEFAULT_REGION: Final = "us-east-1"


@dataclass(frozen=True)
class Row:
    """A row in the table of resources."""

    stack: str
    name: str
    type: str
    condition: str
    at_deletion: str
    refers_to: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A statement of a policy, with identifiers of this deployment replaced by readable names."""

    sid: str
    effect: str
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Rights:
    """A role or a resource with a policy: who can use it, and what it allows."""

    name: str
    stack: str
    trusted: tuple[str, ...]
    """Services that can assume the role; empty for a resource policy."""
    statements: tuple[Statement, ...]
    managed: tuple[str, ...] = ()
    """AWS managed policies of the role."""


@dataclass(frozen=True)
class Cost:
    """The estimate for each region, and the alternatives with other endpoint settings."""

    estimates: Mapping[str, Estimate]
    options: tuple[Option, ...]
    cdk_examples: Mapping[str, float | None]
    assumptions: tuple[Assumption, ...]
    as_of: str
    terms: str


@dataclass(frozen=True)
class Content:
    """Everything on the page."""

    settings: Settings
    mode: Mode
    description: str
    pictures: tuple[Picture, ...]
    parameters: tuple[ParameterDefinition, ...]
    outputs: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    roles: tuple[Rights, ...]
    policies: tuple[Rights, ...]
    cost: Cost
    checkers: tuple[tuple[str, str], ...]
    exemptions: tuple[exemptions.Exemption, ...]
    anywhere: tuple[tuple[str, str], ...]
    """Actions allowed on every resource, with reasons."""


def content(settings: Settings, mode: Mode) -> Content:
    """Return the contents of the page for these settings.

    Raises:
        ExemptionError: the exemptions cannot be read.

    """
    templates = {name: as_dict(one) for name, one in build(settings, mode).items()}
    made = resolve_templates(templates)
    root = templates["root"]
    return Content(
        settings=settings,
        mode=mode,
        description=str(root["Description"]),
        pictures=tuple(pictures(settings, mode)),
        parameters=tuple(definitions(root).values()),
        outputs=tuple((name, str(one["Description"])) for name, one in root["Outputs"].items()),
        rows=tuple(_rows(templates)),
        roles=tuple(_roles(made)),
        policies=tuple(_policies(made)),
        cost=_cost(settings, mode),
        checkers=tuple(CHECKERS.items()),
        exemptions=tuple(exemptions.read()),
        anywhere=tuple(ANYWHERE_REASONS.items()),
    )


def _rows(templates: Mapping[str, Json]) -> Iterator[Row]:
    for stack, template in templates.items():
        resources = template["Resources"]
        for name, resource in resources.items():
            found = dict.fromkeys(references(resource.get("Properties", {})))
            yield Row(
                stack=stack,
                name=name,
                type=resource["Type"],
                condition=words(resource["Condition"]) if "Condition" in resource else "",
                at_deletion=resource.get("DeletionPolicy", ""),
                refers_to=tuple(one for one in found if one in resources and one != name),
            )


def _roles(made: ResolvedDeployment) -> Iterator[Rights]:
    names = _Names(made)
    policies = [one for kind in ROLE_POLICIES for one in made.of_type(kind)]
    for role in made.of_type("AWS::IAM::Role"):
        own = [one.properties for one in policies if role.reference in _bearers(one)]
        own += role.properties.get("Policies", [])
        statements = [
            names.statement(one) for policy in own for one in policy["PolicyDocument"]["Statement"]
        ]
        trust = role.properties["AssumeRolePolicyDocument"]["Statement"]
        trusted = [who for one in trust for who in _principals(one)]
        attached = [str(arn) for arn in role.properties.get("ManagedPolicyArns", [])]
        yield Rights(
            name=role.logical_id,
            stack=role.stack,
            trusted=tuple(dict.fromkeys(trusted)),
            statements=tuple(statements),
            managed=tuple(arn for arn in attached if ":aws:policy/" in arn),
        )


def _bearers(policy: ResolvedResource) -> list[str]:
    """Return the names of the roles that a policy belongs to."""
    return [policy.properties.get("RoleName", ""), *policy.properties.get("Roles", [])]


def _policies(made: ResolvedDeployment) -> Iterator[Rights]:
    names = _Names(made)
    for kind, where in RESOURCE_POLICIES.items():
        for resource in made.of_type(kind):
            if document := resource.properties.get(where):
                statements = tuple(names.statement(one) for one in document["Statement"])
                yield Rights(resource.logical_id, resource.stack, (), statements)


class _Names:
    """Replaces the placeholder identifiers of a resolved deployment with readable names."""

    def __init__(self, made: ResolvedDeployment) -> None:
        place = made.place
        known = {one.reference: one.logical_id for one in made if len(one.reference) > 8}  # noqa: PLR2004
        names = [one.properties.get("DomainName") for one in made.of_type("AWS::SageMaker::Domain")]
        known |= {str(name): "UniqueName" for name in names if name}
        known |= {place.account: "AccountId", place.region: "Region"}
        known |= {f"arn:{place.partition}:": ""}
        pattern = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
        self._known, self._pattern = known, re.compile(pattern)

    def text(self, value: object) -> str:
        return self._pattern.sub(self._word, str(value))

    def _word(self, match: re.Match[str]) -> str:
        name = self._known[match[0]]
        return f"${{{name}}}" if name else "arn:${Partition}:"

    def statement(self, statement: Mapping[str, Any]) -> Statement:
        negated = "NotAction" in statement or "NotResource" in statement
        conditions = [
            f"{operator} {self.text(key)}: {', '.join(map(self.text, _listed(value)))}"
            for operator, tests in statement.get("Condition", {}).items()
            for key, value in tests.items()
        ]
        actions = _listed(statement.get("Action", statement.get("NotAction", [])))
        resources = _listed(statement.get("Resource", statement.get("NotResource", [])))
        return Statement(
            sid=str(statement.get("Sid", "")),
            effect=f"{statement['Effect']}{' all but' if negated else ''}",
            principals=tuple(map(self.text, _principals(statement))),
            actions=tuple(map(str, actions)),
            resources=tuple(map(self.text, resources)),
            conditions=tuple(conditions),
        )


def _principals(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal", {})
    if isinstance(named, str):
        return [named]
    return [str(one) for value in named.values() for one in _listed(value)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _cost(settings: Settings, mode: Mode) -> Cost:
    table, known = read_table(), deployable(settings)
    choices = CostChoices(settings, {FUNCTIONS_PARAMETER: "yes"}, usage(), mode=mode)
    prices = {region: Prices(table, region) for region in regions(table) if region in known}
    made = deployment(choices, DEFAULT_REGION)
    return Cost(
        estimates={region: of_deployment(made, choices, one) for region, one in prices.items()},
        options=tuple(savings(choices, prices[DEFAULT_REGION])),
        cdk_examples={region: cdk_example(one) for region, one in prices.items()},
        assumptions=tuple(choices.usage.assumptions.values()),
        as_of=str(table["as_of"]),
        terms=str(table["terms"]),
    )


def cost_data(cost: Cost) -> Json:
    """Return what the page's script needs to calculate costs, as plain values.

    Quantities are the same in every region, except for the lines' names; prices are by region.
    """
    first = next(iter(cost.estimates.values()))
    lines = []
    for number, line in enumerate(first.lines):
        prices = {region: one.lines[number].price for region, one in cost.estimates.items()}
        lines.append(
            {
                "part": line.part,
                "what": line.meter.what,
                "meter": line.meter.meter,
                "counted": line.meter.basis,
                "quantity": list(line.meter.quantity),
                "usd": {region: price.usd if price else 0 for region, price in prices.items()},
                "estimated": [
                    region
                    for region, price in prices.items()
                    if price and price.basis is Basis.ESTIMATED
                ],
            }
        )
    return {
        "lines": lines,
        "runs": list(first.runs),
        "cdk": dict(cost.cdk_examples),
        "levels": ["low", "typical", "high"],
    }
