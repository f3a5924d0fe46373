"""Python packages in Studio: a CodeArtifact repository, and what sets pip up in each space.

Part of the Studio stack. The repository is a cache: nobody can publish to it, and it is deleted
with the stack in both modes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from awacs.aws import Statement
from troposphere import AWSObject, Base64, GetAtt, Join, Ref, Sub, Template, codeartifact, sagemaker

from generator.policies import people
from generator.policies.people import TOKEN_SECONDS
from generator.retention import deleted_with_stack
from generator.settings import Settings
from generator.settings_packages import Packages, PackageSource, group_id
from generator.wiring import Expression, KeyArn, UniqueName, add, add_all

SCRIPT: Final = Path(__file__).parent.parent / "lifecycle/pip.sh"
REPOSITORY: Final = "pypi"
PYPI: Final = "public:pypi"
APPS: Final = {"JupyterLab": "jupyterlab", "CodeEditor": "codeeditor"}
"""Types of app that have a lifecycle configuration, and the word for it in its name."""
_HASH_DIGITS: Final = 8


@dataclass(frozen=True)
class PackageRepository:
    """The repository that pip uses, in this region."""

    domain: Expression
    name: Expression
    owner: Expression


@dataclass(frozen=True)
class PackageAccess:
    """What people need to install packages; nothing if the settings offer none.

    The permissions, and the ARNs of the lifecycle configurations by type of app.
    """

    permissions: tuple[Statement, ...] = ()
    jupyter_lab: Expression | None = None
    code_editor: Expression | None = None


def add_packages(
    template: Template, settings: Settings, name: UniqueName, key: KeyArn
) -> PackageAccess:
    """Add the repository and the scripts, if the settings offer packages."""
    if not settings.packages.available:
        return PackageAccess()
    repository = _repository(template, settings.packages, name, key)
    jupyter_lab, code_editor = add_all(template, _lifecycle_configs(repository, name, settings))
    return PackageAccess(
        tuple(people.install_packages(repository.domain, repository.name, repository.owner)),
        GetAtt(jupyter_lab, "StudioLifecycleConfigArn"),
        GetAtt(code_editor, "StudioLifecycleConfigArn"),
    )


def _repository(
    template: Template, settings: Packages, name: UniqueName, key: KeyArn
) -> PackageRepository:
    if settings.source is PackageSource.EXISTING:
        owner = settings.owner or Ref("AWS::AccountId")
        return PackageRepository(settings.domain, settings.repository, owner)
    domain = add(
        template,
        codeartifact.Domain(
            "PackageDomain", DomainName=name, EncryptionKey=key, **deleted_with_stack()
        ),
    )
    repository = codeartifact.Repository(
        "PackageRepository",
        Description="Copies of packages from PyPI, made when somebody first installs them",
        DomainName=GetAtt(domain, "Name"),
        ExternalConnections=[PYPI],
        RepositoryName=REPOSITORY,
        **deleted_with_stack(),
    )
    add(template, repository)
    add_all(template, _package_groups(domain, settings))
    return PackageRepository(
        GetAtt(domain, "Name"), GetAtt(repository, "Name"), Ref("AWS::AccountId")
    )


def _package_groups(domain: codeartifact.Domain, settings: Packages) -> list[AWSObject]:
    """Return the groups that decide where packages may come from; the most specific one applies.

    Nobody publishes, so that every package is PyPI's; nothing with an internal name comes from
    anywhere. Source: CodeArtifact user guide, "Package group origin controls" and "Package group
    definition syntax and matching behavior" (``~``: names that begin with these words).
    """
    internal = [
        _package_group(
            group_id(name), f"/pypi//{name}~", "Internal names, never fetched", "BLOCK", domain
        )
        for name in settings.internal_names
    ]
    all_of_pypi = _package_group(
        "PackageGroupOfPypi", "/pypi/*", "Fetched from PyPI, never published", "ALLOW", domain
    )
    return [all_of_pypi, *internal]


def _package_group(
    title: str, pattern: str, description: str, fetched: str, domain: codeartifact.Domain
) -> codeartifact.PackageGroup:
    def mode(value: str) -> codeartifact.RestrictionType:
        return codeartifact.RestrictionType(RestrictionMode=value)

    return codeartifact.PackageGroup(
        title,
        Description=description,
        DomainName=GetAtt(domain, "Name"),
        OriginConfiguration=codeartifact.OriginConfiguration(
            Restrictions=codeartifact.Restrictions(
                ExternalUpstream=mode(fetched),
                InternalUpstream=mode("BLOCK"),
                Publish=mode("BLOCK"),
            )
        ),
        Pattern=pattern,
    )


def _lifecycle_configs(
    repository: PackageRepository, name: UniqueName, settings: Settings
) -> list[sagemaker.StudioLifecycleConfig]:
    """Return one lifecycle configuration for each type of app.

    They cannot be updated, only replaced, and a replacement needs another name
    ("AWS::SageMaker::StudioLifecycleConfig"). The name therefore contains a hash of what decides
    the content, and of the tags, which the type cannot update either.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    digest = _digest(script, settings)
    header = Sub(
        _HEADER + _INDEX,
        Domain=repository.domain,
        Owner=repository.owner,
        Repository=repository.name,
    )
    return [
        sagemaker.StudioLifecycleConfig(
            f"{app}LifecycleConfig",
            StudioLifecycleConfigAppType=app,
            StudioLifecycleConfigContent=Base64(Join("\n\n", [header, script])),
            StudioLifecycleConfigName=Sub(f"${{Name}}-{word}-{digest}", Name=name),
        )
        for app, word in APPS.items()
    ]


def _digest(script: str, settings: Settings) -> str:
    packages = settings.packages
    names = (packages.domain, packages.repository, packages.owner)
    content = (_HEADER, _INDEX, script, *names, json.dumps(settings.tags, sort_keys=True))
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:_HASH_DIGITS]


_HEADER: Final = f"""\
#!/bin/bash
domain=${{Domain}}
owner=${{Owner}}
region=${{AWS::Region}}
seconds={TOKEN_SECONDS}
"""
_INDEX: Final = (
    "index=https://${Domain}-${Owner}.d.codeartifact.${AWS::Region}.${AWS::URLSuffix}"
    "/pypi/${Repository}/simple/"
)
"""What GetRepositoryEndpoint returns, and pip's part of it (CodeArtifact user guide, "Configure
pip without the login command")."""
