"""Settings of Python packages for people in Studio, which has no internet (CodeArtifact)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from generator.settings_section import Section

INTERNAL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_DOMAIN = r"^$|^[a-z][a-z0-9-]{0,48}[a-z0-9]$"
_OWNER = r"^$|^[0-9]{12}$"
_REPOSITORY = r"^$|^[A-Za-z0-9][A-Za-z0-9._-]{1,99}$"
IN_WORDS = {
    INTERNAL_NAME: "must be the first words of package names as PyPI normalizes them, such as "
    "acme or acme-risk: lower-case letters, digits and single hyphens",
    _DOMAIN: "must be empty or a CodeArtifact domain's name: 2 to 50 lower-case letters, digits "
    "and hyphens",
    _OWNER: "must be empty or the id of an account, 12 digits",
    _REPOSITORY: "must be empty or a CodeArtifact repository's name: 2 to 100 letters, digits "
    "and ._-",
}
"""What each pattern allows, in words, for error messages."""

InternalName = Annotated[str, Field(pattern=INTERNAL_NAME, max_length=100)]

REGIONS = (
    *("ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1"),
    *("eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("us-east-1", "us-east-2", "us-west-2"),
)
"""Regions with CodeArtifact (AWS General Reference, "AWS CodeArtifact endpoints and quotas")."""


class PackageSource(StrEnum):
    """Where pip in Studio gets packages."""

    NONE = "none"
    """Nowhere: people can use what their image contains."""
    PYPI = "pypi"
    """From a CodeArtifact repository of the stack, which fetches from PyPI and keeps copies."""
    EXISTING = "existing"
    """From a CodeArtifact repository that exists already."""


class Packages(Section):
    """Python packages for people in Studio."""

    source: PackageSource = PackageSource.NONE
    """Where pip in Studio gets packages: none; pypi, a CodeArtifact repository of the stack that
    copies from PyPI on demand; or existing, the repository named below. The endpoints of
    CodeArtifact are added, and each costs. Jobs have no access (docs/packages.md)."""
    internal_names: tuple[InternalName, ...] = Field(default=(), max_length=100)
    """First words of the names of your own packages, such as acme for acme and acme-risk. With
    pypi, no package with such a name is ever fetched, so that a stranger's package on PyPI cannot
    take the place of yours (dependency confusion)."""
    domain: str = Field(default="", pattern=_DOMAIN)
    """With existing: name of the CodeArtifact domain, in this region."""
    repository: str = Field(default="", pattern=_REPOSITORY)
    """With existing: name of the repository in that domain, with a path to every package needed."""
    owner: str = Field(default="", pattern=_OWNER)
    """With existing: id of the account that owns the domain, which must allow this account to read
    (docs/packages.md). Empty: this account."""

    @property
    def available(self) -> bool:
        """Tell whether people can install packages."""
        return self.source is not PackageSource.NONE

    @field_validator("internal_names")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        ids = [group_id(name) for name in names]
        if len(set(ids)) < len(ids):
            raise ValueError("must not name a package twice, even with other hyphens")
        return names

    @model_validator(mode="after")
    def _fits_the_source(self) -> Packages:
        named = {"domain": self.domain, "repository": self.repository}
        if self.source is PackageSource.EXISTING:
            for setting in (name for name, value in named.items() if not value):
                raise ValueError(f"{setting} must be set with source = 'existing'")
            if self.internal_names:
                raise ValueError(
                    "internal_names must be empty with source = 'existing': set package origin "
                    "controls in that domain (docs/packages.md)"
                )
            return self
        owned = {**named, "owner": self.owner}
        for setting in (name for name, value in owned.items() if value):
            raise ValueError(f"{setting} must be empty unless source = 'existing'")
        if self.internal_names and self.source is PackageSource.NONE:
            raise ValueError("internal_names must be empty unless source = 'pypi'")
        return self


def group_id(name: str) -> str:
    """Return the logical id of the package group of an internal name."""
    return f"{''.join(part.capitalize() for part in re.split('-', name))}PackageGroup"
