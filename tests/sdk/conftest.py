"""An SDK that asks no account: set before it is imported, since it reads a region then."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline.conftest import environment as usual

if TYPE_CHECKING:
    from pipeline.definition import Environment

__all__ = ["usual"]

os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"  # it would simulate the role's policies with IAM

CHOICES: dict[str, dict[str, Any]] = {
    "usual": {},
    "two instances": {"endpoint_instances": 2},
    "no deployment": {"deploys": False},
    "on approval": {"on_approval": True, "deploys": False},
    "champion": {"on_approval": True, "deploys": False, "champion_margin": 0.01},
}


@pytest.fixture(params=CHOICES)
def environment(usual: Environment, request: pytest.FixtureRequest) -> Environment:
    """A deployment with each choice that changes the definition."""
    return replace(usual, **CHOICES[request.param])
