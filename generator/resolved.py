"""Resolve the resources that a deployment with given settings would create."""

from __future__ import annotations

from collections.abc import Mapping

from generator.cfn.evaluator import ResolvedDeployment, resolve_templates
from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.settings import Mode, Settings
from generator.stacks import root


def resolve(
    settings: Settings | None = None,
    mode: Mode = Mode.DEV,
    parameters: Mapping[str, str] | None = None,
    place: StackLocation | None = None,
) -> ResolvedDeployment:
    """Return what a deployment with these settings and root parameters would create.

    Raises:
        ResolveError: a parameter is unknown, or a template refers to something that does not exist.

    """
    templates = root.build(settings or Settings(), mode)
    texts = {name: as_dict(template) for name, template in templates.items()}
    return resolve_templates(texts, parameters, place)
