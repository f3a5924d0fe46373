"""Properties of ``Custom::VpcBaseline``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VpcBaselineProperties:
    """The VPC whose default security group to close, if any, and the gateway service (``s3``)."""

    vpc_id: str = ""
    service: str
