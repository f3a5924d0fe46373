"""Settings of a deployment into an existing VPC."""

from __future__ import annotations

from typing import Any, Final

from generator.settings import Settings

VPC: Final = "vpc-0a1b2c3d4e5f60718"
SUBNETS: Final = ("subnet-0a1b2c3d4e5f60718", "subnet-0a1b2c3d4e5f60719")
S3_ENDPOINT: Final = "vpce-0a1b2c3d4e5f60718"
GROUP: Final = "sg-0a1b2c3d4e5f60718"
RANGE: Final = "10.0.0.0/16"
ROUTE_TABLE: Final = "rtb-0a1b2c3d4e5f60718"

EXISTING: Final[dict[str, Any]] = {
    "vpc": VPC,
    "subnets": SUBNETS,
    "s3_endpoint": S3_ENDPOINT,
    "endpoint_security_groups": [GROUP],
}
"""Everything is there already."""
EXISTING_WITH_OURS: Final[dict[str, Any]] = {
    "vpc": VPC,
    "subnets": SUBNETS,
    "endpoint_security_groups": [GROUP],
    "add_endpoint_rules": True,
    "create_endpoints": ["s3", "sts", "sagemaker.studio"],
    "created_endpoint_clients": [RANGE],
    "route_tables": [ROUTE_TABLE],
    "created_endpoint_policy": "account",
    "endpoints_without_policy": ["sts"],
}
"""Some endpoints are created, and theirs get rules."""
STS: Final = {"create_endpoints": ["sts"], "created_endpoint_clients": [RANGE]}
"""One interface endpoint, which others in the VPC use, too."""


def settings(network: dict[str, Any] = EXISTING, **more: Any) -> Settings:
    """Return the settings."""
    return Settings.model_validate({"network": network, **more})
