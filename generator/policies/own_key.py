"""The key policy that an organization's own key needs, for the setting ``security.key``.

It is the policy of the stack's own key, except that the roles exist only once the stacks are
deployed. It therefore identifies them by the beginning of their names, which is the project's name,
as for the root stack.
"""

from __future__ import annotations

from typing import Final

from troposphere import Template, kms

from generator.cfn.evaluator import resolve_templates
from generator.cfn.identifiers import StackLocation
from generator.policies.documents import FOLDER, text
from generator.policies.resources import key_policy
from generator.settings import Settings, any_asynchronous, shares_pipelines
from generator.wiring import RoleName, RootStackName, UniqueName
from pipeline.types import Json

PATH: Final = f"{FOLDER}/own-key-policy.json"
EXAMPLE: Final = StackLocation(account="111122223333", region="eu-west-1")
"""AWS's account id for examples; replace it with your own."""


def policy(settings: Settings, place: StackLocation = EXAMPLE) -> Json:
    """Return the key policy for an account and region."""
    begins = f"{settings.project}*"
    document = key_policy(
        RootStackName(begins),
        UniqueName(begins),
        [RoleName(begins)],
        settings.security.break_glass,
        several=shares_pipelines(settings),
        domain=settings.studio.owns_domain,
        alarms=not settings.security.alert_topic,
        results=any_asynchronous(settings),
    )
    template = Template()
    template.add_resource(kms.Key("Key", KeyPolicy=document))
    deployment = resolve_templates({"root": template.to_dict()}, place=place)
    found: Json = deployment.get("root", "Key").properties["KeyPolicy"]
    return found


def render(settings: Settings) -> str:
    """Return the file's text."""
    return text(policy(settings))
