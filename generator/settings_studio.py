"""Settings of SageMaker Studio: whose domain, and which people."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from generator import settings_people
from generator.settings_people import SHARED, GroupId, Person, Persona, ProfileName, SignIn
from generator.settings_section import Section

NEW: Final = "new"
NONE: Final = "none"
MOST_IN_THEIRS: Final = 25
"""Most profiles in an existing domain: the policies of whoever deploys and of ClearStudio name each
profile, so that they reach no others there, and IAM limits their sizes."""
_DOMAIN = r"^(new|none|d-(-*[a-z0-9]){1,61})$"
_S3_ENDPOINT = r"^$|^vpce-[0-9a-f]{8,17}$"
STUDIO_RULES: Final = {
    _DOMAIN: "must be new, none or the id of a Studio domain, such as d-abcdefgh1234",
    _S3_ENDPOINT: "must be empty or the id of a VPC endpoint, such as vpce-0123456789abcdef0",
}
"""What each pattern allows, in words, for error messages."""


def _usual_profiles(found: dict[str, Any]) -> tuple[str, ...]:
    """Return the profiles of a new domain if nobody is named, and none otherwise."""
    is_new = found.get("domain", NEW) == NEW
    return ("data-scientist",) if is_new and not found.get("people") else ()


class Studio(Section):
    """SageMaker Studio."""

    domain: str = Field(default=NEW, pattern=_DOMAIN)
    """new: the stack creates a domain; none: no Studio; or the id of an existing domain, which the
    stack does not change (docs/existing-resources.md)."""
    sign_in: SignIn = SignIn.IAM
    """How people sign in: iam, or identity-center, the organization's IAM Identity Center. Changing
    it replaces a deployed domain (docs/people.md). For an existing domain: how they do there."""
    identity_center_groups: tuple[GroupId, ...] = Field(default=(), max_length=100)
    """With identity-center: ids of the groups whose members can sign in to a new domain; empty: you
    assign people in IAM Identity Center."""
    people: tuple[Person, ...] = ()
    """People with what they do, such as { name = "ana", persona = "ml-engineer" }: a
    data-scientist, an ml-engineer, who also operates, or a reviewer, who only reads. docs/people.md
    describes their rights."""
    user_profiles: tuple[ProfileName, ...] = Field(
        default_factory=_usual_profiles, json_schema_extra={"default": ["data-scientist"]}
    )
    """Names of the user profiles of data scientists, one for each person. With people, or in an
    existing domain, nobody is added unless this setting names them."""
    personal_prefixes: bool = Field(default=False, strict=True)
    """Give each person studio/<name>/ in the data bucket, which nobody else in Studio can read, and
    all together studio/shared/, which shared spaces use. Otherwise, all share studio/. Files that
    are there already must be moved (docs/people.md)."""
    s3_endpoint: str = Field(default="", pattern=_S3_ENDPOINT)
    """Id of the S3 endpoint through which people in an existing domain read the data, if that
    domain is in another VPC. Empty: they use the deployment's own."""
    idle_timeout_minutes: int = Field(default=60, ge=60, le=525600, strict=True)
    """Minutes of inactivity after which JupyterLab and Code Editor are shut down; an existing
    domain decides this itself."""

    @property
    def in_use(self) -> bool:
        """Tell whether there is a domain, the stack's or another."""
        return self.domain != NONE

    @property
    def owns_domain(self) -> bool:
        """Tell whether the stack creates the domain."""
        return self.domain == NEW

    @property
    def unused_parameters(self) -> frozenset[str]:
        """Return the deployment's parameters that would have no effect."""
        home = () if self.owns_domain else ("HomeFileSystem",)
        spaces = () if self.everyone else ("DeleteSpaces",)
        return frozenset([*home, *spaces])

    @property
    def everyone(self) -> tuple[Person, ...]:
        """Return all people; those that are only named are data scientists."""
        return (*(Person(name=name) for name in self.user_profiles), *self.people)

    @property
    def with_spaces(self) -> tuple[Person, ...]:
        """Return the people who can have spaces, which cost: all but reviewers."""
        return tuple(person for person in self.everyone if person.persona is not Persona.REVIEWER)

    @field_validator("identity_center_groups")
    @classmethod
    def _groups_are_used(cls, groups: tuple[str, ...], found: ValidationInfo) -> tuple[str, ...]:
        if groups and found.data.get("sign_in") is SignIn.IAM:
            raise ValueError('must be omitted with sign_in = "iam"')
        if groups and found.data.get("domain") != NEW:
            raise ValueError("must be omitted unless the stack creates the domain")
        if len(set(groups)) < len(groups):
            raise ValueError("must not name a group twice")
        return groups

    @field_validator("people")
    @classmethod
    def _people_are_different(
        cls, people: tuple[Person, ...], found: ValidationInfo
    ) -> tuple[Person, ...]:
        settings_people.check_names([person.name for person in people])
        settings_people.check_sign_in(people, found.data.get("sign_in", SignIn.IAM))
        return people

    @field_validator("user_profiles")
    @classmethod
    def _are_different(cls, names: tuple[str, ...], found: ValidationInfo) -> tuple[str, ...]:
        everyone = [*(Person(name=name) for name in names), *found.data.get("people", ())]
        if not everyone and found.data.get("domain") == NEW:
            raise ValueError("must have at least 1 item, unless there are people")
        settings_people.check_names([person.name for person in everyone])
        settings_people.check_sign_in(everyone, found.data.get("sign_in", SignIn.IAM))
        return names

    @field_validator("personal_prefixes")
    @classmethod
    def _names_are_passed_on(cls, personal: bool, found: ValidationInfo) -> bool:
        if not personal:
            return personal
        if found.data.get("domain", NEW) != NEW:
            raise ValueError(
                "must be omitted unless the stack creates the domain, which then passes people's "
                "names as source identity"
            )
        names = [
            *found.data.get("user_profiles", ()),
            *(p.name for p in found.data.get("people", ())),
        ]
        if SHARED in {name.lower() for name in names}:
            raise ValueError(f"{SHARED} is the prefix of all, so that nobody can have this name")
        return personal

    @model_validator(mode="after")
    def _fit_the_domain(self) -> Studio:
        if not self.in_use and self.everyone:
            named = "people" if self.people else "user_profiles"
            raise ValueError(f'{named} must be omitted with domain = "none"')
        if not self.in_use and self.sign_in is not SignIn.IAM:
            raise ValueError('sign_in must be omitted with domain = "none"')
        if not self.owns_domain and len(self.everyone) > MOST_IN_THEIRS:
            raise ValueError(
                f"got {len(self.everyone)} people in the existing domain: at most {MOST_IN_THEIRS},"
                " because policies name each of them; its owner can give others StudioRole"
            )
        if self.s3_endpoint and (self.owns_domain or not self.in_use):
            raise ValueError("s3_endpoint is set but domain is not the id of an existing domain")
        return self
