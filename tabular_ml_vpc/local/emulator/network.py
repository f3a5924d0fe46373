"""EC2 types that ministack lacks, and deletions that EC2 rejects.

Source: "AWS::EC2::SecurityGroupIngress", "::SecurityGroupEgress", "::FlowLog", "::VPC",
CloudFormation Template Reference; DependencyViolation in "Error codes", EC2 API Reference.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region, now_iso
from ministack.services import ec2, lambda_svc
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.types import Fields, Made

Delete = Callable[[str, Fields], None]

PEERS = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def _identity(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


@dataclass(frozen=True)
class SecurityGroupRules:
    """The handlers of one direction of security group rules; `store` is ministack's list."""

    store: str

    def create(self, _logical_id: str, props: Fields, _stack: str) -> Made:
        """Add the rule; raises if it exists, or if a group does not."""
        rule = self._permission(props)
        for pair in rule["UserIdGroupPairs"]:
            self._group(pair.get("GroupId", ""))
        rules = self._group(props["GroupId"])[self.store]
        if rule in rules:
            raise ValueError("InvalidPermission.Duplicate: the rule already exists")
        rules.append(rule)
        identity = _identity("sgr")
        return identity, {"Id": identity}

    def update(self, _pid: str, old: Fields, new: Fields, stack: str) -> Made:
        """Replace the rule; the cleanup deletes the old one."""
        made = self.create("", new, stack)
        provisioners._delete_predecessor(self.delete, "", old)
        return made

    def delete(self, _pid: str, props: Fields) -> None:
        """Remove the rule, if its group still exists."""
        group = ec2._security_groups.get(props["GroupId"])
        rule = self._permission(props)
        if group is not None and rule in group[self.store]:
            group[self.store].remove(rule)

    @staticmethod
    def _permission(props: Fields) -> Fields:
        rule: Fields = provisioners._ec2_sg_permissions([props])[0]
        if not any(rule[peer] for peer in PEERS):
            raise ValueError("InvalidParameterValue: a rule needs a peer")
        for pair in rule["UserIdGroupPairs"]:
            pair.setdefault("UserId", get_account_id())
        return rule

    @staticmethod
    def _group(group_id: str) -> Fields:
        found: Fields | None = ec2._security_groups.get(group_id)
        if found is None:
            raise ValueError(f"InvalidGroup.NotFound: {group_id} does not exist")
        return found

    def handlers(self) -> dict[str, Any]:
        """Return the handlers for ministack to register."""
        return {"create": self.create, "update": self.update, "delete": self.delete}


def _flow_log_create(_logical_id: str, props: Fields, _stack: str) -> Made:
    identity = _identity("fl")
    destination = props.get("LogDestination") or props.get("LogGroupName", "")
    ec2._flow_logs[identity] = {
        "FlowLogId": identity,
        "ResourceId": props["ResourceId"],
        "ResourceType": props["ResourceType"],
        "TrafficType": props.get("TrafficType", "ALL"),
        "LogDestinationType": props.get("LogDestinationType", "cloud-watch-logs"),
        "LogDestination": destination,
        "DeliverLogsPermissionArn": props.get("DeliverLogsPermissionArn", ""),
        "FlowLogStatus": "ACTIVE",
        "CreationTime": now_iso(),
    }
    provisioners._ec2_apply_tags(identity, props)
    return identity, {"Id": identity}


def _flow_log_update(pid: str, old: Fields, new: Fields, stack: str) -> Made:
    """Update tags in place; any other change replaces the flow log."""
    if {k: v for k, v in old.items() if k != "Tags"} == {
        k: v for k, v in new.items() if k != "Tags"
    }:
        provisioners._ec2_apply_tags(pid, new, old)
        return pid, {"Id": pid}
    return _flow_log_create("", new, stack)


def _flow_log_delete(physical_id: str, _props: Fields) -> None:
    ec2._flow_logs.pop(physical_id, None)
    ec2._tags.pop(physical_id, None)


def add_vpc_attributes() -> None:
    """Add the attributes CidrBlock and VpcId of a VPC."""
    stock = dict(provisioners._RESOURCE_HANDLERS["AWS::EC2::VPC"])

    def with_attributes(handler: Callable[..., Made]) -> Callable[..., Made]:
        def handle(*args: Any) -> Made:
            identity, attributes = handler(*args)
            vpc = ec2._vpcs[identity]
            more = {
                "CidrBlock": vpc["CidrBlock"],
                "DefaultSecurityGroup": vpc["DefaultSecurityGroupId"],
            }
            return identity, {**attributes, **more}

        return handle

    changed = {name: with_attributes(stock[name]) for name in ("create", "update")}
    provisioners._RESOURCE_HANDLERS["AWS::EC2::VPC"] = stock | changed


def keep_endpoint_policies() -> None:
    """Keep an endpoint's policy as the text that DescribeVpcEndpoints returns."""
    name = "AWS::EC2::VPCEndpoint"
    stock = dict(provisioners._RESOURCE_HANDLERS[name])

    def textual(props: Fields) -> Fields:
        policy = props.get("PolicyDocument")
        enabled = props.get("PrivateDnsEnabled", False)
        text = {"PolicyDocument": json.dumps(policy)} if isinstance(policy, dict) else {}
        return props | text | {"PrivateDnsEnabled": str(enabled).lower() == "true"}

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        for group in props.get("SecurityGroupIds", []):
            if group not in ec2._security_groups:
                raise ValueError(f"InvalidSecurityGroupID.NotFound: {group}")
        _reject_second_private_name(props)
        made: Made = stock["create"](logical_id, textual(props), stack)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str) -> Made:
        fixed = ("ServiceName", "VpcId", "VpcEndpointType")
        if any(old.get(key) != new.get(key) for key in fixed):
            return create("", new, stack)
        made: Made = stock["update"](pid, textual(old), textual(new), stack)
        return made

    provisioners._RESOURCE_HANDLERS[name] = stock | {"create": create, "update": update}


def show_endpoint_details() -> None:
    """Add policy, security groups and private DNS names to DescribeVpcEndpoints."""
    stock = ec2._vpce_fields_xml

    def fields(endpoint: Fields, tag: str = "item") -> str:
        groups = "".join(
            f"<item><groupId>{group}</groupId></item>" for group in endpoint["SecurityGroupIds"]
        )
        policy = endpoint.get("PolicyDocument") or ""
        private = str(bool(endpoint["PrivateDnsEnabled"])).lower()
        more = (
            f"<groupSet>{groups}</groupSet><privateDnsEnabled>{private}</privateDnsEnabled>"
            f"<policyDocument>{escape(policy)}</policyDocument>"
        )
        shown: str = stock(endpoint, tag)
        end = f"</{tag}>"
        return shown.strip().removesuffix(end) + more + end

    ec2._vpce_fields_xml = fields


def add_vpc_of_security_groups() -> None:
    """Add `ec2:Vpc`, the VPC's ARN, to the context of requests about a security group.

    Source: "Actions, resources, and condition keys for Amazon EC2", Service Authorization
    Reference.
    """
    stock = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, params: Fields) -> Fields:
        found: Fields = stock(service, action, body, params)
        if service != "ec2":
            return found
        group = ec2._security_groups.get(iam_actions._query_param(params, "GroupId"))
        if not group:
            return found
        vpc = f"arn:aws:ec2:{get_region()}:{get_account_id()}:vpc/{group['VpcId']}"
        return found | {"ec2:Vpc": vpc}

    iam_actions.request_tag_context = context


def _reject_second_private_name(props: Fields) -> None:
    """Reject a private DNS name that the VPC already has."""
    if str(props.get("PrivateDnsEnabled", False)).lower() != "true":
        return
    for endpoint in ec2._vpc_endpoints.values():
        same = all(endpoint[key] == props.get(key) for key in ("VpcId", "ServiceName"))
        if same and endpoint["PrivateDnsEnabled"]:
            raise ValueError(f"conflicting DNS domain for {props['ServiceName']}")


def _users_of_group(group_id: str) -> list[str]:
    """Return what still uses a security group: other groups' rules, endpoints and functions."""
    found = [
        other
        for other, group in ec2._security_groups.items()
        if other != group_id
        for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"])
        if any(pair.get("GroupId") == group_id for pair in rule.get("UserIdGroupPairs", []))
    ]
    found += [e for e, v in ec2._vpc_endpoints.items() if group_id in v["SecurityGroupIds"]]
    return found + _functions_with("SecurityGroupIds", group_id)


def _users_of_subnet(subnet_id: str) -> list[str]:
    """Return what still has network interfaces in a subnet: endpoints, functions and others."""
    found = [e for e, v in ec2._vpc_endpoints.items() if subnet_id in v["SubnetIds"]]
    found += [e for e, v in ec2._network_interfaces.items() if v["SubnetId"] == subnet_id]
    return found + _functions_with("SubnetIds", subnet_id)


def _users_of_table(table_id: str) -> list[str]:
    table = ec2._route_tables.get(table_id, {})
    subnets = [item["SubnetId"] for item in table.get("Associations", []) if "SubnetId" in item]
    return subnets + [e for e, v in ec2._vpc_endpoints.items() if table_id in v["RouteTableIds"]]


def _functions_with(key: str, value: str) -> list[str]:
    return [
        name
        for name, function in lambda_svc._functions.items()
        if value in (function["config"].get("VpcConfig") or {}).get(key, [])
    ]


def reject_deletion_while_used() -> None:
    """Raise DependencyViolation, as EC2 does, so that tests find a wrong order of deletion."""
    for name, users in (
        ("AWS::EC2::SecurityGroup", _users_of_group),
        ("AWS::EC2::Subnet", _users_of_subnet),
        ("AWS::EC2::RouteTable", _users_of_table),
    ):
        stock = dict(provisioners._RESOURCE_HANDLERS[name])
        deletion = _checked(stock["delete"], users)
        provisioners._RESOURCE_HANDLERS[name] = stock | {"delete": deletion}


def _checked(delete: Delete, users: Callable[[str], list[str]]) -> Delete:
    def handle(physical_id: str, props: Fields) -> None:
        found = users(physical_id)
        if found:
            text = f"resource {physical_id} has a dependent object: {', '.join(found)}"
            raise RuntimeError(f"DependencyViolation: {text}")
        delete(physical_id, props)

    return handle


SERVICES = (
    *("sagemaker.api", "sagemaker.runtime", "cloudformation", "athena", "glue"),
    *("codeartifact.api", "codeartifact.repositories", "servicecatalog"),
    "application-autoscaling",
)
STUDIO = "studio"


def offer_more_endpoint_services() -> None:
    """List the endpoint services that the templates can use and ministack lacks.

    Studio's has an unusual name: ``aws.sagemaker.<region>.studio``.
    """
    ec2._VPCE_INTERFACE_SERVICES = (*ec2._VPCE_INTERFACE_SERVICES, *SERVICES, STUDIO)
    stock = ec2._ACTION_MAP["DescribeVpcEndpointServices"]

    def describe(params: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = stock(params)
        region = get_region()
        given = f"com.amazonaws.{region}.{STUDIO}<".encode()
        return status, headers, body.replace(given, f"aws.sagemaker.{region}.{STUDIO}<".encode())

    ec2._ACTION_MAP["DescribeVpcEndpointServices"] = describe


def register() -> None:
    """Register the missing types and complete the others."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::EC2::SecurityGroupIngress"] = SecurityGroupRules("IpPermissions").handlers()
    handlers["AWS::EC2::SecurityGroupEgress"] = SecurityGroupRules("IpPermissionsEgress").handlers()
    handlers["AWS::EC2::FlowLog"] = {
        "create": _flow_log_create,
        "update": _flow_log_update,
        "delete": _flow_log_delete,
    }
    provisioners._STACK_TAG_PROPERTY["AWS::EC2::FlowLog"] = ("Tags", "list")
    add_vpc_attributes()
    add_vpc_of_security_groups()
    keep_endpoint_policies()
    show_endpoint_details()
    reject_deletion_while_used()
    offer_more_endpoint_services()
