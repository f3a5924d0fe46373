"""EC2 types that ministack lacks, and deletions that EC2 refuses.

Source: "AWS::EC2::SecurityGroupIngress", "::SecurityGroupEgress", "::FlowLog", "::VPC",
CloudFormation Template Reference; DependencyViolation in "Error codes", EC2 API Reference.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, now_iso
from ministack.services import ec2, lambda_svc
from ministack.services.cloudformation import provisioners

Fields = dict[str, Any]
Made = tuple[str, Fields]
Delete = Callable[[str, Fields], None]


def _identity(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def _rule_handlers(store: str, prefix: str) -> dict[str, Any]:
    """Return the handlers of one direction of security group rules."""

    def permission(props: Fields) -> Fields:
        rule: Fields = provisioners._ec2_sg_permissions([props])[0]
        targets = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
        if not any(rule[target] for target in targets):
            raise ValueError("InvalidParameterValue: a rule needs exactly one peer")
        return rule

    def group(props: Fields) -> Fields:
        found: Fields | None = ec2._security_groups.get(props["GroupId"])
        if found is None:
            raise ValueError(f"InvalidGroup.NotFound: {props['GroupId']} does not exist")
        return found

    def create(_logical_id: str, props: Fields, _stack: str) -> Made:
        rule = permission(props)
        for pair in rule["UserIdGroupPairs"]:
            if pair.get("GroupId") not in ec2._security_groups:
                raise ValueError(f"InvalidGroup.NotFound: {pair.get('GroupId')} does not exist")
            pair.setdefault("UserId", get_account_id())
        rules = group(props)[store]
        if rule in rules:
            raise ValueError("InvalidPermission.Duplicate: the rule already exists")
        rules.append(rule)
        identity = _identity(prefix)
        return identity, {"Id": identity}

    def update(_pid: str, old: Fields, new: Fields, stack: str) -> Made:
        made = create("", new, stack)
        provisioners._delete_predecessor(delete, "", old)
        return made

    def delete(_pid: str, props: Fields) -> None:
        found = ec2._security_groups.get(props["GroupId"])
        if found is None:
            return
        rule = permission(props)
        for pair in rule["UserIdGroupPairs"]:
            pair.setdefault("UserId", get_account_id())
        if rule in found[store]:
            found[store].remove(rule)

    return {"create": create, "update": update, "delete": delete}


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
    """Tags change in place; everything else replaces."""
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
    """Keep an endpoint's policy as the text that DescribeVpcEndpoints answers."""
    name = "AWS::EC2::VPCEndpoint"
    stock = dict(provisioners._RESOURCE_HANDLERS[name])

    def textual(props: Fields) -> Fields:
        policy = props.get("PolicyDocument")
        taken = props.get("PrivateDnsEnabled", False)
        text = {"PolicyDocument": json.dumps(policy)} if isinstance(policy, dict) else {}
        return props | text | {"PrivateDnsEnabled": str(taken).lower() == "true"}

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        for group in props.get("SecurityGroupIds", []):
            if group not in ec2._security_groups:
                raise ValueError(f"InvalidSecurityGroupID.NotFound: {group}")
        _refuse_second_private_name(props)
        made: Made = stock["create"](logical_id, textual(props), stack)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str) -> Made:
        fixed = ("ServiceName", "VpcId", "VpcEndpointType")
        if any(old.get(key) != new.get(key) for key in fixed):
            return create("", new, stack)
        made: Made = stock["update"](pid, textual(old), textual(new), stack)
        return made

    provisioners._RESOURCE_HANDLERS[name] = stock | {"create": create, "update": update}


def _refuse_second_private_name(props: Fields) -> None:
    """One private DNS name can exist once a VPC."""
    if str(props.get("PrivateDnsEnabled", False)).lower() != "true":
        return
    for endpoint in ec2._vpc_endpoints.values():
        same = all(endpoint[key] == props.get(key) for key in ("VpcId", "ServiceName"))
        if same and endpoint["PrivateDnsEnabled"]:
            raise ValueError(f"conflicting DNS domain for {props['ServiceName']}")


def _users_of_group(group_id: str) -> list[str]:
    """Return what still uses a security group: rules of others, endpoints and functions."""
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
    """Return what still has network interfaces in a subnet: endpoints and functions."""
    found = [e for e, v in ec2._vpc_endpoints.items() if subnet_id in v["SubnetIds"]]
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


def refuse_deletion_while_used() -> None:
    """Refuse with DependencyViolation, as EC2 does, so that a wrong order of deletion shows."""
    for name, users in (
        ("AWS::EC2::SecurityGroup", _users_of_group),
        ("AWS::EC2::Subnet", _users_of_subnet),
        ("AWS::EC2::RouteTable", _users_of_table),
    ):
        stock = dict(provisioners._RESOURCE_HANDLERS[name])
        deletion = _refusing(stock["delete"], users)
        provisioners._RESOURCE_HANDLERS[name] = stock | {"delete": deletion}


def _refusing(delete: Delete, users: Callable[[str], list[str]]) -> Delete:
    def handle(physical_id: str, props: Fields) -> None:
        found = users(physical_id)
        if found:
            text = f"resource {physical_id} has a dependent object: {', '.join(found)}"
            raise RuntimeError(f"DependencyViolation: {text}")
        delete(physical_id, props)

    return handle


def register() -> None:
    """Register the missing types and complete the others."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::EC2::SecurityGroupIngress"] = _rule_handlers("IpPermissions", "sgr")
    handlers["AWS::EC2::SecurityGroupEgress"] = _rule_handlers("IpPermissionsEgress", "sgr")
    handlers["AWS::EC2::FlowLog"] = {
        "create": _flow_log_create,
        "update": _flow_log_update,
        "delete": _flow_log_delete,
    }
    provisioners._STACK_TAG_PROPERTY["AWS::EC2::FlowLog"] = ("Tags", "list")
    add_vpc_attributes()
    keep_endpoint_policies()
    refuse_deletion_while_used()
