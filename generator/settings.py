"""Settings: the decisions made when the templates are built.

Structure (how many zones, which endpoints, what is retained) is decided here; values (instance
types, rows, e-mail) are CloudFormation parameters, so that one set of templates serves everyone.
Settings are read from a TOML file, validated once, and immutable.
"""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from functions.empty_bucket.core import PERMISSION_TAG
from generator import settings_packages, settings_people
from generator.settings_choices import Choices
from generator.settings_file import read_extended
from generator.settings_network import IN_WORDS, InterfaceEndpoint, Network, missing_for_studio
from generator.settings_packages import Packages
from generator.settings_pipelines import (
    EMAIL_PATTERN,
    NAME_PATTERN,
    NAME_RULE,
    PipelineEntry,
    PipelineSettings,
    awaits_new_data,
    check_names,
    check_together,
    runs_on_spark,
    schedule_of,
)
from generator.settings_section import AnySection, Section, SettingsError, over
from generator.settings_serving import Serving, check_length, check_serving
from generator.settings_studio import STUDIO_RULES, Studio
from generator.settings_watching import WatchingSettings, check_watching
from pipeline.definition import OWNER_TAG
from pipeline.layout import MAIN
from pipeline.run_parameters import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    PROCESSING_INSTANCE_TYPE_PATTERN,
)


class Mode(StrEnum):
    """What happens to the data, the key and the logs when the stack is deleted."""

    DEV = "dev"
    """Everything is deleted with the stack; the buckets are emptied."""
    PROD = "prod"
    """Data, key and logs are kept."""


PACKAGE_ENDPOINTS = (
    InterfaceEndpoint.CODEARTIFACT_API,
    InterfaceEndpoint.CODEARTIFACT_REPOSITORIES,
)


CLOUDFORMATION = "cloudformation"
"""PrivateLink name of the service that our functions answer."""

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922),
    *(3288, 3653),
)
"""The values that CloudWatch Logs accepts (PutRetentionPolicy)."""

PROJECT_TAG = "tabular-ml-vpc:project"
"""The tag with the project's name, on every resource that supports tags."""
PIPELINE_HOURS = 6
"""The longest run time, in hours, that a job in the pipeline's definition requests."""
OWN_TAGS = ("Name", PROJECT_TAG, OWNER_TAG, PERMISSION_TAG)
"""Keys of the tags that the templates or the pipeline set."""

_PROJECT = r"^[a-z](-?[a-z0-9]){1,29}$"
STACK_NAME = r"^[a-zA-Z][-a-zA-Z0-9]{0,127}$"
REGION = r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$"
_INSTANCE_TYPE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
_TAG_KEY = r"^[\w .:/=+\-@]+$"
_TAG_VALUE = r"^[\w .:/=+\-@]*$"
_PRINCIPAL = r"^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]+)$"
_POLICY = r"^$|^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+$"
_KEY = r"^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"
_BUCKET = r"^$|^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_TOPIC = r"^$|^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
_CODE_SIGNING = (
    r"^$|^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]{17}$"
)
_IN_WORDS = {
    **IN_WORDS,
    **STUDIO_RULES,
    _KEY: "must be empty or the ARN of a KMS key, such as "
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    _BUCKET: "must be empty or the ARN of a bucket, such as arn:aws:s3:::my-replica",
    _TOPIC: "must be empty or the ARN of a standard SNS topic, such as "
    "arn:aws:sns:eu-west-1:111122223333:alerts",
    _CODE_SIGNING: "must be empty or the ARN of a code signing configuration, such as "
    "arn:aws:lambda:eu-west-1:111122223333:code-signing-config:csc-0a1b2c3d4e5f60718",
    _PRINCIPAL: "must be the ARN of a role, a user or an account's root, such as "
    "arn:aws:iam::111122223333:role/Audit",
    f"^$|{_PRINCIPAL}": "must be empty or the ARN of a role, a user or an account's root, such as "
    "arn:aws:iam::111122223333:role/BreakGlass",
    _POLICY: "must be empty or the ARN of a managed policy, such as "
    "arn:aws:iam::111122223333:policy/Boundary",
    STACK_NAME: "must be a letter, then letters, digits and hyphens, at most 128 characters",
    REGION: "must be a region, such as eu-west-1",
    _PROJECT: "must be 2 to 30 lower-case letters, digits and single hyphens; it begins with a "
    "letter and does not end with a hyphen",
    NAME_PATTERN: NAME_RULE,
    EMAIL_PATTERN: "must be empty or an e-mail address, such as risk@example.com",
    **settings_people.IN_WORDS,
    _INSTANCE_TYPE: "must be a SageMaker instance type, such as ml.m5.large",
    _TAG_KEY: "may contain only letters, digits, spaces and .:/=+-@_, and must not be empty",
    _TAG_VALUE: "may contain only letters, digits, spaces and .:/=+-@_",
    **settings_packages.IN_WORDS,
}
"""What each pattern allows, in words, for error messages."""
_SHOWN_CHARACTERS = 200

InstanceType = Annotated[str, Field(pattern=_INSTANCE_TYPE)]
PrincipalArn = Annotated[str, Field(pattern=_PRINCIPAL)]
TagKey = Annotated[str, Field(pattern=_TAG_KEY, max_length=128)]
TagValue = Annotated[str, Field(pattern=_TAG_VALUE, max_length=256)]


class Storage(Section):
    """Buckets and logs."""

    noncurrent_days: int = Field(default=30, ge=1, le=3650, strict=True)
    """Days after which overwritten or deleted versions in the data bucket expire."""
    processed_days: int = Field(default=365, ge=0, le=3650, strict=True)
    """Days after which the data that a run prepared expires (processed/<run>/: the split table and
    the evaluation); 0: never. The metrics of such a run are gone from history, because S3's rules
    take no wildcard that would keep <run>/evaluation/. Objects in raw/ never expire."""
    predictions_days: int = Field(default=0, ge=0, le=3650, strict=True)
    """Days after which the results of batch predictions (predictions/) expire; 0: never."""
    captured_days: int = Field(default=30, ge=1, le=3650, strict=True)
    """Days after which captured requests (captured/, serving.capture_percent) expire."""
    asynchronous_days: int = Field(default=7, ge=1, le=3650, strict=True)
    """Days after which requests to asynchronous endpoints, and their answers, expire
    (asynchronous/, serving.asynchronous)."""
    access_log_days: int = Field(default=365, ge=1, le=3650, strict=True)
    """Days after which S3 access logs expire."""
    log_bucket: str = Field(default="", pattern=_BUCKET)
    """ARN of an existing bucket for S3 access logs, in the same region and account
    (docs/existing-resources.md). Empty: the stack creates one."""
    log_retention_days: int = Field(
        default=365, strict=True, json_schema_extra={"enum": list(LOG_RETENTION_DAYS)}
    )
    """Days to keep the functions' logs; one of the values that CloudWatch Logs accepts."""

    object_lock_days: int = Field(default=0, ge=0, le=36500, strict=True)
    """Days for which nobody can overwrite or delete a version in the data bucket (Object Lock in
    governance mode; principals with s3:BypassGovernanceRetention still can); 0: no lock. Applies to
    prod only, because a dev bucket is emptied with its stack. Cannot be undone once deployed."""
    replica_bucket: str = Field(default="", pattern=_BUCKET)
    """ARN of a versioned bucket in this account to which every new version in the data bucket is
    copied; empty: no copies. You manage its policies and lifecycle. With object_lock_days it must
    have Object Lock too, or nothing is copied."""
    replica_key: str = Field(default="", pattern=_KEY)
    """ARN of the KMS key, in the replica bucket's region, that encrypts the copies."""

    @model_validator(mode="after")
    def _replica_is_whole(self) -> Storage:
        if bool(self.replica_bucket) is not bool(self.replica_key):
            present = "replica_bucket" if self.replica_bucket else "replica_key"
            missing = "replica_key" if self.replica_bucket else "replica_bucket"
            raise ValueError(f"{present} is set but {missing} is not; set both or neither")
        return self

    @field_validator("log_retention_days")
    @classmethod
    def _is_accepted_by_cloudwatch(cls, days: int) -> int:
        if days not in LOG_RETENTION_DAYS:
            raise ValueError(f"must be one of {', '.join(map(str, LOG_RETENTION_DAYS))}")
        return days


class Security(Section):
    """Requirements of an organization's security rules."""

    key: str = Field(default="", pattern=_KEY)
    """ARN of an existing KMS key to use; docs/security.md describes the key policy that it needs.
    Empty: the stack creates a key."""
    permissions_boundary: str = Field(default="", pattern=_POLICY)
    """ARN of the managed policy to use as permissions boundary of every role; empty: none."""
    break_glass: str = Field(default="", pattern=f"^$|{_PRINCIPAL}")
    """ARN of a principal that can always administer the key, decrypt with it, and delete access
    logs, in case policies lock everybody else out. Empty: none."""
    log_readers: tuple[PrincipalArn, ...] = ()
    """ARNs of principals that can read the access log bucket, such as an audit account's role."""
    alert_topic: str = Field(default="", pattern=_TOPIC)
    """ARN of an existing SNS topic for the alerts of all pipelines (docs/existing-resources.md).
    Empty: the stack creates one for each."""


_SIZES = ("large", "xlarge", "2xlarge", "4xlarge")
_BURSTABLE = ("ml.t3.medium", *(f"ml.t3.{size}" for size in _SIZES[:-1]))
_STEADY = tuple(
    f"ml.{kind}{series}.{size}" for series in ("5", "6i", "7i") for kind in "mcr" for size in _SIZES
)


class Limits(Section):
    """Cost limits for runs, experiments and apps, whoever starts them; IAM enforces them."""

    job_instance_types: tuple[InstanceType, ...] = Field(
        default=(*_BURSTABLE, *_STEADY), min_length=1
    )
    """Instance types allowed for jobs, both the pipeline's and those started from notebooks. The
    parameters accept the ones among them that the pipeline can use."""
    endpoint_instance_types: tuple[InstanceType, ...] = Field(
        default=("ml.t2.medium", *(f"ml.t2.{size}" for size in _SIZES[:-1]), *_STEADY), min_length=1
    )
    """Instance types allowed for endpoints."""
    app_instance_types: tuple[InstanceType, ...] = Field(
        default=(*_BURSTABLE, *_STEADY[: 3 * len(_SIZES)]), min_length=1
    )
    """Instance types allowed for JupyterLab and Code Editor."""
    job_hours: int = Field(default=12, ge=PIPELINE_HOURS, le=720, strict=True)
    """Maximum run time of a job, in hours. The pipeline's jobs request six and finish sooner."""

    @model_validator(mode="after")
    def _serve_the_pipeline(self) -> Limits:
        for setting, pattern in (
            ("job_instance_types", PROCESSING_INSTANCE_TYPE_PATTERN),
            ("endpoint_instance_types", ENDPOINT_INSTANCE_TYPE_PATTERN),
        ):
            if not usable(getattr(self, setting), pattern):
                raise ValueError(f"{setting}: at least one must be {INSTANCE_TYPE_RULE}")
        return self


def usable(types: tuple[str, ...], pattern: str) -> list[str]:
    """Return the instance types that match the pattern of one use in the pipeline."""
    return [name for name in types if re.fullmatch(pattern, name)]


class Functions(Section):
    """The functions behind the custom resources."""

    reserved_concurrency: int = Field(default=0, ge=0, le=1000, strict=True)
    """Reserved concurrency of each function, taken from the account's limit; 0: no reservation. At
    least 2, because both buckets are emptied at the same time. The limit of a new account is too
    low for any reservation."""
    code_signing_config: str = Field(default="", pattern=_CODE_SIGNING)
    """ARN of the Lambda code signing configuration for every function. If set, sign the zips in
    dist/ with AWS Signer before you upload them. Empty: no code signing."""
    tracing: bool = Field(default=True, strict=True)
    """Trace the functions with X-Ray."""

    @field_validator("reserved_concurrency")
    @classmethod
    def _is_enough(cls, copies: int) -> int:
        if copies == 1:
            raise ValueError("must be 0 (no reservation) or at least 2")
        return copies


class Settings(Section):
    """All decisions made at build time."""

    project: str = Field(default="tabular", pattern=_PROJECT)
    """Prefix of every name that the templates set; 2 to 30 lower-case letters, digits, hyphens."""
    modes: tuple[Mode, ...] = Field(default=(Mode.DEV, Mode.PROD), min_length=1)
    """Sets of templates to emit: dev into templates/, prod into templates/prod/."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=40)
    """Tags for every resource that supports tags, such as { team = "risk" }."""
    network: Network = Field(default_factory=Network)
    storage: Storage = Field(default_factory=Storage)
    studio: Studio = Field(default_factory=Studio)
    security: Security = Field(default_factory=Security)
    pipeline: PipelineSettings = Field(default_factory=PipelineSettings)
    pipelines: tuple[PipelineEntry, ...] = Field(default=(PipelineEntry(name=MAIN),), min_length=1)
    """The pipelines of the environment, each a table [[pipelines]] (docs/pipelines.md). They share
    the network, the key, the buckets and Studio, and cannot read each other's data."""
    serving: Serving = Field(default_factory=Serving)
    watching: WatchingSettings = Field(default_factory=WatchingSettings)
    functions: Functions = Field(default_factory=Functions)
    limits: Limits = Field(default_factory=Limits)
    packages: Packages = Field(default_factory=Packages)

    @field_validator("pipelines")
    @classmethod
    def _have_own_names(cls, pipelines: tuple[PipelineEntry, ...]) -> tuple[PipelineEntry, ...]:
        check_names(pipelines)
        return pipelines

    @model_validator(mode="after")
    def _agree_with_the_domain(self) -> Settings:
        if self.packages.available and not self.studio.owns_domain:
            raise ValueError(
                f"packages.source: got {str(self.packages.source)!r}: must be omitted with "
                f"studio.domain = {self.studio.domain!r}; pip is set up in the stack's own domain"
            )
        return self

    @property
    def unused_parameters(self) -> frozenset[str]:
        """Return the deployment's parameters that would have no effect."""
        email = ("AlertEmail",) if self.security.alert_topic else ()
        return self.studio.unused_parameters.union(email)

    @model_validator(mode="after")
    def _agree_with_what_exists(self) -> Settings:
        if self.storage.log_bucket and self.security.log_readers:
            raise ValueError(
                "security.log_readers: must be omitted with storage.log_bucket, whose owner decides"
            )
        places = {
            arn.split(":")[3] for arn in (self.security.key, self.security.alert_topic) if arn
        }
        if len(places) > 1:
            raise ValueError(
                f"security.alert_topic: got {self.security.alert_topic!r}: must be in the region "
                "of security.key, which is that of the deployment"
            )
        emails = [one.name for one in self.pipelines if one.alert_email]
        if self.security.alert_topic and emails:
            raise ValueError(
                f"pipelines: {emails[0]}: alert_email: must be omitted with security.alert_topic"
            )
        return self

    @model_validator(mode="after")
    def _agree_with_the_pipelines(self) -> Settings:
        check_together(self.pipelines, self.project, self.pipeline, self.limits)
        for entry in self.pipelines:
            self._check_choices(entry)
        if self.pipeline.on_drift and not any(
            self.choices_of(entry).watching.drift_hours for entry in self.pipelines
        ):
            raise ValueError("pipeline.on_drift: got true: needs watching.drift_hours")
        return self

    def _check_choices(self, entry: PipelineEntry) -> None:
        chosen = self.choices_of(entry)
        setting = "deploy" if entry.deploy else "pipeline.deploy"
        try:
            check_serving(chosen.serving, chosen.deploy, setting)
            check_watching(
                chosen.watching,
                chosen.serving,
                self.storage.captured_days,
                predictions=self.pipeline.predictions,
            )
        except ValueError as error:
            if not any(one.chooses for one in self.pipelines):
                raise
            raise ValueError(f"pipelines: {entry.name}: {error}") from error
        if chosen.on_approval:
            length = len(self.project) + (0 if entry.is_main else len(entry.name))
            check_length(entry.name, length, self.project, setting)

    def choices_of(self, entry: PipelineEntry) -> Choices:
        """Return how a pipeline's models are deployed, served and watched."""
        return Choices(
            entry.deploy or self.pipeline.deploy,
            over(self.serving, entry.serving),
            over(self.watching, entry.watching),
        )

    @property
    def usual_choices(self) -> Choices:
        """Return the choices for all pipelines."""
        return Choices(self.pipeline.deploy, self.serving, self.watching)

    @model_validator(mode="after")
    def _studio_reaches_sagemaker(self) -> Settings:
        problem = missing_for_studio(self.network)
        if problem and self.studio.owns_domain:
            raise ValueError(problem)
        return self

    @field_validator("modes")
    @classmethod
    def _are_named_once(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if len(set(modes)) < len(modes):
            raise ValueError("must not name a mode twice")
        return modes

    @field_validator("tags")
    @classmethod
    def _are_ours(cls, tags: dict[str, str]) -> dict[str, str]:
        if any(key.lower().startswith("aws:") for key in tags):
            raise ValueError("keys that begin with aws: are reserved for AWS")
        for first, second in combinations([*OWN_TAGS, *tags], 2):
            if first.lower() == second.lower():
                both = f"{first!r} and {second!r}"
                owner = " (the templates set the first one)" if first in OWN_TAGS else ""
                raise ValueError(f"{both} are the same key to AWS{owner}; use different keys")
        return tags


def main_pipeline(settings: Settings) -> PipelineEntry:
    """Return the pipeline with the names and folders of an environment's only one."""
    return next(entry for entry in settings.pipelines if entry.name == MAIN)


def named_pipelines(settings: Settings) -> tuple[PipelineEntry, ...]:
    """Return the pipelines besides ``main``."""
    return tuple(entry for entry in settings.pipelines if entry.name != MAIN)


def main_choices(settings: Settings) -> Choices:
    """Return what is chosen for ``main``."""
    return settings.choices_of(main_pipeline(settings))


def named_choices(settings: Settings) -> tuple[Choices, ...]:
    """Return what is chosen for each pipeline besides ``main``; what they share serves them all.

    If there is none yet, these are the choices for all pipelines.
    """
    if not shares_pipelines(settings):
        return ()
    chosen = tuple(settings.choices_of(entry) for entry in named_pipelines(settings))
    return chosen or (settings.usual_choices,)


def all_choices(settings: Settings) -> tuple[Choices, ...]:
    """Return what is chosen for each pipeline, ``main`` first."""
    return (main_choices(settings), *named_choices(settings))


def any_asynchronous(settings: Settings) -> bool:
    """Tell whether the endpoint of any pipeline takes its requests from S3."""
    return any(one.serving.asynchronous for one in all_choices(settings))


def shares_pipelines(settings: Settings) -> bool:
    """Tell whether what named pipelines share is deployed, whether or not there is one."""
    return settings.pipeline.several or bool(named_pipelines(settings))


def on_spark(settings: Settings) -> bool:
    """Tell whether Preprocess of ``main`` runs on a Spark cluster."""
    return runs_on_spark(main_pipeline(settings), settings.pipeline)


def any_on_spark(settings: Settings) -> bool:
    """Tell whether Preprocess of any pipeline runs on a Spark cluster."""
    return any(runs_on_spark(entry, settings.pipeline) for entry in settings.pipelines)


def main_is_scheduled(settings: Settings) -> bool:
    """Tell whether ``main`` has a schedule."""
    return bool(schedule_of(main_pipeline(settings), settings.pipeline))


def any_named_is_scheduled(settings: Settings) -> bool:
    """Tell whether any pipeline besides ``main`` has a schedule."""
    return any(schedule_of(entry, settings.pipeline) for entry in named_pipelines(settings))


def main_is_watched(settings: Settings) -> bool:
    """Tell whether ``main`` has the function that checks requests and starts runs."""
    news = awaits_new_data(main_pipeline(settings), settings.pipeline)
    return main_choices(settings).watching.checks or news


def named_await_new_data(settings: Settings) -> bool:
    """Tell whether a new table starts a run of any pipeline besides ``main``."""
    usual = settings.pipeline
    return usual.on_new_data or any(
        awaits_new_data(entry, usual) for entry in named_pipelines(settings)
    )


def named_are_watched(settings: Settings) -> bool:
    """Tell whether pipelines besides ``main`` share a function as above."""
    checks = any(one.watching.checks for one in named_choices(settings))
    return shares_pipelines(settings) and (checks or named_await_new_data(settings))


def interface_endpoints(settings: Settings) -> tuple[InterfaceEndpoint, ...]:
    """Return the chosen interface endpoints, and those that other settings need.

    Packages need both endpoints of CodeArtifact ("Create VPC endpoints for CodeArtifact").
    """
    chosen = settings.network.interface_endpoints
    needed = PACKAGE_ENDPOINTS if settings.packages.available else ()
    return (*chosen, *(name for name in needed if name not in chosen))


def endpoints_of_functions(settings: Settings) -> tuple[str, ...]:
    """Return the further interface endpoints that our functions need if they are in the VPC.

    They answer CloudFormation, try models on approval, and have an endpoint's fleet scale, also
    from nothing.
    """
    chosen = all_choices(settings)
    needed = {
        InterfaceEndpoint.SAGEMAKER_RUNTIME: any(one.on_approval for one in chosen),
        InterfaceEndpoint.APPLICATION_AUTOSCALING: any(one.serving.scales for one in chosen),
        InterfaceEndpoint.MONITORING: any_asynchronous(settings),
    }
    present = interface_endpoints(settings)
    return (
        CLOUDFORMATION,
        *(str(one) for one, is_needed in needed.items() if is_needed and one not in present),
    )


SettingsSource = Path | Settings | None
"""A settings file, settings that have been read already, or None for the defaults."""


def read(source: SettingsSource) -> Settings:
    """Read and validate the settings in a TOML file and those it extends, or return the defaults.

    Raises:
        SettingsError: the file is missing or not TOML, or a setting is unknown or invalid.

    """
    if source is None or isinstance(source, Settings):
        return source or Settings()
    raw, names = read_extended(source)
    return validated(Settings, raw, f"{names}: ")


def validated(
    model: type[AnySection], raw: object, where: str, noun: str = "setting"
) -> AnySection:
    """Return the section; ``where`` begins the message of an error, ``noun`` is what a key is.

    Raises:
        SettingsError: names the first key that is unknown or has an invalid value.

    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(where + _one_line(error, model, noun)) from error


def _one_line(error: ValidationError, model: type[Section], noun: str) -> str:
    """Describe the first error: the setting, the value received, and what is allowed."""
    found = error.errors(include_url=False)
    errors = [one for one in found if one["type"] != _FOLLOWS and not _is_of_a_part(one, found)]
    first = errors[0]
    setting = ".".join(_shown_name(part) for part in first["loc"]) or f"{noun}s"
    if first["type"] == "extra_forbidden":
        return f"{setting}: unknown {noun}{_suggestion(first, model, noun)}"
    if not first["loc"] and first["type"] == "value_error":
        return _as_clause(first["msg"])  # about several settings: the message names them
    if first["type"] == "missing":
        return f"{setting}: missing"
    reason = _IN_WORDS.get(first.get("ctx", {}).get("pattern", "")) or first["msg"]
    others = len({_without_indexes(fault["loc"]) for fault in errors}) - 1
    more = f" (and {others} more)" if others else ""
    if first["type"] == "value_error" and isinstance(first["input"], dict):
        return f"{setting}: {_as_clause(reason)}{more}"  # a table's: the message names its keys
    return f"{setting}: got {_shown(first['input'])}: {_as_clause(reason)}{more}"


def _is_of_a_part(fault: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Tell whether a list is only too short because one of its items is invalid."""
    where = fault["loc"]
    inside = (one["loc"] for one in found if len(one["loc"]) > len(where))
    return fault["type"] == "too_short" and any(loc[: len(where)] == where for loc in inside)


def _shown(value: object) -> str:
    """Return a value as Python writes it, cut if it is long: nothing in it controls a terminal."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply; a number of 4,300 digits
        return f"a value ({type(value).__name__}) that is too large to be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _shown_name(part: int | str) -> str:
    """Return a part of a setting's name; one that nobody would write is quoted."""
    text = str(part)
    return text if text.isprintable() and len(text) <= _SHOWN_CHARACTERS else _shown(text)


_FOLLOWS = "default_factory_not_called"
"""An error that only says that another setting, which a default depends on, is invalid."""
_PLAIN = {
    "a valid integer": "a whole number",
    "a valid dictionary": "a table of names and values",
    "a valid string": "text in quotes",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid boolean": "true or false",
    "Tuple should have": "must have",
    "List should have": "must have",
    "Tuple must have": "must have",
}
"""pydantic's words, and those of a person who writes TOML."""


def _as_clause(message: str) -> str:
    """Continue a sentence with pydantic's message, such as "Input should be a valid integer"."""
    text = message.removeprefix("Value error, ").removeprefix("Input ").partition(" after valid")[0]
    for theirs, ours in _PLAIN.items():
        text = text.replace(theirs, ours, 1)
    text = re.sub(r" or instance of \w+", "", text)
    return text.replace("should be", "must be", 1).replace("should have", "must have", 1)


def _without_indexes(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the setting's location without list indexes: one setting can have several errors."""
    return tuple(part for part in location if isinstance(part, str))


def _suggestion(fault: ErrorDetails, model: type[Section], noun: str) -> str:
    location = fault["loc"]
    section: Any = model
    outer: Any = None
    for part in location[:-1]:
        outer = section if hasattr(section, "model_fields") else outer
        fields = getattr(section, "model_fields", {})
        section = (
            fields[part].annotation if part in fields else get_args(section)[isinstance(part, str)]
        )
        if isinstance(section, UnionType):  # a table that can be left out
            section = get_args(section)[0]
    if _is_of_the_table_around(fault, outer):
        table = f"[{'.'.join(_shown_name(part) for part in _without_indexes(location[:-1]))}]"
        return (
            f"; belongs above the table {f'[{table}]' if isinstance(location[-2], int) else table}"
        )
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known {noun}s: {', '.join(known)}"


def _is_of_the_table_around(fault: ErrorDetails, outer: Any) -> bool:
    """Tell whether a value was written below a table's header, and is one of the table around."""
    of_outer = outer is not None and fault["loc"][-1] in outer.model_fields
    return of_outer and not isinstance(fault["input"], dict | list)
