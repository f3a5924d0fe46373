"""Checks the user's input before anything starts; the jobs check the rest of the table."""

from __future__ import annotations

import csv
import difflib
import gzip
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from generator.cfn.parameters import need_known, parse_pairs
from generator.errors import UsageError
from pipeline.limits import parameter_room
from pipeline.run_parameters import (
    METRIC,
    RUN_PARAMETERS,
    THRESHOLD,
    not_one_of,
    threshold_problem,
)
from pipeline.types import Json

_GZIP: Final = b"\x1f\x8b"
_DELIMITERS: Final = (",", ";", "\t", "|")
LONGEST_NAME: Final = 200
"""A longer one would not fit into the argument that gives Preprocess the table."""
_SHOWN_NAMES: Final = 20
_SHOWN_CHARACTERS: Final = 40
_PARQUET: Final = b"PAR1"
_SEPARATOR: Final = re.compile(r"sep=[,;|\t]\s*", re.IGNORECASE)
"""A first line that Excel writes: not a row, but the delimiter."""
_TRUTHS: Final = {"true": True, "false": False}


class InputError(UsageError):
    """The user's data or a parameter is not valid; the message is one line for the user."""


def data_files(data: Path, option: str = "--data") -> list[Path]:
    """The files of the user's table: one file, or all files in a folder except hidden ones.

    ``option`` is how the user named it.

    Raises:
        InputError: there are none.

    """
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise InputError(f"{option}: {str(data)!r} does not exist")
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not _hidden(path, data)]
    if not files:
        raise InputError(f"{option}: the folder {str(data)!r} contains no files")
    return files


def key_of(file: Path, data: Path) -> str:
    """The key of a file below the table's prefix; jobs ignore names that start with `.` or `_`."""
    if data.is_file():
        return file.name.lstrip("._")[-LONGEST_NAME:] or "data"
    return file.relative_to(data).as_posix()


def check_label(name: str, columns: Sequence[str], label: str, given: bool) -> None:
    """Raise `InputError` unless the table `name` has the column `label`.

    `given` says whether the user gave this column, or it is the default.
    """
    if given:
        check_column("--label", name, columns, label)
    elif label not in columns:
        raise InputError(
            f"--label: not given, and {name} does not have the default column {label!r}; its "
            f"columns are {_names(columns)}"
        )


def check_column(option: str, name: str, columns: Sequence[str], column: str) -> None:
    """Raise `InputError` unless the table `name` has the column `column` that `option` names."""
    if column not in columns:
        close = difflib.get_close_matches(column, columns, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"{option}: {name} has no column {column!r}; its columns are {_names(columns)}{hint}"
        )


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet, by its first bytes."""
    with file.open("rb") as opened:
        return opened.read(len(_PARQUET)) == _PARQUET


def header(file: Path) -> list[str]:
    """The names of a CSV file's columns; raises `InputError` if it has none."""
    rows = sample(file, 0)
    if not rows or not any(rows[0]):
        raise InputError(f"--data: {str(file)!r} is empty; the first line must be a header")
    return rows[0]


def sample(file: Path, rows: int) -> list[list[str]]:
    """The header and the first `rows` rows of a CSV file, gzip or not, as the jobs would read it.

    Raises:
        InputError: it cannot be read, or is not UTF-8 text.

    """
    try:
        with _open(file) as text:
            line = text.readline()
            delimiter = line[4:5] if _SEPARATOR.fullmatch(line) else _delimiter(line)
            if not _SEPARATOR.fullmatch(line):
                text.seek(0)
            found = list(islice(csv.reader(text, delimiter=delimiter), rows + 1))
    except UnicodeDecodeError as error:
        raise InputError(f"--data: {str(file)!r} is not UTF-8 text") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"--data: cannot read {str(file)!r}: {error}") from error
    return [[name.strip() for name in row] for row in found[:1]] + [row for row in found[1:] if row]


def parse_settings(pairs: Iterable[str], definition: Json, where: str = "--set ") -> Json:
    """Parameters from `NAME=VALUE` texts, each with the type that the definition declares.

    Raises:
        UsageError: a pair has no `=`, or a name is unknown.
        InputError: a value is empty, of the wrong kind, out of its range, or longer than a job's
            argument can be.

    """
    known = {item["Name"]: item for item in definition.get("Parameters", [])}
    room = parameter_room(definition)
    given: Json = {}
    for name, text in parse_pairs(pairs, example="Preset=good_quality").items():
        need_known(name, known, where)
        given[name] = _typed(known[name], text, f"{where}{name}", room.get(name))
    check_threshold(given, definition)
    return given


def check_threshold(given: Mapping[str, Any], definition: Json) -> None:
    """Raise `InputError` for a threshold that no model can reach, or that every model reaches."""
    known = {item["Name"]: item for item in definition.get("Parameters", [])}
    if THRESHOLD in given and METRIC in known:
        metric = str(given.get(METRIC, known[METRIC].get("DefaultValue")))
        if problem := threshold_problem(metric, given[THRESHOLD]):
            raise InputError(f"--set {THRESHOLD}: {problem}")


def parse_choices(
    choices: Mapping[str, str], parameters: Mapping[str, str], definition: Json
) -> dict[str, tuple[str, Any]]:
    """The chosen options and their typed values, by the parameter that each option sets.

    Raises:
        InputError: as `parse_settings`; the text begins with the option.

    """
    known = {item["Name"]: item for item in definition["Parameters"]}
    room = parameter_room(definition)
    return {
        (name := parameters[option]): (
            option,
            _typed(known[name], text, option, room.get(name)),
        )
        for option, text in choices.items()
    }


def with_defaults(definition: Json, given: Mapping[str, Any]) -> Json:
    """`definition` with `given` as the defaults, so that `pipeline.validate` also checks those."""
    parameters = [
        item | ({"DefaultValue": given[item["Name"]]} if item["Name"] in given else {})
        for item in definition["Parameters"]
    ]
    return definition | {"Parameters": parameters}


def _typed(declaration: Json, text: str, where: str, room: int | None) -> Any:
    """`text` as a value of the parameter; an error starts with `where`.

    The service rejects empty values, and a job's argument has at most `room` characters.
    """
    kind, allowed = declaration["Type"], declaration.get("EnumValues")
    if not text:
        raise InputError(f"{where}: the value is empty; {_default(declaration)}")
    if room is not None and len(text) > room:
        raise InputError(
            f"{where}: {text[:_SHOWN_CHARACTERS]!r}... has {len(text)} characters; at most {room} "
            "fit into a job's argument"
        )
    value = _converted(kind, text)
    if value is None:
        expected = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
        raise InputError(f"{where}: {text!r} is not {expected[kind]}")
    if allowed and value not in allowed:
        raise InputError(f"{where}: {not_one_of(text, allowed)}")
    known = RUN_PARAMETERS.get(declaration["Name"])
    if known is not None and (problem := known.problem(value)):
        raise InputError(f"{where}: {problem}")
    return value


def _default(declaration: Json) -> str:
    default = declaration.get("DefaultValue")
    return "there is no default" if default is None else f"the default is {default}"


def _converted(kind: str, text: str) -> Any:
    """`text` as a value of a parameter type, or None if it is not valid."""
    try:
        if kind == "Integer":
            return int(text)
        if kind == "Float":
            number = float(text)
            return number if math.isfinite(number) else None
    except ValueError:
        return None
    return _TRUTHS.get(text.lower()) if kind == "Boolean" else text


def _hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith((".", "_")) for part in parts)


def _open(file: Path) -> IO[str]:
    with file.open("rb") as opened:
        packed = opened.read(2) == _GZIP
    if packed:
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _delimiter(line: str) -> str:
    bare = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


def _names(columns: Sequence[str]) -> str:
    more = len(columns) - _SHOWN_NAMES
    shown = ", ".join(repr(name) for name in columns[:_SHOWN_NAMES])
    return shown + (f" and {more} more" if more > 0 else "")
