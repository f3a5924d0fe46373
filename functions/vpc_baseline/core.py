"""Tasks that CloudFormation cannot do: find a prefix list, close the default security group."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from functions.shared.errors import ResourceError, error_code

LOG = logging.getLogger(__name__)


def find_prefix_list(ec2: Any, service: str) -> str:
    """Return the id of AWS's own prefix list for a gateway service, such as ``s3``."""
    name = f"com.amazonaws.{ec2.meta.region_name}.{service}"
    pages = ec2.get_paginator("describe_managed_prefix_lists").paginate(
        Filters=[{"Name": "prefix-list-name", "Values": [name]}]
    )
    ids = [
        str(prefix_list["PrefixListId"]) for page in pages for prefix_list in page["PrefixLists"]
    ]
    if len(ids) != 1:
        raise ResourceError(f"Expected one prefix list {name} in this region, found {len(ids)}.")
    return ids[0]


def close_default_group(ec2: Any, vpc_id: str) -> None:
    """Remove every rule of the VPC's default security group; nothing of ours uses it.

    AWS creates the group with each VPC, with access from itself and to everywhere, and it cannot be
    deleted ("Default security groups for your VPCs").
    """
    groups = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc_id]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    if len(groups) != 1:
        raise ResourceError(
            f"Expected one default security group in VPC {vpc_id}, found {len(groups)}."
        )
    group_id, inbound = groups[0]["GroupId"], groups[0].get("IpPermissions", [])
    outbound = groups[0].get("IpPermissionsEgress", [])
    if inbound:
        _revoke(ec2.revoke_security_group_ingress, group_id, inbound)
    if outbound:
        _revoke(ec2.revoke_security_group_egress, group_id, outbound)
    LOG.info("%s: removed %d inbound and %d outbound rules", group_id, len(inbound), len(outbound))


def _revoke(revoke: Callable[..., Any], group_id: str, rules: list[dict[str, Any]]) -> None:
    """Remove rules; ignore those that an earlier delivery has already removed."""
    try:
        revoke(GroupId=group_id, IpPermissions=rules)
    except ClientError as error:
        if error_code(error) != "InvalidPermission.NotFound":
            raise
        if len(rules) > 1:  # AWS removes none if one is missing
            for rule in rules:
                _revoke(revoke, group_id, [rule])
