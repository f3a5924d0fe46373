"""Settings of an existing VPC: what contradicts what, in one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.settings import read
from generator.settings_section import SettingsError

IN_VPC = """[network]
vpc = "vpc-0a1b2c3d"
subnets = ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]
s3_endpoint = "vpce-0a1b2c3d"
endpoint_security_groups = ["sg-0a1b2c3d"]
"""

MISTAKES = {
    "a VPC and a range": (IN_VPC + "cidr = '10.0.0.0/16'", ["network", "cidr", "vpc is set"]),
    "a VPC and zones": (IN_VPC + "zones = 2", ["network", "zones", "use subnets"]),
    "a VPC and a profile of endpoints": (
        IN_VPC + "interface_endpoints = 'minimal'",
        ["interface_endpoints", "use create_endpoints"],
    ),
    "a VPC without subnets": ("[network]\nvpc = 'vpc-0a1b2c3d'", ["subnets has 0 of at least 2"]),
    "subnets without a VPC": (
        "[network]\nsubnets = ['subnet-0a1b2c3d']",
        ["subnets is for an existing VPC", "vpc is empty"],
    ),
    "the same subnet twice": (
        "[network]\nsubnets = ['subnet-0a1b2c3d', 'subnet-0a1b2c3d']",
        ["network.subnets", "twice"],
    ),
    "a VPC's name": ("[network]\nvpc = 'main'", ["network.vpc", "'main'", "vpc-0a1b2c3d"]),
    "a subnet's name": ("[network]\nsubnets = ['a']", ["network.subnets.0", "'a'", "subnet-0a"]),
    "no way to S3": (IN_VPC.replace("s3_endpoint", "#"), ["set s3_endpoint, or add s3"]),
    "two ways to S3": (IN_VPC + "create_endpoints = ['s3']", ["s3_endpoint", "remove one"]),
    "no route to S3": (
        IN_VPC.replace("s3_endpoint", "#") + "create_endpoints = ['s3']",
        ["route_tables must name"],
    ),
    "a route to nothing": (
        IN_VPC + "route_tables = ['rtb-0a1b2c3d']",
        ["route_tables", "create_endpoints has no s3"],
    ),
    "no way to SageMaker": (
        IN_VPC.replace("endpoint_security_groups", "#"),
        ["Studio and our functions need sagemaker.api", "endpoint_security_groups"],
    ),
    "rules for nobody": (
        IN_VPC.replace("endpoint_security_groups", "#")
        + "create_endpoints = ['sagemaker.api', 'sagemaker.runtime']\nadd_endpoint_rules = true\n"
        + "created_endpoint_clients = ['10.0.0.0/16']",
        ["add_endpoint_rules needs endpoint_security_groups"],
    ),
    "an endpoint without clients": (
        IN_VPC + "create_endpoints = ['sts']",
        ["created_endpoint_clients must have the VPC's ranges", "sts"],
    ),
    "clients of nothing": (
        IN_VPC + "created_endpoint_clients = ['10.0.0.0/16']",
        ["created_endpoint_clients", "there are none"],
    ),
    "clients without a range": (
        IN_VPC + "created_endpoint_clients = ['all']",
        ["created_endpoint_clients", "'all'", "10.38.0.0/16"],
    ),
    "an unknown endpoint to create": (
        IN_VPC + "create_endpoints = ['nat']",
        ["network.create_endpoints", "nat is not one of s3, "],
    ),
    "more zones of endpoints than subnets": (
        IN_VPC + "endpoint_zones = 3",
        ["endpoint_zones (3)", "subnets (2)"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_setting(mistake: str, tmp_path: Path) -> None:
    text, words = MISTAKES[mistake]
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        read(file)
    message = str(raised.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_what_is_there_and_what_is_created_go_together(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        IN_VPC
        + "create_endpoints = ['sts']\nadd_endpoint_rules = true\n"
        + "created_endpoint_clients = ['10.0.0.0/16']\n"
    )
    network = read(file).network
    assert network.is_existing
    assert network.policed == frozenset()
