"""The settings' documents, derived from the model: an example with every default, and a schema.

The build writes both and ``--check`` compares them, so they cannot go stale.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, Final

from generator.project import ProjectFile
from generator.settings import Settings
from generator.settings_file import EXTENDS

EXAMPLE: Final = "docs/settings.example.toml"
SCHEMA: Final = "docs/settings.schema.json"
PROJECT_SCHEMA: Final = "docs/project-file.schema.json"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WIDTH: Final = 98
_INTRODUCTION: Final = """\
#:schema ./settings.schema.json
# Every setting with its default. Copy the file, uncomment the settings to change, and build with
#
#     python build.py --config FILE.toml
#
# A file that begins with `extends = "base.toml"` says only what differs from that one.
#
# Values that differ between deployments (instance types, rows, e-mail) are parameters of the root
# template. Generated from generator/settings.py by `python build.py`.
"""

_PROJECT_INTRODUCTION: Final = """\
# What `tabular-ml-vpc` would otherwise need as options each time; uncomment what you need.
# Options and environment variables take precedence (docs/project-file.md)."""
_PROJECT_VALUES: Final = {
    "stack": ['stack = "tabular"'],
    "region": ['region = "eu-west-1"'],
    "profile": ['profile = "work"'],
    "pipeline": ['pipeline = "churn"'],
    "mode": ['mode = "dev"'],
    "settings": ['settings = "settings.toml"'],
    "parameters": ["[parameters]", "QualityThreshold = 0.8"],
    "run": ["[run]", 'LabelColumn = "churned"', "TimeLimitSeconds = 1200"],
    "pipelines": ["[pipelines.fraud.run]", "TimeLimitSeconds = 3600"],
    "stages": ["[stages.prod]", 'stack = "tabular-prod"', 'mode = "prod"'],
}
"""Example values of the project file's keys, as lines of TOML."""


def schema() -> str:
    """Return the JSON schema of the settings file, for editors."""
    whole = _schema()
    whole["properties"] = {EXTENDS: _EXTENDS, **whole["properties"]}
    return json.dumps({"$schema": _DIALECT, **whole}, indent=2) + "\n"


def project_schema() -> str:
    """Return the JSON schema of the project file, for editors."""
    return json.dumps({"$schema": _DIALECT, **ProjectFile.model_json_schema()}, indent=2) + "\n"


def project_example() -> str:
    """Return a project file whose keys are all commented out."""
    fields = ProjectFile.model_fields
    lines = [_PROJECT_INTRODUCTION]
    for name, value in _PROJECT_VALUES.items():
        about = " ".join(str(fields[name].description).split())
        lines += ["", *(f"# {line}" for line in wrap(about, _WIDTH)), *(f"#{one}" for one in value)]
    return "\n".join(lines) + "\n"


def example() -> str:
    """Return a settings file that lists every setting with its default, commented out."""
    return _INTRODUCTION + "\n".join(_lines())


def _schema() -> dict[str, Any]:
    return Settings.model_json_schema()


_EXTENDS: Final = {
    "description": "Path of another settings file, relative to this one: this file says only what "
    "differs from it.",
    "type": "string",
}


def _lines() -> Iterator[str]:
    whole = _schema()
    defaults = Settings().model_dump(mode="json")
    sections = {name for name, value in whole["properties"].items() if "$ref" in value}
    yield from _settings(whole, whole, {k: v for k, v in defaults.items() if k not in sections})
    for name in (name for name in defaults if name in sections):
        section = _resolve(whole["properties"][name], whole)
        yield from ("", f"# {section['description']}", f"[{name}]")
        yield from _settings(section, whole, defaults[name])
    yield ""


def _settings(
    section: Mapping[str, Any], whole: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[str]:
    for name, default in defaults.items():
        field = section["properties"][name]
        prose = " ".join(field["description"].split())
        yield ""
        yield from (f"# {line}" for line in wrap(f"{prose}{_allowed(field, whole)}", _WIDTH))
        yield from _fields_of_tables(name, field, whole)
        yield f"#{name} = {_toml(default)}"


def _fields_of_tables(
    name: str, field: Mapping[str, Any], whole: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the description of each key of a list of tables, as comments."""
    table = _resolve(field.get("items", {}), whole)
    for key, one in table.get("properties", {}).items():
        prose = " ".join(one["description"].split())
        first, *rest = wrap(f"{key}: {prose}{_allowed(one, whole)}", _WIDTH - 4)
        yield from (f"#   {first}", *(f"#     {line}" for line in rest))
    if table.get("properties"):
        yield f"# A list of tables, or tables that begin with [[{name}]] after all other settings."


def _allowed(field: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Return the allowed values, if the schema states them briefly."""
    forms = [_resolve(form, whole) for form in field.get("anyOf", [field])]
    choices = [", ".join(map(str, choices)) for choices in _choices(forms, whole)]
    if choices:
        return f" Allowed: {'; or a list of '.join(choices)}."
    field = forms[0]
    if "minimum" in field and "maximum" in field:
        return f" Allowed: {field['minimum']} to {field['maximum']}."
    return ""


def _choices(forms: list[Mapping[str, Any]], whole: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield the choices for the value itself or for the items of a list."""
    for form in forms:
        items = _resolve(form.get("items", {}), whole)
        if choices := form.get("enum") or items.get("enum"):
            yield choices


def _resolve(field: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in field:
        return field
    resolved: Mapping[str, Any] = whole["$defs"][field["$ref"].rpartition("/")[2]]
    return resolved


def _toml(value: object) -> str:
    """Return a default as TOML; strings, numbers and lists of them are written as in JSON."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict) and value:
        return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
