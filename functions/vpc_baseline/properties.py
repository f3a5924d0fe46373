"""Properties of ``Custom::VpcBaseline``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VpcBaselineProperties:
    """The VPC whose default security group to close, and the gateway service (``s3``)."""

    vpc_id: str
    service: str
