"""A stack as a graph: its resources, what acts on what, and inputs from other stacks.

Small resources (policies, log groups, associations) are shown inside the resource they belong to.
Arrows follow the flow: a function serves its custom resource, which acts on a bucket; a rule sends
to a topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.expressions import nested_stacks, references
from generator.emit import as_dict
from pipeline.types import JsonView
from tabular_ml_vpc.reports.diagram.model import ENDPOINT, words

FOLDED: Final[Mapping[str, str]] = {
    "AWS::CodeArtifact::PackageGroup": "package group",
    "AWS::IAM::RolePolicy": "policy",
    "AWS::KMS::Alias": "alias",
    "AWS::S3::BucketPolicy": "policy",
    "AWS::SNS::TopicPolicy": "policy",
    "AWS::SQS::QueuePolicy": "policy",
    "AWS::Logs::LogGroup": "log group",
    "AWS::EC2::SubnetRouteTableAssociation": "association",
    "AWS::EC2::SecurityGroupEgress": "rule",
    "AWS::EC2::SecurityGroupIngress": "rule",
}
"""Types shown in the box of the resource they belong to, and their label there."""
FLIPPED: Final = (
    ("Custom::", "ServiceToken"),
    ("AWS::SNS::Subscription", "TopicArn"),
    ("AWS::Events::Rule", "EventPattern"),
)
"""References that point against the flow: by type and property."""
ELSEWHERE: Final = ("DataBucket", "LogBucket", "DomainId", "VpcId")
"""Outputs of other stacks that get a box; the rest (key, roles, subnets) is used everywhere."""
RIGHTS: Final = ("AssumeRolePolicyDocument", "KeyPolicy", "PolicyDocument")
"""Properties that define permissions, not actions."""
ALIKE: Final = 5
"""Most nested stacks with the same template that get a box each."""
EVERYWHERE: Final = ("AWS::KMS::Key",)
"""Types that everything refers to; arrows to them would clutter the picture."""


@dataclass(frozen=True)
class GraphNode:
    """A box: a resource with those shown inside it, or an output of another stack."""

    id: str
    type: str
    title: str
    notes: tuple[str, ...] = ()
    elsewhere: str = ""
    """The other stack, for one of its outputs."""


@dataclass(frozen=True)
class Graph:
    """Boxes and arrows of one stack."""

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[str, str], ...]

    def isolated(self) -> list[GraphNode]:
        """Return the nodes without arrows."""
        touched = {name for edge in self.edges for name in edge}
        return [node for node in self.nodes if node.id not in touched]


def stack_graph(name: str, templates: Mapping[str, Any]) -> Graph:
    """Return the graph of one of the stacks from ``generator.stacks.root.build``."""
    template = as_dict(templates[name])
    resources: JsonView = template["Resources"]
    origins = _origins(name, as_dict(templates["root"]))
    owners = dict(_owners(resources))
    edges = dict.fromkeys(_edges(resources, owners, origins))
    outside = [name for name in dict.fromkeys(end for e in edges for end in e) if name in origins]
    nodes = [
        GraphNode(
            logical_id, resource["Type"], words(logical_id), _notes(logical_id, resources, owners)
        )
        for logical_id, resource in resources.items()
        if logical_id not in owners
    ]
    nodes += [
        GraphNode(parameter, "", words(parameter.removesuffix("Id")), (), origins[parameter])
        for parameter in outside
    ]
    return Graph(name, tuple(nodes), tuple(edges))


def root_graph(templates: Mapping[str, Any]) -> Graph:
    """Return the nested stacks in order of creation, without redundant arrows."""
    root = as_dict(templates["root"])
    files = nested_stacks(root)
    alike = Counter(files.values())
    resources = _few(root["Resources"], files, alike)
    needs = {name: _direct(name, resource, resources) for name, resource in resources.items()}
    edges = [
        (needed, name)
        for name, wanted in needs.items()
        for needed in sorted(wanted, key=list(resources).index)
        if not any(needed in _all(other, needs) for other in wanted if other != needed)
    ]
    nodes = []
    for name, resource in resources.items():
        made = as_dict(templates[files[name]])
        counts = (f"{len(made['Resources'])} resources", f"{len(made.get('Outputs', {}))} outputs")
        count = alike[files[name]]
        title = words(name) if count <= ALIKE else f"{count} pipeline stacks"
        nodes.append(GraphNode(name, resource["Type"], title, counts))
    return Graph("root", tuple(nodes), tuple(edges))


def _few(resources: JsonView, files: Mapping[str, str], alike: Mapping[str, int]) -> JsonView:
    """Return nested stacks, of many that share a template only the first."""
    first = {file: name for name, file in reversed(list(files.items()))}
    return {
        name: resource
        for name, resource in resources.items()
        if alike[files[name]] <= ALIKE or first[files[name]] == name
    }


def _origins(name: str, root: JsonView) -> dict[str, str]:
    """Return the stack's parameters that come from other stacks, with the stack's name."""
    given = (
        root["Resources"][logical_id]["Properties"].get("Parameters", {})
        for logical_id, file in nested_stacks(root).items()
        if file == name
    )
    return {
        parameter: words(found.removesuffix("Stack")).lower()
        for parameters in given
        for parameter, value in parameters.items()
        for found in references(value)
        if parameter in ELSEWHERE and found.endswith("Stack")
    }


def _owners(resources: JsonView) -> Iterator[tuple[str, str]]:
    """Yield each resource shown inside another one, with that one."""
    for name, resource in resources.items():
        if resource["Type"] in FOLDED and (owner := _owner(name, resource, resources)):
            yield name, owner


def _owner(name: str, resource: JsonView, resources: JsonView) -> str | None:
    """Return the first resource that needs it, or else the one that it refers to."""
    able = [one for one in resources if resources[one]["Type"] not in FOLDED]
    for other in able:
        wanted = resources[other].get("DependsOn", [])
        if name in ([wanted] if isinstance(wanted, str) else wanted):
            return other
    for other in able:
        if name in references(resources[other].get("Properties", {})):
            return other
    about = [one for one in references(resource.get("Properties", {})) if one in able]
    return about[0] if about else None


def _notes(owner: str, resources: JsonView, owners: Mapping[str, str]) -> tuple[str, ...]:
    """Return the resources shown inside another one, counted: ``2 policies``, ``log group``."""
    trusted = resources[owner].get("Properties", {}).get("AssumeRolePolicyDocument")
    who = (
        [f"assumed by {service.partition('.')[0]}" for service in _services(trusted)]
        if trusted
        else []
    )
    kinds = [FOLDED[resources[name]["Type"]] for name, one in owners.items() if one == owner]
    return (*who, *_counted(kinds))


def _services(document: JsonView) -> list[str]:
    """Return the services that a trust policy names, without duplicates."""
    named = [statement["Principal"].get("Service", []) for statement in document["Statement"]]
    flat = [one for item in named for one in ([item] if isinstance(item, str) else item)]
    return list(dict.fromkeys(flat))


def _counted(kinds: list[str]) -> tuple[str, ...]:
    return tuple(
        kind if kinds.count(kind) == 1 else f"{kinds.count(kind)} {_plural(kind)}"
        for kind in dict.fromkeys(kinds)
    )


def _plural(kind: str) -> str:
    return f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"


def _edges(
    resources: JsonView, owners: Mapping[str, str], origins: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, resource in resources.items():
        if resource["Type"] in FOLDED or resource["Type"] == ENDPOINT:
            continue
        for key, value in resource.get("Properties", {}).items():
            for found in references(value) if key not in RIGHTS else ():
                other = owners.get(found, found)
                if other != name and _is_drawn(other, resources, origins):
                    yield (other, name) if _is_flipped(resource, key) else (name, other)


def _is_drawn(name: str, resources: JsonView, origins: Mapping[str, str]) -> bool:
    return name in origins or (name in resources and resources[name]["Type"] not in EVERYWHERE)


def _is_flipped(resource: JsonView, key: str) -> bool:
    return any(resource["Type"].startswith(kind) and key == name for kind, name in FLIPPED)


def _direct(name: str, resource: JsonView, resources: JsonView) -> set[str]:
    found = set(references(resource["Properties"]))
    return {other for other in found if other in resources and other != name}


def _all(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Return everything that a stack needs, directly or indirectly."""
    found = set(needs[name])
    for other in needs[name]:
        found |= _all(other, needs)
    return found
