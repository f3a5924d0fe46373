"""``Custom::VpcBaseline``: close a VPC's default security group, and find the S3 prefix list.

Event: ``VpcId``, ``Service`` (``s3``). Returns ``S3PrefixListId``. Without ``VpcId``, no group is
closed: the VPC is not ours. Delete does nothing: the group is deleted with its VPC. The function
runs outside the VPC, which has no EC2 endpoint.

Permissions:

- ``ec2:DescribeManagedPrefixLists``, ``ec2:DescribeSecurityGroups`` on ``*`` (no resource exists)
- ``ec2:RevokeSecurityGroupIngress``, ``ec2:RevokeSecurityGroupEgress`` on the account's security
  groups, with the condition ``ec2:Vpc`` = the VPC (only with ``VpcId``)
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.shared.custom_resource import (
    Attributes,
    Deletes,
    Event,
    LambdaContext,
    Request,
    serve,
)
from functions.shared.properties import from_event
from functions.vpc_baseline.core import close_default_group, find_prefix_list
from functions.vpc_baseline.properties import VpcBaselineProperties


def handler(event: Event, context: LambdaContext) -> None:
    """Handle one event from CloudFormation."""
    serve(event, context, _act, Deletes.NONE)


def _act(request: Request) -> Attributes:
    properties = from_event(VpcBaselineProperties, request.properties)
    ec2 = request.client("ec2")
    if properties.vpc_id:
        close_default_group(ec2, properties.vpc_id)
    return {"S3PrefixListId": find_prefix_list(ec2, properties.service)}
