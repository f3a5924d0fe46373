"""An SDK that asks no account: set before it is imported, since it reads a region then."""

from __future__ import annotations

import os

from tests.pipeline.conftest import environment

__all__ = ["environment"]

os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"  # it would simulate the role's policies with IAM
