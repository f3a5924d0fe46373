"""The deployed account as IAM sees it: who has which policies, and what guards each resource.

A `Request` is one action on one resource by one principal, as AWS authorizes it. `Account` adds
all policies that decide on it and asks the simulator. Two things the simulator lacks are done
here, the same way in policies and requests: a condition key that it drops is replaced by a
stand-in of the same type (`STAND_INS`), and the variables of Studio's users are filled in.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from generator.cfn.identifiers import StackLocation
from pipeline.types import Json
from tests.iam.simulator import Verdict, simulate

STAND_INS: Final = {
    "kms:EncryptionContext:aws:logs:arn": "aws:SourceArn",
    "lambda:SourceFunctionArn": "aws:SourceArn",
}
"""Keys that the simulator does not know; no statement that has one also asks for the stand-in."""

PROFILE: Final = "data-scientist"
ALL: Final[Json] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
"""What AdministratorAccess says."""

PUBLIC_REPOSITORY: Final[Json] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": "*",
        }
    ],
}
"""What AWS's own repositories let every account do."""

Context = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Request:
    """One action on one resource.

    `who` is a role's name (`known_as`), a service's principal name or an ARN. `via`
    is the logical id of the VPC endpoint that the request comes through; without one it comes from
    outside the VPC. `extra` are policies attached to the caller besides its own, as by mistake.
    """

    who: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    via: str = ""
    extra: tuple[Json, ...] = ()
    """Policies of the caller besides its own."""
    bare: bool = False
    """Without all policies of the deployment: what `extra` alone permits."""
    guard: Json | None = None
    """The policy of a resource that is not ours."""

    def but(self, **changes: Any) -> Request:
        """Return the request with other fields; `context` is added to the one that is there."""
        if "context" in changes:
            merged = {**self.context, **changes["context"]}
            changes["context"] = {key: value for key, value in merged.items() if value is not None}
        return replace(self, **changes)

    def __str__(self) -> str:
        return f"{self.who}: {self.action} on {self.resource}"


@dataclass(frozen=True)
class Document:
    """One policy: `kind` is identity, key, bucket, queue, topic, trust or endpoint."""

    kind: str
    owner: str
    """The policy of roles, or what it guards, by logical id."""
    policy: Json
    """As the simulator reads it, with stand-ins."""
    written: Json
    """As the template has it."""
    roles: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.owner}"


@dataclass(frozen=True)
class Account:
    """All policies of one deployment, and what they are attached to."""

    deployment: ResolvedDeployment
    documents: Mapping[str, Document]
    boundary: Json | None = None

    @property
    def place(self) -> StackLocation:
        return self.deployment.place

    @property
    def roles(self) -> dict[str, ResolvedResource]:
        """The roles by name (`known_as`)."""
        return {known_as(role): role for role in self.deployment.of_type("AWS::IAM::Role")}

    @classmethod
    def of(
        cls,
        deployment: ResolvedDeployment,
        boundary: Json | None = None,
        own_key: Json | None = None,
    ) -> Account:
        """Collect the policies of a deployment.

        `boundary` is what the organisation's policy says; it counts for the roles that name one.
        `own_key` is the policy of its own key, where the stack makes none.
        """
        documents = {document.name: document for document in _documents(deployment)}
        if own_key:
            documents["key/Key"] = _document("key", "Key", own_key)
        return cls(deployment, documents, boundary)

    @property
    def key_arn(self) -> str:
        """The key's ARN, whoever made it."""
        return str(self.deployment.parameters["storage"]["KeyArn"])

    def without(self, name: str, statement: int, **parts: Any) -> Account:
        """Return the account with a part of one statement replaced, or removed if it is empty."""
        document = self.documents[name]
        policy = copy.deepcopy(document.policy)
        changed = {**policy["Statement"][statement], **parts}
        policy["Statement"][statement] = {k: v for k, v in changed.items() if v is not None}
        if not changed.get("Action") or not changed.get("Resource", True):
            del policy["Statement"][statement]
        documents = {**self.documents, name: replace(document, policy=policy)}
        return replace(self, documents=documents)

    def role_arn(self, who: str) -> str:
        role, place = self.roles[who], self.place
        path = role.properties.get("Path", "/")
        return f"arn:{place.partition}:iam::{place.account}:role{path}{role.reference}"

    def ask(self, requests: Sequence[Request]) -> list[Verdict]:
        """Return the verdict on each request."""
        return simulate([self.simulation(request) for request in requests])

    def simulation(self, request: Request) -> Json:
        """Return what the simulator takes for a request."""
        guard = self.guard(request)
        endpoint = self.documents.get(f"endpoint/{request.via}")
        account = self._account_of(request)
        simulation: Json = {
            "request": {
                "principal": self._principal(request),
                "action": request.action,
                "resource": {"resource": request.resource, "accountId": account},
                "contextVariables": self._context(request, account),
            },
            "identityPolicies": self._identity(request),
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }
        if guard:
            simulation["resourcePolicy"] = guard
        if endpoint and not request.bare:
            simulation["vpcEndpointPolicies"] = [{"name": endpoint.name, "policy": endpoint.policy}]
        if self._bounded(request):
            simulation["permissionBoundaryPolicies"] = [
                {"name": "boundary", "policy": self.boundary}
            ]
        filled: Json = json.loads(_fill_in(json.dumps(simulation)))
        return filled

    def _is_role(self, who: str) -> bool:
        return who in self.roles

    def _bounded(self, request: Request) -> bool:
        if self.boundary is None or request.bare or not self._is_role(request.who):
            return False
        return "PermissionsBoundary" in self.roles[request.who].properties

    def _principal(self, request: Request) -> str:
        if not self._is_role(request.who):
            return request.who
        name, place = self.roles[request.who].reference, self.place
        return f"arn:{place.partition}:sts::{place.account}:assumed-role/{name}/session"

    def _identity(self, request: Request) -> list[Json]:
        own = [] if request.bare else self.documents.values()
        named = [(one.name, one.policy) for one in own if request.who in one.roles]
        named += [(f"extra/{number}", policy) for number, policy in enumerate(request.extra)]
        return [{"name": name, "policy": policy} for name, policy in named]

    def _account_of(self, request: Request) -> str:
        """Return the account that a resource is in; a bucket's ARN does not say, its name does."""
        parts = request.resource.split(":")
        if request.context.get("aws:ResourceAccount"):
            return str(request.context["aws:ResourceAccount"])
        return parts[4] if len(parts) > 4 and parts[4] else self.place.account

    def _context(self, request: Request, account: str) -> dict[str, str | list[str]]:
        service = request.action.partition(":")[0]
        context: dict[str, str | list[str]] = {
            "aws:SecureTransport": "true",
            "aws:ViaAWSService": "false",
            "aws:ResourceAccount": account,
        }
        if request.resource == "*":
            del context["aws:ResourceAccount"]
        if service == "s3":
            context["s3:TlsVersion"] = "1.3"
        if self._is_role(request.who):
            context["aws:PrincipalArn"] = self.role_arn(request.who)
            context["aws:PrincipalAccount"] = self.place.account
            context["aws:PrincipalIsAWSService"] = "false"
        elif request.who.startswith("arn:"):
            context["aws:PrincipalArn"] = request.who
            context["aws:PrincipalAccount"] = request.who.split(":")[4]
            context["aws:PrincipalIsAWSService"] = "false"
        else:
            context["aws:PrincipalIsAWSService"] = "true"
        if request.via:
            context["aws:SourceVpce"] = self.deployment.get("network", request.via).reference
        given = {STAND_INS.get(key, key): value for key, value in request.context.items()}
        return {**context, **given}

    def guard(self, request: Request) -> Json | None:
        """Return the policy of the resource, of whichever kind it has."""
        if request.guard is not None:
            return request.guard
        if request.bare:
            return None
        if ":repository/" in request.resource and self.place.account not in request.resource:
            return PUBLIC_REPOSITORY
        for kind, owner in _guards(self.deployment, request):
            if document := self.documents.get(f"{kind}/{owner}"):
                return document.policy
        if request.action.startswith("kms:"):
            return _trusting(request.resource.split(":")[4])
        return None


def known_as(resource: ResolvedResource) -> str:
    """Return a resource's logical id, with the stack if several have the same template or ids."""
    own = resource.stack[:1].isupper() or resource.stack == "manager"
    return str(resource) if own else resource.logical_id


def _trusting(account: str) -> Json:
    """Return the default policy of a key, which leaves all to IAM of its account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _guards(deployment: ResolvedDeployment, request: Request) -> Iterator[tuple[str, str]]:
    """Yield the kinds and owners whose policies guard the request's resource."""
    if request.resource == deployment.parameters["storage"]["KeyArn"]:
        yield "key", "Key"
    kinds = {
        "AWS::S3::Bucket": "bucket",
        "AWS::SNS::Topic": "topic",
        "AWS::SQS::Queue": "queue",
    }
    name = request.resource.rpartition(":")[2]
    for resource in deployment:
        if (
            resource.type in kinds
            and name.partition("/")[0] == (resource.reference.rpartition(":")[2].rpartition("/")[2])
        ):
            yield kinds[resource.type], known_as(resource)
        assumed = name.rpartition("/")[2] if name.startswith("role/") else ""
        if request.action.startswith("sts:") and assumed == resource.reference:
            yield "trust", known_as(resource)


def _documents(deployment: ResolvedDeployment) -> Iterator[Document]:
    yield from _of_roles(deployment)
    for key in deployment.of_type("AWS::KMS::Key"):
        if "KeyPolicy" in key.properties:
            yield _document("key", "Key", key.properties["KeyPolicy"])
    for kind, service in (("Bucket", "S3"), ("Queue", "SQS"), ("Topic", "SNS")):
        for guard in deployment.of_type(f"AWS::{service}::{kind}Policy"):
            owner = known_as(guard).removesuffix("Policy")
            yield _document(kind.lower(), owner, guard.properties["PolicyDocument"])
    for endpoint in deployment.of_type("AWS::EC2::VPCEndpoint"):
        if "PolicyDocument" in endpoint.properties:
            policy = endpoint.properties["PolicyDocument"]
            yield _document("endpoint", endpoint.logical_id, policy)


def _of_roles(deployment: ResolvedDeployment) -> Iterator[Document]:
    """Yield the trust of roles, and their rights, which are policies of their own."""
    names = {role.reference: known_as(role) for role in deployment.of_type("AWS::IAM::Role")}
    attached: dict[str, list[str]] = defaultdict(list)
    for role in deployment.of_type("AWS::IAM::Role"):
        yield _document("trust", known_as(role), role.properties["AssumeRolePolicyDocument"])
        for policy in role.properties.get("ManagedPolicyArns", []):
            attached[policy].append(role.reference)
    for kind in ("RolePolicy", "ManagedPolicy"):
        for rights in deployment.of_type(f"AWS::IAM::{kind}"):
            properties = rights.properties
            own = [properties["RoleName"]] if "RoleName" in properties else []
            roles = [*own, *properties.get("Roles", []), *attached[rights.reference]]
            yield _document(
                "identity",
                known_as(rights),
                properties["PolicyDocument"],
                [names[role] for role in roles],
            )


def _document(kind: str, owner: str, policy: Json, roles: Sequence[str] = ()) -> Document:
    text = json.dumps(policy)
    for key, stand_in in STAND_INS.items():
        text = text.replace(f'"{key}"', f'"{stand_in}"')
    return Document(kind, owner, json.loads(text), policy, tuple(roles))


def _fill_in(text: str) -> str:
    return text.replace("${sagemaker:UserProfileName}", PROFILE)
