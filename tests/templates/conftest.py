"""The templates of both modes, as emitted and as CloudFormation would resolve them."""

from __future__ import annotations

from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.emit import as_dict
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root

Templates = dict[str, dict[str, Any]]


@pytest.fixture(scope="session", params=list(Mode))
def mode(request: pytest.FixtureRequest) -> Mode:
    """Give each mode in turn."""
    return Mode(request.param)


@pytest.fixture(scope="session")
def templates(mode: Mode) -> Templates:
    """Give all templates of a mode by stack, plain as in JSON."""
    return {name: as_dict(one) for name, one in root.build(Settings(), mode).items()}


@pytest.fixture(scope="session")
def deployment(mode: Mode) -> ResolvedDeployment:
    """Give what a deployment with the defaults would make."""
    return resolve(Settings(), mode)
