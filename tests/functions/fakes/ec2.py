"""EC2 in memory: the default security groups of VPCs, and AWS's prefix lists."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.functions.fakes.wire import ApiError, Backend, Fields
from tests.functions.recorder import REGION

ANYWHERE: Fields = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@dataclass
class Group:
    """One security group."""

    group_id: str
    vpc_id: str
    name: str
    inward: list[Fields] = field(default_factory=list)
    outward: list[Fields] = field(default_factory=lambda: [ANYWHERE])


class FakeEc2(Backend):
    """Security groups and prefix lists, found by filters."""

    def __init__(self, *groups: Group) -> None:
        super().__init__()
        self.groups = {group.group_id: group for group in groups}
        self.prefix_lists = {
            f"com.amazonaws.{REGION}.{service}": f"pl-{number}"
            for number, service in enumerate(("dynamodb", "s3"))
        }

    def describe_managed_prefix_lists(self, p: Fields) -> Fields:
        wanted = _values(p["Filters"], "prefix-list-name")
        found = [
            {"PrefixListId": identity, "PrefixListName": name}
            for name, identity in self.prefix_lists.items()
            if name in wanted
        ]
        # AWS may answer with an empty page and a token for the next one.
        return (
            {"PrefixLists": found} if "NextToken" in p else {"PrefixLists": [], "NextToken": "more"}
        )

    def describe_security_groups(self, p: Fields) -> Fields:
        vpcs, names = _values(p["Filters"], "vpc-id"), _values(p["Filters"], "group-name")
        found = [
            {
                "GroupId": group.group_id,
                "VpcId": group.vpc_id,
                "GroupName": group.name,
                "IpPermissions": group.inward,
                "IpPermissionsEgress": group.outward,
            }
            for group in self.groups.values()
            if group.vpc_id in vpcs and group.name in names
        ]
        return {"SecurityGroups": found}

    def revoke_security_group_ingress(self, p: Fields) -> Fields:
        return self._revoke(self.groups[p["GroupId"]].inward, p["IpPermissions"])

    def revoke_security_group_egress(self, p: Fields) -> Fields:
        return self._revoke(self.groups[p["GroupId"]].outward, p["IpPermissions"])

    @staticmethod
    def _revoke(rules: list[Fields], revoked: list[Fields]) -> Fields:
        if any(rule not in rules for rule in revoked):
            raise ApiError("InvalidPermission.NotFound", "The rule does not exist")
        for rule in revoked:
            rules.remove(rule)
        return {"Return": True}


def _values(filters: list[Fields], name: str) -> list[str]:
    return [value for one in filters if one["Name"] == name for value in one["Values"]]
