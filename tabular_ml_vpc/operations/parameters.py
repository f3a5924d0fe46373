"""Where a deployment gets the values of the root template's parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from generator.cfn.parameters import (
    ParameterDefinitions,
    ParameterValues,
    check,
    parse_pairs,
    text_of,
)
from generator.errors import UsageError
from generator.files import write
from generator.project import FILE as PROJECT
from pipeline.run_parameters import METRIC, THRESHOLD, threshold_problem


def given(
    path: Path | None,
    pairs: Iterable[str],
    known: ParameterDefinitions,
    remembered: ParameterValues | None = None,
) -> dict[str, str]:
    """Return the values of the project file, of a file, and of ``NAME=VALUE`` pairs.

    Each takes precedence over the one before.

    Raises:
        UsageError: the file, a pair, a name or a value cannot be used.

    """
    values = dict(remembered or {})
    check(values, known, f"{PROJECT}: parameters.")
    values |= {} if path is None else _read_file(path, known)
    chosen = parse_pairs(pairs)
    check(chosen, known)
    return values | chosen


def check_gate(values: ParameterValues) -> None:
    """Refuse a threshold that no model can reach with the metric, or that every model reaches.

    Raises:
        UsageError: names both.

    """
    metric, threshold = values.get(METRIC, ""), values.get(THRESHOLD, "")
    if metric and threshold and (problem := threshold_problem(metric, float(threshold))):
        raise UsageError(f"--set {THRESHOLD}: {problem}")


def _read_file(path: Path, known: ParameterDefinitions) -> dict[str, str]:
    """Return the values in a JSON file: of the AWS CLI's form, or an object of names and values.

    Raises:
        UsageError: the file cannot be used, or a value in it.

    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--parameters: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--parameters: {path} is not valid JSON: {error}") from error
    values = _values(content, path)
    check(values, known, f"{path}: ")
    return values


def _values(content: object, path: Path) -> dict[str, str]:
    if isinstance(content, Mapping):
        inner = content.get("Parameters", content)
        if isinstance(inner, Mapping):
            return {str(name): text_of(value) for name, value in inner.items()}
    if isinstance(content, Sequence) and all(
        isinstance(item, Mapping) and {"ParameterKey", "ParameterValue"} <= set(item)
        for item in content
    ):
        return {str(item["ParameterKey"]): text_of(item["ParameterValue"]) for item in content}
    raise UsageError(
        f"--parameters: {path}: a JSON object of names and values is needed, or the AWS CLI's list "
        "of ParameterKey and ParameterValue"
    )


def write_file(path: Path, values: ParameterValues) -> None:
    """Write values in the AWS CLI's form, which ``--parameters`` and the AWS CLI both read.

    Raises:
        FileError: the file cannot be written.

    """
    rows = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    write(path, (json.dumps(rows, indent=2) + "\n").encode())


def as_request(
    known: ParameterDefinitions, given: ParameterValues, current: ParameterValues
) -> list[dict[str, Any]]:
    """Return the request's ``Parameters``: what was given, else what the stack has.

    A parameter that the stack does not have yet is left out: its default applies.
    """
    rows: list[dict[str, Any]] = []
    for name in known:
        if name in given:
            rows.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in current:
            rows.append({"ParameterKey": name, "UsePreviousValue": True})
    return rows


def effective(
    known: ParameterDefinitions, given: ParameterValues, current: ParameterValues
) -> dict[str, str]:
    """Return the values that a deployment would have."""
    return {
        name: given.get(name, current.get(name, definition.default))
        for name, definition in known.items()
    }
