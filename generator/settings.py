"""Settings: what is decided when templates are built.

Structure (how many zones, which endpoints, what survives) is decided here; values (instance
types, rows, e-mail) are CloudFormation parameters, so that one set of templates serves everyone.
Read from a TOML file, validated once, immutable afterwards.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from enum import StrEnum
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from functions.empty_bucket.core import PERMISSION_TAG
from generator.errors import UsageError
from pipeline.definition import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    OWNER_TAG,
    PROCESSING_INSTANCE_TYPE_PATTERN,
)


class SettingsError(UsageError, ValueError):
    """The settings cannot be used; the text is one line for the person who wrote them."""


class Mode(StrEnum):
    """What happens to the data, the key and the logs when the stack is deleted."""

    DEV = "dev"
    """Everything goes with the stack; the buckets are emptied."""
    PROD = "prod"
    """Data, key and logs stay."""


class InterfaceEndpoint(StrEnum):
    """AWS services that can be reached from the subnets (besides S3), by PrivateLink name."""

    SAGEMAKER_API = "sagemaker.api"
    SAGEMAKER_RUNTIME = "sagemaker.runtime"
    SAGEMAKER_STUDIO = "sagemaker.studio"
    ECR_API = "ecr.api"
    ECR_DKR = "ecr.dkr"
    LOGS = "logs"
    STS = "sts"
    KMS = "kms"
    MONITORING = "monitoring"
    EVENTS = "events"
    SNS = "sns"
    LAMBDA = "lambda"
    SSM = "ssm"
    SECRETS_MANAGER = "secretsmanager"
    ATHENA = "athena"
    GLUE = "glue"
    CODEARTIFACT_API = "codeartifact.api"
    CODEARTIFACT_REPOSITORIES = "codeartifact.repositories"
    SERVICE_CATALOG = "servicecatalog"


STANDARD_ENDPOINTS = (
    InterfaceEndpoint.SAGEMAKER_API,
    InterfaceEndpoint.SAGEMAKER_RUNTIME,
    InterfaceEndpoint.SAGEMAKER_STUDIO,
    InterfaceEndpoint.ECR_API,
    InterfaceEndpoint.ECR_DKR,
    InterfaceEndpoint.LOGS,
    InterfaceEndpoint.STS,
)
REQUIRED_ENDPOINTS = (InterfaceEndpoint.SAGEMAKER_API, InterfaceEndpoint.SAGEMAKER_RUNTIME)
"""Studio in VpcOnly mode does not work without them (SageMaker developer guide, "Connect Studio
in a VPC to external resources")."""


class EndpointProfile(StrEnum):
    """Sets of interface endpoints that have a name; `build.py cost` prices them."""

    MINIMAL = "minimal"
    """What Studio cannot do without."""
    STANDARD = "standard"
    """Seven: Studio's private address, container images, logs and the caller's identity, too."""
    FULL = "full"
    """Every service that can be named."""


ENDPOINT_PROFILES: dict[EndpointProfile, tuple[InterfaceEndpoint, ...]] = {
    EndpointProfile.MINIMAL: REQUIRED_ENDPOINTS,
    EndpointProfile.STANDARD: STANDARD_ENDPOINTS,
    EndpointProfile.FULL: tuple(InterfaceEndpoint),
}

POLICED_ENDPOINTS = ("s3", "cloudformation", *InterfaceEndpoint)
"""Every endpoint that there can be; each has a policy unless the settings say otherwise."""

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922),
    *(3288, 3653),
)
"""What CloudWatch Logs takes (PutRetentionPolicy)."""

PROJECT_TAG = "tabular-ml-vpc:project"
"""The tag with the project's name on everything that takes tags."""
PIPELINE_HOURS = 6
"""Longest run time that a job of the pipeline's asks for; its definition says so."""
OWN_TAGS = ("Name", PROJECT_TAG, OWNER_TAG, PERMISSION_TAG)
"""Keys of tags that the templates or the pipeline give."""

_PROJECT = r"^[a-z](-?[a-z0-9]){1,29}$"
_PROFILE = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
_INSTANCE_TYPE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
_TAG_KEY = r"^[\w .:/=+\-@]+$"
_TAG_VALUE = r"^[\w .:/=+\-@]*$"
_PRINCIPAL = r"^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[\w+=,.@/-]+)$"
_POLICY = r"^$|^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+$"
_KEY = r"^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"
_BUCKET = r"^$|^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_CODE_SIGNING = (
    r"^$|^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]{17}$"
)
_IN_WORDS = {
    _KEY: "the ARN of a KMS key is needed, such as "
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab, or nothing",
    _BUCKET: "the ARN of a bucket is needed, such as arn:aws:s3:::my-replica, or nothing",
    _CODE_SIGNING: "the ARN of a code signing configuration is needed, such as arn:aws:lambda:"
    "eu-west-1:111122223333:code-signing-config:csc-0a1b2c3d4e5f60718, or nothing",
    _PRINCIPAL: "the ARN of a role, a user or an account's root is needed, such as "
    "arn:aws:iam::111122223333:role/Audit",
    f"^$|{_PRINCIPAL}": "the ARN of a role, a user or an account's root is needed, such as "
    "arn:aws:iam::111122223333:role/BreakGlass, or nothing",
    _POLICY: "the ARN of a managed policy is needed, such as "
    "arn:aws:iam::111122223333:policy/Boundary, or nothing",
    _PROJECT: "a lower-case letter, then 1 to 29 lower-case letters, digits and hyphens between "
    "them are needed",
    _PROFILE: "1 to 63 letters, digits and hyphens between them are needed",
    _INSTANCE_TYPE: "an instance type of SageMaker is needed, such as ml.m5.large",
    _TAG_KEY: "letters, digits, spaces and any of .:/=+-@_ are allowed",
    _TAG_VALUE: "letters, digits, spaces and any of .:/=+-@_ are allowed",
}
"""What each pattern allows, for messages."""

InstanceType = Annotated[str, Field(pattern=_INSTANCE_TYPE)]
ProfileName = Annotated[str, Field(pattern=_PROFILE)]
PrincipalArn = Annotated[str, Field(pattern=_PRINCIPAL)]
TagKey = Annotated[str, Field(pattern=_TAG_KEY, max_length=128)]
TagValue = Annotated[str, Field(pattern=_TAG_VALUE, max_length=256)]


def in_letters(name: str) -> str:
    """Return a profile's name as a part of a logical id, which takes no hyphens."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Network(_Section):
    """The VPC."""

    cidr: IPv4Network = IPv4Network("10.38.0.0/16")
    """Address range of the VPC, from /16 to /24."""
    zones: int = Field(default=2, ge=2, le=3, strict=True)
    """Number of Availability Zones, one isolated subnet in each."""
    endpoint_zones: int = Field(default=2, ge=1, le=3, strict=True)
    """In how many of the zones each interface endpoint has a network interface; each one costs."""
    interface_endpoints: tuple[InterfaceEndpoint, ...] = STANDARD_ENDPOINTS
    """AWS services that can be reached from the subnets, besides S3: the name of a profile or a
    list; each one costs (`python build.py cost` says what). The endpoint that our own functions
    need (CloudFormation) is added where they run in the VPC."""
    endpoints_without_policy: tuple[str, ...] = Field(
        default=(), json_schema_extra={"items": {"enum": list(map(str, POLICED_ENDPOINTS))}}
    )
    """Endpoints that let everything through, for services that an organisation shares between
    accounts. All others let through this account's principals and resources only."""

    @field_validator("cidr", mode="before")
    @classmethod
    def _is_a_range(cls, value: object) -> object:
        try:
            return IPv4Network(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"{error}; a range such as 10.38.0.0/16 is needed") from None

    @field_validator("cidr")
    @classmethod
    def _fits_a_vpc(cls, cidr: IPv4Network) -> IPv4Network:
        if not 16 <= cidr.prefixlen <= 24:  # noqa: PLR2004 - said in the message
            raise ValueError("a range from /16 to /24 is needed, such as 10.38.0.0/16")
        return cidr

    @field_validator(
        "interface_endpoints",
        mode="before",
        json_schema_input_type=EndpointProfile | tuple[InterfaceEndpoint, ...],
    )
    @classmethod
    def _profile_is_its_endpoints(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value not in tuple(EndpointProfile):
            raise ValueError(f"{', '.join(EndpointProfile)} or a list of services is needed")
        return ENDPOINT_PROFILES[EndpointProfile(value)]

    @field_validator("endpoints_without_policy")
    @classmethod
    def _are_endpoints(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in POLICED_ENDPOINTS]:
            raise ValueError(f"{unknown[0]} is none of {', '.join(POLICED_ENDPOINTS)}")
        return names

    @field_validator("interface_endpoints")
    @classmethod
    def _are_enough(cls, endpoints: tuple[InterfaceEndpoint, ...]) -> tuple[InterfaceEndpoint, ...]:
        missing = [name for name in REQUIRED_ENDPOINTS if name not in endpoints]
        if missing:
            raise ValueError(f"{' and '.join(missing)} must be among them: Studio needs it")
        if len(set(endpoints)) < len(endpoints):
            raise ValueError("each endpoint may be named once")
        return endpoints

    @model_validator(mode="after")
    def _endpoints_lie_in_zones(self) -> Network:
        if self.endpoint_zones > self.zones:
            raise ValueError(
                f"endpoint_zones is {self.endpoint_zones}, but there are {self.zones} zones; "
                "at most one interface a zone is allowed"
            )
        return self


class Storage(_Section):
    """Buckets and logs."""

    noncurrent_days: int = Field(default=30, ge=1, le=3650, strict=True)
    """Days after which overwritten or deleted versions in the data bucket expire."""
    processed_days: int = Field(default=365, ge=0, le=3650, strict=True)
    """Days after which what a run prepared expires (processed/<run>/: the rows of its table, split,
    and its evaluation); 0: never. What raw/ holds is yours to delete."""
    access_log_days: int = Field(default=365, ge=1, le=3650, strict=True)
    """Days after which S3 access logs expire."""
    log_retention_days: int = Field(
        default=365, strict=True, json_schema_extra={"enum": list(LOG_RETENTION_DAYS)}
    )
    """Days for which the functions' logs are kept; one of the values that CloudWatch Logs takes."""

    object_lock_days: int = Field(default=0, ge=0, le=36500, strict=True)
    """Days for which nobody may overwrite or delete a version in the data bucket (Object Lock,
    governance mode; who has s3:BypassGovernanceRetention still may); 0: no lock. In prod only: a
    dev bucket is emptied with its stack. Cannot be taken back once deployed."""
    replica_bucket: str = Field(default="", pattern=_BUCKET)
    """ARN of a versioned bucket, of this account, to which every new version in the data bucket is
    copied; empty: none. Its policies and lifecycle are yours. With object_lock_days it needs Object
    Lock, too, or nothing is copied."""
    replica_key: str = Field(default="", pattern=_KEY)
    """ARN of the KMS key, in the replica bucket's region, that encrypts the copies."""

    @model_validator(mode="after")
    def _replica_is_whole(self) -> Storage:
        if bool(self.replica_bucket) is not bool(self.replica_key):
            given = "replica_bucket" if self.replica_bucket else "replica_key"
            other = "replica_key" if self.replica_bucket else "replica_bucket"
            raise ValueError(f"{given} is given, {other} is not; both or none are needed")
        return self

    @field_validator("log_retention_days")
    @classmethod
    def _is_taken_by_cloudwatch(cls, days: int) -> int:
        if days not in LOG_RETENTION_DAYS:
            raise ValueError(f"one of {', '.join(map(str, LOG_RETENTION_DAYS))} is needed")
        return days


class Studio(_Section):
    """SageMaker Studio."""

    user_profiles: tuple[ProfileName, ...] = Field(default=("data-scientist",), min_length=1)
    """Names of the user profiles, one for each person."""
    idle_timeout_minutes: int = Field(default=60, ge=60, le=525600, strict=True)
    """Minutes without activity after which JupyterLab and Code Editor are shut down."""

    @field_validator("user_profiles")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for first, second in combinations(names, 2):
            if first.lower() == second.lower():
                raise ValueError("names must differ in more than upper and lower case")
            if in_letters(first) == in_letters(second):
                raise ValueError(
                    f"{first!r} and {second!r} would be one resource, {in_letters(first)}"
                    "UserProfile; names must differ in more than hyphens"
                )
        return names


class Security(_Section):
    """What an organisation's rules ask for."""

    key: str = Field(default="", pattern=_KEY)
    """ARN of an existing KMS key to use instead of one of the stack's own; docs/security.md says
    what its policy must allow. Empty: the stack makes its key."""
    permissions_boundary: str = Field(default="", pattern=_POLICY)
    """ARN of the managed policy that bounds every role of the stacks; empty: none."""
    break_glass: str = Field(default="", pattern=f"^$|{_PRINCIPAL}")
    """ARN of a principal that may always administer the key, decrypt with it, and delete access
    logs: where policies would lock everybody out. Empty: nobody."""
    log_readers: tuple[PrincipalArn, ...] = ()
    """ARNs of principals that may read the bucket with the access logs, such as an audit
    account's role."""


class Engine(StrEnum):
    """What prepares the table before training."""

    ONE_MACHINE = "one-machine"
    """One isolated instance."""
    SPARK = "spark"
    """Instances in a cluster, for tables of many files."""


class PipelineSettings(_Section):
    """How the pipeline's steps run."""

    preprocess_engine: Engine = Engine.ONE_MACHINE
    """What runs the Preprocess step: one-machine, or spark, a cluster of as many instances as the
    run parameter ProcessingInstanceCount says, for tables of many files. A cluster cannot be
    isolated from the network: docs/security.md says what it may do instead. In most regions."""


_SIZES = ("large", "xlarge", "2xlarge", "4xlarge")
_BURSTABLE = ("ml.t3.medium", *(f"ml.t3.{size}" for size in _SIZES[:-1]))
_STEADY = tuple(
    f"ml.{kind}{series}.{size}" for series in ("5", "6i", "7i") for kind in "mcr" for size in _SIZES
)


class Limits(_Section):
    """What a run, an experiment or an app may cost, whoever starts it (IAM refuses the rest)."""

    job_instance_types: tuple[InstanceType, ...] = Field(
        default=(*_BURSTABLE, *_STEADY), min_length=1
    )
    """Instance types of jobs, the pipeline's and those started from notebooks. The parameters take
    those of them that the pipeline can use."""
    endpoint_instance_types: tuple[InstanceType, ...] = Field(
        default=("ml.t2.medium", *(f"ml.t2.{size}" for size in _SIZES[:-1]), *_STEADY), min_length=1
    )
    """Instance types of endpoints."""
    app_instance_types: tuple[InstanceType, ...] = Field(
        default=(*_BURSTABLE, *_STEADY[: 3 * len(_SIZES)]), min_length=1
    )
    """Instance types of JupyterLab and Code Editor."""
    job_hours: int = Field(default=12, ge=PIPELINE_HOURS, le=720, strict=True)
    """Hours for which a job may run at most; the pipeline's own ask for six, and end sooner."""

    @model_validator(mode="after")
    def _serve_the_pipeline(self) -> Limits:
        for setting, pattern in (
            ("job_instance_types", PROCESSING_INSTANCE_TYPE_PATTERN),
            ("endpoint_instance_types", ENDPOINT_INSTANCE_TYPE_PATTERN),
        ):
            if not usable(getattr(self, setting), pattern):
                raise ValueError(f"{setting}: one at least must be {INSTANCE_TYPE_RULE}")
        return self


def usable(types: tuple[str, ...], pattern: str) -> list[str]:
    """Return the instance types that a use of the pipeline's can have."""
    return [name for name in types if re.fullmatch(pattern, name)]


class Functions(_Section):
    """The functions behind the custom resources."""

    reserved_concurrency: int = Field(default=0, ge=0, le=1000, strict=True)
    """How many copies of each function may run at once, taken from the account's limit; 0: no
    reservation. A new account's limit is too low for any. Two are needed: both buckets are emptied
    at the same time."""
    code_signing_config: str = Field(default="", pattern=_CODE_SIGNING)
    """ARN of the Lambda code signing configuration that every function must pass; then sign the
    zips in dist/ (AWS Signer) before they are uploaded. Empty: no signatures."""
    tracing: bool = Field(default=True, strict=True)
    """Trace the functions with X-Ray."""

    @field_validator("reserved_concurrency")
    @classmethod
    def _is_enough(cls, copies: int) -> int:
        if copies == 1:
            raise ValueError("0 (no reservation) or at least 2 are needed")
        return copies


class Settings(_Section):
    """Everything that is decided at build time."""

    project: str = Field(default="tabular", pattern=_PROJECT)
    """Begins every name that must be given; 2 to 30 lower-case letters, digits and hyphens."""
    modes: tuple[Mode, ...] = Field(default=(Mode.DEV, Mode.PROD), min_length=1)
    """Which sets of templates are emitted: dev into templates/, prod into templates/prod/."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=40)
    """Tags on everything that takes them, such as { team = "risk" }."""
    network: Network = Field(default_factory=Network)
    storage: Storage = Field(default_factory=Storage)
    studio: Studio = Field(default_factory=Studio)
    security: Security = Field(default_factory=Security)
    pipeline: PipelineSettings = Field(default_factory=PipelineSettings)
    functions: Functions = Field(default_factory=Functions)
    limits: Limits = Field(default_factory=Limits)

    @field_validator("modes")
    @classmethod
    def _are_named_once(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if len(set(modes)) < len(modes):
            raise ValueError("each mode may be named once")
        return modes

    @field_validator("tags")
    @classmethod
    def _are_ours(cls, tags: dict[str, str]) -> dict[str, str]:
        if any(key.lower().startswith("aws:") for key in tags):
            raise ValueError("keys that begin with aws: belong to AWS")
        for first, second in combinations([*OWN_TAGS, *tags], 2):
            if first.lower() == second.lower():
                both = f"{first!r} and {second!r}"
                whose = " (the first is given by the templates)" if first in OWN_TAGS else ""
                raise ValueError(f"{both} are one key to AWS{whose}; other keys are needed")
        return tags


def on_spark(settings: Settings) -> bool:
    """Tell whether Preprocess runs on several machines."""
    return settings.pipeline.preprocess_engine is Engine.SPARK


def read(path: Path | None) -> Settings:
    """Read and validate the settings in the TOML file ``path``; without one, the defaults.

    Raises:
        SettingsError: the file is missing or not TOML, or a setting is unknown or not allowed.

    """
    if path is None:
        return Settings()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from error
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    """Say what the first fault is: the setting, the value received, and what is allowed."""
    errors = error.errors(include_url=False)
    first = errors[0]
    setting = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{setting}: is no setting{_suggestion(first['loc'])}"
    reason = _IN_WORDS.get(first.get("ctx", {}).get("pattern", "")) or first["msg"]
    others = len({_without_indexes(fault["loc"]) for fault in errors}) - 1
    more = f" (and {others} more)" if others else ""
    return f"{setting}: got {first['input']!r}: {reason.removeprefix('Value error, ')}{more}"


def _without_indexes(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Name the setting: a list with a wrong item may be faulty as a whole, too."""
    return tuple(part for part in location if isinstance(part, str))


def _suggestion(location: tuple[int | str, ...]) -> str:
    section: Any = Settings
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
