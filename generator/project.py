"""The project file, ``tabular.toml``: what commands would otherwise need as options each time.

It is found from the current folder upward, up to the top of a repository. Options and environment
variables take precedence over it, and its stage over the rest of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue, field_validator

from generator.settings import (
    REGION,
    STACK_NAME,
    Mode,
    Settings,
    SettingsSource,
    validated,
)
from generator.settings_file import EXTENDS, extended, merged, read_toml
from generator.settings_section import Section, SettingsError
from pipeline.run_parameters import RUN_PARAMETERS, RunParameter, not_one_of

FILE: Final = "tabular.toml"
_TOP: Final = ".git"
_KEY: Final = "key"

Scalar = str | int | float | bool
RunValue = Scalar | list[str] | dict[str, str]
_RUN_SCHEMA: Final[dict[str, JsonValue]] = {
    "properties": {name: {"description": one.about} for name, one in RUN_PARAMETERS.items()},
    "additionalProperties": False,
}


class PipelineChoices(Section):
    """What was chosen for one of several pipelines."""

    run: dict[str, Any] = Field(default_factory=dict, json_schema_extra=_RUN_SCHEMA)
    """Values of its runs' parameters, over those of [run]."""


class Choices(Section):
    """What a project or one of its stages has chosen."""

    stack: str | None = Field(default=None, pattern=STACK_NAME)
    """Name of the root stack (--stack-name)."""
    region: str | None = Field(default=None, pattern=REGION)
    """AWS region (--region; AWS_REGION takes precedence)."""
    profile: str | None = Field(default=None, min_length=1)
    """Profile in your AWS configuration (--profile; AWS_PROFILE, and credentials in the
    environment, take precedence)."""
    pipeline: str | None = Field(default=None, min_length=1)
    """Name of the pipeline (--pipeline) if the stack has several."""
    mode: Mode | None = None
    """dev: everything is deleted with the stack; prod: data, key and logs are kept (--mode)."""
    settings: Annotated[Any, Field(json_schema_extra={"type": ["string", "object"]})] = None
    """Path of the settings file, relative to this file (--config), or a table with the settings
    themselves; a stage's table says what differs from the file's."""
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        json_schema_extra={"additionalProperties": {"type": ["string", "number", "boolean"]}},
    )
    """Values of the root template's parameters (--set of deploy and diff)."""
    run: dict[str, Any] = Field(default_factory=dict, json_schema_extra=_RUN_SCHEMA)
    """Values of a run's parameters (--set of run and local)."""
    pipelines: dict[str, PipelineChoices] = Field(default_factory=dict)
    """Tables for single pipelines, by name: [pipelines.NAME.run] has values over those of [run]."""

    @field_validator("settings")
    @classmethod
    def _is_a_path_or_a_table(cls, value: object) -> object:
        if not isinstance(value, str | dict | None) or value == "":
            raise ValueError("must be the path of a settings file, or a table of settings")
        return value


class ProjectFile(Choices):
    """The project file; options and environment variables take precedence over it."""

    stages: dict[str, Choices] = Field(default_factory=dict)
    """Tables whose values override those above, chosen by --stage NAME or TABULAR_STAGE."""


@dataclass(frozen=True)
class Project:
    """The choices of a project file, those of its stage included."""

    path: Path
    choices: Choices
    stage: str | None
    stages: tuple[str, ...]
    """The names of all stages."""

    @cached_property
    def settings(self) -> SettingsSource:
        """The settings' file, or the settings in the project file; None if it has neither.

        Raises:
            SettingsError: a setting in the project file is unknown or invalid.

        """
        given = self.choices.settings
        if isinstance(given, str):
            return self.path.parent / given
        if given is None:
            return None
        raw, names = extended(given, self.path, self.name)
        return validated(Settings, raw, f"{names}: settings.")

    @property
    def settings_name(self) -> str:
        """Where the settings are, for messages."""
        given = self.choices.settings
        return given if isinstance(given, str) else f"of {FILE}"

    @property
    def name(self) -> str:
        """The file's name, with its stage, for messages."""
        return f"{FILE} (stage {self.stage})" if self.stage else FILE

    @property
    def parameters(self) -> dict[str, str]:
        """The values of the root template's parameters, as text."""
        return {name: text_of(value) for name, value in self.choices.parameters.items()}

    def run(self, pipeline: str | None) -> dict[str, str]:
        """The values of the parameters of a pipeline's run, as text; None is no one pipeline."""
        own = self.choices.pipelines.get(pipeline or "", PipelineChoices())
        return {name: text_of(value) for name, value in (self.choices.run | own.run).items()}


def find(folder: Path, stage: str | None) -> Project | None:
    """Return the project of a folder, or None if neither it nor a folder above has a file.

    The search ends at the top of a repository, which may have the file itself.

    Raises:
        SettingsError: the file is not valid, or there is no such stage.

    """
    for place in (folder, *folder.parents):
        path = place / FILE
        if path.is_file():
            return read(path, stage)
        if (place / _TOP).exists():
            break
    if stage:
        raise SettingsError(f"--stage: got {stage!r}, but no {FILE} was found in {folder} or above")
    return None


def read(path: Path, stage: str | None) -> Project:
    """Read a project file.

    Raises:
        SettingsError: the file is not valid, or has no such stage.

    """
    raw = read_toml(path)
    whole = validated(ProjectFile, raw, f"{FILE}: ", _KEY)
    if stage is not None and stage not in whole.stages:
        known = not_one_of(stage, whole.stages) if whole.stages else f"{FILE} has no stages"
        raise SettingsError(f"--stage: {known}")
    for place, choices in (("", whole), *((f"stages.{n}.", s) for n, s in whole.stages.items())):
        _check(choices, f"{FILE}: {place}")
    stages = raw.pop("stages", {})
    chosen = _over(raw, stages[stage]) if stage else raw
    return Project(path, validated(Choices, chosen, f"{FILE}: ", _KEY), stage, tuple(stages))


def _over(below: Mapping[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return a stage's choices over the file's; its table of settings extends the file's path."""
    base, own = below.get("settings"), above.get("settings")
    if isinstance(base, str) and isinstance(own, dict):
        above = {**above, "settings": {EXTENDS: base, **own}}
    return merged(below, above)


def text_of(value: RunValue) -> str:
    """Return a value as the text by which CloudFormation and SageMaker know it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _check(choices: Choices, where: str) -> None:
    """Refuse values of parameters that no parameter takes."""
    for name, value in choices.parameters.items():
        if not isinstance(value, str | int | float):
            raise SettingsError(
                f"{where}parameters.{name}: got {value!r}: must be a text, a number or a boolean"
            )
    _check_run(choices.run, where)
    for name, pipeline in choices.pipelines.items():
        _check_run(pipeline.run, f"{where}pipelines.{name}.")


def _check_run(run: Mapping[str, RunValue], where: str) -> None:
    for name, value in run.items():
        if name not in RUN_PARAMETERS:
            raise SettingsError(f"{where}run.{name}: {not_one_of(name, RUN_PARAMETERS)}")
        if problem := _problem(RUN_PARAMETERS[name], value):
            raise SettingsError(f"{where}run.{name}: {problem}")


def _problem(one: RunParameter, value: RunValue) -> str:
    """Return why a value is not allowed, or an empty text."""
    if one.kind == "String":
        if not isinstance(value, str | list | dict):
            return f"got {value!r}: must be a text, a list of texts or a table"
        text = text_of(value)
        return one.problem(text) if text else "the value is empty"
    kinds = int if one.kind == "Integer" else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        return f"got {value!r}: must be a {'whole ' if one.kind == 'Integer' else ''}number"
    return one.problem(value)
